/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "db/intern.h"
#include "base/macros.h"
#include "base/table.h"
#include "db/open.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { KNOWN_MAX = 32768 };

struct known {
	struct table_node node;
	int64_t id, day;
	uint32_t uid;
	uint8_t table;
	char text[];
};

struct intern {
	struct table known;
	sqlite3_stmt *find[INTERN_TABLES], *add[INTERN_TABLES], *use[INTERN_TABLES];
	sqlite3 *sql;
};

struct key {
	enum intern_table table;
	uint32_t uid;
	const char *text;
};

static const struct {
	const char *find, *add, *use;
} texts[INTERN_TABLES] = {
	[INTERN_PROGRAM] = { "SELECT id FROM program WHERE path = ?1 AND uid = ?2",
		"INSERT INTO program (path, uid, last_day) VALUES (?1, ?2, ?3)",
		"UPDATE program SET last_day = max(last_day, ?1) WHERE id = ?2" },
	[INTERN_HOST] = { "SELECT id FROM host WHERE host = ?1 AND ?2 = 0",
		"INSERT INTO host (host, last_day) VALUES (?1, ?3 + 0 * ?2)",
		"UPDATE host SET last_day = max(last_day, ?1) WHERE id = ?2" },
	[INTERN_DOMAIN] = { "SELECT id FROM domain WHERE host = ?1 AND ?2 = 0",
		"INSERT INTO domain (host, last_day) VALUES (?1, ?3 + 0 * ?2)",
		"UPDATE domain SET last_day = max(last_day, ?1) WHERE id = ?2" },
	[INTERN_WORD] = { "SELECT id FROM word WHERE text = ?1 AND ?2 = 0",
		"INSERT INTO word (text) SELECT ?1 WHERE ?2 = 0 AND ?3 = ?3", NULL },
};

static int prepare(struct intern *in, const char *text, sqlite3_stmt **out)
{
	return db_errno(sqlite3_prepare_v3(in->sql, text, -1, SQLITE_PREPARE_PERSISTENT, out,
		NULL));
}

int intern_open(sqlite3 *sql, struct intern **out)
{
	struct intern *in = calloc(1, sizeof(*in));
	int r = in ? table_init(&in->known, KNOWN_MAX) : -ENOMEM;

	if (in)
		in->sql = sql;
	for (int i = 0; r == 0 && i < INTERN_TABLES; i++) {
		r = prepare(in, texts[i].find, &in->find[i]);
		if (r == 0)
			r = prepare(in, texts[i].add, &in->add[i]);
		if (r == 0 && texts[i].use)
			r = prepare(in, texts[i].use, &in->use[i]);
	}
	if (r < 0)
		intern_close(in);
	else
		*out = in;
	return r;
}

static void drop(struct intern *in, struct table_node *n)
{
	table_remove(&in->known, n);
	free(container_of(n, struct known, node));
}

void intern_forget(struct intern *in)
{
	struct table_node *n;

	while ((n = table_oldest(&in->known)))
		drop(in, n);
}

void intern_close(struct intern *in)
{
	if (!in)
		return;
	if (in->known.buckets)
		intern_forget(in);
	table_done(&in->known);
	for (int i = 0; i < INTERN_TABLES; i++) {
		sqlite3_finalize(in->find[i]);
		sqlite3_finalize(in->add[i]);
		sqlite3_finalize(in->use[i]);
	}
	free(in);
}

static bool is_it(const struct table_node *n, const void *key)
{
	const struct known *k = container_of(n, const struct known, node);
	const struct key *want = key;

	return k->table == want->table && k->uid == want->uid &&
		strcmp(k->text, want->text) == 0;
}

/* from the file, or new in it; a new one has its day already */
static int ask_file(struct intern *in, const struct key *k, int64_t *day, int64_t *out)
{
	sqlite3_stmt *find = in->find[k->table], *add = in->add[k->table];
	int64_t id = 0;
	int r;

	sqlite3_bind_text(find, 1, k->text, -1, SQLITE_STATIC);
	sqlite3_bind_int64(find, 2, k->uid);
	r = sqlite3_step(find);
	if (r == SQLITE_ROW)
		id = sqlite3_column_int64(find, 0);
	sqlite3_reset(find);
	*out = id;
	if (r == SQLITE_ROW) {
		*day = 0;
		return 0;
	}
	if (r != SQLITE_DONE)
		return db_errno(r);
	sqlite3_bind_text(add, 1, k->text, -1, SQLITE_STATIC);
	sqlite3_bind_int64(add, 2, k->uid);
	sqlite3_bind_int64(add, 3, *day);
	r = sqlite3_step(add);
	sqlite3_reset(add);
	*out = sqlite3_last_insert_rowid(in->sql);
	return db_errno(r);
}

static struct known *remember(struct intern *in, const struct key *k, uint64_t hash)
{
	size_t len = strlen(k->text) + 1;
	struct known *new = calloc(1, sizeof(*new) + len);

	if (!new)
		return NULL;
	if (in->known.count == KNOWN_MAX)
		drop(in, table_oldest(&in->known));
	new->table = (uint8_t)k->table;
	new->uid = k->uid;
	memcpy(new->text, k->text, len);
	table_add(&in->known, &new->node, hash);
	return new;
}

static int use(struct intern *in, enum intern_table t, struct known *k, int64_t day)
{
	int r;

	if (k->day >= day || !in->use[t])
		return 0;
	sqlite3_bind_int64(in->use[t], 1, day);
	sqlite3_bind_int64(in->use[t], 2, k->id);
	r = sqlite3_step(in->use[t]);
	sqlite3_reset(in->use[t]);
	k->day = day;
	return db_errno(r);
}

int intern_id(struct intern *in, enum intern_table t, const char *text, uint32_t uid,
	int64_t day, int64_t *out)
{
	const struct key key = { t, uid, text };
	uint64_t hash = table_hash(&in->known, text, strlen(text));
	struct table_node *n = table_find(&in->known, hash, is_it, &key);
	struct known *k;
	int64_t id, had = day;
	int r;

	if (n) {
		k = container_of(n, struct known, node);
		table_use(&in->known, n);
		*out = k->id;
		return use(in, t, k, day);
	}
	r = ask_file(in, &key, &had, &id);
	if (r < 0)
		return r;
	*out = id;
	k = remember(in, &key, hash);
	if (!k)
		return -ENOMEM;
	k->id = id;
	k->day = had;
	return use(in, t, k, day);
}
