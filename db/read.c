/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation of lists: the narrowest index gives row numbers, newest first, and
 * what else the filter wants is looked at row by row. So the work may be more than a page's
 * worth: when READ_MS are over the list ends where it is, and the reader may go on from
 * there. A program run by several users is several numbers: their rows are merged. */
#include "db/read.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "db/open.h"
#include "db/reading.h"
#include "db/store.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LOOK_EVERY = 64 };

static const char row_text[] =
	"SELECT f.id, f.end_ms, f.kind, f.state, p.path, p.uid, h.host, f.country, f.addr,"
	" f.verdict, f.rx, f.tx, f.rx_packets, f.tx_packets, f.pid, f.how, f.dir, f.proto,"
	" f.port, f.qtype, f.reason, f.rule, w.text, f.asn, n.name, c.text, f.flags"
	" FROM flow f LEFT JOIN program p ON p.id = f.program LEFT JOIN host h ON h.id ="
	" f.host LEFT JOIN word w ON w.id = f.rule_text LEFT JOIN network n ON n.asn = f.asn"
	" LEFT JOIN word c ON c.id = f.city WHERE f.id = ?1";

static int on_progress(void *ctx)
{
	struct history_read *r = ctx;

	return r->until_ms && clock_boot_ms() > r->until_ms;
}

static int open_sql(const char *path, sqlite3 **out)
{
	char uri[4200];
	struct text t = text_into(uri, sizeof(uri));
	int r;

	text_add(&t, "file:");
	for (const char *p = path; *p; p++)
		text_addf(&t, strchr("%?#", *p) ? "%%%02X" : "%c", (unsigned char)*p);
	/* -shm too: what may not be written must not be asked for */
	text_add(&t, "?mode=ro&readonly_shm=1");
	if (t.cut)
		return -ENAMETOOLONG;
	r = db_errno(sqlite3_open_v2(uri, out,
		SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_FULLMUTEX, NULL));
	if (r < 0)
		return r;
	sqlite3_busy_timeout(*out, 50);
	return db_exec(*out, "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;"
		" PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
		" PRAGMA cache_size = -16384; SELECT count(*) FROM (SELECT 1 FROM flow LIMIT 1);"
		" SELECT 1 FROM sum, program, host, domain, word, network LIMIT 0");
}

int read_open(const char *path, char *why, size_t why_max, struct history_read **out)
{
	struct history_read *r = calloc(1, sizeof(*r));
	struct text t = text_into(why, why_max);
	struct stat st;
	int e = r ? open_sql(path, &r->sql) : -ENOMEM;

	if (e == 0 && stat(path, &st) < 0)
		e = -errno;
	if (e == 0)
		e = db_errno(sqlite3_prepare_v3(r->sql, row_text, -1,
			SQLITE_PREPARE_PERSISTENT, &r->row, NULL));
	if (e < 0) {
		text_addf(&t, "%s: %s", path,
			r && r->sql ? sqlite3_errmsg(r->sql) : strerror(-e));
		read_close(r);
		return e;
	}
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	sqlite3_progress_handler(r->sql, 1000, on_progress, r);
	*out = r;
	return 0;
}

void read_close(struct history_read *r)
{
	if (!r)
		return;
	sqlite3_finalize(r->row);
	sqlite3_close(r->sql);
	free(r);
}

void read_stop(struct history_read *r)
{
	sqlite3_interrupt(r->sql);
}

bool read_is(const struct history_read *r, uint64_t dev, uint64_t ino)
{
	return r->dev == dev && r->ino == ino;
}

int read_errno(struct history_read *r, int code)
{
	return (code & 0xff) == SQLITE_INTERRUPT && on_progress(r) ? -ETIMEDOUT
								   : db_errno(code);
}

/* --- what the filter means in numbers ----------------------------------------------------- */

static int find_number(struct history_read *r, const char *query, const char *text,
	int64_t *out)
{
	sqlite3_stmt *s = NULL;
	int e = sqlite3_prepare_v2(r->sql, query, -1, &s, NULL);

	*out = 0;
	if (e == SQLITE_OK) {
		sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC);
		e = sqlite3_step(s);
	}
	if (e == SQLITE_ROW)
		*out = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return read_errno(r, e);
}

const char *read_which_programs(const struct read_filter *f)
{
	static const char *const which[2][3] = {
		{ NULL, "path = ?1", "(substr(path, -length(?1) - 1) = '/' || ?1 OR path = ?1)" },
		{ "uid = ?2", "path = ?1 AND uid = ?2",
			"(substr(path, -length(?1) - 1) = '/' || ?1 OR path = ?1) AND uid = ?2" },
	};

	return which[f->by_uid][!f->program ? 0 : *f->program == '/' ? 1 : 2];
}

void read_bind_programs(sqlite3_stmt *s, const struct read_filter *f)
{
	if (f->program)
		sqlite3_bind_text(s, 1, f->program, -1, SQLITE_STATIC);
	if (f->by_uid)
		sqlite3_bind_int64(s, 2, f->uid);
}

static int read_programs(struct history_read *r, const struct read_filter *f,
	struct read_numbers *out)
{
	char text[200];
	sqlite3_stmt *s = NULL;
	int e;

	snprintf(text, sizeof(text), "SELECT id FROM program WHERE %s LIMIT %d",
		read_which_programs(f), READ_PROGRAMS_MAX + 1);
	e = sqlite3_prepare_v2(r->sql, text, -1, &s, NULL);
	out->n = 0;
	if (e == SQLITE_OK)
		read_bind_programs(s, f);
	while (e == SQLITE_OK || e == SQLITE_ROW) {
		e = sqlite3_step(s);
		if (e != SQLITE_ROW)
			break;
		if (out->n == READ_PROGRAMS_MAX)
			break;
		out->at[out->n++] = sqlite3_column_int64(s, 0);
	}
	sqlite3_finalize(s);
	return read_errno(r, e);
}

/* the registrable domain that covers the name, as the writer had it; 0: none known */
static int find_domain(struct history_read *r, const char *name, int64_t *out)
{
	int e = 0;

	for (*out = 0; e == 0 && !*out && name; name = strchr(name, '.')) {
		name += *name == '.';
		e = find_number(r, "SELECT id FROM domain WHERE host = ?1", name, out);
	}
	return e;
}

struct wanted {
	struct read_numbers programs;
	int64_t host, domain;
	const char *below;      /* a domain that the host must be in, or NULL */
	uint16_t country;
	bool none;              /* nothing can match */
};

static int read_wanted(struct history_read *r, const struct read_filter *f,
	struct wanted *out)
{
	int e = 0;

	*out = (struct wanted){ .country = read_country(f->country) };
	if (read_which_programs(f)) {
		e = read_programs(r, f, &out->programs);
		out->none = out->programs.n == 0;
	}
	if (e == 0 && f->name && (*f->name == '.' || strncmp(f->name, "*.", 2) == 0)) {
		out->below = strchr(f->name, '.') + 1;
		e = find_domain(r, out->below, &out->domain);
	} else if (e == 0 && f->name) {
		e = find_number(r, "SELECT id FROM host WHERE host = ?1", f->name, &out->host);
		out->none = out->none || !out->host;
	}
	return e;
}

uint16_t read_country(const char *two)
{
	return two && two[0] && two[1] ? (uint16_t)((uint8_t)two[0] << 8 | (uint8_t)two[1])
				       : 0;
}

/* --- the rows of one or several numbers, merged ------------------------------------------- */

struct merge {
	sqlite3_stmt *s[READ_PROGRAMS_MAX];
	bool more[READ_PROGRAMS_MAX];
	unsigned n;
};

static void merge_done(struct merge *m)
{
	for (unsigned i = 0; i < m->n; i++)
		sqlite3_finalize(m->s[i]);
}

static int merge_step(struct history_read *r, struct merge *m, unsigned i)
{
	int e = sqlite3_step(m->s[i]);

	m->more[i] = e == SQLITE_ROW;
	return read_errno(r, e);
}

static int merge_add(struct history_read *r, struct merge *m, const char *condition,
	int64_t number, const struct read_filter *f, int64_t before)
{
	char text[400];
	sqlite3_stmt *s;
	int e;

	snprintf(text, sizeof(text), "SELECT id, program, host, domain, country, addr, verdict"
		" FROM flow WHERE %s id >= ?2 AND id < ?3 ORDER BY id DESC", condition);
	e = db_errno(sqlite3_prepare_v2(r->sql, text, -1, &s, NULL));
	if (e < 0)
		return e;
	m->s[m->n++] = s;
	if (f->addr && strstr(condition, "addr"))
		sqlite3_bind_blob(s, 1, f->addr->b, f->addr->family == 4 ? 4 : 16,
			SQLITE_STATIC);
	else if (*condition)
		sqlite3_bind_int64(s, 1, number);
	sqlite3_bind_int64(s, 2, f->from_ms ? event_id(f->from_ms, 0) : 0);
	sqlite3_bind_int64(s, 3, before);
	return merge_step(r, m, m->n - 1);
}

/* the narrowest of what is wanted leads */
static int merge_open(struct history_read *r, struct merge *m, const struct read_filter *f,
	const struct wanted *w, int64_t before)
{
	int e = 0;

	m->n = 0;
	if (f->addr)
		return merge_add(r, m, "addr = ?1 AND", 0, f, before);
	if (w->host)
		return merge_add(r, m, "host = ?1 AND", w->host, f, before);
	if (w->domain)
		return merge_add(r, m, "domain = ?1 AND", w->domain, f, before);
	if (w->programs.n > 0 && w->programs.n < READ_PROGRAMS_MAX) {
		for (unsigned i = 0; e == 0 && i < w->programs.n; i++)
			e = merge_add(r, m, "program = ?1 AND", w->programs.at[i], f, before);
		return e;
	}
	if (w->country)
		return merge_add(r, m, "country = ?1 AND", w->country, f, before);
	if (f->by_verdict && f->verdict != VERDICT_ALLOW)
		return merge_add(r, m, "verdict = ?1 AND verdict <> 1 AND", f->verdict, f,
			before);
	return merge_add(r, m, "", 0, f, before);
}

static int merge_newest(const struct merge *m)
{
	int best = -1;

	for (unsigned i = 0; i < m->n; i++) {
		if (m->more[i] && (best < 0 || sqlite3_column_int64(m->s[i], 0) >
			sqlite3_column_int64(m->s[best], 0)))
			best = (int)i;
	}
	return best;
}

/* --- a row -------------------------------------------------------------------------------- */

/* as they are in the question; more of them than that are told by their path */
static bool program_matches(const struct wanted *w, const struct read_filter *f,
	int64_t number)
{
	if (!read_which_programs(f) || w->programs.n == READ_PROGRAMS_MAX)
		return true;
	for (unsigned i = 0; i < w->programs.n; i++)
		if (w->programs.at[i] == number)
			return true;
	return false;
}

static bool passes(const struct read_filter *f, const struct wanted *w, sqlite3_stmt *s)
{
	if (!program_matches(w, f, sqlite3_column_int64(s, 1)) ||
		(w->host && sqlite3_column_int64(s, 2) != w->host) ||
		(w->domain && sqlite3_column_int64(s, 3) != w->domain) ||
		(w->country && sqlite3_column_int(s, 4) != w->country) ||
		(f->by_verdict && sqlite3_column_int(s, 6) != (int)f->verdict))
		return false;
	if (f->addr) {
		int len = f->addr->family == 4 ? 4 : 16;

		return sqlite3_column_bytes(s, 5) == len &&
			memcmp(sqlite3_column_blob(s, 5), f->addr->b, (size_t)len) == 0;
	}
	return true;
}

static const char *text_of(sqlite3_stmt *s, int column)
{
	const char *t = (const char *)sqlite3_column_text(s, column);

	return t ? t : "";
}

static void country_text(int number, char out[static 3])
{
	out[0] = out[1] = out[2] = '\0';
	if (number) {
		out[0] = (char)(number >> 8);
		out[1] = (char)(number & 0xff);
	}
}

static void fill_flow(sqlite3_stmt *s, struct read_row *row)
{
	struct flow *f = &row->flow;
	const void *addr = sqlite3_column_blob(s, 8);
	int flags = sqlite3_column_int(s, 26);

	f->kind = (uint8_t)(sqlite3_column_int(s, 2) == FLOW_CONN);
	row->unknown = sqlite3_column_int(s, 3) > FLOW_REFUSED;
	f->state = row->unknown ? FLOW_LIVE : (uint8_t)sqlite3_column_int(s, 3);
	f->uid = (uint32_t)sqlite3_column_int64(s, 5);
	if (addr && sqlite3_column_bytes(s, 8) == 4)
		f->addr = addr_v4(addr);
	else if (addr && sqlite3_column_bytes(s, 8) == 16)
		f->addr = addr_v6(addr);
	f->verdict = (uint8_t)MIN((unsigned)sqlite3_column_int(s, 9), VERDICT_UNDECIDED);
	f->rx = (uint64_t)sqlite3_column_int64(s, 10);
	f->tx = (uint64_t)sqlite3_column_int64(s, 11);
	f->rx_packets = (uint64_t)sqlite3_column_int64(s, 12);
	f->tx_packets = (uint64_t)sqlite3_column_int64(s, 13);
	f->pid = sqlite3_column_int(s, 14);
	f->how = (uint8_t)MIN((unsigned)sqlite3_column_int(s, 15), HOW_SELF);
	f->dir = (uint8_t)(sqlite3_column_int(s, 16) == FLOW_IN);
	f->proto = (uint8_t)sqlite3_column_int(s, 17);
	f->port = (uint16_t)sqlite3_column_int(s, 18);
	f->qtype = (uint16_t)sqlite3_column_int(s, 19);
	f->reason = (uint8_t)sqlite3_column_int(s, 20);
	f->rule = (uint32_t)sqlite3_column_int64(s, 21);
	f->geo.asn = (uint32_t)sqlite3_column_int64(s, 23);
	f->watched = (flags & EVENT_WATCHED) != 0;
	f->first = (flags & EVENT_FIRST) != 0;
	f->counted = (flags & EVENT_COUNTED) != 0 || f->rx || f->tx;
}

static bool path_matches(const char *wanted, const char *path)
{
	const char *last = strrchr(path, '/');

	return !wanted || strcmp(wanted, path) == 0 ||
		(*wanted != '/' && last && strcmp(last + 1, wanted) == 0);
}

/* 1: given to got; 0: passed over; -errno */
static int give_row(struct history_read *r, int64_t id, const struct read_filter *f,
	const struct wanted *w, read_row_cb got, void *ctx)
{
	sqlite3_stmt *s = r->row;
	struct read_row row = { .id = id, .start_ms = event_start_ms(id) };
	int e, given = 0;

	sqlite3_bind_int64(s, 1, id);
	e = sqlite3_step(s);
	if (e == SQLITE_ROW) {
		row.end_ms = sqlite3_column_int64(s, 1);
		row.path = text_of(s, 4);
		row.name = text_of(s, 6);
		country_text(sqlite3_column_int(s, 7), row.country);
		row.rule_text = text_of(s, 22);
		row.as_name = text_of(s, 24);
		row.city = text_of(s, 25);
		fill_flow(s, &row);
		given = (!w->below || host_covers(w->below, row.name)) &&
			path_matches(f->program, row.path) &&
			(!f->by_uid || row.flow.uid == f->uid);
	}
	if (given)
		got(ctx, &row);
	sqlite3_reset(s);
	return e == SQLITE_ROW ? given : read_errno(r, e);
}

/* one transaction: pages that were read stay true */
static int list(struct history_read *r, const struct read_filter *f, int64_t before,
	const struct wanted *w, unsigned limit, read_row_cb got, void *ctx, int64_t *next)
{
	struct merge m;
	int e = merge_open(r, &m, f, w, before), i;
	unsigned given = 0, looked = 0;
	int64_t last = 0;

	while (e == 0 && (i = merge_newest(&m)) >= 0) {
		int64_t id = sqlite3_column_int64(m.s[i], 0);

		if (given == limit || (++looked % LOOK_EVERY == 0 && on_progress(r))) {
			*next = last;
			break;
		}
		last = id;
		if (passes(f, w, m.s[i])) {
			e = give_row(r, id, f, w, got, ctx);
			given += e > 0;
			e = MIN(e, 0);
		}
		if (e == 0)
			e = merge_step(r, &m, (unsigned)i);
	}
	if (e == -ETIMEDOUT && last) { /* cut in the middle of a step: go on from there */
		*next = last;
		e = 0;
	}
	merge_done(&m);
	return e;
}

int read_rows(struct history_read *r, const struct read_filter *f, int64_t before,
	unsigned limit, read_row_cb got, void *ctx, int64_t *next)
{
	int64_t top = f->to_ms ? event_id(f->to_ms, 0) : INT64_MAX;
	struct wanted w;
	int e;

	*next = 0;
	r->until_ms = clock_boot_ms() + READ_MS;
	e = db_exec(r->sql, "BEGIN");
	if (e == 0)
		e = read_wanted(r, f, &w);
	if (e == 0 && !w.none)
		e = list(r, f, before && before < top ? before : top, &w, limit, got, ctx,
			next);
	r->until_ms = 0;
	if (!sqlite3_get_autocommit(r->sql))
		db_exec(r->sql, "ROLLBACK");
	return e;
}
