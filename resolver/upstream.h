/* SPDX-License-Identifier: GPL-2.0-or-later
 * upstream.h - the servers we ask: which one, for how long, and what if it does not
 * answer. Raw messages in and out; what comes back answers what was sent (id, question).
 * A dead server is left alone for a while; SERVFAIL, REFUSED and NOTIMP are taken from the
 * last server only. Bounded by the callers: one exchange per query under way. */
#ifndef RESOLVER_UPSTREAM_H
#define RESOLVER_UPSTREAM_H

#include "resolver/resolver.h"

struct upstreams;
struct exchange;

enum { EXCHANGE_QUERY_MAX = 512 };

/* 0 and the reply, borrowed; or what the last try failed with */
typedef void (*exchange_done)(void *ctx, int r, const uint8_t *msg, size_t len);

int upstreams_open(struct uv_loop_s *loop, const struct resolver_conf *conf,
	struct upstreams **out);
void upstreams_close(struct upstreams *u); /* done of what is under way is not called */
void upstreams_set(struct upstreams *u, const struct upstream *list, size_t n);
/* A question of class IN: its query is written here, with an id of chance, and asked. */
struct upstream_question {
	const char *name;
	uint16_t type, flags; /* WIRE_CD, WIRE_AD */
	bool dnssec_ok;
};
/* Never calls done before it returns. -ENETUNREACH: no servers; -ECONNREFUSED etc.: none took
 * it; -EIO: no id to be had. */
int upstreams_query(struct upstreams *u, const struct upstream_question *q,
	exchange_done done, void *ctx, struct exchange **out);
size_t upstreams_state(const struct upstreams *u, struct upstream_state *out, size_t max);

#endif
