/* SPDX-License-Identifier: GPL-2.0-or-later
 * table.h - a bounded hash table of the caller's records, in order of last use.
 * Intrusive: a record embeds struct table_node; the table never allocates records and
 * never frees them. Full means full: table_add says -ENOSPC, and the caller takes out
 * table_oldest() first if that is its rule. Keys are hashed with a random seed. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_node {
	struct table_node *next;           /* in its bucket */
	struct table_node *newer, *older;  /* order of use */
	uint64_t hash;
};

struct table {
	struct table_node **buckets;
	struct table_node *newest, *oldest;
	size_t mask, count, max;
	uint64_t seed;
};

typedef bool (*table_equal)(const struct table_node *n, const void *key);

int table_init(struct table *t, size_t max); /* -ENOMEM */
void table_done(struct table *t);            /* the records are the caller's to free first */
/* hash of a key's bytes under this table's seed */
uint64_t table_hash(const struct table *t, const void *bytes, size_t len);
struct table_node *table_find(const struct table *t, uint64_t hash, table_equal equal,
	const void *key);
int table_add(struct table *t, struct table_node *n, uint64_t hash); /* -ENOSPC */
void table_remove(struct table *t, struct table_node *n);
void table_use(struct table *t, struct table_node *n); /* becomes the newest */
struct table_node *table_oldest(const struct table *t); /* or NULL */

#endif
