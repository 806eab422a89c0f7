/* SPDX-License-Identifier: GPL-2.0-or-later
 * cache.h - answers kept as long as their TTL says, and for a while after it for the day
 * their servers do not answer (RFC 8767). Pure: the time is an argument. Bounded in bytes,
 * the table and what malloc adds counted in; what was not used for longest leaves first.
 * NOERROR and NXDOMAIN are kept for read->ttl (answer_new() has clamped it; negative ones by
 * their SOA, RFC 2308); failures briefly (RFC 9520), and never in place of an answer that
 * could still be given. What has TTL 0 or is truncated is not kept. */
#ifndef RESOLVER_CACHE_H
#define RESOLVER_CACHE_H

#include "resolver/resolver.h"

#include "base/table.h"

enum {
	CACHE_FAILED_MS = 5000,    /* a failure, and then it is tried again (RFC 9520 3.2) */
	CACHE_UNREACHED_MS = 1000, /* one that costs nothing to find out */
	CACHE_RETRY_MS = 30000,    /* while there is an old answer (RFC 8767 5) */
};

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
	int64_t stale_ms; /* how long past its end an answer is kept */
};

/* the key's bytes in one piece, hashed under t's seed; also for the queries under way */
uint64_t cache_key_hash(const struct table *t, const struct cache_key *k);
bool cache_key_equal(const struct cache_key *a, const struct cache_key *b);

int cache_init(struct cache *c, size_t max_bytes, uint32_t stale_s); /* -ENOMEM */
void cache_done(struct cache *c);
/* Borrowed until the next put; its age_s, cached, stale and ripe are set. NULL: not there,
 * or too old: then cache_failure() and cache_stale() may know more. */
struct answer *cache_get(struct cache *c, const struct cache_key *k, int64_t now_ms);
/* what asking for it came to a moment ago: -errno, or 0: nothing is known */
int cache_failure(struct cache *c, const struct cache_key *k, int64_t now_ms);
/* An answer past its end, or NULL. *wait: asking again failed lately, give it at once. */
struct answer *cache_stale(struct cache *c, const struct cache_key *k, int64_t now_ms,
	bool *wait);
/* Takes a reference of its own, if it is kept at all. A failure (SERVFAIL and the like, but
 * for what DNSSEC says is not true) leaves an answer that is there alone. */
void cache_put(struct cache *c, const struct cache_key *k, const struct answer *a,
	int64_t now_ms);
/* asking ended with error, -errno */
void cache_failed(struct cache *c, const struct cache_key *k, int error, int64_t now_ms);
/* is it a failure rather than an answer? */
bool cache_is_failure(const struct answer *a);

/* What an earlier process kept: stored_ms may be long ago. Not if something newer is there. */
void cache_restore(struct cache *c, const struct cache_key *k, const struct answer *a,
	int64_t stored_ms, int64_t now_ms);
/* Answers of the default group, the latest used first, at most max: returns how many. The
 * key's name is the answer's own; each answer is held for the caller. */
struct cache_kept {
	const struct answer *answer;
	int64_t stored_ms;
	bool dnssec_ok, checking_disabled;
};
size_t cache_kept(const struct cache *c, struct cache_kept *out, size_t max);
/* Takes out what is kept of name (below: and under it) in the next part of the table, which
 * begins at *at, 0 the first time. false: that was the last part. */
bool cache_flush(struct cache *c, const char *name, bool below, size_t *at);

#endif
