/* SPDX-License-Identifier: GPL-2.0-or-later
 * the index changes how long a decision takes, and never the decision */
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

enum { NOW = 1000000 };

static unsigned seed = 1;

static unsigned dice(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

#define ONE_OF(a) ((a)[dice(ARRAY_LEN(a))])

/* few names, places and programs, so that rules meet often */
static const char *const whos[] = { "any", "any", "unknown", "/x", "/y", "/b/z", "/*", "/**",
	"/b/*", "any+uid:1", "/x+uid:1", "/*+uid:2" };
static const char *const whats[] = { "any", "any", "localhost", "lan", "internet", "multicast",
	"a.org", "b.a.org", ".a.org", "*.a.org", ".org", ".b.a.org", "*a.org", "*.*.org",
	"nas.lan", ".lan", "1.1.1.1", "1.1.1.0/24", "1.1.0.0/16", "0.0.0.0/0", "10.0.0.0/8",
	"10.0.0.7", "1.1.1.0-1.1.1.9", "9.0.0.0-11.0.0.0", "127.0.0.0/8", "2001:db8::/32",
	"2001:db8::1", "fe80::/10", "::/0", "as:1", "as:2", "country:NL", "country:DE",
	"continent:EU" };
/* what a file may say of an address */
static const struct geo_tag tags[] = { { .country = "" },
	{ .country = "NL", .continent = "EU", .asn = 1 },
	{ .country = "DE", .continent = "EU", .asn = 2 }, { .country = "US", .asn = 1 } };
static const char *const services[] = { "", "", "", "", ":80", ":443/tcp", ":50-90", "/tcp",
	"/udp", "/icmp", ":53,80,443/udp", "/47" };
static const char *const options[] = { "", "", "", "", " high", " off", " for 10s",
	" for 100s", " both", " for 50s high" };

static void random_rule(char *text, size_t max)
{
	static const char *const actions[] = { "allow", "deny", "ask" };
	const char *what = ONE_OF(whats), *service = ONE_OF(services);
	const char *option = dice(8) ? ONE_OF(options) : " in";
	bool six = strstr(what, "::") != NULL;

	if (strcmp(option, " in") == 0 && (strchr(what, 'r') || strstr(what, "nas") ||
		strstr(what, ".lan")) && strcmp(what, "internet") != 0)
		option = "";
	if (strcmp(service, "/47") == 0 && strchr("0123456789", *what) && !six)
		service = "";
	snprintf(text, max, "%s %s %s%s%s%s%s", ONE_OF(actions), ONE_OF(whos),
		six ? "[" : "", what, six ? "]" : "", service, option);
}

static struct ruleset *random_rules(unsigned n)
{
	static const enum verdict fallbacks[] = { VERDICT_ALLOW, VERDICT_DENY, VERDICT_ASK };
	struct ruleset *rs;

	assert_int_equal(ruleset_new(ONE_OF(fallbacks), ONE_OF(fallbacks), &rs), 0);
	for (unsigned i = 0; i < n; i++) {
		struct rule_origin from = { .source = dice(3) ? RULE_OWN : RULE_FILE,
			.file = "f", .created_s = NOW - 20 + dice(3) };
		struct rule_error err = { 0 };
		char text[200];

		random_rule(text, sizeof(text));
		from.id = from.source == RULE_OWN ? i + 1 : 0;
		if (ruleset_add(rs, text, &from, &err) < 0)
			fail_msg("%s: %s", text, err.what);
	}
	if (dice(2))
		assert_int_equal(ruleset_add_factory(rs), 0);
	assert_int_equal(ruleset_ready(rs), 0);
	if (!rs->index)
		assert_int_equal(index_new(rs, &rs->index), 0);
	return rs;
}

static struct program random_program(void)
{
	static const char *const paths[] = { "/x", "/y", "/b/z", "/b/c/d" };
	struct program p = { .uid = dice(3), .known = dice(5) > 0 };

	if (!p.known)
		return p;
	p.npaths = (uint8_t)dice(3);
	p.believed = p.npaths > 0;
	for (uint8_t i = 0; i < p.npaths; i++)
		p.paths[i] = ONE_OF(paths);
	return p;
}

static const char *const names[] = { "a.org", "b.a.org", "c.b.a.org", "xa.org", "org", "nas.lan",
	"", "net" };
static const char *const addrs[] = { "1.1.1.1", "1.1.1.200", "1.2.3.4", "10.0.0.7", "10.0.1.1",
	"127.0.0.1", "224.0.0.251", "2001:db8::1", "2001:db8::2", "fe80::1", "::1" };

static void same_decision(const struct decision *a, const struct decision *b)
{
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->rule, b->rule);
}

static void same_ports(const struct port_verdicts *a, const struct port_verdicts *b)
{
	same_decision(&a->rest, &b->rest);
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->cut, b->cut);
	for (uint8_t i = 0; i < a->n; i++) {
		assert_int_equal(a->at[i].proto, b->at[i].proto);
		assert_int_equal(a->at[i].lo, b->at[i].lo);
		assert_int_equal(a->at[i].hi, b->at[i].hi);
		same_decision(&a->at[i].decision, &b->at[i].decision);
	}
}

struct answers {
	struct decision name, full;
	struct port_verdicts ports;
	struct whole whole;
};

static void ask_all(const struct ruleset *rs, const struct program *p,
	const struct target *to, int64_t now, struct answers *out)
{
	if (to->name)
		ruleset_at_name(rs, p, to->name, to->local_name, now, &out->name);
	ruleset_decide(rs, p, to, now, &out->full);
	ruleset_ports(rs, p, to, now, &out->ports);
	ruleset_whole(rs, p, now, &out->whole);
}

/* the ports' verdicts, one by one, are what the decision for that port is */
static void ports_are_decisions(const struct ruleset *rs, const struct program *p,
	struct target to, int64_t now, const struct port_verdicts *v)
{
	static const uint16_t some[] = { 1, 49, 50, 53, 80, 90, 91, 443, 65535 };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 47 };

	for (size_t k = 0; k < ARRAY_LEN(protos); k++) {
		for (size_t i = 0; i < ARRAY_LEN(some); i++) {
			enum verdict got = v->rest.verdict;
			struct decision d;
			unsigned hits = 0;

			to.proto = protos[k];
			to.port = protos[k] == 47 ? 0 : some[i];
			for (uint8_t s = 0; s < v->n; s++) {
				bool proto = v->at[s].proto == to.proto ||
					(!v->at[s].proto && to.port);

				if (!proto || to.port < v->at[s].lo || to.port > v->at[s].hi)
					continue;
				got = v->at[s].decision.verdict;
				hits++;
			}
			ruleset_decide(rs, p, &to, now, &d);
			assert_true(hits <= 1);
			if (!v->cut)
				assert_int_equal(got, d.verdict);
		}
	}
}

/* a verdict said for all holds for each */
static void whole_is_decisions(const struct ruleset *rs, const struct program *p,
	struct target to, int64_t now, const struct whole *w)
{
	const struct decision *all = &w->out;
	struct decision d;

	if (to.dir == FLOW_IN)
		return;
	if (addr_zone(to.addr) == ZONE_LOCALHOST)
		all = &w->local;
	if (all->verdict == VERDICT_UNDECIDED)
		return;
	if (all->verdict == VERDICT_ALLOW || all == &w->local)
		to.name = NULL;
	ruleset_decide(rs, p, &to, now, &d);
	assert_int_equal(d.verdict, all->verdict);
}

/* likewise of what comes in, port by port */
static void inbound_is_decisions(const struct ruleset *rs, const struct program *p,
	struct target to, int64_t now)
{
	enum zone zone = addr_zone(to.addr);
	enum verdict said;
	struct port_verdicts v;
	struct decision d;

	if (zone != ZONE_INTERNET && zone != ZONE_LAN)
		return;
	to.dir = FLOW_IN;
	ruleset_inbound(rs, p, now, &v);
	said = v.rest.verdict;
	for (uint8_t s = 0; s < v.n; s++)
		if ((!v.at[s].proto || v.at[s].proto == to.proto) &&
			to.port >= v.at[s].lo && to.port <= v.at[s].hi)
			said = v.at[s].decision.verdict;
	ruleset_decide(rs, p, &to, now, &d);
	if (said != VERDICT_UNDECIDED)
		assert_int_equal(d.verdict, said);
}

/* what was decided at name time is what every public address would be given, but for
 * addresses that only a denial takes away */
static void name_is_decisions(const struct ruleset *rs, const struct program *p,
	struct target to, int64_t now, const struct decision *at_name)
{
	struct decision d;

	if (!to.name || to.dir == FLOW_IN || at_name->verdict == VERDICT_UNDECIDED ||
		addr_zone(to.addr) != ZONE_INTERNET)
		return;
	ruleset_decide(rs, p, &to, now, &d);
	if (d.verdict == VERDICT_DENY)
		return;
	assert_int_equal(d.verdict, at_name->verdict);
}

static void index_is_scan(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 1500; round++) {
		struct ruleset *rs = random_rules(1 + dice(round % 10 ? 12 : 120));
		struct index *index = rs->index;

		for (unsigned i = 0; i < 30; i++) {
			struct program p = random_program();
			struct addr a;
			struct target to = { .name = dice(4) ? ONE_OF(names) : NULL,
				.addr = &a, .geo = dice(4) ? &ONE_OF(tags) : NULL,
				.port = (uint16_t)(dice(2) ? 80 : 443),
				.proto = dice(2) ? IPPROTO_TCP : IPPROTO_UDP,
				.dir = dice(4) ? FLOW_OUT : FLOW_IN };
			int64_t now = NOW + dice(100);
			struct answers with = { 0 }, without = { 0 };

			assert_int_equal(addr_parse(ONE_OF(addrs), &a), 0);
			to.local_name = to.name && strcmp(to.name, "nas.lan") == 0;
			ask_all(rs, &p, &to, now, &with);
			rs->index = NULL;
			ask_all(rs, &p, &to, now, &without);
			rs->index = index;
			same_decision(&with.name, &without.name);
			same_decision(&with.full, &without.full);
			same_decision(&with.whole.out, &without.whole.out);
			same_decision(&with.whole.local, &without.whole.local);
			same_ports(&with.ports, &without.ports);
			ports_are_decisions(rs, &p, to, now, &with.ports);
			whole_is_decisions(rs, &p, to, now, &with.whole);
			name_is_decisions(rs, &p, to, now, &with.name);
			inbound_is_decisions(rs, &p, to, now);
		}
		ruleset_free(rs);
	}
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct ruleset *many(const char *shape)
{
	struct ruleset *rs;
	double start = now_us();

	assert_int_equal(ruleset_new(VERDICT_DENY, VERDICT_ALLOW, &rs), 0);
	for (unsigned i = 0; i < 10000; i++) {
		struct rule_origin from = { .source = RULE_OWN, .id = i + 1 };
		char text[200];

		if (strcmp(shape, "names") == 0)
			snprintf(text, sizeof(text), "deny any .ads%u.example", i);
		else if (strcmp(shape, "programs") == 0)
			snprintf(text, sizeof(text), "allow /usr/bin/p%u .shop.test:443", i);
		else
			snprintf(text, sizeof(text), "deny any %u.%u.%u.0/24", 11 + i / 65536,
				i / 256 % 256, i % 256);
		assert_int_equal(ruleset_add(rs, text, &from, NULL), 0);
	}
	assert_int_equal(ruleset_add_factory(rs), 0);
	assert_int_equal(ruleset_ready(rs), 0);
	print_message("10,000 %s: read and made ready in %.0f ms\n", shape,
		(now_us() - start) / 1000);
	return rs;
}

/* Printed, and held to a bound that only a walk over all rules would break: other work on
 * the machine must not fail this test. */
static void fast(void **state)
{
	static const char *const shapes[] = { "names", "programs", "prefixes" };
	enum { TIMES = 2000 };

	(void)state;
	for (size_t s = 0; s < ARRAY_LEN(shapes); s++) {
		struct ruleset *rs = many(shapes[s]);
		struct program p = { .known = true, .believed = true, .npaths = 1,
			.paths = { "/usr/bin/p77" } };
		struct addr a;
		struct target to = { .name = "www.shop.test", .addr = &a, .port = 443,
			.proto = IPPROTO_TCP };
		struct answers got;
		double start = now_us(), name, all;

		assert_int_equal(addr_parse("198.51.100.1", &a), 0);
		for (unsigned i = 0; i < TIMES; i++)
			ruleset_at_name(rs, &p, to.name, false, NOW, &got.name);
		name = (now_us() - start) / TIMES;
		start = now_us();
		for (unsigned i = 0; i < TIMES; i++)
			ask_all(rs, &p, &to, NOW, &got);
		all = (now_us() - start) / TIMES;
		print_message("\tat name time %.2f us, every question %.2f us\n", name, all);
		assert_true(name < 100);
		ruleset_free(rs);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_is_scan),
		cmocka_unit_test(fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
