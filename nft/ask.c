/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/ask.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stddef.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { ASK_WAIT_S = 5, ASK_ANSWER_MAX = 32768 };

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

struct reading {
	int (*each)(const struct nlmsghdr *message, void *ctx);
	void *ctx;
	int result;
};

static int on_message(const struct nlmsghdr *message, void *data)
{
	struct reading *to = data;

	to->result = to->each ? to->each(message, to->ctx) : 0;
	return to->result < 0 ? MNL_CB_STOP : MNL_CB_OK;
}

static int send_request(struct ask *a, struct nlmsghdr *request)
{
	request->nlmsg_seq = ++a->seq;
	return mnl_socket_sendto(a->nl, request, request->nlmsg_len) < 0 ? -errno : 0;
}

/* until the acknowledgement, the end of the dump, or an error */
static int read_answer(struct ask *a, struct reading *to)
{
	unsigned portid = mnl_socket_get_portid(a->nl);
	_Alignas(struct nlmsghdr) uint8_t buf[ASK_ANSWER_MAX];

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(a->nl, buf, sizeof(buf));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		r = mnl_cb_run(buf, (size_t)n, a->seq, portid, on_message, to);
		if (r < 0)
			return -errno;
		if (r == MNL_CB_STOP)
			return to->result;
	}
}

int ask_ack(struct ask *a, struct nlmsghdr *request)
{
	struct reading nobody = { 0 };
	int r;

	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	r = send_request(a, request);
	return r < 0 ? r : read_answer(a, &nobody);
}

int ask_dump(struct ask *a, struct nlmsghdr *request,
	int (*each)(const struct nlmsghdr *message, void *ctx), void *ctx)
{
	struct reading to = { .each = each, .ctx = ctx };
	int r;

	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
	r = send_request(a, request);
	return r < 0 ? r : read_answer(a, &to);
}
