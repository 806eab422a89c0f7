/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. The kernel writes up to UDP_BATCH queries straight into boxes, one
 * system call for all. A box that was given away is replaced before, so that the next call
 * finds all places taken. Replies are copied into a row that is sent when it is full, after
 * each batch, and before the loop sleeps. Those of one length to one socket, as a forwarder
 * or a busy program gets them, are one message to the kernel. */
#include "resolver/listener.h"

#include "base/clock.h"
#include "base/macros.h"

#include <errno.h>
#include <netinet/udp.h>
#include <sys/socket.h>

enum {
	BATCHES = 4, /* per event, then others have their turn */
	SEGMENTS_BYTES = 60000, /* of one message; the kernel takes 64 segments at least */
};

struct udp_out {
	union peer peer;
	socklen_t peer_len;
	size_t len;
	uint8_t bytes[WIRE_UDP_MAX];
};

/* What of the row goes out by one system call: a message for each reply, or one for all of
 * the same length to one socket, which the kernel takes apart again where it is delivered
 * (UDP_SEGMENT): so it goes only once through the rules and translations on the way. */
struct sending {
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iov[UDP_BATCH]; /* those of a message side by side */
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control[UDP_BATCH];
	unsigned n, niov;
};

static bool same_way(const struct udp_out *a, const struct udp_out *b)
{
	return a->len == b->len && a->peer_len == b->peer_len &&
		memcmp(&a->peer, &b->peer, a->peer_len) == 0;
}

static void segments_set(struct msghdr *m, void *control, size_t room, size_t len)
{
	const uint16_t size = (uint16_t)len;
	struct cmsghdr *c;

	m->msg_control = control;
	m->msg_controllen = room;
	c = CMSG_FIRSTHDR(m);
	*c = (struct cmsghdr){ .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT,
		.cmsg_len = CMSG_LEN(sizeof(size)) };
	memcpy(CMSG_DATA(c), &size, sizeof(size));
}

/* a message for the reply at first and, if they may go together, its like behind it */
static void message_add(struct sending *s, struct udp *u, unsigned first, uint64_t *done)
{
	struct udp_out *o = &u->out[first];
	unsigned from = s->niov, n = s->n++;
	struct msghdr *m = &s->msgs[n].msg_hdr;
	size_t bytes = 0;

	for (unsigned i = first; i < u->nout; i++) {
		if ((*done >> i & 1) || !same_way(o, &u->out[i]) ||
			bytes + o->len > SEGMENTS_BYTES)
			continue;
		*done |= (uint64_t)1 << i;
		bytes += o->len;
		s->iov[s->niov++] = (struct iovec){ u->out[i].bytes, o->len };
	}
	*m = (struct msghdr){ .msg_name = &o->peer, .msg_namelen = o->peer_len,
		.msg_iov = &s->iov[from], .msg_iovlen = s->niov - from };
	if (m->msg_iovlen > 1)
		segments_set(m, &s->control[n], sizeof(s->control[n]), o->len);
}

static void sending_fill(struct sending *s, struct udp *u)
{
	uint64_t done = 0;

	s->n = 0;
	s->niov = 0;
	for (unsigned i = 0; i < u->nout; i++)
		if (!(done >> i & 1))
			message_add(s, u, i, &done);
}

/* The way to this peer takes no segments: a device without checksums (EIO), or so short a
 * packet's room (EINVAL) that the replies go as fragments. */
static bool segments_refused(const struct msghdr *m, int error)
{
	return m->msg_iovlen > 1 && (error == EIO || error == EINVAL);
}

/* the replies of m one by one */
static void send_singly(struct listener *l, const struct msghdr *m)
{
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		const struct iovec *v = &m->msg_iov[i];

		if (sendto(l->udp.fd, v->iov_base, v->iov_len, MSG_DONTWAIT, m->msg_name,
			m->msg_namelen) < 0)
			l->stats.unsent++;
	}
}

static void udp_flush(struct listener *l)
{
	struct udp *u = &l->udp;
	struct sending s;
	unsigned sent = 0;

	sending_fill(&s, u);
	while (sent < s.n) {
		int n = sendmmsg(u->fd, s.msgs + sent, s.n - sent, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) { /* the first one's fault: without it */
			const struct msghdr *m = &s.msgs[sent].msg_hdr;

			if (segments_refused(m, errno))
				send_singly(l, m);
			else
				l->stats.unsent += m->msg_iovlen;
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
	b->pub.batch = l->udp.batch;
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
	u->batch++;
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
