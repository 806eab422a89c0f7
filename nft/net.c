/* SPDX-License-Identifier: GPL-2.0-or-later
 * Needs CAP_NET_ADMIN. */
#include "nft/net.h"

#include "base/macros.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	RECEIVE_ROOM = 1 << 20,
	DUMP_ROOM = 32768, /* the kernel fills no more into one datagram */
	TAIL_ROOM = 64, /* for the end message */
};

static void batch_grow(struct batch *b)
{
	size_t want = b->len + BATCH_MESSAGE_MAX + TAIL_ROOM;
	uint8_t *bytes;

	if (b->error || want <= b->room)
		return;
	if (want > BATCH_MAX) {
		b->error = -E2BIG;
		return;
	}
	want = MAX(want, MIN(b->room * 2, (size_t)BATCH_MAX));
	bytes = realloc(b->bytes, want);
	if (!bytes) {
		b->error = -ENOMEM;
		return;
	}
	b->bytes = bytes;
	b->room = want;
}

void batch_begin(struct batch *b, uint32_t seq)
{
	b->len = 0;
	b->last = 0;
	b->error = 0;
	b->begin = seq;
	b->next = seq + 1;
	batch_grow(b);
	if (b->error)
		return;
	nftnl_batch_begin((char *)b->bytes, seq);
	b->len = MNL_ALIGN(((struct nlmsghdr *)(void *)b->bytes)->nlmsg_len);
}

void batch_done(struct batch *b)
{
	free(b->bytes);
	*b = (struct batch){ 0 };
}

struct nlmsghdr *batch_message(struct batch *b, uint16_t type, uint16_t flags)
{
	batch_grow(b);
	if (b->error)
		return NULL;
	return nftnl_nlmsg_build_hdr((char *)b->bytes + b->len, type, NFPROTO_INET, flags,
		b->next);
}

void batch_add(struct batch *b, const struct nlmsghdr *m)
{
	b->last = b->len;
	b->len += MNL_ALIGN(m->nlmsg_len);
	b->next++;
}

bool batch_empty(const struct batch *b)
{
	return b->last == 0;
}

static void reply_error(struct reply *r, uint32_t seq, int error)
{
	if (error && !r->error) {
		r->error = error;
		r->error_seq = seq;
	}
	if (seq == r->last || (error && seq == r->first))
		r->ended = true;
}

const struct nlmsghdr *reply_next(const void *bytes, size_t len, size_t *at)
{
	const struct nlmsghdr *m = (const void *)((const uint8_t *)bytes + *at);

	if (*at > len || len - *at < sizeof(*m) || m->nlmsg_len < sizeof(*m) ||
		m->nlmsg_len > len - *at)
		return NULL;
	*at += MNL_ALIGN(m->nlmsg_len);
	return m;
}

void reply_read(struct reply *r, const void *bytes, size_t len)
{
	const struct nlmsghdr *m;
	size_t at = 0;

	while ((m = reply_next(bytes, len, &at))) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

		if (m->nlmsg_type != NLMSG_ERROR || m->nlmsg_len < sizeof(*m) + sizeof(*e))
			continue;
		if (e->error > 0 || e->error == INT32_MIN)
			continue;
		if (m->nlmsg_seq - r->first <= r->last - r->first)
			reply_error(r, m->nlmsg_seq, e->error);
	}
}

/* libmnl walks attributes up to the length rounded up: the kernel rounds, others may not */
bool reply_is(const struct nlmsghdr *m, uint16_t type)
{
	return m->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | type) &&
		m->nlmsg_len == MNL_ALIGN(m->nlmsg_len) &&
		m->nlmsg_len >= sizeof(*m) + sizeof(struct nfgenmsg);
}

static void set_buffers(int fd)
{
	int in = RECEIVE_ROOM, out = BATCH_MAX, yes = 1;

	/* without the right to force it, smaller buffers still work for small batches */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &in, sizeof(in)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &in, sizeof(in));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &out, sizeof(out)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &out, sizeof(out));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof(yes));
}

int net_open(int *out)
{
	struct sockaddr_nl at = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	set_buffers(fd);
	*out = fd;
	return 0;
}

uint32_t net_port(int fd)
{
	struct sockaddr_nl at;
	socklen_t len = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &len) < 0 || at.nl_family != AF_NETLINK)
		return 0;
	return at.nl_pid;
}

/* from the kernel alone: another process with CAP_NET_ADMIN may write to our port too */
static ssize_t receive(int fd, void *bytes, size_t max, int flags)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(fd, bytes, max, flags, (struct sockaddr *)&from, &size);

		if (n < 0 || from.nl_pid == 0)
			return n;
	}
}

void net_drain(int fd)
{
	uint8_t bytes[64];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
	while (n >= 0 || errno == ENOBUFS || errno == EINTR);
}

static int send_all(int fd, const void *bytes, size_t len)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	do
		n = sendto(fd, bytes, len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EMSGSIZE ? -E2BIG : -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* -ENOBUFS if the verdict itself was lost: then nobody knows, and trying again is right */
static int receive_verdict(int fd, struct reply *r)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[8192];

	while (!r->ended) {
		ssize_t n = receive(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n >= 0)
			reply_read(r, bytes, (size_t)n);
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR && errno != ENOBUFS)
			return -errno;
	}
	if (r->error)
		return r->error;
	return r->ended ? 0 : -ENOBUFS;
}

int net_commit(int fd, struct batch *b, uint32_t *where)
{
	struct reply reply = { .first = b->begin, .last = b->next - 1 };
	size_t len;
	int r;

	if (b->error || batch_empty(b))
		return b->error;
	((struct nlmsghdr *)(void *)(b->bytes + b->last))->nlmsg_flags |= NLM_F_ACK;
	nftnl_batch_end((char *)b->bytes + b->len, b->next);
	len = b->len + ((struct nlmsghdr *)(void *)(b->bytes + b->len))->nlmsg_len;
	net_drain(fd);
	r = send_all(fd, b->bytes, len);
	if (r == 0)
		r = receive_verdict(fd, &reply);
	if (where)
		*where = reply.error_seq;
	return r;
}

struct asking {
	uint32_t seq;
	int (*each)(const struct nlmsghdr *m, void *ctx);
	void *ctx;
	bool dump, ended, interrupted;
};

static int ask_message(struct asking *a, const struct nlmsghdr *m)
{
	if (m->nlmsg_seq != a->seq)
		return 0;
	if (m->nlmsg_flags & NLM_F_DUMP_INTR)
		a->interrupted = true;
	if (m->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

		a->ended = true;
		return m->nlmsg_len < sizeof(*m) + sizeof(*e) ? -EBADMSG : e->error;
	}
	if (m->nlmsg_type == NLMSG_DONE) {
		a->ended = true;
		return 0;
	}
	if (!a->dump)
		a->ended = true;
	return a->each ? a->each(m, a->ctx) : 0;
}

int net_ask(int fd, struct nlmsghdr *m, int (*each)(const struct nlmsghdr *m, void *ctx),
	void *ctx)
{
	struct asking a = { .seq = m->nlmsg_seq, .each = each, .ctx = ctx,
		.dump = (m->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP };
	auto_free uint8_t *bytes = malloc(DUMP_ROOM);
	int r;

	if (!bytes)
		return -ENOMEM;
	net_drain(fd);
	r = send_all(fd, m, m->nlmsg_len);
	while (r >= 0 && !a.ended) {
		ssize_t n = receive(fd, bytes, DUMP_ROOM, 0);
		const struct nlmsghdr *got;
		size_t at = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		while (r >= 0 && (got = reply_next(bytes, (size_t)n, &at)))
			r = ask_message(&a, got);
	}
	if (r >= 0 && a.interrupted)
		return -EAGAIN; /* the set changed under the dump: ask again */
	return MIN(r, 0);
}
