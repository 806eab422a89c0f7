/* SPDX-License-Identifier: GPL-2.0-or-later
 * Children made of copies of this program hold the sockets. */
#include "base/macros.h"
#include "who/basic.h"
#include "who/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <uv.h>

#include <cmocka.h>

static uv_loop_t loop;
static char dir[64];

struct outcome {
	unsigned calls, nobody;
	struct basic_found found;
};

static void keep(void *ctx, const struct basic_found *found)
{
	struct outcome *o = ctx;

	o->calls++;
	if (found)
		o->found = *found;
	else
		o->nobody++;
}

static void run_until(const struct outcome *o, unsigned calls)
{
	while (o->calls < calls)
		uv_run(&loop, UV_RUN_ONCE);
}

static void end_loop(struct basic *b)
{
	basic_close(b);
	uv_run(&loop, UV_RUN_NOWAIT); /* the closing */
}

static struct diag_tuple bind_sender(int *fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	struct diag_tuple t = { .proto = IPPROTO_UDP, .pport = 53 };

	addr_parse("127.0.0.1", &t.local);
	addr_parse("127.0.0.53", &t.peer);
	*fd = socket(AF_INET, SOCK_DGRAM, 0); /* inherited by what is executed */
	assert_int_equal(bind(*fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(*fd, (struct sockaddr *)&a, &len);
	t.lport = ntohs(a.sin_port);
	return t;
}

static void copy_self(const char *name, char *path, size_t max)
{
	auto_close int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char buf[65536];
	ssize_t n;
	int to;

	snprintf(path, max, "%s/%s", dir, name);
	to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		assert_int_equal(write(to, buf, (size_t)n), n);
	close(to);
}

/* runs the copy as a child that keeps our open sockets; returns when it has become it */
static int32_t start(const char *path)
{
	int32_t child = fork();
	struct proc_exe x = { .dev = 0 };
	int fd;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also if the test fails */
		char *argv[] = { "waits", "for ever", NULL };
		char *env[] = { "TEST_WAITS=1", "ASAN_OPTIONS=detect_leaks=0", NULL };

		execve(path, argv, env);
		_exit(9);
	}
	fd = proc_open(child);
	for (int i = 0; i < 5000 && strcmp(x.path, path) != 0; i++) {
		usleep(1000);
		proc_exe(fd, &x);
	}
	close(fd);
	assert_string_equal(x.path, path);
	return child;
}

static void end(int32_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void ourselves(void **state)
{
	struct outcome o = { .calls = 0 };
	struct basic *b;
	int fd;
	struct diag_tuple t = bind_sender(&fd);
	uint64_t serial;

	(void)state;
	assert_int_equal(basic_open(&loop, NULL, &b), 0);
	assert_int_equal(basic_find(b, &t, keep, &o), 0);
	run_until(&o, 1);
	assert_int_equal(o.nobody, 0);
	assert_true(o.found.in_scope && o.found.program.known && o.found.program.believed);
	assert_int_equal(o.found.process.pid, getpid());
	assert_int_equal(o.found.program.uid, getuid());
	assert_non_null(strstr(o.found.program.path, "test_basic"));
	assert_int_equal(o.found.program.npaths, 1);
	serial = o.found.program.serial;
	assert_int_equal(basic_find(b, &t, keep, &o), 0);
	run_until(&o, 2);
	assert_int_equal(o.found.program.serial, serial);
	close(fd);
	print_message("gone\n");
	assert_int_equal(basic_find(b, &t, keep, &o), 0);
	run_until(&o, 3);
	assert_int_equal(o.nobody, 1);
	end_loop(b);
}

static void two_programs(void **state)
{
	struct outcome o = { .calls = 0 };
	char one[128], two[128];
	int fd;
	struct diag_tuple t = bind_sender(&fd);
	int32_t a, c;
	struct basic *b;
	uint64_t serial;

	(void)state;
	copy_self("one", one, sizeof(one));
	copy_self("two", two, sizeof(two));
	assert_int_equal(basic_open(&loop, NULL, &b), 0);
	a = start(one);
	print_message("held by us and by another program: nobody can say\n");
	basic_find(b, &t, keep, &o);
	run_until(&o, 1);
	assert_int_equal(o.nobody, 1);
	close(fd);
	basic_find(b, &t, keep, &o);
	run_until(&o, 2);
	assert_int_equal(o.nobody, 1);
	assert_string_equal(o.found.program.path, one);
	assert_int_equal(o.found.process.pid, a);
	assert_int_equal(o.found.process.parent, getpid());
	assert_string_equal(o.found.process.args, "waits for ever");
	serial = o.found.program.serial;
	end(a);

	print_message("another executable, another serial\n");
	t = bind_sender(&fd);
	c = start(two);
	close(fd);
	basic_find(b, &t, keep, &o);
	run_until(&o, 3);
	assert_string_equal(o.found.program.path, two);
	assert_true(o.found.program.serial != serial);
	end(c);

	print_message("deleted while it runs: known, not believed\n");
	t = bind_sender(&fd);
	a = start(one);
	close(fd);
	unlink(one);
	basic_find(b, &t, keep, &o);
	run_until(&o, 4);
	assert_int_equal(o.nobody, 1);
	assert_true(o.found.program.known && !o.found.program.believed);
	assert_int_equal(o.found.program.npaths, 0);
	assert_non_null(strstr(o.found.program.path, "/one (deleted)"));
	end(a);
	unlink(two);
	end_loop(b);
}

static void scope(void **state)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct outcome o = { .calls = 0 };
	char group[128], procs[160], one[128];
	struct basic *b;
	int fd, n = -1;
	struct diag_tuple t = bind_sender(&fd), inside;
	int32_t child;
	FILE *f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++)
		if (proc_cgroup_below(mounts[i], group, sizeof(group)) == 0)
			n = snprintf(group, sizeof(group), "%s/test-basic-%d", mounts[i],
				getpid());
	if (n < 0 || mkdir(group, 0755) < 0) {
		close(fd);
		skip();
	}
	copy_self("one", one, sizeof(one));
	assert_int_equal(basic_open(&loop, group, &b), 0);
	basic_find(b, &t, keep, &o);
	run_until(&o, 1);
	assert_int_equal(o.found.process.pid, getpid());
	assert_false(o.found.in_scope);
	close(fd);

	inside = bind_sender(&fd);
	child = start(one);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
	f = fopen(procs, "w");
	fprintf(f, "%d", child);
	assert_int_equal(fclose(f), 0);
	print_message("inside comes first: that we hold it too does not matter\n");
	basic_find(b, &inside, keep, &o);
	run_until(&o, 2);
	assert_int_equal(o.nobody, 0);
	assert_int_equal(o.found.process.pid, child);
	assert_true(o.found.in_scope);
	close(fd);
	end(child);
	unlink(one);
	end_loop(b);
	assert_int_equal(rmdir(group), 0);
}

static void too_many_and_closing(void **state)
{
	struct outcome o = { .calls = 0 };
	struct basic *b;
	int fd, r = 0;
	struct diag_tuple t = bind_sender(&fd);
	unsigned taken = 0;

	(void)state;
	assert_int_equal(basic_open(&loop, NULL, &b), 0);
	while (taken < 100000 && (r = basic_find(b, &t, keep, &o)) == 0)
		taken++;
	assert_int_equal(r, -ENOBUFS);
	end_loop(b);
	assert_int_equal(o.calls, taken); /* each once, whatever came of it */
	close(fd);
	assert_true(basic_open(&loop, "/nowhere", &b) < 0);
	uv_run(&loop, UV_RUN_NOWAIT); /* the closing */
	basic_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ourselves),
		cmocka_unit_test(two_programs),
		cmocka_unit_test(scope),
		cmocka_unit_test(too_many_and_closing),
	};
	int r;

	if (getenv("TEST_WAITS")) {
		pause();
		return 0;
	}
	snprintf(dir, sizeof(dir), "/tmp/test_basic.XXXXXX");
	if (!mkdtemp(dir) || uv_loop_init(&loop) < 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return uv_loop_close(&loop) < 0 ? 1 : r;
}
