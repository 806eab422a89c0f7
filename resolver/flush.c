/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/flush.h"

#include "base/host.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <uv.h>

enum { FLUSHES_MAX = 16 };

struct flush {
	char name[HOST_MAX];
	bool below;
	size_t at;
	void (*done)(void *ctx);
	void *ctx;
};

struct flushes {
	struct cache *cache;
	uv_timer_t timer;
	struct flush list[FLUSHES_MAX + 1]; /* the last place is flush_all's */
	unsigned n;
};

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

int flushes_open(struct uv_loop_s *loop, struct cache *c, struct flushes **out)
{
	struct flushes *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->cache = c;
	uv_timer_init(loop, &f->timer);
	f->timer.data = f;
	*out = f;
	return 0;
}

void flushes_close(struct flushes *f)
{
	if (f)
		uv_close((uv_handle_t *)&f->timer, on_closed);
}

static void on_turn(uv_timer_t *timer)
{
	struct flushes *f = timer->data;
	struct flush *now = &f->list[0], over;

	if (cache_flush(f->cache, now->name, now->below, &now->at))
		return;
	over = *now;
	f->n--;
	memmove(f->list, f->list + 1, f->n * sizeof(*f->list));
	if (f->n == 0)
		uv_timer_stop(timer);
	if (over.done)
		over.done(over.ctx);
}

static void add(struct flushes *f, const struct flush *new)
{
	f->list[f->n++] = *new;
	if (f->n == 1)
		uv_timer_start(&f->timer, on_turn, 0, 1);
}

int flush_ask(struct flushes *f, const char *name, bool below, void (*done)(void *ctx),
	void *ctx)
{
	struct flush new = { .below = below, .done = done, .ctx = ctx };

	if (f->n >= FLUSHES_MAX)
		return -EBUSY;
	if (!text_copy(new.name, sizeof(new.name), name))
		return -ENAMETOOLONG;
	add(f, &new);
	return 0;
}

void flush_all(struct flushes *f)
{
	struct flush all = { .below = true };

	for (unsigned i = 0; i < f->n; i++) {
		if (f->list[i].below && !f->list[i].name[0] && f->list[i].at == 0)
			return; /* one that has yet to begin */
	}
	add(f, &all);
}
