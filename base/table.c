/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int table_init(struct table *t, size_t max)
{
	size_t n = 16;
	struct table_node **b;
	uint64_t seed;

	while (n < max)
		n *= 2;
	b = calloc(n, sizeof(struct table_node *));
	if (!b)
		return -ENOMEM;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)(uintptr_t)b;
	*t = (struct table){ .buckets = b, .mask = n - 1, .max = max, .seed = seed };
	return 0;
}

void table_done(struct table *t)
{
	free(t->buckets);
	memset(t, 0, sizeof(*t));
}

static uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline __attribute__((always_inline)) void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein), keyed by the seed: names come from outside */
uint64_t table_hash(const struct table *t, const void *bytes, size_t len)
{
	uint64_t k1 = rotl(t->seed, 29) ^ 0x9e3779b97f4a7c15;
	uint64_t v[4] = { t->seed ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
		t->seed ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573 };
	const uint8_t *p = bytes;
	uint64_t m, tail = (uint64_t)len << 56;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&m, p, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = 0; i < len; i++)
		tail |= (uint64_t)p[i] << (8 * i);
	v[3] ^= tail;
	sip_round(v);
	v[0] ^= tail;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct table_node *table_find(const struct table *t, uint64_t hash, table_equal equal,
	const void *key)
{
	struct table_node *n = t->buckets[hash & t->mask];

	while (n && !(n->hash == hash && equal(n, key)))
		n = n->next;
	return n;
}

static void order_add(struct table *t, struct table_node *n)
{
	n->newer = NULL;
	n->older = t->newest;
	if (t->newest)
		t->newest->newer = n;
	else
		t->oldest = n;
	t->newest = n;
}

static void order_remove(struct table *t, struct table_node *n)
{
	if (n->newer)
		n->newer->older = n->older;
	else
		t->newest = n->older;
	if (n->older)
		n->older->newer = n->newer;
	else
		t->oldest = n->newer;
}

int table_add(struct table *t, struct table_node *n, uint64_t hash)
{
	struct table_node **b = &t->buckets[hash & t->mask];

	if (t->count >= t->max)
		return -ENOSPC;
	n->hash = hash;
	n->next = *b;
	*b = n;
	order_add(t, n);
	t->count++;
	return 0;
}

void table_remove(struct table *t, struct table_node *n)
{
	struct table_node **b = &t->buckets[n->hash & t->mask];

	while (*b && *b != n)
		b = &(*b)->next;
	assert(*b);
	*b = n->next;
	order_remove(t, n);
	t->count--;
}

void table_use(struct table *t, struct table_node *n)
{
	if (t->newest == n)
		return;
	order_remove(t, n);
	order_add(t, n);
}

struct table_node *table_oldest(const struct table *t)
{
	return t->oldest;
}
