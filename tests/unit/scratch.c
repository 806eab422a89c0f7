/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scratch.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool lo_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

bool scratch_net(const char **why)
{
	if (geteuid() != 0) {
		*why = "needs root";
		return false;
	}
	if (unshare(CLONE_NEWNET) < 0) {
		*why = "this system makes no network namespace";
		return false;
	}
	*why = "lo does not come up";
	return lo_up();
}

int scratch_run(const char *command, const char *text)
{
	FILE *pipe = popen(command, "w");
	int status;

	if (!pipe)
		return -1;
	if (text)
		fputs(text, pipe);
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool scratch_has(const char *program)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	return scratch_run(command, NULL) == 0;
}

static void live_apart(int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0 || !lo_up())
		_exit(1);
	close(ready);
	for (;;)
		pause();
}

static bool join(pid_t peer)
{
	char command[640];

	snprintf(command, sizeof(command),
		"set -e; n='nsenter -t %d -n'; ip link add here type veth peer name there;"
		"ip link set there netns %d; ip addr add 10.9.0.1/24 dev here;"
		"ip addr add fd00:9::1/64 dev here nodad; ip link set here up;"
		"$n ip addr add 10.9.0.2/24 dev there; $n ip addr add fd00:9::2/64 dev there nodad;"
		"$n ip link set there up",
		peer, peer);
	return scratch_run(command, NULL) == 0;
}

pid_t scratch_peer(void)
{
	int ready[2];
	char none;
	pid_t peer;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	peer = fork();
	if (peer == 0) {
		close(ready[0]);
		live_apart(ready[1]);
	}
	close(ready[1]);
	if (peer > 0 && (read(ready[0], &none, 1) != 0 || !join(peer))) {
		scratch_peer_end(peer);
		peer = -1;
	}
	close(ready[0]);
	return peer;
}

void scratch_peer_end(pid_t peer)
{
	if (peer <= 0)
		return;
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
}

int scratch_in_peer(pid_t peer, int (*fn)(const void *arg), const void *arg)
{
	char path[64];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int ns;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", peer);
		ns = open(path, O_RDONLY | O_CLOEXEC);
		_exit(ns < 0 || setns(ns, CLONE_NEWNET) < 0 ? 99 : fn(arg));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
