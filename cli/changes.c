/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A change somebody asked for: to the rules or the filter. It is answered when it holds, that
 * is, when the kernel's sets follow it.
 */
#include "base/text.h"
#include "cli/parts.h"

#include <errno.h>
#include <stdlib.h>

struct change {
	struct book_change book; /* first */
	uint32_t id;
};

/* the kernel has it: what was asked for holds now */
static void change_holds(void *ctx, int r)
{
	struct change *ch = ctx;
	struct core *c = ch->book.ctx;

	(void)r; /* what the kernel refused was logged by the review */
	if (c->serve)
		serve_done(c->serve, ch->book.seq, 0, ch->id, NULL);
	free(ch);
}

static void change_done(struct book_change *b, int r, uint32_t id, const char *error)
{
	struct change *ch = container_of(b, struct change, book);
	struct core *c = b->ctx;

	ch->id = id;
	if (r == 0) {
		gate_after(c->gate, change_holds, ch);
		return;
	}
	if (c->serve)
		serve_done(c->serve, b->seq, r, id, error);
	free(ch);
}

static struct book_change *change_new(struct core *c, uint32_t seq)
{
	struct change *ch = calloc(1, sizeof(*ch));

	if (!ch) {
		serve_done(c->serve, seq, -ENOMEM, 0, "no memory");
		return NULL;
	}
	ch->book.done = change_done;
	ch->book.ctx = c;
	ch->book.seq = seq;
	return &ch->book;
}

void core_rule_add(void *ctx, const char *text, int64_t created_s, uint32_t seq)
{
	struct core *c = ctx;
	struct book_change *ch = change_new(c, seq);

	if (ch)
		book_add(c->book, ch, text, created_s);
}

void core_rule_remove(void *ctx, uint32_t id, uint32_t seq)
{
	struct core *c = ctx;
	struct book_change *ch = change_new(c, seq);

	if (ch)
		book_remove(c->book, ch, id);
}

void core_rule_change(void *ctx, uint32_t id, const char *text, uint32_t seq)
{
	struct core *c = ctx;
	struct book_change *ch = change_new(c, seq);

	if (ch)
		book_replace(c->book, ch, id, text);
}

void core_filter(void *ctx, enum link_filter_mode mode, int64_t until_s, uint32_t seq)
{
	struct core *c = ctx;
	struct book_change *ch = change_new(c, seq);
	int r;

	if (!ch)
		return;
	r = filter_set(c->filter, mode, until_s);
	if (r < 0)
		change_done(ch, r, 0, r == -EINVAL ? "that time is over already"
						   : "it could not be kept: nothing changed");
	else
		gate_after(c->gate, change_holds, container_of(ch, struct change, book));
}

static void flush_holds(void *ctx)
{
	struct change *ch = ctx;

	change_holds(ch, 0);
}

void core_cache_flush(void *ctx, const char *name, bool below, uint32_t seq)
{
	struct core *c = ctx;
	struct book_change *ch = change_new(c, seq);
	int r;

	if (!ch)
		return;
	r = resolver_flush(c->resolver, name, below, flush_holds,
		container_of(ch, struct change, book));
	if (r < 0)
		change_done(ch, r, 0, "too many at once: it is being emptied already");
}
