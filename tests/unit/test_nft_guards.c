/* SPDX-License-Identifier: GPL-2.0-or-later
 * The table's guards: nobody passes for an actor, nothing of ours leaves the machine, every
 * packet bears the stamp, other tables' marks lend nobody a flow. */
#include "nft_world.h"

#include "base/macros.h"
#include "nft/route.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* nobody but a redirected flow reaches a listener, or passes for an actor */
static void listener_guards(void **state)
{
	struct addr at4 = instance_listener(&main_one, 4), at6 = instance_listener(&main_one, 6);
	char v4[ADDR_TEXT_MAX], v6[ADDR_TEXT_MAX];
	struct pollfd quiet;
	struct listener l, six;
	int fd, inner;

	(void)state;
	addr_text(&at4, v4);
	addr_text(&at6, v6);
	open_table();
	assert_int_equal(route_add(&main_one), 0);
	l = listener_open(4);
	six = listener_open(6);
	assert_int_equal(talk(OUTSIDE, SOCK_STREAM, v4, 53), -ECONNREFUSED);
	assert_int_equal(talk(OUTSIDE, SOCK_DGRAM, v4, 53), -EPERM);
	assert_int_equal(talk(OUTSIDE, SOCK_STREAM, v6, 53), -ECONNREFUSED);
	/* an outside program that takes an actor's address */
	fd = sock(0, 4, SOCK_DGRAM);
	assert_int_equal(bind_to(fd, "127.64.0.5", 4200), 0);
	assert_int_equal(connect_to(fd, v4, 53), 0);
	assert_int_equal(send(fd, "x", 1, 0), -1);
	close(fd);
	/* a guarded one, to another port of it, or to an actor's address */
	inner = serve(OUTSIDE, v4, 99);
	assert_int_equal(talk(CURL, SOCK_STREAM, v4, 99), -ECONNREFUSED);
	close(inner);
	assert_int_equal(talk(CURL, SOCK_DGRAM, "127.64.0.6", 99), -EPERM);
	inner = serve(OUTSIDE, v6, 99);
	assert_int_equal(talk(CURL, SOCK_STREAM, v6, 99), -ECONNREFUSED);
	close(inner);
	assert_int_equal(talk(CURL, SOCK_DGRAM, "fd53:6375:7070::6", 99), -EPERM);
	/* what others send from the listener's address */
	fd = sock(mark_of(CURL), 4, SOCK_DGRAM);
	assert_int_equal(bind_to(fd, v4, 4201), 0);
	assert_int_equal(connect_to(fd, "127.0.0.1", ECHO_PORT), 0);
	assert_int_equal(send(fd, "x", 1, 0), -1);
	close(fd);
	/* and what we send from it without a client's flow */
	fd = sock(mark_of(ACTOR_SELF), 4, SOCK_DGRAM);
	assert_int_equal(bind_to(fd, v4, 4202), 0);
	assert_int_equal(connect_to(fd, "127.0.0.1", ECHO_PORT), 0);
	assert_int_equal(send(fd, "x", 1, 0), -1);
	close(fd);
	quiet = (struct pollfd){ .fd = l.udp, .events = POLLIN };
	assert_int_equal(poll(&quiet, 1, 0), 0);
	ask_udp(&l, CURL, FAR4); /* the control */
	listener_close(&l);
	listener_close(&six);
	assert_int_equal(route_remove(&main_one), 0);
}

/* every packet of a guarded socket leaves stamped, though another table writes marks */
static void stamped(void **state)
{
	static const char watch[] =
		"table inet watch {\n"
		" counter stamped { }\n"
		" counter bare { }\n"
		" counter self { }\n"
		" chain scribble { type filter hook output priority 10;\n"
		"  meta mark set 0x1\n"
		" }\n"
		" chain late { type filter hook postrouting priority 20000;\n"
		"  oif lo accept\n"
		"  meta mark 0x73000005 counter name stamped\n"
		"  meta mark 0x73001fff counter name self\n"
		"  th dport { 7000, 7001 } meta mark != { 0x73000005, 0x73001fff }"
		" counter name bare\n"
		" }\n"
		"}\n";
	struct nft_element el = pass(CURL, FAR4);

	(void)state;
	need_nft();
	open_table();
	put(&el);
	assert_int_equal(scratch_run("nft -f -", watch), 0);
	assert_int_equal(talk(CURL, SOCK_DGRAM, FAR4, ECHO_PORT), 0);
	assert_int_equal(counted("stamped"), 1);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, ECHO_PORT), 0);
	assert_true(counted("stamped") >= 4);
	assert_int_equal(talk(ACTOR_SELF, SOCK_STREAM, FAR4, ECHO_PORT), 0);
	assert_true(counted("self") >= 3);
	assert_int_equal(counted("bare"), 0);
	assert_int_equal(talk(OUTSIDE, SOCK_DGRAM, FAR4, ECHO_PORT), 0);
	assert_int_equal(counted("bare"), 1); /* the watch works */
}

/* Another table's ct mark stays as it is; what it stands on is judged packet by packet. */
static void foreign_ct_mark(void **state)
{
	static const char other[] =
		"table inet other {\n"
		" chain mine { type filter hook output priority -150;\n"
		"  th dport { 7000, 53 } ct mark set 0x1234\n"
		"  th dport 7001 ct mark 0 ct mark set 0x73000006\n" /* WGET's, stamped */
		" }\n"
		"}\n"
		"table inet watch {\n"
		" counter bare { }\n"
		" chain late { type filter hook postrouting priority 20000;\n"
		"  oif != lo th dport 7000 meta mark != 0x73000005 counter name bare\n"
		" }\n"
		"}\n";
	struct nft_element el = pass(CURL, FAR4);
	struct listener l;
	int fd;

	(void)state;
	need_nft();
	open_table();
	assert_int_equal(scratch_run("nft -f -", other), 0);
	l = listener_open(4);
	ask_udp(&l, CURL, FAR4);
	ask_tcp(&l, WGET, FAR4);
	listener_close(&l);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, ECHO_PORT), -ECONNREFUSED);
	put(&el);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, ECHO_PORT), 0);
	assert_int_equal(counted("bare"), 0);
	fd = sock(mark_of(CURL), 4, SOCK_DGRAM);
	assert_int_equal(connect_to(fd, FAR4, ECHO_PORT), 0);
	assert_int_equal(exchange(fd), 0);
	take(&el);
	assert_int_equal(exchange(fd), -EPERM);
	close(fd);
	/* a mark of ours that is another's becomes the flow's own */
	put(&el);
	fd = sock(mark_of(CURL), 4, SOCK_STREAM);
	assert_int_equal(connect_to(fd, FAR4, OTHER_PORT), 0);
	take(&el);
	assert_int_equal(exchange(fd), 0);
	close(fd);
}

/* An asker that is gone when the answer comes: no refusal of the kernel's goes to the
 * server it had asked. */
static void gone_askers(void **state)
{
	static const char watch[] =
		"table inet watch {\n"
		" counter out { }\n"
		" chain late { type filter hook postrouting priority 20000;\n"
		"  oifname here meta l4proto { tcp, udp, icmp } counter name out\n"
		" }\n"
		"}\n";
	struct listener l;

	(void)state;
	need_nft();
	open_table();
	l = listener_open(4);
	assert_int_equal(scratch_run("nft -f -", watch), 0);
	for (unsigned i = 0; i < 50; i++) {
		int fd = sock(mark_of(CURL), 4, SOCK_DGRAM);
		struct sockaddr_storage from;
		socklen_t n = sizeof(from);
		char bytes[16];

		assert_int_equal(connect_to(fd, FAR4, 53), 0);
		assert_int_equal(send(fd, "query", 5, 0), 5);
		close(fd);
		assert_int_equal(recvfrom(l.udp, bytes, sizeof(bytes), 0,
					 (struct sockaddr *)&from, &n), 5);
		sendto(l.udp, "answer", 6, 0, (struct sockaddr *)&from, n);
	}
	for (unsigned i = 0; i < 50; i++) {
		struct linger now_at_once = { .l_onoff = 1 };
		int fd = sock(mark_of(CURL), 4, SOCK_STREAM), got;

		assert_int_equal(connect_to(fd, FAR4, 53), 0);
		got = accept(l.tcp, NULL, NULL);
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now_at_once,
					 sizeof(now_at_once)), 0);
		close(fd);
		send(got, "answer", 6, MSG_NOSIGNAL);
		close(got);
	}
	assert_int_equal(counted("out"), 0);
	assert_int_equal(talk(OUTSIDE, SOCK_DGRAM, FAR4, ECHO_PORT), 0);
	assert_int_equal(counted("out"), 1); /* the watch works */
	listener_close(&l);
}

/* A reset the kernel makes for a packet that conntrack found no flow for stays here. The
 * neighbour's connection is older than the table, and its socket here vanishes unheard. */
static int late_talker(int go)
{
	int fd = sock(0, 4, SOCK_STREAM);
	struct timeval wait = { .tv_usec = QUIET_MS * 1000 };
	char byte;

	if (connect_to(fd, HERE4, 7300) < 0 || read(go, &byte, 1) != 1)
		return 2;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
		return 3;
	return recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN ? 0 : 1;
}

static void kernel_resets_stay_here(void **state)
{
	int listening, got, go[2], repair = 1, status;
	pid_t pid;

	(void)state;
	listening = serve(OUTSIDE, HERE4, 7300);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		enter_peer();
		_exit(late_talker(go[0]));
	}
	got = accept(listening, NULL, NULL);
	assert_true(got >= 0);
	assert_int_equal(setsockopt(got, IPPROTO_TCP, TCP_REPAIR, &repair, sizeof(repair)), 0);
	close(got); /* sends nothing */
	close(listening);
	open_table();
	assert_int_equal(scratch_run("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0", NULL),
		0);
	assert_int_equal(write(go[1], "g", 1), 1);
	waitpid(pid, &status, 0);
	scratch_run("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1", NULL);
	assert_int_equal(status, 0);
	close(go[0]);
	close(go[1]);
}

/* our inner addresses leave the machine neither as source nor as destination */
static void inner_addresses_stay(void **state)
{
	static const char watch[] =
		"table inet watch {\n"
		" counter out { }\n"
		" chain late { type filter hook postrouting priority 20000;\n"
		"  oifname here ip saddr 127.64.0.0/16 counter name out\n"
		"  oifname here ip6 saddr fd53:6375:7070::/48 counter name out\n"
		"  oifname here ip6 daddr fd53:6375:7070::/48 counter name out\n"
		" }\n"
		"}\n";
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "127.64.0.5", FAR4 },
		{ "fd53:6375:7070::5", FAR6 },
		{ HERE6, "fd53:6375:7070::6" },
	};

	(void)state;
	need_nft();
	assert_int_equal(scratch_run("sysctl -qw net.ipv4.conf.here.route_localnet=1", NULL), 0);
	assert_int_equal(scratch_run("ip -6 route add fd53:6375:7070::/48 via " FAR6, NULL), 0);
	assert_int_equal(scratch_run("nft -f -", watch), 0);
	for (unsigned guarded = 0; guarded < 2; guarded++) {
		if (guarded)
			open_table();
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			int fd = sock(0, addr_of(cases[i].to).family, SOCK_DGRAM);

			print_message("%s to %s\n", cases[i].from, cases[i].to);
			assert_int_equal(bind_to(fd, cases[i].from, 0), 0);
			assert_int_equal(connect_to(fd, cases[i].to, 9), 0);
			assert_int_equal(send(fd, "x", 1, 0), guarded ? -1 : 1);
			close(fd);
		}
		assert_int_equal(counted("out"), ARRAY_LEN(cases)); /* all before the table */
	}
	scratch_run("ip -6 route del fd53:6375:7070::/48 via " FAR6, NULL);
	scratch_run("sysctl -qw net.ipv4.conf.here.route_localnet=0", NULL);
}

/* a program bound to a device would put a loopback destination on the wire */
static void loopback_stays(void **state)
{
	int fd = sock(mark_of(CURL) | MARK_DEVICE_BIT, 4, SOCK_DGRAM);

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "here", 5), 0);
	assert_int_equal(connect_to(fd, "127.0.0.1", 9), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1); /* without the table it goes */
	open_table();
	assert_int_equal(send(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

static int send_from_peer(const char *to)
{
	int fd = sock(0, 6, SOCK_DGRAM), r = connect_to(fd, to, 53);

	return r < 0 || send(fd, "x", 1, 0) != 1;
}

/* whatever routes somebody adds, a neighbour's packet reaches no listener */
static void neighbour_reaches_no_listener(void **state)
{
	struct addr at = instance_listener(&main_one, 6);
	char text[ADDR_TEXT_MAX], command[200];
	struct listener l;

	(void)state;
	addr_text(&at, text);
	snprintf(command, sizeof(command), "ip -6 addr add %s/128 dev lo nodad", text);
	assert_int_equal(scratch_run(command, NULL), 0);
	l = listener_open(6);
	for (unsigned guarded = 0; guarded < 2; guarded++) {
		struct pollfd p = { .fd = l.udp, .events = POLLIN };
		char byte;
		int status;
		pid_t pid;

		if (guarded)
			open_table();
		pid = fork();
		if (pid == 0) {
			enter_peer();
			scratch_run("ip -6 route replace fd53:6375:7070::/48 via " HERE6, NULL);
			_exit(send_from_peer(text));
		}
		waitpid(pid, &status, 0);
		assert_int_equal(status, 0);
		assert_int_equal(poll(&p, 1, guarded ? QUIET_MS : WAIT_MS), guarded ? 0 : 1);
		if (!guarded)
			assert_int_equal(recv(l.udp, &byte, 1, 0), 1);
	}
	listener_close(&l);
	snprintf(command, sizeof(command), "ip -6 addr del %s/128 dev lo", text);
	scratch_run(command, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(listener_guards),
		TEST(neighbour_reaches_no_listener),
		TEST(inner_addresses_stay),
		TEST(loopback_stays),
		TEST(stamped),
		TEST(foreign_ct_mark),
		TEST(gone_askers),
		TEST(kernel_resets_stay_here),
	};

	return WORLD_RUN(tests);
}
