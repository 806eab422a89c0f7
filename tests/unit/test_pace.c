/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/pace.h"
#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int set_up(void **state)
{
	struct pace *p;

	if (pace_new(&p) < 0)
		return -1;
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	pace_free(*state);
	return 0;
}

static void the_first_at_once_and_then_the_latest(void **state)
{
	struct pace *p = *state;
	uint64_t row = 0;

	assert_true(pace_now(p, 7, 1000));
	assert_true(pace_now(p, 8, 1001));
	assert_false(pace_now(p, 7, 1100));
	assert_false(pace_now(p, 7, 1249));
	assert_int_equal(pace_waiting(p), 1);
	assert_false(pace_due(p, 1249, &row));
	assert_true(pace_due(p, 1250, &row));
	assert_int_equal(row, 7);
	assert_false(pace_due(p, 1251, &row)); /* 8 did not change */
	assert_int_equal(pace_waiting(p), 0);
	assert_false(pace_now(p, 7, 1300));
	assert_false(pace_due(p, 1499, &row));
	assert_true(pace_due(p, 1500, &row));
	assert_true(pace_now(p, 8, 1500));
	assert_true(pace_now(p, 7, 1750)); /* it was quiet: at once again */
}

static void at_most_four_a_second(void **state)
{
	struct pace *p = *state;
	unsigned told = 0;
	uint64_t row;

	for (int64_t ms = 0; ms < 10000; ms++) {
		told += pace_now(p, 5, ms);
		while (pace_due(p, ms, &row))
			told++;
	}
	assert_in_range(told, 40, 41);
}

static void more_rows_than_are_known(void **state)
{
	struct pace *p = *state;
	uint64_t row;

	for (uint64_t id = 1; id <= PACE_ROWS_MAX + 10; id++)
		assert_true(pace_now(p, id, 0));
	assert_false(pace_now(p, PACE_ROWS_MAX, 1));
	assert_true(pace_now(p, PACE_ROWS_MAX + 1, 1));
	assert_true(pace_now(p, PACE_ROWS_MAX + 1, 250)); /* and there is room again */
	assert_false(pace_now(p, PACE_ROWS_MAX + 1, 251));
	assert_true(pace_due(p, 251, &row));
	assert_int_equal(row, PACE_ROWS_MAX);
}

#define PACE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACE_TEST(the_first_at_once_and_then_the_latest),
		PACE_TEST(at_most_four_a_second),
		PACE_TEST(more_rows_than_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
