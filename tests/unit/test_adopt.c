/* SPDX-License-Identifier: GPL-2.0-or-later
 * Adopting sockets, with an identity table made here: what adopt.c asks of it is given by
 * the functions below. A child in a cgroup of its own holds the sockets; it shares them with
 * us, so that we see what becomes of them. Needs root and cgroup2. */
#include "base/clock.h"
#include "base/macros.h"
#include "who/diag.h"
#include "who/internal.h"
#include "who/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <uv.h>

#include <cmocka.h>

enum { NUMBER = 0x12, KNOWN_MARK = 0x53000077, OTHERS_MARK = 0x54000012,
	FOREIGN_MARK = 0xff0000, DEAD_MARK = 0x53000044 };

/* ----- the identity table ----- */

struct who {
	struct instance instance;
	uv_loop_t loop;
	struct adopt *adopting;
	struct program program;
	uint64_t netns;
	unsigned owned, asked;
	int32_t owner;
};

static struct who w = { .instance = { .name = "main", .magic = 0x53 },
	.program = { .actor = NUMBER, .known = true } };
static char scope[160], mount[64];

uint32_t who_number_of(struct who *who, int32_t tgid)
{
	who->asked++;
	who->owner = tgid;
	return NUMBER;
}

int who_own_socket(struct who *who, int fd, int32_t tgid, uint32_t actor)
{
	assert_true(fd >= 0);
	assert_int_equal(tgid, who->owner);
	assert_int_equal(actor, NUMBER);
	who->owned++;
	return 0;
}

static uint32_t mark_of(int fd)
{
	uint32_t m = 0;
	socklen_t len = sizeof(m);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MARK, &m, &len), 0);
	return m;
}

uint32_t who_socket_number(struct who *who, int fd)
{
	(void)who;
	return mark_of(fd) == KNOWN_MARK ? 0x77 : ACTOR_NONE;
}

const struct program *who_actor(struct who *who, uint32_t actor)
{
	assert_int_equal(actor, NUMBER);
	return &who->program;
}

const char *who_scope(const struct who *who)
{
	(void)who;
	return scope;
}

uint64_t who_netns_cookie(const struct who *who)
{
	return who->netns;
}

uint32_t who_mark(const struct who *who, uint32_t actor)
{
	return instance_mark(&who->instance, actor);
}

const struct instance *who_instance(const struct who *who)
{
	return &who->instance;
}

struct uv_loop_s *who_loop(const struct who *who)
{
	return (struct uv_loop_s *)&who->loop;
}

struct adopt **who_adopting(struct who *who)
{
	return &who->adopting;
}

/* ----- the judge ----- */

struct bench {
	enum who_adopt verdict;
	bool later;
	unsigned told, done, found, listening, connected;
	struct who_socket last;
	who_answer answer;
	void *tokens[512];
	unsigned ntokens;
};

static void judge(void *ctx, const struct who_socket *s, who_answer answer, void *token)
{
	struct bench *b = ctx;

	b->told++;
	b->listening += s->listening;
	b->connected += s->connected;
	b->last = *s;
	assert_ptr_equal(s->program, &w.program);
	b->answer = answer;
	if (b->later)
		b->tokens[b->ntokens++] = token;
	else
		answer(token, b->verdict);
}

static void on_done(void *ctx, unsigned found)
{
	struct bench *b = ctx;

	b->done++;
	b->found = found;
}

static void adopt_all(struct bench *b)
{
	w.owned = w.asked = 0;
	assert_int_equal(who_adopt(&w, judge, on_done, b), 0);
	uv_run(&w.loop, UV_RUN_DEFAULT); /* ends: nothing of it stays on the loop */
	assert_int_equal(b->done, 1);
	assert_int_equal(b->found, b->told);
	assert_null(w.adopting);
}

/* ----- sockets and the child that holds them ----- */

static int udp_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int bound(int type, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 16), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	*port = ntohs(a.sin_port);
	return fd;
}

static int connected(int type, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void set_mark(int fd, uint32_t m)
{
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &m, sizeof(m)), 0);
}

static void enter(const char *cgroup, int32_t pid)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%d", pid);
	assert_int_equal(fclose(f), 0);
}

/* a child in the scope with every descriptor that is open now */
static int32_t hold(void)
{
	int32_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	enter(scope, child);
	return child;
}

static void let_go(int32_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* ----- the tests ----- */

static void marked_and_going_on(void **state)
{
	struct bench b = { .verdict = WHO_MARK };
	uint16_t tcp_port, udp_port;
	int server = bound(SOCK_STREAM, &tcp_port), udp = bound(SOCK_DGRAM, &udp_port);
	int c = connected(SOCK_STREAM, tcp_port), u = connected(SOCK_DGRAM, udp_port);
	int s = accept4(server, NULL, NULL, SOCK_CLOEXEC), later;
	char got[8];
	int32_t child;

	(void)state;
	assert_int_equal(write(c, "before", 6), 6);
	child = hold();
	adopt_all(&b);
	assert_int_equal(b.told, 5); /* listener, its end, client, UDP twice: each once */
	assert_int_equal(b.listening, 1);
	assert_int_equal(b.connected, 3);
	assert_int_equal(w.owned, 5);
	assert_int_equal(w.owner, child);
	assert_int_equal(mark_of(server), 0x53000000 | NUMBER);
	assert_int_equal(mark_of(c), 0x53000000 | NUMBER);
	assert_int_equal(mark_of(u), 0x53000000 | NUMBER);
	assert_int_equal(mark_of(udp), 0x53000000 | NUMBER);

	print_message("traffic goes on, and what is accepted now has the mark too\n");
	assert_int_equal(write(c, "after", 5), 5);
	assert_int_equal(recv(s, got, 6, MSG_WAITALL), 6);
	assert_int_equal(recv(s, got, 5, MSG_WAITALL), 5);
	assert_memory_equal(got, "after", 5);
	assert_int_equal(send(u, "x", 1, 0), 1);
	assert_int_equal(recv(udp, got, sizeof(got), 0), 1);
	close(connected(SOCK_STREAM, tcp_port));
	later = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(mark_of(later), 0x53000000 | NUMBER);
	close(later);
	close(c), close(u), close(s), close(server), close(udp);
	let_go(child);
}

static void what_the_judge_hears(void **state)
{
	struct bench b = { .verdict = WHO_LEAVE };
	uint16_t port;
	int udp = bound(SOCK_DGRAM, &port), u = connected(SOCK_DGRAM, port);
	struct addr loopback;
	int32_t child;

	(void)state;
	set_mark(udp, FOREIGN_MARK);
	child = hold();
	adopt_all(&b);
	addr_parse("127.0.0.1", &loopback);
	assert_int_equal(b.told, 1); /* left alone: not asked again on another walk */
	assert_int_equal(b.last.pid, child);
	assert_int_equal(b.last.proto, IPPROTO_UDP);
	assert_true(b.last.connected && !b.last.listening);
	assert_int_equal(addr_cmp(&b.last.peer, &loopback), 0);
	assert_int_equal(b.last.pport, port);
	assert_int_equal(mark_of(u), 0);
	assert_int_equal(w.owned, 0);
	close(u), close(udp);
	let_go(child);
}

static void not_ours(void **state)
{
	static const struct {
		const char *why;
		uint32_t mark, want;
	} cases[] = {
		{ "another program's mark", FOREIGN_MARK, FOREIGN_MARK },
		{ "another instance's", OTHERS_MARK, OTHERS_MARK },
		{ "known to our maps", KNOWN_MARK, KNOWN_MARK },
		{ "the daemon's", 0x53001fff, 0x53001fff },
		{ "a dead daemon's: ours again", DEAD_MARK, 0x53000000 | NUMBER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b = { .verdict = WHO_MARK };
		int u = udp_socket(), un = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		int32_t child;

		print_message("%s\n", cases[i].why);
		set_mark(u, cases[i].mark);
		child = hold();
		adopt_all(&b);
		assert_int_equal(mark_of(u), cases[i].want);
		assert_int_equal(b.told, cases[i].mark == DEAD_MARK);
		close(u), close(un);
		let_go(child);
	}
}

static void another_namespace(void **state)
{
	struct bench b = { .verdict = WHO_MARK };
	auto_close int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int32_t child;
	int u;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	u = udp_socket();
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	child = hold();
	adopt_all(&b);
	assert_int_equal(b.told, 0);
	assert_int_equal(mark_of(u), 0);
	close(u);
	let_go(child);
}

static void bound_to_a_device(void **state)
{
	struct bench b = { .verdict = WHO_MARK };
	int u = udp_socket();
	int32_t child;

	(void)state;
	assert_int_equal(setsockopt(u, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
	child = hold();
	adopt_all(&b);
	assert_int_equal(mark_of(u), 0x53000000 | MARK_DEVICE_BIT | NUMBER);
	close(u);
	let_go(child);
}

static int error_of(int fd)
{
	int e = 0;
	socklen_t len = sizeof(e);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len), 0);
	return e;
}

static void ended(void **state)
{
	struct bench b = { .verdict = WHO_END };
	uint16_t tcp_port, udp_port;
	int32_t child;
	int server = bound(SOCK_STREAM, &tcp_port), udp = bound(SOCK_DGRAM, &udp_port);
	int c = connected(SOCK_STREAM, tcp_port), u = connected(SOCK_DGRAM, udp_port);

	(void)state;
	/* only the clients are in the scope's hands */
	set_mark(server, FOREIGN_MARK);
	set_mark(udp, FOREIGN_MARK);
	child = hold();
	adopt_all(&b);
	assert_int_equal(b.told, 2);
	assert_int_equal(error_of(c), ECONNABORTED);
	assert_int_equal(error_of(u), ECONNABORTED);
	assert_int_equal(mark_of(c), 0x53000000 | NUMBER);
	assert_int_equal(mark_of(u), 0x53000000 | NUMBER);
	close(c), close(u), close(server), close(udp);
	let_go(child);
}

/* answers that come later hold the walk back, and none is lost */
static void later(void **state)
{
	enum { MANY = 200 };
	struct bench b = { .later = true };
	unsigned answered = 0, most = 0;
	int fds[MANY];
	int32_t child;

	(void)state;
	for (int i = 0; i < MANY; i++)
		fds[i] = udp_socket();
	child = hold();
	assert_int_equal(who_adopt(&w, judge, on_done, &b), 0);
	assert_int_equal(who_adopt(&w, judge, on_done, &b), -EBUSY);
	while (!b.done) {
		uv_run(&w.loop, UV_RUN_NOWAIT);
		most = MAX(most, b.ntokens - answered);
		if (answered < b.ntokens)
			b.answer(b.tokens[answered++], WHO_MARK);
	}
	uv_run(&w.loop, UV_RUN_DEFAULT);
	print_message("at most %u of %u at a time\n", most, b.told);
	assert_int_equal(b.told, MANY);
	assert_int_equal(most, 64);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(mark_of(fds[i]), 0x53000000 | NUMBER);
		close(fds[i]);
	}
	let_go(child);
}

static void stopped(void **state)
{
	struct bench b = { .later = true };
	int u = udp_socket(), v = udp_socket();
	int32_t child = hold();

	(void)state;
	print_message("with an answer still to come\n");
	assert_int_equal(who_adopt(&w, judge, on_done, &b), 0);
	while (b.ntokens < 2)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	adopt_stop(w.adopting);
	assert_null(w.adopting);
	b.answer(b.tokens[0], WHO_MARK);
	b.answer(b.tokens[1], WHO_MARK);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(mark_of(u), 0);
	assert_int_equal(b.done, 0);
	print_message("at once\n");
	assert_int_equal(who_adopt(&w, judge, on_done, &b), 0);
	adopt_stop(w.adopting);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(b.done, 0);
	adopt_stop(NULL);
	close(u), close(v);
	let_go(child);
}

/* a turn of the loop stays short, however many descriptors there are */
static void short_turns(void **state)
{
	struct bench b = { .verdict = WHO_MARK };
	enum { LEAST = 10000, MOST = 30000 };
	struct rlimit l;
	int64_t longest = 0;
	unsigned turns = 0;
	int32_t child, from = udp_socket();

	(void)state;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	if (l.rlim_cur < LEAST || setrlimit(RLIMIT_NOFILE, &l) < 0)
		skip();
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 64; i < MIN((int)l.rlim_cur, MOST); i++)
			dup2(from, i);
		enter(scope, getpid());
		pause();
		_exit(0);
	}
	for (bool in = false; !in; usleep(1000)) {
		struct proc_walk *walk;
		int32_t pid;

		assert_int_equal(proc_walk_open(scope, &walk), 0);
		in = proc_walk_next(walk, &pid);
		proc_walk_close(walk);
	}
	assert_int_equal(who_adopt(&w, judge, on_done, &b), 0);
	while (uv_loop_alive(&w.loop)) {
		int64_t t = clock_read_us(CLOCK_THREAD_CPUTIME_ID); /* others run too */

		uv_run(&w.loop, UV_RUN_NOWAIT);
		t = clock_read_us(CLOCK_THREAD_CPUTIME_ID) - t;
		longest = MAX(t, longest);
		turns++;
	}
	print_message("longest of %u turns %.1f ms\n", turns, (double)longest / 1000);
	assert_true(turns > 5);
	assert_int_equal(b.told, 1);
	close(from);
	let_go(child);
}

static int setup(void **state)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	socklen_t len = sizeof(w.netns);
	auto_close int fd = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mounts) && !mount[0]; i++)
		if (proc_cgroup_below(mounts[i], scope, sizeof(scope)) == 0)
			snprintf(mount, sizeof(mount), "%s", mounts[i]);
	if (!mount[0] || unshare(CLONE_NEWNET) < 0)
		return -1;
	snprintf(scope, sizeof(scope), "%s/test-adopt-%d", mount, getpid());
	fd = udp_socket();
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0 || mkdir(scope, 0755) < 0 ||
		getsockopt(fd, SOL_SOCKET, 71 /* SO_NETNS_COOKIE */, &w.netns, &len) < 0)
		return -1;
	return uv_loop_init(&w.loop);
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(scope) < 0 ? -1 : uv_loop_close(&w.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marked_and_going_on),
		cmocka_unit_test(what_the_judge_hears),
		cmocka_unit_test(not_ours),
		cmocka_unit_test(another_namespace),
		cmocka_unit_test(bound_to_a_device),
		cmocka_unit_test(ended),
		cmocka_unit_test(later),
		cmocka_unit_test(stopped),
		cmocka_unit_test(short_turns),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root, for a network namespace and a cgroup\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
