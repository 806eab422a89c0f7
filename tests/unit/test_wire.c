/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "resolver/wire.h"

#include "tests/unit/dns_build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct build_msg msg, query;

/* the reader must not look behind len: a block of just that size, for the sanitizers */
static uint8_t *exact(const uint8_t *bytes, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);

	assert_non_null(p);
	memcpy(p, bytes, len);
	return p;
}

static int read_query(size_t len, struct wire_query *q, enum rcode *rcode)
{
	uint8_t *p = exact(msg.bytes, len);
	int r = wire_query_read(p, len, q, rcode);

	free(p);
	return r;
}

static int read_answer(size_t len, struct wire_answer *a)
{
	uint8_t *p = exact(msg.bytes, len);
	int r = wire_answer_read(p, len, a);

	free(p);
	return r;
}

static void query_plain(void **state)
{
	struct wire_query q;
	enum rcode rcode;

	(void)state;
	dns_start(&msg, WIRE_RD | WIRE_CD, "www.example", TYPE_AAAA);
	memcpy(msg.bytes + WIRE_HEAD, "\3wWw\7eXample", 13);
	assert_int_equal(read_query(msg.o.len, &q, &rcode), 0);
	assert_int_equal(rcode, RCODE_NOERROR);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.flags, WIRE_RD | WIRE_CD);
	assert_string_equal(q.name, "www.example");
	assert_int_equal(q.type, TYPE_AAAA);
	assert_int_equal(q.klass, 1);
	assert_false(q.edns);
	assert_int_equal(q.udp_size, 512);
	assert_int_equal(q.question_len, 17);

	dns_opt(&msg, 100, 0x8000, NULL, 0);
	assert_int_equal(read_query(msg.o.len, &q, &rcode), 0);
	assert_true(q.edns && q.dnssec_ok);
	assert_int_equal(q.udp_size, 512); /* less counts as 512, RFC 6891 6.2.3 */
}

static void query_refused(void **state)
{
	static const struct {
		const char *why;
		size_t at;       /* byte of a query for www.example with EDNS ... */
		uint8_t value;   /* ... that is changed to this */
		enum rcode want;
	} cases[] = {
		{ "nothing changed", 0, 0x12, RCODE_NOERROR },
		{ "opcode 4", 2, 0x20, RCODE_NOTIMP },
		{ "no question", 5, 0, RCODE_FORMERR },
		{ "two questions", 5, 2, RCODE_FORMERR },
		{ "an answer in a query", 7, 1, RCODE_FORMERR },
		{ "more records than there are", 11, 2, RCODE_FORMERR },
		{ "a label of 64", WIRE_HEAD, 64, RCODE_FORMERR },
		{ "a pointer into the header", WIRE_HEAD, 0xc0, RCODE_FORMERR },
		{ "class CH", WIRE_HEAD + 16, 3, RCODE_NOTIMP },
		{ "AXFR", WIRE_HEAD + 14, 252, RCODE_NOTIMP },
		{ "OPT asked for", WIRE_HEAD + 14, TYPE_OPT, RCODE_FORMERR },
		{ "EDNS version 1", WIRE_HEAD + 17 + 6, 1, RCODE_BADVERS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wire_query q;
		enum rcode rcode;

		print_message("%s\n", cases[i].why);
		dns_start(&msg, WIRE_RD, "www.example", TYPE_A);
		dns_opt(&msg, 1232, 0, NULL, 0);
		msg.bytes[cases[i].at] = cases[i].value;
		assert_int_equal(read_query(msg.o.len, &q, &rcode), 0);
		assert_int_equal(rcode, cases[i].want);
	}
}

static void query_two_opts(void **state)
{
	struct wire_query q;
	enum rcode rcode;

	(void)state;
	dns_start(&msg, WIRE_RD, "a", TYPE_A);
	dns_opt(&msg, 1232, 0, NULL, 0);
	dns_opt(&msg, 1232, 0, NULL, 0);
	assert_int_equal(read_query(msg.o.len, &q, &rcode), 0);
	assert_int_equal(rcode, RCODE_FORMERR);
	dns_start(&msg, WIRE_RD | WIRE_QR, "a", TYPE_A);
	assert_int_equal(read_query(msg.o.len, &q, &rcode), -EBADMSG);
}

static void query_cut_anywhere(void **state)
{
	size_t full;

	(void)state;
	dns_start(&msg, WIRE_RD, "www.example", TYPE_A);
	dns_opt(&msg, 1232, 0, NULL, 0);
	full = msg.o.len;
	for (size_t len = 0; len < full; len++) {
		struct wire_query q;
		enum rcode rcode = RCODE_NOERROR;
		int r = read_query(len, &q, &rcode);

		if (len < WIRE_HEAD)
			assert_int_equal(r, -EBADMSG);
		else
			assert_int_equal(rcode, RCODE_FORMERR);
	}
}

static void names_hostile(void **state)
{
	static const struct {
		const char *why;
		const char *bytes; /* the answer's owner, at 17; the question at 12 is "abc" */
		size_t len;
		bool good;
	} cases[] = {
		{ "a pointer to the question", "\xc0\x0c", 2, true },
		{ "a label, then the question", "\1x\xc0\x0c", 4, true },
		{ "a pointer to the question's end", "\xc0\x10", 2, true },
		{ "a pointer to itself", "\xc0\x15", 2, false },
		{ "a label and a pointer to that label", "\1x\xc0\x15", 4, false },
		{ "a pointer forwards", "\xc0\x40", 2, false },
		{ "a pointer into the header", "\xc0\x04", 2, false },
		{ "a label type of old", "\x41\x41", 2, false },
		{ "a binary label comes out escaped", "\1\xff\0", 3, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wire_answer a;
		int r;

		print_message("%s\n", cases[i].why);
		dns_start(&msg, WIRE_QR, "abc", TYPE_A);
		assert_int_equal(msg.o.len, 0x15);
		out_bytes(&msg.o, cases[i].bytes, cases[i].len);
		out_bytes(&msg.o, "\0\1\0\1\0\0\0\5\0\4\1\2\3\4", 14);
		dns_u16_at(&msg.o, 6, 1);
		r = read_answer(msg.o.len, &a);
		assert_int_equal(r, cases[i].good ? 0 : -EBADMSG);
		if (r == 0)
			wire_answer_done(&a);
	}
}

static void names_long(void **state)
{
	char name[HOST_MAX];
	struct wire_query q;
	enum rcode rcode;
	size_t n = 0;

	(void)state;
	/* 63.63.63.61: 253 characters, 255 bytes: as long as a name may be */
	for (int i = 0; i < 253; i++)
		name[n++] = i % 64 == 63 ? '.' : 'a';
	name[n] = '\0';
	dns_start(&msg, WIRE_RD, name, TYPE_A);
	assert_false(msg.o.bad);
	assert_int_equal(read_query(msg.o.len, &q, &rcode), 0);
	assert_int_equal(rcode, RCODE_NOERROR);
	assert_string_equal(q.name, name);

	/* one byte more, by hand */
	dns_start(&msg, WIRE_RD, "a", TYPE_A);
	msg.o.len = WIRE_HEAD;
	for (int i = 0; i < 4; i++) {
		uint8_t len = i < 3 ? 63 : 62;

		out_u8(&msg.o, len);
		memset(out_room(&msg.o, len), 'a', len);
	}
	out_bytes(&msg.o, "\0\0\1\0\1", 5);
	assert_int_equal(read_query(msg.o.len, &q, &rcode), 0);
	assert_int_equal(rcode, RCODE_FORMERR);

	/* 100 bytes that all need an escape: no text for it */
	msg.o.len = WIRE_HEAD;
	out_u8(&msg.o, 63);
	memset(out_room(&msg.o, 63), 1, 63);
	out_u8(&msg.o, 37);
	memset(out_room(&msg.o, 37), 1, 37);
	out_bytes(&msg.o, "\0\0\1\0\1", 5);
	assert_int_equal(read_query(msg.o.len, &q, &rcode), 0);
	assert_int_equal(rcode, RCODE_FORMERR);
	assert_int_equal(q.question_len, 0);
}

static const uint8_t https[] = {
	0, 1, 3, 's', 'v', 'c', 0,                   /* priority 1, target svc */
	0, 0, 0, 4, 0, 1, 0, 4,                      /* mandatory: alpn, ipv4hint */
	0, 1, 0, 3, 2, 'h', '2',                     /* alpn */
	0, 4, 0, 8, 192, 0, 2, 1, 192, 0, 2, 2,      /* ipv4hint */
	0, 6, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
};

/* a chain, addresses, a service with hints, a mail server: everything that leads on */
static void rich_answer(struct build_msg *m)
{
	dns_start(m, WIRE_QR | WIRE_RD | WIRE_RA | WIRE_AA | WIRE_AD, "www.example", TYPE_A);
	dns_to(m, IN_ANSWER, "@", TYPE_CNAME, 300, 0, "cdn.example");
	dns_a(m, IN_ANSWER, "cdn.example", 60, "192.0.2.7");
	dns_a(m, IN_ANSWER, "cdn.example", 60, "192.0.2.8");
	dns_to(m, IN_ANSWER, "@", TYPE_MX, 100, 2, "mail.example");
	dns_rr(m, IN_ANSWER, "@", TYPE_HTTPS, 90, https, sizeof(https));
	dns_to(m, IN_AUTHORITY, "example", TYPE_NS, 3600, 0, "ns.example");
	dns_a(m, IN_ADDITIONAL, "mail.example", 700, "2001:db8::5");
	dns_opt(m, 1232, 0, "\0\17\0\5\0\6bad", 9); /* EDE 6, "bad" */
}

static void answer_leads(void **state)
{
	static const struct {
		enum wire_lead lead;
		const char *owner, *to;
		uint32_t ttl;
		uint16_t rr;
	} want[] = {
		{ LEAD_CNAME, "www.example", "cdn.example", 300, 0 },
		{ LEAD_ADDR, "cdn.example", "192.0.2.7", 60, 1 },
		{ LEAD_ADDR, "cdn.example", "192.0.2.8", 60, 2 },
		{ LEAD_TARGET, "www.example", "mail.example", 100, 3 },
		{ LEAD_TARGET, "www.example", "svc", 90, 4 },
		{ LEAD_HINT, "www.example", "192.0.2.1", 90, 4 },
		{ LEAD_HINT, "www.example", "192.0.2.2", 90, 4 },
		{ LEAD_HINT, "www.example", "2001:db8::9", 90, 4 },
		{ LEAD_ADDR, "mail.example", "2001:db8::5", 700, 6 },
	};
	struct wire_answer a;

	(void)state;
	rich_answer(&msg);
	assert_int_equal(read_answer(msg.o.len, &a), 0);
	assert_string_equal(a.qname, "www.example");
	assert_int_equal(a.ttl, 60);
	assert_false(a.negative);
	assert_int_equal(a.nrr, 7);
	assert_int_equal(a.nanswer, 5);
	assert_int_equal(a.nitems, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		const struct wire_answer_item *it = &a.items[i];
		char text[ADDR_TEXT_MAX];

		assert_int_equal(it->lead, want[i].lead);
		assert_string_equal(it->owner, want[i].owner);
		assert_string_equal(it->addr.family ? addr_text(&it->addr, text) : it->name,
			want[i].to);
		assert_int_equal(it->ttl, want[i].ttl);
		assert_int_equal(it->rr, want[i].rr);
	}
	wire_answer_done(&a);
}

static void answer_cut_anywhere(void **state)
{
	size_t full;

	(void)state;
	rich_answer(&msg);
	full = msg.o.len;
	for (size_t len = 0; len < full; len++) {
		struct wire_answer a;

		assert_int_equal(read_answer(len, &a), -EBADMSG);
	}
}

static void answer_bad_records(void **state)
{
	static const struct {
		const char *why;
		uint16_t type;
		const char *data;
		size_t len;
	} cases[] = {
		{ "A of 3 bytes", TYPE_A, "\1\2\3", 3 },
		{ "AAAA of 4 bytes", TYPE_AAAA, "\1\2\3\4", 4 },
		{ "CNAME that is empty", TYPE_CNAME, "", 0 },
		{ "CNAME that runs on", TYPE_CNAME, "\3ab", 3 },
		{ "ipv4hint of 3", TYPE_HTTPS, "\0\1\0\0\4\0\3abc", 10 },
		{ "ipv4hint of none", TYPE_HTTPS, "\0\1\0\0\4\0\0", 7 },
		{ "a parameter longer than the record", TYPE_HTTPS, "\0\1\0\0\1\0\3a", 8 },
		{ "half a parameter", TYPE_HTTPS, "\0\1\0\0\1", 5 },
		{ "a compressed target", TYPE_SVCB, "\0\1\xc0\x0c", 4 },
		{ "MX without a name", TYPE_MX, "\0\1", 2 },
		{ "SRV without a name", TYPE_SRV, "\0\1\0\1\0\1", 6 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wire_answer a;

		print_message("%s\n", cases[i].why);
		dns_start(&msg, WIRE_QR, "a.example", cases[i].type);
		dns_rr(&msg, IN_ANSWER, "@", cases[i].type, 5, cases[i].data, cases[i].len);
		assert_int_equal(read_answer(msg.o.len, &a), -EBADMSG);
	}
}

static void answer_bounds(void **state)
{
	struct wire_answer a;

	(void)state;
	dns_start(&msg, WIRE_QR, "a", TYPE_A);
	for (int i = 0; i < WIRE_ITEMS_MAX; i++)
		dns_a(&msg, IN_ANSWER, "@", 5, "192.0.2.1");
	assert_int_equal(read_answer(msg.o.len, &a), 0);
	assert_int_equal(a.nitems, WIRE_ITEMS_MAX);
	wire_answer_done(&a);
	dns_rr(&msg, IN_ANSWER, "@", TYPE_TXT, 5, "\1x", 2);
	assert_int_equal(read_answer(msg.o.len, &a), -EBADMSG);

	dns_start(&msg, WIRE_RD, "a", TYPE_A);
	assert_int_equal(read_answer(msg.o.len, &a), -EBADMSG); /* a query */
	dns_start(&msg, WIRE_QR, "a", TYPE_A);
	dns_u16_at(&msg.o, 4, 2);
	assert_int_equal(read_answer(msg.o.len, &a), -EBADMSG); /* two questions */
}

static void negative_ttl(void **state)
{
	static const struct {
		const char *why;
		uint16_t rcode;
		uint32_t cname, address, soa, minimum; /* TTLs; 0: no such record */
		bool negative;
		uint32_t want;
	} cases[] = {
		{ "an answer", 0, 0, 70, 0, 0, false, 70 },
		{ "the least of a chain", 0, 20, 70, 0, 0, false, 20 },
		{ "NXDOMAIN: the SOA's minimum", 3, 0, 0, 900, 30, true, 30 },
		{ "NXDOMAIN: the SOA's own TTL is less", 3, 0, 0, 25, 30, true, 25 },
		{ "NODATA", 0, 0, 0, 900, 30, true, 30 },
		{ "NODATA behind a CNAME that is shorter", 0, 10, 0, 900, 30, true, 10 },
		{ "NXDOMAIN without a SOA", 3, 0, 0, 0, 0, true, 0 },
		{ "SERVFAIL is nothing to keep", 2, 0, 70, 900, 30, false, 0 },
		{ "the top bit means 0", 0, 0, 0x80000001, 0, 0, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wire_answer a;

		print_message("%s\n", cases[i].why);
		dns_start(&msg, WIRE_QR | cases[i].rcode, "a.example", TYPE_A);
		if (cases[i].cname)
			dns_to(&msg, IN_ANSWER, "@", TYPE_CNAME, cases[i].cname, 0, "b.x");
		if (cases[i].address)
			dns_a(&msg, IN_ANSWER, "b.x", cases[i].address, "192.0.2.1");
		if (cases[i].soa)
			dns_soa(&msg, "example", cases[i].soa, cases[i].minimum);
		assert_int_equal(read_answer(msg.o.len, &a), 0);
		assert_int_equal(a.negative, cases[i].negative);
		assert_int_equal(a.ttl, cases[i].want);
		wire_answer_done(&a);
	}
}

/* the asker's side: its query in `query`, read */
static struct wire_query asker(uint16_t flags, int edns_size)
{
	struct wire_query q;
	enum rcode rcode;

	dns_start(&query, flags, "www.example", TYPE_A);
	memcpy(query.bytes + WIRE_HEAD, "\3WWW\7example", 12);
	query.bytes[0] = 0xab;
	if (edns_size)
		dns_opt(&query, (uint16_t)edns_size, 0x8000, NULL, 0);
	assert_int_equal(wire_query_read(query.bytes, query.o.len, &q, &rcode), 0);
	assert_int_equal(rcode, RCODE_NOERROR);
	return q;
}

static int reply(const struct wire_query *q, const struct wire_edit *e, uint8_t *out,
	size_t room, struct wire_answer *a)
{
	uint8_t *from = exact(msg.bytes, msg.o.len);
	int n = wire_reply(q, query.bytes, from, msg.o.len, e, out, room);

	free(from);
	if (n < 0)
		return n;
	assert_int_equal(wire_answer_read(out, (size_t)n, a), 0);
	assert_int_equal(a->id, q->id);
	assert_memory_equal(out + WIRE_HEAD, query.bytes + WIRE_HEAD, q->question_len);
	return n;
}

static void reply_whole(void **state)
{
	uint64_t none = 0;
	uint8_t out[2][4096];
	int n[2];

	(void)state;
	rich_answer(&msg);
	/* the patched and the rebuilt reply say the same */
	for (int i = 0; i < 2; i++) {
		struct wire_query q = asker(WIRE_RD | WIRE_CD, 4096);
		struct wire_edit e = { .age_s = 70, .ttl_max = 500, .max = 4096,
			.ede = EDE_NONE, .cut = i ? &none : NULL };
		struct wire_answer a;

		n[i] = reply(&q, &e, out[i], sizeof(out[i]), &a);
		assert_true(n[i] > 0);
		/* what may have been cut is not what was proven */
		assert_int_equal(a.flags, WIRE_QR | WIRE_RD | WIRE_RA | WIRE_CD |
			(i ? 0 : WIRE_AD));
		assert_int_equal(a.nitems, 9);
		assert_int_equal(a.items[0].ttl, 230);
		assert_int_equal(a.items[1].ttl, 0); /* 60 s, 70 s old */
		assert_int_equal(a.items[8].ttl, 500);
		assert_string_equal(a.items[4].name, "svc");
		wire_answer_done(&a);
		/* our OPT stands last, with the upstream's extended error */
		assert_memory_equal(out[i] + n[i] - 20,
			"\0\0\51\4\xd0\0\0\x80\0\0\11\0\17\0\5\0\6bad", 20);
	}
	assert_true(n[1] <= n[0]);
}

static void reply_without_edns(void **state)
{
	struct wire_query q = asker(0, 0);
	struct wire_edit e = { .max = 512, .ede = EDE_BLOCKED };
	struct wire_answer a;
	uint8_t out[512];
	int n;

	(void)state;
	rich_answer(&msg);
	n = reply(&q, &e, out, sizeof(out), &a);
	assert_int_equal(n, msg.o.len - 20); /* as it came, its OPT gone */
	assert_int_equal(out[11], 1);
	assert_int_equal(a.flags, WIRE_QR | WIRE_RA);
	wire_answer_done(&a);
}

static void reply_cuts(void **state)
{
	struct wire_query q = asker(WIRE_RD, 1232);
	uint64_t cut[WIRE_ITEMS_MAX / 64] = { 1u << 0 | 1u << 1 | 1u << 6 };
	struct wire_edit e = { .max = 1232, .ede = EDE_BLOCKED, .ede_text = "deny any x",
		.cut = cut, .cut_hints = true };
	struct wire_answer a;
	uint8_t out[1232];
	int n;

	(void)state;
	rich_answer(&msg);
	n = reply(&q, &e, out, sizeof(out), &a);
	assert_true(n > 0);
	assert_int_equal(a.nrr, 4);
	assert_int_equal(a.nitems, 3);
	assert_string_equal(a.items[0].owner, "cdn.example");
	assert_int_equal(a.items[0].addr.b[3], 8);
	assert_string_equal(a.items[1].name, "mail.example");
	assert_string_equal(a.items[2].name, "svc"); /* and no hints */
	wire_answer_done(&a);
	assert_memory_equal(out + n - 12, "\0\17deny any x", 12);
	/* what mandatory named and is gone is not mandatory any more */
	assert_non_null(memmem(out, (size_t)n, "\0\0\0\2\0\1\0\1\0\3\2h2", 13));
}

static void reply_cut_pointed_to(void **state)
{
	struct wire_query q = asker(WIRE_RD, 1232);
	uint64_t cut = 1;
	struct wire_edit e = { .max = 1232, .ede = EDE_NONE, .cut = &cut };
	struct wire_answer a;
	uint8_t out[1232];

	(void)state;
	/* the second record's owner points into the first's data, which is cut */
	dns_start(&msg, WIRE_QR, "www.example", TYPE_A);
	dns_to(&msg, IN_ANSWER, "@", TYPE_CNAME, 5, 0, "far.away.test");
	out_u16(&msg.o, (uint16_t)(0xc000 | (msg.o.len - 15)));
	out_bytes(&msg.o, "\0\1\0\1\0\0\0\5\0\4\1\2\3\4", 14);
	out_bytes(&msg.o, "\1x", 2);
	out_u16(&msg.o, (uint16_t)(0xc000 | (msg.o.len - 18 - 15)));
	out_bytes(&msg.o, "\0\1\0\1\0\0\0\5\0\4\1\2\3\5", 14);
	dns_u16_at(&msg.o, 6, 3);
	assert_true(reply(&q, &e, out, sizeof(out), &a) > 0);
	assert_int_equal(a.nitems, 2);
	assert_string_equal(a.items[0].owner, "far.away.test");
	assert_string_equal(a.items[1].owner, "x.far.away.test");
	wire_answer_done(&a);
}

static void reply_truncated(void **state)
{
	struct wire_query q = asker(WIRE_RD, 512);
	struct wire_edit e = { .max = 512, .ede = EDE_NONE };
	struct wire_answer a;
	uint8_t out[600];
	int n;

	(void)state;
	dns_start(&msg, WIRE_QR, "www.example", TYPE_A);
	dns_to(&msg, IN_ANSWER, "@", TYPE_CNAME, 5, 0, "cdn.example");
	for (int i = 0; i < 40; i++)
		dns_a(&msg, IN_ANSWER, "cdn.example", 5, "192.0.2.1");
	dns_a(&msg, IN_ADDITIONAL, "cdn.example", 5, "192.0.2.1");
	n = reply(&q, &e, out, sizeof(out), &a);
	assert_true(n > 0 && n <= 512);
	assert_true(a.flags & WIRE_TC);
	assert_int_equal(a.nrr, 1); /* the CNAME; no part of the addresses' set */
	assert_int_equal(a.items[0].lead, LEAD_CNAME);
	wire_answer_done(&a);

	/* a courtesy that does not fit is left out without TC */
	dns_start(&msg, WIRE_QR, "www.example", TYPE_A);
	dns_a(&msg, IN_ANSWER, "@", 5, "192.0.2.1");
	for (int i = 0; i < 40; i++)
		dns_a(&msg, IN_ADDITIONAL, "ns.example", 5, "192.0.2.1");
	n = reply(&q, &e, out, sizeof(out), &a);
	assert_true(n > 0 && n <= 512);
	assert_false(a.flags & WIRE_TC);
	assert_int_equal(a.nrr, 1);
	wire_answer_done(&a);

	e.max = 20;
	assert_int_equal(reply(&q, &e, out, sizeof(out), &a), -ENOSPC);
}

static void reply_opt_not_last(void **state)
{
	struct wire_query q = asker(WIRE_RD, 1232);
	struct wire_edit e = { .max = 1232, .ede = EDE_NONE };
	struct wire_answer a;
	uint8_t out[1232];

	(void)state;
	dns_start(&msg, WIRE_QR, "www.example", TYPE_A);
	dns_a(&msg, IN_ANSWER, "@", 5, "192.0.2.1");
	dns_opt(&msg, 512, 1u << 24, NULL, 0); /* rcode 16 | 0 */
	dns_a(&msg, IN_ADDITIONAL, "ns.example", 5, "192.0.2.2");
	assert_true(reply(&q, &e, out, sizeof(out), &a) > 0);
	assert_int_equal(a.rcode, RCODE_BADVERS);
	assert_int_equal(a.nrr, 2);
	wire_answer_done(&a);
}

/* a name that points into a TTL: ageing would make another name of it */
static void canon_points_to_names_only(void **state)
{
	struct wire_query q = asker(WIRE_RD, 512);
	struct wire_edit e = { .max = 512, .ede = EDE_NONE, .age_s = 1 };
	struct wire_answer before, after;
	uint8_t canon[512], out[512];
	size_t ttl;
	int n;

	(void)state;
	dns_start(&msg, WIRE_QR, "www.example", TYPE_A);
	dns_rr(&msg, IN_ANSWER, "@", TYPE_TXT, 0x01610000, "", 0);
	ttl = msg.o.len - 6;
	out_u16(&msg.o, (uint16_t)(0xc000 | ttl));
	out_bytes(&msg.o, "\0\1\0\1\0\0\0\5\0\4\1\2\3\4", 14);
	dns_u16_at(&msg.o, 6, 2);
	assert_int_equal(read_answer(msg.o.len, &before), 0);
	assert_string_equal(before.items[0].owner, "a");
	wire_answer_done(&before);
	n = wire_canon(msg.bytes, msg.o.len, NULL, canon, sizeof(canon));
	assert_true(n > 0);
	memcpy(msg.bytes, canon, (size_t)n);
	msg.o.len = (size_t)n;
	assert_true(reply(&q, &e, out, sizeof(out), &after) > 0);
	assert_string_equal(after.items[0].owner, "a");
	assert_int_equal(after.items[0].ttl, 4);
	wire_answer_done(&after);
	assert_int_equal(wire_canon(canon, (size_t)n, NULL, out, (size_t)n - 1), -ENOSPC);
}

static void errors(void **state)
{
	struct wire_query q = asker(WIRE_RD, 512);
	char text[400];
	struct wire_answer a;
	uint8_t out[512];
	int n;

	(void)state;
	n = wire_error(&q, query.bytes, query.o.len, RCODE_NXDOMAIN, EDE_BLOCKED,
		"rule 7", out, sizeof(out));
	assert_true(n > 0);
	assert_memory_equal(out + n - 12, "\0\17\0\10\0\17rule 7", 12);
	assert_int_equal(wire_answer_read(out, (size_t)n, &a), 0);
	assert_int_equal(a.rcode, RCODE_NXDOMAIN);
	assert_string_equal(a.qname, "www.example");
	wire_answer_done(&a);

	n = wire_error(&q, query.bytes, query.o.len, RCODE_BADVERS, EDE_NONE, NULL, out,
		sizeof(out));
	assert_int_equal(wire_answer_read(out, (size_t)n, &a), 0);
	assert_int_equal(a.rcode, RCODE_BADVERS);
	wire_answer_done(&a);

	/* a text too long is cut between characters */
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memcpy(text + 159, "\xc3\xa4", 2);
	n = wire_error(&q, query.bytes, query.o.len, RCODE_REFUSED, EDE_BLOCKED, text, out,
		sizeof(out));
	assert_int_equal(out[n - 1], 'x');
	assert_int_equal(n, WIRE_HEAD + q.question_len + 11 + 6 + 159);

	q.question_len = 0; /* it could not be read */
	q.edns = false;
	n = wire_error(&q, query.bytes, WIRE_HEAD, RCODE_FORMERR, EDE_OTHER, NULL, out,
		sizeof(out));
	assert_int_equal(n, WIRE_HEAD);
	assert_int_equal(out[5], 0);
	assert_int_equal(out[3] & 15, RCODE_FORMERR);
}

static void local_replies(void **state)
{
	struct wire_query q = asker(WIRE_RD, 512);
	struct addr two[2];
	struct wire_answer a;
	uint8_t out[512];
	int n;

	(void)state;
	addr_parse("127.0.0.1", &two[0]);
	addr_parse("::1", &two[1]);
	n = wire_local(&q, query.bytes, two, 2, 60, out, sizeof(out));
	assert_int_equal(wire_answer_read(out, (size_t)n, &a), 0);
	assert_int_equal(a.nitems, 2);
	assert_int_equal(a.ttl, 60);
	assert_int_equal(addr_cmp(&a.items[1].addr, &two[1]), 0);
	wire_answer_done(&a);

	n = wire_local(&q, query.bytes, NULL, 0, 60, out, sizeof(out));
	assert_int_equal(wire_answer_read(out, (size_t)n, &a), 0);
	assert_true(a.negative);
	assert_int_equal(a.nrr, 0);
	wire_answer_done(&a);

	n = wire_local_ptr(&q, query.bytes, "localhost", 60, out, sizeof(out));
	assert_int_equal(wire_answer_read(out, (size_t)n, &a), 0);
	assert_int_equal(a.nrr, 1);
	wire_answer_done(&a);
	assert_int_equal(wire_local(&q, query.bytes, two, 2, 60, out, 40), -ENOSPC);
}

static void query_written(void **state)
{
	struct wire_query q;
	enum rcode rcode;
	uint8_t out[512];
	int n = wire_query_write("a.example", TYPE_HTTPS, 77, true, out, sizeof(out));

	(void)state;
	assert_true(n > 0);
	assert_int_equal(wire_query_read(out, (size_t)n, &q, &rcode), 0);
	assert_int_equal(rcode, RCODE_NOERROR);
	assert_string_equal(q.name, "a.example");
	assert_int_equal(q.type, TYPE_HTTPS);
	assert_int_equal(q.id, 77);
	assert_int_equal(q.flags, WIRE_RD);
	assert_true(q.dnssec_ok);
	assert_int_equal(q.udp_size, WIRE_UDP_MAX);
	assert_int_equal(wire_query_write("a.example", 1, 1, 0, out, 20), -ENOSPC);
}

static void texts(void **state)
{
	char buf[12];

	(void)state;
	assert_string_equal(type_text(TYPE_HTTPS, buf), "HTTPS");
	assert_string_equal(type_text(65280, buf), "TYPE65280");
	assert_string_equal(rcode_text(RCODE_NXDOMAIN), "NXDOMAIN");
	assert_string_equal(rcode_text(RCODE_BADVERS), "BADVERS");
	assert_string_equal(rcode_text(4000), "RCODE?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_plain),
		cmocka_unit_test(query_refused),
		cmocka_unit_test(query_two_opts),
		cmocka_unit_test(query_cut_anywhere),
		cmocka_unit_test(names_hostile),
		cmocka_unit_test(names_long),
		cmocka_unit_test(answer_leads),
		cmocka_unit_test(answer_cut_anywhere),
		cmocka_unit_test(answer_bad_records),
		cmocka_unit_test(answer_bounds),
		cmocka_unit_test(negative_ttl),
		cmocka_unit_test(reply_whole),
		cmocka_unit_test(reply_without_edns),
		cmocka_unit_test(reply_cuts),
		cmocka_unit_test(reply_cut_pointed_to),
		cmocka_unit_test(reply_truncated),
		cmocka_unit_test(reply_opt_not_last),
		cmocka_unit_test(canon_points_to_names_only),
		cmocka_unit_test(errors),
		cmocka_unit_test(local_replies),
		cmocka_unit_test(query_written),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
