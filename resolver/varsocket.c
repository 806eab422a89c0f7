/* SPDX-License-Identifier: GPL-2.0-or-later
 * The socket's place in the filesystem: never taken from who serves there. */
#include "resolver/varlink.h"

#include "base/io.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static void name_server(int fd, char *out, size_t max)
{
	char path[64], comm[32] = "";
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	ssize_t n = 0;

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	snprintf(path, sizeof(path), "/proc/%d/comm", peer.pid);
	auto_close int comm_fd = open(path, O_RDONLY | O_CLOEXEC);

	if (comm_fd >= 0)
		n = read(comm_fd, comm, sizeof(comm) - 1);
	if (n > 0 && comm[n - 1] == '\n')
		comm[n - 1] = '\0';
	snprintf(out, max, "%s (pid %d)", comm[0] ? comm : "another process", peer.pid);
}

/* 0: nobody serves there, and what was left is gone */
static int make_room(const struct sockaddr_un *at, char *why, size_t why_max)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char who[96];
	struct stat st;

	if (fd < 0)
		return -errno;
	if (lstat(at->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(why, why_max, "varlink=%s in [resolver]: there is something that is no "
				       "socket: give another path",
			at->sun_path);
		return -EEXIST;
	}
	if (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN) {
		name_server(fd, who, sizeof(who));
		snprintf(why, why_max,
			"varlink=%s in [resolver] is served by %s: stop it, or give another path "
			"(systemd-resolved: systemctl disable --now systemd-resolved)",
			at->sun_path, who);
		return -EADDRINUSE;
	}
	if (errno != ECONNREFUSED)
		return -errno;
	return unlink(at->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	text_copy(folder, sizeof(folder), path);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	return io_mkdirs(folder, 0755);
}

int varlink_socket(const char *path, char *why, size_t why_max, int *out)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int on = 1, fd = -1, r = text_copy(at.sun_path, sizeof(at.sun_path), path) ? 0 : -ENAMETOOLONG;

	why[0] = '\0';
	if (r == 0)
		r = make_folder(path);
	if (r == 0)
		r = make_room(&at, why, why_max);
	if (r == 0) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		/* for what is sent before it is accepted */
		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
			bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
			chmod(path, 0666) < 0 || listen(fd, BACKLOG) < 0)
			r = -errno;
	}
	if (r == 0) {
		*out = fd;
		return 0;
	}
	if (!why[0])
		snprintf(why, why_max, "cannot open varlink=%s of [resolver]: %s", path,
			strerror(-r));
	if (fd >= 0)
		close(fd);
	return r;
}
