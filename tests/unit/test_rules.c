/* SPDX-License-Identifier: GPL-2.0-or-later
 * the decision: what matches, what wins, and what is known before an address is */
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

#include <cmocka.h>

enum { NOW = 1800000000 };
#define ALLOW VERDICT_ALLOW
#define DENY VERDICT_DENY
#define ASK VERDICT_ASK
#define UNDECIDED VERDICT_UNDECIDED

static int test_user(const char *name, uint32_t *uid)
{
	if (strcmp(name, "games") != 0)
		return -ENOENT;
	*uid = 5;
	return 0;
}

static struct ruleset *rules_of(const char *text, enum verdict out, enum verdict in)
{
	struct ruleset *rs;
	struct rule_error err = { 0 };

	assert_int_equal(ruleset_new(out, in, &rs), 0);
	ruleset_users(rs, test_user);
	if (ruleset_add_text(rs, text, strlen(text), "t.rules", NOW - 10, &err) < 0)
		fail_msg("%s: %u:%u: %s", text, err.line, err.column, err.what);
	return rs;
}

static struct ruleset *ready(const char *text, enum verdict out)
{
	struct ruleset *rs = rules_of(text, out, ALLOW);

	assert_int_equal(ruleset_ready(rs), 0);
	return rs;
}

static struct ruleset *ready_with_factory(const char *text, enum verdict out)
{
	struct ruleset *rs = rules_of(text, out, ALLOW);

	assert_int_equal(ruleset_add_factory(rs), 0);
	assert_int_equal(ruleset_ready(rs), 0);
	return rs;
}

/* "?": unknown; "!": known, but no path of it is believed */
static struct program program(const char *path, uint32_t uid)
{
	struct program p = { .actor = 7, .uid = uid, .known = *path != '?' };

	if (*path == '/') {
		p.believed = true;
		p.npaths = 1;
		p.paths[0] = path;
	}
	return p;
}

static struct addr addr(const char *text)
{
	struct addr a = { 0 };

	if (text)
		assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* the text of the rule that decided, or "" */
static const char *winner(const struct ruleset *rs, const struct decision *d)
{
	struct rule_info info;

	if (d->rule == 0)
		return "";
	assert_true(ruleset_find(rs, d->rule, &info));
	return info.text;
}

static void matching(void **state)
{
	static const struct {
		const char *why, *rule, *path;
		uint32_t uid;
		const char *name, *addr;
		uint16_t port;
		uint8_t proto;
		bool in, want;
	} cases[] = {
		{ "a path", "/bin/a any", "/bin/a", 0, 0, "1.1.1.1", 0, 0, 0, 1 },
		{ "another", "/bin/a any", "/bin/ab", 0, 0, "1.1.1.1", 0, 0, 0, 0 },
		{ "not believed", "/** any", "!", 0, 0, "1.1.1.1", 0, 0, 0, 0 },
		{ "any, not believed", "any any", "!", 0, 0, "1.1.1.1", 0, 0, 0, 1 },
		{ "unknown", "unknown any", "?", 0, 0, "1.1.1.1", 0, 0, 0, 1 },
		{ "unknown is not all", "unknown any", "/bin/a", 0, 0, "1.1.1.1", 0, 0, 0, 0 },
		{ "any covers unknown", "any any", "?", 0, 0, "1.1.1.1", 0, 0, 0, 1 },
		{ "but with no user", "any+uid:0 any", "?", 0, 0, "1.1.1.1", 0, 0, 0, 0 },
		{ "user", "any+uid:games any", "/x", 5, 0, "1.1.1.1", 0, 0, 0, 1 },
		{ "other user", "any+uid:games any", "/x", 6, 0, "1.1.1.1", 0, 0, 0, 0 },
		{ "path and user", "/x+uid:6 any", "/x", 6, 0, "1.1.1.1", 0, 0, 0, 1 },
		{ "glob", "/opt/*/x any", "/opt/a/x", 0, 0, "1.1.1.1", 0, 0, 0, 1 },
		{ "glob and /", "/opt/*/x any", "/opt/a/b/x", 0, 0, "1.1.1.1", 0, 0, 0, 0 },
		{ "glob2", "/opt/**/x any", "/opt/a/b/x", 0, 0, "1.1.1.1", 0, 0, 0, 1 },
		{ "host", "any a.org", "/x", 0, "a.org", "1.1.1.1", 0, 0, 0, 1 },
		{ "not below", "any a.org", "/x", 0, "b.a.org", "1.1.1.1", 0, 0, 0, 0 },
		{ "domain", "any .a.org", "/x", 0, "b.a.org", "1.1.1.1", 0, 0, 0, 1 },
		{ "apex", "any .a.org", "/x", 0, "a.org", "1.1.1.1", 0, 0, 0, 1 },
		{ "no label boundary", "any .a.org", "/x", 0, "ba.org", "1.1.1.1", 0, 0, 0, 0 },
		{ "below only", "any *.a.org", "/x", 0, "c.b.a.org", "1.1.1.1", 0, 0, 0, 1 },
		{ "not itself", "any *.a.org", "/x", 0, "a.org", "1.1.1.1", 0, 0, 0, 0 },
		{ "host glob", "any a*z.org", "/x", 0, "abz.org", "1.1.1.1", 0, 0, 0, 1 },
		{ "empty star", "any a*z.org", "/x", 0, "az.org", "1.1.1.1", 0, 0, 0, 1 },
		{ "in a label", "any a*z.org", "/x", 0, "a.z.org", "1.1.1.1", 0, 0, 0, 0 },
		{ "no name", "any .a.org", "/x", 0, NULL, "1.1.1.1", 0, 0, 0, 0 },
		{ "the root's name", "any .a.org", "/x", 0, "", "1.1.1.1", 0, 0, 0, 0 },
		{ "address", "any 1.1.1.1", "/x", 0, "a", "1.1.1.1", 0, 0, 0, 1 },
		{ "no address", "any 1.1.1.1", "/x", 0, "a", NULL, 0, 0, 0, 0 },
		{ "prefix", "any 10.2.0.0/15", "/x", 0, 0, "10.3.4.5", 0, 0, 0, 1 },
		{ "beyond", "any 10.2.0.0/15", "/x", 0, 0, "10.4.0.0", 0, 0, 0, 0 },
		{ "prefix6", "any fd00::/9", "/x", 0, 0, "fd7f::1", 0, 0, 0, 1 },
		{ "beyond6", "any fd00::/9", "/x", 0, 0, "fd80::1", 0, 0, 0, 0 },
		{ "families", "any 0.0.0.0/0", "/x", 0, 0, "::1", 0, 0, 0, 0 },
		{ "range", "any 10.0.0.5-10.0.1.2", "/x", 0, 0, "10.0.1.2", 0, 0, 0, 1 },
		{ "range end", "any 10.0.0.5-10.0.1.2", "/x", 0, 0, "10.0.1.3", 0, 0, 0, 0 },
		{ "zone", "any lan", "/x", 0, 0, "192.168.3.4", 0, 0, 0, 1 },
		{ "other zone", "any internet", "/x", 0, 0, "192.168.3.4", 0, 0, 0, 0 },
		{ "port", "any any:80", "/x", 0, 0, "1.1.1.1", 80, 6, 0, 1 },
		{ "other port", "any any:80", "/x", 0, 0, "1.1.1.1", 81, 6, 0, 0 },
		{ "last of a stretch", "any any:1,8-9", "/x", 0, 0, "1.1.1.1", 9, 17, 0, 1 },
		{ "port not known", "any any:80", "/x", 0, 0, "1.1.1.1", 0, 6, 0, 0 },
		{ "protocol", "any any/udp", "/x", 0, 0, "1.1.1.1", 80, 17, 0, 1 },
		{ "other protocol", "any any/udp", "/x", 0, 0, "1.1.1.1", 80, 6, 0, 0 },
		{ "icmp", "any any/icmp", "/x", 0, 0, "1.1.1.1", 0, 1, 0, 1 },
		{ "icmp is ICMPv6", "any any/icmp", "/x", 0, 0, "::1", 0, 58, 0, 1 },
		{ "number", "any any/47", "/x", 0, 0, "1.1.1.1", 0, 47, 0, 1 },
		{ "out is not in", "any any", "/x", 0, 0, "1.1.1.1", 80, 6, 1, 0 },
		{ "in", "any any:80 in", "/x", 0, 0, "1.1.1.1", 80, 6, 1, 1 },
		{ "in is not out", "any any:80 in", "/x", 0, 0, "1.1.1.1", 80, 6, 0, 0 },
		{ "both", "any any both", "/x", 0, 0, "1.1.1.1", 80, 6, 1, 1 },
		{ "off", "any any off", "/x", 0, 0, "1.1.1.1", 80, 6, 0, 0 },
		{ "for", "any any for 11s", "/x", 0, 0, "1.1.1.1", 80, 6, 0, 1 },
		{ "is over", "any any for 10s", "/x", 0, 0, "1.1.1.1", 80, 6, 0, 0 },
		{ "until", "any any until 2001-01-01", "/x", 0, 0, "1.1.1.1", 8, 6, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct program p = program(cases[i].path, cases[i].uid);
		struct addr a = addr(cases[i].addr);
		struct target to = { .name = cases[i].name, .addr = cases[i].addr ? &a : NULL,
			.port = cases[i].port, .proto = cases[i].proto,
			.dir = cases[i].in ? FLOW_IN : FLOW_OUT };
		struct decision d;
		struct ruleset *rs;
		char text[200];

		snprintf(text, sizeof(text), "ask %s", cases[i].rule);
		print_message("%s\n", cases[i].why);
		rs = ready(text, DENY);
		ruleset_decide(rs, &p, &to, NOW, &d);
		if (cases[i].want) {
			assert_int_equal(d.verdict, ASK);
			assert_int_equal(d.reason, REASON_RULE);
			assert_int_equal(d.rule, rs->rules[0]->id);
		} else {
			assert_int_equal(d.verdict, cases[i].in ? ALLOW : DENY);
			assert_int_equal(d.reason, REASON_DEFAULT);
			assert_int_equal(d.rule, 0);
		}
		ruleset_free(rs);
	}
}

/* what a file says of 1.1.1.1, or of an address that is nowhere on the map */
static void where(void **state)
{
	static const struct {
		const char *why, *what, *addr;
		struct geo_tag geo;
		bool told, want;
	} cases[] = {
		{ "country", "country:NL", "1.1.1.1", { .country = "NL" }, true, true },
		{ "another", "country:DE", "1.1.1.1", { .country = "NL" }, true, false },
		{ "nobody knows", "country:NL", "1.1.1.1", { .country = "" }, true, false },
		{ "no file", "country:NL", "1.1.1.1", { .country = "NL" }, false, false },
		{ "no address", "country:NL", NULL, { .country = "NL" }, true, false },
		{ "a private one", "country:NL", "10.0.0.1", { .country = "NL" }, true, false },
		{ "this machine", "country:NL", "::1", { .country = "NL" }, true, false },
		{ "v6", "country:NL", "2a00::1", { .country = "NL" }, true, true },
		{ "continent", "continent:EU", "1.1.1.1", { .continent = "EU" }, true, true },
		{ "other one", "continent:AS", "1.1.1.1", { .continent = "EU" }, true, false },
		{ "network", "as:13335", "1.1.1.1", { .asn = 13335 }, true, true },
		{ "other network", "as:1333", "1.1.1.1", { .asn = 13335 }, true, false },
		{ "its port", "as:13335:80/tcp", "1.1.1.1", { .asn = 13335 }, true, true },
		{ "not that", "as:13335:81/tcp", "1.1.1.1", { .asn = 13335 }, true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct program p = program("/x", 0);
		struct addr a = addr(cases[i].addr);
		struct target to = { .addr = cases[i].addr ? &a : NULL, .port = 80,
			.proto = 6, .geo = cases[i].told ? &cases[i].geo : NULL };
		struct port_verdicts v;
		struct ruleset *rs;
		struct decision d;
		char text[100];

		snprintf(text, sizeof(text), "deny any %s", cases[i].what);
		print_message("%s\n", cases[i].why);
		rs = ready(text, ALLOW);
		assert_true(ruleset_asks_where(rs));
		ruleset_decide(rs, &p, &to, NOW, &d);
		assert_int_equal(d.verdict, cases[i].want ? DENY : ALLOW);
		ruleset_ports(rs, &p, &to, NOW, &v);
		assert_int_equal(v.rest.verdict == DENY || (v.n && v.at[0].lo == 80),
			cases[i].want);
		ruleset_free(rs);
	}
}

static void where_is_not_asked(void **state)
{
	struct ruleset *rs = ready("deny any country:NL off\nallow any internet\n", DENY);

	(void)state;
	assert_false(ruleset_asks_where(rs));
	ruleset_free(rs);
}

static void globs(void **state)
{
	static const struct {
		const char *glob, *path;
		bool want;
	} cases[] = {
		{ "/a", "/a", true }, { "/a", "/ab", false }, { "/ab", "/a", false },
		{ "/*", "/a", true }, { "/*", "/a/b", false }, { "/*", "/", true },
		{ "/**", "/a/b/c", true }, { "/**/c", "/a/b/c", true },
		{ "/**/c", "/a/b/d", false }, { "/**/c/d", "/c/c/c/d", true },
		{ "/a*b*c", "/aXbYbZc", true }, { "/a*b*c", "/aXbYbZ", false },
		{ "/a*/b", "/aX/c", false }, { "/a*/b/c*", "/aX/b/cY", true },
		{ "/**/a*b/x", "/aab/aXb/x", true }, { "/**b", "/a/b/ab", true },
		{ "/a**", "/a/b", true }, { "/a**b*c", "/a/b/b/c", false },
		{ "/a**b*c", "/a/b/bXc", true }, { "/***", "/a/b", true },
		{ "/usr/*bin/x", "/usr/sbin/x", true }, { "/usr/*bin/x", "/usr/bin/x", true },
		{ "/usr/*bin/x", "/usr/a/bin/x", false },
		{ "/**a*a*a*a*a*a*a*b", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s %s\n", cases[i].glob, cases[i].path);
		assert_int_equal(path_glob_matches(cases[i].glob, cases[i].path),
			cases[i].want);
	}
}

/* each step of the order: the first rule beats the second, wherever they stand */
static void order(void **state)
{
	static const struct {
		const char *first, *second, *why;
	} cases[] = {
		{ "allow any any high", "deny /x 1.1.1.1:80/tcp", "it is high" },
		{ "deny any any high", "allow any any high", "deny goes before" },
		{ "allow any 1.1.1.1", "deny any 1.1.1.0/24", "narrower" },
		{ "allow any 1.1.1.0/24", "deny any 1.1.0.0/16", "narrower" },
		{ "allow any 1.1.1.0-1.1.1.9", "deny any 1.1.1.0/24", "narrower" },
		{ "allow any 1.1.1.0/24", "deny any 1.1.0.9-1.1.3.0", "narrower" },
		{ "allow any 2001:db8::/64", "deny any 2001:db8::/32", "narrower" },
		{ "allow any 0.0.0.0/0", "deny /x a.org:80/tcp", "more specific kind" },
		{ "allow any a.org", "deny /x .a.org:80", "more specific kind" },
		{ "allow any a.org", "deny /x *.org:80", "more specific kind" },
		{ "allow any .b.a.org", "deny any .a.org", "narrower" },
		{ "allow any *.b.a.org", "deny any .a.org", "narrower" },
		{ "deny any *.a.org", "allow any .a.org", "deny goes before" },
		{ "allow any .a.org", "deny /x *a.a.org:80", "more specific kind" },
		{ "allow any *a.org", "deny /x internet:80", "more specific kind" },
		{ "allow any *a.org", "deny /x as:1:80", "more specific kind" },
		{ "allow any as:1", "deny /x country:NL:80", "more specific kind" },
		{ "allow any country:NL", "deny /x continent:EU:80", "more specific kind" },
		{ "allow any continent:EU", "deny /x internet:80", "more specific kind" },
		{ "deny any country:NL", "allow any country:DE", "deny goes before" },
		{ "allow any internet", "deny /x any:80", "more specific kind" },
		{ "allow any a.org:80", "deny /x a.org/tcp", "it names ports" },
		{ "allow any a.org/tcp", "deny /x a.org", "it names a protocol" },
		{ "allow any a.org:80/tcp", "deny /x a.org:80", "it names a protocol" },
		{ "allow any any:80", "deny /x any", "it names ports" },
		{ "allow /x any", "deny /* any", "its program is" },
		{ "allow /* any", "deny any any", "its program is" },
		{ "allow unknown any", "deny any any", "its program is" },
		{ "allow /*+uid:0 any", "deny /* any", "it names a user" },
		{ "allow /x any", "deny /*+uid:0 any", "its program is" },
		{ "allow any+uid:0 any", "deny any any", "it names a user" },
		{ "deny any any", "ask any any", "deny goes before" },
		{ "ask any any", "allow any any", "deny goes before" },
		{ "deny any any", "allow any any", "deny goes before" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (int swap = 0; swap < 2; swap++) {
			char text[300];
			struct ruleset *rs;

			snprintf(text, sizeof(text), "%s\n%s\n",
				swap ? cases[i].second : cases[i].first,
				swap ? cases[i].first : cases[i].second);
			print_message("%s\n", text);
			rs = ready(text, DENY);
			assert_string_equal(rs->rules[0]->text, cases[i].first);
			assert_non_null(strstr(order_why(rs->rules[0], rs->rules[1]),
				cases[i].why));
			assert_true(order_cmp(rs->rules[1], rs->rules[0]) > 0);
			ruleset_free(rs);
		}
	}
}

static void order_of_sources(void **state)
{
	static const struct rule_origin from[] = {
		{ .source = RULE_OWN, .id = 2, .created_s = 20 },
		{ .source = RULE_OWN, .id = 1, .created_s = 10 },
		{ .source = RULE_FILE, .file = "b", .line = 2, .created_s = 90 },
		{ .source = RULE_FILE, .file = "b", .line = 1, .created_s = 90 },
		{ .source = RULE_FILE, .file = "a", .line = 3, .created_s = 80 },
	};
	static const char *const why[] = { "newer", "own rules go before", "read later",
		"newer", "own rules go before" };
	struct ruleset *rs;

	(void)state;
	assert_int_equal(ruleset_new(DENY, ALLOW, &rs), 0);
	assert_int_equal(ruleset_add_factory(rs), 0);
	for (size_t i = ARRAY_LEN(from); i-- > 0;)
		assert_int_equal(ruleset_add(rs, "allow any localhost", &from[i], NULL), 0);
	assert_int_equal(ruleset_ready(rs), 0);
	for (size_t i = 0, n = 0; i < rs->n; i++) {
		const struct rule *r = rs->rules[i];

		if (r->what.kind != WHAT_ZONE || r->what.zone != ZONE_LOCALHOST)
			continue;
		print_message("%zu %s\n", n, r->text);
		if (n < ARRAY_LEN(from)) {
			assert_int_equal(r->line, from[n].line);
			assert_int_equal(r->created_s, from[n].created_s);
			assert_non_null(strstr(order_why(r, rs->rules[i + 1]), why[n]));
		} else {
			assert_int_equal(r->id, RULE_ID_FACTORY + 1);
		}
		n++;
	}
	ruleset_free(rs);
}

/* path "/x" unless said otherwise asks for a.org; default deny, allow or ask */
static void three_values(void **state)
{
	static const struct {
		const char *why, *rules;
		enum verdict fallback;
		const char *path, *name;
		bool local;
		enum verdict want;
		const char *by; /* the rule named, "" none */
	} cases[] = {
		{ "no rule, deny", "", DENY, "/x", "a.org", 0, DENY, "" },
		{ "no rule, allow", "", ALLOW, "/x", "a.org", 0, ALLOW, "" },
		{ "no rule, ask", "", ASK, "/x", "a.org", 0, ASK, "" },
		{ "no rule, a local name", "", DENY, "/x", "nas.lan", 1, DENY, "" },
		{ "another's rule", "allow /y any", DENY, "/x", "a.org", 0, DENY, "" },
		{ "another's address", "allow /y 1.1.1.1", DENY, "/x", "a.org", 0, DENY, "" },
		{ "host", "allow /x a.org", DENY, "/x", "a.org", 0, ALLOW, "allow /x a.org" },
		{ "domain", "allow /x .org", DENY, "/x", "a.org", 0, ALLOW, "allow /x .org" },
		{ "glob", "allow /x *a.org", DENY, "/x", "a.org", 0, ALLOW, "allow /x *a.org" },
		{ "any", "allow /x any", DENY, "/x", "a.org", 0, ALLOW, "allow /x any" },
		{ "other host", "allow /x b.org", DENY, "/x", "a.org", 0, DENY, "" },
		{ "deny by name", "deny any .org", ALLOW, "/x", "a.org", 0, DENY,
			"deny any .org" },
		{ "a port only may", "allow /x a.org:443", DENY, "/x", "a.org", 0, UNDECIDED,
			"allow /x a.org:443" },
		{ "another name's port may not", "allow /x b.org:443", DENY, "/x", "a.org", 0,
			DENY, "" },
		{ "a protocol only may", "allow /x any/udp", DENY, "/x", "a.org", 0, UNDECIDED,
			"allow /x any/udp" },
		{ "an address may", "allow /x 1.1.1.1", DENY, "/x", "a.org", 0, UNDECIDED,
			"allow /x 1.1.1.1" },
		{ "a zone may", "allow /x internet", DENY, "/x", "a.org", 0, UNDECIDED,
			"allow /x internet" },
		{ "to ask may too", "ask /x 1.1.1.1", DENY, "/x", "a.org", 0, UNDECIDED,
			"ask /x 1.1.1.1" },
		{ "a may that agrees", "allow any 1.1.1.1\nallow /x .org", DENY, "/x", "a.org",
			0, ALLOW, "allow /x .org" },
		{ "a may that outranks and denies", "deny any 1.1.1.1\nallow /x .org", DENY,
			"/x", "a.org", 0, UNDECIDED, "deny any 1.1.1.1" },
		{ "a may that outranks and allows", "allow any 1.1.1.1\ndeny /x .org", DENY,
			"/x", "a.org", 0, UNDECIDED, "allow any 1.1.1.1" },
		{ "a may that is outranked", "allow /x internet\ndeny /x .org", DENY, "/x",
			"a.org", 0, DENY, "deny /x .org" },
		{ "zone over any", "allow /x internet\ndeny /x any", DENY, "/x", "a.org", 0,
			UNDECIDED, "allow /x internet" },
		{ "port over without", "deny any a.org:25\nallow /x a.org", DENY, "/x", "a.org",
			0, UNDECIDED, "deny any a.org:25" },
		{ "a denied port of any is outranked", "deny any any:25\nallow /x a.org", DENY,
			"/x", "a.org", 0, ALLOW, "allow /x a.org" },
		{ "high any", "deny any any high\nallow /x 1.1.1.1", DENY, "/x", "a.org", 0,
			DENY, "deny any any high" },
		{ "high allow over addresses", "allow /x .org high\ndeny any 1.1.1.1", DENY,
			"/x", "a.org", 0, ALLOW, "allow /x .org high" },
		{ "default allow, an address denied", "deny any 1.1.1.1", ALLOW, "/x", "a.org",
			0, ALLOW, "" },
		{ "default allow, an address asked", "ask any 1.1.1.1", ALLOW, "/x", "a.org", 0,
			UNDECIDED, "ask any 1.1.1.1" },
		{ "default ask: asked before any lookup", "deny any 1.1.1.1", ASK, "/x",
			"a.org", 0, ASK, "" },
		{ "default ask, an address allowed", "allow any 1.1.1.1", ASK, "/x", "a.org", 0,
			UNDECIDED, "allow any 1.1.1.1" },
		{ "asked by rule before any lookup", "deny any 1.1.1.1\nask /x .org", DENY,
			"/x", "a.org", 0, ASK, "ask /x .org" },
		{ "asked, an address allowed", "allow any 1.1.1.1\nask /x .org", DENY, "/x",
			"a.org", 0, UNDECIDED, "allow any 1.1.1.1" },
		{ "a local range, a public name", "allow /x 10.0.0.0/8", DENY, "/x", "a.org", 0,
			DENY, "" },
		{ "a local range, a local name", "allow /x 10.0.0.0/8", DENY, "/x", "nas.lan",
			1, UNDECIDED, "allow /x 10.0.0.0/8" },
		{ "lan, a public name", "allow /x lan", DENY, "/x", "a.org", 0, DENY, "" },
		{ "lan, a local name", "allow /x lan", DENY, "/x", "nas.lan", 1, UNDECIDED,
			"allow /x lan" },
		{ "localhost and multicast", "allow /x localhost\nallow /x multicast:5353", DENY,
			"/x", "a.org", 0, DENY, "" },
		{ "a local address denied", "deny any 10.0.0.1\nallow /x .org", DENY, "/x",
			"a.org", 0, ALLOW, "allow /x .org" },
		{ "a range wider than local", "allow /x 9.255.255.255-10.0.0.9", DENY, "/x",
			"a.org", 0, UNDECIDED, "allow /x 9.255.255.255-10.0.0.9" },
		{ "internet, a local name", "allow /x internet", DENY, "/x", "nas.lan", 1,
			UNDECIDED, "allow /x internet" },
		{ "a country allowed", "allow /x country:NL", DENY, "/x", "a.org", 0, UNDECIDED,
			"allow /x country:NL" },
		{ "a country denied", "deny any country:NL", ALLOW, "/x", "a.org", 0, ALLOW,
			"" },
		{ "a network, a local name", "allow /x as:1", DENY, "/x", "nas.lan", 1,
			UNDECIDED, "allow /x as:1" },
		{ "a continent below a name", "deny any continent:EU\nallow /x a.org", DENY,
			"/x", "a.org", 0, ALLOW, "allow /x a.org" },
		{ "a network above any", "deny any as:1\nallow /x any", DENY, "/x", "a.org", 0,
			UNDECIDED, "deny any as:1" },
		{ "in rules do not count", "allow /x internet in", DENY, "/x", "a.org", 0, DENY,
			"" },
		{ "an expired rule does not count", "allow /x 1.1.1.1 for 5s", DENY, "/x",
			"a.org", 0, DENY, "" },
		{ "unknown: a denial of anybody", "deny /y a.org\nallow any any", ALLOW, "?",
			"a.org", 0, DENY, "deny /y a.org" },
		{ "unknown: elsewhere", "deny /y b.org\nallow any any", DENY, "?", "a.org", 0,
			ALLOW, "allow any any" },
		{ "unknown: no leave of another", "allow /y a.org", DENY, "?", "a.org", 0, DENY,
			"" },
		{ "unknown: its own rule", "allow unknown a.org", DENY, "?", "a.org", 0, ALLOW,
			"allow unknown a.org" },
		{ "unknown: another's address denied", "deny /y 1.1.1.1\nallow unknown a.org",
			DENY, "?", "a.org", 0, UNDECIDED, "deny /y 1.1.1.1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct program p = program(cases[i].path, 1000);
		/* with and without the factory rules: for any they never count here */
		for (int factory = 0; factory < 2; factory++) {
			struct ruleset *rs = factory ?
				ready_with_factory(cases[i].rules, cases[i].fallback) :
				ready(cases[i].rules, cases[i].fallback);
			struct decision d;

			print_message("%s\n", cases[i].why);
			ruleset_at_name(rs, &p, cases[i].name, cases[i].local, NOW, &d);
			assert_string_equal(verdict_text(d.verdict),
				verdict_text(cases[i].want));
			assert_string_equal(winner(rs, &d), cases[i].by);
			assert_int_equal(d.reason, *cases[i].by ? REASON_RULE
							       : REASON_DEFAULT);
			ruleset_free(rs);
		}
	}
}

static void ports_text(const struct port_verdicts *v, struct text *t)
{
	text_add(t, verdict_text(v->rest.verdict));
	if (v->cut)
		text_add(t, " cut");
	for (uint8_t i = 0; i < v->n; i++)
		text_addf(t, " %u:%u-%u=%s", v->at[i].proto, v->at[i].lo, v->at[i].hi,
			verdict_text(v->at[i].decision.verdict));
}

static void ports(void **state)
{
	static const struct {
		const char *rules;
		enum verdict fallback;
		const char *want;
	} cases[] = {
		{ "", DENY, "deny" },
		{ "allow /x .org", DENY, "allow" },
		{ "allow /x .org:443/tcp", DENY, "deny 6:443-443=allow" },
		{ "allow /x .org:443", DENY, "deny 0:443-443=allow" },
		{ "allow /x .org:80,443", DENY, "deny 0:80-80=allow 0:443-443=allow" },
		{ "allow /x .org:80-90/udp", DENY, "deny 17:80-90=allow" },
		{ "allow /x .org/tcp", DENY, "deny 6:0-65535=allow" },
		{ "allow /x .org/icmp", DENY, "deny 1:0-65535=allow" },
		{ "allow /x .org/47\nallow /x 1.1.1.1/32/47", DENY, "deny 47:0-65535=allow" },
		{ "deny any any:25\nallow /x any", DENY, "allow 0:25-25=deny" },
		{ "deny any any:25\nallow /x .org", DENY, "allow" },
		{ "deny any a.org:25\nallow /x a.org", DENY, "allow 0:25-25=deny" },
		{ "allow /x .org:443\ndeny /x .org:443/udp", DENY,
			"deny 6:443-443=allow 33:443-443=allow 132:443-443=allow "
			"136:443-443=allow" },
		{ "allow /x a.org:1-100\ndeny /x 1.1.1.1:50", DENY,
			"deny 0:1-49=allow 0:51-100=allow" },
		{ "allow /x a.org:1-100\nallow /x 1.1.1.1:101", DENY,
			"deny 0:1-100=allow 0:101-101=allow" },
		{ "deny /x .org:443", DENY, "deny" },
		{ "deny any any/udp", ALLOW, "allow 17:0-65535=deny" },
		{ "deny any any:53/udp\nask any any/icmp", ALLOW,
			"allow 17:53-53=deny 1:0-65535=ask" },
		{ "allow any 1.1.1.1:80 in", DENY, "deny" },
		{ "allow any 1.1.1.1:80-81\ndeny any 1.1.1.1\nallow any .org", DENY,
			"deny 0:80-81=allow" },
		{ "allow any any/tcp\nallow any any:5", DENY,
			"deny 6:1-4=allow 0:5-5=allow 6:6-65535=allow" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ruleset *rs = ready_with_factory(cases[i].rules, cases[i].fallback);
		struct program p = program("/x", 1000);
		struct addr a = addr("1.1.1.1");
		struct target to = { .name = "a.org", .addr = &a };
		struct port_verdicts v;
		char buf[1000];
		struct text t = text_into(buf, sizeof(buf));

		print_message("%s\n", cases[i].rules);
		ruleset_ports(rs, &p, &to, NOW, &v);
		ports_text(&v, &t);
		assert_string_equal(buf, cases[i].want);
		ruleset_free(rs);
	}
}

static void ports_icmp_of_the_address(void **state)
{
	struct ruleset *rs = ready("allow any any/icmp", DENY);
	struct program p = program("/x", 1000);
	struct addr a = addr("2001:db8::1");
	struct target to = { .addr = &a };
	struct port_verdicts v;

	(void)state;
	ruleset_ports(rs, &p, &to, NOW, &v);
	assert_int_equal(v.n, 1);
	assert_int_equal(v.at[0].proto, IPPROTO_ICMPV6);
	to.addr = NULL;
	ruleset_ports(rs, &p, &to, NOW, &v);
	assert_int_equal(v.n, 2);
	ruleset_free(rs);
}

/* more than there is room for: what is listed stays, the rest is denied */
static void ports_cut(void **state)
{
	struct ruleset *rs = rules_of("", ALLOW, ALLOW);
	struct rule_origin from = { .source = RULE_OWN };
	struct program p = program("/x", 1000);
	struct addr a = addr("1.1.1.1");
	struct target to = { .addr = &a };
	struct port_verdicts v;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		char text[80];

		from.id = i + 1;
		snprintf(text, sizeof(text), "deny any any:%u", 10 + 2 * i);
		assert_int_equal(ruleset_add(rs, text, &from, NULL), 0);
	}
	assert_int_equal(ruleset_ready(rs), 0);
	ruleset_ports(rs, &p, &to, NOW, &v);
	assert_true(v.cut);
	assert_int_equal(v.rest.verdict, DENY);
	assert_int_equal(v.n, PORTS_MAX);
	ruleset_free(rs);
}

static void whole(void **state)
{
	static const struct {
		const char *why, *rules;
		enum verdict fallback, fallback_in;
		const char *path;
		const char *want; /* out in local */
	} cases[] = {
		{ "nothing, allow", "", ALLOW, ALLOW, "/x", "allow allow allow" },
		{ "nothing, deny", "", DENY, ALLOW, "/x", "deny allow allow" },
		{ "nothing, ask", "", ASK, ALLOW, "/x", "undecided allow allow" },
		{ "inbound by default", "", ALLOW, DENY, "/x", "allow deny allow" },
		{ "inbound asks", "", ALLOW, ASK, "/x", "allow ask allow" },
		{ "allowed all", "allow /x any", DENY, ALLOW, "/x", "allow allow allow" },
		{ "denied all: no inbound", "deny /x any", ALLOW, ALLOW, "/x",
			"deny deny allow" },
		{ "denied all and asked in", "deny /x any\nallow /x any:22/tcp in", ALLOW,
			ALLOW, "/x", "deny deny allow" },
		{ "denied all, let in", "deny /x any\nallow /x any in", ALLOW, ALLOW, "/x",
			"deny allow allow" },
		{ "denied all by zones", "deny /x internet\ndeny /x lan\ndeny any multicast",
			ALLOW, ALLOW, "/x", "deny deny allow" },
		{ "a zone forgotten", "deny /x internet\ndeny /x lan", ALLOW, ALLOW, "/x",
			"undecided allow allow" },
		{ "zones allowed", "allow /x internet\nallow /x lan\nallow any multicast\n"
			"deny /x any", DENY, ALLOW, "/x", "allow allow allow" },
		{ "deny by default lets in", "", DENY, ALLOW, "/x", "deny allow allow" },
		{ "a name opens", "allow /x .org", DENY, ALLOW, "/x",
			"undecided allow allow" },
		{ "a name only narrows", "deny any .org", ALLOW, ALLOW, "/x",
			"allow allow allow" },
		{ "a name that is asked", "ask any .org", ALLOW, ALLOW, "/x",
			"allow allow allow" },
		{ "an outranked name opens too: host over any", "deny /x any\nallow any a.org",
			ALLOW, ALLOW, "/x", "undecided allow allow" },
		{ "a name below high", "deny /x any high\nallow any a.org", ALLOW, ALLOW, "/x",
			"deny deny deny" },
		{ "an address denied", "deny any 1.1.1.1", ALLOW, ALLOW, "/x",
			"undecided allow allow" },
		{ "an address allowed", "allow any 1.1.1.1", DENY, ALLOW, "/x",
			"undecided allow allow" },
		{ "an agreeing address", "allow any 1.1.1.1", ALLOW, ALLOW, "/x",
			"allow allow allow" },
		{ "a port denied", "deny any any:25", ALLOW, ALLOW, "/x",
			"undecided allow allow" },
		{ "a port below any", "deny any any:25\nallow /x any high", DENY, ALLOW, "/x",
			"allow allow allow" },
		{ "lan is other machines", "deny any lan", ALLOW, ALLOW, "/x",
			"undecided allow allow" },
		{ "a country denied", "deny any country:NL", ALLOW, ALLOW, "/x",
			"undecided allow allow" },
		{ "a network allowed", "allow any as:1", DENY, ALLOW, "/x",
			"undecided allow allow" },
		{ "loopback is not", "deny any localhost", ALLOW, ALLOW, "/x",
			"allow allow deny" },
		{ "a name does not open loopback", "deny any localhost\nallow /x .org", DENY,
			ALLOW, "/x", "undecided allow deny" },
		{ "a loopback address", "deny any 127.0.0.1:631", ALLOW, ALLOW, "/x",
			"allow allow undecided" },
		{ "loopback in a range", "deny any 0.0.0.0/0", ALLOW, ALLOW, "/x",
			"undecided allow undecided" },
		{ "another program's", "deny /y any\nallow /y any in", ALLOW, ALLOW, "/x",
			"allow allow allow" },
		{ "expired", "deny /x any for 5s", ALLOW, ALLOW, "/x", "allow allow allow" },
		{ "unknown", "deny /y any", ALLOW, ALLOW, "?", "deny deny allow" },
		{ "unknown is not let by others", "allow /y any", DENY, ALLOW, "?",
			"deny allow allow" },
		{ "a factory rule of its own", "", DENY, ALLOW, "/usr/sbin/chronyd",
			"undecided allow allow" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ruleset *rs = rules_of(cases[i].rules, cases[i].fallback,
			cases[i].fallback_in);
		struct program p = program(cases[i].path, 1000);
		struct port_verdicts in;
		struct whole w;
		char got[80];

		print_message("%s\n", cases[i].why);
		assert_int_equal(ruleset_add_factory(rs), 0);
		assert_int_equal(ruleset_ready(rs), 0);
		ruleset_whole(rs, &p, NOW, &w);
		ruleset_inbound(rs, &p, NOW, &in);
		snprintf(got, sizeof(got), "%s %s %s", verdict_text(w.out.verdict),
			verdict_text(in.rest.verdict), verdict_text(w.local.verdict));
		assert_string_equal(got, cases[i].want);
		ruleset_free(rs);
	}
}

static void lets_all(void **state)
{
	static const struct {
		const char *why, *rules;
		enum verdict fallback;
		const char *want;
	} cases[] = {
		{ "nothing, allow", "", ALLOW, "all" },
		{ "nothing, deny", "", DENY, "no" },
		{ "nothing, ask", "", ASK, "no" },
		{ "allowed, but not by default", "allow any any", DENY, "no" },
		{ "a name", "deny /x .org", ALLOW, "all but names" },
		{ "a name that is asked", "ask any a.org", ALLOW, "all but names" },
		{ "a program", "deny /x any", ALLOW, "no" },
		{ "an address", "deny /x 1.1.1.1", ALLOW, "no" },
		{ "an address, outranked for the unknown alone",
			"deny any 1.1.1.1\nallow unknown 1.1.1.1", ALLOW, "no" },
		{ "a port", "ask any any:25", ALLOW, "no" },
		{ "a country", "deny any country:NL", ALLOW, "no" },
		{ "a group", "deny any multicast", ALLOW, "no" },
		{ "this machine alone", "deny any localhost\ndeny /x 127.0.0.1:631", ALLOW,
			"all" },
		{ "what comes in", "deny any any in", ALLOW, "all" },
		{ "expired", "deny any any for 5s", ALLOW, "all" },
		{ "off", "deny any any off", ALLOW, "all" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ruleset *rs = rules_of(cases[i].rules, cases[i].fallback, ALLOW);
		bool narrows = false;

		print_message("%s\n", cases[i].why);
		assert_int_equal(ruleset_add_factory(rs), 0);
		assert_int_equal(ruleset_ready(rs), 0);
		assert_string_equal(!ruleset_lets_all(rs, NOW, &narrows) ? "no" :
				narrows ? "all but names" : "all",
			cases[i].want);
		ruleset_free(rs);
	}
}

static void lets_all_in(void **state)
{
	static const struct {
		const char *why, *rules;
		enum verdict fallback_in;
		bool want;
	} cases[] = {
		{ "nothing", "", ALLOW, true },
		{ "nothing, deny", "", DENY, false },
		{ "outbound names and addresses", "deny any .org\ndeny any 1.1.1.1:80", ALLOW,
			true },
		{ "who may not go out at all lets nobody in", "deny /x any", ALLOW, false },
		{ "an address", "deny any 10.0.0.1 in", ALLOW, false },
		{ "a port, both ways", "deny any any:22 both", ALLOW, false },
		{ "asked", "ask any any:22 in", ALLOW, false },
		{ "allowed", "allow any any:22 in", ALLOW, true },
		{ "expired", "deny any any in for 5s", ALLOW, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ruleset *rs = rules_of(cases[i].rules, ALLOW, cases[i].fallback_in);

		print_message("%s\n", cases[i].why);
		assert_int_equal(ruleset_add_factory(rs), 0);
		assert_int_equal(ruleset_ready(rs), 0);
		assert_int_equal(ruleset_lets_all_in(rs, NOW), cases[i].want);
		ruleset_free(rs);
	}
}

static void stretches_text(const struct port_verdicts *v, char *out, size_t max)
{
	int n = snprintf(out, max, "%s", verdict_text(v->rest.verdict));

	for (uint8_t i = 0; i < v->n; i++)
		n += snprintf(out + n, max - (size_t)n, " %u:%u-%u=%s", v->at[i].proto,
			v->at[i].lo, v->at[i].hi, verdict_text(v->at[i].decision.verdict));
}

/* what holds for every peer is told to the kernel once */
static void inbound_of_every_peer(void **state)
{
	static const struct {
		const char *why, *rules;
		enum verdict fallback_in;
		const char *want;
	} cases[] = {
		{ "one port let in", "allow /x any:22/tcp in", DENY, "deny 6:22-22=allow" },
		{ "of both protocols", "allow /x any:53 in", DENY, "deny 0:53-53=allow" },
		{ "one port shut", "deny any any:8000-8001/tcp in", ALLOW,
			"allow 6:8000-8001=deny" },
		{ "both directions", "deny any any:25/tcp both", ALLOW, "allow 6:25-25=deny" },
		{ "outbound only", "deny any any:25/tcp", ALLOW, "allow" },
		{ "a protocol", "deny any any/udp in", ALLOW, "allow 17:0-65535=deny" },
		{ "a zone", "deny /x internet in", ALLOW, "undecided" },
		{ "both zones", "deny /x internet in\ndeny any lan in", ALLOW, "deny" },
		{ "a zone at one port", "allow /x lan:22/tcp in", DENY,
			"deny 6:22-22=undecided" },
		{ "a prefix", "allow /x 10.0.0.0/8 in", DENY, "undecided" },
		{ "a prefix that agrees", "allow /x 10.0.0.0/8 in", ALLOW, "allow" },
		{ "a prefix at one port", "allow /x 10.0.0.0/8:22/tcp in", DENY,
			"deny 6:22-22=undecided" },
		{ "a prefix behind what decides", "allow /x 10.0.0.0/8 in\n"
			"deny /x any in high", ALLOW, "deny" },
		{ "a country", "deny any country:NL in", ALLOW, "undecided" },
		{ "asked", "ask any any:22/tcp in", ALLOW, "allow 6:22-22=ask" },
		{ "another program's", "deny /y any in", ALLOW, "allow" },
		{ "a port before any", "deny /x any in\nallow /x any:80,443/tcp in", ALLOW,
			"deny 6:80-80=allow 6:443-443=allow" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ruleset *rs = rules_of(cases[i].rules, ALLOW, cases[i].fallback_in);
		struct program p = program("/x", 1000);
		struct port_verdicts v;
		char got[200];

		print_message("%s\n", cases[i].why);
		assert_int_equal(ruleset_add_factory(rs), 0);
		assert_int_equal(ruleset_ready(rs), 0);
		ruleset_inbound(rs, &p, NOW, &v);
		stretches_text(&v, got, sizeof(got));
		assert_string_equal(got, cases[i].want);
		ruleset_free(rs);
	}
}

/* no room for all that could speak: every contact is judged by itself */
static void inbound_of_too_many(void **state)
{
	struct ruleset *rs = rules_of("", ALLOW, ALLOW);
	struct rule_origin from = { .source = RULE_OWN };
	struct program p = program("/x", 1000);
	struct port_verdicts v;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		char text[80];

		from.id = i + 1;
		snprintf(text, sizeof(text), "deny any 10.0.%u.%u in", i / 200, i % 200);
		assert_int_equal(ruleset_add(rs, text, &from, NULL), 0);
	}
	assert_int_equal(ruleset_ready(rs), 0);
	ruleset_inbound(rs, &p, NOW, &v);
	assert_int_equal(v.rest.verdict, VERDICT_UNDECIDED);
	assert_int_equal(v.n, 0);
	ruleset_free(rs);
}

static void inbound_of_the_denied(void **state)
{
	struct ruleset *rs = ready("deny /x any\nallow any 10.0.0.1 in", ALLOW);
	struct program x = program("/x", 1000), y = program("/y", 1000);
	struct addr a = addr("10.0.0.2"), b = addr("10.0.0.1");
	struct target to = { .addr = &a, .port = 22, .proto = 6, .dir = FLOW_IN };
	struct decision d;

	(void)state;
	ruleset_decide(rs, &y, &to, NOW, &d);
	assert_int_equal(d.verdict, ALLOW);
	ruleset_decide(rs, &x, &to, NOW, &d);
	assert_int_equal(d.verdict, DENY);
	assert_string_equal(winner(rs, &d), "deny /x any");
	to.addr = &b;
	ruleset_decide(rs, &x, &to, NOW, &d);
	assert_int_equal(d.verdict, ALLOW);
	ruleset_free(rs);
}

static void expiry(void **state)
{
	struct ruleset *rs = ready("allow /x any for 1m\ndeny any .org for 1h\n"
				   "deny any .net until 2099-01-01\nallow any a for 10s off\n",
		DENY);
	struct program p = program("/x", 1000);
	struct addr a = addr("1.1.1.1");
	struct target to = { .addr = &a };
	struct decision d;
	int64_t made = NOW - 10, first = made + 60, second = made + 3600;

	(void)state;
	assert_int_equal(ruleset_next_change(rs, NOW), first);
	ruleset_decide(rs, &p, &to, first - 1, &d);
	assert_int_equal(d.verdict, ALLOW);
	ruleset_decide(rs, &p, &to, first, &d);
	assert_int_equal(d.verdict, DENY);
	assert_int_equal(ruleset_next_change(rs, first), second);
	assert_int_equal(ruleset_next_change(rs, second), 4070908800);
	assert_int_equal(ruleset_next_change(rs, 4070908800), 0);
	ruleset_free(rs);
}

static void factory(void **state)
{
	static const struct {
		const char *why, *rules, *path;
		unsigned classes;
	} cases[] = {
		{ "nobody", "", "/usr/bin/curl", 0 },
		{ "the unknown neither", "", "?", 0 },
		{ "a copy elsewhere", "", "/home/a/usr/sbin/dhclient", 0 },
		{ "DHCP", "", "/usr/sbin/dhclient", 1 << RULES_DHCP },
		{ "NTP", "", "/usr/sbin/chronyd", 1 << RULES_NTP },
		{ "mDNS", "", "/usr/sbin/avahi-daemon", 1 << RULES_MDNS },
		{ "two", "", "/usr/lib/systemd/systemd-networkd",
			1 << RULES_DHCP | 1 << RULES_ND },
		{ "a wider denial is weaker", "deny /usr/sbin/dhclient any",
			"/usr/sbin/dhclient", 1 << RULES_DHCP },
		{ "one zone denied", "deny any multicast:67/udp", "/usr/sbin/dhclient",
			1 << RULES_DHCP },
		{ "both denied", "deny any multicast:67/udp high\ndeny any lan high",
			"/usr/sbin/dhclient", 0 },
		{ "other ports", "deny any multicast:68 high\ndeny any lan:80 high",
			"/usr/sbin/dhclient", 1 << RULES_DHCP },
		{ "one address", "deny any 192.168.0.1", "/usr/sbin/dhclient",
			1 << RULES_DHCP },
		{ "everything, high", "deny any any high", "/usr/sbin/chronyd", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ruleset *rs = ready_with_factory(cases[i].rules, DENY);
		struct program p = program(cases[i].path, 0);

		print_message("%s\n", cases[i].why);
		assert_int_equal(ruleset_classes(rs, &p, NOW), cases[i].classes);
		ruleset_free(rs);
	}
}

static void loopback(void **state)
{
	static const struct {
		const char *rules;
		enum verdict want;
	} cases[] = {
		{ "", ALLOW },
		{ "deny /x any", ALLOW },
		{ "deny any localhost", DENY },
		{ "deny /x localhost:22", ALLOW },
		{ "deny /x localhost:631", DENY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ruleset *rs = ready_with_factory(cases[i].rules, DENY);
		struct program p = program("/x", 0);
		struct addr a = addr("::1");
		struct target to = { .addr = &a, .port = 631, .proto = 6 };
		struct decision d;

		print_message("%s\n", cases[i].rules);
		ruleset_decide(rs, &p, &to, NOW, &d);
		assert_int_equal(d.verdict, cases[i].want);
		ruleset_free(rs);
	}
}

static void explained(const struct ruleset *rs, const char *path, const char *what,
	bool in, const char *want)
{
	struct program p = program(path, 0);
	char name[HOST_MAX], buf[4000];
	struct text t = text_into(buf, sizeof(buf));
	struct addr a;
	struct target to;

	assert_int_equal(rules_target(what, name, &a, &to, NULL), 0);
	to.dir = in ? FLOW_IN : FLOW_OUT;
	ruleset_explain(rs, &p, &to, NOW, &t);
	assert_string_equal(buf, want);
}

static void explain(void **state)
{
	struct ruleset *rs = rules_of("deny any .org\nallow /x a.org:443\n# \n"
				      "deny /y any\nallow any 10.0.0.0/8\n", DENY, ALLOW);
	struct rule_origin own = { .source = RULE_OWN, .id = 9 };

	(void)state;
	assert_int_equal(ruleset_add(rs, "allow /x any", &own, NULL), 0);
	assert_int_equal(ruleset_add_factory(rs), 0);
	assert_int_equal(ruleset_ready(rs), 0);
	explained(rs, "/x", "a.org", false,
		"1. allow /x a.org:443  (t.rules:2)  only if the address or port fits"
		"  before 2: its target is of a more specific kind\n"
		"2. deny any .org  (t.rules:1)"
		"  before 3: its target is of a more specific kind\n"
		"3. allow /x any  (rule 9)\n"
		"undecided: t.rules:2 may match, depending on the address or port: the name is "
		"looked up and each address judged\n");
	explained(rs, "/x", "10.0.0.1:443/tcp", false,
		"1. allow any 10.0.0.0/8  (t.rules:5)"
		"  before 2: its target is of a more specific kind\n"
		"2. allow /x any  (rule 9)\n"
		"allow: t.rules:5 is the first that matches\n");
	explained(rs, "/z", "a.net", false,
		"deny: no rule matches, so the default decides\n");
	explained(rs, "/z", "::1", false,
		"1. allow any localhost note \"loopback\"  (factory 2147483649)\n"
		"allow: factory 2147483649 is the first that matches\n");
	ruleset_free(rs);

	rs = ready("deny /y any", ALLOW);
	explained(rs, "/y", "192.0.2.1:22/tcp", true,
		"deny: t.rules:1 denies everything outbound, and no rule for inbound matches\n");
	ruleset_free(rs);

	rs = ready("allow /y 192.0.2.1", DENY);
	explained(rs, "/y", "a.org", false,
		"1. allow /y 192.0.2.1  (t.rules:1)  only if the address or port fits\n"
		"undecided: t.rules:1 may match, depending on the address or port: the name is "
		"looked up and each address judged\n");
	ruleset_free(rs);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(matching),
		cmocka_unit_test(where),
		cmocka_unit_test(where_is_not_asked),
		cmocka_unit_test(globs),
		cmocka_unit_test(order),
		cmocka_unit_test(order_of_sources),
		cmocka_unit_test(three_values),
		cmocka_unit_test(ports),
		cmocka_unit_test(ports_icmp_of_the_address),
		cmocka_unit_test(ports_cut),
		cmocka_unit_test(whole),
		cmocka_unit_test(lets_all),
		cmocka_unit_test(lets_all_in),
		cmocka_unit_test(inbound_of_every_peer),
		cmocka_unit_test(inbound_of_too_many),
		cmocka_unit_test(inbound_of_the_denied),
		cmocka_unit_test(expiry),
		cmocka_unit_test(factory),
		cmocka_unit_test(loopback),
		cmocka_unit_test(explain),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
