/* SPDX-License-Identifier: GPL-2.0-or-later
 * Needs CAP_NET_ADMIN. */
#include "nft/nflog.h"

#include "nft/ask.h"
#include "nft/nflogmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uv.h>

enum {
	MESSAGES_A_TURN = 16, /* some sixty packets each at most */
	MESSAGE_MAX = 32768,
	RECEIVE_BUFFER = 1 << 20,
};

struct nflog {
	uv_poll_t poll;
	struct ask ask; /* owned: the group lives as long as this socket */
	struct instance instance;
	void (*packet)(void *ctx, const struct nflog_packet *p);
	void *ctx;
};

static void on_closed(uv_handle_t *h)
{
	struct nflog *l = h->data;

	ask_close(&l->ask);
	free(l);
}

void nflog_close(struct nflog *l)
{
	if (!l)
		return;
	l->packet = NULL;
	uv_close((uv_handle_t *)&l->poll, on_closed);
}

static int on_message(const struct nlmsghdr *message, void *data)
{
	struct nflog *l = data;
	struct nflog_packet p;

	if (l->packet && nflog_read(message, &l->instance, &p) == 0)
		l->packet(l->ctx, &p);
	return 0;
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct nflog *l = h->data;
	_Alignas(struct nlmsghdr) uint8_t buf[MESSAGE_MAX];

	(void)events;
	/* libuv stops polling at the error of a full buffer; reading clears it */
	if (status < 0 && !uv_is_closing((uv_handle_t *)h))
		uv_poll_start(h, UV_READABLE, on_readable);
	for (int i = 0; l->packet && i < MESSAGES_A_TURN; i++) {
		ssize_t n = ask_receive(l->ask.nl, buf, sizeof(buf));

		if (n == -ENOBUFS) /* counted by the kernel: nflog_lost */
			continue;
		if (n < 0)
			return;
		ask_walk(buf, (size_t)n, on_message, l);
	}
}

uint64_t nflog_lost(const struct nflog *l)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t size = sizeof(info);

	if (getsockopt(mnl_socket_get_fd(l->ask.nl), SOL_SOCKET, SO_MEMINFO, info, &size) <
			0 ||
		size < sizeof(info))
		return 0;
	return info[SK_MEMINFO_DROPS];
}

static int group_open(uint16_t group, struct ask *out)
{
	const int size = RECEIVE_BUFFER;
	struct ask a = { 0 };
	char buf[ASK_REQUEST_MAX];
	int fd, r = ask_open(NETLINK_NETFILTER, &a);

	if (r < 0)
		return r;
	fd = mnl_socket_get_fd(a.nl);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	r = ask_ack(&a, nflog_put_bind(buf, group));
	if (r == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r < 0) {
		ask_close(&a);
		return r;
	}
	*out = a;
	return 0;
}

int nflog_open(struct uv_loop_s *loop, const struct instance *instance,
	void (*packet)(void *ctx, const struct nflog_packet *p), void *ctx,
	struct nflog **out)
{
	struct nflog *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->instance = *instance;
	l->packet = packet;
	l->ctx = ctx;
	r = group_open(instance_log_group(instance), &l->ask);
	if (r < 0)
		goto fail;
	r = uv_poll_init(loop, &l->poll, mnl_socket_get_fd(l->ask.nl));
	if (r < 0)
		goto fail;
	l->poll.data = l;
	r = uv_poll_start(&l->poll, UV_READABLE, on_readable);
	if (r < 0) {
		nflog_close(l); /* a handle now: on_closed frees it */
		return r;
	}
	*out = l;
	return 0;
fail:
	ask_close(&l->ask);
	free(l);
	return r;
}
