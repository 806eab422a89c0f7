/* SPDX-License-Identifier: GPL-2.0-or-later
 * Adopting, with the real identity table and hooks: programs that made their sockets before
 * there was a daemon. What adopting does socket by socket is in test_adopt. */
#include "tests/unit/who_lab.h"

#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static struct lab lab;

static void nothing(void *ctx, const struct program *p)
{
	(void)ctx;
	(void)p;
}

static const struct who_calls calls = { .actor_new = nothing };

struct seen {
	unsigned told, done;
	uint32_t actor;
	int32_t pid;
	bool known;
	char path[PROGRAM_PATH_MAX];
};

static void judge(void *ctx, const struct who_socket *s, who_answer answer, void *token)
{
	struct seen *seen = ctx;

	seen->told++;
	seen->actor = s->program->actor;
	seen->known = s->program->known;
	seen->pid = s->pid;
	strcpy(seen->path, s->program->path);
	answer(token, WHO_MARK);
}

static void done(void *ctx, unsigned found)
{
	struct seen *seen = ctx;

	seen->done++;
	assert_int_equal(found, seen->told);
}

static struct seen adopt(void)
{
	struct seen seen = { .told = 0 };

	assert_int_equal(who_adopt(lab.who, judge, done, &seen), 0);
	while (!seen.done)
		uv_run(lab.loop, UV_RUN_ONCE);
	return seen;
}

static void start(const char *pins)
{
	lab_who_open(&lab, pins, false, 0);
	/* the hook that refuses SO_MARK goes by the socket's cgroup, not the caller's */
	assert_int_equal(who_register_self(lab.who, getpid()), 0);
	lab_start(&lab, &calls);
}

static void before_us(void **state)
{
	struct child c;
	struct seen seen;
	char path[512];
	uint32_t mark;

	(void)state;
	strcpy(path, lab_copy(&lab, "before"));
	c = lab_spawn(&lab, path, "udp wait again wait udp", 0);
	assert_int_equal(lab_read(&c), 0); /* no daemon, no mark */
	lab_read(&c);
	start(NULL);
	seen = adopt();
	assert_int_equal(seen.told, 1);
	assert_int_equal(seen.pid, c.pid);
	assert_true(seen.known);
	assert_string_equal(seen.path, path);
	lab_go(&c);
	mark = (uint32_t)lab_read(&c);
	assert_int_equal(mark, 0x53000000 | seen.actor);
	lab_read(&c);
	print_message("a new socket of it bears the same number\n");
	lab_go(&c);
	assert_int_equal(lab_read(&c), mark);
	lab_reap(&c);
	lab_who_close(&lab, true);
}

static void what_the_hooks_saw(void **state)
{
	struct child c;

	(void)state;
	start(NULL);
	c = lab_spawn(&lab, lab_copy(&lab, "hooked"), "udp tcp6 wait", 0);
	lab_read(&c);
	lab_read(&c);
	lab_read(&c);
	assert_int_equal(adopt().told, 0);
	lab_reap(&c);
	lab_who_close(&lab, true);
}

static void comes_back(void **state)
{
	struct child c;
	struct seen seen;
	uint32_t mark;

	(void)state;
	c = lab_spawn(&lab, lab_copy(&lab, "back"), "udp wait again wait again", 0);
	lab_read(&c);
	lab_read(&c);
	start(lab.pins);
	assert_int_equal(adopt().told, 1);
	print_message("its maps are still there: it is known\n");
	lab_who_close(&lab, false);
	start(lab.pins);
	assert_int_equal(adopt().told, 0);
	lab_go(&c);
	mark = (uint32_t)lab_read(&c);
	assert_int_equal(mark >> 24, 0x53);
	lab_read(&c);
	print_message("its maps are gone: its mark means nothing any more\n");
	lab_who_close(&lab, true);
	start(NULL);
	lab_run(&lab, lab_copy(&lab, "first"), "udp"); /* takes the first number */
	seen = adopt();
	assert_int_equal(seen.told, 1);
	lab_go(&c);
	assert_int_equal(lab_read(&c), 0x53000000 | seen.actor);
	lab_reap(&c);
	lab_who_close(&lab, true);
}

static void stopped_under_way(void **state)
{
	struct seen seen = { .told = 0 };
	struct child c = lab_spawn(&lab, lab_copy(&lab, "under-way"), "udp wait", 0);

	(void)state;
	lab_read(&c);
	lab_read(&c);
	start(NULL);
	assert_int_equal(who_adopt(lab.who, judge, done, &seen), 0);
	who_stop(lab.who);
	uv_run(lab.loop, UV_RUN_DEFAULT);
	assert_int_equal(seen.done, 0);
	lab_reap(&c);
	lab_who_close(&lab, true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_us),
		cmocka_unit_test(what_the_hooks_saw),
		cmocka_unit_test(comes_back),
		cmocka_unit_test(stopped_under_way),
	};
	const char *why;
	int r;

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child_main(argc, argv);
	why = lab_open(&lab);
	if (why) {
		printf("skipped: adopting against the kernel: %s\n", why);
		lab_close(&lab);
		return 77;
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	lab_close(&lab);
	return r;
}
