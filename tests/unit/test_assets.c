/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "web/assets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void codings(void **state)
{
	static const struct {
		const char *accept;
		bool want;
	} cases[] = {
		{ NULL, false },
		{ "", false },
		{ "gzip", true },
		{ "gzip, deflate, br, zstd", true },
		{ "deflate,GZIP", true },
		{ "br;q=1, gzip;q=0.5", true },
		{ "gzip;q=0.001", true },
		{ "gzip; q=0", false },
		{ "gzip;q=0.000, *", false },
		{ "gzip;q=0,br", false },
		{ "*", true },
		{ "*;q=0", false },
		{ "identity", false },
		{ "notgzip", false },
		{ "gzipped", false },
		{ ",,,", false },
		{ "br;x=gzip", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].accept ? cases[i].accept : "(none)");
		assert_int_equal(assets_takes_gzip(cases[i].accept), cases[i].want);
	}
}

static void copies(void **state)
{
	static const struct {
		const char *has;
		bool want;
	} cases[] = {
		{ NULL, false },
		{ "", false },
		{ "\"a\"", true },
		{ "W/\"a\"", true },
		{ "\"b\", \"a\"", true },
		{ "\"b\",W/\"a\"", true },
		{ "*", true },
		{ "\"b\"", false },
		{ "a", false },
		{ "\"a", false },
		{ "\"aa\"", false },
		{ " , ", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].has ? cases[i].has : "(none)");
		assert_int_equal(assets_has(cases[i].has, "\"a\""), cases[i].want);
	}
}

static void names(void **state)
{
	static const struct {
		const char *path;
		bool want;
	} cases[] = {
		{ "/assets/main-5H5KM2MR.js", true },
		{ "/assets/a-b-5H5KM2MR.css", true },
		{ "/assets/main.js", false },
		{ "/assets/main-5h5km2mr.js", false },
		{ "/assets/-5H5KM2MR.js", false },
		{ "/assets/main-5H5KM2M.js", false },
		{ "/main-5H5KM2MR.js", false },
		{ "/", false },
		{ "/assets/x", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].path);
		assert_int_equal(assets_lasting(cases[i].path), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codings),
		cmocka_unit_test(copies),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
