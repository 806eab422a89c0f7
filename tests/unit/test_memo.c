/* SPDX-License-Identifier: GPL-2.0-or-later
 * the memo never says anything but what the rules say */
#include "gate/memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1800000000 };

static const char rules_text[] =
	"allow /usr/bin/curl .shop.test\n"
	"deny  /usr/bin/curl x.shop.test\n"
	"allow /usr/bin/curl .web.test:443/tcp\n"
	"allow /usr/bin/curl .many.test:1-9,20,30,40,50/tcp\n"
	"deny  any 192.0.2.0/28\n"
	"allow /usr/bin/curl 10.0.0.0/8\n"
	"deny  any 2001:db8:1::/48\n"
	"allow any .soon.test for 1m\n";

static struct ruleset *rules_of(const char *text, enum verdict fallback)
{
	struct rule_error err = { 0 };
	struct ruleset *rs;

	assert_int_equal(ruleset_new(fallback, VERDICT_ALLOW, &rs), 0);
	if (ruleset_add_text(rs, text, strlen(text), "t.rules", NOW, &err) < 0)
		fail_msg("%u:%u: %s", err.line, err.column, err.what);
	assert_int_equal(ruleset_ready(rs), 0);
	return rs;
}

static struct program program_of(const char *path, uint64_t serial)
{
	struct program p = { .actor = 7, .serial = serial, .known = true, .believed = true,
		.npaths = 1 };

	snprintf(p.path, sizeof(p.path), "%s", path);
	return p;
}

static void same_at_name(struct memo *m, const struct ruleset *rs, const struct program *who,
	const char *name, bool local, int64_t now_s)
{
	struct decision want, got;

	ruleset_at_name(rs, who, name, local, now_s, &want);
	memo_at_name(m, who, name, local, now_s, &got);
	assert_int_equal(got.verdict, want.verdict);
	assert_int_equal(got.reason, want.reason);
	assert_int_equal(got.rule, want.rule);
}

static void same_decision(const struct decision *a, const struct decision *b)
{
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->rule, b->rule);
}

static void same_ports(struct memo *m, const struct ruleset *rs, const struct program *who,
	const char *name, const char *addr, int64_t now_s)
{
	struct target to = { .name = name, .dir = FLOW_OUT };
	struct port_verdicts want, got;
	struct addr a;

	addr_parse(addr, &a);
	to.addr = &a;
	ruleset_ports(rs, who, &to, now_s, &want);
	memo_ports(m, who, &to, now_s, &got);
	same_decision(&got.rest, &want.rest);
	assert_int_equal(got.cut, want.cut);
	assert_int_equal(got.n, want.n);
	for (unsigned i = 0; i < want.n; i++) {
		assert_int_equal(got.at[i].proto, want.at[i].proto);
		assert_int_equal(got.at[i].lo, want.at[i].lo);
		assert_int_equal(got.at[i].hi, want.at[i].hi);
		same_decision(&got.at[i].decision, &want.at[i].decision);
	}
}

static const char *const names[] = { "www.shop.test", "x.shop.test", "a.x.shop.test",
	"web.test", "many.test", "other.test", "nas", "soon.test", "" };
static const char *const addrs[] = { "192.0.2.1", "192.0.2.200", "10.1.1.1", "2001:db8::1",
	"2001:db8:1::1" /* shares the last one's place */ };

static void all_same(struct memo *m, const struct ruleset *rs, int64_t now_s)
{
	/* the second and the third share a place */
	struct program who[] = { program_of("/usr/bin/curl", 11),
		program_of("/usr/bin/curl", 12), program_of("/usr/bin/wget", 12 + (1ull << 32)) };

	who[0].known = who[0].believed = false;
	for (size_t p = 0; p < 3; p++) {
		who[p].paths[0] = who[p].path;
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
			same_at_name(m, rs, &who[p], names[n], false, now_s);
			same_at_name(m, rs, &who[p], names[n], true, now_s);
			for (size_t a = 0; a < sizeof(addrs) / sizeof(addrs[0]); a++)
				same_ports(m, rs, &who[p], names[n], addrs[a], now_s);
		}
	}
}

static struct memo *memo_over(const struct ruleset *rs)
{
	struct memo *m;

	assert_int_equal(memo_new(&m), 0);
	memo_rules(m, rs);
	return m;
}

static void says_what_the_rules_say(void **state)
{
	struct ruleset *rs = rules_of(rules_text, VERDICT_DENY);
	struct memo *m = memo_over(rs);

	(void)state;
	for (int again = 0; again < 3; again++)
		all_same(m, rs, NOW);
	memo_free(m);
	ruleset_free(rs);
}

static void other_rules_other_answers(void **state)
{
	struct ruleset *rs = rules_of(rules_text, VERDICT_DENY);
	struct ruleset *open = rules_of("deny any x.shop.test\n", VERDICT_ALLOW);
	struct memo *m = memo_over(rs);

	(void)state;
	all_same(m, rs, NOW);
	memo_rules(m, open);
	all_same(m, open, NOW);
	memo_rules(m, rs);
	all_same(m, rs, NOW);
	memo_free(m);
	ruleset_free(rs);
	ruleset_free(open);
}

/* also when the clock is set back */
static void a_rule_that_ended_is_not_kept(void **state)
{
	static const int64_t times[] = { NOW, NOW + 59, NOW + 60, NOW + 61, NOW + 10, NOW + 60,
		NOW - 1000 };
	struct ruleset *rs = rules_of(rules_text, VERDICT_DENY);
	struct memo *m = memo_over(rs);
	struct program who = program_of("/usr/bin/wget", 12);
	struct decision d;

	(void)state;
	who.paths[0] = who.path;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		all_same(m, rs, times[i]);
	memo_at_name(m, &who, "soon.test", false, NOW, &d);
	assert_int_equal(d.verdict, VERDICT_UNDECIDED); /* but for an address that is denied */
	memo_at_name(m, &who, "soon.test", false, NOW + 60, &d);
	assert_int_equal(d.verdict, VERDICT_DENY);
	memo_free(m);
	ruleset_free(rs);
}

/* many more than there are places: whoever shares a place gets its own answer */
static void places_are_shared(void **state)
{
	struct ruleset *rs = rules_of(rules_text, VERDICT_DENY);
	struct memo *m = memo_over(rs);

	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		struct program who = program_of(i % 3 ? "/usr/bin/curl" : "/usr/bin/wget",
			100 + i % 3);
		char name[64];

		who.paths[0] = who.path;
		snprintf(name, sizeof(name), "n%u.%s", i * 7 % 20000,
			i % 2 ? "shop.test" : "x.shop.test");
		same_at_name(m, rs, &who, name, false, NOW);
		same_ports(m, rs, &who, name, addrs[i % 4], NOW);
	}
	memo_free(m);
	ruleset_free(rs);
}

static void local_names(void **state)
{
	struct memo *m = memo_over(NULL);

	(void)state;
	for (int again = 0; again < 2; again++)
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
			assert_int_equal(memo_local_name(m, names[n]),
				rules_local_name(names[n]));
	memo_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_the_rules_say),
		cmocka_unit_test(other_rules_other_answers),
		cmocka_unit_test(a_rule_that_ended_is_not_kept),
		cmocka_unit_test(places_are_shared),
		cmocka_unit_test(local_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
