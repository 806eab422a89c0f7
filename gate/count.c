/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Counting. Theory of operation: a round reads all of conntrack in the kernel's thread, and
 * there asks the sockets of those TCP connections of which conntrack does not know all: what
 * began before it counted, and what is older than the daemon. Then the loop digests it a
 * slice at a time: what moved is told, what is not known begins, what two rounds did not find
 * has ended. What happens between reading and digesting is in live.h.
 */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/macros.h"
#include "gate/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

enum {
	SOCKETS_MAX = 4096, /* asked in one round: 2 us each, others wait in that thread */
	LOST_A_TURN = 64,   /* each may be told */
};

struct counted_socket {
	size_t flow; /* index */
	struct diag_traffic traffic;
};

struct round {
	struct slice slice; /* first */
	struct gate *g;
	struct instance instance;
	struct ct_flow *flows;
	struct counted_socket *sockets; /* in the order of flows */
	size_t n, at, nsockets, at_socket;
	uint64_t met_below; /* the proxy's: those with a smaller id are to come */
};

static void round_free(struct round *r)
{
	free(r->flows);
	free(r->sockets);
	free(r);
}

static bool needs_socket(const struct ct_flow *c)
{
	return c->proto == IPPROTO_TCP && c->actor != ACTOR_SELF &&
		(c->adopted || !c->counted);
}

static int ask_sockets(struct round *r)
{
	size_t wanted = 0;
	struct diag *d;
	int e;

	for (size_t i = 0; i < r->n; i++)
		wanted += needs_socket(&r->flows[i]);
	wanted = MIN(wanted, SOCKETS_MAX);
	if (wanted == 0)
		return 0;
	r->sockets = calloc(wanted, sizeof(*r->sockets));
	e = r->sockets ? diag_open(&d) : -ENOMEM;
	for (size_t i = 0; e == 0 && i < r->n && r->nsockets < wanted; i++) {
		const struct ct_flow *c = &r->flows[i];
		const struct diag_tuple t = { .local = c->inbound ? c->dst : c->src,
			.peer = c->inbound ? c->src : c->dst,
			.lport = c->inbound ? c->dport : c->sport,
			.pport = c->inbound ? c->sport : c->dport, .proto = c->proto };
		struct counted_socket *s = &r->sockets[r->nsockets];

		s->flow = i;
		if (needs_socket(c) && diag_count(d, &t, &s->traffic) == 0)
			r->nsockets++;
	}
	if (e == 0)
		diag_close(d);
	return e;
}

static int read_all(void *ctx)
{
	struct round *r = ctx;
	int e = ct_dump(&r->instance, &r->flows, &r->n);

	return e < 0 ? e : ask_sockets(r);
}

static const struct diag_traffic *socket_of(struct round *r, size_t flow)
{
	if (r->at_socket == r->nsockets || r->sockets[r->at_socket].flow != flow)
		return NULL;
	return &r->sockets[r->at_socket++].traffic;
}

static bool count_one(struct round *r, size_t i, struct flow_count *out)
{
	const struct diag_traffic *socket = socket_of(r, i);
	const struct ct_flow *c = &r->flows[i];
	struct gate *g = r->g;
	struct live *v = live_find(g->live, c);
	bool moved;

	if (c->actor == ACTOR_SELF || live_gone(g->live, c->id))
		return false;
	if (!v) { /* begun under a core before us, or its event was lost */
		v = live_at(g->live, c->id);
		if (v) /* and the end of who had the number before, too */
			conn_ends(g, v);
		if (live_room(g->live))
			conn_begins(g, c, socket);
		return false;
	}
	live_seen(g->live, v);
	if (v->stale || v->over)
		return false;
	moved = live_count(g->live, v, c, socket);
	if (c->over)
		conn_over(g, v);
	if (c->over || !moved)
		return false;
	if (!v->told) { /* it was too much then */
		conn_tell(g, v);
		return false;
	}
	*out = (struct flow_count){ v->f.id, v->f.rx, v->f.tx, v->f.rx_packets,
		v->f.tx_packets };
	return true;
}

static void count_some(struct round *r)
{
	struct flow_count some[GATE_COUNTS_MAX];
	int64_t until_us = clock_boot_us() + SLICE_US;
	unsigned n = 0;

	for (; r->at < r->n && clock_boot_us() < until_us; r->at++) {
		n += count_one(r, r->at, &some[n]);
		if (n == GATE_COUNTS_MAX) {
			r->g->calls.counts(r->g->calls.ctx, some, n, true);
			n = 0;
		}
	}
	if (n)
		r->g->calls.counts(r->g->calls.ctx, some, n, true);
}

static void count_met(struct round *r)
{
	struct flow_count some[GATE_COUNTS_MAX];
	int64_t until_us = clock_boot_us() + SLICE_US;

	while (r->met_below && clock_boot_us() < until_us) {
		unsigned n = proxy_counts(r->g->proxy, &r->met_below, some);

		if (n)
			r->g->calls.counts(r->g->calls.ctx, some, n, true);
	}
}

static void over(struct round *r, bool whole)
{
	r->g->counting = false;
	live_round_over(r->g->live, whole);
	if (whole)
		r->g->calls.counts(r->g->calls.ctx, NULL, 0, false);
	round_free(r);
}

static bool step(struct slice *s)
{
	struct round *r = container_of(s, struct round, slice);
	unsigned budget = LOST_A_TURN;
	struct live *v;

	if (r->at < r->n) {
		count_some(r);
		return true;
	}
	while ((v = live_lost(r->g->live, &budget)))
		conn_ends(r->g, v);
	if (budget == 0)
		return true;
	count_met(r);
	if (r->met_below)
		return true;
	over(r, true);
	return false;
}

static void drop(struct slice *s)
{
	over(container_of(s, struct round, slice), false);
}

static void have_read(void *ctx, int e)
{
	struct round *r = ctx;

	if (e < 0)
		over(r, false);
	else
		slice_start(r->g, &r->slice);
}

void gate_count(struct gate *g)
{
	struct round *r;

	if (g->counting || !g->parts.nft || !g->rules)
		return;
	r = calloc(1, sizeof(*r));
	if (!r)
		return;
	r->g = g;
	r->instance = *g->conf.instance;
	r->slice.step = step;
	r->slice.drop = drop;
	r->met_below = UINT64_MAX;
	g->counting = true;
	live_round(g->live);
	if (kernel_call(g, read_all, r, have_read) < 0)
		over(r, false);
}
