/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation: for every number the gate computes what rules say about all of its
 * traffic at once, and keeps the kernel's maps equal to that. A number bears a verdict only
 * while its program is the one the verdict was computed for (serial). */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/macros.h"

#include <string.h>

struct actor_state *actor_of(struct gate *g, const struct program *p)
{
	struct actor_state *a = &g->actors[p->actor & ACTOR_MASK];

	if (a->serial != p->serial || a->generation != g->generation) {
		/* what the kernel was told stays as it is: that is the kernel's fact */
		a->serial = p->serial;
		a->generation = g->generation;
		ruleset_whole(g->rules, p, clock_unix_ms() / 1000, &a->whole);
		if (gate_by_key(g) && !p->known)
			key_whole(g, p, clock_unix_ms() / 1000, &a->whole);
	}
	return a;
}

/* to whom, and of whom */
struct telling {
	struct batch *b;
	uint32_t actor;
	bool unsure;
};

static void tell_map(const struct telling *t, enum nft_set set, uint8_t *told,
	enum verdict want)
{
	struct nft_element el = { .set = set, .actor = t->actor };

	if (want != VERDICT_ALLOW && want != VERDICT_DENY)
		want = VERDICT_NONE;
	if (*told == want && !t->unsure)
		return;
	el.accept = want == VERDICT_ALLOW;
	if (want == VERDICT_NONE)
		batch_take(t->b, &el);
	else
		batch_put(t->b, &el);
	*told = (uint8_t)want;
}

_Static_assert((int)RULES_DHCP == (int)NFT_FACTORY_DHCP &&
		       (int)RULES_ND == (int)NFT_FACTORY_ND,
	"classes are numbered alike");

static void tell_factory(struct gate *g, struct batch *b, struct actor_state *a,
	const struct program *p)
{
	uint8_t want = (uint8_t)ruleset_classes(g->rules, p, clock_unix_ms() / 1000);

	for (uint8_t c = NFT_FACTORY_DHCP; c <= NFT_FACTORY_ND; c++) {
		struct nft_element el = { .set = NFT_FACTORY, .actor = p->actor,
			.factory = c };

		if ((want >> c & 1) == (a->factory >> c & 1) && !a->unsure)
			continue;
		if (want >> c & 1)
			batch_put(b, &el);
		else
			batch_take(b, &el);
	}
	a->factory = want;
}

/* What is allowed whole need not meet the proxy, but where a name could still be denied. */
static void tell_peek(const struct telling *t, bool *told, bool want)
{
	struct nft_element el = { .set = NFT_PEEK, .actor = t->actor };

	if (want == *told && !t->unsure)
		return;
	if (want)
		batch_put(t->b, &el);
	else
		batch_take(t->b, &el);
	*told = want;
}

/* for hooks that cannot know where something goes: only the whole counts */
static void whole_tell(struct gate *g, uint32_t actor, enum verdict whole, uint8_t classes)
{
	uint32_t what = classes >> NFT_FACTORY_DHCP & 1 ? WHO_WHOLE_DHCP : 0;

	if (whole == VERDICT_ALLOW)
		what |= WHO_WHOLE_PASS;
	else if (whole == VERDICT_DENY)
		what |= WHO_WHOLE_REFUSE;
	who_whole(g->parts.who, actor, what);
}

void actor_tell(struct gate *g, const struct program *p, struct batch *b)
{
	struct actor_state *a = actor_of(g, p);
	const struct telling t = { b, p->actor, a->unsure };
	unsigned before = batch_count(b);
	bool watch = g->mode == GATE_WATCH; /* the table holds nothing that could refuse */

	tell_map(&t, NFT_ACTOR, &a->out,
		watch ? VERDICT_NONE : a->whole.out.verdict);
	tell_peek(&t, &a->peek,
		!watch && a->whole.out.verdict == VERDICT_ALLOW && a->whole.narrows);
	tell_map(&t, NFT_LOCAL_NO, &a->local,
		!watch && a->whole.local.verdict == VERDICT_DENY ? VERDICT_DENY : VERDICT_NONE);
	tell_factory(g, b, a, p);
	tell_map(&t, NFT_INBOUND, &a->in,
		inbound_tell(g, p, a, a->factory, b));
	a->unsure = false;
	whole_tell(g, p->actor, a->whole.out.verdict, a->factory);
	if (batch_count(b) > before)
		a->told = g->sent + 1; /* b is the next to be sent */
}

/* Where no rule speaks against an address that no name explains, a program's first packet
 * need not wait for its number to be told. */
void everybody_tell(struct gate *g, struct batch *b)
{
	struct actor_state *all = &g->actors[ACTOR_SELF];
	const struct telling t = { b, ACTOR_SELF, all->unsure };
	bool narrows, lets = g->mode != GATE_WATCH &&
		ruleset_lets_all(g->rules, clock_unix_ms() / 1000, &narrows);

	whole_tell(g, ACTOR_SELF, lets ? VERDICT_ALLOW : VERDICT_NONE, 0);
	tell_map(&t, NFT_ACTOR, &all->out, lets ? VERDICT_ALLOW : VERDICT_NONE);
	tell_peek(&t, &all->peek, lets && narrows);
	lets = g->mode != GATE_WATCH &&
		ruleset_lets_all_in(g->rules, clock_unix_ms() / 1000);
	tell_map(&t, NFT_INBOUND, &all->in, lets ? VERDICT_ALLOW : VERDICT_NONE);
	all->unsure = false;
}

/* What the refused batch was to take away still stands: until told again nothing is relied
 * on, and then even what is to be nothing is taken. */
void actor_untold(struct actor_state *a)
{
	a->unsure = true;
	a->out = a->in = a->local = VERDICT_NONE;
	a->peek = false;
	a->factory = 0;
	a->ports_unsure = true;
}

static void actor_told(void *ctx, int r)
{
	if (r < 0)
		actor_untold(ctx);
}

void gate_actor_new(void *gate, const struct program *p)
{
	struct gate *g = gate;
	struct batch *b = batch_new(g);

	if (!g->rules)
		return; /* the first gate_rules_set goes over everybody */
	actor_tell(g, p, b);
	inbound_review_of(g, p->actor, b);
	batch_send(b, actor_told, &g->actors[p->actor & ACTOR_MASK]);
}

struct idle {
	struct gate *g;
	uint32_t actor;
	uint64_t serial;
	struct batch *b;
	struct grant_book *from;
};

static void drop_grant(void *ctx, struct grant *gr)
{
	struct idle *i = ctx;

	batch_take_grant(i->b, i->g, gr);
	grant_remove(i->from, gr);
	grant_discard(gr);
}

static int idle_conntrack(void *ctx)
{
	struct idle *i = ctx;

	return ct_delete(i->g->conf.instance, i->actor, NULL, 0, 0);
}

static void idle_take(struct idle *i);

/* A query of theirs that was under way, or a review, may have told the kernel something
 * since: then it is taken back too. The next who gets the number must inherit nothing. */
static void idle_gone(void *ctx, int r)
{
	struct idle *i = ctx;
	const struct actor_state *a = &i->g->actors[i->actor & ACTOR_MASK];

	if (r >= 0 && (grant_of(i->g->book, i->actor) ||
			      grant_of(i->g->refusals, i->actor) ||
			      grant_of(i->g->peers, i->actor) || a->out || a->in || a->local ||
			      a->unsure || a->peek || a->factory || a->nports)) {
		idle_take(i);
		return;
	}
	if (r >= 0)
		who_actor_free(i->g->parts.who, i->actor);
	free(i);
}

static void idle_taken(void *ctx, int r)
{
	struct idle *i = ctx;

	if (r < 0 || kernel_call(i->g, idle_conntrack, i, idle_gone) < 0)
		free(i); /* the number stays taken: never given to another */
}

/* nobody bears the number any more: everything that speaks of it goes, then it is free */
void gate_actor_idle(void *gate, const struct program *p)
{
	struct idle *i = calloc(1, sizeof(*i));

	if (!i)
		return;
	i->g = gate;
	i->actor = p->actor;
	idle_take(i);
}

static void idle_take(struct idle *i)
{
	struct actor_state *a = &i->g->actors[i->actor & ACTOR_MASK];
	struct telling t = { .actor = i->actor, .unsure = a->unsure };
	struct grant_book *const books[] = { i->g->book, i->g->refusals, i->g->peers };

	t.b = i->b = batch_new(i->g);
	for (size_t n = 0; n < ARRAY_LEN(books); n++) {
		i->from = books[n];
		grant_each_of(i->from, i->actor, drop_grant, i);
	}
	tell_map(&t, NFT_ACTOR, &a->out, VERDICT_NONE);
	tell_map(&t, NFT_INBOUND, &a->in, VERDICT_NONE);
	tell_map(&t, NFT_LOCAL_NO, &a->local, VERDICT_NONE);
	tell_peek(&t, &a->peek, false);
	for (uint8_t c = NFT_FACTORY_DHCP; c <= NFT_FACTORY_ND; c++) {
		struct nft_element el = { .set = NFT_FACTORY, .actor = i->actor,
			.factory = c };

		if (a->unsure || a->factory >> c & 1)
			batch_take(i->b, &el);
	}
	inbound_forget(i->b, i->actor, a);
	memset(a, 0, sizeof(*a));
	batch_send(i->b, idle_taken, i);
}
