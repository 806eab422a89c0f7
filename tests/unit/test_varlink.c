/* SPDX-License-Identifier: GPL-2.0-or-later
 * io.systemd.Resolve: what is a call, what is wrong with one, and what is written back. */
#include "base/macros.h"
#include "resolver/varjson.h"
#include "resolver/varcall.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define R "io.systemd.Resolve."

static int call_read(const char *text, struct varlink_call *call, struct varlink_error *err)
{
	memset(err, 0, sizeof(*err));
	return varlink_call_read(text, strlen(text), call, err);
}

static void json_is_strict(void **state)
{
	static const struct { const char *text; bool good; } cases[] = {
		{ "{}", true }, { " { \"a\" : [ 1 , -2.5e+3, true ] } ", true },
		{ "\"\\u00e9\\ud83d\\ude00\"", true }, { "null", true },
		{ "", false }, { "{", false }, { "{}x", false }, { "{\"a\":1,}", false },
		{ "[1,]", false }, { "{a:1}", false }, { "// x\n{}", false }, { "01", false },
		{ "1.", false }, { "+1", false }, { "\"\\x\"", false }, { "\"\\ud83d\"", false },
		{ "\"\t\"", false }, { "\"\xff\"", false }, { "\"\xc0\xaf\"", false },
		{ "[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", false }, { "nul", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct varjson v;
		int r = varjson_open(cases[i].text, strlen(cases[i].text), &v);

		print_message("%s\n", cases[i].text);
		assert_int_equal(r, cases[i].good ? 0 : -EBADMSG);
	}
}

static void calls(void **state)
{
	struct varlink_error err;
	struct varlink_call c;

	(void)state;
	assert_int_equal(call_read("{\"method\":\"" R "ResolveHostname\",\"parameters\":"
		"{\"name\":\"www.shop.test\",\"family\":10,\"flags\":32,\"ifindex\":3}}", &c, &err), 0);
	assert_int_equal(c.method, VARLINK_HOSTNAME);
	assert_string_equal(c.name, "www.shop.test");
	assert_int_equal(c.family, 6);
	assert_int_equal(c.flags, RESOLVED_NO_CNAME);
	assert_int_equal(c.ifindex, 3);
	assert_false(c.oneway);

	assert_int_equal(call_read("{\"method\":\"" R "ResolveAddress\",\"parameters\":"
		"{\"family\":2,\"address\":[192,0,2,1]}}", &c, &err), 0);
	assert_int_equal(c.method, VARLINK_ADDRESS);
	assert_int_equal(c.addr.family, 4);
	assert_int_equal(c.addr.b[3], 1);

	assert_int_equal(call_read("{\"method\":\"" R "ResolveRecord\",\"oneway\":true,\"parameters\":"
		"{\"name\":\"a.test\",\"type\":65}}", &c, &err), 0);
	assert_int_equal(c.type, 65);
	assert_int_equal(c.klass, 1);
	assert_true(c.oneway);
}

static void mistakes(void **state)
{
	static const struct { const char *text; int r; const char *id; } cases[] = {
		{ "x", -EBADMSG, NULL }, { "[]", -EBADMSG, NULL }, { "{}", -EBADMSG, NULL },
		{ "{\"method\":\"" R "Nothing\"}", 1, "org.varlink.service.MethodNotFound" },
		{ "{\"method\":\"" R "ResolveHostname\"}", 1,
		  "org.varlink.service.InvalidParameter" },
		{ "{\"method\":\"" R "ResolveHostname\",\"parameters\":{\"name\":7}}", 1,
		  "org.varlink.service.InvalidParameter" },
		{ "{\"method\":\"" R "ResolveAddress\",\"parameters\":"
		  "{\"family\":2,\"address\":[1,2,3]}}", 1, "org.varlink.service.InvalidParameter" },
		{ "{\"method\":\"" R "ResolveAddress\",\"parameters\":"
		  "{\"family\":2,\"address\":[1,2,3,256]}}", 1,
		  "org.varlink.service.InvalidParameter" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct varlink_error err;
		struct varlink_call c;

		print_message("%s\n", cases[i].text);
		assert_int_equal(call_read(cases[i].text, &c, &err), cases[i].r);
		if (cases[i].id) {
			print_message("%s\n", err.id);
			assert_string_equal(err.id, cases[i].id);
		}
	}
}

static void answers(void **state)
{
	const struct varlink_part none = { .error = -ETIMEDOUT };
	struct varlink_error err;
	struct varlink_call c;
	char out[2048];
	struct text t = text_into(out, sizeof(out));

	(void)state;
	call_read("{\"method\":\"" R "ResolveHostname\",\"parameters\":{\"name\":\"a.test\"}}", &c, &err);
	varlink_answer_write(&t, &c, &none, 1);
	assert_non_null(strstr(out, "io.systemd.Resolve.QueryTimedOut"));
	t = text_into(out, sizeof(out));
	varjson_quote(&t, "a\"\\\n\xff");
	assert_string_equal(out, "\"a\\u0022\\u005c\\u000a\\ufffd\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(json_is_strict),
		cmocka_unit_test(calls), cmocka_unit_test(mistakes), cmocka_unit_test(answers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
