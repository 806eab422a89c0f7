/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/cache.h"
#include "resolver/answer.h"

#include "base/macros.h"

#include <errno.h>

enum {
	ENTRY_LEAST = 512, /* about the smallest answer's bytes: sizes the table */
	FLUSH_BUCKETS = 2048,
	RIPE_PART = 10,    /* the last tenth of its TTL */
	RIPE_HITS = 2,     /* this one and another */
};

struct entry {
	struct table_node node;
	struct cache_key key;
	const struct answer *answer; /* NULL: error says how asking failed */
	int error;
	unsigned hits;
	int64_t stored_ms, expires_ms;
	int64_t retry_ms;            /* asking again failed: not before this */
	size_t size;
	char name[];
};

static struct entry *entry_of(const struct table_node *n)
{
	return container_of(n, struct entry, node);
}

uint64_t cache_key_hash(const struct table *t, const struct cache_key *k)
{
	uint8_t bytes[7 + HOST_MAX];
	size_t n = strnlen(k->name, HOST_MAX - 1);

	memcpy(bytes, &k->type, 2);
	memcpy(bytes + 2, &k->klass, 2);
	memcpy(bytes + 4, &k->route, 2);
	bytes[6] = (uint8_t)(k->dnssec_ok | k->checking_disabled << 1);
	memcpy(bytes + 7, k->name, n);
	return table_hash(t, bytes, 7 + n);
}

bool cache_key_equal(const struct cache_key *a, const struct cache_key *b)
{
	return a->type == b->type && a->klass == b->klass && a->route == b->route &&
		a->dnssec_ok == b->dnssec_ok &&
		a->checking_disabled == b->checking_disabled &&
		strcmp(a->name, b->name) == 0;
}

static bool entry_equal(const struct table_node *n, const void *key)
{
	return cache_key_equal(&entry_of(n)->key, key);
}

static struct entry *entry_find(const struct cache *c, const struct cache_key *k)
{
	struct table_node *n = table_find(&c->table, cache_key_hash(&c->table, k),
		entry_equal, k);

	return n ? entry_of(n) : NULL;
}

int cache_init(struct cache *c, size_t max_bytes, uint32_t stale_s)
{
	int r;

	*c = (struct cache){ .max = max_bytes, .stale_ms = (int64_t)stale_s * 1000 };
	r = table_init(&c->table, max_bytes / ENTRY_LEAST + 1);
	if (r == 0)
		c->bytes = (c->table.mask + 1) * sizeof(*c->table.buckets);
	return r;
}

static void entry_drop(struct cache *c, struct entry *e)
{
	table_remove(&c->table, &e->node);
	c->bytes -= e->size;
	answer_release(e->answer);
	free(e);
}

void cache_done(struct cache *c)
{
	struct table_node *n;

	while (c->table.count && (n = table_oldest(&c->table)))
		entry_drop(c, entry_of(n));
	table_done(&c->table);
}

bool cache_is_failure(const struct answer *a)
{
	return a->read->rcode != RCODE_NOERROR && a->read->rcode != RCODE_NXDOMAIN;
}

static bool is_data(const struct entry *e)
{
	return e->answer && !cache_is_failure(e->answer);
}

/* how long it may still be given out: past its end only what is worth it */
static int64_t useful_until(const struct cache *c, const struct entry *e)
{
	return e->expires_ms + (is_data(e) ? c->stale_ms : 0);
}

static struct answer *given(struct cache *c, struct entry *e, int64_t now_ms)
{
	struct answer *a = (struct answer *)e->answer;

	table_use(&c->table, &e->node);
	a->cached = true;
	a->stale = now_ms >= e->expires_ms;
	a->age_s = (uint32_t)((now_ms - e->stored_ms) / 1000);
	return a;
}

struct answer *cache_get(struct cache *c, const struct cache_key *k, int64_t now_ms)
{
	struct entry *e = entry_find(c, k);
	struct answer *a;

	if (!e || !e->answer || now_ms >= e->expires_ms)
		return NULL;
	a = given(c, e, now_ms);
	e->hits++;
	a->ripe = e->hits >= RIPE_HITS && is_data(e) && now_ms >= e->retry_ms &&
		(e->expires_ms - now_ms) * RIPE_PART <= e->expires_ms - e->stored_ms;
	return a;
}

int cache_failure(struct cache *c, const struct cache_key *k, int64_t now_ms)
{
	struct entry *e = entry_find(c, k);

	return e && !e->answer && now_ms < e->expires_ms ? e->error : 0;
}

struct answer *cache_stale(struct cache *c, const struct cache_key *k, int64_t now_ms,
	bool *wait)
{
	struct entry *e = entry_find(c, k);

	if (!e)
		return NULL;
	if (now_ms >= useful_until(c, e)) {
		entry_drop(c, e);
		return NULL;
	}
	if (!is_data(e))
		return NULL;
	*wait = now_ms < e->retry_ms;
	return given(c, e, now_ms);
}

/* a is borrowed, or NULL for a failure without a message */
static struct entry *entry_new(const struct cache_key *k, const struct answer *a)
{
	size_t n = strlen(k->name) + 1;
	struct entry *e = calloc(1, sizeof(*e) + n);

	if (!e)
		return NULL;
	memcpy(e->name, k->name, n);
	e->key = *k;
	e->key.name = e->name;
	e->answer = a ? answer_hold(a) : NULL;
	e->size = malloc_cost(sizeof(*e) + n) + (a ? answer_size(a) : 0);
	return e;
}

/* takes e; true: it is in */
static bool entry_add(struct cache *c, struct entry *e)
{
	while (c->table.count && (c->bytes + e->size > c->max ||
		c->table.count >= c->table.max))
		entry_drop(c, entry_of(table_oldest(&c->table)));
	if (c->bytes + e->size > c->max) {
		answer_release(e->answer);
		free(e);
		return false;
	}
	table_add(&c->table, &e->node, cache_key_hash(&c->table, &e->key));
	c->bytes += e->size;
	return true;
}

static void keep(struct cache *c, const struct cache_key *k, const struct answer *a,
	int error, int64_t stored_ms, int64_t life_ms)
{
	struct entry *old = entry_find(c, k), *e = NULL;

	if (life_ms > 0)
		e = entry_new(k, a);
	if (old)
		entry_drop(c, old);
	if (!e)
		return;
	e->error = error;
	e->stored_ms = stored_ms;
	e->expires_ms = stored_ms + life_ms;
	entry_add(c, e);
}

static int64_t life_ms(const struct answer *a)
{
	if (a->read->flags & WIRE_TC)
		return 0;
	if (cache_is_failure(a))
		return CACHE_FAILED_MS;
	return (int64_t)a->read->ttl * 1000;
}

/* an answer that is there and may still be needed waits for better days */
static bool put_off(struct cache *c, const struct cache_key *k, int64_t now_ms)
{
	struct entry *e = entry_find(c, k);

	if (!e || !is_data(e) || now_ms >= useful_until(c, e))
		return false;
	e->retry_ms = now_ms + CACHE_RETRY_MS;
	return true;
}

void cache_put(struct cache *c, const struct cache_key *k, const struct answer *a,
	int64_t now_ms)
{
	if (!cache_is_failure(a) || a->bogus || !put_off(c, k, now_ms))
		keep(c, k, a, 0, now_ms, life_ms(a));
}

void cache_failed(struct cache *c, const struct cache_key *k, int error, int64_t now_ms)
{
	bool late = error == -ETIMEDOUT || error == -EBADMSG;

	if (!put_off(c, k, now_ms))
		keep(c, k, NULL, error, now_ms, late ? CACHE_FAILED_MS : CACHE_UNREACHED_MS);
}

void cache_restore(struct cache *c, const struct cache_key *k, const struct answer *a,
	int64_t stored_ms, int64_t now_ms)
{
	int64_t life = life_ms(a);

	if (cache_is_failure(a) || stored_ms > now_ms || entry_find(c, k) ||
		now_ms >= stored_ms + life + c->stale_ms)
		return;
	keep(c, k, a, 0, stored_ms, life);
}

size_t cache_kept(const struct cache *c, struct cache_kept *out, size_t max)
{
	size_t n = 0;

	for (struct table_node *at = c->table.newest; at && n < max; at = at->older) {
		struct entry *e = entry_of(at);

		if (!is_data(e) || e->key.route ||
			strcmp(e->name, e->answer->read->qname) != 0)
			continue;
		out[n++] = (struct cache_kept){ answer_hold(e->answer), e->stored_ms,
			e->key.dnssec_ok, e->key.checking_disabled };
	}
	return n;
}

bool cache_flush(struct cache *c, const char *name, bool below, size_t *at)
{
	size_t end = MIN(*at + FLUSH_BUCKETS, c->table.mask + 1);

	for (; *at < end; ++*at) {
		struct table_node *n = c->table.buckets[*at], *next;

		for (; n; n = next) {
			struct entry *e = entry_of(n);

			next = n->next;
			if (below ? host_covers(name, e->name) : strcmp(name, e->name) == 0)
				entry_drop(c, e);
		}
	}
	return *at <= c->table.mask;
}
