/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sockets that existed before us. What a rule allows gets its element, then its mark (by
 * who/), then its old conntrack entry is deleted: it stands in another zone and would shift
 * the port. What a rule denies is ended. What only the default would deny goes on when the
 * daemon starts for the first time (nobody is cut off by installing it) and is ended when it
 * comes back after a fall.
 */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/macros.h"
#include "who/diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct adopting {
	struct gate *g;
	void (*done)(void *ctx, unsigned found);
	void *ctx;
};

struct adoptee {
	struct gate *g;
	who_answer answer;
	void *token;
	struct ct_flow flow; /* its entry from before: no zone */
};

static int drop_old_entry(void *ctx)
{
	struct adoptee *a = ctx;

	ct_delete_tuple(&a->flow, 0);
	return 0;
}

static void free_adoptee(void *ctx, int r)
{
	(void)r; /* none, or gone */
	free(ctx);
}

static void opened(void *ctx, int r)
{
	struct adoptee *a = ctx;

	a->answer(a->token, r < 0 ? WHO_LEAVE : WHO_MARK);
	if (r < 0 || kernel_call(a->g, drop_old_entry, a, free_adoptee) < 0)
		free(a);
}

static void open_for(struct gate *g, const struct who_socket *s, who_answer answer,
	void *token, uint32_t rule)
{
	struct nft_element el = { .set = NFT_PASS_SVC, .actor = s->program->actor,
		.addr = s->peer, .proto = s->proto, .port = s->pport,
		.timeout_ms = GRANT_LEAST_MS, .rule = rule };
	struct adoptee *a = calloc(1, sizeof(*a));
	struct batch *b = batch_new(g);

	if (!a || !b) {
		free(a);
		batch_send(b, NULL, NULL);
		answer(token, WHO_LEAVE);
		return;
	}
	a->g = g;
	a->answer = answer;
	a->token = token;
	a->flow = (struct ct_flow){ .src = s->local, .dst = s->peer, .sport = s->lport,
		.dport = s->pport, .proto = s->proto };
	batch_put(b, &el);
	batch_send(b, opened, a);
}

/* a connection that came to a port where somebody listens was accepted, not made */
static bool accepted(struct gate *g, const struct who_socket *s)
{
	struct diag_tuple t = { .local = s->local, .lport = s->lport,
		.peer = { .family = s->local.family }, .proto = s->proto };
	struct diag_socket found;

	return s->proto == IPPROTO_TCP && g->parts.diag &&
	       diag_find(g->parts.diag, &t, &found) == 0;
}

static void judge(void *ctx, const struct who_socket *s, who_answer answer, void *token)
{
	struct adopting *ad = ctx;
	struct gate *g = ad->g;
	struct target to = { .addr = &s->peer, .port = s->pport, .proto = s->proto,
		.dir = FLOW_OUT };
	struct decision d;

	actor_of(g, s->program);
	if (!s->connected || addr_zone(&s->peer) == ZONE_LOCALHOST) {
		answer(token, WHO_MARK);
		return;
	}
	if (accepted(g, s)) {
		to.dir = FLOW_IN;
		to.port = s->lport;
	}
	ruleset_decide(g->rules, s->program, &to, clock_unix_ms() / 1000, &d);
	if (d.verdict == VERDICT_ALLOW ||
		(d.reason == REASON_DEFAULT && g->conf.first_start))
		open_for(g, s, answer, token, d.rule);
	else
		answer(token, WHO_END);
}

static void all_done(void *ctx, unsigned found)
{
	struct adopting *ad = ctx;

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
	r = who_adopt(g->parts.who, judge, all_done, ad);
	if (r < 0)
		free(ad);
	return r;
}
