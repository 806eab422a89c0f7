/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the kernel did by itself: flows it let through (conntrack events) and packets it
 * refused (NFLOG). Both are named by the grants, judged by the rules and told. Where the
 * kernel did not know yet what the rules say of a literal address, it is told now: a refusal
 * that a rule would allow opens the way for the program's next try; a flow that a rule
 * denies (only under default=allow can it have come this far) is shut and ended.
 */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "gate/sink.h"
#include "who/diag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void gate_stale(struct gate *g, const struct ct_flow *flows, size_t n)
{
	static const struct flow nobody;

	for (size_t i = 0; i < n; i++) {
		struct live *v = live_find(g->live, &flows[i]);

		if (!v)
			v = live_add(g->live, &flows[i], &nobody);
		if (v)
			live_stale(g->live, v);
	}
}

bool gate_is_stale(struct gate *g, const struct ct_flow *c)
{
	const struct live *v = live_find(g->live, c);

	return v && v->stale;
}

/* names the flow by what opened its address, and judges it */
static void name_and_judge(struct gate *g, struct flow *f, const struct program *p,
	bool goes, struct decision *d)
{
	struct grant *gr = f->dir == FLOW_OUT ? grant_by_addr(g->book, f->actor, &f->addr)
					      : NULL;
	struct target to = { .addr = &f->addr, .port = f->port, .proto = f->proto,
		.dir = (enum flow_dir)f->dir };
	struct program mild;

	if (gr && gr->name[0]) {
		text_copy(f->name, sizeof(f->name), gr->name);
		to.name = f->name;
		to.local_name = rules_local_name(f->name);
	}
	if (geo_find(g->parts.geo, &f->addr, &f->geo) == 0)
		to.geo = &f->geo;
	ruleset_decide(g->rules, f->dir == FLOW_IN ? key_unnamed(g, p, &mild) : p, &to,
		clock_unix_ms() / 1000, d);
	/* what passed was opened for one of them; a refusal is judged as of nobody known */
	if (goes && gate_by_key(g) && d->verdict != VERDICT_ALLOW)
		key_allows(g, f->actor, &to, clock_unix_ms() / 1000, d);
	f->verdict = (uint8_t)d->verdict;
	f->reason = (uint8_t)d->reason;
	f->rule = d->rule;
}

void conn_judge(struct gate *g, struct flow *f, const struct program *p, struct decision *d)
{
	name_and_judge(g, f, p, false, d);
}

void conn_fill(struct gate *g, struct flow *f, const struct conn *c, struct decision *d)
{
	const struct program *p = who_actor(g->parts.who, c->actor);

	flow_begin(g, f, FLOW_CONN, p, p->known ? HOW_KERNEL : HOW_NOBODY);
	f->proto = c->proto;
	f->dir = c->inbound ? FLOW_IN : FLOW_OUT;
	f->addr = c->inbound ? *c->src : *c->dst;
	f->port = c->dport;
	name_and_judge(g, f, p, c->goes, d);
}

bool conn_told(struct gate *g, const struct flow *f)
{
	return flow_offer(g, f, who_actor(g->parts.who, f->actor), NULL);
}

bool conn_tell(struct gate *g, struct live *v)
{
	if (v->told)
		flow_tell(g, &v->f, who_actor(g->parts.who, v->f.actor), NULL);
	else
		v->told = conn_told(g, &v->f);
	return v->told;
}

struct ending {
	struct instance instance;
	struct ct_flow flow;
};

static int end_one(void *ctx)
{
	struct ending *e = ctx;
	struct diag *d;
	int r = diag_open(&d);

	if (r < 0)
		return r;
	if (e->flow.inbound)
		flow_end_socket(d, &e->instance, &e->flow);
	else
		diag_end(d, instance_mark(&e->instance, e->flow.actor), MARK_ACTOR_BITS,
			&e->flow.dst, e->flow.dport);
	diag_close(d);
	return ct_delete_tuple(&e->flow, e->flow.zone);
}

static void ended(void *ctx, int r)
{
	(void)r; /* gone by itself, or the next packet is refused */
	free(ctx);
}

/* A literal address that a rule denies, met under default=allow, or a peer that came in just
 * before the kernel heard of the rule: shut, then ended. */
static void shut(struct gate *g, const struct flow *f, const struct ct_flow *c)
{
	struct ending *e = calloc(1, sizeof(*e));

	if (c->inbound)
		inbound_decide(g, f, false);
	else
		refusal_put(g, f, GRANT_LEAST_MS);
	if (!e)
		return;
	*e = (struct ending){ *g->conf.instance, *c };
	if (kernel_call(g, end_one, e, ended) < 0)
		free(e);
}

static bool this_machine(const struct ct_flow *f)
{
	return f->local || addr_cmp(&f->src, &f->dst) == 0 ||
		addr_zone(&f->dst) == ZONE_LOCALHOST;
}

/* may what came in and is denied go on? By a factory rule, or because it is older than us */
static bool inbound_goes_on(const struct gate *g, const struct ct_flow *c,
	const struct decision *d)
{
	return this_machine(c) || inbound_answer(g, c) ||
		(c->adopted && d->reason == REASON_DEFAULT);
}

/* Fills and judges a connection that the kernel let through; false: it is shut now. */
static bool let_through(struct gate *g, const struct ct_flow *c, struct flow *f)
{
	const struct conn conn = { c->actor, &c->src, &c->dst, c->dport, c->proto, c->inbound,
		true, c->sport };
	struct decision d;

	conn_fill(g, f, &conn, &d);
	f->state = FLOW_LIVE;
	f->counted = g->conf.counting && !c->adopted;
	f->watched = gate_watches(g);
	if (f->watched || d.verdict == VERDICT_ALLOW ||
		(d.verdict == VERDICT_ASK && !c->inbound))
		return true; /* shown as judged */
	if (c->inbound && !inbound_goes_on(g, c, &d)) {
		shut(g, f, c);
		return false;
	}
	if (!c->inbound && !this_machine(c) && g->conf.default_out == VERDICT_ALLOW) {
		shut(g, f, c);
		return false;
	}
	/* the table let it through, by a factory rule or as this machine's own */
	f->verdict = VERDICT_ALLOW;
	f->reason = REASON_FACTORY;
	f->rule = 0;
	return true;
}

void conn_begins(struct gate *g, const struct ct_flow *c, const struct diag_traffic *socket)
{
	struct live *v;
	struct flow f;
	bool open = let_through(g, c, &f);

	g->stats.flows++;
	v = live_add(g->live, c, &f);
	if (!v && open)
		return; /* too many: told when it ends */
	if (v && (c->counted || socket))
		live_count(g->live, v, c, socket);
	if (!v)
		conn_told(g, &f);
	else if (v->over) /* a core before us told its end */
		v->f.state = FLOW_DONE;
	else
		conn_tell(g, v);
}

static void conn_done(struct gate *g, struct live *v)
{
	if (!v->f.end_ms)
		v->f.end_ms = clock_unix_ms();
	v->f.state = FLOW_DONE;
	if (!v->stale)
		conn_tell(g, v);
}

void conn_over(struct gate *g, struct live *v)
{
	conn_done(g, v);
	live_over(g->live, v);
}

void conn_ends(struct gate *g, struct live *v)
{
	if (!v->over)
		conn_done(g, v);
	live_drop(g->live, v);
}

/* one that there was no room for: it is told whole, now that it is over */
static void conn_was(struct gate *g, const struct ct_flow *c)
{
	struct flow f;

	if (!let_through(g, c, &f))
		return;
	f.state = FLOW_DONE;
	f.end_ms = f.start_ms;
	f.counted = c->counted;
	f.rx = c->rx;
	f.tx = c->tx;
	f.rx_packets = c->rx_packets;
	f.tx_packets = c->tx_packets;
	conn_told(g, &f);
}

void gate_conntrack(void *gate, const struct ct_flow *c)
{
	struct gate *g = gate;
	struct live *v;

	if (!g->rules || c->actor == ACTOR_SELF)
		return;
	v = live_find(g->live, c);
	if (!c->ended) {
		if (!v) /* else a round found it before its event came */
			conn_begins(g, c, NULL);
		return;
	}
	live_ended(g->live, c->id);
	if (v) {
		/* the last packets of one that is over are told too */
		if (live_count(g->live, v, c, NULL) && v->over && v->f.end_ms)
			conn_done(g, v);
		conn_ends(g, v);
	} else if (live_overflowed(g->live)) {
		conn_was(g, c);
	}
}

/* A rule allows what was just refused: a literal address, or one port of a stretch that was
 * too long to open whole. It is opened for the program's next try. */
void open_met(struct gate *g, const struct program *p, const struct flow *f)
{
	struct target to = { .name = f->name[0] ? f->name : NULL, .addr = &f->addr,
		.dir = FLOW_OUT, .local_name = rules_local_name(f->name) };
	int64_t now_ms = clock_boot_ms();
	struct port_verdicts v;
	struct grant *gr, *evicted;
	struct grant_shape shape;
	struct batch *b;

	to.geo = &f->geo;
	ruleset_ports(g->rules, p, &to, clock_unix_ms() / 1000, &v);
	if (!grant_shape(&shape, &v))
		return;
	if (!f->name[0] && actor_of(g, p)->whole.narrows)
		shape.n = 0; /* elsewhere at this address a name could yet be denied */
	gr = grant_get(g->book, f->actor, &f->addr, f->name, &evicted);
	b = batch_new(g);
	if (evicted) {
		batch_take_grant(b, g, evicted);
		grant_discard(evicted);
	}
	if (gr) {
		if (gr->shape.n == 0 || !gr->in_kernel || gr->expires_ms <= now_ms)
			gr->shape = shape; /* else of rules before these */
		if (shape.n == 0 || shape.at[0].set != NFT_PASS)
			grant_shape_port(&gr->shape, f->proto,
				proto_has_ports(f->proto) ? f->port : 0);
		gr->rule = f->rule;
		gr->expires_ms = MAX(gr->expires_ms, now_ms + GRANT_LEAST_MS);
		gr->in_kernel = true;
		batch_put_grant(b, g, gr, now_ms);
	}
	batch_send(b, NULL, NULL);
}

void gate_refused(void *gate, const struct nflog_packet *c)
{
	const struct conn conn = { c->actor, &c->src, &c->dst, c->dport, c->proto, c->inbound,
		false, c->sport };
	struct gate *g = gate;
	struct decision d;
	struct flow f;

	if (!g->rules || sink_packet(g->sink, c))
		return;
	conn_fill(g, &f, &conn, &d);
	f.state = FLOW_REFUSED;
	f.end_ms = f.start_ms;
	f.counted = 1; /* not a byte got through */
	if (strcmp(c->why, "block") == 0) {
		d.verdict = VERDICT_DENY;
		f.verdict = VERDICT_DENY;
		f.reason = REASON_BLOCKED;
		f.rule = 0;
	}
	if (strcmp(c->why, "knock") == 0 && !inbound_met(g, &f, c->sport))
		return; /* its next try is let in, and told then */
	if (f.dir == FLOW_IN && strcmp(c->why, "inbound") == 0 && inbound_again(g, &f, c->sport))
		return;
	if (d.verdict == VERDICT_ALLOW && f.dir == FLOW_OUT && strcmp(c->why, "default") == 0)
		open_met(g, who_actor(g->parts.who, f.actor), &f);
	if (d.verdict == VERDICT_ALLOW) {
		f.reason = REASON_NO_GRANT;
		f.verdict = VERDICT_DENY;
	}
	g->stats.refused++;
	if (strcmp(c->why, "refuse") == 0 && refusal_stands(g, &f))
		return; /* told when it was put */
	conn_told(g, &f);
}
