/* SPDX-License-Identifier: GPL-2.0-or-later
 * Which numbers does nobody need any more? A number may be given again only when nothing
 * bears it. Theory of operation:
 *
 * A round walks every process in the kernel's table, then every socket that has an owner,
 * a bounded piece a tick, and marks what it meets. Then, of each number:
 *   LIVE     no process of its executable and no socket in IDLE_ROUNDS rounds in a row:
 *            it is unpublished, so that no socket can get it from now on (whoever execs
 *            that file now gets a new number): RETIRED
 *   RETIRED  no socket in GONE_ROUNDS rounds in a row, more than TIME_WAIT lasts: IDLE,
 *            and the caller is told, who frees what else bears it and gives it back
 *   IDLE     waits for who_actor_free()
 * Numbers reserved for a dead daemon's sockets have no page; they come back when a walk
 * over all open sockets meets none of them in GONE_ROUNDS rounds. */
#include "who/state.h"

#include "base/macros.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { ROUND_MS = 20000, IDLE_ROUNDS = 3, GONE_ROUNDS = 4, PROCS_PER_TICK = 256 };

enum phase { PHASE_REST, PHASE_PROCS, PHASE_SOCKETS, PHASE_RESERVED };

struct sweep {
	enum phase phase;
	uint32_t round;
	int64_t next_ms;
	uint32_t batch;      /* where the walk over processes stands */
	bool batch_on;
	bool complete;       /* nothing was left out of this round */
	uint32_t tgids[PROCS_PER_TICK];
	struct who_proc procs[PROCS_PER_TICK];
	struct bpf_link *link;
	struct iter *it;
	uint32_t reserved;   /* how many numbers are */
	uint8_t gone[WHO_NUMBERS];  /* of those: rounds without a socket */
	uint8_t seen[WHO_NUMBERS];  /* of those: in this round */
	uint32_t variants[WHO_NUMBERS]; /* the round that met a process with this variant */
};

int sweep_init(struct who *w)
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	w->sweep = s;
	return 0;
}

static void walk_end(struct sweep *s)
{
	iter_close(s->it);
	bpf_link__destroy(s->link);
	s->it = NULL;
	s->link = NULL;
}

void sweep_done(struct who *w)
{
	if (w->sweep)
		walk_end(w->sweep);
	free(w->sweep);
	w->sweep = NULL;
}

bool sweep_running(const struct who *w)
{
	return w->sweep->phase != PHASE_REST;
}

void sweep_begin(struct who *w)
{
	struct sweep *s = w->sweep;

	s->round++;
	s->batch_on = false;
	s->complete = true;
	s->phase = PHASE_PROCS;
	s->reserved = 0;
	for (uint32_t n = 1; n <= ACTOR_MAX; n++)
		if (atomic_load(&w->serials[n]) == WHO_SERIAL_RESERVED)
			s->reserved++;
	memset(s->seen, 0, sizeof(s->seen));
}

/* a piece of the process table: true while there is more */
static bool procs_step(struct who *w)
{
	struct sweep *s = w->sweep;
	uint32_t n = PROCS_PER_TICK, next = 0;
	int r = bpf_map_lookup_batch(map_fd(w, MAP_PROCS), s->batch_on ? &s->batch : NULL,
		&next, s->tgids, s->procs, &n, NULL);

	if (r < 0 && errno != ENOENT)
		n = 0; /* ENOENT: the last piece */
	for (uint32_t i = 0; i < n; i++) {
		const struct who_proc *p = &s->procs[i];
		struct image *image = image_get(w, &p->exe);

		if (image)
			image->alive = s->round;
		if (p->variant && p->variant < WHO_NUMBERS)
			s->variants[p->variant] = s->round;
	}
	s->batch = next;
	s->batch_on = true;
	s->complete &= r == 0 || errno == ENOENT;
	return r == 0;
}

static void on_bearer(void *ctx, const void *record)
{
	struct who *w = ctx;
	uint32_t pair[2];

	memcpy(pair, record, sizeof(pair));
	for (int i = 0; i < 2; i++)
		if (pair[i] < WHO_NUMBERS && w->slots[pair[i]])
			w->slots[pair[i]]->borne = w->sweep->round;
}

static void on_reserved(void *ctx, const void *record)
{
	struct who *w = ctx;
	uint32_t n;

	memcpy(&n, record, sizeof(n));
	w->sweep->seen[n & ACTOR_MASK] = 1;
}

/* 1: more to come, 0: done, -errno: this round does not count */
static int walk_step(struct who *w, enum iter_kind kind, int map, size_t record,
	iter_each each)
{
	struct iter_about about = { .map_fd = map };
	struct sweep *s = w->sweep;
	int r = 0;

	if (!s->link)
		r = iter_link(w, kind, about, &s->link);
	if (r == 0 && !s->it)
		r = iter_open(s->link, record, &s->it);
	if (r == 0)
		r = iter_step(s->it, each, w);
	if (r <= 0)
		walk_end(s);
	return r;
}

static bool bump(uint8_t *rounds, uint8_t limit)
{
	if (*rounds < limit)
		(*rounds)++;
	return *rounds == limit;
}

static void decide(struct who *w, uint32_t n, struct slot *s)
{
	uint32_t round = w->sweep->round;
	bool socket = s->borne == round;
	bool process = (s->image && s->image->alive == round) || !s->image ||
		w->sweep->variants[n] == round;

	if (socket || (process && s->state == SLOT_LIVE)) {
		s->rounds = 0;
		return;
	}
	if (s->state == SLOT_LIVE && bump(&s->rounds, IDLE_ROUNDS)) {
		number_unpublish(w, &s->page, n);
		s->state = SLOT_RETIRED;
		s->rounds = 0;
	} else if (s->state == SLOT_RETIRED && number_published(w, &s->page, n)) {
		s->state = SLOT_LIVE; /* it was met between its page and its publishing */
		s->rounds = 0;
	} else if (s->state == SLOT_RETIRED && bump(&s->rounds, GONE_ROUNDS)) {
		s->state = SLOT_IDLE;
		if (w->calls.actor_idle)
			w->calls.actor_idle(w->calls.ctx, s->program);
		else
			who_actor_free(w, n);
	}
}

static void decide_all(struct who *w)
{
	for (uint32_t n = 1; n <= ACTOR_MAX; n++) {
		struct slot *s = w->slots[n];

		if (s && s->serial != atomic_load(&w->serials[n]))
			identity_forget(w, n); /* a hook took it back: it is free already */
		else if (s)
			decide(w, n, s);
	}
}

static void decide_reserved(struct who *w)
{
	struct sweep *s = w->sweep;

	for (uint32_t n = 1; n <= ACTOR_MAX; n++) {
		if (atomic_load(&w->serials[n]) != WHO_SERIAL_RESERVED)
			continue;
		if (s->seen[n])
			s->gone[n] = 0;
		else if (bump(&s->gone[n], GONE_ROUNDS))
			number_give_back(w, n, NULL);
	}
}

static void rest(struct sweep *s, int64_t now_ms)
{
	s->phase = PHASE_REST;
	s->next_ms = now_ms + ROUND_MS;
}

void sweep_tick(struct who *w, int64_t now_ms)
{
	struct sweep *s = w->sweep;
	int r;

	switch (s->phase) {
	case PHASE_REST:
		if (!s->next_ms)
			s->next_ms = now_ms + ROUND_MS;
		if (now_ms >= s->next_ms)
			sweep_begin(w);
		return;
	case PHASE_PROCS:
		if (!procs_step(w))
			s->phase = PHASE_SOCKETS;
		return;
	case PHASE_SOCKETS:
		r = walk_step(w, ITER_BEARERS, map_fd(w, MAP_OWNERS), 2 * sizeof(uint32_t),
			on_bearer);
		if (r > 0)
			return;
		if (r == 0 && s->complete)
			decide_all(w);
		s->phase = PHASE_RESERVED;
		return;
	case PHASE_RESERVED:
		r = s->reserved ? walk_step(w, ITER_BORNE, -1, sizeof(uint32_t), on_reserved) : 0;
		if (r > 0)
			return;
		if (r == 0 && s->reserved)
			decide_reserved(w);
		rest(s, now_ms);
	}
}
