/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who/diag.h"
#include "base/macros.h"
#include "base/text.h"
#include "who/proc.h"
#include "who/sockdiag.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

/* how many sockets one pass of diag_end() gathers before it ends them; more take a pass
 * more. They are ended between dumps, never during one: a dump goes on by position and
 * would jump over what moved up. */
enum { END_BATCH = 1024, END_PASSES = 64, REPLY_MAX = 32768 };

struct diag {
	struct mnl_socket *nl;
	uint32_t seq;
	uint8_t request[SOCKDIAG_REQUEST_MAX];
	uint8_t reply[REPLY_MAX];
};

int diag_open(struct diag **out)
{
	struct timeval patience = { .tv_sec = 1 };
	struct diag *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	if (getrandom(&d->seq, sizeof(d->seq), GRND_NONBLOCK) < 0)
		d->seq = (uint32_t)time(NULL);
	d->nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!d->nl || mnl_socket_bind(d->nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
		setsockopt(mnl_socket_get_fd(d->nl), SOL_SOCKET, SO_RCVTIMEO, &patience,
			sizeof(patience)) < 0) {
		int r = -errno;

		diag_close(d);
		return r;
	}
	*out = d;
	return 0;
}

void diag_close(struct diag *d)
{
	if (!d)
		return;
	if (d->nl)
		mnl_socket_close(d->nl);
	free(d);
}

/* ----- one request and what comes back ----- */

typedef void (*on_socket)(void *ctx, const struct sockdiag_reply *r);

struct talk {
	uint8_t proto;
	bool dump; /* sockets until the kernel says done; else one socket or an error */
	on_socket each;
	void *ctx;
};

/* 1: go on reading; else the end: 0 or -errno */
static int take_replies(struct diag *d, const struct talk *t, size_t len)
{
	struct cur c = cur_over(d->reply, len);
	struct sockdiag_reply r;
	int more;

	while ((more = sockdiag_next(&c, t->proto, &r)) > 0) {
		if (r.seq != d->seq)
			continue; /* of a request given up before */
		switch (r.kind) {
		case SOCKDIAG_SOCKET:
			t->each(t->ctx, &r);
			if (!t->dump)
				return 0;
			break;
		case SOCKDIAG_ERROR:
		case SOCKDIAG_DONE:
			return r.error;
		case SOCKDIAG_OTHER:
			break;
		}
	}
	return more < 0 ? more : 1;
}

/* from the kernel alone: another process with CAP_NET_ADMIN may write to our port too */
static ssize_t receive(struct diag *d)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(mnl_socket_get_fd(d->nl), d->reply, sizeof(d->reply), 0,
			(struct sockaddr *)&from, &size);

		if (n < 0 || from.nl_pid == 0)
			return n;
	}
}

static int talk(struct diag *d, int len, const struct talk *t)
{
	int r = 1;

	if (len < 0)
		return len;
	if (mnl_socket_sendto(d->nl, d->request, (size_t)len) < 0)
		return -errno;
	while (r > 0) {
		ssize_t n = receive(d);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		r = take_replies(d, t, (size_t)n);
	}
	return r;
}

/* ----- whose is it? ----- */

static void keep_reply(void *ctx, const struct sockdiag_reply *r)
{
	*(struct sockdiag_reply *)ctx = *r;
}

static int find(struct diag *d, int len, const struct diag_tuple *t,
	struct sockdiag_reply *got)
{
	struct talk one = { .proto = t->proto, .each = keep_reply, .ctx = got };
	int r = talk(d, len, &one);

	if (r < 0)
		return r;
	/* where no such connection is, the kernel falls back on a listener of that port */
	if (got->kind != SOCKDIAG_SOCKET || got->tuple.lport != t->lport ||
		got->socket.state == SOCKDIAG_LISTEN ||
		got->socket.state == SOCKDIAG_TIME_WAIT)
		return -ENOENT;
	return 0;
}

int diag_find(struct diag *d, const struct diag_tuple *t, struct diag_socket *out)
{
	struct sockdiag_reply got = { .seq = 0 };
	int r = find(d, sockdiag_find(d->request, ++d->seq, t), t, &got);

	if (r == 0)
		*out = got.socket;
	return r;
}

int diag_count(struct diag *d, const struct diag_tuple *t, struct diag_traffic *out)
{
	struct sockdiag_reply got = { .seq = 0 };
	int r = find(d, sockdiag_count(d->request, ++d->seq, t), t, &got);

	if (r < 0)
		return r;
	if (!got.has_traffic)
		return -ENODATA;
	*out = got.traffic;
	return 0;
}

int diag_count_own(int fd, uint8_t family, struct diag_traffic *out)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	return sockdiag_traffic(&info, len, family, out) ? 0 : -ENODATA;
}

bool diag_listens(struct diag *d, const struct addr *at, uint16_t port)
{
	struct diag_tuple t = { .local = *at, .lport = port,
		.peer = { .family = at->family }, .proto = IPPROTO_TCP };
	struct sockdiag_reply got = { .seq = 0 };
	struct talk one = { .proto = t.proto, .each = keep_reply, .ctx = &got };

	return talk(d, sockdiag_find(d->request, ++d->seq, &t), &one) == 0 &&
	       got.kind == SOCKDIAG_SOCKET && got.tuple.lport == port &&
	       got.socket.state == SOCKDIAG_LISTEN;
}

struct holder {
	uint32_t inode;
	bool found;
};

static bool is_it(void *ctx, int fd, uint32_t inode)
{
	struct holder *h = ctx;

	(void)fd;
	h->found = inode == h->inode;
	return !h->found;
}

static bool holds(int32_t pid, uint32_t inode)
{
	struct holder h = { .inode = inode };
	auto_close int dir = proc_open(pid);

	if (dir >= 0)
		proc_sockets(dir, is_it, &h);
	return h.found;
}

int diag_inode_owner(uint32_t inode, int32_t prefer, const char *cgroup, int32_t *pid)
{
	struct proc_walk *w;
	int32_t p;
	int r;

	if (inode == 0)
		return -ENOENT;
	if (prefer > 0 && holds(prefer, inode)) {
		*pid = prefer;
		return 0;
	}
	r = proc_walk_open(cgroup, &w);
	if (r < 0)
		return r;
	r = -ENOENT;
	while (r < 0 && proc_walk_next(w, &p)) {
		if (p == prefer || !holds(p, inode))
			continue;
		*pid = p;
		r = 0;
	}
	proc_walk_close(w);
	return r;
}

/* ----- who listens? ----- */

struct listener {
	const struct addr *at;
	struct diag_socket found;
	bool any;
};

static bool unspecified(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b, zero, sizeof(zero)) == 0;
}

static bool in_the_way(const struct addr *at, const struct sockdiag_reply *r)
{
	const struct addr *there = &r->tuple.local;

	if (there->family != at->family) /* [::] takes IPv4 too, unless told not to */
		return there->family == 6 ? unspecified(there) && !r->v6only
					  : unspecified(at);
	return unspecified(there) || unspecified(at) || addr_cmp(there, at) == 0;
}

static void look_at_listener(void *ctx, const struct sockdiag_reply *r)
{
	struct listener *l = ctx;

	if (l->any || !in_the_way(l->at, r))
		return;
	l->found = r->socket;
	l->any = true;
}

static int name_owner(const struct diag_socket *s, char *out, size_t max)
{
	struct text t = text_into(out, max);
	struct process p = { .pid = 0 };
	auto_close int dir = -1;
	const char *base;
	int32_t pid;

	if (diag_inode_owner(s->inode, 0, NULL, &pid) == 0)
		dir = proc_open(pid);
	if (dir < 0 || proc_read(dir, &p) < 0) {
		text_addf(&t, "a process of user ID %u", s->uid);
		return 0;
	}
	base = strrchr(p.path, '/');
	base = base ? base + 1 : p.path;
	text_add_safe(&t, *base ? base : "a process");
	text_addf(&t, " (pid %d)", p.pid);
	return 0;
}

int diag_listener(const struct addr *at, uint16_t port, uint8_t proto, char *out, size_t max)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct listener l = { .at = at };
	struct talk t = { .proto = proto, .dump = true, .each = look_at_listener, .ctx = &l };
	struct diag *d = NULL;
	int r = diag_open(&d);

	for (unsigned i = 0; r == 0 && !l.any && i < ARRAY_LEN(families); i++) {
		struct sockdiag_filter f = { .family = families[i], .proto = proto,
			.lport = port,
			.states = SOCKDIAG_BIT(proto == IPPROTO_UDP ? SOCKDIAG_CLOSE
								    : SOCKDIAG_LISTEN) };

		r = talk(d, sockdiag_dump(d->request, ++d->seq, &f), &t);
	}
	diag_close(d);
	if (!l.any)
		return r < 0 ? r : -ENOENT;
	return name_owner(&l.found, out, max);
}

/* ----- ending ----- */

struct gather {
	uint32_t mark, mask;
	const struct addr *peer;
	uint16_t port;
	struct sockdiag_id ids[END_BATCH];
	unsigned n;
	bool more;
};

/* what the kernel was asked for is looked at again: it may know no filter by mark */
static void gather_one(void *ctx, const struct sockdiag_reply *r)
{
	struct gather *g = ctx;

	if (!r->socket.has_mark || ((r->socket.mark ^ g->mark) & g->mask))
		return;
	if (g->peer && addr_cmp(&r->tuple.peer, g->peer) != 0)
		return;
	if (g->port && r->tuple.pport != g->port)
		return;
	if (g->n == END_BATCH)
		g->more = true;
	else
		g->ids[g->n++] = r->id;
}

static int gather_family(struct diag *d, struct gather *g, uint8_t family, uint8_t proto)
{
	struct talk t = { .proto = proto, .dump = true, .each = gather_one, .ctx = g };
	struct sockdiag_filter f = { .family = family, .proto = proto, .pport = g->port,
		.mark = g->mark, .mask = g->mask, .by_mark = true };
	int r;

	f.states = proto == IPPROTO_UDP ? SOCKDIAG_BIT(SOCKDIAG_ESTABLISHED)
		: ~(SOCKDIAG_BIT(SOCKDIAG_LISTEN) | SOCKDIAG_BIT(SOCKDIAG_TIME_WAIT) |
			SOCKDIAG_BIT(SOCKDIAG_CLOSE));
	r = talk(d, sockdiag_dump(d->request, ++d->seq, &f), &t);
	if (r != -EINVAL)
		return r;
	f.by_mark = false; /* a kernel without INET_DIAG_BC_MARK_COND */
	return talk(d, sockdiag_dump(d->request, ++d->seq, &f), &t);
}

static int gather_all(struct diag *d, struct gather *g)
{
	static const struct {
		uint8_t family, proto;
	} kinds[] = {
		{ AF_INET, IPPROTO_TCP }, { AF_INET6, IPPROTO_TCP },
		{ AF_INET, IPPROTO_UDP }, { AF_INET6, IPPROTO_UDP },
	};
	int r = 0;

	g->n = 0;
	g->more = false;
	for (unsigned i = 0; r == 0 && i < ARRAY_LEN(kinds); i++)
		if (kinds[i].family == AF_INET6 || !g->peer || g->peer->family == 4)
			r = gather_family(d, g, kinds[i].family, kinds[i].proto);
	return r;
}

static void no_socket(void *ctx, const struct sockdiag_reply *r)
{
	(void)ctx;
	(void)r;
}

/* how many were ended; -errno if the kernel will end none. -ENOENT and -ESTALE: gone */
static int end_gathered(struct diag *d, const struct gather *g)
{
	int ended = 0;

	for (unsigned i = 0; i < g->n; i++) {
		struct talk t = { .proto = g->ids[i].proto, .dump = true,
			.each = no_socket };
		int r = talk(d, sockdiag_destroy(d->request, ++d->seq, &g->ids[i]), &t);

		if (r == -EOPNOTSUPP || r == -EPERM)
			return ended ? ended : r;
		ended += r == 0;
	}
	return ended;
}

int diag_end_one(struct diag *d, const struct diag_tuple *t, uint64_t cookie)
{
	struct talk ack = { .proto = t->proto, .dump = true, .each = no_socket };
	struct sockdiag_id id;
	int r = sockdiag_name(&id, t, cookie);

	if (r < 0)
		return r;
	return talk(d, sockdiag_destroy(d->request, ++d->seq, &id), &ack);
}

int diag_end(struct diag *d, uint32_t mark, uint32_t mask, const struct addr *peer,
	uint16_t port)
{
	auto_free struct gather *g = calloc(1, sizeof(*g));
	int ended = 0;

	if (!g)
		return -ENOMEM;
	*g = (struct gather){ .mark = mark, .mask = mask, .peer = peer, .port = port };
	for (int pass = 0; pass < END_PASSES; pass++) {
		int r = gather_all(d, g);

		if (r == 0)
			r = end_gathered(d, g);
		if (r < 0)
			return ended ? ended : r;
		ended += r;
		if (!g->more || r == 0)
			break;
	}
	return ended;
}
