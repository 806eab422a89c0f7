/* SPDX-License-Identifier: GPL-2.0-or-later
 * door.h - what a browser's connection and request must be like before a route is looked
 * at, and signing in.
 *
 * A connection on loopback is whose the kernel says (exact NETLINK_SOCK_DIAG request): root,
 * a listed user, or one whom root made a token for; else it is closed unread. A request must
 * name us in Host, come from our own page, bear the cookie of a session of that very uid,
 * and, to change something, Origin, JSON and a header that no foreign page can send. */
#ifndef WEB_DOOR_H
#define WEB_DOOR_H

#include "web/http.h"
#include "web/session.h"

#include <stddef.h>

struct api;
struct object_web;
struct diag;

enum { DOOR_LISTENS_MAX = 4 };

struct door {
	struct diag *diag; /* owned by the process */
	struct sessions *sessions; /* borrowed */
	const uint32_t *admins, *readers; /* root apart */
	unsigned nadmins, nreaders;
	bool all_read;   /* every user is a reader */
	gid_t group;     /* whose members are admins; (gid_t)-1: none */
	char origin[64]; /* of links to the dashboard; "" without one */
	char listens[DOOR_LISTENS_MAX][64]; /* 127.0.0.1:7531, [::1]:7531 */
	unsigned nlistens;
};

/* for http_conf.identify; ctx is a struct api. Who is at the other end of a connection to
 * the control socket, and of one by IP; not allowed if that cannot be told */
void door_identify_unix(void *ctx, int fd, struct peer *out);
void door_identify(void *ctx, int fd, struct peer *out);
/* notes where a listening socket is */
void door_listens(struct door *d, int fd);
/* address, listens, sessions; lists: for out->listens, points into the door */
void door_state(const struct door *d, struct object_web *out,
	const char *lists[static DOOR_LISTENS_MAX]);
/* GET or HEAD */
bool door_reads(const struct request *rq);
/* false: it has answered */
bool door_headers(struct request *rq);
bool door_session(struct door *d, struct request *rq);

void api_token_add(struct api *a, struct request *rq);
void api_login(struct api *a, struct request *rq);
void api_logout(struct api *a, struct request *rq);
void api_me(struct api *a, struct request *rq);

#endif
