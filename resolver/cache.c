/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/cache.h"
#include "resolver/answer.h"

#include "base/macros.h"

#include <errno.h>

enum { ENTRY_LEAST = 512 }; /* about the smallest answer's bytes: sizes the table */

struct entry {
	struct table_node node;
	struct cache_key key;
	const struct answer *answer;
	int64_t stored_ms, expires_ms;
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

int cache_init(struct cache *c, size_t max_bytes)
{
	*c = (struct cache){ .max = max_bytes };
	return table_init(&c->table, max_bytes / ENTRY_LEAST + 1);
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

struct answer *cache_get(struct cache *c, const struct cache_key *k, int64_t now_ms)
{
	struct table_node *n = table_find(&c->table, cache_key_hash(&c->table, k),
		entry_equal, k);
	struct answer *a;
	struct entry *e;

	if (!n)
		return NULL;
	e = entry_of(n);
	if (now_ms >= e->expires_ms) {
		entry_drop(c, e);
		return NULL;
	}
	table_use(&c->table, n);
	a = (struct answer *)e->answer;
	a->cached = true;
	a->age_s = (uint32_t)((now_ms - e->stored_ms) / 1000);
	return a;
}

static uint32_t lifetime_s(const struct answer *a)
{
	const struct wire_answer *r = a->read;

	if ((r->rcode != RCODE_NOERROR && r->rcode != RCODE_NXDOMAIN) ||
		(r->flags & WIRE_TC))
		return 0;
	if (r->negative)
		return MIN(r->ttl, (uint32_t)CACHE_NEGATIVE_MAX_S);
	return MIN(r->ttl, (uint32_t)CACHE_TTL_MAX_S);
}

static struct entry *entry_new(const struct cache_key *k, const struct answer *a)
{
	size_t n = strlen(k->name) + 1;
	struct entry *e = malloc(sizeof(*e) + n);

	if (!e)
		return NULL;
	memcpy(e->name, k->name, n);
	e->key = *k;
	e->key.name = e->name;
	e->answer = answer_hold(a);
	e->size = sizeof(*e) + n + answer_size(a);
	return e;
}

void cache_put(struct cache *c, const struct cache_key *k, const struct answer *a,
	int64_t now_ms)
{
	uint64_t hash = cache_key_hash(&c->table, k);
	struct table_node *old = table_find(&c->table, hash, entry_equal, k);
	uint32_t ttl = lifetime_s(a);
	struct entry *e;

	if (old)
		entry_drop(c, entry_of(old));
	if (ttl == 0)
		return;
	e = entry_new(k, a);
	if (!e)
		return;
	while (c->table.count && (c->bytes + e->size > c->max ||
		c->table.count >= c->table.max))
		entry_drop(c, entry_of(table_oldest(&c->table)));
	if (e->size > c->max) {
		answer_release(e->answer);
		free(e);
		return;
	}
	e->stored_ms = now_ms;
	e->expires_ms = now_ms + (int64_t)ttl * 1000;
	table_add(&c->table, &e->node, hash);
	c->bytes += e->size;
}
