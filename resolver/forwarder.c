/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/forwarder.h"
#include "resolver/name.h"
#include "resolver/record.h"

#include "base/list.h"
#include "base/macros.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <uv.h>

enum { WAITING_MAX = 1024, QUERY_MAX = 4096, QUESTION_MAX = 255 + 4,
	DATAGRAM_MAX = 65507, SECRET_BYTES = FORWARDER_SECRET_LEN / 2 };

struct errand {
	struct list_node node;
	struct forwarder *owner;
	struct exchange *exchange;
	struct sockaddr_in from;
	struct wire_query q;
	uint8_t query[WIRE_HEAD + QUESTION_MAX];
};

struct forwarder {
	uv_poll_t poll;
	struct upstreams *to;
	struct list errands;
	int fd;
	uint16_t port;
	char secret[FORWARDER_SECRET_LEN + 1];
};

static bool same_secret(const uint8_t *a, const char *b, size_t n)
{
	uint8_t differs = 0;

	for (size_t i = 0; i < n; i++)
		differs |= a[i] ^ (uint8_t)b[i];
	return differs == 0;
}

bool forwarder_has_secret(const uint8_t *msg, size_t len, const char *secret)
{
	struct record opt = { 0 };
	const uint8_t *value;
	uint16_t n;

	if (opt_find(msg, len, &opt) < 0 || opt.type != TYPE_OPT)
		return false;
	value = opt_option(msg, &opt, FORWARDER_OPTION, &n);
	return value && n == FORWARDER_SECRET_LEN && same_secret(value, secret, n);
}

static void errand_free(struct errand *e)
{
	list_remove(&e->owner->errands, &e->node);
	free(e);
}

static void answer(struct errand *e, const uint8_t *msg, size_t len)
{
	uint8_t id[2] = { (uint8_t)(e->q.id >> 8), (uint8_t)e->q.id };
	struct iovec part[2] = { { id, 2 }, { (void *)(msg + 2), len - 2 } };
	struct msghdr m = { .msg_name = &e->from, .msg_namelen = sizeof(e->from),
		.msg_iov = part, .msg_iovlen = 2 };

	sendmsg(e->owner->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Without an answer libunbound would hold this way for dead, for all names. */
static void refuse(struct errand *e)
{
	uint8_t out[WIRE_UDP_MIN];
	int n = wire_error(&e->q, e->query, sizeof(e->query), RCODE_SERVFAIL, EDE_NONE, NULL,
		out, sizeof(out));

	if (n > 0)
		answer(e, out, (size_t)n);
}

static void on_exchange(void *ctx, int r, const uint8_t *msg, size_t len)
{
	struct errand *e = ctx;

	if (r == 0 && len >= WIRE_HEAD && len <= DATAGRAM_MAX)
		answer(e, msg, len);
	else
		refuse(e);
	errand_free(e);
}

static int ask(struct errand *e)
{
	const struct upstream_question q = { .name = e->q.name, .type = e->q.type,
		.flags = e->q.flags & WIRE_CD, .dnssec_ok = e->q.dnssec_ok };

	return upstreams_query(e->owner->to, &q, on_exchange, e, &e->exchange);
}

static void take(struct forwarder *f, const uint8_t *msg, size_t len,
	const struct sockaddr_in *from)
{
	struct wire_query q;
	enum rcode rcode;
	struct errand *e;

	if (f->errands.n >= WAITING_MAX || !forwarder_has_secret(msg, len, f->secret) ||
		wire_query_read(msg, len, &q, &rcode) < 0 || rcode != RCODE_NOERROR)
		return;
	e = calloc(1, sizeof(*e));
	if (!e)
		return;
	*e = (struct errand){ .owner = f, .from = *from, .q = q };
	memcpy(e->query, msg, MIN(WIRE_HEAD + q.question_len, sizeof(e->query)));
	list_add(&f->errands, &e->node);
	if (ask(e) < 0) {
		refuse(e);
		errand_free(e);
	}
}

static void on_query(uv_poll_t *h, int status, int events)
{
	struct forwarder *f = container_of(h, struct forwarder, poll);
	uint8_t msg[QUERY_MAX];
	struct sockaddr_in from;

	(void)events;
	if (status < 0)
		return;
	for (unsigned i = 0; i < 64; i++) {
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(f->fd, msg, sizeof(msg), MSG_DONTWAIT | MSG_TRUNC,
			(struct sockaddr *)&from, &from_len);

		if (n < 0)
			return;
		if ((size_t)n <= sizeof(msg))
			take(f, msg, (size_t)n, &from);
	}
}

static int socket_open(uint32_t mark, uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	const int big = 1 << 20;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	if ((mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0) ||
		bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*port = ntohs(at.sin_port);
	return fd;
}

static int secret_make(char out[static FORWARDER_SECRET_LEN + 1])
{
	uint8_t bytes[SECRET_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct forwarder *f = container_of((uv_poll_t *)h, struct forwarder, poll);

	close(f->fd);
	free(f);
}

int forwarder_open(struct uv_loop_s *loop, struct upstreams *to, uint32_t mark,
	struct forwarder **out)
{
	struct forwarder *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->to = to;
	r = secret_make(f->secret);
	f->fd = r < 0 ? r : socket_open(mark, &f->port);
	if (f->fd >= 0)
		r = uv_poll_init(loop, &f->poll, f->fd);
	if (f->fd < 0 || r < 0) {
		r = f->fd < 0 ? f->fd : r;
		if (f->fd >= 0)
			close(f->fd);
		free(f);
		return r;
	}
	uv_poll_start(&f->poll, UV_READABLE, on_query);
	*out = f;
	return 0;
}

void forwarder_close(struct forwarder *f)
{
	if (!f)
		return;
	while (f->errands.oldest)
		errand_free(container_of(f->errands.oldest, struct errand, node));
	uv_poll_stop(&f->poll);
	uv_close((uv_handle_t *)&f->poll, on_closed);
}

uint16_t forwarder_port(const struct forwarder *f)
{
	return f->port;
}

const char *forwarder_secret(const struct forwarder *f)
{
	return f->secret;
}
