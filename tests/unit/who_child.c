/* SPDX-License-Identifier: GPL-2.0-or-later
 * The small program of who_lab.h: does operations, prints one line for each result. */
#include "tests/unit/who_lab.h"

#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int sock = -1;

static void say_mark(void)
{
	uint32_t mark = 0;
	socklen_t len = sizeof(mark);

	getsockopt(sock, SOL_SOCKET, SO_MARK, &mark, &len);
	printf("%x\n", mark);
}

static void say(long r)
{
	printf("-%d\n", r < 0 ? errno : 0);
}

static void make(int family, int type)
{
	sock = socket(family, type, 0);
	say_mark();
}

static void make_of(int family, int type, int proto)
{
	sock = socket(family, type, proto);
	if (sock < 0)
		printf("-%d\n", errno);
	else
		say_mark();
}

static struct sockaddr_in at(uint32_t ip, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	a.sin_addr.s_addr = htonl(ip);
	return a;
}

static void send_query(uint32_t ip, uint16_t port, bool connected)
{
	struct sockaddr_in to = at(ip, port);
	static const char query[12] = { 0x12, 0x34 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	long r;

	if (connected) {
		r = connect(fd, (struct sockaddr *)&to, sizeof(to));
		if (r == 0)
			r = send(fd, query, sizeof(query), 0);
	} else {
		r = sendto(fd, query, sizeof(query), 0, (struct sockaddr *)&to, sizeof(to));
	}
	say(r);
}

static void bind_to(int family, uint32_t ip, uint16_t port)
{
	struct sockaddr_in four = at(ip, port);
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(family, SOCK_DGRAM, 0);

	say(family == AF_INET ? bind(fd, (struct sockaddr *)&four, sizeof(four)) :
		bind(fd, (struct sockaddr *)&six, sizeof(six)));
}

static void link_local(void)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(9) };

	sock = socket(AF_INET6, SOCK_DGRAM, 0);
	to.sin6_addr.s6_addr[0] = 0xfe;
	to.sin6_addr.s6_addr[1] = 0x80;
	to.sin6_addr.s6_addr[15] = 1;
	to.sin6_scope_id = 1;
	/* no route is no matter: the hook has run */
	if (connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0 && errno == EPERM)
		perror("connect");
	say_mark();
}

static void bound(void)
{
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
		perror("SO_BINDTODEVICE");
	say_mark();
}

static void set_mark(void)
{
	uint32_t mark = 5;

	sock = socket(AF_INET, SOCK_DGRAM, 0);
	say(setsockopt(sock, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
}

/* the rest of the operations in another image of the same, or another, file */
static char **rest;

static void exec_rest(const char *path)
{
	char *argv[64] = { rest[0], (char *)"child" };
	int n = 2;

	for (char **op = rest + 1; *op && n < 63; op++)
		argv[n++] = *op;
	execv(path, argv);
	_exit(99);
}

static void *exec_thread(void *path)
{
	exec_rest(path);
	return NULL;
}

static void exec_memfd(void)
{
	char *argv[64] = { (char *)"m", (char *)"child" };
	int from = open("/proc/self/exe", O_RDONLY), n = 2;
	int to = memfd_create("small", MFD_CLOEXEC);
	char buf[65536];
	ssize_t got;

	for (char **op = rest; *op && n < 63; op++)
		argv[n++] = *op;
	while ((got = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, (size_t)got) != got)
			_exit(98);
	fexecve(to, argv, environ);
	_exit(97);
}

static void exec_unlinked(const char *path)
{
	char *argv[64] = { (char *)"u", (char *)"child" };
	int fd = open(path, O_RDONLY | O_CLOEXEC), n = 2;

	for (char **op = rest + 1; *op && n < 63; op++)
		argv[n++] = *op;
	unlink(path);
	fexecve(fd, argv, environ);
	_exit(96);
}

/* puts the next word's file over the one after it, for us alone, and runs that path */
static void mount_over(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(rest[0], rest[1], NULL, MS_BIND, NULL) < 0)
		_exit(90);
	rest++;
	exec_rest(rest[0]);
}

static void fork_rest(void)
{
	int status;

	if (fork() == 0)
		return; /* the child goes on */
	wait(&status);
	_exit(0);
}

static void wait_for_go(void)
{
	char c;

	printf("-0\n");
	if (read(0, &c, 1) < 0)
		_exit(95);
}

static void thread_exec(const char *path)
{
	pthread_t t;

	pthread_create(&t, NULL, exec_thread, (void *)(uintptr_t)path);
	pthread_join(t, NULL);
}

static void tcp_to(uint16_t port)
{
	struct sockaddr_in to = at(INADDR_LOOPBACK, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	say(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

/* begins a connection, or sends something that is no datagram of UDP */
static void away(int type, int proto)
{
	struct sockaddr_in to = at(0x0a090002, type == SOCK_STREAM ? 9 : 0);
	static const char echo[8] = { 8 };
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, proto);

	if (type == SOCK_STREAM)
		say(connect(fd, (struct sockaddr *)&to, sizeof(to)));
	else
		say(sendto(fd, echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to)));
}

/* sockets until told to stop: how many of them had no mark? */
static void many(void)
{
	unsigned bare = 0;
	char c;

	printf("-0\n");
	fcntl(0, F_SETFL, O_NONBLOCK);
	while (read(0, &c, 1) != 1) {
		uint32_t mark = 0;
		socklen_t len = sizeof(mark);
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &len);
		close(fd);
		bare += (mark & ACTOR_MASK) == ACTOR_UNKNOWN || mark >> 24 == 0;
	}
	printf("-%u\n", bare);
}

static bool op_kind(const char *op)
{
	static const struct {
		const char *op;
		int family, type, proto;
	} kinds[] = {
		{ "udp6", AF_INET6, SOCK_DGRAM, 0 },
		{ "tcp", AF_INET, SOCK_STREAM, 0 },
		{ "mptcp", AF_INET, SOCK_STREAM, IPPROTO_MPTCP },
		{ "mptcp6", AF_INET6, SOCK_STREAM, IPPROTO_MPTCP },
		{ "ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
		{ "raw", AF_INET, SOCK_RAW, IPPROTO_ICMP },
		{ "raw6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6 },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(op, kinds[i].op) == 0)
			make_of(kinds[i].family, kinds[i].type, kinds[i].proto);
		else if (strncmp(op, "away-", 5) == 0 && strcmp(op + 5, kinds[i].op) == 0)
			away(kinds[i].type, kinds[i].proto);
		else
			continue;
		return true;
	}
	return false;
}

static bool op_socket(const char *op)
{
	if (strcmp(op, "udp") == 0)
		make(AF_INET, SOCK_DGRAM);
	else if (strcmp(op, "tcp6") == 0)
		make(AF_INET6, SOCK_STREAM);
	else if (strcmp(op, "again") == 0)
		say_mark();
	else if (strcmp(op, "setmark") == 0)
		set_mark();
	else if (strcmp(op, "linklocal") == 0)
		link_local();
	else if (strcmp(op, "bound") == 0)
		bound();
	else if (strcmp(op, "bind4") == 0)
		bind_to(AF_INET, 0x7f000099, 53);
	else if (strcmp(op, "bindlan") == 0)
		bind_to(AF_INET, 0x0a090001, 53);
	else if (strcmp(op, "bind6") == 0)
		bind_to(AF_INET6, 0, 53);
	else if (strcmp(op, "bind5353") == 0)
		bind_to(AF_INET, 0x7f000099, 5353);
	else if (strcmp(op, "query") == 0)
		send_query(INADDR_LOOPBACK, 53, false);
	else if (strcmp(op, "queryc") == 0)
		send_query(INADDR_LOOPBACK, 53, true);
	else if (strcmp(op, "tcp53") == 0)
		tcp_to(53);
	else if (strcmp(op, "away") == 0)
		send_query(0x0a090002, 9, false);
	else
		return false;
	return true;
}

int child_main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 2; i < argc; i++) {
		const char *op = argv[i];

		rest = argv + i + 1;
		if (op[0] == '/') { /* a script's name, and behind it only its arguments */
			make(AF_INET, SOCK_DGRAM);
			return 0;
		}
		if (op_socket(op) || op_kind(op))
			continue;
		else if (strcmp(op, "wait") == 0)
			wait_for_go();
		else if (strcmp(op, "many") == 0)
			many();
		else if (strcmp(op, "fork") == 0)
			fork_rest();
		else if (strcmp(op, "exec") == 0)
			exec_rest(argv[i + 1]);
		else if (strcmp(op, "threadexec") == 0)
			thread_exec(argv[i + 1]);
		else if (strcmp(op, "mountover") == 0)
			mount_over();
		else if (strcmp(op, "memfd") == 0)
			exec_memfd();
		else if (strcmp(op, "unlinked") == 0)
			exec_unlinked(argv[i + 1]);
		else if (strcmp(op, "newnet") == 0)
			say(unshare(CLONE_NEWNET));
		else if (strcmp(op, "nobody") == 0)
			say(setresuid(65534, 65534, 65534));
		else
			return 94;
	}
	return 0;
}
