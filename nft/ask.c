/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/ask.h"

#include "base/macros.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { ASK_WAIT_S = 5, ASK_ANSWER_MAX = 32768, ANSWER_ENDED = 1 };

int ask_open(int bus, struct ask *out)
{
	const struct timeval wait = { .tv_sec = ASK_WAIT_S };
	struct ask a = { 0 };
	int r;

	a.nl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!a.nl)
		return -errno;
	if (mnl_socket_bind(a.nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
		setsockopt(mnl_socket_get_fd(a.nl), SOL_SOCKET, SO_RCVTIMEO, &wait,
			sizeof(wait)) < 0) {
		r = -errno;
		mnl_socket_close(a.nl);
		return r;
	}
	if (getrandom(&a.seq, sizeof(a.seq), GRND_NONBLOCK) < 0)
		a.seq = 1;
	*out = a;
	return 0;
}

void ask_close(struct ask *a)
{
	if (a->nl)
		mnl_socket_close(a->nl);
	a->nl = NULL;
}

ssize_t ask_receive(struct mnl_socket *nl, void *buf, size_t max)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(mnl_socket_get_fd(nl), buf, max, MSG_TRUNC,
			(struct sockaddr *)&from, &size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (from.nl_pid == 0)
			return (size_t)n > max ? -EMSGSIZE : n;
	}
}

int ask_walk(const void *buf, size_t len, ask_message each, void *ctx)
{
	const uint8_t *at = buf;

	while (len >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *message = (const void *)at;
		size_t step = message->nlmsg_len;
		int r;

		/* the kernel pads the last one too, and libmnl reads to the padding's end */
		if (step < sizeof(*message) || step > len || NLMSG_ALIGN(step) > len)
			return -EBADMSG;
		r = each(message, ctx);
		if (r != 0)
			return r;
		step = NLMSG_ALIGN(step);
		at += step;
		len -= step;
	}
	return 0;
}

struct reading {
	uint32_t seq;
	ask_message each; /* may be NULL */
	void *ctx;
};

/* 0, ANSWER_ENDED or -errno */
static int on_message(const struct nlmsghdr *message, void *ctx)
{
	const struct reading *to = ctx;
	int error = 0;

	/* an event, or the late answer to a request that was given up */
	if (message->nlmsg_seq != to->seq)
		return 0;
	if (message->nlmsg_type != NLMSG_ERROR && message->nlmsg_type != NLMSG_DONE)
		return to->each ? to->each(message, to->ctx) : 0;
	if (message->nlmsg_len >= MNL_NLMSG_HDRLEN + sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(message), sizeof(error));
	return error < 0 ? error : ANSWER_ENDED;
}

static int ask(struct ask *a, struct nlmsghdr *request, ask_message each, void *ctx)
{
	_Alignas(struct nlmsghdr) uint8_t buf[ASK_ANSWER_MAX];
	struct reading to = { .seq = ++a->seq, .each = each, .ctx = ctx };
	int r = 0;

	request->nlmsg_flags |= NLM_F_REQUEST;
	request->nlmsg_seq = to.seq;
	if (mnl_socket_sendto(a->nl, request, request->nlmsg_len) < 0)
		return -errno;
	while (r == 0) {
		ssize_t n = ask_receive(a->nl, buf, sizeof(buf));

		if (n < 0)
			return n == -EAGAIN ? -ETIMEDOUT : (int)n;
		r = ask_walk(buf, (size_t)n, on_message, &to);
	}
	return r == ANSWER_ENDED ? 0 : r;
}

int ask_get(struct ask *a, struct nlmsghdr *request, ask_message each, void *ctx)
{
	request->nlmsg_flags |= NLM_F_ACK;
	return ask(a, request, each, ctx);
}

int ask_ack(struct ask *a, struct nlmsghdr *request)
{
	return ask_get(a, request, NULL, NULL);
}

int ask_one(struct ask *a, struct nlmsghdr *request, ask_message each, void *ctx)
{
	request->nlmsg_flags |= NLM_F_ACK;
	return ask(a, request, each, ctx);
}

int ask_dump(struct ask *a, struct nlmsghdr *request, ask_message each, void *ctx)
{
	request->nlmsg_flags |= NLM_F_DUMP;
	return ask(a, request, each, ctx);
}
