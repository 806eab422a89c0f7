/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What no set admits and is no TCP for the proxy. Theory of operation:
 *
 *   UDP is redirected to ourselves (its sender sees no error), source and all, and dropped
 *   when it arrives. What can be neither redirected nor answered (sockets bound to a device,
 *   other protocols, groups) is dropped on its way out. Of both the log tells us, as the
 *   table sees to it within a rate for each program.
 *
 *   in      the packet's head; of what was redirected, its
 *           conntrack entry says where it was sent to                sink_packet, find
 *   who     its mark; of what was redirected, its source address
 *   may     rules, by the address and the name it is known by        decide
 *   open    an element: the program's own next try passes            open_met
 *   shut    or a refusal of short life: the next try is told so      deny
 *   take    the redirected flow's entry goes, after the element, or
 *           its next datagram would fall into the same hole          take
 *   tell    a denial; what was opened is told when it flows
 *
 * The packet itself is gone: clients of UDP and ping try again by themselves, TCP by its
 * first packet's repetition. A packet that was not logged stays unanswered, as lost ones do.
 */
#include "gate/sink.h"
#include "gate/internal.h"
#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
	SUNK_MAX = 256,      /* looked up at a time; those above fall in again */
	REFUSED_MS = 30000,
	REFUSED_KEY_MS = 3000, /* basic mode: it shuts out the neighbours too */
};

/* the process, where it is known */
struct whose {
	int32_t pid;
	uint64_t start;
};

struct sink {
	struct gate *g;
	struct instance instance;
	struct ct_flow waiting[SUNK_MAX];
	struct whose waiting_whose[SUNK_MAX];
	size_t nwaiting;
	/* the kernel's thread has these, if n */
	struct ct_flow seen[SUNK_MAX], sent[SUNK_MAX];
	struct whose whose[SUNK_MAX]; /* of seen; not that thread's */
	size_t n;
};

int sink_new(struct gate *g, struct sink **out)
{
	struct sink *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->g = g;
	s->instance = *g->conf.instance;
	*out = s;
	return 0;
}

void sink_free(struct sink *s)
{
	free(s);
}

/* --- may, open, shut, tell ---------------------------------------------------------------- */

static void deny(struct gate *g, const struct program *p, struct flow *f,
	const struct whose *w)
{
	struct process process;

	if (w->pid)
		f->pid = w->pid;
	f->verdict = VERDICT_DENY;
	f->state = FLOW_REFUSED;
	f->end_ms = f->start_ms;
	f->counted = 1; /* not a byte got through */
	g->stats.refused++;
	if (refusal_stands(g, f))
		return; /* another of the same, from before the refusal: told already */
	refusal_put(g, f, gate_by_key(g) ? REFUSED_KEY_MS : REFUSED_MS);
	flow_offer(g, f, p, flow_process(g, f, w->start, &process));
}

/* basic mode: who it was, looked up */
static void looked_up(struct gate *g, const struct program *who, struct flow *f)
{
	struct decision d = { .verdict = VERDICT_DENY };

	if (who)
		conn_judge(g, f, who, &d);
	if (d.verdict == VERDICT_ALLOW)
		open_met(g, who, f);
	else
		deny(g, who ? who : who_actor(g->parts.who, f->actor), f,
			&(struct whose){ 0 });
}

static void decide(struct gate *g, const struct conn *c, const struct whose *w)
{
	const struct program *p = who_actor(g->parts.who, c->actor);
	struct decision d;
	struct flow f;

	if (proto_has_ports(c->proto) && c->dport == 0)
		return; /* a piece without its head: no element could be exact */
	conn_fill(g, &f, c, &d);
	if (g->mode == GATE_BLOCKED) {
		f.reason = REASON_BLOCKED;
		f.rule = 0;
		deny(g, p, &f, w);
	} else if (gate_watches(g)) {
		return; /* its next try is not held */
	} else if (d.verdict == VERDICT_ALLOW) {
		open_met(g, p, &f);
	} else if (!gate_by_key(g) || key_find(g, c, &f, looked_up) < 0) {
		deny(g, p, &f, w);
	}
}

/* --- where it was sent to ----------------------------------------------------------------- */

static void next(struct sink *s);

static int take(void *ctx)
{
	struct sink *s = ctx;

	return ct_delete_flows(&s->instance, s->sent, s->n);
}

static void taken(void *ctx, int r)
{
	struct sink *s = ctx;

	(void)r; /* one that is left is told of again */
	s->n = 0;
	next(s);
}

static int find(void *ctx)
{
	struct sink *s = ctx;

	return ct_find_sent(&s->instance, s->seen, s->sent, s->n);
}

static void found(void *ctx, int r)
{
	struct sink *s = ctx;
	size_t n = r < 0 ? 0 : s->n;

	s->n = 0;
	for (size_t i = 0; i < n; i++) {
		struct ct_flow *f = &s->sent[i];
		const struct conn c = { f->actor, &f->src, &f->dst, f->dport, f->proto, false,
					false, f->sport };

		/* its mark and its source address must name the same program */
		if (f->proto == 0 || f->actor != s->seen[i].actor)
			continue;
		decide(s->g, &c, &s->whose[i]);
		s->sent[s->n++] = *f;
	}
	if (s->n == 0 || kernel_call(s->g, take, s, taken) < 0)
		taken(s, 0);
}

/* all that gathered while the kernel's thread was busy */
static void next(struct sink *s)
{
	if (s->n || s->nwaiting == 0 || !s->g->parts.nft)
		return;
	memcpy(s->seen, s->waiting, s->nwaiting * sizeof(s->waiting[0]));
	memcpy(s->whose, s->waiting_whose, s->nwaiting * sizeof(s->whose[0]));
	s->n = s->nwaiting;
	s->nwaiting = 0;
	if (kernel_call(s->g, find, s, found) < 0)
		s->n = 0;
}

/* --- in, who ------------------------------------------------------------------------------ */

static struct whose whose(struct sink *s, const struct nflog_packet *p, uint32_t actor)
{
	const struct who_tuple t = { .src = p->src, .dst = p->dst, .sport = p->sport,
		.dport = p->dport, .dns_id = p->first, .proto = p->proto };
	struct process process;

	if (who_record(s->g->parts.who, &t, actor, &process) < 0)
		return (struct whose){ 0 };
	return (struct whose){ process.pid, process.start };
}

static void sunk(struct sink *s, const struct nflog_packet *p)
{
	uint32_t actor = instance_actor(&s->instance, &p->src);

	if (actor == ACTOR_NONE)
		return;
	if (s->nwaiting < SUNK_MAX) {
		s->waiting_whose[s->nwaiting] = whose(s, p, actor);
		s->waiting[s->nwaiting++] = (struct ct_flow){ .actor = actor, .src = p->src,
			.dst = p->dst, .sport = p->sport, .dport = p->dport,
			.proto = p->proto };
	}
	next(s);
}

bool sink_packet(struct sink *s, const struct nflog_packet *p)
{
	const struct conn c = { p->actor, &p->src, &p->dst, p->dport, p->proto, false, false,
		p->sport };

	if (strcmp(p->why, "sink") == 0)
		sunk(s, p);
	else if (strcmp(p->why, "held") == 0)
		decide(s->g, &c, &(struct whose){ 0 });
	else
		return false;
	return true;
}
