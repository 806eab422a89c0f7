/* SPDX-License-Identifier: GPL-2.0-or-later
 * What a command under `scupper run` gets from its starter. A socket that was made outside of
 * the scope bears no mark and would be a way past the gate. */
#include "cli/runparts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A UNIX socket leads to a process of this machine, as a pipe does; every other family may
 * lead further. */
static bool leads_out(int fd)
{
	int family = AF_UNSPEC;
	socklen_t len = sizeof(family);
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0 || family != AF_UNIX;
}

/* what is closed would be taken by the next file that is opened */
static int fill(int fd)
{
	struct stat st;
	int null;

	if (fstat(fd, &st) == 0 || errno != EBADF)
		return 0;
	null = open("/dev/null", O_RDWR);
	if (null >= 0 && (null == fd || dup2(null, fd) == fd))
		return 0;
	return -errno;
}

int run_inherited(const struct run *r)
{
	static const char *const names[] = { "input", "output", "error" };

	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		int e = fill(fd);

		if (e < 0) {
			fprintf(stderr, "scupper: run: cannot open /dev/null: %s\n",
				strerror(-e));
			return EXIT_CANNOT;
		}
		if (!r->keep_sockets && leads_out(fd)) {
			fprintf(stderr, "scupper: run: standard %s is a network socket, a way "
					"past the gate (--keep-sockets allows it)\n",
				names[fd]);
			return EXIT_CANNOT;
		}
	}
	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0) {
		fprintf(stderr, "scupper: run: cannot close what was inherited: %s\n",
			strerror(errno));
		return EXIT_CANNOT;
	}
	return 0;
}
