/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/stats.h"
#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { T = 1700000000 }; /* a multiple of 10 */

static int set_up(void **state)
{
	struct stats *s;

	if (stats_new(T * INT64_C(1000), &s) < 0)
		return -1;
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	stats_free(*state);
	return 0;
}

static int64_t ms(int64_t after)
{
	return T * INT64_C(1000) + after;
}

static struct stats_point sum(const struct stats *s)
{
	static struct stats_point at[STATS_SECONDS + 1];
	struct stats_point all = { 0 };
	size_t n = stats_read(s, 0, INT64_MAX, 1, at, ARRAY_LEN(at));

	for (size_t i = 0; i < n; i++) {
		all.down += at[i].down;
		all.up += at[i].up;
		all.flows += at[i].flows;
		all.denied += at[i].denied;
	}
	return all;
}

static void the_second_is_the_one_it_was_told_in(void **state)
{
	struct stats *s = *state;
	struct stats_point p[4];

	stats_time(s, ms(1500));
	stats_round(s);
	stats_time(s, ms(2100));
	stats_bytes(s, ms(0), 70, 7);
	stats_began(s, ms(900), false);
	stats_began(s, ms(2050), true);
	stats_began(s, ms(2300), true); /* a clock apart */
	assert_int_equal(stats_read(s, T, T + 4, 1, p, ARRAY_LEN(p)), 3);
	assert_int_equal(p[0].time_s, T);
	assert_int_equal(p[0].flows, 1);
	assert_int_equal(p[0].down + p[1].down, 0);
	assert_int_equal(p[2].down, 70);
	assert_int_equal(p[2].up, 7);
	assert_int_equal(p[2].denied, 2);
}

static void what_was_counted_over_long_is_spread_and_nothing_is_lost(void **state)
{
	static const int64_t starts_ms[] = { -900000, -1, 0, 333, 3000, 9999 };
	struct stats *s = *state;
	struct stats_point p[11];
	uint64_t want = 0;

	stats_time(s, ms(10000));
	for (size_t i = 0; i < ARRAY_LEN(starts_ms); i++) {
		stats_bytes(s, ms(starts_ms[i]), 1000003, 11);
		want += 1000003;
		assert_true(sum(s).down == want);
		assert_int_equal(sum(s).up, 11 * (i + 1));
	}
	assert_int_equal(stats_read(s, T, T + 11, 1, p, ARRAY_LEN(p)), 11);
	assert_in_range(p[1].down, 4 * 100000, 4 * 100000 + 200000);
	/* 5 s after a round: in these only, however old the connection is */
	stats_round(s);
	stats_time(s, ms(15000));
	stats_bytes(s, ms(0), 5000, 0);
	assert_int_equal(stats_read(s, T + 11, T + 15, 1, p, ARRAY_LEN(p)), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(p[i].down, 1000);
}

static void steps_add_up(void **state)
{
	struct stats *s = *state;
	struct stats_point p[8];
	size_t n;

	for (int i = 0; i < 35; i++) {
		stats_time(s, ms(1000 * i + 10));
		stats_round(s);
		stats_bytes(s, ms(0), 1, 2);
	}
	n = stats_read(s, T + 5, T + 30, 10, p, ARRAY_LEN(p));
	assert_int_equal(n, 3);
	assert_int_equal(p[0].time_s, T);
	assert_int_equal(p[0].down, 10);
	assert_int_equal(p[2].up, 20);
	assert_int_equal(stats_read(s, T, T + 3600, 3600, p, ARRAY_LEN(p)), 1);
	assert_int_equal(p[0].down, 35);
	assert_int_equal(p[0].time_s, T - T % 3600);
	assert_int_equal(stats_read(s, T + 5, T + 5, 1, p, ARRAY_LEN(p)), 0);
	assert_int_equal(stats_read(s, T, T + 35, 1, p, ARRAY_LEN(p)), ARRAY_LEN(p));
}

static void ten_minutes_are_kept(void **state)
{
	struct stats *s = *state;

	stats_bytes(s, ms(0), 1, 1);
	stats_time(s, ms(1000));
	stats_bytes(s, ms(1000), 10, 10);
	stats_time(s, ms(1000 * (STATS_SECONDS - 1)));
	assert_int_equal(sum(s).down, 11);
	stats_time(s, ms(1000 * STATS_SECONDS));
	assert_int_equal(sum(s).down, 10);
	assert_int_equal(stats_first_s(s), T + 1);
	stats_began(s, ms(0), true);
	assert_int_equal(sum(s).denied, 0);
	stats_time(s, ms(3600000)); /* asleep for an hour */
	assert_int_equal(sum(s).down, 0);
}

static void each_second_is_given_once(void **state)
{
	struct stats *s = *state;
	struct stats_point p;
	unsigned n = 0;

	assert_false(stats_next(s, &p));
	stats_bytes(s, ms(0), 5, 0);
	stats_time(s, ms(2500));
	assert_true(stats_next(s, &p));
	assert_int_equal(p.time_s, T);
	assert_int_equal(p.down, 5);
	assert_true(stats_next(s, &p));
	assert_int_equal(p.time_s, T + 1);
	assert_false(stats_next(s, &p));
	stats_time(s, ms(3600000));
	while (stats_next(s, &p))
		n++;
	assert_in_range(n, 1, STATS_SECONDS);
	assert_int_equal(p.time_s, T + 3599);
	stats_time(s, ms(-5000)); /* the clock was set back, to before we began */
	stats_bytes(s, ms(-5000), 5, 0);
	assert_int_equal(sum(s).down, 5);
	stats_time(s, ms(-3000));
	assert_true(stats_next(s, &p));
	assert_int_equal(p.time_s, T - 5);
}

#define STATS_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATS_TEST(the_second_is_the_one_it_was_told_in),
		STATS_TEST(what_was_counted_over_long_is_spread_and_nothing_is_lost),
		STATS_TEST(steps_add_up),
		STATS_TEST(ten_minutes_are_kept),
		STATS_TEST(each_second_is_given_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
