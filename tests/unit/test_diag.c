/* SPDX-License-Identifier: GPL-2.0-or-later
 * Needs root for a network namespace of its own; without, only the lookups are tried. */
#include "base/macros.h"
#include "who/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum { MARK = 0x53000012, OTHER = 0x53000013, MASK = 0xff001fff };

static bool own_netns;
static struct diag *d;

static int setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) == 0) {
		struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
		auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		own_netns = ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	}
	return diag_open(&d);
}

static int teardown(void **state)
{
	(void)state;
	diag_close(d);
	diag_close(NULL);
	return 0;
}

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static int bound(int family, int type, int proto, const char *at)
{
	struct sockaddr_storage ss;
	struct addr a = addr(at);
	int fd = socket(family, type | SOCK_CLOEXEC, proto);
	socklen_t len = (socklen_t)addr_to_sockaddr(&a, 0, &ss);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static void name_of(int fd, bool peer, struct addr *a, uint16_t *port)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	assert_int_equal(peer ? getpeername(fd, (struct sockaddr *)&ss, &len)
			      : getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, a, port), 0);
}

static int connected_to(int server, int type, int proto, const char *via)
{
	struct sockaddr_storage ss;
	struct addr a;
	uint16_t port;
	int fd = bound(strchr(via, ':') ? AF_INET6 : AF_INET, type, proto, via);
	socklen_t len;

	name_of(server, false, &a, &port);
	a = addr(via);
	len = (socklen_t)addr_to_sockaddr(&a, port, &ss);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static struct diag_tuple tuple_of(int fd, uint8_t proto)
{
	struct diag_tuple t = { .proto = proto };

	name_of(fd, false, &t.local, &t.lport);
	name_of(fd, true, &t.peer, &t.pport);
	return t;
}

static void mark(int fd, uint32_t m)
{
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &m, sizeof(m)), 0);
}

static void is_socket(const struct diag_tuple *t, int fd)
{
	struct diag_socket s = { .uid = 99 };
	struct stat st;
	uint64_t cookie;
	socklen_t len = sizeof(cookie);
	int32_t pid = 0;

	assert_int_equal(diag_find(d, t, &s), 0);
	fstat(fd, &st);
	assert_int_equal(s.inode, st.st_ino);
	assert_int_equal(s.uid, getuid());
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	assert_int_equal(s.cookie, cookie);
	assert_int_equal(diag_inode_owner(s.inode, getpid(), NULL, &pid), 0);
	assert_int_equal(pid, getpid());
	pid = 0;
	assert_int_equal(diag_inode_owner(s.inode, 0, NULL, &pid), 0);
	assert_int_equal(pid, getpid());
}

static const char *const hosts[] = { "127.0.0.1", "::1" };

static int listening(const char *at, int proto)
{
	int fd = bound(strchr(at, ':') ? AF_INET6 : AF_INET, SOCK_STREAM, proto, at);

	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void tcp_both_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		int server = listening(hosts[i], 0), client, accepted;
		struct diag_tuple t;
		struct diag_socket s;

		client = connected_to(server, SOCK_STREAM, 0, hosts[i]);
		t = tuple_of(client, IPPROTO_TCP);
		print_message("%s: not accepted yet\n", hosts[i]);
		is_socket(&t, client);
		accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
		print_message("%s: both ends\n", hosts[i]);
		is_socket(&t, client);
		t = tuple_of(accepted, IPPROTO_TCP);
		is_socket(&t, accepted);
		print_message("%s: a listener is not a connection\n", hosts[i]);
		t.pport ^= 1;
		assert_int_equal(diag_find(d, &t, &s), -ENOENT);
		t = tuple_of(client, IPPROTO_TCP);
		close(client);
		close(accepted);
		print_message("%s: closed\n", hosts[i]);
		assert_int_equal(diag_find(d, &t, &s), -ENOENT);
		close(server);
	}
}

/* what a server of DNS sees: the client's address and its own */
static void bytes_of_a_connection(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		static const char text[5000];
		int server = listening(hosts[i], 0), peer;
		int fd = connected_to(server, SOCK_STREAM, 0, hosts[i]);
		struct diag_tuple t = tuple_of(fd, IPPROTO_TCP);
		struct diag_traffic here, there;

		peer = accept(server, NULL, NULL);
		assert_true(peer >= 0);
		assert_int_equal(send(fd, text, sizeof(text), 0), sizeof(text));
		assert_int_equal(send(peer, text, 100, 0), 100);
		assert_int_equal(diag_count(d, &t, &here), 0);
		assert_in_range(here.tx, sizeof(text) + 40, sizeof(text) + 1000);
		assert_in_range(here.rx, 100 + 40, 100 + 1000);
		t = tuple_of(peer, IPPROTO_TCP);
		assert_int_equal(diag_count(d, &t, &there), 0);
		assert_in_range(there.rx, sizeof(text) + 40, sizeof(text) + 1000);
		assert_true(there.rx_packets > 0 && there.tx_packets > 0);
		t.pport++;
		assert_int_equal(diag_count(d, &t, &there), -ENOENT);
		close(peer);
		close(fd);
		close(server);
	}
}

static void udp_clients(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		int family = i ? AF_INET6 : AF_INET;
		int server = bound(family, SOCK_DGRAM, 0, hosts[i]);
		int client = connected_to(server, SOCK_DGRAM, 0, hosts[i]);
		struct diag_tuple t = tuple_of(client, IPPROTO_UDP);
		struct diag_socket s;

		print_message("%s: connected\n", hosts[i]);
		is_socket(&t, client);
		assert_int_equal(diag_find(d, &t, &s), 0);
		assert_int_equal(s.state, 1);
		print_message("%s: but to us only\n", hosts[i]);
		t.pport ^= 1;
		assert_int_equal(diag_find(d, &t, &s), -ENOENT);
		close(client);

		print_message("%s: unconnected, of any address\n", hosts[i]);
		client = bound(family, SOCK_DGRAM, 0, i ? "::" : "0.0.0.0");
		name_of(client, false, &t.local, &t.lport);
		t.local = addr(hosts[i]);
		is_socket(&t, client);
		close(client);
		print_message("%s: gone\n", hosts[i]);
		assert_int_equal(diag_find(d, &t, &s), -ENOENT);
		close(server);
	}
}

/* an IPv6 socket that speaks IPv4 is asked for by its IPv4 addresses */
static void dual_stack(void **state)
{
	int server = bound(AF_INET, SOCK_DGRAM, 0, "127.0.0.1");
	int client = bound(AF_INET6, SOCK_DGRAM, 0, "::");
	struct diag_tuple t = { .proto = IPPROTO_UDP };

	(void)state;
	t.local = t.peer = addr("127.0.0.1");
	name_of(client, false, &(struct addr){ 0 }, &t.lport);
	name_of(server, false, &t.peer, &t.pport);
	is_socket(&t, client);
	close(client);
	close(server);
}

static void marks_are_told(void **state)
{
	int server, client;
	struct diag_tuple t;
	struct diag_socket s;

	(void)state;
	if (!own_netns)
		skip();
	server = bound(AF_INET, SOCK_DGRAM, 0, "127.0.0.1");
	client = connected_to(server, SOCK_DGRAM, 0, "127.0.0.1");
	t = tuple_of(client, IPPROTO_UDP);
	mark(client, MARK);
	assert_int_equal(diag_find(d, &t, &s), 0);
	assert_true(s.has_mark);
	assert_int_equal(s.mark, MARK);
	close(client);
	close(server);
}

/* ----- ending ----- */

static int error_of(int fd)
{
	int e = 0;
	socklen_t len = sizeof(e);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len), 0);
	return e;
}

static void ends(void **state)
{
	(void)state;
	if (!own_netns)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		int server = listening(hosts[i], 0);
		int udp = bound(i ? AF_INET6 : AF_INET, SOCK_DGRAM, 0, hosts[i]);
		int tcp1 = connected_to(server, SOCK_STREAM, 0, hosts[i]);
		int tcp2 = connected_to(server, SOCK_STREAM, 0, hosts[i]);
		int udp1 = connected_to(udp, SOCK_DGRAM, 0, hosts[i]);
		struct addr peer = addr(hosts[i]), other = addr("192.0.2.1");
		struct diag_tuple t = tuple_of(tcp1, IPPROTO_TCP);

		mark(tcp1, MARK | 0x2000); /* a bit outside the mask does not matter */
		mark(udp1, MARK);
		mark(tcp2, OTHER);
		mark(server, MARK);
		print_message("%s: peer, port and mark must all fit\n", hosts[i]);
		assert_int_equal(diag_end(d, MARK, MASK, &other, 0), 0);
		assert_int_equal(diag_end(d, MARK, MASK, &peer, 1), 0);
		assert_int_equal(diag_end(d, MARK + 7, MASK, NULL, 0), 0);
		assert_int_equal(error_of(tcp1), 0);
		print_message("%s: one port\n", hosts[i]);
		assert_int_equal(diag_end(d, MARK, MASK, &peer, t.pport), 1);
		assert_int_equal(error_of(tcp1), ECONNABORTED);
		assert_int_equal(error_of(udp1), 0);
		print_message("%s: the rest of the number\n", hosts[i]);
		assert_int_equal(diag_end(d, MARK, MASK, NULL, 0), 1);
		assert_int_equal(error_of(udp1), ECONNABORTED);
		print_message("%s: another's stays, and so does the listener\n", hosts[i]);
		assert_int_equal(error_of(tcp2), 0);
		close(connected_to(server, SOCK_STREAM, 0, hosts[i]));
		close(tcp1);
		close(tcp2);
		close(udp1);
		close(udp);
		close(server);
	}
}

static bool room_for(rlim_t fds)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return false;
	l.rlim_cur = l.rlim_max;
	return l.rlim_cur >= fds && setrlimit(RLIMIT_NOFILE, &l) == 0;
}

/* more than one batch, and more than one datagram of replies */
static void ends_many(void **state)
{
	enum { MANY = 2100 };
	static int fds[MANY];
	int server, left = 0;

	(void)state;
	if (!own_netns || !room_for(MANY + 64))
		skip();
	server = bound(AF_INET, SOCK_DGRAM, 0, "127.0.0.1");
	for (int i = 0; i < MANY; i++) {
		fds[i] = connected_to(server, SOCK_DGRAM, 0, "127.0.0.1");
		mark(fds[i], MARK);
	}
	assert_int_equal(diag_end(d, MARK, MASK, NULL, 0), MANY);
	for (int i = 0; i < MANY; i++) {
		left += error_of(fds[i]) != ECONNABORTED;
		close(fds[i]);
	}
	assert_int_equal(left, 0);
	close(server);
}

static void ends_mptcp(void **state)
{
	int server, client, accepted;
	char c;

	(void)state;
	client = own_netns ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP) : -1;
	if (client < 0)
		skip();
	close(client);
	server = listening("127.0.0.1", IPPROTO_MPTCP);
	client = connected_to(server, SOCK_STREAM, IPPROTO_MPTCP, "127.0.0.1");
	accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	mark(client, MARK);
	assert_int_equal(diag_end(d, MARK, MASK, NULL, 0), 1);
	assert_int_equal(diag_end(d, MARK, MASK, NULL, 0), 0);
	assert_int_equal(recv(accepted, &c, 1, MSG_DONTWAIT), -1);
	close(client);
	close(accepted);
	close(server);
}

/* ----- who listens ----- */

static void listens(void **state)
{
	struct addr any = addr("0.0.0.0"), at = addr("127.0.0.1");
	struct sockaddr_storage ss;
	socklen_t len = (socklen_t)addr_to_sockaddr(&any, 0, &ss);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint16_t port, own;

	(void)state;
	assert_int_equal(bind(server, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &any, &port), 0);
	len = (socklen_t)addr_to_sockaddr(&at, port, &ss);
	assert_int_equal(connect(client, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(client, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &any, &own), 0);
	assert_true(diag_listens(d, &at, port));
	assert_false(diag_listens(d, &at, own)); /* a client's port, though connected */
	close(server);
	assert_false(diag_listens(d, &at, port));
	close(client);
}

static void listeners(void **state)
{
	static const struct {
		const char *why, *has, *asked;
		bool v6only, want;
	} cases[] = {
		{ "the very address", "127.0.0.1", "127.0.0.1", false, true },
		{ "another one", "127.0.0.1", "127.0.0.2", false, false },
		{ "every IPv4 address", "0.0.0.0", "127.0.0.53", false, true },
		{ "every address, also IPv4's", "::", "127.0.0.53", false, true },
		{ "unless told not to", "::", "127.0.0.53", true, false },
		{ "every IPv6 address", "::", "::1", false, true },
		{ "IPv6", "::1", "::1", false, true },
		{ "asked for every address", "127.0.0.1", "0.0.0.0", false, true },
		{ "the other family", "::1", "127.0.0.1", false, false },
	};
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(cases) * 2; n++) {
		size_t i = n / 2;
		uint8_t proto = protos[n % 2];
		struct addr a = addr(cases[i].has), asked = addr(cases[i].asked);
		struct sockaddr_storage ss;
		socklen_t len = (socklen_t)addr_to_sockaddr(&a, 0, &ss);
		int only = cases[i].v6only;
		int fd = socket(ss.ss_family, (proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) |
			SOCK_CLOEXEC, 0);
		char who[128] = "untouched", want[64];
		uint16_t port;

		print_message("%s (%s)\n", cases[i].why, proto == IPPROTO_TCP ? "TCP" : "UDP");
		if (ss.ss_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
		assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
		if (proto == IPPROTO_TCP)
			listen(fd, 1);
		name_of(fd, false, &a, &port);
		snprintf(want, sizeof(want), "test_diag (pid %d)", getpid());
		if (cases[i].want) {
			assert_int_equal(diag_listener(&asked, port, proto, who,
				sizeof(who)), 0);
			assert_string_equal(who, want);
		} else {
			assert_int_equal(diag_listener(&asked, port, proto, who,
				sizeof(who)), -ENOENT);
			assert_string_equal(who, "untouched");
		}
		close(fd);
		assert_int_equal(diag_listener(&asked, port, proto, who, sizeof(who)),
			-ENOENT);
	}
}

static void nobody_has_it(void **state)
{
	int32_t pid = 5;

	(void)state;
	assert_int_equal(diag_inode_owner(0, 0, NULL, &pid), -ENOENT);
	assert_int_equal(diag_inode_owner(UINT32_MAX, 0, NULL, &pid), -ENOENT);
	assert_int_equal(pid, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_both_ends),
		cmocka_unit_test(bytes_of_a_connection),
		cmocka_unit_test(udp_clients),
		cmocka_unit_test(dual_stack),
		cmocka_unit_test(marks_are_told),
		cmocka_unit_test(ends),
		cmocka_unit_test(ends_many),
		cmocka_unit_test(ends_mptcp),
		cmocka_unit_test(listens),
		cmocka_unit_test(listeners),
		cmocka_unit_test(nobody_has_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
