/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What was denied by address lately, so that the next packet is refused at once: a book like
 * that of the grants. A refusal is short-lived, names no name, and goes when a rule allows
 * it, when a grant opens its address, and when its program is gone. A new core does not know
 * it: the first review takes it back.
 */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/macros.h"

static struct grant_element element_of(const struct flow *f)
{
	return (struct grant_element){ .set = NFT_REFUSE_SVC, .proto = f->proto,
		.port = proto_has_ports(f->proto) ? f->port : 0 };
}

static bool holds(const struct grant *gr, const struct grant_element *e)
{
	for (unsigned i = 0; i < gr->shape.n; i++)
		if (gr->shape.at[i].proto == e->proto && gr->shape.at[i].port == e->port)
			return true;
	return false;
}

bool refusal_stands(const struct gate *g, const struct flow *f)
{
	const struct grant *gr = grant_find(g->refusals, f->actor, &f->addr, "");
	const struct grant_element e = element_of(f);

	return gr && gr->in_kernel && gr->expires_ms > clock_boot_ms() && holds(gr, &e);
}

static void forget(struct gate *g, struct batch *b, struct grant *gr)
{
	batch_take_grant(b, g, gr);
	grant_remove(g->refusals, gr);
	grant_discard(gr);
}

void refusal_put(struct gate *g, const struct flow *f, uint32_t ms)
{
	struct grant *evicted, *gr = grant_get(g->refusals, f->actor, &f->addr, "", &evicted);
	const struct grant_element e = element_of(f);
	int64_t now_ms = clock_boot_ms();
	struct batch *b = batch_new(g);
	struct nft_element el;

	if (evicted) {
		batch_take_grant(b, g, evicted);
		grant_discard(evicted);
	}
	if (gr && gr->shape.n >= REFUSAL_PORTS_MAX && !holds(gr, &e)) { /* somebody tries port after port */
		batch_take_grant(b, g, gr);
		gr->shape.n = 0;
	}
	if (gr) {
		grant_use(g->refusals, gr);
		if (!holds(gr, &e))
			gr->shape.at[gr->shape.n++] = e;
		gr->rule = f->rule;
		gr->in_kernel = true;
		gr->expires_ms = MAX(gr->expires_ms, now_ms + ms);
		el = (struct nft_element){ .set = NFT_REFUSE_SVC, .actor = f->actor,
			.addr = f->addr, .proto = e.proto, .port = e.port, .timeout_ms = ms,
			.rule = f->rule };
		batch_put(b, &el);
	}
	batch_send(b, NULL, NULL);
}

void refusal_yield(struct gate *g, struct batch *b, const struct grant *to)
{
	struct grant *gr = grant_find(g->refusals, to->actor, &to->addr, "");

	if (gr)
		forget(g, b, gr);
}

struct reviewing {
	struct gate *g;
	struct batch *b;
	int64_t now_s;
};

/* one of its ports that is allowed now takes the others along: they are met anew */
static void review_one(void *ctx, struct grant *gr)
{
	struct reviewing *v = ctx;
	const struct grant *name = grant_by_addr(v->g->book, gr->actor, &gr->addr);
	struct target to = { .addr = &gr->addr, .dir = FLOW_OUT };
	struct geo_tag tag;
	struct decision d;

	if (name && name->name[0]) {
		to.name = name->name;
		to.local_name = rules_local_name(name->name);
	}
	to.geo = gate_where(v->g, &gr->addr, &tag);
	for (unsigned i = 0; i < gr->shape.n; i++) {
		to.proto = gr->shape.at[i].proto;
		to.port = gr->shape.at[i].port;
		ruleset_decide(v->g->rules, who_actor(v->g->parts.who, gr->actor), &to,
			v->now_s, &d);
		if (d.verdict != VERDICT_ALLOW)
			continue;
		forget(v->g, v->b, gr);
		return;
	}
}

void refusal_review(struct gate *g, struct batch *b)
{
	struct reviewing v = { g, b, clock_unix_ms() / 1000 };

	grant_each(g->refusals, review_one, &v);
}
