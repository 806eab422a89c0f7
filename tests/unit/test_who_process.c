/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who/state.h"

#include "base/macros.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
	return processes_init((struct processes **)state);
}

static int teardown(void **state)
{
	processes_done(*state);
	return 0;
}

static void exec_as(struct processes *t, int32_t pid, uint64_t start, const char *path)
{
	struct process p = { .pid = pid, .start = start, .parent = 1, .uid = 7,
		.args = "a b", .cgroup = "/x" };

	strcpy(p.path, path);
	assert_int_equal(processes_exec(t, &p), 0);
}

static void test_fork_shares(void **state)
{
	struct process p;

	exec_as(*state, 10, 100, "/bin/a");
	assert_int_equal(processes_fork(*state, 11, 110, 10, 8), 0);
	exec_as(*state, 10, 100, "/bin/b"); /* the child keeps what it was forked with */
	assert_int_equal(processes_find(*state, 11, 110, &p), 0);
	assert_string_equal(p.path, "/bin/a");
	assert_string_equal(p.args, "a b");
	assert_string_equal(p.cgroup, "/x");
	assert_int_equal(p.parent, 10);
	assert_int_equal(p.uid, 8);
	assert_int_equal(processes_find(*state, 10, 0, &p), 0);
	assert_string_equal(p.path, "/bin/b");
}

static void test_start_tells_pids_apart(void **state)
{
	struct process p = { .pid = -1 };

	exec_as(*state, 10, 100, "/bin/a");
	assert_int_equal(processes_find(*state, 10, 101, &p), -ENOENT);
	assert_int_equal(p.pid, -1);
	processes_exit(*state, 10, 99, 1000); /* another's death */
	processes_expire(*state, 1000 + PROCESS_DEAD_MS);
	assert_int_equal(processes_find(*state, 10, 100, &p), 0);
	assert_int_equal(processes_find(*state, 11, 0, &p), -ENOENT);
}

static void test_dead_stay_a_while(void **state)
{
	struct process p;

	exec_as(*state, 10, 100, "/bin/a");
	exec_as(*state, 11, 110, "/bin/b");
	processes_exit(*state, 10, 100, 1000);
	processes_exit(*state, 10, 100, 2000); /* told twice: the first counts */
	processes_exit(*state, 11, 110, 3000);
	processes_expire(*state, 999 + PROCESS_DEAD_MS);
	assert_int_equal(processes_find(*state, 10, 100, &p), 0);
	processes_expire(*state, 1000 + PROCESS_DEAD_MS);
	assert_int_equal(processes_find(*state, 10, 100, &p), -ENOENT);
	assert_int_equal(processes_find(*state, 11, 110, &p), 0);
	exec_as(*state, 11, 200, "/bin/c"); /* the number again: it lives */
	processes_expire(*state, 9000 + PROCESS_DEAD_MS);
	assert_int_equal(processes_find(*state, 11, 200, &p), 0);
	assert_string_equal(p.path, "/bin/c");
}

static void test_parent_unknown(void **state)
{
	struct process p;

	assert_int_equal(processes_fork(*state, 11, 110, 10, 8), 0);
	assert_int_equal(processes_find(*state, 11, 110, &p), 0);
	assert_string_equal(p.path, "");
}

static void test_bounded(void **state)
{
	struct process p;

	exec_as(*state, 1, 1, "/bin/first");
	exec_as(*state, 2, 2, "/bin/second");
	for (int32_t pid = 3; pid <= WHO_PROCS_MAX; pid++)
		assert_int_equal(processes_fork(*state, pid, 3, 2, 0), 0);
	assert_int_equal(processes_find(*state, 1, 1, &p), 0); /* used: it goes later */
	assert_int_equal(processes_fork(*state, WHO_PROCS_MAX + 1, 3, 2, 0), 0);
	assert_int_equal(processes_count(*state), WHO_PROCS_MAX);
	assert_int_equal(processes_find(*state, 1, 1, &p), 0);
	assert_int_equal(processes_find(*state, 2, 2, &p), -ENOENT);
	/* the child of the one that had to leave for it still has its path */
	assert_int_equal(processes_find(*state, WHO_PROCS_MAX + 1, 3, &p), 0);
	assert_string_equal(p.path, "/bin/second");
}

#define WITH_TABLE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TABLE(test_fork_shares), WITH_TABLE(test_start_tells_pids_apart),
		WITH_TABLE(test_dead_stay_a_while), WITH_TABLE(test_parent_unknown),
		WITH_TABLE(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
