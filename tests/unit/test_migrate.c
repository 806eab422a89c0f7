/* SPDX-License-Identifier: GPL-2.0-or-later
 * A file of an older schema is brought up to date, step by step, whole or not at all. */
#include "base/macros.h"
#include "base/text.h"
#include "db/open.h"

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const steps[] = {
	"CREATE TABLE thing (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",
	("ALTER TABLE thing ADD COLUMN size INTEGER NOT NULL DEFAULT 0;"
	 "UPDATE thing SET size = length(text);"),
	("CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;"
	 "INSERT INTO word (text) SELECT DISTINCT text FROM thing;"
	 "CREATE INDEX thing_size ON thing (size);"),
};

static const char *const broken[] = {
	"CREATE TABLE thing (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",
	("ALTER TABLE thing ADD COLUMN size INTEGER NOT NULL DEFAULT 0;"
	 "INSERT INTO nowhere VALUES (1);"),
	"DROP TABLE thing;",
};

static int set_up(void **state)
{
	return sqlite3_open(":memory:", (sqlite3 **)state) == SQLITE_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	return sqlite3_close(*state) == SQLITE_OK ? 0 : -1;
}

/* -1: there is no such thing */
static int64_t ask(sqlite3 *sql, const char *query)
{
	sqlite3_stmt *s = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(sql, query, -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

static int migrate(sqlite3 *sql, const char *const *to, int now, char why[static 300])
{
	struct text t = text_into(why, 300);

	return db_migrate(sql, "/var/lib/x.db", to, now, &t);
}

/* a file that a program of that version left, with two things in it */
static void make(sqlite3 *sql, int version)
{
	char why[300];

	assert_int_equal(migrate(sql, steps, version, why), 0);
	assert_int_equal(ask(sql, "PRAGMA user_version"), version);
	if (version)
		assert_int_equal(sqlite3_exec(sql, "INSERT INTO thing (text) VALUES ('a'),"
			" ('three')", NULL, NULL, NULL), SQLITE_OK);
}

static void from_each_version(void **state)
{
	(void)state;
	for (int from = 0; from <= (int)ARRAY_LEN(steps); from++) {
		sqlite3 *sql;
		char why[300];

		print_message("from %d\n", from);
		assert_int_equal(sqlite3_open(":memory:", &sql), SQLITE_OK);
		make(sql, from);
		assert_int_equal(migrate(sql, steps, ARRAY_LEN(steps), why), 0);
		assert_string_equal(why, "");
		assert_int_equal(ask(sql, "PRAGMA user_version"), ARRAY_LEN(steps));
		assert_int_equal(ask(sql, "SELECT count(*) FROM thing"), from ? 2 : 0);
		/* what a step makes of the rows that were there */
		if (from == 1)
			assert_int_equal(ask(sql, "SELECT max(size) FROM thing"), 5);
		if (from == 1 || from == 2)
			assert_int_equal(ask(sql, "SELECT count(*) FROM word"), 2);
		/* and again: nothing to do */
		assert_int_equal(migrate(sql, steps, ARRAY_LEN(steps), why), 0);
		sqlite3_close(sql);
	}
}

static void a_step_is_whole_or_nothing(void **state)
{
	sqlite3 *sql = *state;
	char why[300];

	make(sql, 1);
	assert_true(migrate(sql, broken, ARRAY_LEN(broken), why) < 0);
	assert_int_equal(ask(sql, "PRAGMA user_version"), 1);
	assert_int_equal(ask(sql, "SELECT count(*) FROM thing"), 2);
	assert_int_equal(ask(sql, "SELECT size FROM thing"), -1); /* no such column */
	assert_true(sqlite3_get_autocommit(sql));
	/* the next try, of a program that does it right */
	assert_int_equal(migrate(sql, steps, ARRAY_LEN(steps), why), 0);
	assert_int_equal(ask(sql, "SELECT max(size) FROM thing"), 5);
}

static void others_versions_are_refused(void **state)
{
	static const int versions[] = { 4, 99, -1 };
	sqlite3 *sql = *state;

	make(sql, 3);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		char set[64], why[300];

		snprintf(set, sizeof(set), "PRAGMA user_version = %d", versions[i]);
		assert_int_equal(sqlite3_exec(sql, set, NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(migrate(sql, steps, ARRAY_LEN(steps), why), -EPROTO);
		assert_non_null(strstr(why, "/var/lib/x.db"));
		assert_non_null(strstr(why, "another version"));
		assert_int_equal(ask(sql, "PRAGMA user_version"), versions[i]);
		assert_int_equal(ask(sql, "SELECT count(*) FROM thing"), 2);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_each_version),
		TEST(a_step_is_whole_or_nothing),
		TEST(others_versions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
