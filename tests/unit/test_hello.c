/* SPDX-License-Identifier: GPL-2.0-or-later
 * what a client says first, whole and a byte at a time */
#include "base/macros.h"
#include "gate/hello.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bytes {
	uint8_t at[40000];
	size_t n;
};

static void put(struct bytes *b, const void *p, size_t n)
{
	memcpy(b->at + b->n, p, n);
	b->n += n;
}

static void put_number(struct bytes *b, uint32_t v, int width)
{
	for (int i = width - 1; i >= 0; i--)
		b->at[b->n++] = (uint8_t)(v >> (8 * i));
}

static void put_extension(struct bytes *b, uint16_t type, const struct bytes *body)
{
	put_number(b, type, 2);
	put_number(b, (uint32_t)body->n, 2);
	put(b, body->at, body->n);
}

static void put_name(struct bytes *b, const char *name, size_t len)
{
	struct bytes list = { .n = 0 };

	put_number(&list, (uint32_t)len + 3, 2);
	put_number(&list, 0, 1);
	put_number(&list, (uint32_t)len, 2);
	put(&list, name, len);
	put_extension(b, 0, &list);
}

/* a handshake message: padding stands for big key shares */
static struct bytes hello(const char *name, size_t name_len, size_t padding, bool ech)
{
	static struct bytes ext, body, out, pad;
	static const uint8_t zero[64];

	ext.n = body.n = out.n = 0;
	pad.n = padding;
	if (padding)
		put_extension(&ext, 51, &pad); /* before the name, as browsers may */
	if (name)
		put_name(&ext, name, name_len);
	pad.n = 16;
	if (ech)
		put_extension(&ext, 0xfe0d, &pad);
	put_number(&body, 0x0303, 2);
	put(&body, zero, 32);
	put_number(&body, 32, 1);
	put(&body, zero, 32);
	put_number(&body, 4, 2);
	put(&body, zero, 4);
	put_number(&body, 1, 1);
	put(&body, zero, 1);
	put_number(&body, (uint32_t)ext.n, 2);
	put(&body, ext.at, ext.n);
	put_number(&out, 1, 1);
	put_number(&out, (uint32_t)body.n, 3);
	put(&out, body.at, body.n);
	return out;
}

static struct bytes in_records(const struct bytes *hello, size_t each)
{
	static struct bytes out;

	out.n = 0;
	for (size_t at = 0; at < hello->n; at += each) {
		size_t n = MIN(each, hello->n - at);

		put_number(&out, 22, 1);
		put_number(&out, 0x0301, 2);
		put_number(&out, (uint32_t)n, 2);
		put(&out, hello->at + at, n);
	}
	return out;
}

/* every shorter piece asks for more; whole and with more behind it, it is one answer */
static void expect(const struct bytes *b, enum hello_kind kind, const char *name)
{
	struct hello h;

	for (size_t n = 0; n < b->n; n++) {
		/* from a heap block of that very size: a read beyond it shows */
		uint8_t *piece = malloc(n ? n : 1);

		memcpy(piece, b->at, n);
		assert_int_equal(hello_read(piece, n, &h), -EAGAIN);
		free(piece);
	}
	assert_int_equal(hello_read(b->at, b->n, &h), 0);
	assert_int_equal(h.kind, kind);
	assert_string_equal(h.name, name);
}

static void tls_names(void **state)
{
	static const struct {
		const char *said, *read;
		size_t len, padding, record;
		bool ech;
	} cases[] = {
		{ "www.shop.test", "www.shop.test", 13, 0, 16384, false },
		{ "WWW.Shop.Test.", "www.shop.test", 14, 0, 16384, false },
		{ "www.shop.test", "www.shop.test", 13, 2000, 16384, false },
		{ "www.shop.test", "www.shop.test", 13, 1300, 1, false }, /* a byte a record */
		{ "www.shop.test", "www.shop.test", 13, 0, 7, false },
		{ "cover.test", "cover.test", 10, 0, 16384, true },
		{ "198.18.0.1", "", 10, 0, 16384, false },
		{ "a\0b.test", "", 8, 0, 16384, false },
		{ "..", "", 2, 0, 16384, false },
		{ "", "", 0, 0, 16384, false },
		{ NULL, "", 0, 0, 16384, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes h = hello(cases[i].said, cases[i].len, cases[i].padding,
			cases[i].ech);
		struct bytes b = in_records(&h, cases[i].record);
		struct hello out;

		expect(&b, HELLO_TLS, cases[i].read);
		assert_int_equal(hello_read(b.at, b.n, &out), 0);
		assert_int_equal(out.ech, cases[i].ech);
	}
}

static void tls_broken(void **state)
{
	struct bytes h = hello("www.shop.test", 13, 0, false), b = in_records(&h, 16384);
	struct hello out;
	static uint8_t long_one[HELLO_MAX];

	(void)state;
	b.at[5] = 2; /* a server's */
	assert_int_equal(hello_read(b.at, b.n, &out), 0);
	assert_int_equal(out.kind, HELLO_OTHER);
	b = in_records(&h, 16384);
	b.at[1] = 2; /* no TLS version */
	assert_int_equal(hello_read(b.at, b.n, &out), 0);
	assert_int_equal(out.kind, HELLO_OTHER);
	b = in_records(&h, 16384);
	b.at[6] = 1; /* says it is 64 KB long */
	assert_int_equal(hello_read(b.at, b.n, &out), 0);
	assert_int_equal(out.kind, HELLO_OTHER);
	for (size_t i = 0; i < sizeof(long_one); i += 6) /* records of one byte, never whole */
		memcpy(long_one + i, "\x16\x03\x01\x00\x01\x01", MIN(6u, sizeof(long_one) - i));
	long_one[11] = 0;
	long_one[17] = 0x3f; /* 16 KB, a byte a record */
	assert_int_equal(hello_read(long_one, sizeof(long_one), &out), 0);
	assert_int_equal(out.kind, HELLO_OTHER);
}

static void http_heads(void **state)
{
	static const struct {
		const char *head;
		enum hello_kind kind;
		const char *name;
	} cases[] = {
		{ "GET / HTTP/1.1\r\nHost: www.shop.test\r\n\r\n", HELLO_HTTP, "www.shop.test" },
		{ "GET / HTTP/1.1\nHost:www.shop.test:80\n\n", HELLO_HTTP, "www.shop.test" },
		{ "get / HTTP/1.0\r\nhOST: \tWWW.shop.TEST.  \r\nA: b\r\n\r\n", HELLO_HTTP,
			"www.shop.test" },
		{ "GET http://abs.test/x HTTP/1.1\r\nHost: abs.test\r\n\r\n", HELLO_HTTP,
			"abs.test" },
		{ "GET http://abs.test:81?x HTTP/1.1\r\n\r\n", HELLO_HTTP, "abs.test" },
		{ "CONNECT in.test:443 HTTP/1.1\r\n\r\n", HELLO_HTTP, "in.test" },
		{ "OPTIONS * HTTP/1.1\r\nHost: www.shop.test\r\n\r\n", HELLO_HTTP,
			"www.shop.test" },
		{ "GET / HTTP/1.0\r\n\r\n", HELLO_HTTP, "" },
		{ "GET / HTTP/1.1\r\nHost: 198.18.0.1\r\n\r\n", HELLO_HTTP, "" },
		{ "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", HELLO_HTTP, "" },
		{ "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", HELLO_BAD, "" },
		{ "GET / HTTP/1.1\r\nHost : b.test\r\n\r\n", HELLO_BAD, "" },
		{ "GET / HTTP/1.1\r\nHost: a.test\r\n b.test\r\n\r\n", HELLO_BAD, "" },
		{ "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", HELLO_BAD, "" },
		{ "GET / HTTP/1.1\r\nX: a\rHost: b.test\r\nHost: a.test\r\n\r\n", HELLO_BAD, "" },
		{ "GET http://a.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n", HELLO_BAD, "" },
		{ "GET http://a.test@b.test/ HTTP/1.1\r\n\r\n", HELLO_BAD, "" },
		{ "PRI * HTTP/2.0\r\n", HELLO_OTHER, "" },
		{ "EHLO me\r\n", HELLO_OTHER, "" },
		{ "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", HELLO_OTHER, "" },
		{ "down 5242880\n", HELLO_OTHER, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes b = { .n = 0 };
		struct hello h;

		put(&b, cases[i].head, strlen(cases[i].head));
		if (cases[i].kind != HELLO_BAD) {
			expect(&b, cases[i].kind, cases[i].name);
			continue;
		}
		assert_int_equal(hello_read(b.at, b.n, &h), 0);
		assert_int_equal(h.kind, HELLO_BAD);
	}
}

static void others(void **state)
{
	static const char *const first[] = { "SSH-2.0-x\r\n", "\x13""BitTorrent protocol", "\r\n",
		"{\"a\":1}", "AVERYLONGWORDTHATISNOMETHODOFHTTP" };
	static uint8_t endless[HELLO_MAX];
	struct hello h;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		assert_int_equal(hello_read((const uint8_t *)first[i], strlen(first[i]), &h), 0);
		assert_int_equal(h.kind, HELLO_OTHER);
	}
	memset(endless, 'a', sizeof(endless));
	memcpy(endless, "GET / HTTP/1.1\r\nA: ", 19);
	assert_int_equal(hello_read(endless, sizeof(endless) - 1, &h), -EAGAIN);
	assert_int_equal(hello_read(endless, sizeof(endless), &h), 0);
	assert_int_equal(h.kind, HELLO_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_names),
		cmocka_unit_test(tls_broken),
		cmocka_unit_test(http_heads),
		cmocka_unit_test(others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
