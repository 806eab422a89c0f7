/* SPDX-License-Identifier: GPL-2.0-or-later
 * cache.c, and what else answers without asking: hosts.c, servers.c */
#include "base/macros.h"
#include "resolver/answer.h"
#include "resolver/cache.h"
#include "resolver/hosts.h"
#include "resolver/name.h"
#include "resolver/record.h"

#include "tests/unit/dns_build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static struct build_msg msg;

static const struct ttl_limits usual = { 0, CACHE_TTL_MAX_S, CACHE_NEGATIVE_MAX_S };

static struct answer *answer_made(void)
{
	struct answer *a;

	assert_int_equal(answer_new(msg.bytes, msg.o.len, &usual, &a), 0);
	return a;
}

static struct cache_key key(const char *name)
{
	return (struct cache_key){ .name = name, .type = TYPE_A, .klass = 1 };
}

static void put_a(struct cache *c, const char *name, uint32_t ttl, int64_t now_ms)
{
	struct cache_key k = key(name);
	struct answer *a;

	dns_start(&msg, WIRE_QR, name, TYPE_A);
	dns_a(&msg, IN_ANSWER, "@", ttl, "192.0.2.1");
	a = answer_made();
	cache_put(c, &k, a, now_ms);
	answer_release(a);
}

static const struct answer *get(struct cache *c, const char *name, int64_t now_ms)
{
	struct cache_key k = key(name);

	return cache_get(c, &k, now_ms);
}

static const struct answer *stale(struct cache *c, const char *name, int64_t now_ms)
{
	struct cache_key k = key(name);
	bool wait;

	return cache_stale(c, &k, now_ms, &wait);
}

static void put_rcode(struct cache *c, const char *name, uint16_t rcode, int64_t now_ms)
{
	struct cache_key k = key(name);
	struct answer *a;

	dns_start(&msg, WIRE_QR | rcode, name, TYPE_A);
	a = answer_made();
	cache_put(c, &k, a, now_ms);
	answer_release(a);
}

static void put_bogus(struct cache *c, const char *name, int64_t now_ms)
{
	static const uint8_t ede[] = { 0, OPTION_EDE, 0, 2, 0, EDE_BOGUS };
	struct cache_key k = key(name);
	struct answer *a;

	dns_start(&msg, WIRE_QR | RCODE_SERVFAIL, name, TYPE_A);
	dns_opt(&msg, 1232, 0, ede, sizeof(ede));
	a = answer_made();
	assert_true(a->bogus);
	cache_put(c, &k, a, now_ms);
	answer_release(a);
}

static void lives_as_long_as_its_ttl(void **state)
{
	const struct answer *a;
	struct cache c;
	size_t empty;

	(void)state;
	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	empty = c.bytes;
	assert_null(get(&c, "a.test", 0));
	put_a(&c, "a.test", 10, 1000);
	a = get(&c, "a.test", 1999);
	assert_non_null(a);
	assert_true(a->cached);
	assert_int_equal(a->age_s, 0);
	a = get(&c, "a.test", 10999);
	assert_non_null(a);
	assert_int_equal(a->age_s, 9);
	assert_string_equal(a->read->items[0].owner, "a.test");
	assert_null(get(&c, "a.test", 11000));
	assert_null(stale(&c, "a.test", 11000));
	assert_int_equal(c.table.count, 0);
	assert_int_equal(c.bytes, empty);

	put_a(&c, "a.test", 7 * 86400, 0); /* a day at most */
	assert_non_null(get(&c, "a.test", 86400 * 1000 - 1));
	assert_null(get(&c, "a.test", 86400 * 1000));

	put_a(&c, "a.test", 0, 0);
	assert_null(get(&c, "a.test", 0));
	cache_done(&c);
}

static void kept_or_not(void **state)
{
	static const struct {
		const char *why;
		uint16_t flags;    /* rcode and TC */
		bool soa;
		int64_t lives_s;   /* 0: not kept */
	} cases[] = {
		{ "NXDOMAIN", 3, true, 300 },
		{ "NODATA", 0, true, 300 },
		{ "NXDOMAIN without SOA", 3, false, 0 },
		{ "SERVFAIL, briefly", 2, true, 5 },
		{ "REFUSED, briefly", 5, true, 5 },
		{ "truncated", WIRE_TC, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cache_key k = key("a.test");
		struct answer *a;
		struct cache c;

		print_message("%s\n", cases[i].why);
		assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
		dns_start(&msg, WIRE_QR | cases[i].flags, "a.test", TYPE_A);
		if (cases[i].soa)
			dns_soa(&msg, "test", 900, 300);
		a = answer_made();
		cache_put(&c, &k, a, 0);
		answer_release(a);
		assert_int_equal(!!cache_get(&c, &k, 0), cases[i].lives_s > 0);
		assert_int_equal(!!cache_get(&c, &k, cases[i].lives_s * 1000 - 1),
			cases[i].lives_s > 0);
		assert_null(cache_get(&c, &k, cases[i].lives_s * 1000));
		cache_done(&c);
	}
}

static void negative_at_most_an_hour(void **state)
{
	struct cache_key k = key("a.test");
	struct answer *a;
	struct cache c;

	(void)state;
	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	dns_start(&msg, WIRE_QR | 3, "a.test", TYPE_A);
	dns_soa(&msg, "test", 86400, 86400);
	a = answer_made();
	cache_put(&c, &k, a, 0);
	answer_release(a);
	assert_non_null(cache_get(&c, &k, 3600 * 1000 - 1));
	assert_null(cache_get(&c, &k, 3600 * 1000));
	cache_done(&c);
}

static void keys_differ(void **state)
{
	struct cache_key k = key("a.test"), other;
	struct cache c;

	(void)state;
	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	put_a(&c, "a.test", 10, 0);
	assert_non_null(cache_get(&c, &k, 0));
	other = k;
	other.type = TYPE_AAAA;
	assert_null(cache_get(&c, &other, 0));
	other = k;
	other.dnssec_ok = true;
	assert_null(cache_get(&c, &other, 0));
	other = k;
	other.checking_disabled = true;
	assert_null(cache_get(&c, &other, 0));
	other = k;
	other.klass = 3;
	assert_null(cache_get(&c, &other, 0));
	other = k;
	other.route = 1;
	assert_null(cache_get(&c, &other, 0));
	cache_done(&c);
}

static void least_used_leaves_first(void **state)
{
	size_t one, empty;
	struct cache c;

	(void)state;
	assert_int_equal(cache_init(&c, 1 << 12, 0), 0);
	empty = c.bytes;
	put_a(&c, "n0.test", 100, 0);
	one = c.bytes - empty;
	assert_true(empty + one * 4 > 4096 / 2 && empty + one * 4 < 4096 + 2048);
	cache_done(&c);

	assert_int_equal(cache_init(&c, empty + one * 4, 0), 0);
	assert_int_equal(c.bytes, empty);
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d.test", i);
		put_a(&c, name, 100, 0);
	}
	assert_int_equal(c.table.count, 4);
	assert_non_null(get(&c, "n0.test", 0)); /* used: now n1 is the oldest */
	put_a(&c, "n4.test", 100, 0);
	assert_int_equal(c.table.count, 4);
	assert_true(c.bytes <= c.max);
	assert_null(get(&c, "n1.test", 0));
	assert_non_null(get(&c, "n0.test", 0));
	assert_non_null(get(&c, "n4.test", 0));
	put_a(&c, "n4.test", 100, 5000); /* again: replaced, not doubled */
	assert_int_equal(c.table.count, 4);
	assert_int_equal(get(&c, "n4.test", 5000)->age_s, 0);
	cache_done(&c);

	assert_int_equal(cache_init(&c, empty + one - 1, 0), 0); /* too large at all */
	put_a(&c, "n0.test", 100, 0);
	assert_int_equal(c.table.count, 0);
	cache_done(&c);
}

/* of a reply with one record */
static uint32_t soa_ttl(const uint8_t *reply, size_t len)
{
	struct cur c = cur_over(reply, len);
	struct record rr;
	struct head h;

	assert_int_equal(head_read(&c, &h), 0);
	assert_int_equal(h.ns, 1);
	assert_int_equal(name_skip(&c), 0);
	cur_take(&c, 4);
	assert_int_equal(record_read(&c, &rr), 0);
	assert_int_equal(rr.type, TYPE_SOA);
	return rr.ttl;
}

static void ttls_are_limited(void **state)
{
	static const struct {
		const char *why;
		struct ttl_limits limits;
		uint16_t rcode;
		uint32_t ttl, soa_ttl, minimum;
		uint32_t want, want_soa;
	} cases[] = {
		{ "as it is", { 0, 3600, 600 }, 0, 300, 0, 0, 300, 0 },
		{ "too long", { 0, 3600, 600 }, 0, 7200, 0, 0, 3600, 0 },
		{ "too short", { 60, 3600, 600 }, 0, 5, 0, 0, 60, 0 },
		{ "0 is short too", { 60, 3600, 600 }, 0, 0, 0, 0, 60, 0 },
		{ "2^31 is 0", { 0, 3600, 600 }, 0, 1u << 31, 0, 0, 0, 0 },
		{ "negative: the minimum", { 60, 3600, 600 }, 3, 0, 900, 30, 30, 30 },
		{ "negative: the SOA's own", { 0, 3600, 600 }, 3, 0, 20, 300, 20, 20 },
		{ "negative: the limit", { 0, 3600, 600 }, 3, 0, 86400, 86400, 600, 600 },
		{ "NODATA: the limit of all", { 0, 100, 600 }, 0, 0, 900, 900, 100, 100 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wire_edit as_is = { .max = WIRE_MAX, .ede = EDE_NONE };
		static uint8_t out[WIRE_MAX];
		struct wire_answer back;
		struct wire_query q;
		enum rcode rcode;
		struct answer *a;
		int n;

		print_message("%s\n", cases[i].why);
		dns_start(&msg, WIRE_QR | cases[i].rcode, "a.test", TYPE_A);
		if (cases[i].want_soa)
			dns_soa(&msg, "test", cases[i].soa_ttl, cases[i].minimum);
		else
			dns_a(&msg, IN_ANSWER, "@", cases[i].ttl, "192.0.2.1");
		assert_int_equal(answer_new(msg.bytes, msg.o.len, &cases[i].limits, &a), 0);
		assert_int_equal(a->read->ttl, cases[i].want);
		if (!cases[i].want_soa)
			assert_int_equal(a->read->items[0].ttl, cases[i].want);
		dns_start(&msg, 0, "a.test", TYPE_A);
		assert_int_equal(wire_query_read(msg.bytes, msg.o.len, &q, &rcode), 0);
		n = wire_reply(&q, msg.bytes, a->msg, a->len, &as_is, out, sizeof(out));
		assert_true(n > 0);
		assert_int_equal(wire_answer_read(out, (size_t)n, &back), 0);
		assert_int_equal(back.ttl, cases[i].want);
		if (cases[i].want_soa)
			assert_int_equal(soa_ttl(out, (size_t)n), cases[i].want_soa);
		wire_answer_done(&back);
		answer_release(a);
	}
}

static void stale_for_a_while(void **state)
{
	struct cache_key k = key("a.test");
	const struct answer *a;
	struct cache c;
	bool wait;

	(void)state;
	assert_int_equal(cache_init(&c, 1 << 20, 60), 0);
	assert_null(stale(&c, "a.test", 0));
	put_a(&c, "a.test", 10, 0);
	assert_false(get(&c, "a.test", 9999)->stale);
	assert_null(get(&c, "a.test", 10000));
	a = cache_stale(&c, &k, 10000, &wait);
	assert_non_null(a);
	assert_true(a->stale && a->cached && !wait);

	put_rcode(&c, "a.test", RCODE_SERVFAIL, 20000); /* what is there stays */
	assert_null(get(&c, "a.test", 20000));
	assert_non_null(cache_stale(&c, &k, 20000, &wait));
	assert_true(wait);
	assert_non_null(cache_stale(&c, &k, 50000, &wait));
	assert_false(wait);
	cache_failed(&c, &k, -ETIMEDOUT, 60000);
	assert_int_equal(cache_failure(&c, &k, 60000), 0);
	assert_non_null(cache_stale(&c, &k, 60000, &wait));
	assert_true(wait);
	assert_non_null(stale(&c, "a.test", 69999));
	assert_null(stale(&c, "a.test", 70000));
	assert_int_equal(c.table.count, 0);

	put_a(&c, "a.test", 10, 0);
	put_bogus(&c, "a.test", 20000); /* what could be a forger's goes */
	assert_null(stale(&c, "a.test", 20000));
	assert_int_equal(get(&c, "a.test", 20000)->read->rcode, RCODE_SERVFAIL);

	put_a(&c, "a.test", 10, 0);
	put_rcode(&c, "a.test", RCODE_NXDOMAIN, 20000); /* the server has spoken */
	assert_null(stale(&c, "a.test", 20000));
	cache_done(&c);
}

static void failures_are_kept_briefly(void **state)
{
	struct cache_key k = key("a.test"), other = key("b.test");
	struct cache c;

	(void)state;
	assert_int_equal(cache_init(&c, 1 << 20, 60), 0);
	assert_int_equal(cache_failure(&c, &k, 0), 0);
	cache_failed(&c, &k, -ETIMEDOUT, 0);
	cache_failed(&c, &other, -ECONNREFUSED, 0);
	assert_null(get(&c, "a.test", 0));
	assert_int_equal(cache_failure(&c, &k, 4999), -ETIMEDOUT);
	assert_int_equal(cache_failure(&c, &k, 5000), 0);
	assert_int_equal(cache_failure(&c, &other, 999), -ECONNREFUSED);
	assert_int_equal(cache_failure(&c, &other, 1000), 0);
	assert_null(stale(&c, "a.test", 5000)); /* a failure is never stale */
	put_rcode(&c, "b.test", RCODE_SERVFAIL, 2000);
	assert_non_null(get(&c, "b.test", 6999));
	assert_null(get(&c, "b.test", 7000));
	assert_null(stale(&c, "b.test", 7000));
	put_a(&c, "b.test", 10, 7000);
	assert_false(get(&c, "b.test", 7000)->stale);
	cache_done(&c);
}

static void ripe_is_what_is_asked_often(void **state)
{
	struct cache_key k = key("a.test");
	struct cache c;

	(void)state;
	assert_int_equal(cache_init(&c, 1 << 20, 60), 0);
	put_a(&c, "a.test", 100, 0);
	assert_false(get(&c, "a.test", 95000)->ripe); /* nobody asked before */
	assert_true(get(&c, "a.test", 95000)->ripe);
	cache_failed(&c, &k, -ETIMEDOUT, 96000);
	assert_false(get(&c, "a.test", 97000)->ripe); /* not again at once */
	put_a(&c, "a.test", 100, 98000);
	assert_false(get(&c, "a.test", 98000)->ripe);
	assert_false(get(&c, "a.test", 187999)->ripe);
	assert_true(get(&c, "a.test", 188000)->ripe);
	cache_done(&c);
}

static void flush(struct cache *c, const char *name, bool below)
{
	size_t at = 0;

	while (cache_flush(c, name, below, &at))
		;
}

static void names_are_taken_out(void **state)
{
	struct cache c;

	(void)state;
	assert_int_equal(cache_init(&c, 8 << 20, 60), 0); /* more than one part */
	put_a(&c, "a.test", 100, 0);
	put_a(&c, "b.a.test", 100, 0);
	put_a(&c, "c.test", 100, 0);
	flush(&c, "a.test", false);
	assert_null(get(&c, "a.test", 0));
	assert_null(stale(&c, "a.test", 0));
	assert_non_null(get(&c, "b.a.test", 0));
	flush(&c, "a.test", true);
	assert_null(get(&c, "b.a.test", 0));
	assert_non_null(get(&c, "c.test", 0));
	for (int i = 0; i < 3000; i++) {
		char name[24];

		snprintf(name, sizeof(name), "n%d.test", i);
		put_a(&c, name, 100, 0);
	}
	flush(&c, "", true);
	assert_int_equal(c.table.count, 0);
	cache_done(&c);
}

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
static const bool under_asan = true;
#else
static const bool under_asan = false;
#endif

static size_t rss_bytes(void)
{
	unsigned long size = 0, rss = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &size, &rss), 2);
	fclose(f);
	return rss * (size_t)sysconf(_SC_PAGESIZE);
}

/* 60,000 names nobody asks for again, of three sizes, through a cache of 8 MB */
static void memory_is_bounded(void **state)
{
	enum { MAX = 8 << 20, SLACK = 2 << 20 };
	size_t before = rss_bytes();
	struct cache c;

	(void)state;
	assert_int_equal(cache_init(&c, MAX, 86400), 0);
	for (unsigned i = 0; i < 60000; i++) {
		char name[24];
		struct cache_key k = key(name);
		struct answer *a;

		snprintf(name, sizeof(name), "x%u.flood.test", i * 2654435761u);
		dns_start(&msg, WIRE_QR | (i % 3 ? 0 : RCODE_NXDOMAIN), name, TYPE_A);
		for (unsigned n = 0; n < i % 3; n++)
			dns_a(&msg, IN_ANSWER, "@", 60, "192.0.2.1");
		if (i % 3 == 0)
			dns_soa(&msg, "test", 60, 60);
		a = answer_made();
		cache_put(&c, &k, a, i);
		answer_release(a);
		assert_true(c.bytes <= MAX);
	}
	assert_true(c.bytes > MAX - 8192);
	if (!under_asan) /* which keeps what is freed */
		assert_true(rss_bytes() - before < MAX + SLACK);
	cache_done(&c);
}

static void held_answers_outlive_the_cache(void **state)
{
	const struct answer *a;
	struct cache c;

	(void)state;
	assert_int_equal(cache_init(&c, 1 << 20, 0), 0);
	put_a(&c, "a.test", 10, 0);
	a = answer_hold(get(&c, "a.test", 0));
	cache_done(&c);
	assert_string_equal(a->read->qname, "a.test");
	answer_release(a);
}

static void only_what_is_led_to_is_kept(void **state)
{
	static const char *const want[] = { "192.0.2.1", "192.0.2.2", "192.0.2.4" };
	const struct wire_answer *read;
	struct answer *a;
	unsigned n = 0;

	(void)state;
	dns_start(&msg, WIRE_QR, "a.test", TYPE_MX);
	dns_a(&msg, IN_ANSWER, "a.test", 60, "192.0.2.1");
	dns_to(&msg, IN_ANSWER, "a.test", TYPE_MX, 60, 2, "mail.test");
	dns_to(&msg, IN_ANSWER, "a.test", TYPE_CNAME, 60, 0, "b.test");
	dns_a(&msg, IN_ANSWER, "b.test", 60, "192.0.2.2");
	dns_a(&msg, IN_ANSWER, "stray.test", 60, "192.0.2.3");
	dns_to(&msg, IN_AUTHORITY, "test", TYPE_NS, 60, 0, "ns.test");
	dns_a(&msg, IN_ADDITIONAL, "mail.test", 60, "192.0.2.4");
	dns_a(&msg, IN_ADDITIONAL, "ns.test", 60, "192.0.2.5");
	a = answer_made();
	read = a->read;
	assert_int_equal(read->nrr, 6);
	for (unsigned i = 0; i < read->nitems; i++) {
		char text[ADDR_TEXT_MAX];

		if (read->items[i].lead == LEAD_ADDR)
			assert_string_equal(addr_text(&read->items[i].addr, text), want[n++]);
	}
	assert_int_equal(n, 3);
	answer_release(a);
}

static const char hosts_text[] =
	"# a comment\n"
	"127.0.0.1 localhost\n"
	"192.0.2.5\tNas.Home  nas   # and more\r\n"
	"2001:db8::5 nas.home\n"
	"192.0.2.6 nas.home other\n"
	"not-an-address x.y\n"
	"fe80::1%lo0 scoped\n"
	"192.0.2.7 bad..name good.name\n"
	"192.0.2.8 last.line";

static void hosts_file(void **state)
{
	struct addr addrs[HOSTS_ADDRS_MAX], a;
	struct hosts *h;

	(void)state;
	assert_int_equal(hosts_parse(hosts_text, sizeof(hosts_text) - 1, &h), 0);
	assert_true(hosts_has(h, "nas.home"));
	assert_true(hosts_has(h, "good.name"));
	assert_true(hosts_has(h, "last.line"));
	assert_false(hosts_has(h, "x.y"));
	assert_false(hosts_has(h, "scoped"));
	assert_false(hosts_has(h, "a"));
	assert_int_equal(hosts_addrs(h, "nas.home", 4, addrs), 2);
	assert_int_equal(addrs[1].b[3], 6);
	assert_int_equal(hosts_addrs(h, "nas.home", 6, addrs), 1);
	assert_int_equal(hosts_addrs(h, "nas.home", 0, addrs), 3);
	addr_parse("192.0.2.6", &a);
	assert_string_equal(hosts_name(h, &a), "nas.home");
	addr_parse("192.0.2.9", &a);
	assert_null(hosts_name(h, &a));
	hosts_free(h);
}

static void servers(void **state)
{
	static const char text[] =
		"# made by somebody\n"
		"search example.org\n"
		"nameserver 127.0.0.53\n"
		"nameserver 9.9.9.9 \n"
		"nameserver\t2001:db8::53\n"
		"nameserver 127.0.0.1\n"
		"nameserver fd53:6375:7070:1::53\n"
		"nameserver 127.0.0.153\n"
		"nameserver fe80::1%eth0\n"
		"nameservers 1.1.1.1\n"
		"nameserver 8.8.8.8";
	struct upstream u[UPSTREAMS_MAX];
	char buf[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(upstream_parse_resolv_conf(text, u, UPSTREAMS_MAX), 4);
	assert_string_equal(addr_text(&u[0].addr, buf), "9.9.9.9");
	assert_int_equal(u[0].port, 53);
	assert_string_equal(addr_text(&u[1].addr, buf), "2001:db8::53");
	assert_string_equal(addr_text(&u[2].addr, buf), "127.0.0.1");
	assert_string_equal(addr_text(&u[3].addr, buf), "8.8.8.8");
	assert_int_equal(upstream_parse_resolv_conf(text, u, 1), 1);

	assert_int_equal(upstream_parse("[::1]:5353", u), 0);
	assert_int_equal(u[0].port, 5353);
	assert_int_equal(upstream_parse("9.9.9.9", u), 0);
	assert_int_equal(u[0].port, 53);
	assert_int_equal(upstream_parse("dns.example", u), -EINVAL);
}

/* what stands in the configuration, and as it is shown */
static void encrypted_servers(void **state)
{
	static const struct {
		const char *text, *shown;
		enum upstream_kind kind;
	} cases[] = {
		{ "9.9.9.9", "9.9.9.9:53", UPSTREAM_PLAIN },
		{ "[2620:fe::fe]:5353", "[2620:fe::fe]:5353", UPSTREAM_PLAIN },
		{ "tls://9.9.9.9", "tls://9.9.9.9:853", UPSTREAM_TLS },
		{ "tls://9.9.9.9#DNS.quad9.net.", "tls://9.9.9.9:853#dns.quad9.net", UPSTREAM_TLS },
		{ "tls://[2620:fe::fe]:8853#dns.quad9.net",
			"tls://[2620:fe::fe]:8853#dns.quad9.net", UPSTREAM_TLS },
		{ "tls://dns.quad9.net", "tls://dns.quad9.net:853", UPSTREAM_TLS },
		{ "tls://dns.quad9.net:8853#9.9.9.9", "tls://9.9.9.9:8853#dns.quad9.net",
			UPSTREAM_TLS },
		{ "https://1.1.1.1/dns-query", "https://1.1.1.1:443/dns-query", UPSTREAM_HTTPS },
		{ "https://dns.quad9.net", "https://dns.quad9.net:443/dns-query", UPSTREAM_HTTPS },
		{ "https://dns.quad9.net/a/b#2620:fe::fe",
			"https://[2620:fe::fe]:443/a/b#dns.quad9.net", UPSTREAM_HTTPS },
		{ "https://dns.quad9.net:444/#9.9.9.9", "https://9.9.9.9:444/#dns.quad9.net",
			UPSTREAM_HTTPS },
	};
	static const char *const bad[] = { "", "tls://", "tls://9.9.9", "tls://9.9.9.9:0",
		"tls://9.9.9.9:", "9.9.9.9:0", "tls://9.9.9.9/dns-query", "tls://9.9.9.9#",
		"tls://9.9.9.9#1.1.1.1", "tls://a.example#b.example", "tls://a.example:65536",
		"https://a.example/ b", "https:///dns-query", "http://a.example/",
		"quic://a.example", "9.9.9.9#dns.quad9.net", "https://a.example/Ã¤" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[UPSTREAM_TEXT_MAX];
		struct upstream u, again;

		print_message("%s\n", cases[i].text);
		assert_int_equal(upstream_parse(cases[i].text, &u), 0);
		assert_int_equal(u.kind, cases[i].kind);
		assert_string_equal(upstream_text(&u, text), cases[i].shown);
		assert_int_equal(upstream_parse(text, &again), 0);
		assert_true(upstream_equal(&u, &again));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct upstream u = { .port = 7 };

		print_message("\"%s\"\n", bad[i]);
		assert_int_equal(upstream_parse(bad[i], &u), -EINVAL);
		assert_int_equal(u.port, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lives_as_long_as_its_ttl),
		cmocka_unit_test(kept_or_not),
		cmocka_unit_test(negative_at_most_an_hour),
		cmocka_unit_test(keys_differ),
		cmocka_unit_test(least_used_leaves_first),
		cmocka_unit_test(ttls_are_limited),
		cmocka_unit_test(stale_for_a_while),
		cmocka_unit_test(failures_are_kept_briefly),
		cmocka_unit_test(ripe_is_what_is_asked_often),
		cmocka_unit_test(names_are_taken_out),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(held_answers_outlive_the_cache),
		cmocka_unit_test(only_what_is_led_to_is_kept),
		cmocka_unit_test(hosts_file),
		cmocka_unit_test(servers),
		cmocka_unit_test(encrypted_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
