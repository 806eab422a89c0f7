/* SPDX-License-Identifier: GPL-2.0-or-later
 * listen.c, udp.c and tcp.c with clients on loopback. */
#include "resolver/listener.h"

#include "tests/unit/dns_build.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { HELD_MAX = 512 };

static uv_loop_t loop;

struct fixture {
	struct listener *l;
	int fds[2];
	uint16_t port;
	bool hold;             /* queries are kept instead of answered */
	size_t reply_len;      /* over TCP: a reply of that many bytes */
	unsigned taken;
	struct dns_query last; /* as it came; its pointers are stale */
	struct dns_query *held[HELD_MAX];
	unsigned nheld;
};

static struct fixture f;

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i % 251);
}

static void answer(struct dns_query *q)
{
	static uint8_t big[WIRE_MAX];
	struct addr a = { 4, { 192, 0, 2, 1 } };
	uint8_t out[WIRE_UDP_MAX];
	int n;

	if (q->tcp && f.reply_len) {
		for (size_t i = 2; i < f.reply_len; i++)
			big[i] = pattern(i);
		memcpy(big, q->msg, 2);
		query_reply(q, big, f.reply_len);
		return;
	}
	n = wire_local(&q->q, q->msg, &a, 1, 60, out, query_room(q));
	assert_true(n > 0);
	query_reply(q, out, (size_t)n);
}

static void on_query(void *ctx, struct dns_query *q)
{
	assert_ptr_equal(ctx, &f);
	f.taken++;
	f.last = *q;
	if (f.hold) {
		assert_true(f.nheld < HELD_MAX);
		f.held[f.nheld++] = q;
	} else {
		answer(q);
	}
}

static void start_at(const char *at, size_t max_waiting)
{
	struct addr a;

	memset(&f, 0, sizeof(f));
	assert_int_equal(uv_loop_init(&loop), 0);
	addr_parse(at, &a);
	for (uint16_t port = 20053; port < 21053; port++) {
		int r = listener_sockets(&a, port, 0, f.fds);

		assert_true(r == 0 || r == -EADDRINUSE);
		f.port = port;
		if (r == 0)
			break;
	}
	assert_int_equal(listener_open(&loop, f.fds, max_waiting, on_query, &f, &f.l), 0);
	a = listener_addr(f.l);
	assert_int_equal(a.family, at[0] == ':' ? 6 : 4);
}

static void start(size_t max_waiting)
{
	start_at("127.0.0.1", max_waiting);
}

static void finish(void)
{
	listener_close(f.l);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_true(fcntl(f.fds[0], F_GETFD) >= 0); /* still ours */
	close(f.fds[0]);
	close(f.fds[1]);
}

static int client(const char *at, int type)
{
	struct sockaddr_storage sa;
	struct addr a;
	socklen_t len;
	int fd;

	addr_parse(at, &a);
	len = (socklen_t)addr_to_sockaddr(&a, f.port, &sa);
	fd = socket(sa.ss_family, type, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

/* turns the loop until fd can be read; false: nothing came in twenty seconds */
static bool wait_for(int fd)
{
	for (int i = 0; i < 20000; i++) {
		uint8_t b;
		ssize_t n;

		uv_run(&loop, UV_RUN_NOWAIT);
		n = recv(fd, &b, 1, MSG_PEEK | MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN)
			return true;
		usleep(1000);
	}
	return false;
}

static bool nothing_comes(int fd)
{
	uint8_t b;

	for (int i = 0; i < 20; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	return recv(fd, &b, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static struct build_msg msg;

static void query_make(const char *name, uint16_t id)
{
	dns_start(&msg, WIRE_RD, name, TYPE_A);
	dns_u16_at(&msg.o, 0, id);
}

static void udp_send(int fd)
{
	assert_int_equal(send(fd, msg.bytes, msg.o.len, 0), msg.o.len);
}

/* the id of the reply, which must have rcode */
static uint16_t udp_reply_id(int fd, enum rcode rcode)
{
	uint8_t in[4096];
	ssize_t n;

	assert_true(wait_for(fd));
	n = recv(fd, in, sizeof(in), 0);
	assert_true(n >= WIRE_HEAD);
	assert_int_equal(in[3] & 15, rcode);
	assert_int_equal(in[2] & 0x80, 0x80);
	return (uint16_t)(in[0] << 8 | in[1]);
}

static void udp_is_answered_at(const char *at)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr a;
	uint16_t port;
	int fd;

	start_at(at, 10);
	fd = client(at, SOCK_DGRAM);
	query_make("a.test", 7);
	udp_send(fd);
	assert_int_equal(udp_reply_id(fd, RCODE_NOERROR), 7);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	addr_from_sockaddr((struct sockaddr *)&sa, &a, &port);
	assert_int_equal(addr_cmp(&f.last.source, &a), 0);
	assert_int_equal(f.last.source_port, port);
	assert_false(f.last.tcp);
	assert_true(f.last.came_us > 0);
	assert_string_equal(f.last.q.name, "a.test");
	assert_int_equal(query_room(&f.last), 512);
	close(fd);
	finish();
}

static void udp_is_answered(void **state)
{
	(void)state;
	udp_is_answered_at("127.0.0.1");
	udp_is_answered_at("::1");
}

static void udp_many(void **state)
{
	uint16_t sum = 0;
	int fd;

	(void)state;
	start(10);
	fd = client("127.0.0.1", SOCK_DGRAM);
	for (uint16_t i = 0; i < 150; i++) { /* over two batches */
		query_make("a.test", i);
		udp_send(fd);
	}
	for (int i = 0; i < 150; i++)
		sum = (uint16_t)(sum + udp_reply_id(fd, RCODE_NOERROR));
	assert_int_equal(sum, 149 * 150 / 2);
	assert_int_equal(f.taken, 150);
	close(fd);
	finish();
}

/* Replies of one length to one socket go to the kernel as one message: each must come to
 * its own asker as a datagram of its own, as it was written. */
static void udp_many_of_many(void **state)
{
	static const char *const names[] = { "a.test", "bb.test", "ccc.test" };
	enum { CLIENTS = 3, EACH = 100 };
	uint16_t sum[CLIENTS] = { 0 };
	int fds[CLIENTS];

	(void)state;
	start(10);
	for (int c = 0; c < CLIENTS; c++)
		fds[c] = client("127.0.0.1", SOCK_DGRAM);
	for (uint16_t i = 0; i < CLIENTS * EACH; i++) {
		query_make(names[i / CLIENTS % 3], i);
		udp_send(fds[i % CLIENTS]);
	}
	for (int i = 0; i < CLIENTS * EACH; i++) {
		uint8_t in[4096];
		ssize_t n;
		int c = i % CLIENTS;
		uint16_t id;

		assert_true(wait_for(fds[c]));
		n = recv(fds[c], in, sizeof(in), 0);
		assert_true(n > WIRE_HEAD);
		id = (uint16_t)(in[0] << 8 | in[1]);
		assert_int_equal(id % CLIENTS, c);
		query_make(names[id / CLIENTS % 3], id);
		assert_int_equal(n, msg.o.len + 16); /* one A record more */
		assert_memory_equal(in + WIRE_HEAD, msg.bytes + WIRE_HEAD,
			msg.o.len - WIRE_HEAD);
		sum[c] = (uint16_t)(sum[c] + id / CLIENTS);
	}
	for (int c = 0; c < CLIENTS; c++) {
		assert_int_equal(sum[c], EACH * (EACH - 1) / 2);
		close(fds[c]);
	}
	finish();
}

static void malformed_is_refused_or_dropped(void **state)
{
	struct listener_stats st;
	int fd;

	(void)state;
	start(10);
	fd = client("127.0.0.1", SOCK_DGRAM);
	query_make("a.test", 7);
	assert_int_equal(send(fd, msg.bytes, 15, 0), 15);
	assert_int_equal(udp_reply_id(fd, RCODE_FORMERR), 7);
	msg.bytes[2] = 0x20;
	udp_send(fd);
	assert_int_equal(udp_reply_id(fd, RCODE_NOTIMP), 7);
	msg.bytes[2] = 0x80; /* a response */
	udp_send(fd);
	assert_int_equal(send(fd, msg.bytes, 11, 0), 11);
	assert_int_equal(send(fd, msg.bytes, 0, 0), 0);
	assert_true(nothing_comes(fd));
	listener_stats(f.l, &st);
	assert_int_equal(st.malformed, 5);
	assert_int_equal(st.queries, 0);
	assert_int_equal(f.taken, 0);
	close(fd);
	finish();
}

static void no_more_than_may_wait(void **state)
{
	struct listener_stats st;
	int fd;

	(void)state;
	start(2);
	f.hold = true;
	fd = client("127.0.0.1", SOCK_DGRAM);
	for (uint16_t i = 1; i <= 3; i++) {
		query_make("a.test", i);
		udp_send(fd);
	}
	assert_true(nothing_comes(fd));
	assert_int_equal(f.taken, 2);
	listener_stats(f.l, &st);
	assert_int_equal(st.waiting, 2);
	assert_int_equal(st.dropped, 1);
	answer(f.held[1]); /* outside of any event: leaves before the loop sleeps */
	assert_int_equal(udp_reply_id(fd, RCODE_NOERROR), 2);
	query_drop(f.held[0]);
	udp_send(fd);
	assert_true(nothing_comes(fd));
	assert_int_equal(f.taken, 3);
	query_drop(f.held[2]);
	close(fd);
	finish();
}

static void tcp_send(int fd)
{
	uint8_t len[2] = { (uint8_t)(msg.o.len >> 8), (uint8_t)msg.o.len };

	assert_int_equal(send(fd, len, 2, MSG_MORE | MSG_NOSIGNAL), 2);
	assert_int_equal(send(fd, msg.bytes, msg.o.len, MSG_NOSIGNAL), msg.o.len);
}

/* reads one whole reply, turning the loop; its id, or -1 at the end */
static int tcp_reply_id(int fd, size_t *reply_len)
{
	static uint8_t in[2 + WIRE_MAX];
	size_t have = 0, want = 2;

	while (have < want) {
		ssize_t n;

		assert_true(wait_for(fd));
		n = recv(fd, in + have, want - have, MSG_DONTWAIT);
		if (n <= 0)
			return -1;
		have += (size_t)n;
		if (have == 2)
			want = 2 + (size_t)(in[0] << 8 | in[1]);
	}
	if (reply_len)
		*reply_len = want - 2;
	for (size_t i = 2; f.reply_len && i < want - 2; i++)
		assert_int_equal(in[2 + i], pattern(i));
	return in[2] << 8 | in[3];
}

static void tcp_pipelined(void **state)
{
	int fd;

	(void)state;
	start(10);
	f.hold = true;
	fd = client("127.0.0.1", SOCK_STREAM);
	for (uint16_t i = 1; i <= 3; i++) {
		query_make("a.test", i);
		tcp_send(fd);
	}
	assert_true(nothing_comes(fd));
	assert_int_equal(f.taken, 3);
	assert_true(f.last.tcp);
	assert_int_equal(query_room(&f.last), WIRE_MAX);
	for (int i = 2; i >= 0; i--) { /* whichever is ready first */
		answer(f.held[i]);
		assert_int_equal(tcp_reply_id(fd, NULL), i + 1);
	}
	close(fd);
	finish();
}

static void tcp_byte_by_byte(void **state)
{
	int fd;

	(void)state;
	start(10);
	fd = client("127.0.0.1", SOCK_STREAM);
	query_make("a.test", 9);
	assert_int_equal(send(fd, "", 1, 0), 1);
	assert_int_equal(send(fd, &(uint8_t){ (uint8_t)msg.o.len }, 1, 0), 1);
	for (size_t i = 0; i < msg.o.len; i++) {
		assert_int_equal(f.taken, 0);
		uv_run(&loop, UV_RUN_NOWAIT);
		assert_int_equal(send(fd, msg.bytes + i, 1, 0), 1);
	}
	assert_int_equal(tcp_reply_id(fd, NULL), 9);
	close(fd);
	finish();
}

static void tcp_more_than_may_be_under_way(void **state)
{
	int fd;

	(void)state;
	start(200);
	f.hold = true;
	fd = client("127.0.0.1", SOCK_STREAM);
	for (uint16_t i = 1; i <= 66; i++) {
		query_make("a.test", i);
		tcp_send(fd);
		if (i == 30 || i == 60)
			assert_true(nothing_comes(fd));
	}
	assert_true(nothing_comes(fd));
	assert_int_equal(f.taken, 64); /* the last two were read and wait */
	f.hold = false;
	for (int i = 0; i < 64; i++)
		answer(f.held[i]);
	for (int i = 1; i <= 66; i++)
		assert_true(tcp_reply_id(fd, NULL) > 0);
	close(fd);
	finish();
}

static void tcp_half_closed_is_still_answered(void **state)
{
	int fd;

	(void)state;
	start(200);
	f.hold = true;
	fd = client("127.0.0.1", SOCK_STREAM);
	for (uint16_t i = 1; i <= 100; i++) { /* more than may be under way */
		query_make("a.test", i);
		tcp_send(fd);
	}
	shutdown(fd, SHUT_WR);
	assert_true(nothing_comes(fd));
	assert_int_equal(f.taken, 64);
	f.hold = false;
	for (int i = 0; i < 64; i++)
		answer(f.held[i]);
	for (int i = 1; i <= 100; i++)
		assert_true(tcp_reply_id(fd, NULL) > 0);
	assert_int_equal(f.taken, 100);
	assert_int_equal(tcp_reply_id(fd, NULL), -1); /* and then closed */
	close(fd);
	finish();
}

static void tcp_large_to_a_slow_reader(void **state)
{
	int fd, small = 4096;
	size_t len;

	(void)state;
	start(100);
	f.reply_len = 60000;
	setsockopt(f.fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	fd = client("127.0.0.1", SOCK_STREAM);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (uint16_t i = 1; i <= 12; i++) {
		query_make("a.test", i);
		tcp_send(fd);
	}
	for (int i = 0; i < 20; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	for (int i = 1; i <= 12; i++) {
		assert_int_equal(tcp_reply_id(fd, &len), i);
		assert_int_equal(len, 60000);
	}
	close(fd);
	finish();
}

static void tcp_bad(void **state)
{
	struct listener_stats st;
	int fd;

	(void)state;
	start(10);
	fd = client("127.0.0.1", SOCK_STREAM);
	query_make("a.test", 5);
	msg.o.len = 14;
	tcp_send(fd); /* cut: FORMERR, and the connection goes on */
	assert_int_equal(tcp_reply_id(fd, NULL), 5);
	query_make("a.test", 6);
	tcp_send(fd);
	assert_int_equal(tcp_reply_id(fd, NULL), 6);
	assert_int_equal(send(fd, "\0\0", 2, 0), 2); /* no message at all */
	assert_int_equal(send(fd, "\xff\xff", 2, 0), 2); /* longer than any query */
	assert_int_equal(tcp_reply_id(fd, NULL), -1);
	listener_stats(f.l, &st);
	assert_int_equal(st.malformed, 3);
	assert_int_equal(st.conns, 0);
	close(fd);
	finish();
}

static void tcp_oldest_idle_gives_way(void **state)
{
	struct listener_stats st;
	int fds[257];

	(void)state;
	start(10);
	f.hold = true;
	for (int i = 0; i < 256; i++) {
		fds[i] = client("127.0.0.1", SOCK_STREAM);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	query_make("a.test", 1);
	tcp_send(fds[0]); /* the oldest is owed an answer: not that one */
	assert_true(nothing_comes(fds[0]));
	assert_int_equal(f.nheld, 1);
	f.hold = false;
	for (int i = 1; i < 256; i++) { /* the others are used after it */
		tcp_send(fds[i]);
		assert_int_equal(tcp_reply_id(fds[i], NULL), 1);
	}
	fds[256] = client("127.0.0.1", SOCK_STREAM);
	assert_int_equal(tcp_reply_id(fds[1], NULL), -1);
	listener_stats(f.l, &st);
	assert_int_equal(st.conns, 256);
	answer(f.held[0]);
	assert_int_equal(tcp_reply_id(fds[0], NULL), 1);
	for (int i = 0; i < 257; i++)
		close(fds[i]);
	finish();
}

static void tcp_idle_is_closed(void **state)
{
	int fd, busy;

	(void)state;
	start(10);
	f.hold = true;
	f.l->tcp.idle_ms = 200;
	fd = client("127.0.0.1", SOCK_STREAM);
	busy = client("127.0.0.1", SOCK_STREAM);
	query_make("a.test", 3);
	tcp_send(busy);
	assert_int_equal(send(fd, "\0\30half", 6, 0), 6);
	assert_true(wait_for(fd));
	assert_int_equal(tcp_reply_id(fd, NULL), -1);
	assert_int_equal(f.l->tcp.nconns, 1);
	answer(f.held[0]);
	assert_int_equal(tcp_reply_id(busy, NULL), 3);
	close(fd);
	close(busy);
	finish();
}

static void queries_outlive_their_client_and_listener(void **state)
{
	int udp, tcp, gone;

	(void)state;
	start(10);
	f.hold = true;
	udp = client("127.0.0.1", SOCK_DGRAM);
	tcp = client("127.0.0.1", SOCK_STREAM);
	gone = client("127.0.0.1", SOCK_STREAM);
	query_make("a.test", 1);
	udp_send(udp);
	tcp_send(tcp);
	tcp_send(gone);
	assert_true(nothing_comes(udp));
	assert_int_equal(f.nheld, 3);
	/* reset, not closed: an abort */
	setsockopt(gone, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
		sizeof(struct linger));
	close(gone);
	assert_true(nothing_comes(udp));
	assert_int_equal(f.l->tcp.nconns, 1);
	listener_close(f.l);
	f.l = NULL;
	uv_run(&loop, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < f.nheld; i++)
		answer(f.held[i]); /* goes nowhere, frees */
	assert_true(nothing_comes(udp));
	close(udp);
	close(tcp);
	finish();
}

static void ports_taken(void **state)
{
	struct addr a;
	int fds[2] = { -7, -7 };

	(void)state;
	start(10);
	addr_parse("127.0.0.1", &a);
	assert_int_equal(listener_sockets(&a, f.port, 0, fds), -EADDRINUSE);
	assert_int_equal(fds[0], -7);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_is_answered),
		cmocka_unit_test(udp_many),
		cmocka_unit_test(udp_many_of_many),
		cmocka_unit_test(malformed_is_refused_or_dropped),
		cmocka_unit_test(no_more_than_may_wait),
		cmocka_unit_test(tcp_pipelined),
		cmocka_unit_test(tcp_byte_by_byte),
		cmocka_unit_test(tcp_more_than_may_be_under_way),
		cmocka_unit_test(tcp_half_closed_is_still_answered),
		cmocka_unit_test(tcp_large_to_a_slow_reader),
		cmocka_unit_test(tcp_bad),
		cmocka_unit_test(tcp_oldest_idle_gives_way),
		cmocka_unit_test(tcp_idle_is_closed),
		cmocka_unit_test(queries_outlive_their_client_and_listener),
		cmocka_unit_test(ports_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
