/* SPDX-License-Identifier: GPL-2.0-or-later
 * lists of names and addresses: every format, the compiled file, and a plain search */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/macros.h"
#include "rules/listfile.h"
#include "rules/listmake.h"

#include <errno.h>

static void give_back(void *bytes, size_t len)
{
	(void)len;
	free(bytes);
}

static struct list *made(const char *text, enum list_format format)
{
	struct list_info about = { .format = format, .source = "test" };
	struct list *l;
	void *bytes;
	size_t len;

	if (list_make(text, strlen(text), 0x123456789abcdef, &about, &bytes, &len) < 0)
		return NULL;
	assert_int_equal(list_open(bytes, len, give_back, &l), 0);
	return l;
}

static const struct {
	const char *why, *text;
	enum list_format format;
	const char *ask;
	bool want;
} cases[] = {
	{ "plain: itself", "ads.test\n", LIST_PLAIN, "ads.test", true },
	{ "plain: not below", "ads.test\n", LIST_PLAIN, "x.ads.test", false },
	{ "plain: no end of line, upper case, dot", "ADS.test.", LIST_PLAIN, "ads.test", true },
	{ "plain: carriage return", "ads.test\r\n", LIST_PLAIN, "ads.test", true },
	{ "plain: comment behind", "ads.test # why\n", LIST_PLAIN, "ads.test", true },
	{ "plain: byte order mark", "\xef\xbb\xbf" "ads.test\n", LIST_AUTO, "ads.test", true },
	{ "dot: below", ".ads.test\n", LIST_AUTO, "a.b.ads.test", true },
	{ "dot: itself", ".ads.test\n", LIST_AUTO, "ads.test", true },
	{ "star: below", "*.ads.test\n", LIST_AUTO, "a.ads.test", true },
	{ "star: not itself", "*.ads.test\n", LIST_AUTO, "ads.test", false },
	{ "star: not a label's end", "*.ads.test\n", LIST_AUTO, "a.bads.test", false },
	{ "hosts: second name", "0.0.0.0 a.test b.test\n", LIST_AUTO, "b.test", true },
	{ "hosts: tab and v6", "::\tb.test\n", LIST_HOSTS, "b.test", true },
	{ "hosts: not below", "0.0.0.0 a.test\n", LIST_AUTO, "x.a.test", false },
	{ "hosts: the machine's own", "127.0.0.1 localhost\n0.0.0.0 a.test\n", LIST_AUTO,
		"localhost", false },
	{ "adblock: itself", "||ads.test^\n", LIST_AUTO, "ads.test", true },
	{ "adblock: below", "||ads.test^\n", LIST_AUTO, "x.ads.test", true },
	{ "adblock: exception", "||test^\n@@||good.test^\n", LIST_AUTO, "x.good.test", false },
	{ "adblock: exception spares others", "||test^\n@@||good.test^\n", LIST_AUTO,
		"bad.test", true },
	{ "adblock: exception above wins too", "||a.x.test^\n@@||x.test^\n", LIST_AUTO,
		"a.x.test", false },
	{ "adblock: important", "||ads.test^$important\n", LIST_AUTO, "ads.test", true },
	{ "adblock: an option of browsers", "||ads.test^$third-party\n||b.test^\n", LIST_AUTO,
		"ads.test", false },
	{ "adblock: a path", "||ads.test/x^\n||b.test^\n", LIST_AUTO, "ads.test", false },
	{ "adblock: cosmetic", "ads.test##.x\n||b.test^\n", LIST_AUTO, "ads.test", false },
	{ "dnsmasq: address", "address=/ads.test/\n", LIST_AUTO, "x.ads.test", true },
	{ "dnsmasq: two names", "address=/a.test/b.test/0.0.0.0\n", LIST_AUTO, "b.test", true },
	{ "dnsmasq: local", "local=/ads.test/\n", LIST_DNSMASQ, "ads.test", true },
	{ "dnsmasq: server", "server=/ads.test/\n", LIST_AUTO, "ads.test", true },
	{ "dnsmasq: a route", "server=/ads.test/192.0.2.1\nb.test\n", LIST_AUTO, "ads.test",
		false },
	{ "rpz: itself", "$ORIGIN r.test.\nads.example CNAME .\n", LIST_AUTO, "ads.example",
		true },
	{ "rpz: not below", "$ORIGIN r.test.\nads.example CNAME .\n", LIST_AUTO,
		"x.ads.example", false },
	{ "rpz: wildcard", "*.ads.example 60 IN CNAME *.\n", LIST_RPZ, "x.ads.example", true },
	{ "rpz: the zone's name is cut", "$TTL 60\nr.test. IN SOA a. b. (1 2\n3 4 5)\n"
		"ads.example.r.test. IN CNAME .\n", LIST_AUTO, "ads.example", true },
	{ "rpz: passthru nearer", "*.example CNAME .\ngood.example CNAME rpz-passthru.\n",
		LIST_RPZ, "good.example", false },
	{ "rpz: block nearer", "*.example CNAME rpz-passthru.\nbad.example CNAME .\n",
		LIST_RPZ, "bad.example", true },
	{ "rpz: local data is none", "ads.example CNAME other.test.\nb.example CNAME .\n",
		LIST_RPZ, "ads.example", false },
	{ "another format's line", "||a.test^\nb.test\n", LIST_PLAIN, "a.test", false },
	{ "prose", "this is prose\nb.test\n", LIST_AUTO, "prose", false },
	{ "a public suffix", "||zip^\n", LIST_AUTO, "x.zip", true },
	{ "a label that begins alike", "abcdefgh.test\n", LIST_AUTO, "abcdefg.test", false },
	{ "cidr: prefix", "192.0.2.0/24\n", LIST_AUTO, "@192.0.2.77", true },
	{ "cidr: outside", "192.0.2.0/24\n", LIST_AUTO, "@192.0.3.0", false },
	{ "cidr: range", "192.0.2.4-192.0.2.9\n", LIST_CIDR, "@192.0.2.9", true },
	{ "cidr: one", "192.0.2.4\n", LIST_CIDR, "@192.0.2.4", true },
	{ "cidr: v6", "2001:db8::/32\n", LIST_AUTO, "@2001:db8:ffff::1", true },
	{ "cidr: v6 outside", "2001:db8::/32\n", LIST_AUTO, "@2001:db9::", false },
	{ "cidr: within one before", "10.0.0.0/8\n10.1.0.0/16\n", LIST_AUTO, "@10.200.0.1",
		true },
	{ "rpz: address", "24.0.2.0.192.rpz-ip CNAME .\n", LIST_RPZ, "@192.0.2.9", true },
};

static void formats(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct list *l = made(cases[i].text, cases[i].format);
		struct addr a;

		print_message("%s\n", cases[i].why);
		if (!l) {
			assert_false(cases[i].want);
			continue;
		}
		if (cases[i].ask[0] == '@') {
			assert_int_equal(addr_parse(cases[i].ask + 1, &a), 0);
			assert_int_equal(list_find_addr(l, &a, NULL), cases[i].want);
		} else {
			assert_int_equal(
				list_find_name(l, cases[i].ask, NULL), cases[i].want);
		}
		list_unref(l);
	}
}

static void the_entry_is_told(void **state)
{
	struct list *l = made("# one\na.test\n||b.test^\n192.0.2.0/24\n", LIST_AUTO);
	struct list_entry e;
	struct list_info about;
	struct addr a;

	(void)state;
	assert_true(list_find_name(l, "x.b.test", &e));
	assert_string_equal(e.name, "b.test");
	assert_true(e.below);
	assert_int_equal(e.line, 3);
	addr_parse("192.0.2.200", &a);
	assert_true(list_find_addr(l, &a, &e));
	assert_null(e.name);
	assert_int_equal(e.hi.b[3], 255);
	list_about(l, &about);
	assert_int_equal(about.names, 2);
	assert_int_equal(about.ranges, 1);
	assert_string_equal(about.source, "test");
	list_unref(l);
}

static void nothing_in_it(void **state)
{
	struct list_info about = { 0 };
	const char *html = "<html>\n<body>no list</body>\n";
	void *bytes;
	size_t len;

	(void)state;
	assert_int_equal(list_make("", 0, 1, &about, &bytes, &len), -ENODATA);
	assert_int_equal(list_make(html, strlen(html), 1, &about, &bytes, &len), -ENODATA);
}

/* every byte of a file, damaged, and every length of it: refused */
static void damage_is_refused(void **state)
{
	const char *text = "||a.test^\nb.test\n192.0.2.0/24\n2001:db8::/32\n";
	struct list_info about = { .source = "test" };
	struct list *l;
	uint8_t *bytes;
	size_t len;

	(void)state;
	assert_int_equal(list_make(text, strlen(text), 99, &about, (void **)&bytes, &len), 0);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 0x40;
		assert_int_equal(list_open(bytes, len, NULL, &l), -EBADMSG);
		bytes[i] ^= 0x40;
		assert_int_equal(list_open(bytes, i, NULL, &l), -EBADMSG);
	}
	assert_int_equal(list_open(bytes, len, give_back, &l), 0);
	list_unref(l);
}

enum { NAMES = 3000 };

/* names over a small alphabet, so that many are below others */
static void random_name(char out[static HOST_MAX], unsigned *seed)
{
	unsigned labels = 1 + (unsigned)rand_r(seed) % 4;
	size_t n = 0;

	for (unsigned i = 0; i < labels; i++)
		n += (size_t)sprintf(out + n, "%s%c%u", i ? "." : "",
			'a' + rand_r(seed) % 26, (unsigned)rand_r(seed) % 9);
}

static bool naive(char names[][HOST_MAX], const unsigned *kinds, const char *ask)
{
	bool in = false;

	for (size_t i = 0; i < NAMES; i++) {
		bool self = strcmp(names[i], ask) == 0, under = host_covers(names[i], ask);

		if (kinds[i] == 3 && under)
			return false;
		in = in || (kinds[i] == 0 && self) || (kinds[i] == 1 && under && !self) ||
			(kinds[i] == 2 && under);
	}
	return in;
}

static void agrees_with_a_plain_search(void **state)
{
	static const char *const before[] = { "", "*.", "||", "@@||" };
	static const char *const behind[] = { "", "", "^", "^" };
	static char names[NAMES][HOST_MAX], text[NAMES * 64];
	static unsigned kinds[NAMES];
	unsigned seed = 4711, hits = 0;
	struct list *l;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < NAMES; i++) {
		random_name(names[i], &seed);
		kinds[i] = (unsigned)rand_r(&seed) % 16;
		kinds[i] = kinds[i] < 8 ? 0 : kinds[i] < 11 ? 1 : kinds[i] < 15 ? 2 : 3;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%s\n", before[kinds[i]], names[i],
			behind[kinds[i]]);
	}
	l = made(text, LIST_AUTO);
	for (size_t i = 0; i < 4 * NAMES; i++) {
		char ask[HOST_MAX];
		bool want;

		random_name(ask, &seed);
		want = naive(names, kinds, ask);
		hits += want;
		if (list_find_name(l, ask, NULL) != want)
			fail_msg("%s", ask);
	}
	print_message("%u of %u names were listed\n", hits, 4 * NAMES);
	assert_true(hits > 100);
	list_unref(l);
}

static void names_of_lists(void **state)
{
	(void)state;
	assert_true(list_name_ok("trackers-2"));
	assert_false(list_name_ok(""));
	assert_false(list_name_ok("../x"));
	assert_false(list_name_ok(".x"));
	assert_false(list_name_ok("a/b"));
	assert_false(list_name_ok("Upper"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats),
		cmocka_unit_test(the_entry_is_told),
		cmocka_unit_test(nothing_in_it),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(agrees_with_a_plain_search),
		cmocka_unit_test(names_of_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
