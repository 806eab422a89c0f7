/* SPDX-License-Identifier: GPL-2.0-or-later
 * the language: what parses, to what, and where errors are found */
#include "rules/rule.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void good(void **state)
{
	static const struct {
		const char *why, *in, *want; /* want NULL: as it stands */
	} cases[] = {
		{ "the least", "allow any any", NULL },
		{ "blanks and tabs", "  deny\t any   internet  ", "deny any internet" },
		{ "a comment", "ask any lan # why not", "ask any lan" },
		{ "no comment inside a word", "allow /opt/c#/x any", NULL },
		{ "CR LF", "allow any any\r", "allow any any" },
		{ "unknown", "deny unknown any", NULL },
		{ "a path", "allow /usr/bin/curl .example.org:443/tcp", NULL },
		{ "quotes that are needed", "allow \"/opt/My App/app\" any", NULL },
		{ "quotes that are not", "allow \"/usr/bin/curl\" any",
			"allow /usr/bin/curl any" },
		{ "a quote in a path", "allow \"/opt/a\\\"b\\\\ c\" any", NULL },
		{ "globs", "deny /opt/*/lib/** any", NULL },
		{ "user by name", "deny any+uid:games any", NULL },
		{ "user by number", "deny /usr/bin/g+++uid:007 any",
			"deny /usr/bin/g+++uid:7 any" },
		{ "user behind quotes", "deny \"/a b\"+uid:1 any", NULL },
		{ "+uid: in quotes is the path's", "deny \"/a+uid:1\" any", NULL },
		{ "< in quotes is the path's", "deny \"/a<b\" any", NULL },
		{ "host, lower case, dot gone", "allow any WWW.Example.ORG.",
			"allow any www.example.org" },
		{ "A-labels", "allow any bücher.example", "allow any xn--bcher-kva.example" },
		{ "A-labels below", "allow any *.Bücher.example",
			"allow any *.xn--bcher-kva.example" },
		{ "two hyphens IDNA would refuse", "allow any r3---sn-x.example", NULL },
		{ "domain", "allow any .example.org", NULL },
		{ "a top-level domain", "deny any .zip", NULL },
		{ "below", "allow any *.example.org", NULL },
		{ "glob", "allow any cdn-*.Example.org.", "allow any cdn-*.example.org" },
		{ "glob with two stars", "allow any *.*.org", NULL },
		{ "single label", "allow any printer", NULL },
		{ "a host called any", "allow any any.", NULL },
		{ "a host called lan with a port", "allow any lan.:80", NULL },
		{ "near a zone, said on purpose", "allow any internt.", NULL },
		{ "not near enough", "allow any intranet", NULL },
		{ "an escape", "allow any a\\032b.org", NULL },
		{ "zones", "allow any localhost:631/tcp", NULL },
		{ "multicast", "allow any multicast/udp", NULL },
		{ "IPv4", "allow any 192.0.2.1", NULL },
		{ "IPv6", "allow any 2001:DB8::1", "allow any 2001:db8::1" },
		{ "IPv6 in brackets, no port", "allow any [2001:db8::1]",
			"allow any 2001:db8::1" },
		{ "IPv6 with port", "allow any [2001:db8::1]:443", NULL },
		{ "IPv6 with protocol", "allow any 2001:db8::1/tcp",
			"allow any [2001:db8::1]/tcp" },
		{ "mapped", "allow any ::ffff:192.0.2.1", "allow any 192.0.2.1" },
		{ "CIDR", "allow any 10.0.0.0/8", NULL },
		{ "CIDR of one", "allow any 10.0.0.1/32", "allow any 10.0.0.1" },
		{ "CIDR of all", "allow any 0.0.0.0/0", NULL },
		{ "CIDR6 with ports", "allow any [2001:db8::/32]:8000-8100,9000/udp", NULL },
		{ "CIDR6, protocol", "allow any 2001:db8::/32/udp",
			"allow any [2001:db8::/32]/udp" },
		{ "range", "allow any 10.0.0.5-10.0.0.9", NULL },
		{ "range that is a prefix", "allow any 10.0.0.0-10.255.255.255",
			"allow any 10.0.0.0/8" },
		{ "range of one", "allow any 10.0.0.5-10.0.0.5", "allow any 10.0.0.5" },
		{ "range6", "allow any 2001:db8::1-2001:db8::5", NULL },
		{ "range6 with port", "allow any [2001:db8::1-2001:db8::5]:53", NULL },
		{ "a network", "deny any as:13335", NULL },
		{ "AS twice", "deny any as:AS13335", "deny any as:13335" },
		{ "a network's port", "deny any as:13335:443/tcp", NULL },
		{ "a country", "deny any country:nl", "deny any country:NL" },
		{ "a country's ports", "deny any country:XX:80,8000-8100/tcp", NULL },
		{ "a country, inbound", "deny any country:NL in", NULL },
		{ "a continent", "deny any continent:EU/udp", NULL },
		{ "a host called country", "deny any country:443", NULL },
		{ "a host called as", "deny any as.:443", NULL },
		{ "protocol by number", "allow any any/47", NULL },
		{ "number behind an address", "allow any 10.0.0.1/32/47", NULL },
		{ "number behind a prefix", "allow any 10.0.0.0/8/47", NULL },
		{ "number behind a range", "allow any 10.0.0.5-10.0.0.9/47", NULL },
		{ "number behind IPv6", "allow any [2001:db8::1]/47", NULL },
		{ "protocol 6 is tcp", "allow any any/6", "allow any any/tcp" },
		{ "icmp is one", "allow any any/58", "allow any any/icmp" },
		{ "icmpv6 too", "allow any any/icmpv6", "allow any any/icmp" },
		{ "ports sorted, joined", "allow any any:90,80-85,86,443,84",
			"allow any any:80-86,90,443" },
		{ "all ports", "allow any any:1-65535", NULL },
		{ "sctp has ports", "allow any any:80/132", NULL },
		{ "in", "allow any 10.0.0.0/8:22 in", NULL },
		{ "out is the default", "allow any any out", "allow any any" },
		{ "both", "allow any lan both", NULL },
		{ "for", "allow any any for 90s", NULL },
		{ "for, the largest unit", "allow any any for 120m", "allow any any for 2h" },
		{ "until a day", "allow any any until 2099-01-31", NULL },
		{ "until a minute", "allow any any until 2096-02-29T08:05", NULL },
		{ "order of options", "deny any any note x off high until 2099-01-31 both",
			"deny any any both until 2099-01-31 high off note \"x\"" },
		{ "a note", "deny any any note \"a # \\\"b\\\" \\\\\"", NULL },
		{ "an empty note is none", "deny any any note \"\"", "deny any any" },
	};
	char buf[RULE_LINE_MAX], again[RULE_LINE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rule_error err = { 0 };
		struct text t = text_into(buf, sizeof(buf));
		const char *want = cases[i].want ? cases[i].want : cases[i].in;
		int r = rule_check(cases[i].in, 1800000000, &t, &err);

		print_message("%s: %s\n", cases[i].why, err.what);
		assert_int_equal(r, 0);
		assert_string_equal(buf, want);
		t = text_into(again, sizeof(again));
		assert_int_equal(rule_check(buf, 1800000000, &t, &err), 0);
		assert_string_equal(again, buf);
	}
}

static void bad(void **state)
{
	static const struct {
		const char *in;
		unsigned column;
		const char *says; /* a part of the message */
	} cases[] = {
		{ "alow any any", 1, "did you mean allow?" },
		{ "block any any", 1, "did you mean deny?" },
		{ "Allow any any", 1, "expected allow, deny or ask" },
		{ "xyz any any", 1, "expected allow, deny or ask, found \"xyz\"" },
		{ "allow", 6, "expected who after allow" },
		{ "allow any", 10, "expected where to" },
		{ "allow   # any any", 18, "expected who" },
		{ "allow curl any", 7, "a path that begins with /, found \"curl\"" },
		{ "allow ayn any", 7, "did you mean any?" },
		{ "allow unknow any", 7, "did you mean unknown?" },
		{ "allow \"\" any", 7, "expected any, unknown" },
		{ "allow any+uid: any", 15, "name or number" },
		{ "allow any+uid:a:b any", 16, "does not hold \":\"" },
		{ "allow any+uid:4294967295 any", 15, "user numbers end" },
		{ "allow unknown+uid:1 any", 14, "no known user" },
		{ "allow /usr//bin/x any", 11, "holds \"//\"" },
		{ "allow /usr/../x any", 11, "holds \"/../\"" },
		{ "allow /opt/app/ any", 15, "write /opt/app/**" },
		{ "allow \"/opt/a any", 7, "quote has no end" },
		{ "allow script:/x any", 7, "script: comes with a later version" },
		{ "allow unit:ssh.service any", 7, "unit: comes with a later version" },
		{ "allow flatpak:x any", 7, "flatpak: comes with a later version" },
		{ "allow snap:x any", 7, "snap: comes with a later version" },
		{ "allow appimage:x any", 7, "appimage: comes with a later version" },
		{ "allow container:x any", 7, "container: comes with a later version" },
		{ "allow sha256:00 any", 7, "sha256: comes with a later version" },
		{ "allow /usr/bin/git<make any", 19, "<PARENT comes with a later version" },
		{ "deny any as:", 13, "the number of a network" },
		{ "deny any as:x", 13, "the number of a network" },
		{ "deny any as:0", 13, "the number of a network" },
		{ "deny any as:4294967296", 13, "the number of a network" },
		{ "deny any as:00000000000000000000001", 13, "the number of a network" },
		{ "deny any country:", 18, "a country's two letters" },
		{ "deny any country:NLD", 18, "a country's two letters" },
		{ "deny any country:N1/tcp", 18, "a country's two letters" },
		{ "deny any country:uk", 18, "did you mean country:GB?" },
		{ "deny any country:EU", 18, "did you mean continent:EU?" },
		{ "deny any country:NL:", 21, "a port after the colon" },
		{ "deny any continent:XX", 20, "expected AF, AN, AS, EU" },
		{ "deny any as:1:0", 15, "a port (1 to 65535)" },
		{ "deny any list:", 15, "a port after the colon" },
		{ "deny any list:Trackers", 15, "a list's name" },
		{ "deny any list:../x", 15, "a list's name" },
		{ "deny any any once", 14, "once comes with a later version" },
		{ "deny any any until-quit", 14, "until-quit comes with a later version" },
		{ "deny any any until-restart", 14, "until-restart comes with a later" },
		{ "deny any any verify", 14, "verify comes with a later version" },
		{ "deny any any direct-dns", 14, "direct-dns comes with a later version" },
		{ "deny any any own-marks", 14, "own-marks comes with a later version" },
		{ "deny any any profile home", 14, "profile comes with a later version" },
		{ "deny any https://example.org/", 10, "no URL" },
		{ "deny any *", 10, "write any" },
		{ "deny any .", 10, "write any" },
		{ "deny any internt", 10, "did you mean internet?" },
		{ "deny any LAN", 10, "did you mean lan?" },
		{ "deny any .a*.org", 12, "takes no *" },
		{ "deny any 10.0.0.*", 10, "write 10.0.0.0/8" },
		{ "deny any bü*.org", 11, "ASCII" },
		{ "deny any a..b", 10, "found \"a..b\"" },
		{ "deny any a_b!c", 10, "found \"a_b!c\"" },
		{ "deny any 10.0.0.256", 10, "is no address" },
		{ "deny any 1.2.3", 10, "is no address" },
		{ "deny any 10.0.0.0/33", 19, "prefix length of 0 to 32" },
		{ "deny any 10.0.0.1/8", 18, "write 10.0.0.0/8" },
		{ "deny any 2001:db8::/129", 21, "prefix length of 0 to 128" },
		{ "deny any 2001:db8::1/x", 22, "expected tcp, udp, icmp" },
		{ "deny any 2001:db8:::1", 10, "no IPv6 address" },
		{ "deny any [2001:db8::1", 10, "this [ has no ]" },
		{ "deny any [2001:db8::1]443", 23, "expected :port" },
		{ "deny any [example.org]:1", 11, "no IPv6 address" },
		{ "deny any 10.0.0.9-10.0.0.1", 19, "ends before it begins" },
		{ "deny any 10.0.0.9-x", 19, "an address after the dash" },
		{ "deny any 10.0.0.9-::1", 19, "not of both" },
		{ "deny any [::1-10.0.0.9]:1", 15, "not of both" },
		{ "deny any any:", 14, "a port after the colon" },
		{ "deny any any:0", 14, "a port (1 to 65535), found \"0\"" },
		{ "deny any any:65536", 14, "found \"65536\"" },
		{ "deny any any:https", 14, "found \"https\"" },
		{ "deny any any:80-", 17, "expected a port" },
		{ "deny any any:90-80", 17, "ends (80) before it begins (90)" },
		{ "deny any any:80,,90", 17, "expected a port" },
		{ "deny any any:1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33", 57,
			"more than 16 ports" },
		{ "deny any any:80/icmp", 17, "icmp has no ports" },
		{ "deny any any:80/47", 17, "47 has no ports" },
		{ "deny any any/tpc", 14, "found \"tpc\"" },
		{ "deny any any/256", 14, "1 to 255" },
		{ "deny any any/", 14, "after the slash" },
		{ "deny any example.org/tcp:80", 21, "ports come before the protocol" },
		{ "deny any /usr/bin/x", 10, "expected any, a zone" },
		{ "deny any example.org in", 10, "no name" },
		{ "deny any any in out", 17, "direction is said twice" },
		{ "deny any any in in", 17, "in is said twice" },
		{ "deny any any for", 17, "a duration (90s, 10m, 2h, 7d) after for" },
		{ "deny any any for 5w", 18, "found \"5w\"" },
		{ "deny any any for 0s", 18, "found \"0s\"" },
		{ "deny any any for 1h until 2099-01-01", 21, "exclude each other" },
		{ "deny any any until 2099-02-30", 20, "expected a date" },
		{ "deny any any until 2099-01-01T24:00", 20, "expected a date" },
		{ "deny any any until tomorrow", 20, "expected a date" },
		{ "deny any any until 2001-01-01", 1, "over already" },
		{ "deny any any hihg", 14, "did you mean high?" },
		{ "deny any any now", 14, "an option (in, out, both, for, until," },
		{ "deny any any note", 18, "a text in quotes after note" },
		{ "deny any \x01", 10, "a control character (0x01)" },
		{ "deny any b\xc3\xbc.org ünf", 17, "found \"ünf\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rule_error err = { 0 };
		char buf[RULE_LINE_MAX] = "untouched";
		struct text t = { .s = buf, .max = sizeof(buf) };
		int r = rule_check(cases[i].in, 1800000000, &t, &err);

		print_message("%s\n\t%u: %s\n", cases[i].in, err.column, err.what);
		assert_int_equal(r, -EINVAL);
		assert_non_null(strstr(err.what, cases[i].says));
		assert_int_equal(err.column, cases[i].column);
		assert_string_equal(buf, "untouched");
		assert_int_equal(rule_check(cases[i].in, 1800000000, NULL, NULL), -EINVAL);
	}
}

static void nothing(void **state)
{
	static const char *const cases[] = { "", "   \t", "# allow any any", "  # x" };
	struct rule_error err = { .what = "untouched" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(rule_check(cases[i], 0, NULL, &err), -ENOENT);
		assert_string_equal(err.what, "untouched");
	}
}

static void too_long(void **state)
{
	char line[RULE_LINE_MAX + 1];
	struct rule_error err = { 0 };

	(void)state;
	memset(line, 'a', sizeof(line));
	line[RULE_LINE_MAX] = '\0';
	assert_int_equal(rule_check(line, 0, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.what, "longer than"));
	/* one word as long as a line may be */
	memcpy(line, "allow /", 7);
	line[RULE_LINE_MAX - 1] = '\0';
	assert_int_equal(rule_check(line, 0, NULL, &err), -EINVAL);
	memset(line, ' ', RULE_LINE_MAX);
	for (size_t i = 0; i < 60; i++)
		line[2 * i] = 'a';
	line[200] = '\0';
	assert_int_equal(rule_check(line, 0, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.what, "words"));
}

static void files(void **state)
{
	static const char text[] = "\xef\xbb\xbf# mine\n\nallow /usr/bin/curl any\r\n"
				   "deny any .ads.example  # no\n  deny any list:X\n";
	struct ruleset *rs;
	struct rule_error err;
	struct rule_info info;

	(void)state;
	assert_int_equal(ruleset_new(VERDICT_ALLOW, VERDICT_ALLOW, &rs), 0);
	assert_int_equal(ruleset_add_text(rs, text, strlen(text), "/x.rules", 9, &err),
		-EINVAL);
	assert_int_equal(err.line, 5);
	assert_int_equal(err.column, 17);
	assert_int_equal(ruleset_count(rs), 0);
	/* without its last line; and a file need not end in a newline */
	assert_int_equal(ruleset_add_text(rs, text, (size_t)(strstr(text, "  # no") - text),
		"/x.rules", 9, &err), 0);
	assert_int_equal(ruleset_add_text(rs, "a\0b", 3, "/y.rules", 9, &err), -EINVAL);
	assert_int_equal(err.column, 2);
	assert_int_equal(ruleset_ready(rs), 0);
	assert_int_equal(ruleset_count(rs), 2);
	ruleset_info(rs, 0, &info);
	assert_string_equal(info.text, "deny any .ads.example");
	assert_string_equal(info.file, "/x.rules");
	assert_int_equal(info.line, 4);
	assert_int_equal(info.source, RULE_FILE);
	assert_int_equal(info.created_s, 9);
	ruleset_free(rs);
}

static int only_games(const char *name, uint32_t *uid)
{
	if (strcmp(name, "games") != 0)
		return -ENOENT;
	*uid = 5;
	return 0;
}

static void users(void **state)
{
	struct rule_origin from = { .source = RULE_OWN, .id = 1 };
	struct ruleset *rs;
	struct rule_error err;
	uint32_t uid = 7;

	(void)state;
	assert_int_equal(ruleset_new(VERDICT_ALLOW, VERDICT_ALLOW, &rs), 0);
	ruleset_users(rs, only_games);
	assert_int_equal(ruleset_add(rs, "deny any+uid:nobody-here any", &from, &err),
		-EINVAL);
	assert_string_equal(err.what, "there is no user nobody-here");
	assert_int_equal(err.column, 14);
	assert_int_equal(ruleset_add(rs, "deny any+uid:games any", &from, &err), 0);
	assert_int_equal(rs->rules[0]->who.uid, 5);
	ruleset_free(rs);
	assert_int_equal(rules_system_user("root", &uid), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(rules_system_user("no-such-user-here", &uid), -ENOENT);
}

static void ids(void **state)
{
	static const char a[] = "allow any a.org\nallow any b.org\nallow any a.org\n";
	static const char b[] = "# moved\nallow any b.org\nallow  any  a.org\n";
	struct rule_origin own = { .source = RULE_OWN, .id = 12 };
	struct ruleset *x, *y;
	struct rule_info info;
	uint32_t id[3];

	(void)state;
	ruleset_new(VERDICT_ALLOW, VERDICT_ALLOW, &x);
	ruleset_new(VERDICT_ALLOW, VERDICT_ALLOW, &y);
	assert_int_equal(ruleset_add_text(x, a, strlen(a), "f", 0, NULL), 0);
	assert_int_equal(ruleset_add(x, "deny any c.org", &own, NULL), 0);
	assert_int_equal(ruleset_add_text(y, b, strlen(b), "f", 0, NULL), 0);
	assert_int_equal(ruleset_ready(x), 0);
	assert_int_equal(ruleset_ready(y), 0);
	assert_true(ruleset_find(x, 12, &info));
	assert_string_equal(info.text, "deny any c.org");
	/* the twin is one further; the others do not depend on their lines */
	for (size_t i = 0, n = 0; i < ruleset_count(x); i++) {
		ruleset_info(x, i, &info);
		if (info.source == RULE_FILE)
			id[n++] = info.id;
		assert_true(info.id == 12 || (info.id >> 30) == 1);
	}
	for (size_t i = 0; i < ruleset_count(y); i++) {
		ruleset_info(y, i, &info);
		assert_true(info.id == id[0] || info.id == id[1] || info.id == id[2]);
	}
	assert_false(ruleset_find(x, 13, &info));
	assert_false(ruleset_find(x, 0, &info));
	ruleset_free(x);
	ruleset_free(y);

	ruleset_new(VERDICT_ALLOW, VERDICT_ALLOW, &x);
	assert_int_equal(ruleset_add(x, "deny any c.org", &own, NULL), 0);
	assert_int_equal(ruleset_add(x, "deny any d.org", &own, NULL), 0);
	assert_int_equal(ruleset_ready(x), -EEXIST);
	ruleset_free(x);
}

static void many_twins(void **state)
{
	struct ruleset *rs;

	(void)state;
	ruleset_new(VERDICT_ALLOW, VERDICT_ALLOW, &rs);
	for (int i = 0; i < 20000; i++)
		assert_int_equal(ruleset_add_text(rs, "deny any a", 10, "f", 0, NULL), 0);
	assert_int_equal(ruleset_ready(rs), 0);
	for (size_t i = 1; i < rs->n; i++)
		assert_int_equal(rs->by_id[i]->id, rs->by_id[i - 1]->id + 1);
	ruleset_free(rs);
}

static void local_names(void **state)
{
	static const struct {
		const char *name;
		bool local;
	} cases[] = {
		{ "nas.lan", true }, { "localhost", true }, { "printer", true },
		{ "host.internal", true }, { "a.local", true }, { "x.home.arpa", true },
		{ "home.arpa", true }, { "shop.test", true },
		{ "example.org", false }, { "www.example.co.uk", false }, { "org", false },
		{ "1.2.0.192.in-addr.arpa", false }, { "a.b.ck", false },
		{ "www.ck", false }, { "b.ck", false }, { "a.github.io", false },
		{ "xn--fiqs8s", false }, { "a.xn--fiqs8s", false }, { "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].name);
		assert_int_equal(rules_local_name(cases[i].name), cases[i].local);
	}
}

static void registrable_names(void **state)
{
	static const struct {
		const char *name, *part;
	} cases[] = {
		{ "a.b.example.co.uk", "example.co.uk" }, { "example.org", "example.org" },
		{ "a.b.s3.amazonaws.com", "b.s3.amazonaws.com" }, { "me.github.io", "me.github.io" },
		{ "co.uk", NULL }, { "org", NULL }, { "", NULL }, { "host.nas.lan", "nas.lan" },
		{ "localhost", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *part = rules_registrable(cases[i].name);

		print_message("%s: %s\n", cases[i].name, part ? part : "none");
		assert_int_equal(!part, !cases[i].part);
		if (part)
			assert_string_equal(part, cases[i].part);
	}
}

static void targets(void **state)
{
	char name[HOST_MAX];
	struct addr addr;
	struct target to;
	struct rule_error err;

	(void)state;
	assert_int_equal(rules_target("Example.org:443/tcp", name, &addr, &to, &err), 0);
	assert_string_equal(to.name, "example.org");
	assert_null(to.addr);
	assert_int_equal(to.port, 443);
	assert_int_equal(to.proto, IPPROTO_TCP);
	assert_false(to.local_name);
	assert_int_equal(rules_target("nas.lan", name, &addr, &to, &err), 0);
	assert_true(to.local_name);
	assert_int_equal(rules_target("[2001:db8::1]:53", name, &addr, &to, &err), 0);
	assert_null(to.name);
	assert_int_equal(to.addr->family, 6);
	assert_int_equal(to.port, 53);
	assert_int_equal(rules_target(".example.org", name, &addr, &to, &err), -EINVAL);
	assert_int_equal(rules_target("10.0.0.0/8", name, &addr, &to, &err), -EINVAL);
	assert_int_equal(rules_target("10.0.0.1:80-90", name, &addr, &to, &err), -EINVAL);
	assert_string_equal(err.what, "expected one port");
	assert_int_equal(rules_target("a b", name, &addr, &to, &err), -EINVAL);
	assert_int_equal(rules_target("", name, &addr, &to, &err), -EINVAL);
}

static uint8_t zones_of(const char *what)
{
	char text[80];
	struct parsed p;

	snprintf(text, sizeof(text), "allow any %s", what);
	assert_int_equal(rule_parse(text, strlen(text), 0, &p, NULL), 0);
	rule_reach(&p.rule);
	return p.rule.may;
}

/* the blocks of match.c are those of addr_zone: their ends, and the next beyond */
static void zone_blocks(void **state)
{
	static const char *const nets[] = { "127.0.0.0/8", "0.0.0.0/8", "10.0.0.0/8",
		"172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
		"224.0.0.0/4", "255.255.255.255", "::", "::1", "fc00::/7", "fe80::/10",
		"ff00::/8", "64:ff9b::7f00:0/104", "64:ff9b::/104", "64:ff9b::a00:0/104",
		"64:ff9b::ac10:0/108", "64:ff9b::c0a8:0/112", "64:ff9b::a9fe:0/112",
		"64:ff9b::6440:0/106", "64:ff9b::e000:0/100", "64:ff9b::ffff:ffff" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nets); i++) {
		struct parsed p;
		char text[80];
		enum zone zone;

		snprintf(text, sizeof(text), "allow any %s", nets[i]);
		print_message("%s\n", nets[i]);
		assert_int_equal(rule_parse(text, strlen(text), 0, &p, NULL), 0);
		rule_reach(&p.rule);
		zone = addr_zone(&p.rule.what.lo);
		assert_int_not_equal(zone, ZONE_INTERNET);
		assert_int_equal(addr_zone(&p.rule.what.hi), zone);
		assert_int_equal(p.rule.may, 1 << zone);
		assert_int_equal(p.rule.sure, 0);
	}
	assert_int_equal(zones_of("9.0.0.0-11.0.0.0"), 1 << ZONE_INTERNET | 1 << ZONE_LAN);
	assert_int_equal(zones_of("9.0.0.0-10.0.0.9"), 1 << ZONE_INTERNET | 1 << ZONE_LAN);
	assert_int_equal(zones_of("10.9.0.0-11.0.0.0"), 1 << ZONE_INTERNET | 1 << ZONE_LAN);
	assert_int_equal(zones_of("0.0.0.0/0"), ZONES_ALL);
	assert_int_equal(zones_of("::/0"), ZONES_ALL);
	assert_int_equal(zones_of("1.0.0.0/8"), 1 << ZONE_INTERNET);
	/* random addresses: a rule for just one may touch the zone it is in, and no other */
	for (unsigned i = 0; i < 200000; i++) {
		struct rule r = { .what.kind = WHAT_NET };
		uint8_t b[16] = { 0 };

		for (size_t k = 0; k < sizeof(b); k++)
			b[k] = (uint8_t)rand();
		if (i % 3 == 0)
			r.what.lo = addr_v4(b);
		else if (i % 3 == 1)
			r.what.lo = addr_v6(b);
		else {
			memcpy(b, "\0\x64\xff\x9b\0\0\0\0\0\0\0\0", 12);
			r.what.lo = addr_v6(b);
		}
		r.what.hi = r.what.lo;
		rule_reach(&r);
		assert_int_equal(r.may, 1 << addr_zone(&r.what.lo));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(nothing),
		cmocka_unit_test(too_long),
		cmocka_unit_test(files),
		cmocka_unit_test(users),
		cmocka_unit_test(ids),
		cmocka_unit_test(many_twins),
		cmocka_unit_test(local_names),
		cmocka_unit_test(registrable_names),
		cmocka_unit_test(targets),
		cmocka_unit_test(zone_blocks),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
