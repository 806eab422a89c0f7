/* SPDX-License-Identifier: GPL-2.0-or-later
 * cache.h - answers kept as long as their TTL says. Pure: the time is an argument.
 * Bounded in bytes; what was not used for longest leaves first. NOERROR and NXDOMAIN are
 * kept, at most CACHE_TTL_MAX_S; without records for CACHE_NEGATIVE_MAX_S at most
 * (RFC 2308). What has TTL 0 or is truncated is not. */
#ifndef RESOLVER_CACHE_H
#define RESOLVER_CACHE_H

#include "resolver/resolver.h"

#include "base/table.h"

/* what was asked, and which group of servers; borrows the name */
struct cache_key {
	const char *name;
	uint16_t type, klass;
	uint16_t route; /* 0: the default group */
	bool dnssec_ok, checking_disabled;
};

struct cache {
	struct table table;
	size_t bytes, max;
};

/* the key's bytes in one piece, hashed under t's seed; also for the queries under way */
uint64_t cache_key_hash(const struct table *t, const struct cache_key *k);
bool cache_key_equal(const struct cache_key *a, const struct cache_key *b);

int cache_init(struct cache *c, size_t max_bytes); /* -ENOMEM */
void cache_done(struct cache *c);
/* borrowed until the next put; its age_s and cached are set. NULL: not there, or too old */
struct answer *cache_get(struct cache *c, const struct cache_key *k, int64_t now_ms);
/* takes a reference of its own, if it is kept at all */
void cache_put(struct cache *c, const struct cache_key *k, const struct answer *a,
	int64_t now_ms);

#endif
