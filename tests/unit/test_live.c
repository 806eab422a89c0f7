/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/live.h"
#include "base/macros.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *past;

static int set_up(void **state)
{
	struct live_book *l;

	past = calloc(1, LIVE_PAST_SIZE);
	if (!past || live_new(past, &l) < 0)
		return -1;
	*state = l;
	return 0;
}

static int tear_down(void **state)
{
	live_free(*state);
	free(past);
	return 0;
}

static struct ct_flow entry(uint32_t ct)
{
	struct ct_flow c = { .actor = 5, .id = ct, .proto = IPPROTO_TCP, .dport = 443,
		.sport = (uint16_t)ct, .counted = true };

	addr_parse("10.9.0.1", &c.src);
	addr_parse("10.9.0.2", &c.dst);
	return c;
}

static struct live *add(struct live_book *l, uint32_t ct, uint64_t id)
{
	const struct ct_flow c = entry(ct);
	const struct flow f = { .id = id, .start_ms = (int64_t)id * 10 };

	return live_add(l, &c, &f);
}

static struct live *find(struct live_book *l, uint32_t ct)
{
	const struct ct_flow c = entry(ct);

	return live_find(l, &c);
}

/* the next core: the book of the one before is gone, as after SIGKILL */
static struct live_book *next_core(void **state)
{
	struct live_book *l;

	live_free(*state);
	assert_int_equal(live_new(past, &l), 0);
	*state = l;
	return l;
}

static void whole_round(struct live_book *l, const uint32_t *found, size_t n, unsigned lost)
{
	unsigned budget = 1000, got = 0;
	struct live *v;

	live_round(l);
	for (size_t i = 0; i < n; i++) {
		v = find(l, found[i]);
		if (v)
			live_seen(l, v);
	}
	while ((v = live_lost(l, &budget))) {
		live_drop(l, v);
		got++;
	}
	assert_int_equal(got, lost);
	assert_true(budget > 0);
	live_round_over(l, true);
}

static void a_number_is_used_again(void **state)
{
	struct live_book *l = *state;
	struct ct_flow other = entry(7);

	add(l, 7, 1);
	assert_int_equal(find(l, 7)->f.id, 1);
	other.dport = 80;
	assert_null(live_find(l, &other));
	assert_non_null(live_at(l, 7));
	other = entry(7);
	other.actor = 6;
	assert_null(live_find(l, &other));
	live_drop(l, live_at(l, 7));
	assert_null(live_at(l, 7));
}

static void what_ended_meanwhile_does_not_come_back(void **state)
{
	struct live_book *l = *state;

	live_ended(l, 3); /* no round is on: nobody will ask */
	live_round(l);
	assert_false(live_gone(l, 3));
	for (uint32_t ct = 100; ct < 100 + LIVE_GONE_MAX; ct++)
		live_ended(l, ct);
	for (uint32_t ct = 100; ct < 100 + LIVE_GONE_MAX; ct++)
		assert_true(live_gone(l, ct));
	assert_false(live_gone(l, 99));
	live_ended(l, 98); /* one more than are known */
	assert_true(live_gone(l, 99));
	live_round_over(l, true);
	live_round(l);
	assert_false(live_gone(l, 100));
}

static void two_rounds_that_miss_it_end_it(void **state)
{
	static const uint32_t all[] = { 1, 2, 3 }, some[] = { 1, 3 };
	struct live_book *l = *state;

	for (uint32_t ct = 1; ct <= 3; ct++)
		add(l, ct, ct);
	whole_round(l, all, 3, 0);
	whole_round(l, some, 2, 0);
	whole_round(l, all, 3, 0); /* it was only overlooked */
	whole_round(l, some, 2, 0);
	live_round(l); /* one that failed says nothing */
	live_round_over(l, false);
	assert_non_null(find(l, 2));
	whole_round(l, some, 2, 1);
	assert_null(find(l, 2));
	assert_non_null(find(l, 1));
	assert_non_null(find(l, 3));
}

static void one_that_begins_during_a_round_is_not_missed_by_it(void **state)
{
	struct live_book *l = *state;
	unsigned budget = 10;

	live_round(l);
	add(l, 1, 1);
	assert_null(live_lost(l, &budget));
	assert_int_equal(budget, 10);
	live_round_over(l, true);
	whole_round(l, NULL, 0, 0);
	whole_round(l, NULL, 0, 1);
}

static void more_than_fit(void **state)
{
	struct live_book *l = *state;

	for (uint32_t ct = 1; ct <= LIVE_MAX; ct++)
		assert_non_null(add(l, ct, ct));
	assert_false(live_overflowed(l));
	assert_null(add(l, LIVE_MAX + 1, 1));
	assert_non_null(find(l, 1)); /* nobody had to go for it */
	assert_true(live_overflowed(l));
	live_drop(l, live_at(l, 1));
	live_round(l);
	live_round_over(l, true);
	/* from here on a round gave room to everybody */
	assert_false(live_overflowed(l));
}

static void the_next_core_knows_it(void **state)
{
	static const uint32_t alive[] = { 2 };
	struct live_book *l = *state;
	struct ct_flow c;

	add(l, 1, 71);
	add(l, 2, 72);
	add(l, 3, 73);
	live_id_given(l, 73);
	live_id_given(l, 10);
	live_drop(l, live_at(l, 1));
	l = next_core(state);
	assert_int_equal(live_next_id(l), 74);
	assert_int_equal(add(l, 1, 101)->f.id, 101);
	assert_int_equal(add(l, 2, 102)->f.id, 72);
	assert_int_equal(live_at(l, 2)->f.start_ms, 720);
	c = entry(3);
	c.sport++;
	assert_int_equal(live_add(l, &c, &live_at(l, 1)->f)->f.id, 101); /* another one */
	live_drop(l, live_at(l, 3));
	live_stale(l, add(l, 4, 74));
	l = next_core(state);
	assert_true(find(l, 4)->stale); /* without being added */
	add(l, 2, 102);
	whole_round(l, alive, 1, 0);
	/* 3 ended while no core was there: no later one is taken for it */
	l = next_core(state);
	assert_int_equal(add(l, 3, 203)->f.id, 203);
	assert_int_equal(add(l, 2, 202)->f.id, 72);
}

static void the_past_is_bounded_and_may_be_torn(void **state)
{
	struct live_book *l = *state;
	unsigned kept = 0;

	for (uint32_t ct = 1; ct <= LIVE_MAX; ct++)
		add(l, ct, ct);
	l = next_core(state);
	for (uint32_t ct = 1; ct <= LIVE_MAX; ct++)
		kept += add(l, ct, 1000000)->f.id == ct;
	assert_true(kept > LIVE_MAX * 9 / 10);
	live_free(l);
	memset(past, 0xa5, LIVE_PAST_SIZE);
	assert_int_equal(live_new(past, &l), 0);
	*state = l;
	assert_non_null(add(l, 0xa5a5a5a5, 1));
	whole_round(l, NULL, 0, 0);
	live_free(l);
	assert_int_equal(live_new(NULL, &l), 0);
	*state = l;
	assert_int_equal(add(l, 1, 5)->f.id, 5);
	live_drop(l, live_at(l, 1));
	assert_int_equal(live_next_id(l), 0);
}

struct heard {
	unsigned n;
	char last[HOST_MAX];
};

static void hear(void *ctx, uint32_t actor, const struct addr *to, const char *name)
{
	struct heard *h = ctx;

	assert_int_equal(actor, 5);
	assert_int_equal(to->family, 4);
	h->n++;
	strcpy(h->last, name);
}

static void add_named(struct live_book *l, uint32_t ct, const char *name, enum flow_dir dir)
{
	const struct ct_flow c = entry(ct);
	struct flow f = { .id = ct, .actor = 5, .addr = c.dst, .dir = (uint8_t)dir };

	strcpy(f.name, name);
	live_add(l, &c, &f);
}

static void names_outlive_a_core(void **state)
{
	struct live_book *l = *state;
	struct heard h = { 0 };

	add_named(l, 1, "www.shop.test", FLOW_OUT);
	add_named(l, 2, "came.in.test", FLOW_IN);
	add_named(l, 3, "", FLOW_OUT);
	add_named(l, 4, "ended.shop.test", FLOW_OUT);
	live_drop(l, live_at(l, 4));
	live_names(next_core(state), hear, &h);
	assert_int_equal(h.n, 1);
	assert_string_equal(h.last, "www.shop.test");
	memset(past, 0xa5, LIVE_PAST_SIZE);
	live_names(next_core(state), hear, &h);
	assert_int_equal(h.n, 1);
}

static void counters(void **state)
{
	static const struct {
		const char *why;
		bool counted, adopted, ended, has_socket;
		uint64_t entry, socket;
		bool moved;
		uint64_t want;
		bool known;
	} steps[][4] = {
		{
			{ "entry", 1, 0, 0, 0, 100, 0, true, 100, true },
			{ "still", 1, 0, 0, 0, 100, 0, false, 100, true },
			{ "never less", 1, 0, 0, 0, 50, 0, false, 100, true },
			{ "its end", 1, 0, 1, 0, 130, 0, true, 130, true },
		}, {
			{ "older: what went before", 1, 1, 0, 1, 100, 5000, true, 5000, true },
			{ "then the entry counts", 1, 1, 0, 1, 150, 5052, true, 5050, true },
			{ "without a socket too", 1, 1, 0, 0, 160, 0, true, 5060, true },
			{ "its end", 1, 1, 1, 0, 170, 0, true, 5070, true },
		}, {
			{ "no counters: the socket's", 0, 0, 0, 1, 0, 700, true, 700, true },
			{ "goes on", 0, 0, 0, 1, 0, 800, true, 800, true },
			{ "its end", 0, 0, 1, 0, 0, 0, false, 800, true },
			{ "", 0, 0, 1, 0, 0, 0, false, 800, true },
		}, {
			{ "nobody counts", 0, 0, 0, 0, 0, 0, false, 0, false },
			{ "nobody", 0, 0, 0, 0, 0, 0, false, 0, false },
			{ "its end", 0, 0, 1, 0, 0, 0, false, 0, false },
			{ "", 0, 0, 1, 0, 0, 0, false, 0, false },
		},
	};
	struct live_book *l = *state;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct live *v = add(l, (uint32_t)i + 1, i + 1);

		for (size_t k = 0; k < ARRAY_LEN(steps[i]); k++) {
			struct ct_flow c = entry(v->ct);
			struct diag_traffic s = { .rx = steps[i][k].socket };

			print_message("%s\n", steps[i][k].why);
			c.counted = steps[i][k].counted;
			c.adopted = steps[i][k].adopted;
			c.ended = steps[i][k].ended;
			c.rx = steps[i][k].entry;
			assert_int_equal(live_count(l, v, &c, steps[i][k].has_socket ? &s : NULL),
				steps[i][k].moved);
			assert_int_equal(v->f.rx, steps[i][k].want);
			assert_int_equal(v->f.counted, steps[i][k].known);
		}
	}
	/* and the next core adds the same */
	l = next_core(state);
	assert_int_equal(add(l, 2, 99)->base.rx, 4900);
}

#define LIVE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE_TEST(a_number_is_used_again),
		LIVE_TEST(what_ended_meanwhile_does_not_come_back),
		LIVE_TEST(two_rounds_that_miss_it_end_it),
		LIVE_TEST(one_that_begins_during_a_round_is_not_missed_by_it),
		LIVE_TEST(more_than_fit),
		LIVE_TEST(the_next_core_knows_it),
		LIVE_TEST(the_past_is_bounded_and_may_be_torn),
		LIVE_TEST(names_outlive_a_core),
		LIVE_TEST(counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
