/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "db/store.h"
#include "base/macros.h"
#include "base/text.h"
#include "db/intern.h"
#include "db/open.h"
#include "db/sums.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int store_level_s[LEVELS] = { 60, 3600, 86400 };

/* steps[n] leads from user_version n to n + 1; never change one that was released */
static const char *const steps[] = {
	"CREATE TABLE program (id INTEGER PRIMARY KEY, path TEXT NOT NULL,"
	" uid INTEGER NOT NULL, last_day INTEGER NOT NULL, UNIQUE (path, uid)) STRICT;"
	"CREATE TABLE domain (id INTEGER PRIMARY KEY, host TEXT NOT NULL UNIQUE,"
	" last_day INTEGER NOT NULL) STRICT;"
	"CREATE TABLE host (id INTEGER PRIMARY KEY, host TEXT NOT NULL UNIQUE,"
	" last_day INTEGER NOT NULL) STRICT;"
	"CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;"
	"CREATE TABLE network (asn INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"
	"CREATE TABLE flow (id INTEGER PRIMARY KEY, end_ms INTEGER, kind INTEGER NOT NULL,"
	" state INTEGER NOT NULL, program INTEGER NOT NULL, host INTEGER, domain INTEGER,"
	" country INTEGER, addr BLOB, verdict INTEGER NOT NULL, rx INTEGER NOT NULL,"
	" tx INTEGER NOT NULL, rx_packets INTEGER NOT NULL, tx_packets INTEGER NOT NULL,"
	" pid INTEGER, how INTEGER NOT NULL, dir INTEGER NOT NULL, proto INTEGER NOT NULL,"
	" port INTEGER NOT NULL, qtype INTEGER NOT NULL, reason INTEGER NOT NULL,"
	" rule INTEGER, rule_text INTEGER, asn INTEGER, city INTEGER,"
	" flags INTEGER NOT NULL) STRICT;"
	"CREATE INDEX flow_program ON flow (program);"
	"CREATE INDEX flow_host ON flow (host) WHERE host IS NOT NULL;"
	"CREATE INDEX flow_domain ON flow (domain) WHERE domain IS NOT NULL;"
	"CREATE INDEX flow_country ON flow (country) WHERE country IS NOT NULL;"
	"CREATE INDEX flow_addr ON flow (addr) WHERE addr IS NOT NULL;"
	"CREATE INDEX flow_denied ON flow (verdict) WHERE verdict <> 1;"
	"CREATE INDEX flow_open ON flow (state) WHERE state < 2;"
	"CREATE INDEX host_last ON host (last_day);"
	"CREATE INDEX domain_last ON domain (last_day);"
	"CREATE TABLE sum (level INTEGER NOT NULL, what INTEGER NOT NULL,"
	" at_s INTEGER NOT NULL, program INTEGER NOT NULL, domain INTEGER NOT NULL,"
	" country INTEGER NOT NULL, verdict INTEGER NOT NULL, rx INTEGER NOT NULL,"
	" tx INTEGER NOT NULL, connections INTEGER NOT NULL, denied INTEGER NOT NULL,"
	" PRIMARY KEY (level, what, at_s, program, domain, country, verdict))"
	" STRICT, WITHOUT ROWID;",
	/* SUM_PAIR: a program's countries without its domains, of which there are so many */
	"INSERT INTO sum SELECT level, 4, at_s, program, 0, country, verdict, sum(rx),"
	" sum(tx), sum(connections), sum(denied) FROM sum WHERE what = 3"
	" GROUP BY level, at_s, program, country, verdict;",
};

enum statement { BEGIN, COMMIT, ROLLBACK, FIND, INSERT, UPDATE, NETWORK, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[FIND] = "SELECT rx, tx FROM flow WHERE id = ?1",
	[INSERT] = "INSERT INTO flow (id, end_ms, kind, state, program, host, domain, country,"
		" addr, verdict, rx, tx, rx_packets, tx_packets, pid, how, dir, proto, port,"
		" qtype, reason, rule, rule_text, asn, city, flags) VALUES (?1, ?2, ?3, ?4, ?5,"
		" ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,"
		" ?22, ?23, ?24, ?25, ?26)",
	[UPDATE] = "UPDATE flow SET end_ms = ?2, state = ?3, verdict = ?4, rx = ?5, tx = ?6,"
		" rx_packets = ?7, tx_packets = ?8, reason = ?9, rule = ?10, rule_text = ?11,"
		" flags = flags | ?12"
		" WHERE id = ?1",
	[NETWORK] = ("INSERT INTO network (asn, name) VALUES (?1, ?2)"
		" ON CONFLICT (asn) DO UPDATE SET name = excluded.name WHERE name <> ?2"),
};

struct store {
	sqlite3 *sql;
	sqlite3_stmt *s[STATEMENTS];
	struct intern *intern;
	struct sums *sums;
	uint32_t networks[1024]; /* written already, by hash */
	bool shrinking;
};

static int run(sqlite3_stmt *s)
{
	int r = sqlite3_step(s);

	sqlite3_reset(s);
	return r == SQLITE_ROW || r == SQLITE_DONE ? 0 : db_errno(r);
}

/* the connections of a core that is gone */
static int close_open_rows(struct store *s)
{
	char text[120];

	snprintf(text, sizeof(text), "UPDATE flow SET state = %d WHERE state < 2",
		STORE_STATE_UNKNOWN);
	return db_exec(s->sql, text);
}

static int open_file(const struct history_conf *conf, struct text *why, sqlite3 **out)
{
	int r = db_make_file(conf->path, conf->group);

	if (r == 0)
		r = db_errno(sqlite3_open_v2(conf->path, out,
			SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
	if (r < 0)
		return r;
	sqlite3_extended_result_codes(*out, 1);
	sqlite3_busy_timeout(*out, 1000);
	/* -wal and -shm stay when the last one closes: readers without rights cannot make
	 * them. NORMAL: a fall of the machine may cost the last seconds, never the file */
	sqlite3_file_control(*out, "main", SQLITE_FCNTL_PERSIST_WAL, &(int){ 1 });
	r = db_exec(*out, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
		" PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF;"
		" PRAGMA cell_size_check = ON; PRAGMA cache_size = -32768;"
		" PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 33554432;");
	return r < 0 ? r : db_migrate(*out, conf->path, steps, (int)ARRAY_LEN(steps), why);
}

int store_open(const struct history_conf *conf, struct text *why, struct store **out)
{
	struct store *s = calloc(1, sizeof(*s));
	int r = s ? open_file(conf, why, &s->sql) : -ENOMEM;

	for (int i = 0; r == 0 && i < STATEMENTS; i++)
		r = db_errno(sqlite3_prepare_v3(s->sql, texts[i], -1,
			SQLITE_PREPARE_PERSISTENT, &s->s[i], NULL));
	if (r == 0)
		r = intern_open(s->sql, &s->intern);
	if (r == 0)
		r = sums_open(s->sql, &s->sums);
	if (r == 0)
		r = close_open_rows(s);
	if (r == 0) {
		*out = s;
		return 0;
	}
	if (!why->len)
		text_addf(why, "%s: %s", conf->path,
			s && s->sql && sqlite3_errcode(s->sql) ? sqlite3_errmsg(s->sql)
							       : strerror(-r));
	store_close(s);
	return r;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	sums_close(s->sums);
	intern_close(s->intern);
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->s[i]);
	sqlite3_close(s->sql);
	free(s);
}

static void bind_or_null(sqlite3_stmt *s, int at, int64_t v)
{
	if (v)
		sqlite3_bind_int64(s, at, v);
	else
		sqlite3_bind_null(s, at);
}

static int find_texts(struct store *s, const struct event *e, int64_t id[EVENT_TEXTS])
{
	int64_t day = e->at_ms / 86400000;
	static const enum intern_table tables[EVENT_TEXTS] = {
		[EVENT_PATH] = INTERN_PROGRAM, [EVENT_HOST] = INTERN_HOST,
		[EVENT_DOMAIN] = INTERN_DOMAIN, [EVENT_RULE] = INTERN_WORD,
		[EVENT_CITY] = INTERN_WORD,
	};
	int r = 0;

	for (int i = 0; r == 0 && i < EVENT_TEXTS; i++) {
		const char *text = event_text(e, (enum event_text)i);

		id[i] = 0;
		if (i == EVENT_AS || (!*text && i != EVENT_PATH))
			continue;
		r = intern_id(s->intern, tables[i], text, i == EVENT_PATH ? e->uid : 0, day,
			&id[i]);
	}
	return r;
}

static int write_network(struct store *s, const struct event *e)
{
	uint32_t *seen = &s->networks[e->asn % ARRAY_LEN(s->networks)];
	int r;

	if (!e->asn || *seen == e->asn)
		return 0;
	sqlite3_bind_int64(s->s[NETWORK], 1, e->asn);
	sqlite3_bind_text(s->s[NETWORK], 2, event_text(e, EVENT_AS), -1, SQLITE_STATIC);
	r = run(s->s[NETWORK]);
	if (r == 0)
		*seen = e->asn;
	return r;
}

static int insert_row(struct store *s, const struct event *e, const int64_t *id)
{
	sqlite3_stmt *q = s->s[INSERT];
	int n = 1;

	sqlite3_bind_int64(q, n++, e->id);
	bind_or_null(q, n++, e->end_ms);
	sqlite3_bind_int(q, n++, e->kind);
	sqlite3_bind_int(q, n++, e->state);
	sqlite3_bind_int64(q, n++, id[EVENT_PATH]);
	bind_or_null(q, n++, id[EVENT_HOST]);
	bind_or_null(q, n++, id[EVENT_DOMAIN]);
	bind_or_null(q, n++, e->country);
	if (e->addr.family && e->kind == FLOW_CONN)
		sqlite3_bind_blob(q, n++, e->addr.b, e->addr.family == 4 ? 4 : 16,
			SQLITE_STATIC);
	else
		sqlite3_bind_null(q, n++);
	sqlite3_bind_int(q, n++, e->verdict);
	sqlite3_bind_int64(q, n++, (int64_t)e->rx);
	sqlite3_bind_int64(q, n++, (int64_t)e->tx);
	sqlite3_bind_int64(q, n++, (int64_t)e->rx_packets);
	sqlite3_bind_int64(q, n++, (int64_t)e->tx_packets);
	bind_or_null(q, n++, e->pid);
	sqlite3_bind_int(q, n++, e->how);
	sqlite3_bind_int(q, n++, e->dir);
	sqlite3_bind_int(q, n++, e->proto);
	sqlite3_bind_int(q, n++, e->port);
	sqlite3_bind_int(q, n++, e->qtype);
	sqlite3_bind_int(q, n++, e->reason);
	bind_or_null(q, n++, e->rule);
	bind_or_null(q, n++, id[EVENT_RULE]);
	bind_or_null(q, n++, e->asn);
	bind_or_null(q, n++, id[EVENT_CITY]);
	sqlite3_bind_int(q, n++, e->flags);
	return run(q);
}

static int update_row(struct store *s, const struct event *e, const int64_t *id)
{
	sqlite3_stmt *q = s->s[UPDATE];

	sqlite3_bind_int64(q, 1, e->id);
	bind_or_null(q, 2, e->end_ms);
	sqlite3_bind_int(q, 3, e->state);
	sqlite3_bind_int(q, 4, e->verdict);
	sqlite3_bind_int64(q, 5, (int64_t)e->rx);
	sqlite3_bind_int64(q, 6, (int64_t)e->tx);
	sqlite3_bind_int64(q, 7, (int64_t)e->rx_packets);
	sqlite3_bind_int64(q, 8, (int64_t)e->tx_packets);
	sqlite3_bind_int(q, 9, e->reason);
	bind_or_null(q, 10, e->rule);
	bind_or_null(q, 11, id[EVENT_RULE]);
	sqlite3_bind_int(q, 12, e->flags);
	return run(q);
}

/* what the row had before: 1, 0 if there is none */
static int find_row(struct store *s, int64_t id, uint64_t *rx, uint64_t *tx)
{
	sqlite3_stmt *q = s->s[FIND];
	int r;

	sqlite3_bind_int64(q, 1, id);
	r = sqlite3_step(q);
	if (r == SQLITE_ROW) {
		*rx = (uint64_t)sqlite3_column_int64(q, 0);
		*tx = (uint64_t)sqlite3_column_int64(q, 1);
	}
	sqlite3_reset(q);
	return r == SQLITE_ROW ? 1 : db_errno(r);
}

static int write_one(struct store *s, const struct event *e)
{
	struct sum_key key = { .verdict = e->verdict, .country = e->country,
		.at_s = e->at_ms / 1000 };
	uint64_t rx = 0, tx = 0;
	int64_t id[EVENT_TEXTS];
	struct sum add = { 0 };
	int r = find_texts(s, e, id), known;

	if (r == 0)
		r = write_network(s, e);
	if (r < 0)
		return r;
	known = find_row(s, e->id, &rx, &tx);
	if (known < 0)
		return known;
	r = known ? update_row(s, e, id) : insert_row(s, e, id);
	if (r < 0)
		return r;
	key.program = id[EVENT_PATH];
	key.domain = id[EVENT_DOMAIN];
	add.rx = e->rx > rx ? e->rx - rx : 0;
	add.tx = e->tx > tx ? e->tx - tx : 0;
	add.denied = !known && e->verdict == VERDICT_DENY;
	add.connections = !known && !add.denied && e->kind == FLOW_CONN;
	return sums_add(s->sums, &key, &add);
}

int store_write(struct store *s, const struct event *list)
{
	int r = run(s->s[BEGIN]);

	if (r < 0)
		return r;
	for (const struct event *e = list; r == 0 && e; e = e->next)
		r = write_one(s, e);
	if (r == 0)
		r = sums_flush(s->sums);
	if (r == 0)
		r = run(s->s[COMMIT]);
	if (r == 0)
		return 0;
	if (!sqlite3_get_autocommit(s->sql))
		run(s->s[ROLLBACK]);
	store_forget(s); /* numbers that were given in it are not */
	sums_forget(s->sums);
	return r;
}

void store_forget(struct store *s)
{
	intern_forget(s->intern);
	memset(s->networks, 0, sizeof(s->networks));
}

bool store_shrinking(struct store *s, uint64_t bytes, uint64_t max)
{
	if (bytes > max)
		s->shrinking = true;
	else if (bytes <= max / 10 * 9)
		s->shrinking = false;
	return s->shrinking;
}

const char *store_error(struct store *s)
{
	return sqlite3_errmsg(s->sql);
}

sqlite3 *store_sql(struct store *s)
{
	return s->sql;
}
