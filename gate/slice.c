/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/internal.h"

static void on_idle(uv_idle_t *idle)
{
	struct gate *g = idle->data;
	struct slice *s = g->slices;

	g->slices = s->next;
	if (!g->slices)
		g->last_slice = &g->slices;
	if (s->step(s)) { /* else it may be gone */
		s->next = NULL;
		*g->last_slice = s;
		g->last_slice = &s->next;
	}
	if (!g->slices)
		uv_idle_stop(idle);
}

void slice_start(struct gate *g, struct slice *s)
{
	if (!s->step(s))
		return;
	s->next = NULL;
	*g->last_slice = s;
	g->last_slice = &s->next;
	uv_idle_start(g->idle, on_idle);
}

void slice_drop_all(struct gate *g)
{
	while (g->slices) {
		struct slice *s = g->slices;

		g->slices = s->next;
		s->drop(s);
	}
	g->last_slice = &g->slices;
}
