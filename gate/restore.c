/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the kernel still knows from before, and what it must be told again. */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

/* what has no room in the book must not stand in the kernel either */
static void restore_grant(struct gate *g, struct batch *b, const struct nft_element *el,
	int64_t now_ms)
{
	bool peer = el->set == NFT_INBOUND_PASS || el->set == NFT_INBOUND_REFUSE;
	struct grant_book *book = peer ? g->peers : g->book;
	struct grant *evicted, *gr = grant_get(book, el->actor, &el->addr, el->name,
		&evicted);

	if (evicted) {
		batch_take_grant(b, g, evicted);
		grant_discard(evicted);
	}
	if (!gr || gr->shape.n == GRANT_ELEMENTS_MAX) {
		batch_take(b, el);
		return;
	}
	gr->shape.at[gr->shape.n++] = (struct grant_element){ .set = (uint8_t)el->set,
		.proto = el->proto, .port = el->port };
	gr->in_kernel = true;
	gr->rule = el->rule;
	gr->expires_ms = MAX(gr->expires_ms, now_ms + el->timeout_ms);
}

struct memory {
	struct gate *g;
	struct batch *b;
	int64_t now_ms;
};

/* Somebody may have taken the table away while no daemon was there: what it knew of the
 * names of flows that go on is remembered, so that they are judged by them. */
static void remember(void *ctx, uint32_t actor, const struct addr *to, const char *name)
{
	struct memory *m = ctx;
	struct grant *evicted = NULL, *gr;

	if (actor > ACTOR_MASK || grant_find(m->g->book, actor, to, name))
		return;
	gr = grant_get(m->g->book, actor, to, name, &evicted);
	if (evicted) {
		batch_take_grant(m->b, m->g, evicted);
		grant_discard(evicted);
	}
	if (gr)
		gr->expires_ms = m->now_ms;
}

void gate_restore(struct gate *g, const struct nft_element *els, size_t n)
{
	struct batch *b = batch_new(g);
	int64_t now_ms = clock_boot_ms();

	for (size_t i = 0; i < n; i++) {
		const struct nft_element *el = &els[i];
		struct actor_state *a = &g->actors[el->actor & ACTOR_MASK];
		uint8_t verdict = el->accept ? VERDICT_ALLOW : VERDICT_DENY;

		switch (el->set) {
		case NFT_ACTOR:
			a->out = verdict;
			break;
		case NFT_INBOUND:
			a->in = verdict;
			break;
		case NFT_INBOUND_PORT:
		case NFT_INBOUND_MEET:
			inbound_told(a, el);
			break;
		case NFT_PEEK:
			a->peek = true;
			break;
		case NFT_LOCAL_NO:
			a->local = VERDICT_DENY;
			break;
		case NFT_FACTORY:
			a->factory |= (uint8_t)(1 << el->factory);
			break;
		case NFT_EXEMPT_DNS:
		case NFT_NUMBER: /* who/ knows them */
		case NFT_PAUSED: /* whoever opened the gate says its mode */
		case NFT_BLOCKED:
		case NFT_ADOPTING: /* gate_adopt() takes it away */
		case NFT_TUNNEL: /* tunnels.h's */
		case NFT_TUNNEL_FROM:
			break;
		default:
			restore_grant(g, b, el, now_ms);
		}
	}
	live_names(g->live, remember, &(struct memory){ g, b, now_ms });
	batch_send(b, NULL, NULL);
}

struct elements {
	struct gate *g;
	struct nft_element *els;
	size_t n, max;
	bool no_memory;
	int64_t now_ms;
};

static void elements_add(struct elements *l, const struct nft_element *el)
{
	if (l->n == l->max) {
		size_t max = l->max ? l->max * 2 : 256;
		struct nft_element *more = realloc(l->els, max * sizeof(*more));

		if (!more) {
			l->no_memory = true;
			return;
		}
		l->els = more;
		l->max = max;
	}
	l->els[l->n++] = *el;
}

static void list_grant(void *ctx, struct grant *gr)
{
	struct elements *l = ctx;
	struct nft_element el;

	for (unsigned i = 0; gr->in_kernel && i < gr->shape.n && !l->no_memory; i++) {
		grant_element(l->g->book, gr, i, l->now_ms, &el);
		elements_add(l, &el);
	}
}

static void list_actor(struct elements *l, uint32_t actor)
{
	const struct actor_state *a = &l->g->actors[actor];

	if (a->out)
		elements_add(l, &(struct nft_element){ .set = NFT_ACTOR, .actor = actor,
				    .accept = a->out == VERDICT_ALLOW });
	if (a->in)
		elements_add(l, &(struct nft_element){ .set = NFT_INBOUND, .actor = actor,
				    .accept = a->in == VERDICT_ALLOW });
	for (unsigned i = 0; i < a->nports; i++) {
		struct nft_element el;

		inbound_element(actor, &a->ports[i], &el);
		elements_add(l, &el);
	}
	if (a->peek)
		elements_add(l, &(struct nft_element){ .set = NFT_PEEK, .actor = actor });
	if (a->local)
		elements_add(l, &(struct nft_element){ .set = NFT_LOCAL_NO, .actor = actor });
	for (uint8_t c = NFT_FACTORY_DHCP; c <= NFT_FACTORY_ND; c++)
		if (a->factory >> c & 1)
			elements_add(l, &(struct nft_element){ .set = NFT_FACTORY,
					    .actor = actor, .factory = c });
}

int gate_elements(struct gate *g, struct nft_element **out, size_t *n)
{
	struct elements l = { .g = g, .now_ms = clock_boot_ms() };

	for (uint32_t actor = 0; actor <= ACTOR_MASK && !l.no_memory; actor++)
		list_actor(&l, actor);
	if (gate_watches(g))
		elements_add(&l, &(struct nft_element){ .set = NFT_PAUSED, .actor = ACTOR_SELF });
	if (g->mode == GATE_BLOCKED)
		elements_add(&l, &(struct nft_element){ .set = NFT_BLOCKED, .actor = ACTOR_SELF });
	if (g->adopting)
		elements_add(&l, &(struct nft_element){ .set = NFT_ADOPTING,
				    .actor = ACTOR_SELF });
	grant_each(g->book, list_grant, &l);
	grant_each(g->peers, list_grant, &l);
	if (l.no_memory) {
		free(l.els);
		return -ENOMEM;
	}
	*out = l.els;
	*n = l.n;
	return 0;
}

void gate_table_gone(struct gate *g)
{
	g->parts.nft = NULL;
}

void gate_table_back(struct gate *g, struct nft *nft)
{
	g->parts.nft = nft;
	g->table_lost = false;
	review(g);
}
