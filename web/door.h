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
struct diag;

enum { DOOR_USERS_MAX = 256 };

struct door {
	struct diag *diag; /* owned by the process */
	struct sessions sessions;
	const uint32_t *users;
	unsigned nusers;
	char origin[64]; /* of links to the dashboard; "" without one */
};

/* for http_conf.identify; ctx is a struct api. An IP connection's uid, or not allowed */
void door_identify(void *ctx, int fd, struct peer *out);
/* false: it has answered */
bool door_headers(struct request *rq);
bool door_session(struct door *d, struct request *rq);

void api_token_add(struct api *a, struct request *rq);
void api_login(struct api *a, struct request *rq);
void api_logout(struct api *a, struct request *rq);
void api_me(struct api *a, struct request *rq);

#endif
