/* SPDX-License-Identifier: GPL-2.0-or-later
 * What goes: by age, rows first and sums of minutes, hours and days after them; by size, the
 * oldest rows, then the finest sums. In small steps, so that new events never wait long. */
#include "db/open.h"
#include "db/store.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>

enum { STEP_ROWS = 2000, MINUTES_EACH_S = 7 * 86400, HOURS_TIMES = 4, DAYS_TIMES = 20 };

static int64_t number(sqlite3 *sql, const char *query)
{
	sqlite3_stmt *s = NULL;
	int64_t n = 0;

	if (sqlite3_prepare_v2(sql, query, -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

uint64_t store_bytes(struct store *s)
{
	sqlite3 *sql = store_sql(s);
	int64_t pages = number(sql, "PRAGMA page_count") - number(sql, "PRAGMA freelist_count");

	return (uint64_t)(pages * number(sql, "PRAGMA page_size"));
}

/* how many went, or -errno */
static int delete(sqlite3 *sql, const char *text)
{
	int r = db_exec(sql, text);

	return r < 0 ? r : sqlite3_changes(sql);
}

static int rows_before(sqlite3 *sql, int64_t id)
{
	char text[160];

	snprintf(text, sizeof(text), "DELETE FROM flow WHERE id IN (SELECT id FROM flow WHERE"
		" id < %" PRId64 " ORDER BY id LIMIT %d)", id, STEP_ROWS);
	return delete(sql, text);
}

static int sums_before(sqlite3 *sql, int level, int what, int64_t at_s)
{
	char text[320];

	snprintf(text, sizeof(text), "DELETE FROM sum WHERE (level, what, at_s, program,"
		" domain, country, verdict) IN (SELECT level, what, at_s, program, domain,"
		" country, verdict FROM sum WHERE level = %d AND what = %d AND at_s < %" PRId64
		" ORDER BY at_s LIMIT %d)", level, what, at_s, STEP_ROWS);
	return delete(sql, text);
}

static int sums_by_age(sqlite3 *sql, const struct history_conf *conf, int64_t now_s)
{
	for (int level = 0; level < LEVELS; level++) {
		for (int what = 0; what < SUMS; what++) {
			int64_t keep = conf->keep_s * (level == LEVEL_DAY ? DAYS_TIMES
				: level == LEVEL_HOUR ? HOURS_TIMES : 1);
			int n;

			if (level == LEVEL_MINUTE && what == SUM_EACH && keep > MINUTES_EACH_S)
				keep = MINUTES_EACH_S;
			n = sums_before(sql, level, what, now_s - keep);
			if (n)
				return n;
		}
	}
	return 0;
}

/* no row speaks of a host that was used last before the oldest row began */
static int texts_by_age(sqlite3 *sql, const struct history_conf *conf, int64_t now_s)
{
	int64_t oldest_id = number(sql, "SELECT min(id) FROM flow");
	int64_t day = (now_s - conf->keep_s) / 86400 - 1;
	int64_t oldest_day = (oldest_id ? event_start_ms(oldest_id) / 1000 : now_s) / 86400 - 1;
	char text[160];
	int n;

	snprintf(text, sizeof(text), "DELETE FROM host WHERE id IN (SELECT id FROM host WHERE"
		" last_day < %" PRId64 " LIMIT %d)", oldest_day > day ? oldest_day : day,
		STEP_ROWS);
	n = delete(sql, text);
	if (n)
		return n;
	day = (now_s - conf->keep_s * DAYS_TIMES) / 86400 - 1;
	snprintf(text, sizeof(text), "DELETE FROM domain WHERE id IN (SELECT id FROM domain"
		" WHERE last_day < %" PRId64 " LIMIT %d)", day, STEP_ROWS);
	return delete(sql, text);
}

/* with the rows go the finest sums of their time, which are nearly as many */
static int by_size(sqlite3 *sql)
{
	int n = rows_before(sql, INT64_MAX);
	int64_t oldest = number(sql, "SELECT min(id) FROM flow");

	if (n > 0)
		n += sums_before(sql, LEVEL_MINUTE, SUM_EACH, event_start_ms(oldest) / 1000);
	for (int level = 0; n == 0 && level < LEVELS; level++)
		for (int what = SUMS - 1; n == 0 && what >= 0; what--)
			n = sums_before(sql, level, what, INT64_MAX);
	return n;
}

static int shrink(sqlite3 *sql)
{
	if (number(sql, "PRAGMA freelist_count") < 256)
		return 0;
	return db_exec(sql, "PRAGMA incremental_vacuum(1000)") < 0 ? -EIO : 1;
}

int store_retain(struct store *s, const struct history_conf *conf, int64_t now_ms)
{
	sqlite3 *sql = store_sql(s);
	int n = rows_before(sql, event_id(now_ms - conf->keep_s * 1000, 0));

	if (n == 0)
		n = sums_by_age(sql, conf, now_ms / 1000);
	if (n == 0) {
		n = texts_by_age(sql, conf, now_ms / 1000);
		if (n > 0)
			store_forget(s);
	}
	if (n)
		return n > 0 ? 1 : n;
	if (store_shrinking(s, store_bytes(s), conf->max_bytes)) {
		n = by_size(sql);
		if (n == 0)
			store_shrinking(s, 0, conf->max_bytes);
		return n < 0 ? n : 1;
	}
	return shrink(sql);
}
