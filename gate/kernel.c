/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/internal.h"
#include "base/macros.h"

#include <errno.h>
#include <string.h>

struct batch {
	struct nft_request req;
	struct gate *g;
	uint64_t seq;
	unsigned max;
	bool no_memory;
	void (*done)(void *ctx, int r);
	void *ctx;
};

struct batch *batch_new(struct gate *g)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (b)
		b->g = g;
	return b;
}

static void batch_free(struct batch *b)
{
	free(b->req.changes);
	free(b);
}

static void batch_add(struct batch *b, enum nft_op op, const struct nft_element *el)
{
	if (!b || b->no_memory)
		return;
	if (b->req.n == b->max) {
		unsigned max = b->max ? b->max * 2 : 8;
		struct nft_change *more = realloc(b->req.changes, max * sizeof(*more));

		if (!more) {
			b->no_memory = true;
			return;
		}
		b->req.changes = more;
		b->max = max;
	}
	b->req.changes[b->req.n].op = op;
	b->req.changes[b->req.n++].el = *el;
}

void batch_put(struct batch *b, const struct nft_element *el)
{
	batch_add(b, NFT_PUT, el);
}

void batch_take(struct batch *b, const struct nft_element *el)
{
	batch_add(b, NFT_TAKE, el);
}

unsigned batch_count(const struct batch *b)
{
	return b ? b->req.n : 0;
}

static void batch_done(struct job *job)
{
	struct batch *b = container_of(job, struct batch, req.job);
	struct gate *g = b->g;
	int r = job->result;

	g->acked = b->seq;
	if (r == -ESTALE && !g->table_lost) {
		g->table_lost = true;
		g->calls.table_lost(g->calls.ctx);
	}
	if (b->done)
		b->done(b->ctx, r);
	batch_free(b);
}

void batch_send(struct batch *b, void (*done)(void *ctx, int r), void *ctx)
{
	int r = !b || b->no_memory ? -ENOMEM : 0;

	if (r == 0 && b->req.n == 0 && !b->req.call)
		goto now;
	if (r == 0 && !b->g->parts.nft) {
		r = gate_resolver_only(b->g) ? 0 : -ESTALE; /* no table to tell, or between two */
		goto now;
	}
	if (r == 0) {
		b->seq = b->g->sent + 1;
		b->done = done;
		b->ctx = ctx;
		b->req.job.done = batch_done;
		r = nft_give(b->g->parts.nft, &b->req);
		if (r == 0) {
			b->g->sent++;
			return;
		}
	}
now:
	if (b)
		batch_free(b);
	if (done)
		done(ctx, r);
}

int kernel_call(struct gate *g, int (*call)(void *ctx), void *ctx,
	void (*done)(void *ctx, int r))
{
	struct batch *b = batch_new(g);

	if (!b)
		return -ENOMEM;
	b->req.call = call;
	b->req.ctx = ctx;
	batch_send(b, done, ctx);
	return 0;
}

static int nothing(void *ctx)
{
	(void)ctx;
	return 0;
}

void gate_after(struct gate *g, void (*done)(void *ctx, int r), void *ctx)
{
	if (kernel_call(g, nothing, ctx, done) < 0)
		done(ctx, -ENOMEM);
}

void batch_take_grant(struct batch *b, struct gate *g, const struct grant *gr)
{
	struct nft_element el;

	if (!gr->in_kernel)
		return;
	for (unsigned i = 0; i < gr->shape.n; i++) {
		if (grant_shared(g->book, gr, i))
			continue;
		grant_element(g->book, gr, i, gr->expires_ms, &el);
		batch_take(b, &el);
	}
}

void batch_put_grant(struct batch *b, struct gate *g, struct grant *gr, int64_t now_ms)
{
	struct nft_element el;

	refusal_yield(g, b, gr);
	gr->sent = g->sent + 1; /* b is the next to be sent */
	for (unsigned i = 0; i < gr->shape.n; i++) {
		grant_element(g->book, gr, i, now_ms, &el);
		batch_put(b, &el);
	}
}
