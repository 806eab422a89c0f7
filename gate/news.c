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
#include "who/diag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct live {
	struct table_node node;
	uint32_t id;
	bool stale; /* of an instance before us, whose numbers mean nothing now: not told */
	struct flow f;
};

struct live_book {
	struct table table;
};

int live_new(struct live_book **out)
{
	struct live_book *l = calloc(1, sizeof(*l));

	if (!l || table_init(&l->table, LIVE_MAX) < 0) {
		free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

static void live_drop(struct live_book *l, struct table_node *n)
{
	table_remove(&l->table, n);
	free(container_of(n, struct live, node));
}

void live_free(struct live_book *l)
{
	if (!l)
		return;
	while (l->table.oldest)
		live_drop(l, l->table.oldest);
	table_done(&l->table);
	free(l);
}

static bool live_is(const struct table_node *n, const void *key)
{
	return container_of(n, const struct live, node)->id == *(const uint32_t *)key;
}

static struct live *live_find(struct live_book *l, uint32_t id)
{
	struct table_node *n = table_find(&l->table, table_hash(&l->table, &id, sizeof(id)),
		live_is, &id);

	return n ? container_of(n, struct live, node) : NULL;
}

static struct live *live_add(struct live_book *l, uint32_t id)
{
	struct live *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	if (l->table.count == LIVE_MAX)
		live_drop(l, l->table.oldest);
	v->id = id;
	table_add(&l->table, &v->node, table_hash(&l->table, &id, sizeof(id)));
	return v;
}

void gate_stale(struct gate *g, const struct ct_flow *flows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct live *v = live_find(g->live, flows[i].id) ? NULL
								 : live_add(g->live,
									   flows[i].id);

		if (v)
			v->stale = true;
	}
}

bool live_stale(struct gate *g, uint32_t id)
{
	const struct live *v = live_find(g->live, id);

	return v && v->stale;
}

/* names the flow by what opened its address, and judges it */
static void name_and_judge(struct gate *g, struct flow *f, const struct program *p,
	struct decision *d)
{
	struct grant *gr = f->dir == FLOW_OUT ? grant_by_addr(g->book, f->actor, &f->addr)
					      : NULL;
	struct target to = { .addr = &f->addr, .port = f->port, .proto = f->proto,
		.dir = (enum flow_dir)f->dir };

	if (gr && gr->name[0]) {
		text_copy(f->name, sizeof(f->name), gr->name);
		to.name = f->name;
		to.local_name = rules_local_name(f->name);
	}
	if (geo_find(g->parts.geo, &f->addr, &f->geo) == 0)
		to.geo = &f->geo;
	ruleset_decide(g->rules, p, &to, clock_unix_ms() / 1000, d);
	f->verdict = (uint8_t)d->verdict;
	f->reason = (uint8_t)d->reason;
	f->rule = d->rule;
}

static void tell(struct gate *g, const struct flow *f, const struct program *p)
{
	if (!actor_may_tell(g, f->actor, clock_unix_ms())) {
		g->stats.events_lost++;
		return;
	}
	flow_tell(g, f, p, NULL);
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
	diag_end(d, instance_mark(&e->instance, e->flow.actor), MARK_ACTOR_BITS, &e->flow.dst,
		e->flow.dport);
	diag_close(d);
	return ct_delete_tuple(&e->flow, instance_zone(&e->instance, e->flow.actor));
}

static void ended(void *ctx, int r)
{
	(void)r; /* gone by itself, or the next packet is refused */
	free(ctx);
}

/* a literal address that a rule denies, met under default=allow: shut, then ended */
static void shut(struct gate *g, const struct flow *f, const struct ct_flow *c)
{
	struct nft_element el = { .set = NFT_REFUSE_SVC, .actor = f->actor, .addr = f->addr,
		.proto = f->proto, .port = f->port, .timeout_ms = GRANT_LEAST_MS,
		.rule = f->rule };
	struct ending *e = calloc(1, sizeof(*e));
	struct batch *b = batch_new(g);

	batch_put(b, &el);
	batch_send(b, NULL, NULL);
	if (!e)
		return;
	*e = (struct ending){ *g->conf.instance, *c };
	if (kernel_call(g, end_one, e, ended) < 0)
		free(e);
}

static bool this_machine(const struct ct_flow *f)
{
	return addr_cmp(&f->src, &f->dst) == 0 || addr_zone(&f->dst) == ZONE_LOCALHOST;
}

static void flow_begins(struct gate *g, const struct ct_flow *c)
{
	const struct program *p = who_actor(g->parts.who, c->actor);
	struct decision d;
	struct live *v;
	struct flow f;

	flow_begin(g, &f, FLOW_CONN, p, p->known ? HOW_KERNEL : HOW_NOBODY);
	f.proto = c->proto;
	f.dir = c->inbound ? FLOW_IN : FLOW_OUT;
	f.addr = c->inbound ? c->src : c->dst;
	f.port = c->dport;
	f.state = FLOW_LIVE;
	f.counted = g->conf.counting;
	name_and_judge(g, &f, p, &d);
	f.watched = gate_watches(g);
	if (f.watched)
		; /* shown as judged */
	else if (d.verdict == VERDICT_DENY && !c->inbound && !this_machine(c) &&
		g->conf.default_out == VERDICT_ALLOW)
		shut(g, &f, c);
	else if (d.verdict == VERDICT_DENY) {
		/* the table let it through, by a factory rule or as this machine's own */
		f.verdict = VERDICT_ALLOW;
		f.reason = REASON_FACTORY;
		f.rule = 0;
	}
	g->stats.flows++;
	v = live_add(g->live, c->id);
	if (v)
		v->f = f;
	tell(g, &f, p);
}

/* the counters of a flow; false if nothing moved */
static bool count(struct flow *f, const struct ct_flow *c)
{
	if (c->rx == f->rx && c->tx == f->tx)
		return false;
	f->rx = c->rx;
	f->tx = c->tx;
	f->counted = 1;
	f->rx_packets = c->rx_packets;
	f->tx_packets = c->tx_packets;
	return true;
}

void gate_conntrack(void *gate, const struct ct_flow *c)
{
	struct gate *g = gate;
	struct live *v;

	if (!g->rules || c->actor == ACTOR_SELF)
		return;
	if (!c->ended) {
		flow_begins(g, c);
		return;
	}
	v = live_find(g->live, c->id);
	if (!v)
		return;
	if (v->stale) {
		live_drop(g->live, &v->node);
		return;
	}
	v->f.state = FLOW_DONE;
	v->f.end_ms = clock_unix_ms();
	count(&v->f, c);
	tell(g, &v->f, who_actor(g->parts.who, v->f.actor));
	live_drop(g->live, &v->node);
}

struct counting {
	struct gate *g;
	struct instance instance;
	struct ct_flow *flows;
	size_t n;
};

static int read_counters(void *ctx)
{
	struct counting *c = ctx;

	return ct_dump(&c->instance, &c->flows, &c->n);
}

static void count_one(struct gate *g, const struct ct_flow *c, struct flow_count *out,
	unsigned *n)
{
	struct live *v = live_find(g->live, c->id);

	if (!v) {
		flow_begins(g, c); /* begun under a core before us, or its event was lost */
		v = live_find(g->live, c->id);
	}
	if (!v || v->stale || !count(&v->f, c))
		return;
	out[(*n)++] = (struct flow_count){ v->f.id, c->rx, c->tx, c->rx_packets,
		c->tx_packets };
}

static void counted(void *ctx, int r)
{
	struct counting *c = ctx;
	struct gate *g = c->g;
	struct flow_count some[GATE_COUNTS_MAX];
	unsigned n = 0;

	g->counting = false;
	for (size_t i = 0; r >= 0 && i < c->n; i++) {
		if (c->flows[i].actor != ACTOR_SELF)
			count_one(g, &c->flows[i], some, &n);
		if (n == GATE_COUNTS_MAX) {
			g->calls.counts(g->calls.ctx, some, n, true);
			n = 0;
		}
	}
	if (r >= 0)
		g->calls.counts(g->calls.ctx, some, n, false);
	free(c->flows);
	free(c);
}

void gate_count(struct gate *g)
{
	struct counting *c;

	if (g->counting || !g->parts.nft || !g->rules)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->g = g;
	c->instance = *g->conf.instance;
	g->counting = true;
	if (kernel_call(g, read_counters, c, counted) < 0) {
		g->counting = false;
		free(c);
	}
}

/* A rule allows what was just refused: a literal address, or one port of a stretch that was
 * too long to open whole. It is opened for the program's next try. */
static void open_met(struct gate *g, const struct program *p, const struct flow *f)
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
	gr = grant_get(g->book, f->actor, &f->addr, f->name, &evicted);
	b = batch_new(g);
	if (evicted) {
		batch_take_grant(b, g, evicted);
		grant_discard(evicted);
	}
	if (gr) {
		if (gr->shape.n == 0)
			gr->shape = shape;
		if (shape.n == 0 || shape.at[0].set != NFT_PASS)
			grant_shape_port(&gr->shape, f->proto, f->port);
		gr->rule = f->rule;
		gr->expires_ms = MAX(gr->expires_ms, now_ms + GRANT_LEAST_MS);
		gr->in_kernel = true;
		batch_put_grant(b, g, gr, now_ms);
	}
	batch_send(b, NULL, NULL);
}

void gate_refused(void *gate, const struct nflog_packet *c)
{
	struct gate *g = gate;
	const struct program *p;
	struct decision d;
	struct flow f;

	if (!g->rules)
		return;
	p = who_actor(g->parts.who, c->actor);
	flow_begin(g, &f, FLOW_CONN, p, p->known ? HOW_KERNEL : HOW_NOBODY);
	f.proto = c->proto;
	f.dir = c->inbound ? FLOW_IN : FLOW_OUT;
	f.addr = c->inbound ? c->src : c->dst;
	f.port = c->dport;
	f.state = FLOW_REFUSED;
	f.end_ms = f.start_ms;
	f.counted = 1; /* not a byte got through */
	name_and_judge(g, &f, p, &d);
	if (strcmp(c->why, "block") == 0) {
		d.verdict = VERDICT_DENY;
		f.verdict = VERDICT_DENY;
		f.reason = REASON_BLOCKED;
		f.rule = 0;
	}
	if (d.verdict == VERDICT_ALLOW && f.dir == FLOW_OUT && strcmp(c->why, "default") == 0)
		open_met(g, p, &f);
	if (d.verdict == VERDICT_ALLOW) {
		f.reason = REASON_NO_GRANT;
		f.verdict = VERDICT_DENY;
	}
	g->stats.refused++;
	tell(g, &f, p);
}
