/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * After the rules changed. Theory of operation:
 *   1. every number's whole verdict is computed anew and the maps are told;
 *   2. every grant is judged anew: its elements go, change or come;
 *   3. one batch, atomic; then, in the kernel's thread, conntrack is read;
 *   4. every live flow is judged by what stands now; one that nothing covers is ended:
 *      its socket is destroyed, then its conntrack entry deleted (the other order lets the
 *      flow be picked up again).
 * A review that begins while one is under way simply follows it: batches keep their order.
 */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "gate/proxy.h"
#include "who/diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

struct review {
	struct gate *g;
	struct batch *b;
	int64_t now_ms, now_s;
	uint64_t generation;
	struct ct_flow *flows;  /* live ones, then those to end */
	size_t nflows, judged, kept, ended;
	struct instance instance;
	struct slice slice;
};

enum { SLICE_MAX = 32 };

static void tell_actor(void *ctx, const struct program *p)
{
	struct review *v = ctx;

	actor_tell(v->g, p, v->b);
}

/* does the kernel let all of this number's traffic pass? */
static bool whole_allows(const struct gate *g, const struct program *p)
{
	return g->actors[p->actor & ACTOR_MASK].out == VERDICT_ALLOW;
}

/* ports that were opened one by one, when they were met, stay while a rule allows them */
static void keep_met(struct review *v, const struct program *p, const struct grant *gr,
	const struct target *to, struct grant_shape *want)
{
	struct target met = *to;
	struct decision d;

	if (want->n && want->at[0].set == NFT_PASS)
		return;
	for (unsigned i = 0; i < gr->shape.n; i++) {
		const struct grant_element *e = &gr->shape.at[i];

		if (e->set != NFT_PASS_SVC || e->port == 0)
			continue;
		met.proto = e->proto;
		met.port = e->port;
		ruleset_decide(v->g->rules, p, &met, v->now_s, &d);
		if (d.verdict == VERDICT_ALLOW)
			grant_shape_port(want, e->proto, e->port);
	}
}

static void review_grant(void *ctx, struct grant *gr)
{
	struct review *v = ctx;
	struct gate *g = v->g;
	const struct program *p = who_actor(g->parts.who, gr->actor);
	struct target to = { .name = gr->name[0] ? gr->name : NULL, .addr = &gr->addr,
		.dir = FLOW_OUT, .local_name = rules_local_name(gr->name) };
	struct port_verdicts verdicts;
	struct grant_shape want;
	struct geo_tag tag;
	bool any;

	if (g->mode == GATE_WATCH) {
		batch_take_grant(v->b, g, gr);
		gr->in_kernel = false;
	}
	if (gate_watches(g))
		return; /* its name is still wanted; judged when the rules count again */
	to.geo = gate_where(g, &gr->addr, &tag);
	if (gate_by_key(g))
		p = key_best(g, gr->actor, &to, v->now_s, &verdicts);
	else
		ruleset_ports(g->rules, p, &to, v->now_s, &verdicts);
	any = grant_shape(&want, &verdicts);
	/* what was opened by address alone is met again, where a name could now be denied */
	if (!any || (!gr->name[0] && actor_of(g, p)->whole.narrows)) {
		/* only remembered from here on: by its name its running flows are judged */
		batch_take_grant(v->b, g, gr);
		gr->in_kernel = false;
		gr->expires_ms = MIN(gr->expires_ms, v->now_ms);
		return;
	}
	if (gr->expires_ms <= v->now_ms)
		return; /* only remembered */
	keep_met(v, p, gr, &to, &want);
	gr->rule = grant_decision(&verdicts)->rule;
	if (grant_same_shape(&gr->shape, &want) && (gr->in_kernel || whole_allows(g, p)))
		return;
	batch_take_grant(v->b, g, gr);
	gr->shape = want;
	gr->in_kernel = addr_zone(&gr->addr) != ZONE_LOCALHOST;
	if (gr->in_kernel)
		batch_put_grant(v->b, g, gr, v->now_ms);
}

/* does anything still cover this live flow? */
static bool covered(struct review *v, const struct ct_flow *f)
{
	struct gate *g = v->g;
	const struct program *p = who_actor(g->parts.who, f->actor);
	struct target to = { .addr = f->inbound ? &f->src : &f->dst, .proto = f->proto,
		.port = f->dport, .dir = f->inbound ? FLOW_IN : FLOW_OUT };
	struct grant *gr = f->inbound ? NULL : grant_by_addr(g->book, f->actor, &f->dst);
	struct decision d;
	struct program mild;
	struct geo_tag tag;

	if (g->mode == GATE_BLOCKED)
		return addr_cmp(&f->src, &f->dst) == 0 ||
		       addr_zone(&f->dst) == ZONE_LOCALHOST;
	if (gate_watches(g))
		return true;
	if (f->actor == ACTOR_SELF || gate_is_stale(g, f))
		return true;
	if (f->inbound && (f->local || inbound_answer(g, f)))
		return true; /* the table lets it in whatever rules say */
	if (!f->inbound && addr_cmp(&f->src, &f->dst) == 0) /* this machine, by any address */
		return g->actors[f->actor & ACTOR_MASK].local != VERDICT_DENY;
	if (gr) {
		to.name = gr->name[0] ? gr->name : NULL;
		to.local_name = rules_local_name(gr->name);
	}
	to.geo = gate_where(g, to.addr, &tag);
	ruleset_decide(g->rules, f->inbound ? key_unnamed(g, p, &mild) : p, &to, v->now_s, &d);
	if (d.verdict != VERDICT_ALLOW && gate_by_key(g))
		key_allows(g, f->actor, &to, v->now_s, &d);
	return d.verdict == VERDICT_ALLOW || (f->adopted && d.reason == REASON_DEFAULT);
}

static void review_free(struct review *v)
{
	free(v->flows);
	free(v);
}

void flow_end_socket(struct diag *d, const struct instance *instance, const struct ct_flow *f)
{
	struct diag_tuple t = {
		.local = f->inbound ? f->dst : f->src,
		.peer = f->inbound ? f->src : f->dst,
		.lport = f->inbound ? f->dport : f->sport,
		.pport = f->inbound ? f->sport : f->dport,
		.proto = f->proto,
	};
	struct diag_socket s;

	if ((f->proto != IPPROTO_TCP && f->proto != IPPROTO_UDP) || diag_find(d, &t, &s) < 0)
		return;
	if ((s.mark & MARK_ACTOR_BITS) == instance_mark(instance, f->actor))
		diag_end_one(d, &t, s.cookie);
}

/* a slice at a time: grants of others wait in the same thread */
static int end_slice(void *ctx)
{
	struct review *v = ctx;
	size_t n = MIN(v->nflows - v->ended, SLICE_MAX);
	struct diag *d;
	int r = diag_open(&d);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		flow_end_socket(d, &v->instance, &v->flows[v->ended + i]);
	diag_close(d);
	r = ct_delete_flows(&v->instance, &v->flows[v->ended], n);
	v->ended += n;
	return r;
}

static void slice_done(void *ctx, int r)
{
	struct review *v = ctx;

	if (r < 0)
		log_warning("of %zu flows that no rule allows any more, some could not be "
			    "ended: %s",
			v->nflows, strerror(-r));
	if (r < 0 || v->ended == v->nflows ||
		kernel_call(v->g, end_slice, v, slice_done) < 0)
		review_free(v);
}

/* a slice at a time here too: the loop has others to serve */
static bool judge_slice(struct slice *s)
{
	struct review *v = container_of(s, struct review, slice);
	int64_t until_us = clock_boot_us() + SLICE_US;

	if (v->generation != v->g->generation) {
		review_free(v); /* newer rules have their own review behind this one */
		return false;
	}
	for (; v->judged < v->nflows && clock_boot_us() < until_us; v->judged++)
		if (!covered(v, &v->flows[v->judged]))
			v->flows[v->kept++] = v->flows[v->judged];
	if (v->judged < v->nflows)
		return true;
	v->nflows = v->kept;
	if (v->kept == 0 || kernel_call(v->g, end_slice, v, slice_done) < 0)
		review_free(v);
	return false;
}

static void judge_drop(struct slice *s)
{
	review_free(container_of(s, struct review, slice));
}

static void judge_flows(void *ctx, int r)
{
	struct review *v = ctx;

	if (r < 0)
		log_warning("conntrack cannot be read, live flows were not judged again: %s",
			strerror(-r));
	if (r < 0) {
		review_free(v);
		return;
	}
	v->slice.step = judge_slice;
	v->slice.drop = judge_drop;
	slice_start(v->g, &v->slice);
}

static int read_flows(void *ctx)
{
	struct review *v = ctx;

	return ct_dump(&v->instance, &v->flows, &v->nflows);
}

static void taken(void *ctx, int r)
{
	struct review *v = ctx;

	if (r < 0) {
		log_error("the kernel did not take the changed rules: %s; what stood before "
			  "still stands",
			strerror(-r));
		for (uint32_t n = 0; n <= ACTOR_MASK; n++)
			actor_untold(&v->g->actors[n]);
	}
	if (kernel_call(v->g, read_flows, v, judge_flows) < 0)
		review_free(v);
}

static void tell_switch(struct batch *b, enum nft_set set, bool on)
{
	struct nft_element el = { .set = set, .actor = ACTOR_SELF };

	if (on)
		batch_put(b, &el);
	else
		batch_take(b, &el);
}

static void tell_switches(struct gate *g, struct batch *b)
{
	if (g->switches_told)
		return;
	tell_switch(b, NFT_PAUSED, gate_watches(g));
	tell_switch(b, NFT_BLOCKED, g->mode == GATE_BLOCKED);
	who_whole(g->parts.who, 0, gate_watches(g) ? WHO_WHOLE_PASS :
		g->mode == GATE_BLOCKED ? WHO_WHOLE_REFUSE : 0);
	g->switches_told = true;
}

void review(struct gate *g)
{
	struct review *v;

	if (!g->parts.nft)
		return;
	v = calloc(1, sizeof(*v));
	if (!v)
		return;
	v->g = g;
	v->b = batch_new(g);
	v->now_ms = clock_boot_ms();
	v->now_s = clock_unix_ms() / 1000;
	v->generation = g->generation;
	v->instance = *g->conf.instance;
	tell_switches(g, v->b);
	who_each_actor(g->parts.who, tell_actor, v);
	everybody_tell(g, v->b);
	grant_each(g->book, review_grant, v);
	refusal_review(g, v->b);
	inbound_review(g, v->b);
	batch_send(v->b, taken, v);
	proxy_review(g->proxy);
}
