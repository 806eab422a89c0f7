/* SPDX-License-Identifier: GPL-2.0-or-later
 * web.h - the unprivileged process: the HTTP API on the control socket, answered from what
 * the core tells over the link. Runs in a child that the supervisor forks. */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sessions;

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
	const char *history;     /* the file to read what was from, or NULL */
	/* who may ask, root apart: admins may change what they please, readers see what their
	 * own programs did */
	const uint32_t *admins, *readers;
	unsigned nadmins, nreaders;
	bool all_read; /* every user is a reader */
	gid_t group;   /* whose members are admins; (gid_t)-1: nobody's */
	/* who is signed in: memory that the next such process gets too, so that nobody has to
	 * sign in again because this one died; NULL: forgotten with it */
	struct sessions *sessions;
};

/* Closes every other descriptor but stderr, gives up every right, serves until SIGTERM, the
 * death of its parent or the end of the link. Returns an exit status. */
int web_main(const struct web_conf *conf);

#endif
