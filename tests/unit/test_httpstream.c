/* SPDX-License-Identifier: GPL-2.0-or-later
 * requests of one connection, in every cut: what goes before which head is judged */
#include "base/macros.h"
#include "gate/httpstream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* hosts in order, then how it stopped; bytes come `each` at a time */
static void run(const char *text, size_t each, bool go_on, char out[static 200])
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t len = strlen(text), gone = 0, at = 0;
	enum http_event event = HTTP_MORE;
	struct http_stream s = { 0 };
	unsigned steps = 0;

	out[0] = 0;
	while (at < len || steps++ < 2) {
		at = MIN(at + each, len);
		do {
			gone += http_stream_read(&s, bytes + gone, at - gone, &event);
			if (event == HTTP_HEAD) {
				strcat(strcat(out, s.host), " ");
				http_stream_pass(&s);
			}
			if (event == HTTP_SWITCH && go_on)
				http_stream_go_on(&s);
		} while (event == HTTP_HEAD || (event == HTTP_SWITCH && go_on));
		if (event == HTTP_BAD || event == HTTP_SWITCH)
			break;
	}
	snprintf(out + strlen(out), 100, "%s",
		event == HTTP_BAD	      ? "bad"
			: event == HTTP_SWITCH ? "switch"
			: gone == len	       ? "all"
					       : "more");
}

#define GET(host) "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define POST(host, field, body) \
	"POST / HTTP/1.1\r\nHost: " host "\r\n" field "\r\n\r\n" body

static void streams(void **state)
{
	static const struct {
		const char *bytes;
		bool go_on;
		const char *want;
	} cases[] = {
		{ GET("a.test"), false, "a.test all" },
		{ GET("a.test") GET("b.test"), false, "a.test b.test all" },
		{ GET("a.test") "GET / HTTP/1.1\r\nHost: b.t", false, "a.test more" },
		{ POST("a.test", "Content-Length: 3", "abc") GET("b.test"), false,
			"a.test b.test all" },
		{ POST("a.test", "Content-Length: 0", "") GET("b.test"), false,
			"a.test b.test all" },
		{ POST("a.test", "Transfer-Encoding: chunked",
			  "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: x\r\n\r\n")
			  GET("b.test"),
			false, "a.test b.test all" },
		/* a head inside a body is no head */
		{ POST("a.test", "Content-Length: 35", GET("x")) GET("b.test"), false,
			"a.test bad" },
		{ POST("a.test", "Content-Length: 27", GET("x")) GET("b.test"), false,
			"a.test b.test all" },
		/* what servers frame differently */
		{ POST("a.test", "Content-Length: 3\r\nContent-Length: 3", "abc"), false, "bad" },
		{ POST("a.test", "Content-Length: 3\r\nTransfer-Encoding: chunked", "abc"), false,
			"bad" },
		{ POST("a.test", "Transfer-Encoding: gzip, chunked", "abc"), false, "bad" },
		{ POST("a.test", "Transfer-Encoding: xchunked", "abc"), false, "bad" },
		{ POST("a.test", "Content-Length: +3", "abc"), false, "bad" },
		{ POST("a.test", "Content-Length: 0x3", "abc"), false, "bad" },
		{ POST("a.test", "Content-Length: 99999999999999999999", "abc"), false, "bad" },
		{ POST("a.test", "Transfer-Encoding : chunked", "0\r\n\r\n"), false, "bad" },
		{ POST("a.test", "Transfer-Encoding: chunked", "3\nabc\r\n"), false, "a.test bad" },
		{ POST("a.test", "Transfer-Encoding: chunked", "3 \r\nabc\r\n"), false,
			"a.test bad" },
		{ POST("a.test", "Transfer-Encoding: chunked", "3\r\nabcd\r\n"), false,
			"a.test bad" },
		{ POST("a.test", "Transfer-Encoding: chunked", "\r\n"), false, "a.test bad" },
		{ GET("a.test") "\r\n" GET("b.test"), false, "a.test bad" },
		{ GET("a.test") "\x16\x03\x01", false, "a.test more" },
		{ GET("a.test") "nonsense\r\n\r\n", false, "a.test bad" },
		/* another protocol: only the first may ask, and its answer says */
		{ POST("a.test", "Upgrade: websocket", "") "\x81\x05hello", false,
			"a.test switch" },
		{ POST("a.test", "Upgrade: h2c", "") GET("b.test"), true, "a.test b.test all" },
		{ "CONNECT a.test:443 HTTP/1.1\r\n\r\n\x16\x03\x01", false, "a.test switch" },
		{ GET("a.test") POST("a.test", "Upgrade: websocket", "") "\x81\x05hello\r\n\r\n",
			false, "a.test a.test bad" },
	};
	char out[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t each = 1; each <= strlen(cases[i].bytes); each++) {
			run(cases[i].bytes, each, cases[i].go_on, out);
			if (strcmp(out, cases[i].want) != 0)
				print_message("case %zu, %zu bytes at a time\n", i, each);
			assert_string_equal(out, cases[i].want);
		}
}

static void statuses(void **state)
{
	static const struct {
		const char *bytes;
		int want;
	} cases[] = {
		{ "HTTP/1.1 101 Switching", 101 },
		{ "HTTP/1.0 200 OK\r\n", 200 },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 x", 101 },
		{ "HTTP/1.1 100 Continue\r\nA: HTTP/1.1 101\r\n\r\n", 0 },
		{ "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 x", 404 },
		{ "HTTP/1.1 10", 0 },
		{ "HTTP/1.1 1x1 aaa", -EBADMSG },
		{ "\x81\x05hello there you", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(http_answer_status((const uint8_t *)cases[i].bytes,
					 strlen(cases[i].bytes)),
			cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams),
		cmocka_unit_test(statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
