/* SPDX-License-Identifier: GPL-2.0-or-later
 * pending.h - the inside of a resolver, which resolver.c (opening, closing, asking) and
 * pending.c (what is under way) share. */
#ifndef RESOLVER_PENDING_H
#define RESOLVER_PENDING_H

#include "resolver/answer.h"
#include "resolver/cache.h"
#include "resolver/ways.h"

#include "base/list.h"

#include <uv.h>

struct resolver {
	struct cache cache;
	struct table pending;
	struct upstreams *upstreams;
	struct validator *validator; /* NULL: nobody proves, nobody walks from the root */
	bool trust_ad, recursive;
	struct ways *ways;
	struct flushes *flushes;
	struct persist *persist;   /* NULL: nothing is kept */
	uint64_t salt, owner;      /* whose answers these are: see owner_of() */
	struct list stale;         /* pendings, by the time their askings wait no longer */
	uv_timer_t *stale_timer;
	struct ttl_limits ttl;
	bool prefetch;
	size_t askings, prefetches;
	uint64_t generation;       /* of the servers, and of what they said */
	bool closing;
	struct resolver_stats stats;
};

/* What the cache does not have, or has past its end: as resolver_ask() */
int pending_ask(struct resolver *r, const struct cache_key *key, resolver_done done, void *ctx,
	struct asking **asking);
/* asked often and near its end: anew, while the asker already has it */
void pending_prefetch(struct resolver *r, const struct cache_key *key);
/* done may ask again and so push the answer out of the cache */
void pending_answer(const struct answer *answer, resolver_done done, void *ctx);
int pending_open(struct resolver *r, struct uv_loop_s *loop); /* -ENOMEM */
void pending_close(struct resolver *r); /* every asker is told -ECANCELED */
/* ctx is the resolver: what was asked of servers that nothing goes to any more ends */
void pending_gone(void *ctx, struct upstreams *u);

#endif
