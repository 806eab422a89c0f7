/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "web/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* FIPS 180-4's examples */
static void hashes(void **state)
{
	static const struct {
		const char *text, *hash;
	} cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t hash[SHA256_LEN];
		char text[SESSION_TEXT];

		assert_int_equal(sha256(cases[i].text, strlen(cases[i].text), hash), 0);
		session_text(hash, text);
		assert_string_equal(text, cases[i].hash);
	}
}

static void tokens(void **state)
{
	struct sessions s = { 0 };

	(void)state;
	assert_false(token_use(&s, "a", 1000, 1));
	token_add(&s, "a", 1000, 1);
	assert_true(session_known(&s, 1000, 2));
	assert_true(token_use(&s, "a", 1000, TOKEN_MS));
	assert_false(token_use(&s, "a", 1000, TOKEN_MS)); /* twice */
	token_add(&s, "b", 1000, 1);
	assert_false(token_use(&s, "b", 1000, 1 + TOKEN_MS)); /* too old */
	token_add(&s, "c", 1000, 1);
	assert_false(token_use(&s, "c", 1001, 2)); /* another's, and so it is burnt */
	assert_false(token_use(&s, "c", 1000, 2));
	assert_false(session_known(&s, 1000, 2));
}

static void sessions(void **state)
{
	struct sessions s = { 0 };

	(void)state;
	session_add(&s, "a", 1000, 1);
	assert_false(session_use(&s, "a", 1001, 2)); /* another uid brings the cookie */
	assert_true(session_use(&s, "a", 1000, SESSION_IDLE_MS));
	assert_true(session_use(&s, "a", 1000, 2 * (int64_t)SESSION_IDLE_MS - 1));
	assert_false(session_use(&s, "a", 1000, 4 * (int64_t)SESSION_IDLE_MS));
	session_add(&s, "b", 1000, 1);
	session_end(&s, "b");
	assert_false(session_use(&s, "b", 1000, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test(tokens),
		cmocka_unit_test(sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
