/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "db/sums.h"
#include "db/open.h"
#include "db/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 65536, FULL = SLOTS / 2 };

struct slot {
	struct sum_key key;
	struct sum sum;
	bool used;
};

struct sums {
	sqlite3_stmt *put;
	struct slot *slots; /* open addressing */
	uint32_t *order, used;
};

static const char put_text[] =
	"INSERT INTO sum (level, what, at_s, program, domain, country, verdict, rx, tx,"
	" connections, denied) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
	" ON CONFLICT (level, what, at_s, program, domain, country, verdict) DO UPDATE SET"
	" rx = rx + excluded.rx, tx = tx + excluded.tx,"
	" connections = connections + excluded.connections,"
	" denied = denied + excluded.denied";

int sums_open(sqlite3 *sql, struct sums **out)
{
	struct sums *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->slots = calloc(SLOTS, sizeof(*s->slots));
	s->order = calloc(SLOTS, sizeof(*s->order));
	r = s->slots && s->order ? 0 : -ENOMEM;
	if (r == 0)
		r = db_errno(sqlite3_prepare_v3(sql, put_text, -1, SQLITE_PREPARE_PERSISTENT,
			&s->put, NULL));
	if (r < 0)
		sums_close(s);
	else
		*out = s;
	return r;
}

void sums_close(struct sums *s)
{
	if (!s)
		return;
	sqlite3_finalize(s->put);
	free(s->slots);
	free(s->order);
	free(s);
}

void sums_forget(struct sums *s)
{
	for (uint32_t i = 0; i < s->used; i++)
		s->slots[s->order[i]].used = false;
	s->used = 0;
}

/* numbers of our own giving: nobody outside can choose them to collide */
static uint32_t hash(const struct sum_key *k)
{
	uint64_t h = (uint64_t)k->at_s * 0x9e3779b97f4a7c15;

	h = (h ^ h >> 29 ^ (uint64_t)k->program) * 0xbf58476d1ce4e5b9;
	h = (h ^ h >> 31 ^ (uint64_t)k->domain) * 0x94d049bb133111eb;
	h = (h ^ h >> 30 ^ (uint64_t)(k->country << 16 | k->verdict << 8 | k->level << 4 |
		k->what)) * 0x9e3779b97f4a7c15;
	return (uint32_t)(h >> 40) % SLOTS;
}

static bool same(const struct sum_key *a, const struct sum_key *b)
{
	return a->at_s == b->at_s && a->program == b->program && a->domain == b->domain &&
		a->country == b->country && a->verdict == b->verdict &&
		a->level == b->level && a->what == b->what;
}

static void add_one(struct sums *s, const struct sum_key *key, const struct sum *add)
{
	uint32_t at = hash(key);
	struct slot *slot;

	while (s->slots[at].used && !same(&s->slots[at].key, key))
		at = (at + 1) % SLOTS;
	slot = &s->slots[at];
	if (!slot->used) {
		*slot = (struct slot){ .key = *key, .used = true };
		s->order[s->used++] = at;
	}
	slot->sum.rx += add->rx;
	slot->sum.tx += add->tx;
	slot->sum.connections += add->connections;
	slot->sum.denied += add->denied;
}

int sums_add(struct sums *s, const struct sum_key *key, const struct sum *add)
{
	if (s->used + LEVELS * SUMS > FULL) {
		int r = sums_flush(s);

		if (r < 0)
			return r;
	}
	for (int level = 0; level < LEVELS; level++) {
		for (int what = 0; what < SUMS; what++) {
			struct sum_key k = { .verdict = key->verdict, .level = (uint8_t)level,
				.what = (uint8_t)what };

			k.at_s = key->at_s - key->at_s % store_level_s[level];
			if (what == SUM_PROGRAM || what == SUM_EACH || what == SUM_PAIR)
				k.program = key->program;
			if (what == SUM_COUNTRY || what == SUM_EACH || what == SUM_PAIR)
				k.country = key->country;
			if (what == SUM_EACH)
				k.domain = key->domain;
			add_one(s, &k, add);
		}
	}
	return 0;
}

static int put(struct sums *s, const struct slot *slot)
{
	const struct sum_key *k = &slot->key;
	int r;

	sqlite3_bind_int(s->put, 1, k->level);
	sqlite3_bind_int(s->put, 2, k->what);
	sqlite3_bind_int64(s->put, 3, k->at_s);
	sqlite3_bind_int64(s->put, 4, k->program);
	sqlite3_bind_int64(s->put, 5, k->domain);
	sqlite3_bind_int(s->put, 6, k->country);
	sqlite3_bind_int(s->put, 7, k->verdict);
	sqlite3_bind_int64(s->put, 8, (int64_t)slot->sum.rx);
	sqlite3_bind_int64(s->put, 9, (int64_t)slot->sum.tx);
	sqlite3_bind_int64(s->put, 10, (int64_t)slot->sum.connections);
	sqlite3_bind_int64(s->put, 11, (int64_t)slot->sum.denied);
	r = sqlite3_step(s->put);
	sqlite3_reset(s->put);
	return db_errno(r);
}

int sums_flush(struct sums *s)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < s->used; i++)
		r = put(s, &s->slots[s->order[i]]);
	sums_forget(s);
	return r;
}
