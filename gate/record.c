/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The record of a query or a connection: how it begins, and how it is told to those who
 * store and show it. */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/macros.h"

#include <string.h>

void flow_begin(struct gate *g, struct flow *f, enum flow_kind kind,
	const struct program *p, enum how how)
{
	memset(f, 0, sizeof(*f));
	f->id = ++g->next_flow;
	live_id_given(g->live, f->id);
	f->start_ms = clock_unix_ms();
	f->kind = (uint8_t)kind;
	f->how = (uint8_t)how;
	f->actor = p->actor;
	f->serial = p->serial;
	f->uid = p->uid;
}

const struct process *flow_process(const struct gate *g, const struct flow *f, uint64_t start,
	struct process *out)
{
	if (!f->pid || who_process(g->parts.who, f->pid, out) < 0 || out->start != start)
		return NULL;
	return out;
}

void flow_tell(struct gate *g, const struct flow *f, const struct program *p,
	const struct process *process)
{
	g->calls.flow(g->calls.ctx, f, p, process);
}

/* a token bucket per number: one program's flood must not push others out of the lists */
static bool may_tell(struct gate *g, uint32_t actor, int64_t now_ms)
{
	struct actor_state *a = &g->actors[actor & ACTOR_MASK];
	int64_t add = (now_ms - a->events_ms) * EVENTS_PER_S / 1000;

	if (add > 0) {
		a->tokens = (uint32_t)MIN((int64_t)a->tokens + add, EVENTS_BURST);
		a->events_ms = now_ms;
	}
	if (a->tokens == 0)
		return false;
	a->tokens--;
	return true;
}

bool flow_offer(struct gate *g, const struct flow *f, const struct program *p,
	const struct process *process)
{
	if (!may_tell(g, f->actor, clock_unix_ms())) {
		g->stats.events_lost++;
		return false;
	}
	flow_tell(g, f, p, process);
	return true;
}
