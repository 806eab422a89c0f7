/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Opening, closing and asking; what the cache does not know is pending.c's.
 *
 * When the servers change, what the old ones said is no answer any more: the cache is
 * emptied, and what is under way is given to who waits for it but not kept. */
#include "resolver/resolver.h"
#include "resolver/flush.h"
#include "resolver/pending.h"
#include "resolver/persist.h"
#include "resolver/upstream.h"
#include "resolver/validator.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

int resolver_ask(struct resolver *r, const struct wire_query *q, resolver_done done,
	void *ctx, struct asking **asking)
{
	struct cache_key key = { .name = q->name, .type = q->type, .klass = q->klass,
		.dnssec_ok = q->dnssec_ok, .checking_disabled = q->flags & WIRE_CD };
	int64_t now_ms = clock_boot_ms();
	const struct answer *answer;
	struct way way;
	int e;

	if (r->closing)
		return -ECANCELED;
	ways_find(r->ways, q->name, &way);
	key.route = way.number;
	answer = cache_get(&r->cache, &key, now_ms);
	if (answer) {
		r->stats.hits++;
		if (answer->ripe)
			pending_prefetch(r, &key);
		pending_answer(answer, done, ctx);
		return 0;
	}
	r->stats.misses++;
	e = cache_failure(&r->cache, &key, now_ms);
	if (e < 0) {
		r->stats.failures++;
		return e;
	}
	return pending_ask(r, &key, done, ctx, asking);
}

int resolver_local(struct resolver *r, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room)
{
	return ways_local(r->ways, q, query, out, room);
}

bool resolver_hosts_name(struct resolver *r, const char *name)
{
	return ways_in_hosts(r->ways, name);
}

bool resolver_own_name(struct resolver *r, const char *name)
{
	return ways_own_name(r->ways, name);
}

bool resolver_local_name(struct resolver *r, const char *name)
{
	return ways_local_name(r->ways, name);
}

const char *resolver_alias(const struct resolver *r, const char *name)
{
	struct way way;

	ways_find(r->ways, name, &way);
	return way.alias;
}

enum resolver_guard resolver_guard(struct resolver *r, const char *name)
{
	return ways_guard(r->ways, name);
}

void resolver_search_also(struct resolver *r, const char (*domains)[HOST_MAX], size_t n)
{
	ways_search_also(r->ways, domains, n);
}

const char *resolver_search(const struct resolver *r, unsigned i)
{
	return ways_search(r->ways, i);
}

int resolver_links_set(struct resolver *r, const struct route *list, size_t n)
{
	return ways_links(r->ways, list, n, pending_gone, r);
}

static int open_validator(struct resolver *r, struct uv_loop_s *loop,
	const struct resolver_conf *conf)
{
	const struct validator_conf v = { .upstreams = conf->recursive ? NULL : r->upstreams,
		.validate = conf->dnssec == DNSSEC_VALIDATE, .anchor = conf->anchor,
		.hints = conf->root_hints, .mark = conf->mark };

	if (!conf->recursive && !v.validate)
		return 0;
	return validator_open(loop, &v, &r->validator);
}

static uint64_t hash_on(uint64_t seed, const void *bytes, size_t len)
{
	const struct table t = { .seed = seed };

	return table_hash(&t, bytes, len);
}

/* what was said by one list of servers, and believed in one way, is not what another says */
static uint64_t owner_of(const struct resolver *r, const struct upstream *u, size_t n)
{
	uint64_t h = r->salt;

	for (size_t i = 0; i < n; i++) {
		const uint8_t how[] = { u[i].kind, (uint8_t)(u[i].port >> 8),
			(uint8_t)u[i].port, u[i].addr.family };

		h = hash_on(h, how, sizeof(how));
		h = hash_on(h, u[i].addr.b, sizeof(u[i].addr.b));
		h = hash_on(h, u[i].name, strnlen(u[i].name, sizeof(u[i].name)));
		h = hash_on(h, u[i].path, strnlen(u[i].path, sizeof(u[i].path)));
	}
	return h;
}

static uint64_t salt_of(const struct resolver_conf *conf)
{
	const uint8_t how[] = { (uint8_t)conf->dnssec, conf->recursive };
	const char *whose = conf->cache_owner ? conf->cache_owner : "";
	const char *names = conf->names ? conf->names : "";
	uint64_t h = hash_on(1, how, sizeof(how));

	h = hash_on(h, whose, strlen(whose));
	return hash_on(h, names, strlen(names));
}

/* without a server there is nobody the file could be of */
static uint64_t file_owner(const struct resolver *r, size_t n)
{
	return n || r->recursive ? r->owner : 0;
}

static int open_persist(struct resolver *r, struct uv_loop_s *loop,
	const struct resolver_conf *conf)
{
	const struct persist_conf p = { .path = conf->cache_file, .ttl = r->ttl,
		.owner = file_owner(r, conf->nupstreams), .said = conf->said,
		.ctx = conf->ctx };

	return conf->cache_file ? persist_open(loop, &r->cache, &p, &r->persist) : 0;
}

int resolver_open(struct uv_loop_s *loop, const struct resolver_conf *conf,
	struct resolver **out)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->ttl = conf->ttl.max ? conf->ttl : (struct ttl_limits){ .max = CACHE_TTL_MAX_S,
		.negative_max = CACHE_NEGATIVE_MAX_S };
	r->prefetch = conf->prefetch;
	r->recursive = conf->recursive;
	r->salt = salt_of(conf);
	r->owner = owner_of(r, conf->upstreams, conf->nupstreams);
	e = cache_init(&r->cache, conf->cache_bytes, conf->stale_s);
	if (e == 0)
		e = pending_open(r, loop);
	if (e == 0)
		e = flushes_open(loop, &r->cache, &r->flushes);
	if (e == 0)
		e = upstreams_open(loop, conf, &r->upstreams);
	if (e == 0)
		e = ways_open(loop, conf, &r->ways);
	r->trust_ad = conf->dnssec == DNSSEC_TRUST_AD;
	if (e == 0)
		e = open_validator(r, loop, conf);
	if (e == 0)
		e = open_persist(r, loop, conf);
	if (e == 0)
		*out = r;
	else
		resolver_close(r);
	return e;
}

void resolver_close(struct resolver *r)
{
	if (!r)
		return;
	r->closing = true;
	validator_close(r->validator);
	upstreams_close(r->upstreams);
	pending_close(r);
	flushes_close(r->flushes);
	persist_close(r->persist);
	cache_done(&r->cache);
	ways_close(r->ways);
	free(r);
}

void resolver_upstreams_set(struct resolver *r, const struct upstream *u, size_t n)
{
	uint64_t owner = owner_of(r, u, n);

	ways_usual(r->ways, u, n, false);
	upstreams_set(r->upstreams, u, n);
	if (owner == r->owner || r->recursive)
		return;
	r->owner = owner;
	r->generation++;
	flush_all(r->flushes);
	persist_owner(r->persist, file_owner(r, n));
}

int resolver_flush(struct resolver *r, const char *name, bool below,
	void (*done)(void *ctx), void *ctx)
{
	int e = flush_ask(r->flushes, name, below, done, ctx);

	if (e < 0)
		return e;
	r->generation++; /* nor what is on its way */
	persist_flushed(r->persist);
	return 0;
}

void resolver_stats(const struct resolver *r, struct resolver_stats *out)
{
	*out = r->stats;
	out->entries = r->cache.table.count;
	out->bytes = r->cache.bytes;
	out->bytes_max = r->cache.max;
}

size_t resolver_upstreams(const struct resolver *r, struct upstream_state *out, size_t max)
{
	size_t n = upstreams_state(r->upstreams, out, max);

	return n + ways_state(r->ways, out + n, max - n);
}
