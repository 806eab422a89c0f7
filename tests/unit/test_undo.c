/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/undo.h"
#include "base/macros.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void switches(void **state)
{
	static const struct {
		const char *why, *rule;
		bool on;
		const char *want;
	} cases[] = {
		{ "off", "deny any .x.test", false, "deny any .x.test off" },
		{ "on again", "deny any .x.test off", true, "deny any .x.test" },
		{ "off already", "deny any .x.test off", false, "deny any .x.test off" },
		{ "on already", "deny any .x.test", true, "deny any .x.test" },
		{ "the word of a note stays", "deny any a.test off note \"a off b\"", true,
			"deny any a.test note \"a off b\"" },
		{ "an escaped quote ends no note", "deny any a.test note \"\\\" off \" off", true,
			"deny any a.test note \"\\\" off \"" },
		{ "part of a word stays", "deny any off.test official", true,
			"deny any off.test official" },
		{ "a comment goes", "deny any a.test # off", false, "deny any a.test off" },
		{ "blanks are one", "  deny\tany   a.test ", true, "deny any a.test" },
	};
	char out[LINK_RULE_TEXT_MAX], longest[LINK_RULE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(undo_switch(cases[i].rule, cases[i].on, out), 0);
		assert_string_equal(out, cases[i].want);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(undo_switch(longest, true, out), 0);
	assert_int_equal(undo_switch(longest, false, out), -EINVAL);
}

static void the_last_fifty(void **state)
{
	static struct undo u;
	struct undo_entry e = { .kind = UNDO_CHANGED };

	(void)state;
	assert_false(undo_find(&u, 0, &e));
	assert_false(undo_find(&u, 1, &e));
	for (uint32_t i = 1; i <= UNDO_MAX + 2; i++) {
		e.id = 100 + i;
		assert_int_equal(undo_put(&u, &e), i);
	}
	assert_false(undo_find(&u, 2, &e));
	assert_true(undo_find(&u, 3, &e));
	assert_int_equal(e.id, 103);
	assert_false(undo_find(&u, UNDO_MAX + 3, &e));
	undo_drop(&u, 3);
	assert_false(undo_find(&u, 3, &e));
	undo_drop(&u, 2); /* its place is another's: that stays */
	assert_true(undo_find(&u, UNDO_MAX + 2, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switches),
		cmocka_unit_test(the_last_fifty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
