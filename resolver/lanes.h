/* SPDX-License-Identifier: GPL-2.0-or-later
 * lanes.h - the servers of routes: one group of upstreams per list of servers, shared by the
 * routes that have the same. The usual servers are not here. Owns all of it. */
#ifndef RESOLVER_LANES_H
#define RESOLVER_LANES_H

#include "resolver/route.h"
#include "resolver/upstream.h"

struct lanes;

/* a route's servers; number: of this route with these servers, never given again (until
 * 32767 others were), so that answers kept by it are of these servers alone */
struct lane {
	struct upstreams *upstreams;
	uint16_t number;
};

int lanes_open(struct uv_loop_s *loop, const struct resolver_conf *conf, struct lanes **out);
void lanes_close(struct lanes *l); /* NULL is fine; as upstreams_close() */
/* These routes from now on; copied. gone is told of each group of servers that no route has
 * any more, just before it is closed. -ENOMEM, and what fitted */
int lanes_set(struct lanes *l, const struct route *list, size_t n,
	void (*gone)(void *ctx, struct upstreams *u), void *ctx);
/* where name goes: false, to the usual servers */
bool lanes_find(const struct lanes *l, const char *name, struct lane *out);
const struct route *lanes_routes(const struct lanes *l, size_t *n);
size_t lanes_state(const struct lanes *l, struct upstream_state *out, size_t max);

#endif
