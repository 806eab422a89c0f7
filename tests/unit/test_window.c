/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/window.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/stats.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct window_filter all;

static int set_up(void **state)
{
	struct window *w;

	if (window_new(&w) < 0)
		return -1;
	window_boot(w, 1);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	window_free(*state);
	return 0;
}

static struct link_flow flow(uint64_t id, uint64_t serial, const char *name)
{
	struct link_flow f = { .flow = { .id = id, .serial = serial, .kind = FLOW_QUERY,
		.verdict = VERDICT_ALLOW, .start_ms = (int64_t)id } };

	text_copy(f.flow.name, sizeof(f.flow.name), name);
	return f;
}

static void tell(struct window *w, const struct link_flow *f)
{
	assert_int_equal(window_flow_told(w, f), 0);
}

static void tell_program(struct window *w, uint64_t serial, const char *path)
{
	struct link_program p = { .serial = serial, .known = true };

	text_copy(p.path, sizeof(p.path), path);
	assert_int_equal(window_program_told(w, &p), 0);
}

static unsigned count(struct window *w, enum flow_kind kind, const struct window_filter *f)
{
	uint64_t place = 0;
	struct link_flow out;
	unsigned n = 0;
	bool old;

	while ((place = window_older(w, kind, place, f, &out, &old)))
		n++;
	return n;
}

static void a_record_comes_back_whole(void **state)
{
	struct window *w = *state;
	struct link_flow f = flow(7, 3, "a.example.org"), out;
	bool old;

	text_copy(f.flow.other, sizeof(f.flow.other), "tracker.test");
	text_copy(f.rule_text, sizeof(f.rule_text), "deny any tracker.test");
	text_copy(f.process, sizeof(f.process), "curl -s \xff");
	f.flow.nanswers = FLOW_ANSWERS_MAX;
	f.flow.answers[FLOW_ANSWERS_MAX - 1].family = 6;
	f.flow.tx = UINT64_MAX;
	tell(w, &f);
	assert_int_equal(window_older(w, FLOW_QUERY, 0, &all, &out, &old), 1);
	assert_memory_equal(&f.flow.id, &out.flow.id, sizeof(f.flow.id));
	assert_string_equal(out.flow.name, f.flow.name);
	assert_string_equal(out.flow.other, f.flow.other);
	assert_string_equal(out.rule_text, f.rule_text);
	assert_string_equal(out.process, f.process);
	assert_int_equal(out.flow.answers[FLOW_ANSWERS_MAX - 1].family, 6);
	assert_true(out.flow.tx == UINT64_MAX);
	assert_false(old);
}

static void newest_first_and_the_oldest_leaves(void **state)
{
	struct window *w = *state;
	struct link_flow out;
	uint64_t place;
	bool old;

	for (uint64_t id = 1; id <= WINDOW_FLOWS_MAX + 5; id++) {
		struct link_flow f = flow(id, 1, "x.test");

		tell(w, &f);
	}
	assert_int_equal(count(w, FLOW_QUERY, &all), WINDOW_FLOWS_MAX);
	assert_int_equal(count(w, FLOW_CONN, &all), 0);
	place = window_older(w, FLOW_QUERY, 0, &all, &out, &old);
	assert_int_equal(out.flow.id, WINDOW_FLOWS_MAX + 5);
	place = window_older(w, FLOW_QUERY, place, &all, &out, &old);
	assert_int_equal(out.flow.id, WINDOW_FLOWS_MAX + 4);
	assert_int_equal(window_older(w, FLOW_QUERY, 7, &all, &out, &old), 6);
	assert_int_equal(out.flow.id, 6);
	assert_int_equal(window_older(w, FLOW_QUERY, 6, &all, &out, &old), 0);
}

static void told_again_it_keeps_its_place(void **state)
{
	struct window *w = *state;
	struct link_flow one = flow(1, 1, "one.test"), two = flow(2, 1, "two.test"), out;
	bool old;

	tell(w, &one);
	tell(w, &two);
	text_copy(one.flow.name, sizeof(one.flow.name), "a-longer-name-than-before.test");
	tell(w, &one);
	assert_int_equal(count(w, FLOW_QUERY, &all), 2);
	assert_int_equal(window_older(w, FLOW_QUERY, 2, &all, &out, &old), 1);
	assert_string_equal(out.flow.name, "a-longer-name-than-before.test");
}

static void what_a_core_left_is_of_unknown_state_until_the_next_tells(void **state)
{
	struct window *w = *state;
	struct link_flow one = flow(1, 1, "one.test"), two = flow(2, 1, "two.test"), out;
	bool old = false;

	tell(w, &one);
	tell(w, &two);
	window_boot(w, 1); /* said again: nothing changed */
	window_older(w, FLOW_QUERY, 0, &all, &out, &old);
	assert_false(old);
	window_boot(w, 2);
	tell(w, &one);
	assert_int_equal(count(w, FLOW_QUERY, &all), 2);
	window_older(w, FLOW_QUERY, 0, &all, &out, &old);
	assert_true(old);
	window_older(w, FLOW_QUERY, 2, &all, &out, &old);
	assert_string_equal(out.flow.name, "one.test");
	assert_false(old);
}

static struct stats_point second_of(struct stats *s)
{
	static struct stats_point at[STATS_SECONDS];
	size_t n = stats_read(s, 0, INT64_MAX, 1, at, ARRAY_LEN(at));

	assert_int_equal(n, 1);
	return at[0];
}

static void all_traffic_is_added_up_once(void **state)
{
	static const struct flow_count counts = { .id = 9, .rx = 500, .tx = 50 };
	struct window *w = *state;
	struct link_flow f = flow(9, 3, "a.test"), q = flow(10, 3, "ads.test");
	struct window_program p;
	struct stats *s;

	assert_int_equal(stats_new(0, &s), 0);
	window_stats(w, s);
	tell_program(w, 3, "/usr/bin/curl");
	f.flow.kind = FLOW_CONN;
	f.flow.state = FLOW_LIVE;
	f.flow.counted = 1;
	q.flow.verdict = VERDICT_DENY;
	tell(w, &f);
	tell(w, &q);
	tell(w, &q);
	assert_true(window_counted(w, &counts));
	window_boot(w, 2); /* it outlives a core */
	f.flow.rx = 600;
	f.flow.tx = 50;
	tell(w, &f);
	f.flow.state = FLOW_DONE;
	f.flow.tx = 51;
	tell(w, &f);
	assert_int_equal(second_of(s).down, 600);
	assert_int_equal(second_of(s).up, 51);
	assert_int_equal(second_of(s).flows, 1);
	assert_int_equal(second_of(s).denied, 1);
	assert_true(window_program(w, 3, &p));
	assert_int_equal(p.rx, 600);
	assert_int_equal(p.tx, 51);
	assert_true(p.counted);
	/* bytes of before we were there are the program's, but of no second that is known */
	f.flow.id = 11;
	f.flow.state = FLOW_LIVE;
	tell(w, &f);
	assert_int_equal(second_of(s).down, 600);
	assert_true(window_program(w, 3, &p));
	assert_int_equal(p.rx, 1200);
	window_stats(w, NULL);
	stats_free(s);
}

static void what_a_fallen_core_knew_is_recalled(void **state)
{
	static const struct {
		const char *why;
		uint64_t id;
		int64_t start_ms;
		uint16_t port;
		const char *name, *want;
		int32_t pid;
	} cases[] = {
		{ "the same", 9, 5, 443, "", "a.test", 77 },
		{ "the same, with its name", 9, 5, 443, "a.test", "a.test", 77 },
		{ "another name is not lost", 9, 5, 443, "b.test", "b.test", 0 },
		{ "an id used again", 9, 6, 443, "", "", 0 },
		{ "to another port", 9, 5, 80, "", "", 0 },
		{ "not known", 8, 5, 443, "", "", 0 },
	};
	struct window *w = *state;
	struct link_flow f = flow(9, 3, "a.test");

	f.flow.kind = FLOW_CONN;
	f.flow.start_ms = 5;
	f.flow.port = 443;
	f.flow.pid = 77;
	tell(w, &f);
	window_boot(w, 2);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct link_flow now = flow(cases[i].id, 3, cases[i].name);

		print_message("%s\n", cases[i].why);
		now.flow.kind = FLOW_CONN;
		now.flow.start_ms = cases[i].start_ms;
		now.flow.port = cases[i].port;
		window_recall(w, &now);
		assert_string_equal(now.flow.name, cases[i].want);
		assert_int_equal(now.flow.pid, cases[i].pid);
	}
}

static void what_the_filter_lets_through(void **state)
{
	static const struct {
		const char *why;
		struct window_filter filter;
		unsigned want;
	} cases[] = {
		{ "all", { 0 }, 4 },
		{ "whole path", { .program = "/usr/bin/curl" }, 2 },
		{ "last part", { .program = "curl" }, 3 },
		{ "not a piece of it", { .program = "url" }, 0 },
		{ "no program is known", { .program = "unknown" }, 1 },
		{ "host", { .name = "shop.test" }, 1 },
		{ "and below", { .name = ".shop.test" }, 3 },
		{ "only below", { .name = "*.shop.test" }, 2 },
		{ "verdict", { .by_verdict = true, .verdict = VERDICT_DENY }, 1 },
		{ "both", { .by_verdict = true, .verdict = VERDICT_DENY, .program = "wget" }, 0 },
	};
	static const struct {
		uint64_t serial;
		const char *name;
		enum verdict verdict;
	} flows[] = {
		{ 1, "shop.test", VERDICT_ALLOW },
		{ 1, "a.shop.test", VERDICT_DENY },
		{ 2, "b.a.shop.test", VERDICT_ALLOW },
		{ 99, "workshop.test", VERDICT_ALLOW },
	};
	struct window *w = *state;

	tell_program(w, 1, "/usr/bin/curl");
	tell_program(w, 2, "/tmp/curl");
	for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
		struct link_flow f = flow(i, flows[i].serial, flows[i].name);

		f.flow.verdict = (uint8_t)flows[i].verdict;
		tell(w, &f);
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(count(w, FLOW_QUERY, &cases[i].filter), cases[i].want);
	}
}

static void programs_sum_what_they_did(void **state)
{
	struct window *w = *state;
	struct link_flow f = flow(5, 1, "a.test");
	struct window_program p;

	tell_program(w, 1, "/usr/bin/curl");
	f.flow.kind = FLOW_CONN;
	f.flow.rx = 100;
	tell(w, &f);
	f.flow.rx = 250;
	f.flow.tx = 7;
	f.flow.verdict = VERDICT_DENY;
	tell(w, &f);
	tell(w, &f);
	tell_program(w, 1, "/usr/bin/curl2"); /* told again: what it did stays */
	assert_true(window_program(w, 1, &p));
	assert_string_equal(p.told.path, "/usr/bin/curl2");
	assert_int_equal(p.rx, 250);
	assert_int_equal(p.tx, 7);
	assert_int_equal(p.denied, 1);
	assert_int_equal(p.last_ms, 5);
	assert_false(window_program(w, 2, &p));
}

static void programs_are_bounded(void **state)
{
	struct window *w = *state;
	struct window_program p;
	const void *at = NULL;
	unsigned n = 0;

	tell_program(w, 1, "/usr/bin/first");
	for (uint64_t serial = 2; serial <= WINDOW_PROGRAMS_MAX + 10; serial++) {
		struct link_flow f = flow(serial, 1, "a.test");

		tell(w, &f); /* the first is in use all the time, so it stays */
		tell_program(w, serial, "/usr/bin/other");
	}
	while ((at = window_next_program(w, at, &p)))
		n++;
	assert_int_equal(n, WINDOW_PROGRAMS_MAX);
	assert_true(window_program(w, 1, &p));
	assert_false(window_program(w, 2, &p));
	assert_true(window_program(w, WINDOW_PROGRAMS_MAX + 10, &p));
}

#define WINDOW_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WINDOW_TEST(a_record_comes_back_whole),
		WINDOW_TEST(newest_first_and_the_oldest_leaves),
		WINDOW_TEST(told_again_it_keeps_its_place),
		WINDOW_TEST(what_a_core_left_is_of_unknown_state_until_the_next_tells),
		WINDOW_TEST(all_traffic_is_added_up_once),
		WINDOW_TEST(what_a_fallen_core_knew_is_recalled),
		WINDOW_TEST(what_the_filter_lets_through),
		WINDOW_TEST(programs_sum_what_they_did),
		WINDOW_TEST(programs_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
