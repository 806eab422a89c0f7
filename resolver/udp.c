/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. The kernel writes up to UDP_BATCH queries straight into boxes, one
 * system call for all. A box that was given away is replaced before, so that the next call
 * finds all places taken. Replies are copied into a row that is sent when it is full, after
 * each batch, and before the loop sleeps. */
#include "resolver/listener.h"

#include "base/clock.h"
#include "base/macros.h"

#include <errno.h>
#include <sys/socket.h>

enum { BATCHES = 4 }; /* per event, then others have their turn */

struct udp_out {
	union peer peer;
	socklen_t peer_len;
	size_t len;
	uint8_t bytes[WIRE_UDP_MAX];
};

static void udp_flush(struct listener *l)
{
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct udp *u = &l->udp;
	unsigned sent = 0;

	for (unsigned i = 0; i < u->nout; i++) {
		struct udp_out *o = &u->out[i];

		iov[i] = (struct iovec){ o->bytes, o->len };
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = &o->peer,
			.msg_namelen = o->peer_len, .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	while (sent < u->nout) {
		int n = sendmmsg(u->fd, msgs + sent, u->nout - sent, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) { /* the first one's fault: without it */
			l->stats.unsent++;
			n = 1;
		}
		sent += (unsigned)n;
	}
	u->nout = 0;
}

static void on_prepare(uv_prepare_t *h)
{
	struct listener *l = h->data;

	if (l->udp.nout)
		udp_flush(l);
}

static void out_add(struct listener *l, const struct box *b, const uint8_t *msg, size_t len)
{
	struct udp *u = &l->udp;
	struct udp_out *o = &u->out[u->nout++];

	memcpy(&o->peer, &b->peer, b->peer_len);
	o->peer_len = b->peer_len;
	o->len = len;
	memcpy(o->bytes, msg, len);
	if (u->nout == UDP_BATCH)
		udp_flush(l);
}

void udp_reply(struct listener *l, const struct box *b, const uint8_t *msg, size_t len)
{
	out_add(l, b, msg, len);
}

static void place_set(struct udp *u, unsigned i)
{
	struct box *b = u->in[i];

	u->iov[i] = (struct iovec){ b->bytes, sizeof(b->bytes) };
	u->msgs[i].msg_hdr = (struct msghdr){ .msg_name = &b->peer,
		.msg_namelen = sizeof(b->peer), .msg_iov = &u->iov[i], .msg_iovlen = 1 };
}

/* the box in place i has a query in it */
static void udp_query(struct listener *l, unsigned i, int64_t now_us)
{
	struct box *b = l->udp.in[i], *fresh = box_get(l);
	uint8_t reply[WIRE_UDP_MIN];
	size_t len;

	b->peer_len = l->udp.msgs[i].msg_hdr.msg_namelen;
	b->pub.len = l->udp.msgs[i].msg_len;
	if (!fresh || addr_from_sockaddr(&b->peer.sa, &b->pub.source,
		&b->pub.source_port) < 0) {
		l->stats.dropped++;
		box_put(l, fresh);
		return;
	}
	l->udp.in[i] = fresh;
	b->pub.tcp = false;
	b->pub.came_us = now_us;
	b->pub.msg = b->bytes;
	if (box_take(l, b, reply, &len))
		return;
	if (len)
		out_add(l, b, reply, len);
	box_put(l, b);
}

static int udp_batch(struct listener *l)
{
	struct udp *u = &l->udp;
	int n = recvmmsg(u->fd, u->msgs, UDP_BATCH, MSG_DONTWAIT, NULL);
	int64_t now_us;

	if (n <= 0)
		return 0;
	now_us = clock_boot_us();
	for (int i = 0; i < n && !l->closed; i++) {
		udp_query(l, (unsigned)i, now_us);
		if (!l->closed)
			place_set(u, (unsigned)i);
	}
	return n;
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct listener *l = h->data;

	(void)status;
	(void)events;
	for (int i = 0; i < BATCHES && !l->closed; i++) {
		int n = udp_batch(l);

		if (l->udp.nout && !l->closed)
			udp_flush(l);
		if (n < UDP_BATCH)
			break;
	}
}

int udp_open(struct listener *l, int fd)
{
	struct udp *u = &l->udp;
	int r;

	u->fd = fd;
	u->out = calloc(UDP_BATCH, sizeof(*u->out));
	if (!u->out)
		return -ENOMEM;
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		u->in[i] = box_get(l);
		if (!u->in[i])
			return -ENOMEM;
		place_set(u, i);
	}
	r = uv_poll_init(l->loop, &u->poll, fd);
	if (r < 0)
		return r;
	listener_handle(l, (uv_handle_t *)&u->poll);
	r = uv_poll_start(&u->poll, UV_READABLE, on_readable);
	if (r < 0)
		return r;
	r = uv_prepare_init(l->loop, &u->flush);
	if (r < 0)
		return r;
	listener_handle(l, (uv_handle_t *)&u->flush);
	uv_unref((uv_handle_t *)&u->flush);
	return uv_prepare_start(&u->flush, on_prepare);
}

void udp_close(struct listener *l)
{
	struct udp *u = &l->udp;

	if (u->nout)
		udp_flush(l);
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		box_put(l, u->in[i]);
		u->in[i] = NULL;
	}
	if (u->poll.data) {
		uv_poll_stop(&u->poll);
		listener_handle_close((uv_handle_t *)&u->poll);
	}
	if (u->flush.data)
		listener_handle_close((uv_handle_t *)&u->flush);
}
