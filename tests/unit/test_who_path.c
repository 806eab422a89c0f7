/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who/state.h"

#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NAMES(s) s, sizeof(s) /* the literal's own NUL ends the last name */

static struct who_path made(const char *names, size_t len, uint32_t flags)
{
	struct who_path p = { .len = (uint32_t)len, .flags = flags };

	memcpy(p.names, names, MIN(len, sizeof(p.names)));
	return p;
}

static void test_path(void **state)
{
	static const struct {
		const char *why, *names;
		size_t len;
		uint32_t flags;
		const char *plain, *shown;
		bool lookable, believed;
	} cases[] = {
		{ "leaf first", NAMES("curl\0bin\0usr"), 0, "/usr/bin/curl", "/usr/bin/curl",
			true, true },
		{ "another file's path", NAMES("curl\0bin\0usr"), 0, "/usr/bin/curl",
			"/usr/bin/curl (elsewhere)", true, false },
		{ "below the root", NAMES("init"), 0, "/init", "/init", true, true },
		{ "deleted", NAMES("x\0tmp"), WHO_PATH_DELETED, "/tmp/x", "/tmp/x (deleted)",
			false, false },
		{ "memfd", NAMES("memfd:small"), WHO_PATH_PSEUDO, "/memfd:small", "memfd:small",
			false, false },
		{ "only the tail", NAMES("x\0deep"), WHO_PATH_LOST, "/deep/x", ".../deep/x (elsewhere)",
			false, false },
		{ "nothing", "", 0, 0, "", "(no name) (elsewhere)", false, false },
		{ "an empty name", NAMES("x\0\0usr"), 0, "/usr//x", "/usr//x", true, true },
		{ "no NUL at the end", "curl\0usr", 8, 0, "/us/curl", "/us/curl", true, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct who_path p = made(cases[i].names, cases[i].len, cases[i].flags);
		char out[PROGRAM_PATH_MAX];

		print_message("%s\n", cases[i].why);
		path_build(&p, out, sizeof(out));
		assert_string_equal(out, cases[i].plain);
		path_show(&p, cases[i].believed, out, sizeof(out));
		assert_string_equal(out, cases[i].shown);
		assert_int_equal(path_lookable(&p), cases[i].lookable);
	}
}

static void test_path_bounds(void **state)
{
	struct who_path p;
	char out[PROGRAM_PATH_MAX], small[8];

	(void)state;
	memset(&p, 'a', sizeof(p)); /* length, flags and every name */
	path_build(&p, out, sizeof(out));
	assert_int_equal(strlen(out), sizeof(out) - 1);
	path_show(&p, true, small, sizeof(small));
	assert_int_equal(strlen(small), sizeof(small) - 1);
	assert_false(path_lookable(&p));
	memset(p.names, 0, sizeof(p.names));
	path_build(&p, out, sizeof(out));
	assert_int_equal(strlen(out), WHO_NAMES_MAX - 1); /* as many empty names as fit */
}

static void test_args(void **state)
{
	static const struct {
		const char *why, *args;
		size_t len;
		const char *want;
	} cases[] = {
		{ "joined by blanks", NAMES("curl\0-s\0x.test"), "curl -s x.test" },
		{ "an empty one", NAMES("a\0\0b"), "a  b" },
		{ "cut in the middle", "curl\0--lo", 9, "curl --lo" },
		{ "none", "", 0, "" },
		{ "terminal codes are escaped", NAMES("a\0\033[2J"), "a \\x1b[2J" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[WHO_ARGS_MAX];

		print_message("%s\n", cases[i].why);
		path_args(cases[i].args, cases[i].len, out, sizeof(out));
		assert_string_equal(out, cases[i].want);
	}
}

static void test_load_reason(void **state)
{
	static const struct {
		const char *why, *log, *want;
	} cases[] = {
		{ "the verifier's last word",
			"libbpf: prog 'on_exec': -- BEGIN PROG LOAD LOG --\n"
			"0: R1=ctx\ninvalid mem access 'scalar'\n"
			"processed 12 insns (limit 1000000)\n-- END PROG LOAD LOG --\n",
			"prog 'on_exec': invalid mem access 'scalar'" },
		{ "a line of libbpf", "libbpf: Error in bpf_create_map_xattr(procs): EPERM\n",
			"Error in bpf_create_map_xattr(procs): EPERM" },
		{ "an empty log", "libbpf: prog 'x': -- BEGIN PROG LOAD LOG --\n"
			"-- END PROG LOAD LOG --\n", "prog 'x': " },
		{ "no end", "libbpf: prog 'x': -- BEGIN PROG LOAD LOG --\nabc",
			"prog 'x': -- BEGIN PROG LOAD LOG --" },
		{ "nothing", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[256];

		print_message("%s\n", cases[i].why);
		path_load_reason(cases[i].log, out, sizeof(out));
		assert_string_equal(out, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_path_bounds),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_load_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
