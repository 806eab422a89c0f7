/* SPDX-License-Identifier: GPL-2.0-or-later
 * DNS over TCP (RFC 7766): queries may follow each other unanswered, and replies leave as
 * they come.
 *
 * Theory of operation. A connection is read while it has few queries under way and little
 * unsent; so a peer that does not read is not read from. Its fd is closed at once, its
 * memory lives until its handle is closed and its last query is back. Bounded in number:
 * a new one pushes out the one idle for longest. What has not moved for IDLE_MS is closed,
 * unless we owe it an answer. */
#include "resolver/listener.h"

#include "base/clock.h"
#include "base/macros.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
	CONNS_MAX = 256,
	CONN_QUERIES = 64,
	CONN_UNSENT_PAUSE = 64 << 10,
	CONN_UNSENT_MAX = 1 << 20,
	IDLE_MS = 10000,
	TICK_MS = 1000,
	ACCEPTS = 16,
};

struct conn {
	uv_poll_t poll;
	struct listener *l;
	struct conn *newer, *older;
	int fd;
	int events;               /* what is polled for */
	int64_t moved_ms;
	unsigned waiting;
	bool closed, done;        /* done: its handle is closed */
	bool eof;                 /* no more will come */
	bool parsing;             /* conn_messages() is on the stack */
	struct addr source;
	uint16_t source_port;
	size_t in_len;
	uint8_t in[2 + QUERY_MAX];
	uint8_t *out;
	size_t out_at, out_len, out_room;
};

static void order_remove(struct conn *c)
{
	struct tcp *t = &c->l->tcp;

	*(c->newer ? &c->newer->older : &t->newest) = c->older;
	*(c->older ? &c->older->newer : &t->oldest) = c->newer;
}

static void order_add(struct conn *c)
{
	struct tcp *t = &c->l->tcp;

	c->newer = NULL;
	c->older = t->newest;
	*(t->newest ? &t->newest->newer : &t->oldest) = c;
	t->newest = c;
}

static void conn_moved(struct conn *c)
{
	c->moved_ms = clock_boot_ms();
	order_remove(c);
	order_add(c);
}

static void conn_maybe_free(struct conn *c)
{
	if (!c->done || c->waiting)
		return;
	free(c->out);
	free(c);
}

static void on_conn_closed(uv_handle_t *h)
{
	struct conn *c = container_of((uv_poll_t *)h, struct conn, poll);
	struct listener *l = c->l;

	c->done = true;
	conn_maybe_free(c);
	listener_handle_gone(l);
}

static void conn_close(struct conn *c)
{
	if (c->closed)
		return;
	c->closed = true;
	order_remove(c);
	c->l->tcp.nconns--;
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, on_conn_closed);
	close(c->fd);
	c->fd = -1;
}

static size_t unsent(const struct conn *c)
{
	return c->out_len - c->out_at;
}

static void on_conn(uv_poll_t *h, int status, int events);

/* polls for what the connection is ready for; ends it when nothing is left to do */
static void conn_poll(struct conn *c)
{
	bool more = c->waiting < CONN_QUERIES && unsent(c) < CONN_UNSENT_PAUSE;
	int events = (more && !c->eof ? UV_READABLE : 0) | (unsent(c) ? UV_WRITABLE : 0);

	if (c->closed)
		return;
	if (c->eof && c->waiting == 0 && unsent(c) == 0) {
		conn_close(c);
		return;
	}
	if (events == c->events)
		return;
	c->events = events;
	if (events == 0)
		uv_poll_stop(&c->poll);
	else if (uv_poll_start(&c->poll, events, on_conn) < 0)
		conn_close(c);
}

static bool out_grow(struct conn *c, size_t more)
{
	size_t room = c->out_room ? c->out_room : 4096;
	uint8_t *out;

	if (c->out_at) {
		memmove(c->out, c->out + c->out_at, unsent(c));
		c->out_len -= c->out_at;
		c->out_at = 0;
	}
	if (c->out_len + more > CONN_UNSENT_MAX)
		return false;
	while (room < c->out_len + more)
		room *= 2;
	if (room == c->out_room)
		return true;
	out = realloc(c->out, room);
	if (!out)
		return false;
	c->out = out;
	c->out_room = room;
	return true;
}

static bool out_keep(struct conn *c, const struct iovec iov[static 2], size_t sent)
{
	size_t skip = sent;

	if (!out_grow(c, iov[0].iov_len + iov[1].iov_len - sent))
		return false;
	for (int i = 0; i < 2; i++) {
		size_t n = iov[i].iov_len, from = MIN(skip, n);

		memcpy(c->out + c->out_len, (uint8_t *)iov[i].iov_base + from, n - from);
		c->out_len += n - from;
		skip -= from;
	}
	return true;
}

static void conn_send(struct conn *c, const uint8_t *msg, size_t len)
{
	uint8_t head[2] = { (uint8_t)(len >> 8), (uint8_t)len };
	struct iovec iov[2] = { { head, 2 }, { (uint8_t *)msg, len } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = 0;

	if (c->closed)
		return;
	if (unsent(c) == 0) {
		n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			c->l->stats.unsent++;
			conn_close(c);
			return;
		}
		n = MAX(n, 0);
	}
	if ((size_t)n < len + 2 && !out_keep(c, iov, (size_t)n)) {
		c->l->stats.unsent++;
		conn_close(c);
		return;
	}
	conn_moved(c);
}

void tcp_reply(struct box *b, const uint8_t *msg, size_t len)
{
	conn_send(b->conn, msg, len);
}

static void conn_query(struct conn *c, const uint8_t *msg, size_t len)
{
	struct listener *l = c->l;
	struct box *b = box_get(l);
	uint8_t reply[WIRE_UDP_MIN];
	size_t reply_len;

	if (!b) {
		l->stats.dropped++;
		return;
	}
	memcpy(b->bytes, msg, len);
	b->conn = c;
	b->pub.tcp = true;
	b->pub.source = c->source;
	b->pub.source_port = c->source_port;
	b->pub.came_us = clock_boot_us();
	b->pub.batch = 0;
	b->pub.msg = b->bytes;
	b->pub.len = len;
	c->waiting++;
	if (box_take(l, b, reply, &reply_len))
		return;
	c->waiting--;
	if (reply_len)
		conn_send(c, reply, reply_len);
	box_put(l, b);
}

/* the length of the whole message at, or -1 */
static int message_at(const struct conn *c, size_t at)
{
	size_t left = c->in_len - at, len;

	if (left < 2)
		return -1;
	len = (size_t)c->in[at] << 8 | c->in[at + 1];
	return len > QUERY_MAX || len <= left - 2 ? (int)len : -1;
}

/* takes the whole messages out of what was read */
static void conn_messages(struct conn *c)
{
	size_t at = 0;
	int len;

	c->parsing = true;
	while (!c->closed && c->waiting < CONN_QUERIES && (len = message_at(c, at)) >= 0) {
		if (len > QUERY_MAX) {
			c->l->stats.malformed++;
			conn_close(c);
			break;
		}
		conn_moved(c);
		conn_query(c, c->in + at + 2, (size_t)len);
		at += 2 + (size_t)len;
	}
	c->parsing = false;
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
}

void tcp_ended(struct box *b)
{
	struct conn *c = b->conn;

	c->waiting--;
	if (c->parsing)
		return; /* on_conn sees to the rest */
	if (!c->closed)
		conn_messages(c); /* those that had to wait */
	conn_poll(c);
	conn_maybe_free(c);
}

static void conn_read(struct conn *c)
{
	ssize_t n = 0;

	if (c->in_len < sizeof(c->in)) {
		n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			conn_close(c);
			return;
		}
		c->eof = n == 0;
	}
	c->in_len += (size_t)n;
	conn_messages(c);
}

static void conn_write(struct conn *c)
{
	ssize_t n = send(c->fd, c->out + c->out_at, unsent(c), MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_close(c);
		return;
	}
	c->out_at += (size_t)n;
	conn_moved(c);
	if (unsent(c))
		return;
	free(c->out); /* most replies never need it */
	c->out = NULL;
	c->out_at = c->out_len = c->out_room = 0;
}

static void on_conn(uv_poll_t *h, int status, int events)
{
	struct conn *c = container_of(h, struct conn, poll);

	if (status < 0) {
		conn_close(c);
		return;
	}
	if (events & UV_WRITABLE && unsent(c))
		conn_write(c);
	if (events & UV_READABLE && !c->closed)
		conn_read(c);
	conn_poll(c);
}

/* makes room for another; false when every connection is owed an answer */
static bool conn_evict(struct listener *l)
{
	struct conn *c = l->tcp.oldest;

	while (c && c->waiting)
		c = c->newer;
	if (!c)
		return false;
	conn_close(c);
	return true;
}

static void conn_open(struct listener *l, int fd, const union peer *peer)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c && addr_from_sockaddr(&peer->sa, &c->source, &c->source_port) == 0 &&
		uv_poll_init(l->loop, &c->poll, fd) == 0) {
		int one = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->l = l;
		c->fd = fd;
		c->moved_ms = clock_boot_ms();
		l->handles++;
		l->tcp.nconns++;
		order_add(c);
		conn_poll(c);
		return;
	}
	free(c);
	close(fd);
}

static void on_connection(uv_poll_t *h, int status, int events)
{
	struct listener *l = h->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		union peer peer;
		socklen_t len = sizeof(peer);
		int fd = accept4(l->tcp.fd, &peer.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE) && conn_evict(l))
			continue;
		if (fd < 0)
			return;
		if (l->tcp.nconns >= CONNS_MAX && !conn_evict(l)) {
			l->stats.dropped++;
			close(fd);
			continue;
		}
		conn_open(l, fd, &peer);
	}
}

static void on_tick(uv_timer_t *t)
{
	struct listener *l = t->data;
	int64_t before_ms = clock_boot_ms() - l->tcp.idle_ms;
	struct conn *c = l->tcp.oldest;

	while (c && c->moved_ms <= before_ms) {
		struct conn *newer = c->newer;

		if (c->waiting == 0 || unsent(c))
			conn_close(c);
		c = newer;
	}
}

int tcp_open(struct listener *l, int fd)
{
	struct tcp *t = &l->tcp;
	int r;

	t->fd = fd;
	t->idle_ms = IDLE_MS;
	r = uv_poll_init(l->loop, &t->poll, fd);
	if (r < 0)
		return r;
	listener_handle(l, (uv_handle_t *)&t->poll);
	r = uv_poll_start(&t->poll, UV_READABLE, on_connection);
	if (r < 0)
		return r;
	r = uv_timer_init(l->loop, &t->tick);
	if (r < 0)
		return r;
	listener_handle(l, (uv_handle_t *)&t->tick);
	uv_unref((uv_handle_t *)&t->tick);
	return uv_timer_start(&t->tick, on_tick, TICK_MS, TICK_MS);
}

void tcp_close(struct listener *l)
{
	struct tcp *t = &l->tcp;

	while (t->oldest)
		conn_close(t->oldest);
	if (t->poll.data) {
		uv_poll_stop(&t->poll);
		listener_handle_close((uv_handle_t *)&t->poll);
	}
	if (t->tick.data)
		listener_handle_close((uv_handle_t *)&t->tick);
}
