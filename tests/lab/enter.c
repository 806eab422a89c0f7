/* SPDX-License-Identifier: GPL-2.0-or-later
 * enter.c - starts a program where a test wants it: in a cgroup, a network namespace, a
 * mount namespace, as a user. All are opened before the first is entered, since each may
 * hide the others. One exec, no fork: the pid is the program's.
 *   enter [-c CGROUP] [-n NETNS] [-m MNTNS] [-u UID] -- PROGRAM ARGS... */
#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		err(125, "%s", path);
	return fd;
}

static void become(unsigned uid)
{
	if (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0)
		err(125, "user %u", uid);
}

int main(int argc, char **argv)
{
	int cgroup = -1, net = -1, mnt = -1, opt;
	char procs[PATH_MAX];
	long uid = -1;

	while ((opt = getopt(argc, argv, "+c:n:m:u:")) != -1) {
		switch (opt) {
		case 'c':
			snprintf(procs, sizeof(procs), "%s/cgroup.procs", optarg);
			cgroup = open_or_die(procs, O_WRONLY);
			break;
		case 'n':
			net = open_or_die(optarg, O_RDONLY);
			break;
		case 'm':
			mnt = open_or_die(optarg, O_RDONLY);
			break;
		case 'u':
			uid = strtol(optarg, NULL, 10);
			break;
		default:
			return 125;
		}
	}
	if (optind >= argc)
		errx(125, "no program");
	if (cgroup >= 0 && write(cgroup, "0", 1) != 1)
		err(125, "cgroup");
	if (net >= 0 && setns(net, CLONE_NEWNET) < 0)
		err(125, "network namespace");
	if (mnt >= 0 && setns(mnt, CLONE_NEWNS) < 0)
		err(125, "mount namespace");
	if (uid >= 0)
		become((unsigned)uid);
	execvp(argv[optind], argv + optind);
	err(127, "%s", argv[optind]);
}
