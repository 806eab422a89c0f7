/* SPDX-License-Identifier: GPL-2.0-or-later
 * who/ against the running kernel: a cgroup of our own, a network namespace of our own,
 * and copies of this very program as the programs that are told apart. */
#include "tests/unit/who_lab.h"

#include "base/macros.h"
#include "who/state.h"

#include <arpa/inet.h>
#include <cap-ng.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct lab lab;
static unsigned met, execs;

static void on_new(void *ctx, const struct program *p)
{
	(void)ctx;
	(void)p;
	met++;
}

static void on_exec(void *ctx, const struct process *p, const struct program *prog)
{
	(void)ctx;
	(void)p;
	(void)prog;
	execs++;
}

static const struct who_calls calls = { .actor_new = on_new, .exec = on_exec };

static int setup(void **state)
{
	(void)state;
	lab_who_open(&lab, NULL, false, 0);
	lab_start(&lab, &calls);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_who_close(&lab, true);
	return 0;
}

static uint32_t number(int64_t mark)
{
	assert_int_equal(mark >> 24, INSTANCE_MAGIC_MAIN);
	return (uint32_t)mark & ACTOR_MASK;
}

static const char *keep(char *to, const char *path)
{
	return strcpy(to, path);
}

static void test_two_programs(void **state)
{
	char a[512], b[512];
	uint32_t na, nb;
	const struct program *p;

	(void)state;
	keep(a, lab_copy(&lab, "two-a"));
	keep(b, lab_copy(&lab, "two-b"));
	na = number(lab_run(&lab, a, "udp"));
	nb = number(lab_run(&lab, b, "tcp6"));
	assert_int_not_equal(na, ACTOR_UNKNOWN);
	assert_int_not_equal(na, nb);
	assert_int_equal(number(lab_run(&lab, a, "tcp6")), na);
	lab_turn(&lab);
	assert_true(met >= 2 && execs >= 3);
	p = who_actor(lab.who, na);
	assert_string_equal(p->path, a);
	assert_true(p->known && p->believed);
	assert_int_equal(p->npaths, 1);
	assert_int_equal(p->uid, 0);
	assert_string_equal(who_actor(lab.who, nb)->path, b);
	assert_true(who_actor(lab.who, nb)->serial != p->serial);
}

static void test_page_without_ring(void **state)
{
	uint32_t n = number(lab_run(&lab, lab_copy(&lab, "early"), "udp"));

	(void)state;
	/* the loop has not turned: only the page can know */
	assert_true(who_actor(lab.who, n)->believed);
	assert_non_null(strstr(who_actor(lab.who, n)->path, "/early"));
}

static void test_same_program(void **state)
{
	static const struct {
		const char *why, *ops;
	} cases[] = {
		{ "fork without exec", "fork udp" },
		{ "exec of itself", "exec %s udp" },
		{ "two execs in one pid", "udp exec %s exec %s udp" },
		{ "a thread that execs", "threadexec %s udp" },
		{ "a socket used again", "udp again" },
	};
	char path[512], ops[2048];
	uint32_t want;

	(void)state;
	keep(path, lab_copy(&lab, "same"));
	want = number(lab_run(&lab, path, "udp"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(ops, sizeof(ops), cases[i].ops, path, path);
#pragma GCC diagnostic pop
		assert_int_equal(number(lab_run(&lab, path, ops)), want);
	}
}

/* a ping socket is for the groups that the network namespace names */
static void pings_for_root(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ping_group_range", "w");

	assert_non_null(f);
	fputs("0 0\n", f);
	fclose(f);
}

static void test_kinds(void **state)
{
	static const char *const kinds[] = { "udp6", "tcp", "mptcp", "mptcp6", "ping", "raw",
		"raw6" };
	char path[512];
	uint32_t want;

	(void)state;
	pings_for_root();
	keep(path, lab_copy(&lab, "kinds"));
	want = number(lab_run(&lab, path, "udp"));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		print_message("%s\n", kinds[i]);
		assert_int_equal(number(lab_run(&lab, path, kinds[i])), want);
	}
}

static void test_exec_changes(void **state)
{
	char a[512], b[512], ops[1024];
	uint32_t n;

	(void)state;
	keep(a, lab_copy(&lab, "from"));
	keep(b, lab_copy(&lab, "to"));
	snprintf(ops, sizeof(ops), "udp exec %s udp", b);
	n = number(lab_run(&lab, a, ops));
	assert_string_equal(who_actor(lab.who, n)->path, b);
	snprintf(ops, sizeof(ops), "udp threadexec %s udp", b);
	assert_int_equal(number(lab_run(&lab, a, ops)), n);
}

static void test_script(void **state)
{
	char a[512], script[600];
	FILE *f;

	(void)state;
	keep(a, lab_copy(&lab, "interpreter"));
	snprintf(script, sizeof(script), "%s/script", lab.dir);
	f = fopen(script, "w");
	fprintf(f, "#!%s child\n", a);
	fclose(f);
	chmod(script, 0755);
	/* the script's own arguments stand behind its name and are ignored */
	assert_string_equal(who_actor(lab.who, number(lab_run(&lab, script, "udp")))->path, a);
}

static void test_not_believed(void **state)
{
	char a[512], ops[1024];
	const struct program *p;

	(void)state;
	keep(a, lab_copy(&lab, "gone"));
	p = who_actor(lab.who, number(lab_run(&lab, a, "memfd udp")));
	assert_string_equal(p->path, "memfd:small");
	assert_false(p->known || p->believed);
	assert_int_equal(p->npaths, 0);

	snprintf(ops, sizeof(ops), "unlinked %s udp", a);
	p = who_actor(lab.who, number(lab_run(&lab, a, ops)));
	assert_non_null(strstr(p->path, "/gone (deleted)"));
	assert_false(p->known || p->believed);
}

/* in a mount namespace of its own anybody can have a file at any path */
static void test_mount_namespace(void **state)
{
	char mine[512], theirs[512], ops[1200], shown[600];
	const struct program *p;
	struct process proc;
	struct child c;
	uint64_t serial;
	uint32_t n;

	(void)state;
	keep(mine, lab_copy(&lab, "mine"));
	keep(theirs, lab_copy(&lab, "theirs"));
	snprintf(ops, sizeof(ops), "mountover %s %s udp", mine, theirs);
	snprintf(shown, sizeof(shown), "%s (elsewhere)", theirs);
	c = lab_spawn(&lab, mine, ops, 0);
	p = who_actor(lab.who, number(lab_read(&c)));
	lab_reap(&c);
	assert_string_equal(p->path, shown);
	assert_false(p->known || p->believed);
	assert_int_not_equal(number(lab_run(&lab, theirs, "udp")), p->actor);
	/* before, it was run as what it is: once that news is read it is known, by its own
	 * path, and told anew, since other rules match it */
	serial = p->serial;
	n = p->actor;
	lab_turn(&lab);
	p = who_actor(lab.who, n);
	assert_true(p->believed && p->serial != serial);
	assert_string_equal(p->path, mine);
	/* the process keeps the path it was started by */
	assert_int_equal(who_process(lab.who, c.pid, &proc), 0);
	assert_string_equal(proc.path, shown);
}

/* an upgrade between exec and first socket */
static void test_looked_at_exec(void **state)
{
	char a[512];
	struct child c;
	const struct program *p;

	(void)state;
	keep(a, lab_copy(&lab, "upgraded"));
	c = lab_spawn(&lab, a, "wait udp", 0);
	lab_read(&c);
	lab_turn(&lab);
	assert_int_equal(unlink(a), 0);
	lab_copy(&lab, "upgraded");
	lab_go(&c);
	p = who_actor(lab.who, number(lab_read(&c)));
	lab_reap(&c);
	assert_true(p->known && p->believed);
	assert_string_equal(p->path, a);
	/* the new file is another program of the same path */
	assert_int_not_equal(number(lab_run(&lab, a, "udp")), p->actor);
}

static void test_hard_links(void **state)
{
	char a[512], b[600];
	const struct program *p;
	uint32_t n;

	(void)state;
	keep(a, lab_copy(&lab, "hard"));
	snprintf(b, sizeof(b), "%s/hard-too", lab.dir);
	assert_int_equal(link(a, b), 0);
	n = number(lab_run(&lab, a, "udp"));
	assert_int_equal(number(lab_run(&lab, b, "udp")), n);
	lab_turn(&lab);
	p = who_actor(lab.who, n);
	assert_int_equal(p->npaths, 2);
	assert_string_equal(p->paths[0], a);
	assert_string_equal(p->paths[1], b);
}

static void test_users(void **state)
{
	char a[512];
	uint32_t root, nobody;

	(void)state;
	keep(a, lab_copy(&lab, "users"));
	root = number(lab_run(&lab, a, "udp"));
	nobody = number(lab_run_as(&lab, a, "udp", 65534));
	assert_int_not_equal(root, nobody);
	assert_int_equal(who_actor(lab.who, nobody)->uid, 65534);
	/* the real uid at the moment of the socket */
	assert_int_equal(number(lab_run(&lab, a, "nobody udp")), nobody);
	/* what keeps its number is judged by whoever sends now: nothing is sent here */
	assert_int_equal(number(lab_run(&lab, a, "udp nobody again")), root);
}

static void test_other_netns(void **state)
{
	(void)state;
	assert_int_equal(lab_run(&lab, lab_copy(&lab, "net"), "newnet udp"), 0);
}

static void test_mark_refused(void **state)
{
	struct who_stats before, after;
	char a[512];
	struct child c;

	(void)state;
	keep(a, lab_copy(&lab, "mark"));
	who_stats(lab.who, &before);
	assert_int_equal(lab_run(&lab, a, "setmark"), EPERM);
	who_stats(lab.who, &after);
	assert_true(after.marks_refused == before.marks_refused + 1);

	c = lab_spawn(&lab, a, "wait setmark udp", 0);
	lab_read(&c);
	assert_int_equal(who_register_self(lab.who, c.pid), 0);
	lab_go(&c);
	assert_int_equal(lab_read(&c), 0);
	assert_int_equal(number(lab_read(&c)), ACTOR_SELF);
	lab_reap(&c);
}

static void test_device_bit(void **state)
{
	char a[512];
	uint32_t n;

	(void)state;
	keep(a, lab_copy(&lab, "device"));
	n = number(lab_run(&lab, a, "udp"));
	assert_int_equal(lab_run(&lab, a, "bound"),
		who_mark(lab.who, n) | MARK_DEVICE_BIT);
	assert_int_equal(lab_run(&lab, a, "linklocal"),
		who_mark(lab.who, n) | MARK_DEVICE_BIT);
}

static void test_bind_guard(void **state)
{
	static const struct {
		const char *op;
		int want;
	} cases[] = {
		{ "bind4", EPERM }, { "bind6", EPERM }, { "bind5353", 0 }, { "bindlan", 0 },
	};
	char a[512];

	(void)state;
	keep(a, lab_copy(&lab, "bind"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].op);
		assert_int_equal(lab_run(&lab, a, cases[i].op), cases[i].want);
	}
}

static struct who_tuple heard(int listener)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	static const uint8_t home[4] = { 127, 0, 0, 1 };
	char buf[64];

	assert_int_equal(recvfrom(listener, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len),
		12);
	return (struct who_tuple){ .src = addr_v4(&from.sin_addr), .dst = addr_v4(home),
		.sport = ntohs(from.sin_port), .dport = 53, .dns_id = 0x1234,
		.proto = IPPROTO_UDP };
}

static int listen_at(int type)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void test_record(void **state)
{
	auto_close int fd = listen_at(SOCK_DGRAM);
	struct who_tuple t, wrong;
	struct process p;
	struct child c;
	uint32_t n;

	(void)state;
	c = lab_spawn(&lab, lab_copy(&lab, "asker"), "udp query queryc", 0);
	n = number(lab_read(&c));
	lab_reap(&c);
	t = heard(fd);
	wrong = t;
	wrong.dns_id++;
	assert_int_equal(who_record(lab.who, &wrong, n, &p), -ENOENT);
	assert_int_equal(who_record(lab.who, &t, n + 1, &p), -ENOENT);
	/* before the ring was read: the program's path stands in */
	assert_int_equal(who_record(lab.who, &t, n, &p), 0);
	assert_int_equal(p.pid, c.pid);
	assert_non_null(strstr(p.path, "/asker"));
	assert_int_equal(who_record(lab.who, &t, n, &p), -ENOENT); /* used once */

	lab_turn(&lab);
	t = heard(fd);
	assert_int_equal(who_record(lab.who, &t, n, &p), 0);
	assert_int_equal(p.pid, c.pid);
	assert_int_equal(p.parent, getpid());
	assert_non_null(strstr(p.args, "child udp query queryc"));
	assert_string_equal(p.cgroup, strrchr(lab.cgroup, '/'));
	assert_int_equal(who_process(lab.who, c.pid, &p), 0); /* dead, and known for a while */
}

static void test_record_tcp(void **state)
{
	auto_close int fd = listen_at(SOCK_STREAM);
	auto_close int conn = -1;
	static const uint8_t home[4] = { 127, 0, 0, 1 };
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	struct who_tuple t = { .dst = addr_v4(home), .dport = 53, .proto = IPPROTO_TCP };
	struct process p;
	struct child c;
	uint32_t n;

	(void)state;
	assert_int_equal(listen(fd, 8), 0);
	c = lab_spawn(&lab, lab_copy(&lab, "tcp-asker"), "udp tcp53", 0);
	n = number(lab_read(&c));
	lab_reap(&c);
	conn = accept(fd, (struct sockaddr *)&from, &len);
	assert_true(conn >= 0);
	t.src = addr_v4(&from.sin_addr);
	t.sport = ntohs(from.sin_port);
	assert_int_equal(who_record(lab.who, &t, n, &p), 0);
	assert_int_equal(p.pid, c.pid);
}

static void test_from_user_space(void **state)
{
	struct child c = lab_spawn(&lab, lab_copy(&lab, "adopted"), "wait udp", 0);
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t n;

	(void)state;
	lab_read(&c);
	assert_true(who_in_scope(lab.who, c.pid));
	assert_false(who_in_scope(lab.who, getpid()));
	assert_int_equal(who_number_of(lab.who, getpid()), ACTOR_UNKNOWN);
	n = who_number_of(lab.who, c.pid);
	assert_int_not_equal(n, ACTOR_UNKNOWN);
	assert_non_null(strstr(who_actor(lab.who, n)->path, "/adopted"));
	assert_int_equal(who_socket_number(lab.who, fd), ACTOR_NONE);
	assert_int_equal(who_own_socket(lab.who, fd, c.pid, n), 0);
	assert_int_equal(who_socket_number(lab.who, fd), n);
	lab_go(&c);
	assert_int_equal(number(lab_read(&c)), n); /* the hook finds the same */
	lab_reap(&c);
}

/* ---- what opens and closes by itself ---- */

static void test_alive_before(void **state)
{
	char a[512];
	struct child c;
	struct process p;
	const struct program *prog;

	(void)state;
	keep(a, lab_copy(&lab, "before"));
	c = lab_spawn(&lab, a, "wait udp", 0);
	lab_read(&c);
	setup(NULL);
	assert_int_equal(who_process(lab.who, c.pid, &p), 0);
	assert_string_equal(p.path, a);
	assert_non_null(strstr(p.args, "child wait udp"));
	lab_go(&c);
	prog = who_actor(lab.who, number(lab_read(&c)));
	assert_true(prog->believed);
	assert_string_equal(prog->path, a);
	lab_reap(&c);
	teardown(NULL);
}

static void test_pins(void **state)
{
	char a[512], b[512];
	uint64_t serial;
	uint32_t n, m;

	(void)state;
	keep(a, lab_copy(&lab, "pinned"));
	keep(b, lab_copy(&lab, "pinned-too"));
	lab_who_open(&lab, lab.pins, false, 0);
	lab_start(&lab, &calls);
	n = number(lab_run(&lab, a, "udp"));
	serial = who_actor(lab.who, n)->serial;
	lab_who_close(&lab, false);

	/* nobody is there, and the hooks go on */
	assert_int_equal(number(lab_run(&lab, a, "udp")), n);
	m = number(lab_run(&lab, b, "udp"));
	assert_int_not_equal(m, ACTOR_UNKNOWN);
	unlink(a); /* what was looked at stays known */

	lab_who_open(&lab, lab.pins, false, 0);
	met = 0;
	lab_start(&lab, &calls);
	assert_int_equal(met, 2);
	assert_true(who_actor(lab.who, n)->serial == serial);
	assert_string_equal(who_actor(lab.who, n)->path, a);
	assert_true(who_actor(lab.who, n)->believed);
	assert_string_equal(who_actor(lab.who, m)->path, b);
	assert_int_equal(number(lab_run(&lab, b, "udp")), m);
	lab_who_close(&lab, true);
	assert_int_equal(lab_run(&lab, b, "udp"), 0);
	assert_int_equal(who_unpin(lab.pins), 0); /* nothing is left to take away */
}

/* another daemon takes over: its programs take the place of the old ones in one step */
static void test_no_gap(void **state)
{
	struct child c;

	(void)state;
	lab_who_open(&lab, lab.pins, false, 0);
	c = lab_spawn(&lab, lab_copy(&lab, "traffic"), "many", 0);
	lab_read(&c);
	for (int i = 0; i < 5; i++) {
		lab_who_close(&lab, false);
		lab_who_open(&lab, lab.pins, false, 0);
	}
	lab_go(&c);
	assert_int_equal(lab_read(&c), 0);
	lab_reap(&c);
	lab_who_close(&lab, true);
}

/* the core: a fork of who opened it, with the rights it keeps */
static void core_main(const char *path, const char *before, uint32_t n)
{
	static const unsigned kept[] = { CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_BPF,
		CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH };
	const struct program *p;

	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
	if (capng_apply(CAPNG_SELECT_BOTH) < 0)
		_exit(2);
	lab_start(&lab, &calls);
	if (n && strcmp(who_actor(lab.who, n)->path, before) != 0)
		_exit(3);
	p = who_actor(lab.who, number(lab_run(&lab, path, "udp")));
	lab_turn(&lab);
	_exit(p->believed && strcmp(p->path, path) == 0 && execs ? 0 : 4);
}

static void test_core_by_fork(void **state)
{
	char a[512], b[512];
	int status;

	(void)state;
	keep(a, lab_copy(&lab, "core-a"));
	keep(b, lab_copy(&lab, "core-b"));
	lab_who_open(&lab, NULL, false, 0);
	for (int i = 0; i < 2; i++) {
		uint32_t n = i ? number(lab_run(&lab, a, "udp")) : 0;
		pid_t pid = fork();

		if (pid == 0)
			core_main(i ? b : a, a, n);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	lab_who_close(&lab, true);
}

/* fifty programs at once, many times over: each socket bears its own program's number */
static void test_many_at_once(void **state)
{
	enum { PROGRAMS = 50, TIMES = 4 };
	static char path[PROGRAMS][512];
	struct child c[PROGRAMS];

	(void)state;
	for (int i = 0; i < PROGRAMS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many-%d", i);
		keep(path[i], lab_copy(&lab, name));
	}
	for (int t = 0; t < TIMES; t++) {
		for (int i = 0; i < PROGRAMS; i++)
			c[i] = lab_spawn(&lab, path[i], "udp", 0);
		for (int i = 0; i < PROGRAMS; i++) {
			uint32_t n = number(lab_read(&c[i]));

			assert_string_equal(who_actor(lab.who, n)->path, path[i]);
			lab_reap(&c[i]);
		}
	}
}

/* an instance within the scope of another: its marks are left alone, its daemon may mark */
static void test_inner_instance(void **state)
{
	struct lab inner = lab;
	char a[512];
	struct child c;

	(void)state;
	keep(a, lab_copy(&lab, "inner"));
	lab_who_open(&lab, lab.pins, false, 0);
	snprintf(inner.cgroup, sizeof(inner.cgroup), "%.200s/inner", lab.cgroup);
	snprintf(inner.pins, sizeof(inner.pins), "/sys/fs/bpf/scupper/who-inner");
	inner.instance.magic = INSTANCE_MAGIC_MAIN + 1;
	assert_int_equal(mkdir(inner.cgroup, 0755), 0);
	inner.who = NULL;
	lab_who_open(&inner, inner.pins, false, 0);

	assert_int_equal(lab_run(&lab, a, "udp") >> 24, INSTANCE_MAGIC_MAIN);
	assert_int_equal(lab_run(&inner, a, "udp") >> 24, INSTANCE_MAGIC_MAIN + 1);
	assert_int_equal(lab_run(&inner, a, "bound") >> 24, INSTANCE_MAGIC_MAIN + 1);

	c = lab_spawn(&lab, a, "wait setmark udp", 0); /* the inner one's daemon */
	lab_read(&c);
	assert_int_equal(who_register_self(inner.who, c.pid), 0);
	lab_go(&c);
	assert_int_equal(lab_read(&c), 0);
	assert_int_not_equal(number(lab_read(&c)), ACTOR_SELF); /* no more than that */
	lab_reap(&c);

	lab_who_close(&inner, true);
	rmdir(inner.cgroup);
	lab_who_close(&lab, true);
}

static void test_closed(void **state)
{
	static const struct {
		const char *why;
		bool closed;
		int want;
	} cases[] = { { "open", false, 0 }, { "closed", true, EPERM } };
	struct who_stats s;
	char a[512];

	(void)state;
	keep(a, lab_copy(&lab, "closed"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		lab_who_open(&lab, NULL, cases[i].closed, 0);
		assert_int_equal(lab_run(&lab, a, "away"), cases[i].want);
		assert_int_equal(lab_run(&lab, a, "query"), 0); /* lo is no matter */
		who_stats(lab.who, &s);
		assert_int_equal(s.stamps_missing, cases[i].closed ? 1 : 0);
		lab_who_close(&lab, true);
	}
}

/* every kind of packet is one of its socket's, MPTCP's too, whose sockets are made by the
 * kernel */
static void test_closed_kinds(void **state)
{
	static const struct {
		const char *op;
		int want;
	} kinds[] = {
		{ "away-tcp", EINPROGRESS }, { "away-mptcp", EINPROGRESS }, { "away-ping", EPERM },
		{ "away-raw", EPERM },
	};
	struct who_stats before, after;
	char a[512];

	(void)state;
	pings_for_root();
	keep(a, lab_copy(&lab, "closed-kinds"));
	lab_who_open(&lab, NULL, true, 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		print_message("%s\n", kinds[i].op);
		who_stats(lab.who, &before);
		assert_int_equal(lab_run(&lab, a, kinds[i].op), kinds[i].want);
		who_stats(lab.who, &after);
		assert_true(after.stamps_missing > before.stamps_missing);
	}
	lab_who_close(&lab, true);
}

static void test_quota(void **state)
{
	struct who_stats s;
	char name[32];

	(void)state;
	lab_who_open(&lab, NULL, false, 6); /* three for one user */
	lab_start(&lab, &calls);
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "quota-%d", i);
		assert_int_equal(number(lab_run_as(&lab, lab_copy(&lab, name), "udp", 65534)) ==
			ACTOR_UNKNOWN, i == 3);
	}
	for (int i = 4; i < 8; i++) {
		snprintf(name, sizeof(name), "quota-%d", i);
		assert_int_equal(number(lab_run(&lab, lab_copy(&lab, name), "udp")) ==
			ACTOR_UNKNOWN, i == 7);
	}
	who_stats(lab.who, &s);
	assert_int_equal(s.quota_refused, 1);
	assert_int_equal(s.no_number, 1);
	assert_int_equal(s.numbers, 6);
	lab_who_close(&lab, true);
}

static uint32_t idle;

static void on_idle(void *ctx, const struct program *p)
{
	(void)ctx;
	idle = p->actor;
	who_actor_free(lab.who, p->actor);
}

static void round_run(void)
{
	sweep_begin(lab.who);
	while (sweep_running(lab.who))
		sweep_tick(lab.who, 1);
}

static void test_reclaim(void **state)
{
	static const struct who_calls with_idle = { .actor_idle = on_idle };
	char a[512], b[512];
	uint32_t na, nb;
	struct child c;

	(void)state;
	keep(a, lab_copy(&lab, "leaves"));
	keep(b, lab_copy(&lab, "stays"));
	lab_who_open(&lab, NULL, false, 2);
	lab_start(&lab, &with_idle);
	na = number(lab_run(&lab, a, "udp"));
	c = lab_spawn(&lab, b, "udp wait", 0);
	nb = number(lab_read(&c));
	lab_turn(&lab);
	idle = 0;
	for (int i = 0; i < 6; i++)
		round_run();
	assert_int_equal(idle, 0);
	round_run();
	assert_int_equal(idle, na);
	assert_string_equal(who_actor(lab.who, na)->path, "unknown");
	assert_string_equal(who_actor(lab.who, nb)->path, b);
	/* it is given again, and to another */
	assert_int_equal(number(lab_run(&lab, lab_copy(&lab, "next"), "udp")), na);
	assert_non_null(strstr(who_actor(lab.who, na)->path, "/next"));
	lab_go(&c);
	lab_reap(&c);
	lab_who_close(&lab, true);
}

/* two threads race for a number, and the loser's is met before it goes back: it must not
 * be freed a second time, or two programs would bear it */
static void test_taken_back(void **state)
{
	static const struct who_calls with_idle = { .actor_idle = on_idle };
	struct who_page page;
	uint64_t serial;
	uint32_t n;

	(void)state;
	lab_who_open(&lab, NULL, false, 0);
	lab_start(&lab, &with_idle);
	n = number(lab_run(&lab, lab_copy(&lab, "loser"), "udp"));
	who_actor(lab.who, n);
	assert_int_equal(number_page(lab.who, n, &page, &serial), 0);
	number_unpublish(lab.who, &page, n);
	number_give_back(lab.who, n, &page);
	idle = 0;
	for (int i = 0; i < 12; i++)
		round_run();
	assert_int_equal(idle, 0);
	assert_null(lab.who->slots[n]);
	lab_who_close(&lab, true);
}

/* a socket whose maker and every process of its program are gone still bears the number */
static void test_borne_by_socket(void **state)
{
	static const struct who_calls with_idle = { .actor_idle = on_idle };
	char a[512], ops[1024];
	struct child c;
	uint32_t n;

	(void)state;
	keep(a, lab_copy(&lab, "maker"));
	snprintf(ops, sizeof(ops), "udp exec %s wait wait", lab_copy(&lab, "holder"));
	lab_who_open(&lab, NULL, false, 0);
	lab_start(&lab, &with_idle);
	c = lab_spawn(&lab, a, ops, 0);
	n = number(lab_read(&c));
	lab_read(&c);
	lab_turn(&lab);
	who_actor(lab.who, n);
	idle = 0;
	for (int i = 0; i < 12; i++)
		round_run();
	assert_int_equal(idle, 0);

	/* the daemon goes and its maps with it: a new one must not give that number */
	lab_who_close(&lab, true);
	lab_who_open(&lab, NULL, false, 0);
	lab_start(&lab, &with_idle);
	assert_string_equal(who_actor(lab.who, n)->path, "unknown");
	assert_int_not_equal(number(lab_run(&lab, a, "udp")), n);
	lab_go(&c);
	lab_read(&c);
	lab_go(&c);
	lab_reap(&c);
	assert_true(lab.who->serials[n] == WHO_SERIAL_RESERVED);
	for (int i = 0; i < 4; i++)
		round_run();
	assert_true(lab.who->serials[n] == 0);
	lab_who_close(&lab, true);
}

static void test_why(void **state)
{
	struct who_conf conf = { .instance = &lab.instance, .scope = "/tmp" };
	char why[512];
	struct who *w = NULL;

	(void)state;
	assert_int_equal(who_open(&conf, why, sizeof(why), &w), -ENOTDIR);
	assert_non_null(strstr(why, "no cgroup2 at /tmp"));
	conf.scope = "/nowhere";
	assert_int_equal(who_open(&conf, why, sizeof(why), &w), -ENOENT);
	assert_non_null(strstr(why, "/nowhere"));
	conf.scope = lab.cgroup;
	conf.pins = "/var/tmp/who-test-no-bpffs";
	assert_true(who_open(&conf, why, sizeof(why), &w) < 0);
	assert_non_null(strstr(why, "no bpffs"));
	assert_null(w);
	rmdir("/var/tmp/who-test-no-bpffs/links");
	rmdir("/var/tmp/who-test-no-bpffs/maps-2");
	rmdir("/var/tmp/who-test-no-bpffs");
}

#define WITH_WHO(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_WHO(test_two_programs), WITH_WHO(test_page_without_ring),
		WITH_WHO(test_same_program), WITH_WHO(test_kinds), WITH_WHO(test_exec_changes),
		WITH_WHO(test_script), WITH_WHO(test_not_believed), WITH_WHO(test_mount_namespace),
		WITH_WHO(test_looked_at_exec), WITH_WHO(test_hard_links),
		WITH_WHO(test_users), WITH_WHO(test_other_netns),
		WITH_WHO(test_mark_refused), WITH_WHO(test_device_bit),
		WITH_WHO(test_bind_guard), WITH_WHO(test_record), WITH_WHO(test_record_tcp),
		WITH_WHO(test_from_user_space), WITH_WHO(test_many_at_once),
		cmocka_unit_test(test_alive_before), cmocka_unit_test(test_pins),
		cmocka_unit_test(test_no_gap), cmocka_unit_test(test_inner_instance),
		cmocka_unit_test(test_core_by_fork),
		cmocka_unit_test(test_closed), cmocka_unit_test(test_closed_kinds),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_reclaim), cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_borne_by_socket),
		cmocka_unit_test(test_why),
	};
	const char *why;
	int r;

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child_main(argc, argv);
	why = lab_open(&lab);
	if (why) {
		printf("skipped: who/ against the kernel: %s\n", why);
		lab_close(&lab);
		return 77; /* automake: skipped */
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	lab_close(&lab);
	return r;
}
