/* SPDX-License-Identifier: GPL-2.0-or-later
 * Theory of operation. A look is two requests to the table's thread: the first reads links,
 * forwarding entries and WireGuard's ports (it may wait for the kernel's lock, the loop may
 * not); back on the loop what was found is compared with what the table was told, and the
 * second request changes that. A notification while a look is under way asks for another.
 * What a look could not read or write is tried again at the next.
 *
 * WireGuard is known by its source port: it is bound by the kernel's own socket, so no
 * program can send from it, and peers that roam change nothing. A device that is down holds
 * no port and is left out. */
#include "nft/tunnel.h"

#include "base/macros.h"
#include "nft/ask.h"
#include "nft/tunnelmsg.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum {
	ENDS_MAX = 1024,
	LINKS_MAX = 256,
	SOON_MS = 20,      /* changes come in bursts */
	AGAIN_MS = 2000,
	EVENT_MAX = 32768,
	EVENTS_A_TURN = 64,
};

struct end {
	struct addr addr; /* family 0: a source port */
	uint16_t port;
	uint8_t proto;
};

struct ends {
	struct end at[ENDS_MAX];
	unsigned n;
};

struct tunnels {
	uv_poll_t poll;
	uv_timer_t timer;
	struct mnl_socket *nl; /* owned */
	struct nft *nft;       /* borrowed */
	struct nft_request request;
	bool busy, again, closing;
	unsigned handles;      /* still open */
	struct ends told, found;
	/* of the look under way */
	struct tunnel_link links[LINKS_MAX];
	unsigned nlinks;
	bool wireguard;
};

static bool same(const struct end *a, const struct end *b)
{
	return addr_cmp(&a->addr, &b->addr) == 0 && a->port == b->port && a->proto == b->proto;
}

static bool end_there(const struct ends *in, const struct end *e)
{
	for (unsigned i = 0; i < in->n; i++)
		if (same(&in->at[i], e))
			return true;
	return false;
}

static void end_add(struct ends *to, const struct addr *addr, uint8_t proto, uint16_t port)
{
	const struct end e = { .addr = *addr, .port = port, .proto = proto };

	if (to->n < ENDS_MAX && !end_there(to, &e))
		to->at[to->n++] = e;
}

/* reading, in the table's thread */

static int on_link(const struct nlmsghdr *m, void *ctx)
{
	struct tunnels *t = ctx;
	struct tunnel_link l;

	if (tunnel_link_read(m, &l) < 0)
		return 0;
	if (t->nlinks < LINKS_MAX)
		t->links[t->nlinks++] = l;
	if (!l.remote.family)
		return 0;
	end_add(&t->found, &l.remote, l.proto, l.port);
	if (l.proto_too)
		end_add(&t->found, &l.remote, l.proto_too, l.port);
	return 0;
}

static int on_way(const struct nlmsghdr *m, void *ctx)
{
	struct tunnels *t = ctx;
	struct tunnel_way w;

	if (tunnel_way_read(m, &w) < 0)
		return 0;
	for (unsigned i = 0; i < t->nlinks; i++)
		if (t->links[i].ifindex == w.ifindex && t->links[i].kind == TUNNEL_VXLAN)
			end_add(&t->found, &w.remote, IPPROTO_UDP,
				w.port ? w.port : t->links[i].port);
	return 0;
}

struct wireguard {
	struct tunnels *t;
	uint16_t family;
};

static int on_port(const struct nlmsghdr *m, void *ctx)
{
	static const struct addr any;
	struct wireguard *w = ctx;
	uint16_t port;

	if (tunnel_port_read(m, w->family, &port) == 0)
		end_add(&w->t->found, &any, IPPROTO_UDP, port);
	return 0;
}

static int on_family(const struct nlmsghdr *m, void *ctx)
{
	struct wireguard *w = ctx;

	tunnel_family_read(m, &w->family);
	return 0;
}

static bool has(const struct tunnels *t, enum tunnel_kind kind)
{
	for (unsigned i = 0; i < t->nlinks; i++)
		if (t->links[i].kind == kind)
			return true;
	return false;
}

static int read_wireguard(struct tunnels *t)
{
	struct wireguard w = { .t = t };
	struct ask a = { 0 };
	_Alignas(struct nlmsghdr) char buf[ASK_REQUEST_MAX];
	int r = ask_open(NETLINK_GENERIC, &a);

	if (r == 0)
		r = ask_one(&a, tunnel_ask_family(buf), on_family, &w);
	for (unsigned i = 0; r == 0 && i < t->nlinks; i++)
		if (t->links[i].kind == TUNNEL_WIREGUARD)
			r = ask_dump(&a, tunnel_ask_port(buf, w.family, t->links[i].ifindex),
				on_port, &w);
	ask_close(&a);
	return r;
}

static int read_all(void *ctx)
{
	struct tunnels *t = ctx;
	struct ask a = { 0 };
	_Alignas(struct nlmsghdr) char buf[ASK_REQUEST_MAX];
	int r = ask_open(NETLINK_ROUTE, &a);

	t->nlinks = t->found.n = 0;
	if (r == 0)
		r = ask_dump(&a, tunnel_ask_links(buf), on_link, t);
	if (r == 0 && has(t, TUNNEL_VXLAN))
		r = ask_dump(&a, tunnel_ask_ways(buf), on_way, t);
	ask_close(&a);
	t->wireguard = has(t, TUNNEL_WIREGUARD);
	return r == 0 && t->wireguard ? read_wireguard(t) : r;
}

/* on the loop */

static void maybe_free(struct tunnels *t)
{
	if (!t->closing || t->handles || t->busy)
		return;
	mnl_socket_close(t->nl);
	free(t);
}

static void look(struct tunnels *t);

static void on_timer(uv_timer_t *timer)
{
	look(timer->data);
}

static void look_done(struct tunnels *t, int r)
{
	free(t->request.changes);
	t->request = (struct nft_request){ 0 };
	t->busy = false;
	if (t->closing) {
		maybe_free(t);
		return;
	}
	if (t->again)
		uv_timer_start(&t->timer, on_timer, SOON_MS, 0);
	else if (t->wireguard || r < 0)
		uv_timer_start(&t->timer, on_timer, AGAIN_MS, 0);
	t->again = false;
}

static void told(struct job *job)
{
	struct tunnels *t = container_of(job, struct tunnels, request.job);

	if (job->result == 0)
		t->told = t->found;
	look_done(t, job->result);
}

static void change_to(struct nft_change *c, enum nft_op op, const struct end *e)
{
	*c = (struct nft_change){ .op = op };
	c->el.set = e->addr.family ? NFT_TUNNEL : NFT_TUNNEL_FROM;
	c->el.actor = ACTOR_SELF;
	c->el.addr = e->addr;
	c->el.proto = e->proto;
	c->el.port = e->port;
}

static int changes_make(struct tunnels *t)
{
	struct nft_request *q = &t->request;

	q->changes = calloc(t->told.n + t->found.n, sizeof(*q->changes));
	if (!q->changes)
		return -ENOMEM;
	for (unsigned i = 0; i < t->told.n; i++)
		if (!end_there(&t->found, &t->told.at[i]))
			change_to(&q->changes[q->n++], NFT_TAKE, &t->told.at[i]);
	for (unsigned i = 0; i < t->found.n; i++)
		if (!end_there(&t->told, &t->found.at[i]))
			change_to(&q->changes[q->n++], NFT_PUT, &t->found.at[i]);
	return 0;
}

static void read_done(struct job *job)
{
	struct tunnels *t = container_of(job, struct tunnels, request.job);
	int r = job->result;

	t->request = (struct nft_request){ .job.done = told };
	if (r == 0 && !t->closing && t->told.n + t->found.n > 0)
		r = changes_make(t);
	if (r == 0 && t->request.n > 0)
		r = nft_give(t->nft, &t->request);
	else
		goto done;
	if (r == 0)
		return;
done:
	look_done(t, r);
}

static void look(struct tunnels *t)
{
	int r;

	if (t->busy) {
		t->again = true;
		return;
	}
	t->request = (struct nft_request){ .job.done = read_done, .call = read_all, .ctx = t };
	t->busy = true;
	r = nft_give(t->nft, &t->request);
	if (r < 0)
		look_done(t, r);
}

/* a link's news, or a forwarding entry's; other neighbours come and go all the time */
static int on_news(const struct nlmsghdr *m, void *ctx)
{
	const struct ndmsg *head = mnl_nlmsg_get_payload(m);
	bool neighbour = m->nlmsg_type == RTM_NEWNEIGH || m->nlmsg_type == RTM_DELNEIGH;

	if (!neighbour || (m->nlmsg_len >= MNL_NLMSG_HDRLEN + sizeof(*head) &&
				  head->ndm_family == AF_BRIDGE))
		*(bool *)ctx = true;
	return 0;
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct tunnels *t = h->data;
	_Alignas(struct nlmsghdr) uint8_t buf[EVENT_MAX];
	bool news = status < 0;

	(void)events;
	/* libuv stops polling at the error of a full buffer; reading clears it */
	if (status < 0)
		uv_poll_start(h, UV_READABLE, on_readable);
	for (int i = 0; i < EVENTS_A_TURN; i++) {
		ssize_t n = ask_receive(t->nl, buf, sizeof(buf));

		if (n == -EAGAIN)
			break;
		if (n < 0)
			news = true; /* some were lost */
		else
			ask_walk(buf, (size_t)n, on_news, &news);
	}
	if (news)
		uv_timer_start(&t->timer, on_timer, SOON_MS, 0);
}

static void on_closed(uv_handle_t *h)
{
	struct tunnels *t = h->data;

	t->handles--;
	maybe_free(t);
}

void tunnels_close(struct tunnels *t)
{
	if (!t)
		return;
	t->closing = true;
	uv_close((uv_handle_t *)&t->poll, on_closed);
	uv_close((uv_handle_t *)&t->timer, on_closed);
}

void tunnels_table(struct tunnels *t, struct nft *nft)
{
	if (!t)
		return;
	t->nft = nft;
	t->told.n = 0;
	look(t);
}

static int news_open(struct mnl_socket **out)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int r;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, RTMGRP_LINK | RTMGRP_NEIGH, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		mnl_socket_close(nl);
		return r;
	}
	*out = nl;
	return 0;
}

int tunnels_open(struct uv_loop_s *loop, struct nft *nft, const struct nft_element *els,
	size_t n, struct tunnels **out)
{
	struct tunnels *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->nft = nft;
	for (size_t i = 0; i < n; i++)
		if (els[i].set == NFT_TUNNEL || els[i].set == NFT_TUNNEL_FROM)
			end_add(&t->told, &els[i].addr, els[i].proto, els[i].port);
	r = news_open(&t->nl);
	if (r < 0)
		goto fail;
	r = uv_poll_init(loop, &t->poll, mnl_socket_get_fd(t->nl));
	if (r < 0)
		goto fail;
	uv_timer_init(loop, &t->timer);
	t->handles = 2;
	t->poll.data = t->timer.data = t;
	r = uv_poll_start(&t->poll, UV_READABLE, on_readable);
	if (r < 0) {
		tunnels_close(t);
		return r;
	}
	look(t);
	*out = t;
	return 0;
fail:
	if (t->nl)
		mnl_socket_close(t->nl);
	free(t);
	return r;
}
