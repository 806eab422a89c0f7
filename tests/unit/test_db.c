/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "db/db.h"
#include "base/io.h"
#include "base/macros.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

struct place {
	char dir[64], file[96];
	uv_loop_t loop;
	struct db *db;
	char why[512];
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return -1;
	snprintf(p->dir, sizeof(p->dir), "/tmp/scupper-db-XXXXXX");
	if (!mkdtemp(p->dir) || uv_loop_init(&p->loop) < 0)
		return -1;
	snprintf(p->file, sizeof(p->file), "%s/scupper.db", p->dir);
	*state = p;
	return 0;
}

static void empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

static void close_db(struct place *p)
{
	db_close(p->db);
	p->db = NULL;
	uv_run(&p->loop, UV_RUN_DEFAULT); /* close callbacks */
}

static int tear_down(void **state)
{
	struct place *p = *state;

	close_db(p);
	uv_loop_close(&p->loop);
	empty(p->dir);
	free(p);
	return 0;
}

static int open_db(struct place *p)
{
	return db_open(p->file, &p->loop, p->why, sizeof(p->why), &p->db);
}

static void on_done(struct job *job)
{
	(void)job;
}

struct asked {
	struct db_request req;
	bool done;
	int notify;
};

static void on_asked(struct job *job)
{
	struct asked *a = container_of(job, struct asked, req.job);

	a->done = true;
	if (a->notify > 0 && job->result == 0 &&
		write(a->notify, &a->req.id, sizeof(a->req.id)) < 0)
		abort();
}

static int ask(struct place *p, struct asked *a)
{
	a->req.job.done = on_asked;
	a->done = false;
	assert_int_equal(db_give(p->db, &a->req), 0);
	while (!a->done)
		uv_run(&p->loop, UV_RUN_ONCE);
	return a->req.job.result;
}

static int add(struct place *p, const char *text, uint32_t *id)
{
	struct asked a = { .req = { .op = DB_RULE_ADD, .text = text, .created_s = 1000 } };
	int r = ask(p, &a);

	if (r == 0 && id)
		*id = a.req.id;
	return r;
}

static int take_out(struct place *p, uint32_t id)
{
	struct asked a = { .req = { .op = DB_RULE_REMOVE, .id = id } };
	int r = ask(p, &a);

	assert_true((r < 0) == (a.req.error[0] != '\0'));
	return r;
}

static void rules_outlive_the_daemon(void **state)
{
	struct place *p = *state;
	struct db_rule *rules;
	uint32_t one, two, three;
	size_t n;

	assert_int_equal(open_db(p), 0);
	assert_string_equal(p->why, "");
	assert_int_equal(add(p, "allow any .one.test", &one), 0);
	assert_int_equal(add(p, "deny any \xff.two.test", &two), 0);
	assert_int_equal(take_out(p, one), 0);
	assert_int_equal(take_out(p, one), -ENOENT);
	close_db(p);

	assert_int_equal(open_db(p), 0);
	assert_int_equal(db_rules(p->db, &rules, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rules[0].id, two);
	assert_string_equal(rules[0].text, "deny any \xff.two.test");
	assert_int_equal(rules[0].created_s, 1000);
	db_rules_free(rules, n);
	/* a number once given stays that rule's in history */
	assert_int_equal(take_out(p, two), 0);
	assert_int_equal(add(p, "allow any three.test", &three), 0);
	assert_true(three > two);
}

static void file_is_for_the_group_alone(void **state)
{
	struct place *p = *state;
	static const char *const endings[] = { "", "-wal", "-shm" };
	mode_t old = umask(0);

	assert_int_equal(open_db(p), 0);
	assert_int_equal(add(p, "allow any a.test", NULL), 0);
	umask(old);
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		char path[PATH_MAX];
		struct stat st;

		snprintf(path, sizeof(path), "%s%s", p->file, endings[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
	}
}

static void closing_waits_for_what_was_given(void **state)
{
	enum { MANY = 300 };
	struct place *p = *state;
	struct db_request *reqs = calloc(MANY, sizeof(*reqs));
	struct db_rule *rules;
	size_t n;

	assert_int_equal(open_db(p), 0);
	for (int i = 0; i < MANY; i++) {
		reqs[i] = (struct db_request){ .op = DB_RULE_ADD, .text = "allow any a.test",
			.job.done = on_done };
		assert_int_equal(db_give(p->db, &reqs[i]), 0);
	}
	close_db(p);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(reqs[i].job.result, 0);
	free(reqs);
	assert_int_equal(open_db(p), 0);
	assert_int_equal(db_rules(p->db, &rules, &n), 0);
	assert_int_equal(n, MANY);
	db_rules_free(rules, n);
}

static void a_refusal_leaves_its_neighbours(void **state)
{
	struct place *p = *state;
	struct db_request reqs[3] = {
		{ .op = DB_RULE_ADD, .text = "allow any a.test", .job.done = on_done },
		{ .op = DB_RULE_REMOVE, .id = 4711, .job.done = on_done },
		{ .op = DB_RULE_ADD, .text = "allow any b.test", .job.done = on_done },
	};
	struct db_rule *rules;
	size_t n;

	assert_int_equal(open_db(p), 0);
	for (size_t i = 0; i < ARRAY_LEN(reqs); i++)
		assert_int_equal(db_give(p->db, &reqs[i]), 0);
	close_db(p);
	assert_int_equal(reqs[0].job.result, 0);
	assert_int_equal(reqs[1].job.result, -ENOENT);
	assert_int_equal(reqs[2].job.result, 0);
	assert_int_equal(open_db(p), 0);
	assert_int_equal(db_rules(p->db, &rules, &n), 0);
	assert_int_equal(n, 2);
	db_rules_free(rules, n);
}

/* adds until it is killed; every acknowledged number goes down the pipe */
static void add_until_killed(const char *file, int fd)
{
	struct place p = { 0 };

	snprintf(p.file, sizeof(p.file), "%s", file);
	if (uv_loop_init(&p.loop) < 0 || open_db(&p) < 0)
		_exit(1);
	for (;;) {
		struct asked a = { .notify = fd,
			.req = { .op = DB_RULE_ADD, .text = "allow any .kill.test" } };

		ask(&p, &a);
	}
}

static unsigned kill_a_writer(const char *file, int64_t after_us)
{
	uint32_t id = 0, last = 0;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		add_until_killed(file, fds[1]);
	}
	close(fds[1]);
	/* it is in the middle of things once one rule is through */
	if (read(fds[0], &id, sizeof(id)) == sizeof(id))
		last = id;
	usleep((useconds_t)after_us);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (read(fds[0], &id, sizeof(id)) == sizeof(id))
		last = id;
	close(fds[0]);
	return last;
}

static void killed_in_the_middle(void **state)
{
	struct place *p = *state;
	unsigned last = 0;

	for (int round = 0; round < 10; round++) {
		struct db_rule *rules;
		size_t n;

		last = kill_a_writer(p->file, 300 + 700 * round);
		assert_true(last > 0);
		assert_int_equal(open_db(p), 0);
		assert_string_equal(p->why, "");
		assert_int_equal(db_rules(p->db, &rules, &n), 0);
		/* nothing is ever removed here: so every number up to the last is there */
		assert_true(n >= last);
		for (unsigned i = 0; i < last; i++)
			assert_int_equal(rules[i].id, i + 1);
		db_rules_free(rules, n);
		close_db(p);
	}
}

static void write_at(const char *path, off_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0640);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static void expect_fresh_after_corruption(struct place *p)
{
	struct db_rule *rules;
	char aside[PATH_MAX], *moved, *end;
	size_t n;

	assert_int_equal(open_db(p), 0);
	print_message("%s\n", p->why);
	moved = strstr(p->why, "moved to ");
	assert_non_null(moved);
	moved += strlen("moved to ");
	end = strchr(moved, ';');
	snprintf(aside, sizeof(aside), "%.*s", (int)(end - moved), moved);
	assert_int_equal(access(aside, F_OK), 0);
	assert_int_equal(db_rules(p->db, &rules, &n), 0);
	assert_int_equal(n, 0);
	db_rules_free(rules, n);
	assert_int_equal(add(p, "allow any a.test", NULL), 0);
	close_db(p);
	assert_int_equal(open_db(p), 0);
	assert_string_equal(p->why, "");
}

static void not_a_database(void **state)
{
	struct place *p = *state;
	char rubbish[8192];

	memset(rubbish, 'x', sizeof(rubbish));
	write_at(p->file, 0, rubbish, sizeof(rubbish));
	expect_fresh_after_corruption(p);
}

static void a_page_is_overwritten(void **state)
{
	struct place *p = *state;
	char rubbish[4096];

	memset(rubbish, 0x5a, sizeof(rubbish));
	assert_int_equal(open_db(p), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(add(p, "allow any .a-rather-long-name.test", NULL), 0);
	close_db(p); /* the last connection puts the log into the file */
	write_at(p->file, 4096, rubbish, sizeof(rubbish));
	expect_fresh_after_corruption(p);
}

static void of_a_newer_version(void **state)
{
	struct place *p = *state;
	static const uint8_t version[4] = { 0, 0, 0x40, 0 };

	assert_int_equal(open_db(p), 0);
	close_db(p);
	write_at(p->file, 60, version, sizeof(version)); /* user_version, file format 1.3 */
	assert_int_equal(open_db(p), -EPROTO);
	print_message("%s\n", p->why);
	assert_non_null(strstr(p->why, "another version"));
	assert_int_equal(access(p->file, F_OK), 0);
}

static void no_directory(void **state)
{
	struct place *p = *state;

	snprintf(p->file, sizeof(p->file), "%s/none/scupper.db", p->dir);
	assert_int_equal(open_db(p), -ENOENT);
	print_message("%s\n", p->why);
	assert_non_null(strstr(p->why, p->file));
	assert_non_null(strstr(p->why, "state-dir"));
}

/* a small disk of our own, seen by this process alone; false: not allowed here */
static bool mount_small(const char *dir)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("none", dir, "tmpfs", 0, "size=100k") == 0;
}

static void read_only_directory(void **state)
{
	struct place *p = *state;

	if (!mount_small(p->dir))
		skip(); /* needs root and a mount namespace */
	assert_int_equal(open_db(p), 0);
	close_db(p);
	assert_int_equal(mount(NULL, p->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(open_db(p), -EROFS);
	print_message("%s\n", p->why);
	assert_non_null(strstr(p->why, p->file));
	assert_null(p->db);
	umount(p->dir);
}

static void full_disk(void **state)
{
	struct place *p = *state;
	char text[3000];
	uint32_t id = 0, last = 0;
	struct db_rule *rules;
	size_t n;
	int r = 0;

	if (!mount_small(p->dir))
		skip(); /* needs root and a mount namespace */
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(open_db(p), 0);
	for (int i = 0; i < 200 && r == 0; i++) {
		r = add(p, text, &id);
		if (r == 0)
			last = id;
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(last > 0);
	close_db(p);
	/* what was acknowledged is there, on the disk that is still full */
	r = open_db(p);
	print_message("%s\n", p->why);
	if (r == -ENOSPC) { /* too full for the log itself */
		assert_int_equal(mount(NULL, p->dir, NULL, MS_REMOUNT, "size=400k"), 0);
		r = open_db(p);
	}
	assert_int_equal(r, 0);
	assert_int_equal(db_rules(p->db, &rules, &n), 0);
	assert_int_equal(n, last);
	db_rules_free(rules, n);
	close_db(p);
	umount(p->dir);
}

#define DB_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(rules_outlive_the_daemon),
		DB_TEST(file_is_for_the_group_alone),
		DB_TEST(closing_waits_for_what_was_given),
		DB_TEST(a_refusal_leaves_its_neighbours),
		DB_TEST(killed_in_the_middle),
		DB_TEST(not_a_database),
		DB_TEST(a_page_is_overwritten),
		DB_TEST(of_a_newer_version),
		DB_TEST(no_directory),
		DB_TEST(read_only_directory),
		DB_TEST(full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
