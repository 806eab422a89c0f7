/* SPDX-License-Identifier: GPL-2.0-or-later
 * Opening sockets on port 53 needs CAP_NET_BIND_SERVICE, SO_MARK and SO_RCVBUFFORCE
 * CAP_NET_ADMIN; serving them needs nothing. */
#include "resolver/listener.h"

#include "base/clock.h"
#include "base/macros.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

/* A full queue makes a client believe in a connection that waits for seconds. The kernel
 * takes net.core.somaxconn where that is less. */
enum { SOCKET_BUFFER = 16 << 20, BACKLOG = 4096 };

static void listener_maybe_free(struct listener *l)
{
	if (!l->closed || l->handles || l->waiting)
		return;
	while (l->free) {
		struct box *b = l->free;

		l->free = b->next;
		free(b);
	}
	free(l->udp.out);
	free(l);
}

void listener_handle_gone(struct listener *l)
{
	l->handles--;
	listener_maybe_free(l);
}

static void on_closed(uv_handle_t *h)
{
	listener_handle_gone(h->data);
}

void listener_handle(struct listener *l, uv_handle_t *h)
{
	h->data = l;
	l->handles++;
}

void listener_handle_close(uv_handle_t *h)
{
	uv_close(h, on_closed);
}

struct box *box_get(struct listener *l)
{
	struct box *b = l->free;

	if (b) {
		l->free = b->next;
		l->nfree--;
		return b;
	}
	return malloc(sizeof(*b));
}

void box_put(struct listener *l, struct box *b)
{
	if (!b)
		return;
	if (l->nfree >= BOXES_KEPT) {
		free(b);
		return;
	}
	b->next = l->free;
	l->free = b;
	l->nfree++;
}

bool box_take(struct listener *l, struct box *b, uint8_t reply[static WIRE_UDP_MIN],
	size_t *len)
{
	struct dns_query *q = &b->pub;
	enum rcode rcode;
	int r;

	*len = 0;
	if (wire_query_read(q->msg, q->len, &q->q, &rcode) < 0) {
		l->stats.malformed++;
		return false;
	}
	if (rcode != RCODE_NOERROR) {
		l->stats.malformed++;
		r = wire_error(&q->q, q->msg, q->len, rcode, EDE_NONE, NULL, reply,
			WIRE_UDP_MIN);
		*len = r > 0 ? (size_t)r : 0;
		return false;
	}
	if (l->waiting >= l->max_waiting) {
		l->stats.dropped++;
		return false;
	}
	q->listener = l;
	q->user = NULL;
	l->waiting++;
	l->stats.queries++;
	l->stats.tcp += q->tcp;
	l->take(l->ctx, q);
	return true;
}

static struct box *box_of(struct dns_query *q)
{
	return container_of(q, struct box, pub);
}

static void query_end(struct dns_query *q)
{
	struct listener *l = q->listener;
	struct box *b = box_of(q);

	if (q->tcp)
		tcp_ended(b);
	box_put(l, b);
	l->waiting--;
	listener_maybe_free(l);
}

size_t query_room(const struct dns_query *q)
{
	return q->tcp ? WIRE_MAX : MIN(q->q.udp_size, WIRE_UDP_MAX);
}

void query_reply(struct dns_query *q, const uint8_t *msg, size_t len)
{
	assert(len <= query_room(q));
	if (q->tcp)
		tcp_reply(box_of(q), msg, len);
	else if (!q->listener->closed)
		udp_reply(q->listener, box_of(q), msg, len);
	query_end(q);
}

void query_drop(struct dns_query *q)
{
	q->listener->stats.dropped++;
	query_end(q);
}

int listener_open(struct uv_loop_s *loop, const int fds[static 2], size_t max_waiting,
	listener_take take, void *ctx, struct listener **out)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	struct listener *l = calloc(1, sizeof(*l));
	uint16_t port;
	int r;

	if (!l)
		return -ENOMEM;
	l->loop = loop;
	l->take = take;
	l->ctx = ctx;
	l->max_waiting = max_waiting;
	r = getsockname(fds[0], (struct sockaddr *)&at, &len) < 0 ? -errno :
		addr_from_sockaddr((struct sockaddr *)&at, &l->at, &port);
	if (r == 0)
		r = udp_open(l, fds[0]);
	if (r == 0)
		r = tcp_open(l, fds[1]);
	if (r < 0) {
		listener_close(l);
		return r;
	}
	*out = l;
	return 0;
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	l->closed = true;
	l->handles++; /* so that it outlives the next two */
	udp_close(l);
	tcp_close(l);
	l->handles--;
	listener_maybe_free(l);
}

struct addr listener_addr(const struct listener *l)
{
	return l->at;
}

void listener_stats(const struct listener *l, struct listener_stats *out)
{
	*out = l->stats;
	out->waiting = l->waiting;
	out->conns = l->tcp.nconns;
}

static int option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* as far as the system lets us */
static void buffers_set(int fd)
{
	if (option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER) < 0)
		option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	if (option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER) < 0)
		option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
}

static int socket_set(int fd, int type, uint8_t family, uint32_t mark)
{
	int r = 0;

	if (family == 6) {
		r = option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if (r == 0)
			r = option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	}
	if (r == 0 && mark)
		r = option(fd, SOL_SOCKET, SO_MARK, (int)mark);
	if (r == 0 && type == SOCK_STREAM) /* old connections must not bar a restart */
		r = option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && type == SOCK_DGRAM)
		buffers_set(fd);
	return r;
}

static int socket_open(const struct addr *at, uint16_t port, uint32_t mark, int type)
{
	struct sockaddr_storage sa;
	socklen_t len = (socklen_t)addr_to_sockaddr(at, port, &sa);
	int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = socket_set(fd, type, at->family, mark);
	if (r == 0 && bind(fd, (struct sockaddr *)&sa, len) < 0)
		r = -errno;
	if (r == 0 && type == SOCK_STREAM && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int listener_sockets(const struct addr *at, uint16_t port, uint32_t mark, int out[static 2])
{
	int udp = socket_open(at, port, mark, SOCK_DGRAM), tcp;

	if (udp < 0)
		return udp;
	tcp = socket_open(at, port, mark, SOCK_STREAM);
	if (tcp < 0) {
		close(udp);
		return tcp;
	}
	out[0] = udp;
	out[1] = tcp;
	return 0;
}
