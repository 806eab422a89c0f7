/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "who/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static void ourselves(void **state)
{
	auto_close int dir = proc_open(getpid());
	struct process p;
	struct proc_exe x;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(dir >= 0 && n > 0);
	self[n] = '\0';
	assert_int_equal(proc_read(dir, &p), 0);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.parent, getppid());
	assert_int_equal(p.uid, getuid());
	assert_string_equal(p.path, self);
	assert_non_null(strstr(p.args, "test_proc"));
	assert_int_equal(p.cgroup[0], '/');
	assert_int_equal(proc_exe(dir, &x), 0);
	assert_true(x.believed);
	assert_false(x.deleted);
}

static void start_times(void **state)
{
	int64_t before = clock_boot_us() * 1000, after;
	uint64_t mine, childs;
	int32_t child = fork();
	auto_close int dir = -1;
	auto_close int own = proc_open(getpid());

	(void)state;
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also if the test fails */
		pause();
		_exit(0);
	}
	after = clock_boot_us() * 1000;
	dir = proc_open(child);
	assert_int_equal(proc_start(dir, &childs), 0);
	assert_int_equal(proc_start(own, &mine), 0);
	/* a tick is 10 ms, rounded down */
	assert_true((int64_t)childs > before - 11000000 && (int64_t)childs <= after);
	assert_true(mine <= childs);
	assert_true(proc_same_start(20000000, 29999999));
	assert_false(proc_same_start(20000000, 30000000));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* a copy of ourselves, or a memory file, started as a child that waits */
static int32_t start(const char *path, int memfd)
{
	int32_t child = fork();
	char *argv[] = { "waits", NULL }, *env[] = { "TEST_WAITS=1", NULL };

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also if the test fails */
		if (memfd >= 0)
			fexecve(memfd, argv, env);
		else
			execve(path, argv, env);
		_exit(9);
	}
	return child;
}

static void copy_self(int to)
{
	auto_close int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char buf[65536];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		assert_int_equal(write(to, buf, (size_t)n), n);
}

/* until the child has become what it executes */
static struct proc_exe exe_when(int32_t child, const char *part)
{
	auto_close int dir = proc_open(child);
	struct proc_exe x;

	assert_true(dir >= 0);
	for (int i = 0; i < 5000; i++) {
		memset(&x, 0, sizeof(x));
		if (proc_exe(dir, &x) == 0 && strstr(x.path, part))
			return x;
		usleep(1000);
	}
	fail_msg("%s: not seen, but %s", part, x.path);
	return x;
}

static void end_child(int32_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void executables(void **state)
{
	char dir[] = "/tmp/test_proc.XXXXXX", path[64], odd[80];
	struct proc_exe x;
	int32_t child;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/copy", dir);
	snprintf(odd, sizeof(odd), "%s/odd (deleted)", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	copy_self(fd);
	close(fd);

	child = start(path, -1);
	x = exe_when(child, "/copy");
	assert_string_equal(x.path, path);
	assert_true(x.believed && !x.deleted);

	print_message("another file in its place is not it\n");
	unlink(path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700));
	x = exe_when(child, "/copy (deleted)");
	assert_true(x.deleted && !x.believed);
	end_child(child);

	print_message("a living file that is called so is not deleted\n");
	fd = open(odd, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	copy_self(fd);
	close(fd);
	child = start(odd, -1);
	x = exe_when(child, "odd (deleted)");
	assert_string_equal(x.path, odd);
	assert_true(x.believed && !x.deleted);
	end_child(child);

	fd = memfd_create("in memory", MFD_CLOEXEC);
	copy_self(fd);
	child = start("", fd);
	close(fd);
	x = exe_when(child, "memfd:");
	assert_string_equal(x.path, "memfd:in memory");
	assert_true(x.deleted && !x.believed);
	end_child(child);

	unlink(odd);
	unlink(path);
	rmdir(dir);
}

static void gone(void **state)
{
	int32_t child = fork();
	auto_close int dir = -1;
	struct process p = { .pid = 77 };
	struct proc_exe x;

	(void)state;
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also if the test fails */
		pause();
		_exit(0);
	}
	dir = proc_open(child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(proc_read(dir, &p) < 0);
	assert_int_equal(p.pid, 77);
	assert_true(proc_exe(dir, &x) < 0);
	assert_true(proc_sockets(dir, NULL, NULL) < 0);
	assert_true(proc_open(child) < 0);
}

struct seen {
	int fd;
	uint32_t inode;
	unsigned n;
};

static bool note(void *ctx, int fd, uint32_t inode)
{
	struct seen *s = ctx;

	if (fd == s->fd)
		s->inode = inode;
	s->n++;
	return true;
}

static void sockets(void **state)
{
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	auto_close int dir = proc_open(getpid());
	struct seen s = { .fd = fd };
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(proc_sockets(dir, note, &s), 0);
	assert_int_equal(s.inode, st.st_ino);
}

static bool walk_meets(const char *cgroup, int32_t wanted)
{
	struct proc_walk *w;
	int32_t pid;
	bool met = false;

	assert_int_equal(proc_walk_open(cgroup, &w), 0);
	while (proc_walk_next(w, &pid))
		met |= pid == wanted;
	proc_walk_close(w);
	return met;
}

static void the_machine(void **state)
{
	struct proc_walk *w = NULL;

	(void)state;
	assert_true(walk_meets(NULL, getpid()));
	assert_false(walk_meets(NULL, 0));
	assert_int_equal(proc_walk_open("/nowhere", &w), -ENOENT);
	assert_null(w);
	proc_walk_close(NULL);
}

static bool cgroup2_at(char *out, size_t max)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char below[64];

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (proc_cgroup_below(places[i], below, sizeof(below)) == 0)
			return text_copy(out, max, places[i]);
	return false;
}

static void write_pid(const char *cgroup, int32_t pid)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%d\n", pid);
	assert_int_equal(fclose(f), 0);
}

static void a_cgroup(void **state)
{
	char mount[64], top[128], deep[200], below[256];
	struct process p;
	int32_t child;
	int dir;

	(void)state;
	if (!cgroup2_at(mount, sizeof(mount)))
		skip();
	snprintf(top, sizeof(top), "%s/test-proc-%d", mount, getpid());
	snprintf(deep, sizeof(deep), "%s/in/side", top);
	if (mkdir(top, 0755) < 0)
		skip(); /* not root */
	snprintf(below, sizeof(below), "%s/in", top);
	assert_int_equal(mkdir(below, 0755), 0);
	assert_int_equal(mkdir(deep, 0755), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also if the test fails */
		pause();
		_exit(0);
	}
	write_pid(deep, child);
	assert_true(walk_meets(top, child));
	assert_false(walk_meets(top, getpid()));
	assert_int_equal(proc_cgroup_below(deep, below, sizeof(below)), 0);
	dir = proc_open(child);
	assert_int_equal(proc_read(dir, &p), 0);
	close(dir);
	assert_string_equal(p.cgroup, below);
	assert_int_equal(proc_cgroup_below(mount, below, sizeof(below)), 0);
	assert_true(proc_cgroup_in(p.cgroup, below));
	assert_int_equal(proc_cgroup_below("/tmp", below, sizeof(below)), -ENOENT);
	end_child(child);
	rmdir(deep);
	snprintf(deep, sizeof(deep), "%s/in", top);
	rmdir(deep);
	assert_int_equal(rmdir(top), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ourselves),
		cmocka_unit_test(start_times),
		cmocka_unit_test(executables),
		cmocka_unit_test(gone),
		cmocka_unit_test(sockets),
		cmocka_unit_test(the_machine),
		cmocka_unit_test(a_cgroup),
	};

	if (getenv("TEST_WAITS")) {
		pause();
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
