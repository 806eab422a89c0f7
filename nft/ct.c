/* SPDX-License-Identifier: GPL-2.0-or-later
 * New and ended flows of ours, as the kernel's events on the loop. A socket filter in the
 * kernel (ctfilter.h) keeps away what is not for us, so that neither a busy outsider nor a
 * flood of queries costs the loop.
 * Needs CAP_NET_ADMIN. */
#include "nft/ct.h"

#include "nft/ask.h"
#include "nft/ctentry.h"
#include "nft/ctfilter.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uv.h>

enum {
	EVENTS_A_TURN = 128, /* a few us each: the loop comes round in time */
	RECEIVE_BUFFER = 4 << 20,
	EVENT_MAX = 4096,
};

struct ct {
	uv_poll_t poll;
	struct mnl_socket *nl; /* owned */
	struct instance instance;
	void (*event)(void *ctx, const struct ct_flow *f);
	void *ctx;
};

static void on_closed(uv_handle_t *h)
{
	struct ct *c = h->data;

	mnl_socket_close(c->nl);
	free(c);
}

void ct_close(struct ct *c)
{
	if (!c)
		return;
	c->event = NULL;
	uv_close((uv_handle_t *)&c->poll, on_closed);
}

static int on_message(const struct nlmsghdr *message, void *data)
{
	struct ct *c = data;
	struct ct_entry e;
	struct ct_flow f;

	if (c->event && ct_entry_read(message, &e) == 0 &&
		ct_entry_flow(&e, &c->instance, &f))
		c->event(c->ctx, &f);
	return 0;
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct ct *c = h->data;
	_Alignas(struct nlmsghdr) uint8_t buf[EVENT_MAX];

	(void)events;
	/* libuv stops polling at the error of a full buffer; reading clears it */
	if (status < 0 && !uv_is_closing((uv_handle_t *)h))
		uv_poll_start(h, UV_READABLE, on_readable);
	for (int i = 0; c->event && i < EVENTS_A_TURN; i++) {
		ssize_t n = ask_receive(c->nl, buf, sizeof(buf));

		if (n == -ENOBUFS) /* counted by the kernel: ct_lost */
			continue;
		if (n < 0)
			return;
		ask_walk(buf, (size_t)n, on_message, c);
	}
}

uint64_t ct_lost(const struct ct *c)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t size = sizeof(info);

	if (getsockopt(mnl_socket_get_fd(c->nl), SOL_SOCKET, SO_MEMINFO, info, &size) < 0 ||
		size < sizeof(info))
		return 0;
	return info[SK_MEMINFO_DROPS];
}

static int events_open(const struct instance *instance, struct mnl_socket **out)
{
	const int size = RECEIVE_BUFFER;
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int fd, r;

	if (!nl)
		return -errno;
	fd = mnl_socket_get_fd(nl);
	/* a smaller buffer only loses more: what is lost is counted */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	r = ct_filter_attach(fd, instance); /* before the groups: no stranger slips in */
	if (r == 0 && mnl_socket_bind(nl, NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_DESTROY,
			      MNL_SOCKET_AUTOPID) < 0)
		r = -errno;
	if (r < 0) {
		mnl_socket_close(nl);
		return r;
	}
	*out = nl;
	return 0;
}

int ct_open(struct uv_loop_s *loop, const struct instance *instance,
	void (*event)(void *ctx, const struct ct_flow *f), void *ctx, struct ct **out)
{
	struct ct *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->instance = *instance;
	c->event = event;
	c->ctx = ctx;
	r = events_open(instance, &c->nl);
	if (r < 0)
		goto fail;
	r = uv_poll_init(loop, &c->poll, mnl_socket_get_fd(c->nl));
	if (r < 0)
		goto fail;
	c->poll.data = c;
	r = uv_poll_start(&c->poll, UV_READABLE, on_readable);
	if (r < 0) {
		ct_close(c); /* a handle now: on_closed frees it */
		return r;
	}
	*out = c;
	return 0;
fail:
	if (c->nl)
		mnl_socket_close(c->nl);
	free(c);
	return r;
}
