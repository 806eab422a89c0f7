/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/ledger.h"
#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct found {
	unsigned n;
	uint64_t ids, rx, start;
};

static void each(void *ctx, const struct flow *f, uint64_t start)
{
	struct found *found = ctx;

	found->n++;
	found->ids += f->id;
	found->rx += f->rx;
	found->start += start;
}

static struct found taken_over(void *memory)
{
	struct found found = { 0 };
	struct ledger *l;

	assert_int_equal(ledger_new(memory, &l), 0);
	ledger_take_over(l, each, &found);
	ledger_free(l);
	return found;
}

static int put(struct ledger *l, uint64_t id)
{
	return ledger_put(l, &(struct flow){ .id = id }, 7);
}

static void the_next_finds_what_was_under_way(void **state)
{
	void *memory = calloc(1, LEDGER_SIZE);
	struct found found = taken_over(memory);
	struct ledger *l;
	int one, two;

	(void)state;
	assert_int_equal(found.n, 0);
	assert_int_equal(ledger_new(memory, &l), 0);
	one = put(l, 1);
	two = put(l, 2);
	put(l, 4);
	ledger_count(l, two, &(struct flow){ .rx = 50 });
	ledger_drop(l, one);
	ledger_free(l); /* as killed */
	found = taken_over(memory);
	assert_int_equal(found.n, 2);
	assert_int_equal(found.ids, 6);
	assert_int_equal(found.rx, 50);
	assert_int_equal(found.start, 14);
	assert_int_equal(taken_over(memory).n, 0); /* once */
	free(memory);
}

static void what_does_not_fit_is_not_kept(void **state)
{
	void *memory = calloc(1, LEDGER_SIZE);
	struct ledger *l;
	int last = LEDGER_NONE;

	(void)state;
	assert_int_equal(ledger_new(memory, &l), 0);
	for (unsigned i = 0; i < LEDGER_MAX; i++) {
		last = put(l, 1);
		assert_int_not_equal(last, LEDGER_NONE);
	}
	assert_int_equal(put(l, 1), LEDGER_NONE);
	ledger_count(l, LEDGER_NONE, &(struct flow){ .rx = 1 });
	ledger_drop(l, LEDGER_NONE);
	ledger_drop(l, last);
	assert_int_equal(put(l, 1), last);
	ledger_free(l);
	assert_int_equal(taken_over(memory).n, LEDGER_MAX);
	free(memory);
}

static void without_memory_nothing_is_kept(void **state)
{
	struct ledger *l;

	(void)state;
	assert_int_equal(taken_over(NULL).n, 0);
	assert_int_equal(ledger_new(NULL, &l), 0);
	assert_int_equal(put(l, 1), LEDGER_NONE);
	ledger_free(l);
	ledger_free(NULL);
}

/* whatever stands there, even by a core of another making */
static void noise_is_not_read_as_connections(void **state)
{
	void *memory = malloc(LEDGER_SIZE);

	(void)state;
	memset(memory, 0xa5, LEDGER_SIZE);
	assert_int_equal(taken_over(memory).n, 0);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_finds_what_was_under_way),
		cmocka_unit_test(what_does_not_fit_is_not_kept),
		cmocka_unit_test(without_memory_nothing_is_kept),
		cmocka_unit_test(noise_is_not_read_as_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
