/* SPDX-License-Identifier: GPL-2.0-or-later
 * ways.h - where each name goes: it is answered here, or asked of the usual servers or of a
 * route's, by itself or by the name that it was rewritten to. */
#ifndef RESOLVER_WAYS_H
#define RESOLVER_WAYS_H

#include "resolver/here.h"
#include "resolver/lanes.h"

struct ways;

struct way {
	struct upstreams *upstreams; /* NULL: the usual ones */
	const char *alias; /* the name to ask for instead, or NULL */
	uint32_t alias_ttl;
	uint16_t number;   /* for cache_key.route */
};

int ways_open(struct uv_loop_s *loop, const struct resolver_conf *conf, struct ways **out);
void ways_close(struct ways *w); /* NULL is fine; as upstreams_close() */
void ways_find(const struct ways *w, const char *name, struct way *out);
/* msg, what was answered for the alias, as an answer for the name of type that was asked
 * for: its length in out. -EBADMSG, -ENOSPC */
int ways_answer(const struct way *way, const char *name, uint16_t type, const uint8_t *msg,
	size_t len, uint8_t out[static WIRE_MAX]);
int ways_local(struct ways *w, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room);
bool ways_in_hosts(struct ways *w, const char *name);
bool ways_own_name(struct ways *w, const char *name);
bool ways_local_name(struct ways *w, const char *name);
enum resolver_guard ways_guard(struct ways *w, const char *name);
/* the usual servers; recursive: those of the internet */
void ways_usual(struct ways *w, const struct upstream *u, size_t n, bool recursive);
/* routes beside the configured ones; gone as in lanes_set() */
int ways_links(struct ways *w, const struct route *list, size_t n,
	void (*gone)(void *ctx, struct upstreams *u), void *ctx);
void ways_search_also(struct ways *w, const char (*domains)[HOST_MAX], size_t n);
const char *ways_search(const struct ways *w, unsigned i);
size_t ways_state(const struct ways *w, struct upstream_state *out, size_t max);

#endif
