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

static const struct session_for alice = { 1000, false }, root = { 0, true };

static void tokens(void **state)
{
	struct sessions s = { 0 };
	bool admin = true;

	(void)state;
	assert_false(token_use(&s, "a", 1000, 1, &admin));
	token_add(&s, "a", &alice, 1);
	assert_true(session_known(&s, 1000, 2));
	assert_true(token_use(&s, "a", 1000, TOKEN_MS, &admin));
	assert_false(admin);
	assert_false(token_use(&s, "a", 1000, TOKEN_MS, &admin)); /* twice */
	token_add(&s, "b", &alice, 1);
	assert_false(token_use(&s, "b", 1000, 1 + TOKEN_MS, &admin)); /* too old */
	token_add(&s, "c", &alice, 1);
	assert_false(token_use(&s, "c", 1001, 2, &admin)); /* another's, and so it is burnt */
	assert_false(token_use(&s, "c", 1000, 2, &admin));
	assert_false(session_known(&s, 1000, 2));
	token_add(&s, "d", &root, 1);
	assert_true(token_use(&s, "d", 0, 2, &admin));
	assert_true(admin);
}

static void sessions(void **state)
{
	struct sessions s = { 0 };
	bool admin = true;

	(void)state;
	session_add(&s, "a", &alice, 1);
	assert_int_equal(session_count(&s, 2), 1);
	assert_false(session_use(&s, "a", 1001, 2, &admin)); /* another uid brings the cookie */
	assert_true(session_use(&s, "a", 1000, SESSION_IDLE_MS, &admin));
	assert_false(admin);
	assert_true(session_use(&s, "a", 1000, 2 * (int64_t)SESSION_IDLE_MS - 1, &admin));
	assert_false(session_use(&s, "a", 1000, 4 * (int64_t)SESSION_IDLE_MS, &admin));
	assert_int_equal(session_count(&s, 4 * (int64_t)SESSION_IDLE_MS), 0);
	session_add(&s, "b", &alice, 1);
	session_end(&s, "b");
	assert_false(session_use(&s, "b", 1000, 2, &admin));
	session_add(&s, "c", &root, 1);
	assert_true(session_use(&s, "c", 0, 2, &admin));
	assert_true(admin);
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
