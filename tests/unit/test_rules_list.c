/* SPDX-License-Identifier: GPL-2.0-or-later
 * rules that name lists: what they match, at name time and with an address */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/text.h"
#include "rules/listmake.h"
#include "rules/rules.h"

#include <string.h>

static struct list *names, *mixed, *nets;

static void give_back(void *bytes, size_t len)
{
	(void)len;
	free(bytes);
}

static struct list *made(const char *text)
{
	struct list_info about = { .source = "/a.txt" };
	struct list *l;
	void *bytes;
	size_t len;

	assert_int_equal(list_make(text, strlen(text), 7, &about, &bytes, &len), 0);
	assert_int_equal(list_open(bytes, len, give_back, &l), 0);
	return l;
}

static struct list *find(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "names") == 0 ? names : strcmp(name, "mixed") == 0 ? mixed
		: strcmp(name, "nets") == 0 ? nets : NULL;
}

static const struct {
	const char *why, *rules;
	enum verdict fallback;
	const char *name, *addr;
	bool in;
	enum verdict want;
} cases[] = {
	{ "listed", "deny any list:names", VERDICT_ALLOW, "x.ads.test", 0, 0, VERDICT_DENY },
	{ "not listed", "deny any list:names", VERDICT_ALLOW, "a.test", 0, 0, VERDICT_ALLOW },
	{ "allowed by it", "allow /x list:names", VERDICT_DENY, "ads.test", 0, 0, VERDICT_ALLOW },
	{ "another program", "allow /y list:names", VERDICT_DENY, "ads.test", 0, 0, VERDICT_DENY },
	{ "no such list", "deny any list:none", VERDICT_ALLOW, "ads.test", 0, 0, VERDICT_ALLOW },
	{ "nor allows", "allow any list:none", VERDICT_DENY, "ads.test", "192.0.2.1", 0,
		VERDICT_DENY },
	{ "an exception is a host before it", "deny any list:names\nallow any x.ads.test",
		VERDICT_ALLOW, "x.ads.test", 0, 0, VERDICT_ALLOW },
	{ "a list goes before a country's", "deny any list:names\nallow any internet",
		VERDICT_DENY, "ads.test", "9.9.9.9", 0, VERDICT_DENY },
	{ "addresses: not known at name time", "deny any list:nets\nallow any any",
		VERDICT_DENY, "a.test", 0, 0, VERDICT_UNDECIDED },
	{ "address listed", "deny any list:nets", VERDICT_ALLOW, "a.test", "192.0.2.9", 0,
		VERDICT_DENY },
	{ "address not listed", "deny any list:nets", VERDICT_ALLOW, "a.test", "192.0.3.9", 0,
		VERDICT_ALLOW },
	{ "no name", "deny any list:nets", VERDICT_ALLOW, 0, "192.0.2.9", 0, VERDICT_DENY },
	{ "inbound by address", "deny any list:nets in", VERDICT_ALLOW, 0, "192.0.2.9", 1,
		VERDICT_DENY },
	{ "mixed: its name decides at once", "deny any list:mixed\nallow any any",
		VERDICT_ALLOW, "ads.test", 0, 0, VERDICT_DENY },
	{ "mixed: another is looked up", "deny any list:mixed\nallow any any", VERDICT_DENY,
		"a.test", 0, 0, VERDICT_UNDECIDED },
	{ "mixed: and its address judged", "deny any list:mixed", VERDICT_ALLOW, "a.test",
		"192.0.2.1", 0, VERDICT_DENY },
	{ "with a port: only there", "deny any list:names:25/tcp", VERDICT_ALLOW, "ads.test",
		"9.9.9.9", 0, VERDICT_ALLOW },
	{ "the default would deny, a list may let", "allow any list:nets", VERDICT_DENY,
		"a.test", 0, 0, VERDICT_UNDECIDED },
};

/* alone, and among so many that they are looked up by the index */
static struct ruleset *ready(const char *text, enum verdict fallback, bool many)
{
	struct ruleset *rs;
	struct rule_error err;
	char more[64];

	assert_int_equal(ruleset_new(fallback, VERDICT_ALLOW, &rs), 0);
	ruleset_list_by(rs, find, NULL);
	assert_int_equal(ruleset_add_text(rs, text, strlen(text), "t", 5, &err), 0);
	for (unsigned i = 0; many && i < 64; i++) {
		snprintf(more, sizeof(more), "deny any h%u.other.test", i);
		assert_int_equal(ruleset_add_text(rs, more, strlen(more), "m", 5, &err), 0);
	}
	assert_int_equal(ruleset_ready(rs), 0);
	return rs;
}

static void decisions(void **state)
{
	struct program who = { .actor = 7, .known = true, .believed = true, .npaths = 1,
		.paths = { "/x" } };

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		size_t k = i / 2;
		struct ruleset *rs = ready(cases[k].rules, cases[k].fallback, i % 2);
		struct addr a = { 0 };
		struct target to = { .name = cases[k].name, .dir = cases[k].in };
		struct decision d;

		print_message("%s%s\n", cases[k].why, i % 2 ? ", among many" : "");
		if (cases[k].addr) {
			assert_int_equal(addr_parse(cases[k].addr, &a), 0);
			to.addr = &a;
			to.port = 443;
			to.proto = 6;
			ruleset_decide(rs, &who, &to, 9, &d);
		} else {
			ruleset_at_name(rs, &who, cases[k].name, false, 9, &d);
		}
		assert_int_equal(d.verdict, cases[k].want);
		ruleset_free(rs);
	}
}

/* one list's addresses keep a program from being let through as a whole */
static void whole(void **state)
{
	struct program who = { .actor = 7, .known = true };
	struct ruleset *rs = ready("deny any list:nets", VERDICT_ALLOW, false);
	struct whole w;
	bool narrows;

	(void)state;
	ruleset_whole(rs, &who, 9, &w);
	assert_int_equal(w.out.verdict, VERDICT_UNDECIDED);
	assert_false(ruleset_lets_all(rs, 9, &narrows));
	ruleset_free(rs);
	rs = ready("deny any list:names", VERDICT_ALLOW, false);
	ruleset_whole(rs, &who, 9, &w);
	assert_int_equal(w.out.verdict, VERDICT_ALLOW);
	assert_true(w.narrows);
	ruleset_free(rs);
}

/* a new ruleset may come before the old one and its lists go */
static void a_ruleset_keeps_its_lists(void **state)
{
	struct program who = { .actor = 7, .known = true };
	struct ruleset *rs;
	struct decision d;

	(void)state;
	names = made("||ads.test^");
	rs = ready("deny any list:names", VERDICT_ALLOW, false);
	list_unref(names);
	names = NULL;
	ruleset_at_name(rs, &who, "ads.test", false, 9, &d);
	assert_int_equal(d.verdict, VERDICT_DENY);
	ruleset_free(rs);
}

static void explained(void **state)
{
	struct program who = { .actor = 7, .known = true };
	struct ruleset *rs = ready("deny any list:names", VERDICT_ALLOW, false);
	struct target to = { .name = "x.ads.test" };
	char buf[1000];
	struct text t = text_into(buf, sizeof(buf));

	(void)state;
	ruleset_explain(rs, &who, &to, 9, &t);
	print_message("%s", buf);
	assert_non_null(strstr(buf, "[below ads.test, line 2 of /a.txt]"));
	assert_null(strstr(buf, "only if"));
	ruleset_free(rs);
}

static void list_named_by_a_text(void **state)
{
	char name[64];

	(void)state;
	rule_list_name("deny any list:ads:443/tcp for 2h", name, sizeof(name));
	assert_string_equal(name, "ads");
	rule_list_name("deny any list:443", name, sizeof(name));
	assert_string_equal(name, "");
	rule_list_name("deny any example.org", name, sizeof(name));
	assert_string_equal(name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions),
		cmocka_unit_test(whole),
		cmocka_unit_test(explained),
		cmocka_unit_test(list_named_by_a_text),
	};
	const struct CMUnitTest last[] = { cmocka_unit_test(a_ruleset_keeps_its_lists) };
	int failed;

	names = made("# the first\n||ads.test^\n");
	mixed = made("||ads.test^\n192.0.2.0/24\n");
	nets = made("192.0.2.0/24\n2001:db8::/32\n");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	list_unref(names);
	list_unref(mixed);
	list_unref(nets);
	return failed + cmocka_run_group_tests(last, NULL, NULL);
}
