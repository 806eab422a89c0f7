/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/live.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { GONE_SLOTS = 2 * LIVE_GONE_MAX, PAST_SLOTS = 2 * LIVE_MAX, PAST_LOOK = 16 };

/* one of the past: ct is written last and taken away first */
struct mark {
	uint32_t ct;
	uint8_t based, over, stale, pad;
	uint64_t check, id;
	int64_t start_ms;
	struct diag_traffic base;
	uint32_t actor;
	struct addr to;
	char name[HOST_MAX]; /* "": none, or it came in */
};

struct past {
	uint64_t next_id;
	struct mark marks[PAST_SLOTS];
};

_Static_assert(sizeof(struct past) <= LIVE_PAST_SIZE, "the past has room");

struct live_book {
	struct table table;
	struct past *past; /* or NULL */
	uint32_t round, full_round;
	bool counting, overflowed, tidy;
	unsigned ngone;
	uint32_t gone[GONE_SLOTS]; /* numbers, hashed; 0 free */
};

static void insert(struct live_book *l, struct live *v)
{
	v->round = l->round;
	table_add(&l->table, &v->node, table_hash(&l->table, &v->ct, sizeof(v->ct)));
}

/* nobody will tell this core of those that were there before the first one */
static void load_stale(struct live_book *l)
{
	for (size_t i = 0; l->past && i < PAST_SLOTS && l->table.count < LIVE_MAX; i++) {
		const struct mark *m = &l->past->marks[i];
		struct live *v = m->ct && m->stale == 1 ? calloc(1, sizeof(*v)) : NULL;

		if (!v)
			continue;
		v->ct = m->ct;
		v->check = m->check;
		v->stale = true;
		insert(l, v);
	}
}

int live_new(void *past, struct live_book **out)
{
	struct live_book *l = calloc(1, sizeof(*l));

	if (!l || table_init(&l->table, LIVE_MAX) < 0) {
		free(l);
		return -ENOMEM;
	}
	l->past = past;
	load_stale(l);
	*out = l;
	return 0;
}

static void take_out(struct live_book *l, struct live *v)
{
	table_remove(&l->table, &v->node);
	free(v);
}

void live_free(struct live_book *l)
{
	struct table_node *n;

	if (!l)
		return;
	while ((n = table_oldest(&l->table)))
		take_out(l, container_of(n, struct live, node));
	table_done(&l->table);
	free(l);
}

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT64_C(1099511628211); /* FNV-1a */
	return h;
}

static uint64_t check_of(const struct ct_flow *c)
{
	uint64_t h = UINT64_C(14695981039346656037);

	h = mix(h, &c->actor, sizeof(c->actor));
	h = mix(h, &c->src, sizeof(c->src));
	h = mix(h, &c->dst, sizeof(c->dst));
	h = mix(h, &c->sport, sizeof(c->sport));
	h = mix(h, &c->dport, sizeof(c->dport));
	return mix(h, &c->proto, sizeof(c->proto));
}

static uint32_t slot_of(uint32_t ct)
{
	return ct * UINT32_C(2654435761) >> 8;
}

/* --- the past ---------------------------------------------------------------------------- */

static struct mark *mark_at(struct live_book *l, uint32_t ct, unsigned i)
{
	return &l->past->marks[(slot_of(ct) + i) % PAST_SLOTS];
}

static struct mark *mark_find(struct live_book *l, const struct live *v)
{
	for (unsigned i = 0; l->past && i < PAST_LOOK; i++) {
		struct mark *m = mark_at(l, v->ct, i);

		if (m->ct == v->ct && m->check == v->check)
			return m;
	}
	return NULL;
}

static void mark_set_ct(struct mark *m, uint32_t ct)
{
	__atomic_store_n(&m->ct, ct, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* nothing moves before or behind it */
}

static void mark_put(struct live_book *l, const struct live *v)
{
	struct mark *m = mark_find(l, v);

	for (unsigned i = 0; l->past && !m && i < PAST_LOOK; i++)
		m = mark_at(l, v->ct, i)->ct ? NULL : mark_at(l, v->ct, i);
	if (!m) /* crowded here: this one gets another id from the next core */
		return;
	mark_set_ct(m, 0);
	m->based = v->based;
	m->over = v->over;
	m->stale = v->stale;
	m->check = v->check;
	m->id = v->f.id;
	m->start_ms = v->f.start_ms;
	m->base = v->base;
	m->actor = v->f.actor;
	m->to = v->f.addr;
	text_copy(m->name, sizeof(m->name), v->f.dir == FLOW_OUT ? v->f.name : "");
	mark_set_ct(m, v->ct);
}

static void recall(struct live_book *l, struct live *v)
{
	const struct mark *m = mark_find(l, v);

	if (!m)
		return;
	v->f.id = m->id;
	v->f.start_ms = m->start_ms;
	v->based = m->based;
	v->over = m->over;
	v->base = m->base;
}

/* what ended while no core was there */
static void forget(struct live_book *l)
{
	for (size_t i = 0; l->past && i < PAST_SLOTS; i++) {
		struct mark *m = &l->past->marks[i];
		const struct live *v = m->ct ? live_at(l, m->ct) : NULL;

		if (m->ct && (!v || v->check != m->check))
			mark_set_ct(m, 0);
	}
}

void live_names(struct live_book *l, void (*each)(void *ctx, uint32_t actor,
	const struct addr *to, const char *name), void *ctx)
{
	for (size_t i = 0; l->past && i < PAST_SLOTS; i++) {
		const struct mark *m = &l->past->marks[i];

		if (m->ct && m->name[0] && !m->over && !m->stale &&
			memchr(m->name, '\0', sizeof(m->name)) &&
			(m->to.family == 4 || m->to.family == 6))
			each(ctx, m->actor, &m->to, m->name);
	}
}

uint64_t live_next_id(const struct live_book *l)
{
	return l->past ? l->past->next_id : 0;
}

void live_id_given(struct live_book *l, uint64_t id)
{
	if (l->past && l->past->next_id <= id)
		l->past->next_id = id + 1;
}

/* --- the book ---------------------------------------------------------------------------- */

static bool is_it(const struct table_node *n, const void *key)
{
	return container_of(n, const struct live, node)->ct == *(const uint32_t *)key;
}

struct live *live_at(struct live_book *l, uint32_t ct)
{
	struct table_node *n = table_find(&l->table, table_hash(&l->table, &ct, sizeof(ct)),
		is_it, &ct);

	return n ? container_of(n, struct live, node) : NULL;
}

struct live *live_find(struct live_book *l, const struct ct_flow *c)
{
	struct live *v = live_at(l, c->id);

	return v && v->check == check_of(c) ? v : NULL;
}

bool live_room(struct live_book *l)
{
	if (l->table.count < LIVE_MAX)
		return true;
	l->overflowed = true;
	l->full_round = l->round;
	return false;
}

struct live *live_add(struct live_book *l, const struct ct_flow *c, const struct flow *f)
{
	struct live *v = live_room(l) ? calloc(1, sizeof(*v)) : NULL;

	if (!v)
		return NULL;
	v->ct = c->id;
	v->check = check_of(c);
	v->f = *f;
	recall(l, v);
	insert(l, v);
	mark_put(l, v);
	return v;
}

void live_drop(struct live_book *l, struct live *v)
{
	struct mark *m = mark_find(l, v);

	if (m)
		mark_set_ct(m, 0);
	take_out(l, v);
}

void live_stale(struct live_book *l, struct live *v)
{
	v->stale = true;
	mark_put(l, v);
}

void live_over(struct live_book *l, struct live *v)
{
	v->over = true;
	mark_put(l, v);
}

bool live_overflowed(const struct live_book *l)
{
	return l->overflowed;
}

/* --- counting ---------------------------------------------------------------------------- */

static uint64_t above(uint64_t all, uint64_t part)
{
	return all > part ? all - part : 0;
}

static void find_base(struct live_book *l, struct live *v, const struct ct_flow *c,
	const struct diag_traffic *socket)
{
	v->base = (struct diag_traffic){
		.rx = above(socket->rx, c->rx),
		.tx = above(socket->tx, c->tx),
		.rx_packets = above(socket->rx_packets, c->rx_packets),
		.tx_packets = above(socket->tx_packets, c->tx_packets),
	};
	v->based = true;
	mark_put(l, v);
}

static bool raise(uint64_t *was, uint64_t now)
{
	bool more = now > *was;

	if (more)
		*was = now;
	return more;
}

bool live_count(struct live_book *l, struct live *v, const struct ct_flow *c,
	const struct diag_traffic *socket)
{
	struct diag_traffic now = { c->rx, c->tx, c->rx_packets, c->tx_packets };
	bool moved = false;

	if (!c->counted && !socket) {
		/* what was known last, of one whose socket told it */
		v->f.counted = c->ended && (v->f.rx || v->f.tx);
		return false;
	}
	if (!c->counted)
		now = *socket;
	else if (c->adopted && socket && !v->based)
		find_base(l, v, c, socket);
	moved |= raise(&v->f.rx, now.rx + v->base.rx);
	moved |= raise(&v->f.tx, now.tx + v->base.tx);
	moved |= raise(&v->f.rx_packets, now.rx_packets + v->base.rx_packets);
	moved |= raise(&v->f.tx_packets, now.tx_packets + v->base.tx_packets);
	moved |= !v->f.counted;
	v->f.counted = 1;
	return moved;
}

/* --- rounds ------------------------------------------------------------------------------ */

void live_round(struct live_book *l)
{
	l->round++;
	l->counting = true;
	l->ngone = 0;
	memset(l->gone, 0, sizeof(l->gone));
}

void live_ended(struct live_book *l, uint32_t ct)
{
	uint32_t at = slot_of(ct);

	if (!l->counting || ++l->ngone > LIVE_GONE_MAX)
		return;
	while (l->gone[at % GONE_SLOTS])
		at++;
	l->gone[at % GONE_SLOTS] = ct;
}

bool live_gone(const struct live_book *l, uint32_t ct)
{
	uint32_t at = slot_of(ct);

	if (l->ngone > LIVE_GONE_MAX) /* more than are known: then any may be */
		return true;
	for (; l->gone[at % GONE_SLOTS]; at++) {
		if (l->gone[at % GONE_SLOTS] == ct)
			return true;
	}
	return false;
}

void live_seen(struct live_book *l, struct live *v)
{
	v->round = l->round;
	v->missed = false;
	table_use(&l->table, &v->node);
}

struct live *live_lost(struct live_book *l, unsigned *budget)
{
	struct table_node *n;

	/* what was seen became the newest: the others are the oldest */
	while (*budget && (n = table_oldest(&l->table))) {
		struct live *v = container_of(n, struct live, node);

		if (v->round == l->round)
			return NULL;
		--*budget;
		v->round = l->round;
		table_use(&l->table, n);
		if (v->missed)
			return v;
		v->missed = true;
	}
	return NULL;
}

void live_round_over(struct live_book *l, bool whole)
{
	l->counting = false;
	if (whole && l->full_round != l->round) /* everybody found room in it */
		l->overflowed = false;
	if (whole && !l->tidy)
		forget(l);
	l->tidy |= whole;
}
