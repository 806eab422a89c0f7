/* SPDX-License-Identifier: GPL-2.0-or-later
 * route.h - which servers a name is asked of: the route whose domain is the longest suffix of
 * it, else the usual ones. A route's names are asked of its servers only. Pure. */
#ifndef RESOLVER_ROUTE_H
#define RESOLVER_ROUTE_H

#include "resolver/resolver.h"

enum { ROUTES_MAX = 128, ROUTE_ZONES_MAX = 16 };

struct route {
	char domain[HOST_MAX];
	struct upstream servers[UPSTREAMS_MAX];
	size_t n;
	bool configured; /* by the configuration, not by a link */
};

/* Where names of that domain go, or of that network's reverse zones ("10.0.0.0/8", which
 * may be several). How many zones, or -EINVAL; -ERANGE: more than ROUTE_ZONES_MAX */
int route_zones(const char *text, char out[static ROUTE_ZONES_MAX][HOST_MAX]);
/* the longest that covers name, or NULL; configured before others of the same domain */
const struct route *route_find(const struct route *list, size_t n, const char *name);
bool route_equal(const struct route *a, const struct route *b); /* domain and servers */
/* an answer's address on this machine's network is no attack: the route was configured, or
 * none of its servers is on the internet */
bool route_is_near(const struct route *r);

#endif
