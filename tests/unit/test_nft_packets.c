/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the table lets through and what it refuses. Its guards: test_nft_guards. */
#include "nft_world.h"

#include "base/macros.h"
#include "nft/nflog.h"
#include "nft/route.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void dns_comes_to_us(void **state)
{
	struct listener v4, v6;

	(void)state;
	open_table();
	assert_int_equal(route_add(&main_one), 0);
	v4 = listener_open(4);
	v6 = listener_open(6);
	ask_udp(&v4, CURL, FAR4);
	ask_udp(&v4, WGET, FAR4);
	ask_udp(&v4, CURL, "127.0.0.53");
	ask_udp(&v4, ACTOR_UNKNOWN, HERE4);
	ask_udp(&v6, CURL, FAR6);
	ask_udp(&v6, WGET, "::1");
	ask_tcp(&v4, CURL, FAR4);
	ask_tcp(&v4, WGET, "127.0.0.53");
	ask_tcp(&v6, CURL, FAR6);
	ask_tcp(&v6, ACTOR_MAX, FAR6);
	assert_int_equal(talk(OUTSIDE, SOCK_DGRAM, FAR4, 53), 0); /* not ours, not touched */
	assert_int_equal(talk(OUTSIDE, SOCK_STREAM, FAR6, 53), 0);
	listener_close(&v4);
	listener_close(&v6);
	assert_int_equal(route_remove(&main_one), 0);
}

/* two programs, one local port, one server: zones keep their queries apart */
static void same_port_other_actor(void **state)
{
	struct listener l;

	(void)state;
	open_table();
	l = listener_open(4);
	for (unsigned i = 0; i < 6; i++) {
		uint32_t actor = i % 2 ? CURL : WGET;
		int fd = sock(mark_of(actor), 4, SOCK_DGRAM);
		struct sockaddr_storage from;
		socklen_t n = sizeof(from);
		char bytes[16];

		assert_int_equal(bind_to(fd, HERE4, 4000), 0);
		assert_int_equal(connect_to(fd, FAR4, 53), 0);
		assert_int_equal(send(fd, "query", 5, 0), 5);
		assert_int_equal(recvfrom(l.udp, bytes, sizeof(bytes), 0,
					 (struct sockaddr *)&from, &n), 5);
		assert_int_equal(actor_of(&from), actor);
		close(fd);
	}
	listener_close(&l);
}

/* a datagram whose packet mark is not (yet) its socket's, as a socket's first one is */
static void send_with_old_mark(int fd, uint32_t old)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(old))] = { 0 };
	struct iovec bytes = { .iov_base = "query", .iov_len = 5 };
	struct msghdr m = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SO_MARK;
	c->cmsg_len = CMSG_LEN(sizeof(old));
	memcpy(CMSG_DATA(c), &old, sizeof(old));
	assert_int_equal(sendmsg(fd, &m, 0), 5);
}

/* Our own upstream query, or an outside program's, that draws the port of a client whose
 * redirected flow stands: it is not caught in that flow. */
static void live_redirect_catches_nobody_else(void **state)
{
	static const uint32_t others[] = { ACTOR_SELF, OUTSIDE };
	struct listener l;

	(void)state;
	open_table();
	l = listener_open(4);
	for (uint16_t i = 0; i < ARRAY_LEN(others); i++) {
		struct sockaddr_storage from;
		socklen_t n = sizeof(from);
		char bytes[16];
		int fd = sock(mark_of(CURL), 4, SOCK_DGRAM);

		assert_int_equal(bind_to(fd, HERE4, (uint16_t)(4050 + i)), 0);
		assert_int_equal(connect_to(fd, FAR4, 53), 0);
		send_with_old_mark(fd, mark_of(others[i]));
		assert_int_equal(recvfrom(l.udp, bytes, sizeof(bytes), 0,
					 (struct sockaddr *)&from, &n), 5);
		assert_int_equal(actor_of(&from), CURL);
		close(fd);
		fd = sock(mark_of(others[i]), 4, SOCK_DGRAM);
		assert_int_equal(bind_to(fd, HERE4, (uint16_t)(4050 + i)), 0);
		assert_int_equal(connect_to(fd, FAR4, 53), 0);
		assert_int_equal(exchange(fd), 0); /* with the neighbour */
		close(fd);
	}
	listener_close(&l);
}

static void dns_exempt_and_bound(void **state)
{
	struct nft_element el = pass(CURL, FAR4),
			   exempt = { .set = NFT_EXEMPT_DNS, .actor = CURL };

	(void)state;
	open_table();
	put(&el);
	/* bound to a device: cannot be redirected, so it is refused, admitted or not */
	assert_int_equal(talk_marked(mark_of(CURL) | MARK_DEVICE_BIT, SOCK_DGRAM, FAR4, 53),
		-EPERM);
	assert_int_equal(talk_marked(mark_of(CURL) | MARK_DEVICE_BIT, SOCK_STREAM, FAR4, 53),
		-ECONNREFUSED);
	assert_int_equal(talk_marked(mark_of(CURL) | MARK_DEVICE_BIT, SOCK_STREAM, FAR4, ECHO_PORT),
		0);
	put(&exempt);
	assert_int_equal(talk(CURL, SOCK_DGRAM, FAR4, 53), 0);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, 53), 0);
	take(&el);
	assert_int_equal(talk(CURL, SOCK_DGRAM, FAR4, 53), -EPERM); /* exempt is not admitted */
}

static void pass_is_one_actors(void **state)
{
	static const char *const to[] = { FAR4, FAR6 };

	(void)state;
	open_table();
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		struct nft_element el = pass(CURL, to[i]);

		print_message("%s\n", to[i]);
		assert_int_equal(talk(CURL, SOCK_STREAM, to[i], ECHO_PORT), -ECONNREFUSED);
		put(&el);
		assert_int_equal(talk(CURL, SOCK_STREAM, to[i], ECHO_PORT), 0);
		assert_int_equal(talk(CURL, SOCK_DGRAM, to[i], ECHO_PORT), 0);
		assert_int_equal(talk(WGET, SOCK_STREAM, to[i], ECHO_PORT), -ECONNREFUSED);
		assert_int_equal(talk(WGET, SOCK_DGRAM, to[i], ECHO_PORT), -EPERM);
		assert_int_equal(talk(OUTSIDE, SOCK_STREAM, to[i], ECHO_PORT), 0);
		assert_int_equal(talk(ACTOR_SELF, SOCK_STREAM, to[i], ECHO_PORT), 0);
		take(&el);
		assert_int_equal(talk(CURL, SOCK_DGRAM, to[i], ECHO_PORT), -EPERM);
		el.set = NFT_PASS_SVC;
		el.proto = IPPROTO_TCP;
		el.port = ECHO_PORT;
		put(&el);
		assert_int_equal(talk(CURL, SOCK_STREAM, to[i], ECHO_PORT), 0);
		assert_int_equal(talk(CURL, SOCK_DGRAM, to[i], ECHO_PORT), -EPERM);
		assert_int_equal(talk(CURL, SOCK_STREAM, to[i], OTHER_PORT), -ECONNREFUSED);
	}
}

static int ping(uint32_t actor)
{
	uint8_t echo[8] = { 8, 0, 0xf7, 0xff };
	uint32_t mark = mark_of(actor);
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP), r;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	r = connect_to(fd, FAR4, 0);
	if (r == 0 && send(fd, echo, sizeof(echo), 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* port 0: every port of a protocol, and protocols without ports */
static void whole_protocols(void **state)
{
	struct nft_element el = pass(CURL, FAR4);

	(void)state;
	open_table();
	el.set = NFT_PASS_SVC;
	el.proto = IPPROTO_TCP;
	put(&el);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, ECHO_PORT), 0);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, OTHER_PORT), 0);
	assert_int_equal(talk(CURL, SOCK_DGRAM, FAR4, ECHO_PORT), -EPERM);
	assert_int_equal(talk(WGET, SOCK_STREAM, FAR4, ECHO_PORT), -ECONNREFUSED);
	assert_int_equal(ping(CURL), -EPERM);
	el.proto = IPPROTO_ICMP;
	put(&el);
	assert_int_equal(ping(CURL), 0);
	assert_int_equal(ping(WGET), -EPERM);
}

static void which_wins(void **state)
{
	struct nft_element el = pass(CURL, FAR4), no = pass(CURL, FAR4),
			   all = { .set = NFT_ACTOR, .actor = WGET, .accept = true };

	(void)state;
	open_table();
	put(&el);
	no.set = NFT_REFUSE_SVC;
	no.proto = IPPROTO_TCP;
	no.port = ECHO_PORT;
	put(&no);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, ECHO_PORT), -ECONNREFUSED);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, OTHER_PORT), 0);
	no.set = NFT_REFUSE;
	put(&no);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, OTHER_PORT), -ECONNREFUSED);
	put(&all);
	assert_int_equal(talk(WGET, SOCK_STREAM, FAR4, ECHO_PORT), 0);
	assert_int_equal(talk(WGET, SOCK_DGRAM, FAR6, ECHO_PORT), 0);
	all.accept = false;
	put(&all);
	el.actor = WGET;
	put(&el); /* a refused program is refused everywhere */
	assert_int_equal(talk(WGET, SOCK_STREAM, FAR4, ECHO_PORT), -ECONNREFUSED);
}

static void default_allow(void **state)
{
	struct nft_element no = pass(CURL, FAR4);

	(void)state;
	world.conf.default_allow = true;
	open_table();
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, ECHO_PORT), 0);
	assert_int_equal(talk(CURL, SOCK_DGRAM, FAR6, ECHO_PORT), 0);
	no.set = NFT_REFUSE;
	put(&no);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, ECHO_PORT), -ECONNREFUSED);
}

static void flow_outlives_element(void **state)
{
	struct nft_element el = pass(CURL, FAR4);
	int tcp, udp;

	(void)state;
	open_table();
	put(&el);
	tcp = sock(mark_of(CURL), 4, SOCK_STREAM);
	udp = sock(mark_of(CURL), 4, SOCK_DGRAM);
	assert_int_equal(connect_to(tcp, FAR4, ECHO_PORT), 0);
	assert_int_equal(connect_to(udp, FAR4, ECHO_PORT), 0);
	assert_int_equal(exchange(udp), 0);
	take(&el);
	assert_int_equal(exchange(tcp), 0);
	assert_int_equal(exchange(udp), 0);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, ECHO_PORT), -ECONNREFUSED);
	close(tcp);
	close(udp);
}

/* a connection older than the table goes on where its address is admitted, else it ends */
static void older_than_the_table(void **state)
{
	struct nft_element el = pass(CURL, FAR4);
	int mine, others;

	(void)state;
	mine = sock(mark_of(CURL), 4, SOCK_STREAM);
	others = sock(mark_of(WGET), 4, SOCK_STREAM);
	assert_int_equal(connect_to(mine, FAR4, ECHO_PORT), 0);
	assert_int_equal(connect_to(others, FAR4, ECHO_PORT), 0);
	assert_int_equal(exchange(mine), 0);
	assert_int_equal(exchange(others), 0);
	assert_int_equal(fixture_open(&world, &el, 1), 0);
	assert_int_equal(exchange(mine), 0);
	assert_int_equal(exchange(others), -ECONNRESET);
	close(mine);
	close(others);
}

/* the table is replaced under a live flow, in one transaction */
static void flow_lives_through_a_new_table(void **state)
{
	struct nft_element el = pass(CURL, FAR4);
	int fd;

	(void)state;
	open_table();
	put(&el);
	fd = sock(mark_of(CURL), 4, SOCK_STREAM);
	assert_int_equal(connect_to(fd, FAR4, ECHO_PORT), 0);
	take(&el);
	nft_close(world.nft);
	world.conf.default_in_allow = true;
	open_table();
	assert_int_equal(exchange(fd), 0);
	assert_int_equal(talk(CURL, SOCK_STREAM, FAR4, ECHO_PORT), -ECONNREFUSED);
	close(fd);
}

/* the port of a program that is gone: neither its flow nor its late answers are inherited */
static void flow_is_not_inherited(void **state)
{
	struct nft_element el = pass(CURL, FAR4);
	char bytes[16];
	int fd;

	(void)state;
	world.conf.default_in_allow = true;
	open_table();
	put(&el);
	for (unsigned second = 0; second < 2; second++) {
		uint32_t heir = second ? CURL : WGET; /* CURL itself is the control */

		fd = sock(mark_of(CURL), 4, SOCK_DGRAM);
		assert_int_equal(bind_to(fd, HERE4, (uint16_t)(4100 + second)), 0);
		assert_int_equal(connect_to(fd, FAR4, LATE_PORT), 0);
		assert_int_equal(send(fd, "hello", 5, 0), 5);
		close(fd);
		fd = sock(mark_of(heir), 4, SOCK_DGRAM);
		assert_int_equal(bind_to(fd, HERE4, (uint16_t)(4100 + second)), 0);
		if (heir == WGET) {
			assert_int_equal(connect_to(fd, FAR4, LATE_PORT), 0);
			assert_int_equal(send(fd, "hello", 5, 0), -1);
			assert_int_equal(errno, EPERM);
			poll(NULL, 0, QUIET_MS);
			while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < 0 &&
				errno != EAGAIN)
				; /* the refusal's own error */
			assert_int_equal(errno, EAGAIN);
		} else {
			assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 5);
		}
		close(fd);
	}
}

static int talk_here(uint32_t client, uint32_t server, const char *at)
{
	int listening = serve(server, at, 7100), got, r;
	int fd = sock(mark_of(client), addr_of(at).family, SOCK_STREAM);
	char bytes[8] = "";

	r = connect_to(fd, at, 7100);
	if (r == 0) {
		got = accept(listening, NULL, NULL);
		assert_true(got >= 0);
		assert_int_equal(send(fd, "hello", 5, 0), 5);
		assert_int_equal(recv(got, bytes, sizeof(bytes), 0), 5);
		assert_int_equal(send(got, bytes, 5, 0), 5);
		assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 5);
		close(got);
	}
	close(fd);
	close(listening);
	return r;
}

static void local_destinations(void **state)
{
	static const char *const at[] = { "127.0.0.1", "::1", HERE4, HERE6 };
	struct nft_element no = { .set = NFT_LOCAL_NO, .actor = WGET };

	(void)state;
	open_table();
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		print_message("%s\n", at[i]);
		assert_int_equal(talk_here(WGET, OUTSIDE, at[i]), 0);
		assert_int_equal(talk_here(WGET, SERVER, at[i]), 0);
		assert_int_equal(talk_here(OUTSIDE, SERVER, at[i]), 0);
		put(&no);
		assert_int_equal(talk_here(WGET, SERVER, at[i]), -ECONNREFUSED);
		assert_int_equal(talk_here(CURL, SERVER, at[i]), 0);
		take(&no);
	}
}

static int call_in(const void *arg)
{
	return talk_marked(0, SOCK_STREAM, arg, SERVED_PORT) == 0 ? 0 : 1;
}

static bool reached(const char *at)
{
	int listening = serve(SERVER, at, SERVED_PORT), got = -1;
	struct pollfd p = { .fd = listening, .events = POLLIN };
	char bytes[8];
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		enter_peer();
		_exit(call_in(at));
	}
	if (poll(&p, 1, QUIET_MS) > 0)
		got = accept(listening, NULL, NULL);
	if (got >= 0 && recv(got, bytes, 5, 0) == 5)
		assert_int_equal(send(got, bytes, 5, 0), 5);
	waitpid(pid, &status, 0);
	if (got >= 0)
		close(got);
	close(listening);
	return status == 0;
}

struct heard {
	unsigned n;
	struct nflog_packet last;
};

static void on_refused(void *ctx, const struct nflog_packet *p)
{
	struct heard *h = ctx;

	h->n++;
	h->last = *p;
}

static void inbound(void **state)
{
	struct nft_element in = { .set = NFT_INBOUND, .actor = SERVER, .accept = true };

	(void)state;
	open_table();
	assert_false(reached(HERE4));
	put(&in);
	assert_true(reached(HERE4));
	assert_true(reached(HERE6));
}

/* one of whom nothing was said yet: without a gate that could decide, the default */
static void inbound_by_default(void **state)
{
	struct nft_element in = { .set = NFT_INBOUND, .actor = SERVER };

	(void)state;
	world.conf.default_in_allow = true;
	open_table();
	assert_true(reached(HERE4));
	put(&in);
	assert_false(reached(HERE4));
	assert_false(reached(HERE6));
}

/* a port's verdict is before the program's, the exact one before the protocol's */
static void inbound_by_port(void **state)
{
	struct nft_element all = { .set = NFT_INBOUND, .actor = SERVER };
	struct nft_element proto = { .set = NFT_INBOUND_PORT, .actor = SERVER, .proto = 6,
		.accept = true };
	struct nft_element port = { .set = NFT_INBOUND_PORT, .actor = SERVER, .proto = 6,
		.port = SERVED_PORT };

	(void)state;
	open_table();
	put(&all);
	assert_false(reached(HERE4));
	put(&proto);
	assert_true(reached(HERE4));
	assert_true(reached(HERE6));
	put(&port);
	assert_false(reached(HERE4));
	port.accept = true;
	put(&port);
	take(&proto);
	assert_true(reached(HERE6));
	port.port++;
	put(&port);
	port.port--;
	take(&port);
	assert_false(reached(HERE4));
}

/* a port where peers are told apart: undecided ones are held and shown, others as decided */
static void inbound_by_peer(void **state)
{
	struct nft_element all = { .set = NFT_INBOUND, .actor = SERVER, .accept = true };
	struct nft_element meet = { .set = NFT_INBOUND_MEET, .actor = SERVER, .proto = 6,
		.port = SERVED_PORT };
	struct nft_element peer = { .set = NFT_INBOUND_PASS, .actor = SERVER,
		.addr = addr_of(FAR4), .proto = 6, .port = SERVED_PORT,
		.timeout_ms = LONG_MS };
	struct nft_element everybody = { .set = NFT_INBOUND, .actor = ACTOR_SELF,
		.accept = true };
	struct heard h = { 0 };
	struct nflog *log;

	(void)state;
	world.conf.gate_port = 1021;
	open_table();
	assert_int_equal(nflog_open(&world.loop, &main_one, on_refused, &h, &log), 0);
	assert_false(reached(HERE4)); /* new */
	put(&everybody);
	assert_true(reached(HERE4));
	take(&everybody);
	put(&all);
	put(&meet);
	assert_false(reached(HERE4));
	while (h.n < 2)
		uv_run(&world.loop, UV_RUN_ONCE);
	assert_int_equal(h.last.actor, SERVER);
	assert_string_equal(h.last.why, "knock");
	assert_true(h.last.inbound);
	assert_int_equal(h.last.dport, SERVED_PORT);
	put(&peer);
	assert_true(reached(HERE4));
	assert_false(reached(HERE6));
	take(&peer);
	peer.set = NFT_INBOUND_REFUSE;
	put(&peer);
	assert_false(reached(HERE4));
	nflog_close(log);
}

/* one program opens flows as fast as it can: it is stopped, others are not */
static void new_flow_cap(void **state)
{
	enum { TRIES = 40000 };
	struct nft_element el = pass(CURL, FAR4), other = pass(WGET, FAR4);
	struct sockaddr_storage at;
	struct addr far = addr_of(FAR4);
	int fd;
	unsigned sent = 0, refused = 0;

	(void)state;
	open_table();
	put(&el);
	put(&other);
	fd = sock(mark_of(CURL), 4, SOCK_DGRAM);
	for (unsigned i = 0; i < TRIES; i++) {
		size_t len = addr_to_sockaddr(&far, (uint16_t)(10000 + i), &at);

		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&at, (socklen_t)len) == 1)
			sent++;
		else if (errno == EPERM)
			refused++;
	}
	print_message("%u flows, %u refused\n", sent, refused);
	assert_true(sent >= 10000);
	assert_true(refused > 1000);
	assert_int_equal(talk(WGET, SOCK_STREAM, FAR4, ECHO_PORT), 0);
	close(fd);
}

static void refusals_are_logged(void **state)
{
	struct nft_element no = pass(CURL, FAR6);
	struct heard h = { 0 };
	struct nflog *log;

	(void)state;
	open_table();
	assert_int_equal(nflog_open(&world.loop, &main_one, on_refused, &h, &log), 0);
	assert_int_equal(talk(WGET, SOCK_STREAM, FAR4, ECHO_PORT), -ECONNREFUSED);
	while (h.n < 1)
		uv_run(&world.loop, UV_RUN_ONCE);
	assert_int_equal(h.last.actor, WGET);
	assert_string_equal(h.last.why, "default");
	assert_int_equal(h.last.dport, ECHO_PORT);
	assert_false(h.last.inbound);
	no.set = NFT_REFUSE;
	put(&no);
	assert_int_equal(talk(CURL, SOCK_DGRAM, FAR6, ECHO_PORT), -EPERM);
	while (h.n < 2)
		uv_run(&world.loop, UV_RUN_ONCE);
	assert_int_equal(h.last.actor, CURL);
	assert_string_equal(h.last.why, "refuse");
	assert_int_equal(h.last.proto, IPPROTO_UDP);
	assert_false(reached(HERE4));
	while (h.n < 3)
		uv_run(&world.loop, UV_RUN_ONCE);
	assert_int_equal(h.last.actor, SERVER);
	assert_string_equal(h.last.why, "inbound");
	assert_true(h.last.inbound);
	nflog_close(log);
}

/* groups are open to the programs that need them only */
static int send_to(uint32_t actor, const char *to, uint16_t from_port, uint16_t port)
{
	int fd = sock(mark_of(actor), addr_of(to).family, SOCK_DGRAM), one = 1, r;

	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	if (from_port)
		assert_int_equal(bind_to(fd, HERE4, from_port), 0);
	r = connect_to(fd, to, port);
	if (r == 0 && send(fd, "x", 1, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

static void factory(void **state)
{
	static const struct {
		const char *to;
		uint16_t from, port;
		enum nft_factory class;
	} cases[] = {
		{ "10.9.0.2", 68, 67, NFT_FACTORY_DHCP },
		{ "10.9.0.2", 0, 123, NFT_FACTORY_NTP },
		{ "224.0.0.251", 0, 5353, NFT_FACTORY_MDNS },
		{ "239.255.255.250", 0, 1900, NFT_FACTORY_MDNS },
	};

	(void)state;
	open_table();
	assert_int_equal(scratch_run("ip route add 224.0.0.0/4 dev here", NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct nft_element el = { .set = NFT_FACTORY, .actor = CURL,
			.factory = (uint8_t)cases[i].class };

		print_message("%s:%u\n", cases[i].to, cases[i].port);
		assert_int_equal(send_to(CURL, cases[i].to, cases[i].from, cases[i].port),
			-EPERM);
		put(&el);
		assert_int_equal(send_to(CURL, cases[i].to, cases[i].from, cases[i].port), 0);
		assert_int_equal(send_to(CURL, cases[i].to, 0, 9), -EPERM);
		assert_int_equal(send_to(WGET, cases[i].to, cases[i].from, cases[i].port),
			-EPERM);
		take(&el);
	}
}

/* neighbour discovery and listener reports of raw sockets, not past the link */
static int send_icmp6(uint32_t actor, uint8_t type, int hops)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
		.sin6_scope_id = if_nametoindex("here") };
	uint8_t message[8] = { type };
	uint32_t mark = mark_of(actor);
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6), r = 0;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops));
	inet_pton(AF_INET6, "ff02::2", &to.sin6_addr);
	if (sendto(fd, message, sizeof(message), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static void neighbour_discovery(void **state)
{
	static const struct {
		uint8_t type;
		int hops, wrong;
	} cases[] = { { 133, 255, 64 }, { 136, 255, 254 }, { 131, 1, 2 }, { 143, 1, 255 } };
	struct nft_element el = { .set = NFT_FACTORY, .actor = CURL,
		.factory = NFT_FACTORY_ND };

	(void)state;
	open_table();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("type %u\n", cases[i].type);
		assert_int_equal(send_icmp6(CURL, cases[i].type, cases[i].hops), -EPERM);
		put(&el);
		assert_int_equal(send_icmp6(CURL, cases[i].type, cases[i].hops), 0);
		assert_int_equal(send_icmp6(CURL, cases[i].type, cases[i].wrong), -EPERM);
		assert_int_equal(send_icmp6(WGET, cases[i].type, cases[i].hops), -EPERM);
		assert_int_equal(send_icmp6(CURL, 128, cases[i].hops), -EPERM); /* echo */
		take(&el);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dns_comes_to_us),
		TEST(same_port_other_actor),
		TEST(live_redirect_catches_nobody_else),
		TEST(dns_exempt_and_bound),
		TEST(pass_is_one_actors),
		TEST(whole_protocols),
		TEST(which_wins),
		TEST(default_allow),
		TEST(flow_outlives_element),
		TEST(older_than_the_table),
		TEST(flow_lives_through_a_new_table),
		TEST(flow_is_not_inherited),
		TEST(local_destinations),
		TEST(inbound),
		TEST(inbound_by_default),
		TEST(inbound_by_port),
		TEST(inbound_by_peer),
		TEST(new_flow_cap),
		TEST(refusals_are_logged),
		TEST(factory),
		TEST(neighbour_discovery),
	};

	return WORLD_RUN(tests);
}
