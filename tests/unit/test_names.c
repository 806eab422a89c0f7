/* SPDX-License-Identifier: GPL-2.0-or-later
 * Names that are answered here: statics.c, rdata.c, special.c, local.c, route.c, and the alias
 * of reply.c */
#include "resolver/local.h"

#include "base/macros.h"
#include "tests/unit/dns_build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char hosts_text[] =
	"192.0.2.5 nas.home nas\n"
	"2001:db8::5 nas.home\n"
	"192.0.2.6 other\n"
	"192.0.2.7 printer.local\n"
	"192.0.2.8 over.test\n";

static const char names_text[] =
	"record one.test A 10.0.0.1 300\n"
	"record one.test AAAA fd00::1\n"
	"record one.test MX 10 mail.test\n"
	"record one.test TXT \"a b\" \"c\\\"d\" 7\n"
	"record _s._tcp.test SRV 1 2 443 one.test\n"
	"record cname.test CNAME away.example 5\n"
	"record 9.0.0.10.in-addr.arpa PTR nine.test\n"
	"rewrite over.test=10.0.0.8\n"
	"rewrite to-one.test=one.test\n"
	"rewrite to-host.test=nas.home\n"
	"rewrite to-special.test=x.onion\n"
	"rewrite *.dev.example=127.0.0.1\n"
	"rewrite *.dev.example=::1\n"
	"rewrite keep.dev.example=away.example\n"
	"rewrite far.example = away.example\n"
	"route corp.local=192.0.2.53\n"
	"route a.corp.local=192.0.2.54,192.0.2.55\n"
	"route onion=192.0.2.56\n"
	"route 10.0.0.0/8=192.0.2.57\n"
	"special use-application-dns.net=ask\n"
	"special test=nxdomain\n"
	"special x.resolver.arpa=nxdomain\n"
	"search corp.local, lan\n"
	"rebind-allow nat.example\n";

static const struct machine machine = {
	.host = "box.example", .label = "box", .naddrs = 2,
	.addrs = { { 4, { 192, 0, 2, 77 } }, { 6, { 0x20, 1, 0x0d, 0xb8, [15] = 77 } } },
	.gateway = { { 4, { 192, 0, 2, 1 } } },
	.outbound = { { 4, { 192, 0, 2, 77 } } },
};

static struct build_msg msg;

struct want {
	const char *name;
	uint16_t type;
	int rcode;         /* -1: not local */
	const char *want;  /* what the items lead to, in order */
};

static void items_text(const struct wire_answer *a, char out[static 256])
{
	char buf[ADDR_TEXT_MAX];
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < a->nitems; i++) {
		const struct wire_answer_item *it = &a->items[i];

		n += (size_t)snprintf(out + n, 256 - n, "%s%s", i ? " " : "",
			it->lead == LEAD_ADDR ? addr_text(&it->addr, buf) : it->name);
	}
}

static void check(const struct local *l, const struct want *w)
{
	uint8_t out[2048];
	char text[256];
	struct wire_query q;
	struct wire_answer a;
	enum rcode rcode;
	int n;

	print_message("%s %u\n", w->name, w->type);
	dns_start(&msg, WIRE_RD, w->name, w->type);
	assert_int_equal(wire_query_read(msg.bytes, msg.o.len, &q, &rcode), 0);
	n = local_answer(l, &q, msg.bytes, out, sizeof(out));
	if (w->rcode < 0) {
		assert_int_equal(n, 0);
		return;
	}
	assert_true(n > 0);
	assert_int_equal(wire_answer_read(out, (size_t)n, &a), 0);
	assert_int_equal(a.rcode, w->rcode);
	assert_string_equal(a.qname, w->name);
	items_text(&a, text);
	if (w->type == TYPE_PTR && w->want) {
		uint8_t data[HOST_WIRE_MAX];
		int len = host_to_wire(w->want, data);

		assert_memory_equal(out + n - len, data, (size_t)len);
	} else {
		assert_string_equal(text, w->want ? w->want : "");
	}
	wire_answer_done(&a);
}

static void without_configuration(void **state)
{
	static const struct want cases[] = {
		{ "localhost", TYPE_A, 0, "127.0.0.1" },
		{ "localhost", TYPE_AAAA, 0, "::1" },
		{ "a.b.localhost", TYPE_A, 0, "127.0.0.1" },
		{ "localhost", TYPE_MX, 0, NULL },
		{ "a.notlocalhost", TYPE_A, -1, NULL },
		{ "x.invalid", TYPE_A, RCODE_NXDOMAIN, NULL },
		{ "abc.onion", TYPE_AAAA, RCODE_NXDOMAIN, NULL },
		{ "x.alt", TYPE_AAAA, RCODE_NXDOMAIN, NULL },
		{ "local", TYPE_SOA, RCODE_NXDOMAIN, NULL },
		{ "scanner.local", TYPE_A, RCODE_NXDOMAIN, NULL },
		{ "printer.local", TYPE_A, 0, "192.0.2.7" },
		{ "use-application-dns.net", TYPE_A, RCODE_NXDOMAIN, NULL },
		{ "_dns.resolver.arpa", TYPE_SVCB, 0, NULL },
		{ "x.test", TYPE_A, -1, NULL },
		{ "1.0.0.127.in-addr.arpa", TYPE_PTR, 0, "localhost" },
		{ "9.9.0.127.in-addr.arpa", TYPE_PTR, 0, "localhost" },
		{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
			TYPE_PTR, 0, "localhost" },
		{ "0.0.0.0.in-addr.arpa", TYPE_PTR, -1, NULL },
		{ "5.2.0.192.in-addr.arpa", TYPE_PTR, 0, "nas.home" },
		{ "9.2.0.192.in-addr.arpa", TYPE_PTR, -1, NULL },
		{ "nas.home", TYPE_AAAA, 0, "2001:db8::5" },
		{ "other", TYPE_AAAA, 0, NULL },
		{ "other", TYPE_HTTPS, 0, NULL },
		{ "other", TYPE_MX, -1, NULL },
		{ "www.example", TYPE_A, -1, NULL },
		{ "com", TYPE_NS, -1, NULL },
		{ "com", TYPE_A, RCODE_NXDOMAIN, NULL },
		{ "wpad", TYPE_AAAA, RCODE_NXDOMAIN, NULL },
		{ "box", TYPE_A, 0, "192.0.2.77" },
		{ "box.example", TYPE_AAAA, 0, "2001:db8::4d" },
		{ "box.example", TYPE_HTTPS, 0, NULL },
		{ "box.example", TYPE_MX, -1, NULL },
		{ "box.local", TYPE_A, 0, "192.0.2.77" },
		{ "boxy.local", TYPE_A, RCODE_NXDOMAIN, NULL },
		{ "_gateway", TYPE_A, 0, "192.0.2.1" },
		{ "_gateway", TYPE_AAAA, 0, NULL },
		{ "_outbound", TYPE_A, 0, "192.0.2.77" },
		{ "77.2.0.192.in-addr.arpa", TYPE_PTR, 0, "box.example" },
		{ "1.2.0.192.in-addr.arpa", TYPE_PTR, 0, "_gateway" },
		{ "1.2.3.10.in-addr.arpa", TYPE_PTR, RCODE_NXDOMAIN, NULL },
		{ "1.2.20.172.in-addr.arpa", TYPE_PTR, RCODE_NXDOMAIN, NULL },
		{ "1.2.33.172.in-addr.arpa", TYPE_PTR, -1, NULL },
		{ "nas.home.arpa", TYPE_A, RCODE_NXDOMAIN, NULL },
	};
	struct local l = { .machine = &machine, .public = true };
	struct hosts *h;

	(void)state;
	assert_int_equal(hosts_parse(hosts_text, sizeof(hosts_text) - 1, &h), 0);
	l.hosts = h;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check(&l, &cases[i]);
	l.public = false; /* the network's own server may know them */
	check(&l, &(struct want){ "1.2.3.10.in-addr.arpa", TYPE_PTR, -1, NULL });
	check(&l, &(struct want){ "nas.home.arpa", TYPE_A, -1, NULL });
	check(&l, &(struct want){ "x.onion", TYPE_A, RCODE_NXDOMAIN, NULL });
	hosts_free(h);
}

static void with_configuration(void **state)
{
	static const struct want cases[] = {
		{ "one.test", TYPE_A, 0, "10.0.0.1" },
		{ "one.test", TYPE_AAAA, 0, "fd00::1" },
		{ "one.test", TYPE_MX, 0, "mail.test" },
		{ "one.test", TYPE_HTTPS, 0, NULL },
		{ "_s._tcp.test", TYPE_SRV, 0, "one.test" },
		{ "cname.test", TYPE_CNAME, 0, "away.example" },
		{ "cname.test", TYPE_A, -1, NULL },
		{ "9.0.0.10.in-addr.arpa", TYPE_PTR, 0, "nine.test" },
		{ "1.0.0.10.in-addr.arpa", TYPE_PTR, 0, "one.test" },
		{ "2.0.0.10.in-addr.arpa", TYPE_PTR, -1, NULL },
		{ "over.test", TYPE_A, 0, "10.0.0.8" },
		{ "over.test", TYPE_AAAA, 0, NULL },
		{ "to-one.test", TYPE_A, 0, "one.test 10.0.0.1" },
		{ "to-one.test", TYPE_CNAME, 0, "one.test" },
		{ "to-host.test", TYPE_AAAA, 0, "nas.home 2001:db8::5" },
		{ "to-special.test", TYPE_A, -1, NULL },
		{ "a.b.dev.example", TYPE_A, 0, "127.0.0.1" },
		{ "a.dev.example", TYPE_AAAA, 0, "::1" },
		{ "dev.example", TYPE_A, -1, NULL },
		{ "keep.dev.example", TYPE_A, -1, NULL },
		{ "far.example", TYPE_A, -1, NULL },
		{ "x.corp.local", TYPE_A, -1, NULL },
		{ "x.local", TYPE_A, RCODE_NXDOMAIN, NULL },
		{ "x.onion", TYPE_A, -1, NULL },
		{ "use-application-dns.net", TYPE_A, -1, NULL },
		{ "resolver.arpa", TYPE_A, 0, NULL },
		{ "x.resolver.arpa", TYPE_A, RCODE_NXDOMAIN, NULL },
		{ "y.test", TYPE_A, RCODE_NXDOMAIN, NULL },
	};
	struct local l = { .machine = &machine, .public = true };
	struct statics *s;
	struct hosts *h;

	(void)state;
	assert_int_equal(hosts_parse(hosts_text, sizeof(hosts_text) - 1, &h), 0);
	assert_int_equal(statics_parse(names_text, &s), 0);
	l.hosts = h;
	l.statics = s;
	l.routes = statics_routes(s, &l.nroutes);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check(&l, &cases[i]);
	assert_string_equal(statics_search(s, 1), "lan");
	assert_null(statics_search(s, 2));
	assert_true(statics_may_rebind(s, "a.nat.example"));
	assert_false(statics_may_rebind(s, "anat.example"));
	assert_true(local_is_own(&l, "box"));
	assert_true(local_is_own(&l, "a.localhost"));
	assert_false(local_is_own(&l, "one.test"));
	statics_free(s);
	hosts_free(h);
}

static void text_stands_as_written(void **state)
{
	static const uint8_t want[] = { 3, 'a', ' ', 'b', 3, 'c', '"', 'd' };
	const struct static_record *r;
	struct statics *s;

	(void)state;
	assert_int_equal(statics_parse(names_text, &s), 0);
	assert_true(statics_find(s, "one.test", &r));
	while (r->type != TYPE_TXT)
		r = r->next;
	assert_int_equal(r->ttl, 7);
	assert_int_equal(r->len, sizeof(want));
	assert_memory_equal(r->data, want, sizeof(want));
	statics_free(s);
}

static void bad_values(void **state)
{
	static const struct {
		const char *before; /* lines that stand already */
		const char *key, *value, *says;
	} cases[] = {
		{ "", "record", "a.test", "expected NAME TYPE VALUE" },
		{ "", "record", "a.test NULL x", "expected A, AAAA" },
		{ "", "record", "a.test A ::1", "is no value for A" },
		{ "", "record", "a.test MX mail", "is no value for MX" },
		{ "", "record", "a.test A 10.0.0.1 x", "TTL" },
		{ "", "record", "a.test A 10.0.0.1 60 more", "stands behind" },
		{ "", "record", "a..test A 10.0.0.1", "is no name" },
		{ "", "record", "a.test TXT \"open", "is no value for TXT" },
		{ "", "rewrite", "a.test", "expected NAME=ADDRESS" },
		{ "", "rewrite", "a.test=", "neither an address nor a name" },
		{ "", "rewrite", "a.test=b test", "neither an address nor a name" },
		{ "rewrite a.test=b.test\n", "rewrite", "a.test=10.0.0.1", "beside something else" },
		{ "record a.test A 10.0.0.1\n", "record", "a.test CNAME b.test", "beside something" },
		{ "rewrite b.test=c.test\n", "rewrite", "a.test=b.test", "itself rewritten" },
		{ "rewrite a.test=b.test\n", "rewrite", "b.test=a.test", "itself rewritten" },
		{ "", "rewrite", "a.test=a.test", "itself rewritten" },
		{ "", "rewrite", "*.a.test=x.a.test", "itself rewritten" },
		{ "", "route", "corp.test", "expected DOMAIN=SERVER" },
		{ "", "route", "corp.test=", "expected DOMAIN=SERVER" },
		{ "", "route", "corp.test=10.0.0.1,x y", "is no server with an address" },
		{ "", "route", "10.1.0.0/8=10.0.0.1", "neither a domain nor a network" },
		{ "", "route", "10.0.0.0/9=10.0.0.1", "too many reverse zones" },
		{ "", "route", ".=10.0.0.1", "neither a domain" },
		{ "", "search", "a..b", "is no domain" },
		{ "", "special", "onion", "expected NAME=ask" },
		{ "", "special", "onion=maybe", "expected NAME=ask" },
		{ "", "special", "localhost=ask", "always this machine" },
		{ "", "rebind-allow", "*.x", "is no name" },
		{ "", "single-label", "yes", "expected nxdomain or ask" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char why[STATICS_WHY_MAX] = "";
		struct statics *s;

		print_message("%s=%s\n", cases[i].key, cases[i].value);
		assert_int_equal(statics_parse(cases[i].before, &s), 0);
		assert_int_equal(statics_add(s, cases[i].key, cases[i].value, why), -EINVAL);
		if (!strstr(why, cases[i].says))
			print_message("said: %s\n", why);
		assert_non_null(strstr(why, cases[i].says));
		statics_free(s);
	}
}

static void zones_of_networks(void **state)
{
	static const struct {
		const char *text;
		int n;
		const char *first, *last;
	} cases[] = {
		{ "corp.example", 1, "corp.example", "corp.example" },
		{ ".Corp.Example", 1, "corp.example", "corp.example" },
		{ "10.0.0.0/8", 1, "10.in-addr.arpa", "10.in-addr.arpa" },
		{ "172.16.0.0/12", 16, "16.172.in-addr.arpa", "31.172.in-addr.arpa" },
		{ "192.168.4.0/22", 4, "4.168.192.in-addr.arpa", "7.168.192.in-addr.arpa" },
		{ "192.0.2.1/32", 1, "1.2.0.192.in-addr.arpa", "1.2.0.192.in-addr.arpa" },
		{ "fd00::/8", 1, "d.f.ip6.arpa", "d.f.ip6.arpa" },
		{ "fc00::/7", 2, "c.f.ip6.arpa", "d.f.ip6.arpa" },
		{ "2001:db8::/30", 4, "8.b.d.0.1.0.0.2.ip6.arpa", "b.b.d.0.1.0.0.2.ip6.arpa" },
		{ "0.0.0.0/0", -EINVAL, NULL, NULL },
		{ "10.0.0.0/33", -EINVAL, NULL, NULL },
		{ "10.0.0.0/11", -ERANGE, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char zones[ROUTE_ZONES_MAX][HOST_MAX];

		print_message("%s\n", cases[i].text);
		assert_int_equal(route_zones(cases[i].text, zones), cases[i].n);
		if (cases[i].n <= 0)
			continue;
		assert_string_equal(zones[0], cases[i].first);
		assert_string_equal(zones[cases[i].n - 1], cases[i].last);
	}
}

static void the_longest_route(void **state)
{
	static struct route routes[] = {
		{ .domain = "example", .configured = true }, { .domain = "corp.example" },
		{ .domain = "corp.example", .configured = true }, { .domain = "a.corp.example" },
	};

	(void)state;
	assert_ptr_equal(route_find(routes, 4, "www.example"), &routes[0]);
	assert_ptr_equal(route_find(routes, 4, "corp.example"), &routes[2]);
	assert_ptr_equal(route_find(routes, 4, "x.a.corp.example"), &routes[3]);
	assert_ptr_equal(route_find(routes, 4, "notcorp.example"), &routes[0]);
	assert_null(route_find(routes, 4, "example.com"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_configuration),
		cmocka_unit_test(with_configuration),
		cmocka_unit_test(text_stands_as_written),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(zones_of_networks),
		cmocka_unit_test(the_longest_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
