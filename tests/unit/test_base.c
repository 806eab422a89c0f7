/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/addr.h"
#include "base/host.h"
#include "base/instance.h"
#include "base/list.h"
#include "base/macros.h"
#include "base/table.h"
#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void host_names(void **state)
{
	static const struct {
		const char *why, *in, *want; /* want NULL: refused */
	} cases[] = {
		{ "lower case, dot gone", "WWW.Example.ORG.", "www.example.org" },
		{ "the root", ".", "" },
		{ "nothing is the root too", "", "" },
		{ "underscore", "_dmarc.example.org", "_dmarc.example.org" },
		{ "an escape stays one", "a\\032b.org", "a\\032b.org" },
		{ "an escaped capital folds", "\\065.org", "a.org" },
		{ "an escaped letter is the letter", "\\097.org", "a.org" },
		{ "empty label", "a..b", NULL },
		{ "leading dot", ".a", NULL },
		{ "a blank", "a b", NULL },
		{ "escape over 255", "\\256.a", NULL },
		{ "escape cut short", "\\25", NULL },
		{ "label of 64",
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[HOST_MAX];
		int r = host_parse(cases[i].in, out);

		print_message("%s\n", cases[i].why);
		if (!cases[i].want) {
			assert_true(r < 0);
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(out, cases[i].want);
	}
}

static void host_wire(void **state)
{
	uint8_t out[HOST_WIRE_MAX];

	(void)state;
	assert_int_equal(host_to_wire("ab.c", out), 6);
	assert_memory_equal(out, "\2ab\1c", 6);
	assert_int_equal(host_to_wire("", out), 1);
	assert_int_equal(host_to_wire("a\\046b.c", out), 7);
	assert_memory_equal(out, "\3a.b\1c", 7);
}

/* 253 plain characters are 255 bytes on the wire: the longest name there is */
static void host_longest(void **state)
{
	char name[300], out[HOST_MAX];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[253] = '\0';
	assert_int_equal(host_parse(name, out), 0);
	assert_int_equal(strlen(out), 253);
	name[253] = 'a';
	name[254] = '\0';
	assert_int_equal(host_parse(name, out), -ENAMETOOLONG);
}

static void host_cover(void **state)
{
	static const struct {
		const char *why, *domain, *host;
		bool want;
	} cases[] = {
		{ "below", "example", "ads.example", true },
		{ "the apex", "example", "example", true },
		{ "not a label boundary", "example", "badexample", false },
		{ "the root covers all", "", "a.b", true },
		{ "longer than the host", "a.example", "example", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(host_covers(cases[i].domain, cases[i].host), cases[i].want);
	}
}

static void host_reverse(void **state)
{
	struct addr a;
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(host_reverse_parse("4.3.2.1.in-addr.arpa", &a), 0);
	assert_string_equal(addr_text(&a, text), "1.2.3.4");
	assert_int_equal(host_reverse_parse("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0."
					    "0.0.0.0.1.2.3.4.ip6.arpa",
				 &a),
		0);
	assert_string_equal(addr_text(&a, text), "4321:0:1:2:3:4:567:89ab");
	assert_true(host_reverse_parse("300.3.2.1.in-addr.arpa", &a) < 0);
	assert_true(host_reverse_parse("example.org", &a) < 0);
}

static void addr_zones(void **state)
{
	static const struct {
		const char *text;
		enum zone want;
	} cases[] = {
		{ "127.0.0.53", ZONE_LOCALHOST }, { "0.0.0.0", ZONE_LOCALHOST },
		{ "::1", ZONE_LOCALHOST }, { "::", ZONE_LOCALHOST },
		{ "::ffff:127.0.0.1", ZONE_LOCALHOST }, { "64:ff9b::7f00:1", ZONE_LOCALHOST },
		{ "10.1.2.3", ZONE_LAN }, { "172.31.0.1", ZONE_LAN },
		{ "172.32.0.1", ZONE_INTERNET }, { "192.168.3.4", ZONE_LAN },
		{ "169.254.1.1", ZONE_LAN }, { "100.64.0.1", ZONE_LAN },
		{ "fd00::1", ZONE_LAN }, { "fe80::1", ZONE_LAN },
		{ "224.0.0.251", ZONE_MULTICAST }, { "255.255.255.255", ZONE_MULTICAST },
		{ "ff02::fb", ZONE_MULTICAST }, { "8.8.8.8", ZONE_INTERNET },
		{ "2606:4700::1", ZONE_INTERNET }, { "240.240.0.1", ZONE_INTERNET },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr a;

		print_message("%s\n", cases[i].text);
		assert_int_equal(addr_parse(cases[i].text, &a), 0);
		assert_int_equal(addr_zone(&a), cases[i].want);
	}
}

static void addr_ports(void **state)
{
	static const struct {
		const char *in, *want;
		uint16_t port;
		int r;
	} cases[] = {
		{ "1.2.3.4", "1.2.3.4", 53, 0 }, { "1.2.3.4:5300", "1.2.3.4", 5300, 0 },
		{ "::1", "::1", 53, 0 }, { "[::1]:5300", "::1", 5300, 0 },
		{ "[::1]", "::1", 53, 0 }, { "1.2.3.4:0", NULL, 0, -1 },
		{ "1.2.3.4:65536", NULL, 0, -1 }, { "[::1]x", NULL, 0, -1 },
		{ "1.2.3.4:", NULL, 0, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr a;
		uint16_t port = 53;
		char text[ADDR_TEXT_MAX];
		int r = addr_parse_port(cases[i].in, &a, &port);

		print_message("%s\n", cases[i].in);
		assert_int_equal(r < 0, cases[i].r < 0);
		if (r < 0)
			continue;
		assert_string_equal(addr_text(&a, text), cases[i].want);
		assert_int_equal(port, cases[i].port);
	}
}

static void addr_prefixes(void **state)
{
	struct addr a, net;

	(void)state;
	assert_int_equal(addr_parse("10.1.130.3", &a), 0);
	assert_int_equal(addr_parse("10.1.128.0", &net), 0);
	assert_true(addr_in_prefix(&a, &net, 17));
	assert_false(addr_in_prefix(&a, &net, 24));
	assert_true(addr_in_prefix(&a, &net, 0));
	assert_false(addr_in_prefix(&a, &net, 33));
}

static void texts(void **state)
{
	char buf[64], time[TEXT_TIME_MAX];
	struct text t = text_into(buf, sizeof(buf));
	int64_t v;
	uint64_t size;

	(void)state;
	text_add_safe(&t, "a\nb\xff\xc3\xa9\xe2\x80\xae");
	assert_string_equal(buf, "a\\x0ab\\xff\xc3\xa9\\xe2\\x80\\xae");
	t = text_into(buf, 4);
	text_add(&t, "abcdef");
	assert_string_equal(buf, "abc");
	assert_true(t.cut);
	assert_int_equal(text_duration_s("2h", &v), 0);
	assert_int_equal(v, 7200);
	assert_true(text_duration_s("2", &v) < 0);
	assert_true(text_duration_s("0s", &v) < 0);
	assert_int_equal(text_duration_ms("300ms", &v), 0);
	assert_int_equal(v, 300);
	assert_int_equal(text_size("32MB", &size), 0);
	assert_int_equal(size, 32000000);
	assert_string_equal(text_time(1700000000123, time), "2023-11-14T22:13:20.123Z");
}

static void times_are_read(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t ms;
	} cases[] = {
		{ "2023-11-14T22:13:20.123Z", 0, 1700000000123 },
		{ "2023-11-14T22:13:20Z", 0, 1700000000000 },
		{ "2023-11-14T23:13:20+01:00", 0, 1700000000000 },
		{ "2023-11-14T16:43:20.5-05:30", 0, 1700000000500 },
		{ "2023-11-14T22:13:20.123456789Z", 0, 1700000000123 },
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2023-11-14T22:13:20", -EINVAL, 0 },
		{ "2023-11-14T22:13:20.Z", -EINVAL, 0 },
		{ "2023-11-14T22:13:20+1:00", -EINVAL, 0 },
		{ "2023-11-14T22:13:20+01:0", -EINVAL, 0 },
		{ "2023-11-14T22:13:20Zx", -EINVAL, 0 },
		{ "2023-11-14", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t ms = 0;

		print_message("%s\n", cases[i].text);
		assert_int_equal(text_time_read(cases[i].text, &ms), cases[i].r);
		assert_int_equal(ms, cases[i].ms);
	}
}


struct item {
	struct table_node node;
	int key;
};

static bool item_is(const struct table_node *n, const void *key)
{
	return container_of(n, const struct item, node)->key == *(const int *)key;
}

static void tables(void **state)
{
	struct item items[5] = { { .key = 0 }, { .key = 1 }, { .key = 2 }, { .key = 3 },
		{ .key = 4 } };
	struct table t;
	struct table_node *n;

	(void)state;
	assert_int_equal(table_init(&t, 4), 0);
	for (int i = 0; i < 4; i++) {
		uint64_t h = table_hash(&t, &items[i].key, sizeof(int));

		assert_int_equal(table_add(&t, &items[i].node, h), 0);
	}
	assert_int_equal(table_add(&t, &items[4].node, 7), -ENOSPC);
	n = table_find(&t, table_hash(&t, &items[0].key, sizeof(int)), item_is, &items[0].key);
	assert_ptr_equal(n, &items[0].node);
	table_use(&t, n);
	assert_ptr_equal(table_oldest(&t), &items[1].node);
	table_remove(&t, &items[1].node);
	assert_ptr_equal(table_oldest(&t), &items[2].node);
	assert_null(table_find(&t, table_hash(&t, &items[1].key, sizeof(int)), item_is,
		&items[1].key));
	assert_int_equal(t.count, 3);
	table_done(&t);
}

static void instances(void **state)
{
	const struct instance main_one = { .magic = 0x53 }, third = { .magic = 0x55 };
	char text[ADDR_TEXT_MAX];
	struct addr a = instance_source(&third, 4, 0x1fff);

	(void)state;
	assert_string_equal(addr_text(&a, text), "127.64.95.255");
	assert_int_equal(instance_actor(&third, &a), 0x1fff);
	assert_int_equal(instance_actor(&main_one, &a), ACTOR_NONE);
	a = instance_source(&main_one, 6, 5);
	assert_string_equal(addr_text(&a, text), "fd53:6375:7070::5");
	assert_int_equal(instance_actor(&main_one, &a), 5);
	a = instance_listener(&third, 6);
	assert_string_equal(addr_text(&a, text), "fd53:6375:7070:1::55");
	assert_int_equal(instance_actor(&third, &a), ACTOR_NONE);
	a = instance_listener(&third, 4);
	assert_string_equal(addr_text(&a, text), "127.0.0.155");
	assert_int_equal(instance_actor(&third, &a), ACTOR_NONE);
}

/* every order in which four can leave */
static void lists(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 4 * 3 * 2; order++) {
		unsigned at[] = { 0, 1, 2, 3 }, rest = order;
		struct list_node n[4];
		struct list l = { 0 };

		for (unsigned i = 0; i < 4; i++)
			list_add(&l, &n[i]);
		for (unsigned left = 4; left; left--) {
			unsigned pick = rest % left, seen = 0;

			rest /= left;
			assert_ptr_equal(l.newest, &n[at[left - 1]]);
			assert_ptr_equal(l.oldest, &n[at[0]]);
			for (struct list_node *o = l.oldest; o; o = o->newer)
				assert_ptr_equal(o, &n[at[seen++]]);
			assert_int_equal(seen, left);
			for (struct list_node *o = l.newest; o; o = o->older)
				assert_ptr_equal(o, &n[at[--seen]]);
			list_remove(&l, &n[at[pick]]);
			assert_int_equal(l.n, left - 1);
			memmove(&at[pick], &at[pick + 1], (left - 1 - pick) * sizeof(at[0]));
		}
		assert_null(l.newest);
		assert_null(l.oldest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_names),
		cmocka_unit_test(host_wire),
		cmocka_unit_test(host_longest),
		cmocka_unit_test(host_cover),
		cmocka_unit_test(host_reverse),
		cmocka_unit_test(addr_zones),
		cmocka_unit_test(addr_ports),
		cmocka_unit_test(addr_prefixes),
		cmocka_unit_test(texts),
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(tables),
		cmocka_unit_test(lists),
		cmocka_unit_test(instances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
