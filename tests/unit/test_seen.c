/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/seen.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/test_seen.XXXXXX", path[64];

static struct seen *opened(void)
{
	struct seen *s;

	assert_int_equal(seen_open(path, &s), 0);
	return s;
}

static void once_over_restarts(void **state)
{
	struct seen *s = opened();
	int fd;

	(void)state;
	assert_true(seen_first(s, "/usr/bin/curl", 0));
	assert_false(seen_first(s, "/usr/bin/curl", 0));
	assert_true(seen_first(s, "/usr/bin/curl", 1000)); /* another user's */
	seen_close(s);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "cut", 3), 3); /* a write that was cut short */
	close(fd);
	s = opened();
	assert_false(seen_first(s, "/usr/bin/curl", 1000));
	assert_true(seen_first(s, "/usr/bin/wget", 0));
	seen_close(s);
	s = opened();
	assert_false(seen_first(s, "/usr/bin/wget", 0));
	seen_close(s);
	unlink(path);
}

static void the_older_half_is_forgotten(void **state)
{
	struct seen *s = opened();
	char name[32];

	(void)state;
	for (unsigned i = 0; i <= SEEN_MAX; i++) {
		snprintf(name, sizeof(name), "/bin/%u", i);
		assert_true(seen_first(s, name, 0));
	}
	seen_close(s);
	s = opened();
	assert_false(seen_first(s, "/bin/20000", 0));
	assert_true(seen_first(s, "/bin/0", 0));
	seen_close(s);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_over_restarts),
		cmocka_unit_test(the_older_half_is_forgotten),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/seen", dir);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return r;
}
