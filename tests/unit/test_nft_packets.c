/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the table does to packets: real sockets that mark themselves, as the programs of the
 * kernel's half would, against a neighbour across a veth pair. A refusal counts only beside
 * its control: the same destination and client with the element that lets it through. */
#include "base/macros.h"
#include "nft/nflog.h"
#include "nft/route.h"
#include "nft_fixture.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FAR4 "10.9.0.2"
#define FAR6 "fd00:9::2"
#define HERE4 "10.9.0.1"
#define HERE6 "fd00:9::1"

enum {
	CURL = 5, WGET = 6, SERVER = 8, /* actors */
	OUTSIDE = 0,                    /* no mark at all */
	ECHO_PORT = 7000, OTHER_PORT = 7001,      /* the neighbour answers at once */
	LATE_PORT = 7002,                    /* UDP: after a while */
	LATE_MS = 150, QUIET_MS = 400, WAIT_MS = 3000,
	LONG_MS = 300000,
	FREEBIND6 = 78,                 /* IPV6_FREEBIND */
};

static pid_t peer = -1;
static struct fixture f; /* of the test that runs */

/* the neighbour: echoes on TCP and UDP, v4 and v6 */

static const uint16_t far_ports[] = { ECHO_PORT, OTHER_PORT, LATE_PORT, 53 };

static int far_listen(uint16_t port, int type)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		(type == SOCK_STREAM && listen(fd, 64) < 0))
		_exit(1);
	return fd;
}

static void far_datagram(int fd, uint16_t port)
{
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	char bytes[512];
	ssize_t len = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n);

	if (port == LATE_PORT)
		poll(NULL, 0, LATE_MS);
	if (len >= 0)
		sendto(fd, bytes, (size_t)len, 0, (struct sockaddr *)&from, n);
}

static void far_stream(struct pollfd *p)
{
	char bytes[512];
	ssize_t len = recv(p->fd, bytes, sizeof(bytes), 0);

	if (len > 0 && send(p->fd, bytes, (size_t)len, MSG_NOSIGNAL) == len)
		return;
	close(p->fd);
	p->fd = -1;
}

static void far_run(int ready)
{
	enum { PORTS = ARRAY_LEN(far_ports), STREAMS = 64 };
	struct pollfd p[2 * PORTS + STREAMS];
	unsigned next = 0;

	for (unsigned i = 0; i < ARRAY_LEN(p); i++)
		p[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	for (unsigned i = 0; i < PORTS; i++) {
		p[i].fd = far_listen(far_ports[i], SOCK_DGRAM);
		p[PORTS + i].fd = far_listen(far_ports[i], SOCK_STREAM);
	}
	close(ready);
	for (;;) {
		poll(p, ARRAY_LEN(p), -1);
		for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
			struct pollfd *s = &p[2 * PORTS + next];

			if (!(p[i].revents & (POLLIN | POLLHUP | POLLERR)))
				continue;
			if (i < PORTS) {
				far_datagram(p[i].fd, far_ports[i]);
			} else if (i < 2 * PORTS) {
				if (s->fd >= 0)
					close(s->fd);
				s->fd = accept(p[i].fd, NULL, NULL);
				next = (next + 1) % STREAMS;
			} else {
				far_stream(&p[i]);
			}
		}
	}
}

static void enter_peer(void)
{
	char path[64];
	int ns;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", peer);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		_exit(99);
}

static pid_t far_start(void)
{
	int ready[2];
	char none;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		enter_peer();
		far_run(ready[1]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &none, 1), 0);
	close(ready[0]);
	return pid;
}

/* sockets here */

static int sock(uint32_t mark, uint8_t family, int type)
{
	struct timeval wait = { .tv_sec = WAIT_MS / 1000 };
	int fd = socket(family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	if (mark)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

static uint32_t mark_of(uint32_t actor)
{
	return actor == OUTSIDE ? 0 : instance_mark(&main_one, actor);
}

static int connect_to(int fd, const char *to, uint16_t port)
{
	struct addr a = addr_of(to);
	struct sockaddr_storage at;
	size_t len = addr_to_sockaddr(&a, port, &at);

	return connect(fd, (struct sockaddr *)&at, (socklen_t)len) < 0 ? -errno : 0;
}

static int bind_to(int fd, const char *to, uint16_t port)
{
	struct addr a = addr_of(to);
	struct sockaddr_storage at;
	size_t len = addr_to_sockaddr(&a, port, &at);
	int one = 1;

	if (a.family == 6)
		setsockopt(fd, IPPROTO_IPV6, FREEBIND6, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&at, (socklen_t)len) < 0 ? -errno : 0;
}

static int exchange(int fd)
{
	char bytes[8] = "";

	if (send(fd, "hello", 5, MSG_NOSIGNAL) < 0)
		return -errno;
	if (recv(fd, bytes, sizeof(bytes), 0) < 0)
		return -errno;
	return strcmp(bytes, "hello") == 0 ? 0 : -EBADMSG;
}

/* connect, say hello, hear it back */
static int talk_marked(uint32_t mark, int type, const char *to, uint16_t port)
{
	int fd = sock(mark, addr_of(to).family, type);
	int r = connect_to(fd, to, port);

	if (r == 0)
		r = exchange(fd);
	close(fd);
	return r;
}

static int talk(uint32_t actor, int type, const char *to, uint16_t port)
{
	return talk_marked(mark_of(actor), type, to, port);
}

static struct nft_element pass(uint32_t actor, const char *to)
{
	return (struct nft_element){ .set = NFT_PASS, .actor = actor, .addr = addr_of(to),
		.timeout_ms = LONG_MS };
}

static void put(const struct nft_element *el)
{
	assert_int_equal(fixture_change(&f, NFT_PUT, el), 0);
}

static void take(const struct nft_element *el)
{
	assert_int_equal(fixture_change(&f, NFT_TAKE, el), 0);
}

static int setup(void **state)
{
	(void)state;
	fixture_begin(&f, &main_one);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scratch_run("nft delete table inet watch 2>/dev/null", NULL);
	scratch_run("nft delete table inet other 2>/dev/null", NULL);
	fixture_end(&f, true);
	return 0;
}

static void open_table(void)
{
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
}

/* the private listener */

struct listener {
	int udp, tcp;
};

static struct listener listener_open(uint8_t family)
{
	struct addr at = instance_listener(&main_one, family);
	char text[ADDR_TEXT_MAX];
	struct listener l = { sock(mark_of(ACTOR_SELF), family, SOCK_DGRAM),
		sock(mark_of(ACTOR_SELF), family, SOCK_STREAM) };

	addr_text(&at, text);
	assert_int_equal(bind_to(l.udp, text, 53), 0);
	assert_int_equal(bind_to(l.tcp, text, 53), 0);
	assert_int_equal(listen(l.tcp, 64), 0);
	return l;
}

static void listener_close(struct listener *l)
{
	close(l->udp);
	close(l->tcp);
}

static uint32_t actor_of(const struct sockaddr_storage *from)
{
	struct addr a;
	uint16_t port;

	assert_int_equal(addr_from_sockaddr((const struct sockaddr *)from, &a, &port), 0);
	return instance_actor(&main_one, &a);
}

/* one query by a connected socket: the listener sees who asks, the asker hears an answer
 * from the server it asked */
static void ask_udp(const struct listener *l, uint32_t actor, const char *server)
{
	int fd = sock(mark_of(actor), addr_of(server).family, SOCK_DGRAM);
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	char bytes[16];

	print_message("udp, actor %u to %s\n", actor, server);
	assert_int_equal(connect_to(fd, server, 53), 0);
	assert_int_equal(send(fd, "query", 5, 0), 5);
	assert_int_equal(recvfrom(l->udp, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n),
		5);
	assert_int_equal(actor_of(&from), actor);
	assert_int_equal(sendto(l->udp, "answer", 6, 0, (struct sockaddr *)&from, n), 6);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 6);
	close(fd);
}

static void ask_tcp(const struct listener *l, uint32_t actor, const char *server)
{
	int fd = sock(mark_of(actor), addr_of(server).family, SOCK_STREAM), got;
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	char bytes[16];

	print_message("tcp, actor %u to %s\n", actor, server);
	assert_int_equal(connect_to(fd, server, 53), 0);
	got = accept(l->tcp, (struct sockaddr *)&from, &n);
	assert_true(got >= 0);
	assert_int_equal(actor_of(&from), actor);
	assert_int_equal(send(fd, "query", 5, 0), 5);
	assert_int_equal(recv(got, bytes, sizeof(bytes), 0), 5);
	assert_int_equal(send(got, "answer", 6, 0), 6);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 6);
	close(fd);
	close(got);
}

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
	f.conf.default_allow = true;
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
	assert_int_equal(fixture_open(&f, &el, 1), 0);
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
	nft_close(f.nft);
	f.conf.default_in_allow = true;
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
	f.conf.default_in_allow = true;
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

/* a server here that answers one connection */
static int serve(uint32_t actor, const char *at, uint16_t port)
{
	int fd = sock(mark_of(actor), addr_of(at).family, SOCK_STREAM);

	assert_int_equal(bind_to(fd, at, port), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
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
	return talk_marked(0, SOCK_STREAM, arg, 7200) == 0 ? 0 : 1;
}

static bool reached(const char *at)
{
	int listening = serve(SERVER, at, 7200), got = -1;
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

static void inbound_by_default(void **state)
{
	struct nft_element in = { .set = NFT_INBOUND, .actor = SERVER };

	(void)state;
	f.conf.default_in_allow = true;
	open_table();
	assert_true(reached(HERE4));
	put(&in);
	assert_false(reached(HERE4));
	assert_false(reached(HERE6));
}

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

static unsigned counted(const char *what)
{
	char command[256];
	unsigned packets = 0;
	FILE *p;

	snprintf(command, sizeof(command),
		"nft list counter inet watch %s | sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'", what);
	p = popen(command, "r");
	if (!p || fscanf(p, "%u", &packets) != 1)
		packets = 999999;
	if (p)
		pclose(p);
	return packets;
}

static void need_nft(void)
{
	if (scratch_has("nft"))
		return;
	print_message("skipped: no nft command to watch with\n");
	skip();
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

static void refusals_are_logged(void **state)
{
	struct nft_element no = pass(CURL, FAR6);
	struct heard h = { 0 };
	struct nflog *log;

	(void)state;
	open_table();
	assert_int_equal(nflog_open(&f.loop, &main_one, on_refused, &h, &log), 0);
	assert_int_equal(talk(WGET, SOCK_STREAM, FAR4, ECHO_PORT), -ECONNREFUSED);
	while (h.n < 1)
		uv_run(&f.loop, UV_RUN_ONCE);
	assert_int_equal(h.last.actor, WGET);
	assert_string_equal(h.last.why, "default");
	assert_int_equal(h.last.dport, ECHO_PORT);
	assert_false(h.last.inbound);
	no.set = NFT_REFUSE;
	put(&no);
	assert_int_equal(talk(CURL, SOCK_DGRAM, FAR6, ECHO_PORT), -EPERM);
	while (h.n < 2)
		uv_run(&f.loop, UV_RUN_ONCE);
	assert_int_equal(h.last.actor, CURL);
	assert_string_equal(h.last.why, "refuse");
	assert_int_equal(h.last.proto, IPPROTO_UDP);
	assert_false(reached(HERE4));
	while (h.n < 3)
		uv_run(&f.loop, UV_RUN_ONCE);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dns_comes_to_us),
		TEST(same_port_other_actor),
		TEST(live_redirect_catches_nobody_else),
		TEST(dns_exempt_and_bound),
		TEST(pass_is_one_actors),
		TEST(which_wins),
		TEST(default_allow),
		TEST(flow_outlives_element),
		TEST(older_than_the_table),
		TEST(flow_lives_through_a_new_table),
		TEST(flow_is_not_inherited),
		TEST(local_destinations),
		TEST(inbound),
		TEST(inbound_by_default),
		TEST(listener_guards),
		TEST(stamped),
		TEST(foreign_ct_mark),
		TEST(gone_askers),
		TEST(new_flow_cap),
		TEST(refusals_are_logged),
		TEST(factory),
		TEST(neighbour_discovery),
		TEST(kernel_resets_stay_here),
	};
	const char *why;
	pid_t far;
	int r;

	if (!scratch_net(&why)) {
		printf("skipped: %s\n", why);
		return SCRATCH_SKIPPED;
	}
	peer = scratch_peer();
	if (peer < 0) {
		printf("skipped: no ip command, or no veth pair\n");
		return SCRATCH_SKIPPED;
	}
	far = far_start();
	r = cmocka_run_group_tests(tests, NULL, NULL);
	kill(far, SIGKILL);
	waitpid(far, NULL, 0);
	scratch_peer_end(peer);
	return r;
}
