/* SPDX-License-Identifier: GPL-2.0-or-later
 * Sums over a span: days in its middle, hours and minutes at its ends, so that a year costs
 * no more than a day. Where the fine ones are gone, the end is rounded outwards. */
#include "db/reading.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "db/open.h"
#include "db/store.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>

enum { SEGMENTS_MAX = 5, GROUPS_MAX = 1000, QUERY_MAX = 4096 };

struct segment {
	enum store_level level;
	int64_t from_s, to_s;
};

struct span {
	struct segment at[SEGMENTS_MAX];
	unsigned n;
};

static void span_add(struct span *s, enum store_level level, int64_t from_s, int64_t to_s)
{
	if (from_s < to_s)
		s->at[s->n++] = (struct segment){ level, from_s, to_s };
}

static int64_t down(int64_t s, int64_t by)
{
	return s - s % by;
}

static int64_t up(int64_t s, int64_t by)
{
	return down(s + by - 1, by);
}

static void span_cut(struct span *s, int64_t from_s, int64_t to_s)
{
	int64_t h1 = up(from_s, 3600), h2 = down(to_s, 3600), d1, d2;

	if (h1 >= h2) {
		span_add(s, LEVEL_MINUTE, from_s, to_s);
		return;
	}
	d1 = up(h1, 86400);
	d2 = down(h2, 86400);
	span_add(s, LEVEL_MINUTE, from_s, h1);
	if (d1 >= d2) {
		span_add(s, LEVEL_HOUR, h1, h2);
	} else {
		span_add(s, LEVEL_HOUR, h1, d1);
		span_add(s, LEVEL_DAY, d1, d2);
		span_add(s, LEVEL_HOUR, d2, h2);
	}
	span_add(s, LEVEL_MINUTE, h2, to_s);
}

static enum store_sum kind_of(enum read_by by, const struct read_filter *f)
{
	bool program = read_which_programs(f) || by == READ_BY_PROGRAM;
	bool country = f->country || by == READ_BY_COUNTRY;

	if (program && country)
		return SUM_PAIR;
	return program ? SUM_PROGRAM : country ? SUM_COUNTRY : SUM_ALL;
}

/* since when there are sums of this level, INT64_MAX: there are none */
static int oldest(struct history_read *r, enum store_level level, enum store_sum what,
	int64_t *out)
{
	sqlite3_stmt *s = NULL;
	int e = sqlite3_prepare_v2(r->sql, "SELECT at_s FROM sum WHERE level = ?1 AND what ="
		" ?2 ORDER BY at_s LIMIT 1", -1, &s, NULL);

	*out = INT64_MAX;
	if (e == SQLITE_OK) {
		sqlite3_bind_int(s, 1, level);
		sqlite3_bind_int(s, 2, what);
		e = sqlite3_step(s);
	}
	if (e == SQLITE_ROW)
		*out = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return read_errno(r, e);
}

/* the finest level that reaches back so far */
static enum store_level level_at(const int64_t since[LEVELS], int64_t at_s)
{
	for (int level = LEVEL_MINUTE; level < LEVEL_DAY; level++)
		if (since[level] < since[level + 1] + store_level_s[level + 1] ||
			since[level] <= at_s)
			return (enum store_level)level;
	return LEVEL_DAY;
}

static int find_span(struct history_read *r, enum store_sum what, enum read_by by,
	const struct read_filter *f, int64_t *step_s, struct span *out)
{
	int64_t since[LEVELS], from = f->from_ms / 1000, to = f->to_ms / 1000;
	enum store_level level;
	int e = 0;

	for (int i = 0; e == 0 && i < LEVELS; i++)
		e = oldest(r, (enum store_level)i, what, &since[i]);
	if (e < 0)
		return e;
	if (!to)
		to = clock_unix_ms() / 1000 + 60;
	from = MAX(from, MIN(since[LEVEL_DAY], to));
	level = level_at(since, from);
	from = down(from, store_level_s[level]);
	to = up(to, store_level_s[level_at(since, to)]);
	out->n = 0;
	if (by != READ_BY_TIME) {
		span_cut(out, from, to);
		return 0;
	}
	*step_s = MAX(*step_s, store_level_s[level]);
	while (level < LEVEL_DAY && *step_s % store_level_s[level + 1] == 0)
		level++;
	*step_s = down(*step_s, store_level_s[level]);
	span_add(out, level, down(from, store_level_s[level]), up(to, store_level_s[level]));
	return 0;
}

static void add_segments(const struct span *span, enum store_sum what,
	const struct read_filter *f, struct text *q)
{
	const char *programs = read_which_programs(f);

	for (unsigned i = 0; i < span->n; i++) {
		const struct segment *g = &span->at[i];

		text_addf(q, "%sSELECT at_s, program, country, rx, tx, connections, denied"
			" FROM sum WHERE level = %d AND what = %d AND at_s >= %" PRId64
			" AND at_s < %" PRId64, i ? " UNION ALL " : "", g->level, what,
			g->from_s, g->to_s);
		if (programs)
			text_addf(q, " AND program IN (SELECT id FROM program WHERE %s)",
				programs);
		if (f->country)
			text_addf(q, " AND country = %d", read_country(f->country));
		if (f->by_verdict)
			text_addf(q, " AND verdict = %d", f->verdict);
	}
}

static int build(struct history_read *r, enum read_by by, const struct read_filter *f,
	int64_t *step_s, struct text *q)
{
	enum store_sum what = kind_of(by, f);
	struct span span;
	int e = find_span(r, what, by, f, step_s, &span);

	if (e < 0 || span.n == 0)
		return e < 0 ? e : -ENOENT;
	text_add(q, by == READ_BY_PROGRAM ? "SELECT k, p.path, p.uid"
					  : "SELECT k, NULL, NULL");
	text_add(q, ", rx, tx, connections, denied, last FROM (SELECT ");
	if (by == READ_BY_TIME)
		text_addf(q, "at_s / %" PRId64 " * %" PRId64, *step_s,
			*step_s);
	else
		text_add(q, by == READ_BY_PROGRAM ? "program" : "country");
	text_add(q, " AS k, sum(rx) AS rx, sum(tx) AS tx, sum(connections) AS connections,"
		" sum(denied) AS denied, max(at_s) AS last FROM (");
	add_segments(&span, what, f, q);
	text_add(q, ") GROUP BY k)");
	if (by == READ_BY_PROGRAM)
		text_add(q, " JOIN program p ON p.id = k");
	if (by == READ_BY_TIME)
		text_add(q, " ORDER BY k");
	else
		text_addf(q, " ORDER BY rx + tx DESC, connections DESC, denied DESC LIMIT %d",
			GROUPS_MAX);
	return q->cut ? -ENAMETOOLONG : 0;
}

static void give(sqlite3_stmt *s, enum read_by by, int64_t step_s, read_sum_cb got, void *ctx)
{
	struct read_sum sum = { .step_s = step_s };
	int country = by == READ_BY_COUNTRY ? sqlite3_column_int(s, 0) : 0;

	if (by == READ_BY_TIME)
		sum.at_ms = sqlite3_column_int64(s, 0) * 1000;
	sum.path = (const char *)sqlite3_column_text(s, 1);
	if (!sum.path)
		sum.path = "";
	sum.uid = (uint32_t)sqlite3_column_int64(s, 2);
	if (country) {
		sum.country[0] = (char)(country >> 8);
		sum.country[1] = (char)(country & 0xff);
	}
	sum.rx = (uint64_t)sqlite3_column_int64(s, 3);
	sum.tx = (uint64_t)sqlite3_column_int64(s, 4);
	sum.connections = (uint64_t)sqlite3_column_int64(s, 5);
	sum.denied = (uint64_t)sqlite3_column_int64(s, 6);
	sum.last_ms = sqlite3_column_int64(s, 7) * 1000;
	got(ctx, &sum);
}

static int run(struct history_read *r, const char *query, enum read_by by,
	const struct read_filter *f, int64_t step_s, read_sum_cb got, void *ctx)
{
	sqlite3_stmt *s = NULL;
	int e = sqlite3_prepare_v2(r->sql, query, -1, &s, NULL);

	if (e == SQLITE_OK)
		read_bind_programs(s, f);
	while (e == SQLITE_OK || e == SQLITE_ROW) {
		e = sqlite3_step(s);
		if (e != SQLITE_ROW)
			break;
		give(s, by, step_s, got, ctx);
	}
	sqlite3_finalize(s);
	return read_errno(r, e);
}

int read_sums(struct history_read *r, enum read_by by, const struct read_filter *f,
	int64_t step_s, read_sum_cb got, void *ctx)
{
	char buf[QUERY_MAX];
	struct text q = text_into(buf, sizeof(buf));
	int e;

	r->until_ms = clock_boot_ms() + READ_SUMS_MS;
	e = db_exec(r->sql, "BEGIN");
	if (e == 0)
		e = build(r, by, f, &step_s, &q);
	if (e == 0)
		e = run(r, buf, by, f, step_s, got, ctx);
	r->until_ms = 0;
	if (!sqlite3_get_autocommit(r->sql))
		db_exec(r->sql, "ROLLBACK");
	return e == -ENOENT ? 0 : e;
}
