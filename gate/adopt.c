/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sockets that existed before us. What a rule allows goes on: its conntrack entry is made the
 * program's own, then it gets its mark (by who/). What a rule denies is ended. What only the
 * default would deny goes on when the daemon starts for the first time (nobody is cut off by
 * installing it) and is ended when it comes back after a fall.
 *
 * One that is connected to a DNS server gets its mark alone: its next query is then a flow
 * of its program's own, and comes to us.
 */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "who/diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { DNS = 53 };

struct adopting {
	struct gate *g;
	void (*done)(void *ctx, unsigned found);
	void *ctx;
};

struct adoptee {
	struct gate *g;
	who_answer answer;
	void *token;
	struct instance instance;
	struct ct_flow flow;
};

static int move_entry(void *ctx)
{
	struct adoptee *a = ctx;

	return ct_adopt(&a->instance, &a->flow);
}

static void moved(void *ctx, int r)
{
	struct adoptee *a = ctx;

	if (r < 0)
		log_warning("a connection from before cannot be taken over, it will end: %s",
			strerror(-r));
	a->answer(a->token, WHO_MARK);
	free(a);
}

/* Its conntrack entry first, then the mark: the other way round its next packet might get
 * another source port. In between the two differ, and what is refused vanishes
 * (NFT_ADOPTING). */
static void let_on(struct gate *g, const struct who_socket *s, bool inbound,
	who_answer answer, void *token)
{
	struct adoptee *a = calloc(1, sizeof(*a));

	if (!a) {
		answer(token, WHO_MARK);
		return;
	}
	*a = (struct adoptee){ .g = g, .answer = answer, .token = token,
		.instance = *g->conf.instance };
	a->flow = (struct ct_flow){
		.actor = s->program->actor,
		.inbound = inbound,
		.src = inbound ? s->peer : s->local,
		.dst = inbound ? s->local : s->peer,
		.sport = inbound ? s->pport : s->lport,
		.dport = inbound ? s->lport : s->pport,
		.proto = s->proto,
	};
	if (kernel_call(g, move_entry, a, moved) < 0)
		moved(a, -ENOMEM);
}

/* a connection that came to a port where somebody listens was accepted, not made */
static bool accepted(struct gate *g, const struct who_socket *s)
{
	return s->proto == IPPROTO_TCP && g->parts.diag &&
	       diag_listens(g->parts.diag, &s->local, s->lport);
}

static void judge(void *ctx, const struct who_socket *s, who_answer answer, void *token)
{
	struct adopting *ad = ctx;
	struct gate *g = ad->g;
	struct target to = { .addr = &s->peer, .port = s->pport, .proto = s->proto,
		.dir = FLOW_OUT };
	struct geo_tag tag;
	bool inbound;
	struct decision d;

	actor_of(g, s->program);
	if (!s->connected || addr_zone(&s->peer) == ZONE_LOCALHOST) {
		answer(token, WHO_MARK);
		return;
	}
	inbound = accepted(g, s);
	if (!inbound && s->pport == DNS) {
		answer(token, WHO_MARK);
		return;
	}
	if (inbound) {
		to.dir = FLOW_IN;
		to.port = s->lport;
	}
	to.geo = gate_where(g, to.addr, &tag);
	ruleset_decide(g->rules, s->program, &to, clock_unix_ms() / 1000, &d);
	if (d.verdict == VERDICT_ALLOW || gate_watches(g) ||
		(d.reason == REASON_DEFAULT && g->conf.first_start))
		let_on(g, s, inbound, answer, token);
	else
		answer(token, WHO_END);
}

static void tell_switch(struct gate *g, bool on)
{
	const struct nft_element el = { .set = NFT_ADOPTING, .actor = ACTOR_SELF };
	struct batch *b = batch_new(g);

	g->adopting = on;
	if (on)
		batch_put(b, &el);
	else
		batch_take(b, &el);
	batch_send(b, NULL, NULL);
}

static void all_done(void *ctx, unsigned found)
{
	struct adopting *ad = ctx;

	tell_switch(ad->g, false);
	if (ad->done)
		ad->done(ad->ctx, found);
	free(ad);
}

int gate_adopt(struct gate *g, void (*done)(void *ctx, unsigned found), void *ctx)
{
	struct adopting *ad;
	int r;

	if (!g->parts.who)
		return -EOPNOTSUPP;
	ad = calloc(1, sizeof(*ad));
	if (!ad)
		return -ENOMEM;
	ad->g = g;
	ad->done = done;
	ad->ctx = ctx;
	tell_switch(g, true); /* a new table has it already, but one that stood has not */
	r = who_adopt(g->parts.who, judge, all_done, ad);
	if (r < 0) {
		tell_switch(g, false);
		free(ad);
	}
	return r;
}
