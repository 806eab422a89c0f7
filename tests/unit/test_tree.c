/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "base/text.h"
#include "cli/choice.h"
#include "cli/rows.h"
#include "cli/tree.h"
#include "cli/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct tree_seen curl = { .id = 1, .start_ms = 1000, .live = true,
	.path = "/usr/bin/curl", .believed = true, .name = "a.shop.test", .domain = "shop.test",
	.address = "192.0.2.1", .country = "NL", .verdict = TREE_ALLOWED, .rx = 100, .tx = 10 };

static struct tree *tree(void)
{
	struct tree *t = NULL;

	assert_int_equal(tree_new(&t), 0);
	return t;
}

static struct tree_seen *seen(uint64_t id, const char *path, const char *name)
{
	static struct tree_seen s;

	s = curl;
	s.id = id;
	s.path = path;
	s.name = name;
	s.rx = s.tx = 0;
	return &s;
}

static const struct node *find(const struct tree *t, const char *label)
{
	for (const struct table_node *in = t->nodes.newest; in; in = in->older) {
		const struct node *n = container_of(in, const struct node, in);

		if (strcmp(n->label, label) == 0)
			return n;
	}
	return NULL;
}

static void sums_go_up(void **state)
{
	(void)state;
	struct tree *t = tree();
	struct tree_seen s = curl;

	tree_put(t, &s);
	s.id = 2;
	s.name = "b.shop.test";
	s.verdict = TREE_DENIED;
	s.live = false;
	s.rx = 1000;
	tree_put(t, &s);
	s.query = true; /* another with the same number */
	tree_put(t, &s);
	const struct node *n = find(t, "shop.test");
	assert_int_equal(n->rx, 2100);
	assert_int_equal(n->parent->rx, 2100);
	assert_int_equal(t->all.rx, 2100);
	assert_int_equal(n->flows, 2);
	assert_int_equal(n->live, 1);
	assert_int_equal(n->told[TREE_DENIED], 2);
	assert_int_equal(n->told[TREE_ALLOWED], 1);
	assert_int_equal(n->children, 2);
	tree_free(t);
}

static void told_again_is_counted_once(void **state)
{
	(void)state;
	struct tree *t = tree();
	struct tree_seen s = curl;

	tree_put(t, &s);
	s.rx = 150;
	tree_put(t, &s);
	s.rx = 120; /* an older page of the list */
	s.live = false;
	s.end_ms = 5000;
	tree_put(t, &s);
	assert_int_equal(t->all.rx, 150);
	assert_int_equal(t->all.flows, 1);
	assert_int_equal(t->all.live, 0);
	assert_int_equal(t->all.last_ms, 5000);
	assert_true(tree_count(t, 1, 400, 40, 6000));
	assert_int_equal(t->all.rx, 400);
	assert_false(tree_count(t, 9, 1, 1, 6000));
	s.start_ms = 9000; /* another start of the daemon: another connection */
	s.rx = 7;
	s.live = true;
	tree_put(t, &s);
	assert_int_equal(t->all.flows, 2);
	assert_int_equal(t->all.rx, 407);
	assert_int_equal(t->all.live, 1);
	s.start_ms = 500; /* and one of before, read late: counted, not known by its number */
	tree_put(t, &s);
	assert_int_equal(t->all.flows, 3);
	assert_int_equal(t->all.live, 1);
	tree_count(t, 1, 20, 10, 9500);
	assert_int_equal(t->all.rx, 414 + 13);
	tree_free(t);
}

static void rates_fall_when_nothing_comes(void **state)
{
	(void)state;
	struct tree *t = tree();
	struct tree_seen s = curl;

	tree_put(t, &s);
	tree_settle(t, 1000); /* what came before is no rate */
	tree_tick(t, 2000);
	assert_true(t->all.rx_rate == 0);
	tree_count(t, 1, 1100, 10, 2500);
	tree_tick(t, 3000);
	assert_in_range((int)find(t, "curl")->rx_rate, 399, 401);
	for (int i = 0; i < 40; i++)
		tree_tick(t, 4000 + i * 1000);
	assert_true(t->all.rx_rate == 0);
	tree_free(t);
}

static void text_from_outside_is_made_safe(void **state)
{
	(void)state;
	struct tree *t = tree();
	struct tree_seen s = curl;

	s.path = "/tmp/\033[2J\xe2\x80\xaex";
	tree_put(t, &s);
	assert_non_null(find(t, "\\x1b[2J\\xe2\\x80\\xaex"));
	tree_free(t);
}

static void the_host_not_told_of_for_longest_leaves(void **state)
{
	(void)state;
	struct tree *t = tree();
	char name[64];

	tree_put(t, seen(1, "/bin/old", "first.test"));
	t->chosen = (struct node *)find(t, "first.test");
	for (unsigned i = 0; i < 2 * TREE_NODES_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.shop.test", i);
		assert_int_equal(tree_put(t, seen(2 + i, "/bin/new", name)), 0);
		if (i == TREE_NODES_MAX / 2)
			assert_non_null(find(t, "first.test"));
	}
	assert_null(find(t, "first.test"));
	assert_null(find(t, "old")); /* nothing is left below it */
	assert_null(t->chosen);
	assert_true(t->nodes.count <= TREE_NODES_MAX);
	assert_true(t->records.count <= TREE_RECORDS_MAX);
	assert_int_equal(t->all.flows, find(t, "new")->flows);
	assert_int_equal(t->all.told[TREE_ALLOWED], t->all.flows);
	assert_int_equal(t->all.live, t->records.count);
	tree_free(t);
}

static struct tree *shop(void)
{
	static const struct {
		const char *path, *name, *domain, *country;
		enum tree_verdict verdict;
		uint64_t rx;
	} all[] = {
		{ "/usr/bin/curl", "a.shop.test", "shop.test", "NL", TREE_ALLOWED, 10 },
		{ "/usr/bin/curl", "b.shop.test", "shop.test", "DE", TREE_DENIED, 30 },
		{ "/usr/bin/curl", "x.ads.example", "ads.example", NULL, TREE_DENIED, 5 },
		{ "/usr/bin/apt", "deb.test", "deb.test", NULL, TREE_ALLOWED, 99 },
		{ NULL, NULL, NULL, NULL, TREE_OPEN, 1 },
	};
	struct tree *t = tree();

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		struct tree_seen s = curl;

		s.id = i + 1;
		s.path = all[i].path;
		s.believed = all[i].path;
		s.name = all[i].name;
		s.domain = all[i].domain;
		s.country = all[i].country;
		s.verdict = all[i].verdict;
		s.rx = all[i].rx;
		s.start_ms = 1000 + i;
		tree_put(t, &s);
	}
	return t;
}

static void lines(struct tree *t, struct order o, const char *filter, char *out, size_t max)
{
	struct rows r = { 0 };
	struct text text = text_into(out, max);

	assert_int_equal(rows_build(&r, t, o, filter), 0);
	for (size_t i = 0; i < r.n; i++)
		text_addf(&text, "%s%*s%s", i ? "|" : "", r.at[i]->kind - 1, "", r.at[i]->label);
	rows_done(&r);
}

static void what_is_open_and_passes_in_order(void **state)
{
	(void)state;
	static const struct {
		const char *why;
		struct order o;
		const char *open, *filter, *want;
	} cases[] = {
		{ "closed", { BY_NAME, false }, "", "", "apt|curl|unknown program" },
		{ "falling", { BY_DOWN, true }, "", "", "apt|curl|unknown program" },
		{ "rising", { BY_DOWN, false }, "", "", "unknown program|curl|apt" },
		{ "denied first", { BY_VERDICT, true }, "", "", "curl|apt|unknown program" },
		{ "the last first", { BY_LAST, true }, "", "", "unknown program|apt|curl" },
		{ "one open", { BY_DOWN, true }, "curl", "",
			"apt|curl| shop.test| ads.example|unknown program" },
		{ "two open", { BY_DOWN, true }, "curl shop.test", "",
			"apt|curl| shop.test|  b.shop.test|  a.shop.test| ads.example|"
			"unknown program" },
		{ "a hit below opens", { BY_NAME, false }, "", "x.ads",
			"curl| ads.example|  x.ads.example" },
		{ "all below a hit passes", { BY_NAME, false }, "shop.test", "SHOP",
			"curl| shop.test|  a.shop.test|  b.shop.test" },
		{ "a path", { BY_NAME, false }, "", "/usr/bin/", "apt|curl" },
		{ "a path, and all below", { BY_NAME, false }, "apt deb.test", "/bin/apt",
			"apt| deb.test|  deb.test" },
		{ "a country", { BY_NAME, false }, "", "de",
			"apt| deb.test|curl| shop.test|  b.shop.test" },
		{ "nothing", { BY_NAME, false }, "", "nowhere", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tree *t = shop();
		char got[1024];

		print_message("%s\n", cases[i].why);
		for (struct table_node *in = t->nodes.newest; in; in = in->older) {
			struct node *n = container_of(in, struct node, in);

			n->open = strstr(cases[i].open, n->label) != NULL;
		}
		lines(t, cases[i].o, cases[i].filter, got, sizeof(got));
		assert_string_equal(got, cases[i].want);
		tree_free(t);
	}
}

static void read_again_it_looks_the_same(void **state)
{
	(void)state;
	struct tree *old = shop(), *t = shop();

	((struct node *)find(old, "curl"))->open = true;
	old->chosen = (struct node *)find(old, "b.shop.test");
	tree_like(t, old);
	assert_true(find(t, "curl")->open);
	assert_false(find(t, "apt")->open);
	assert_ptr_equal(t->chosen, find(t, "b.shop.test"));
	tree_free(t);
	t = tree();
	tree_put(t, seen(1, "/usr/bin/curl", "z.shop.test"));
	tree_like(t, old); /* the host is gone: what it was below is chosen */
	assert_ptr_equal(t->chosen, find(t, "shop.test"));
	tree_free(old);
	tree_free(t);
}

static void the_country_most_goes_to(void **state)
{
	(void)state;
	struct tree *t = shop();

	assert_string_equal(tree_country(find(t, "a.shop.test")), "NL");
	assert_string_equal(tree_country(find(t, "shop.test")), "DE");
	assert_string_equal(tree_country(find(t, "curl")), "DE");
	assert_string_equal(tree_country(find(t, "ads.example")), "");
	tree_free(t);
}

static void the_rule_of_a_row(void **state)
{
	(void)state;
	static const struct {
		const char *why, *path, *name, *domain, *address, *row;
		bool allow, one_user;
		enum choice_width width;
		unsigned life;
		const char *want; /* NULL: there is no such width */
	} cases[] = {
		{ "a host", "/bin/a", "x.y.shop.test", "shop.test", NULL, "x.y.shop.test",
			true, false, WIDTH_HOST, 0, "allow /bin/a x.y.shop.test" },
		{ "what is between", "/bin/a", "x.y.shop.test", "shop.test", NULL,
			"x.y.shop.test", false, false, WIDTH_PARENT, 0, "deny /bin/a .y.shop.test" },
		{ "no label's boundary", "/bin/a", "x.y.ashop.test", "shop.test", NULL,
			"x.y.ashop.test", false, false, WIDTH_PARENT, 0, NULL },
		{ "nothing is between", "/bin/a", "y.shop.test", "shop.test", NULL,
			"y.shop.test", false, false, WIDTH_PARENT, 0, NULL },
		{ "the domain itself", "/bin/a", "shop.test", "shop.test", NULL, "shop.test",
			false, false, WIDTH_PARENT, 0, NULL },
		{ "its domain", "/bin/a", "x.y.shop.test", "shop.test", NULL, "x.y.shop.test",
			false, false, WIDTH_DOMAIN, 2, "deny /bin/a .shop.test for 1h" },
		{ "a domain's row", "/bin/a", "y.shop.test", "shop.test", NULL, "shop.test",
			false, false, WIDTH_DOMAIN, 0, "deny /bin/a .shop.test" },
		{ "a domain is no host", "/bin/a", "y.shop.test", "shop.test", NULL,
			"shop.test", false, false, WIDTH_HOST, 0, NULL },
		{ "an address", "/bin/a", NULL, NULL, "2001:db8::1", "2001:db8::1",
			false, false, WIDTH_HOST, 0, "deny /bin/a 2001:db8::1" },
		{ "an address has no domain", "/bin/a", NULL, NULL, "192.0.2.1", "192.0.2.1",
			false, false, WIDTH_DOMAIN, 0, NULL },
		{ "a program", "/bin/a", "y.shop.test", "shop.test", NULL, "a",
			false, true, WIDTH_ANY, 0, "deny /bin/a+uid:0 any" },
		{ "blanks", "/opt/My \"App\"", "y.test", "y.test", NULL, "y.test",
			false, false, WIDTH_HOST, 0, "deny \"/opt/My \\\"App\\\"\" y.test" },
		{ "nobody knows it", NULL, "y.test", "y.test", NULL, "y.test",
			false, true, WIDTH_HOST, 0, "deny unknown y.test" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tree *t = tree();
		const struct node *row = NULL;
		struct choice c;
		struct tree_seen s = { .id = 1, .start_ms = 1, .path = cases[i].path,
			.believed = cases[i].path, .name = cases[i].name,
			.domain = cases[i].domain, .address = cases[i].address };
		char rule[256];

		print_message("%s\n", cases[i].why);
		tree_put(t, &s);
		for (struct table_node *in = t->nodes.oldest; in; in = in->newer) {
			struct node *n = container_of(in, struct node, in);

			/* a domain and its host of the same name: the host unless said */
			if (strcmp(n->label, cases[i].row) == 0 &&
				(!row || n->kind > row->kind))
				row = n;
		}
		assert_non_null(row);
		choice_init(&c, row, cases[i].allow);
		c.width = cases[i].width;
		c.one_user = cases[i].one_user;
		c.life = cases[i].life;
		assert_int_equal(choice_rule(&c, rule, sizeof(rule)), cases[i].want != NULL);
		if (cases[i].want)
			assert_string_equal(rule, cases[i].want);
		tree_free(t);
	}
}

static void amounts(void **state)
{
	(void)state;
	static const struct {
		uint64_t n;
		const char *want;
	} cases[] = { { 0, "0 B" }, { 999, "999 B" }, { 1000, "1.0 kB" }, { 9940, "9.9 kB" },
		{ 9960, "10 kB" }, { 999499, "999 kB" }, { 999500, "1.0 MB" },
		{ UINT64_MAX, "18 EB" } };
	static const struct {
		int64_t ago_ms;
		const char *want;
	} times[] = { { -5000, "now" }, { 2000, "now" }, { 3000, "3 s" }, { 59000, "59 s" },
		{ 60000, "1 min" }, { 7200000, "2 h" }, { 172800000, "2 d" } };
	char out[UNITS_MAX];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(units_bytes(cases[i].n, out), cases[i].want);
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		assert_string_equal(units_ago(1000000000, 1000000000 + times[i].ago_ms, out),
			times[i].want);
	assert_string_equal(units_rate(0.2, out), "");
	assert_string_equal(units_rate(84000, out), "84 kB/s");
	assert_string_equal(units_ago(0, 1, out), "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_go_up),
		cmocka_unit_test(told_again_is_counted_once),
		cmocka_unit_test(rates_fall_when_nothing_comes),
		cmocka_unit_test(text_from_outside_is_made_safe),
		cmocka_unit_test(the_host_not_told_of_for_longest_leaves),
		cmocka_unit_test(what_is_open_and_passes_in_order),
		cmocka_unit_test(read_again_it_looks_the_same),
		cmocka_unit_test(the_country_most_goes_to),
		cmocka_unit_test(the_rule_of_a_row),
		cmocka_unit_test(amounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
