/* SPDX-License-Identifier: GPL-2.0-or-later
 * born.c - the ways in which a program can come to be, and to have a socket.
 *   born fork|vfork|spawn|thread|twice PROGRAM ARGS...   the ways to an exec; thread: not by
 *                                      the first one; twice: of a parent that is gone
 *   born bind|pass ADDRESS PORT PROGRAM ARGS...   execs with a UDP socket as descriptor 3,
 *                                      bound there with others on the same port; pass: one
 *                                      that came by SCM_RIGHTS from a process of born's own
 *   born sockets N                     opens N UDP sockets, says "ready" (each process that
 *                                      it takes does), holds them until stdin ends
 * Exits as PROGRAM does. */
#include <arpa/inet.h>
#include <err.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GIFT = 3, SPARE = 100 };

extern char **environ;

static int ended(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		err(2, "no child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int become(char **argv)
{
	execv(argv[0], argv);
	_exit(127);
}

static void *become_in_thread(void *argv)
{
	become(argv);
	return NULL;
}

static int by_thread(char **argv)
{
	pthread_t t;

	if (pthread_create(&t, NULL, become_in_thread, argv))
		errx(2, "no thread");
	pause(); /* the exec ends this one */
	return 2;
}

static int by_fork(char **argv)
{
	pid_t pid = fork();

	return pid == 0 ? become(argv) : ended(pid);
}

static int by_vfork(char **argv)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	return ended(pid);
}

static int by_spawn(char **argv)
{
	pid_t pid = -1;

	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ))
		errx(2, "no spawn");
	return ended(pid);
}

/* the pipe tells when the grandchild is at its end too */
static int twice(char **argv)
{
	int ends[2];
	pid_t pid;
	char c;

	if (pipe(ends) < 0)
		err(2, "pipe");
	pid = fork();
	if (pid == 0)
		_exit(fork() == 0 ? become(argv) : 0);
	close(ends[1]);
	ended(pid);
	return read(ends[0], &c, 1) != 0;
}

static int bound(const char *address, const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

	inet_pton(AF_INET, address, &at.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		err(2, "%s port %s", address, port);
	return fd;
}

static void pass(int by, int fd)
{
	char room[CMSG_SPACE(sizeof(fd))] = { 0 }, byte = 0;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room,
		.msg_controllen = sizeof(room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(by, &m, 0) < 0)
		err(2, "pass");
}

static int taken(int by)
{
	char room[CMSG_SPACE(sizeof(int))], byte;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room,
		.msg_controllen = sizeof(room) };
	int fd;

	if (recvmsg(by, &m, 0) < 0 || !CMSG_FIRSTHDR(&m))
		err(2, "take");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static int passed(const char *address, const char *port)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		err(2, "socketpair");
	if (fork() == 0) {
		pass(pair[0], bound(address, port));
		_exit(0);
	}
	return taken(pair[1]);
}

static int give(int fd, char **argv)
{
	if (fd != GIFT && dup2(fd, GIFT) < 0)
		err(2, "dup2");
	return become(argv);
}

static void open_sockets(int n)
{
	for (int i = 0; i < n; i++)
		if (socket(AF_INET, SOCK_DGRAM, 0) < 0)
			err(2, "socket %d", i);
	puts("ready");
	fflush(stdout);
}

/* as many in one process as it may have, the rest in its children */
static int sockets(int n)
{
	struct rlimit most;
	int each;
	char c;

	getrlimit(RLIMIT_NOFILE, &most);
	most.rlim_cur = most.rlim_max;
	setrlimit(RLIMIT_NOFILE, &most);
	each = most.rlim_max > (rlim_t)n + SPARE ? n : (int)most.rlim_max - SPARE;
	for (; n > each; n -= each) {
		if (fork() == 0) {
			open_sockets(each);
			return read(0, &c, 1) > 0;
		}
	}
	open_sockets(n);
	return read(0, &c, 1) > 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*birth)(char **argv);
	} births[] = { { "fork", by_fork }, { "vfork", by_vfork }, { "spawn", by_spawn },
		{ "thread", by_thread }, { "twice", twice } };
	const char *how = argc > 2 ? argv[1] : "";

	for (size_t i = 0; i < sizeof(births) / sizeof(births[0]); i++)
		if (strcmp(how, births[i].name) == 0)
			return births[i].birth(argv + 2);
	if (strcmp(how, "sockets") == 0)
		return sockets(atoi(argv[2]));
	if (argc > 4 && strcmp(how, "bind") == 0)
		return give(bound(argv[2], argv[3]), argv + 4);
	if (argc > 4 && strcmp(how, "pass") == 0)
		return give(passed(argv[2], argv[3]), argv + 4);
	errx(2, "born HOW ...");
}
