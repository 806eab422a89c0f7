/* SPDX-License-Identifier: GPL-2.0-or-later
 * web.h - the unprivileged process: the HTTP API on the control socket, answered from what
 * the core tells over the link. Runs in a child that the supervisor forks. */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include <stdint.h>
#include <sys/types.h>

enum { WEB_TCP_MAX = 4 };

struct web_conf {
	int link_fd;   /* SOCK_SEQPACKET; the other end outlives a core */
	int listen_fd; /* UNIX stream socket, bound: control.sock */
	uid_t uid;     /* who to become; (uid_t)-1: stay who we are */
	gid_t gid;
	int tcp[WEB_TCP_MAX]; /* loopback, bound; -1: none */
	unsigned ntcp;
	const char *origin;      /* of links to the dashboard, or NULL */
	const char *pages;       /* the folder of its files, or NULL */
	const uint32_t *users;   /* who may sign in by TCP, root apart */
	unsigned nusers;
	const char *history;     /* the file to read what was from, or NULL */
	gid_t group;   /* whose members may use the socket; (gid_t)-1: root alone */
};

/* Closes every other descriptor but stderr, gives up every right, serves until SIGTERM, the
 * death of its parent or the end of the link. Returns an exit status. */
int web_main(const struct web_conf *conf);

#endif
