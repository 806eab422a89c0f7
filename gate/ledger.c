/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/ledger.h"

#include <errno.h>
#include <stdlib.h>

/* used is written last and taken away first */
struct line {
	uint64_t used, start;
	struct flow f;
};

_Static_assert(LEDGER_MAX * sizeof(struct line) <= LEDGER_SIZE, "the ledger has room");

struct ledger {
	struct line *lines; /* LEDGER_MAX, or NULL */
	unsigned nfree;
	uint16_t free[LEDGER_MAX];
};

static void use(struct line *line, bool used)
{
	__atomic_store_n(&line->used, used, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* nothing moves before or behind it */
}

int ledger_new(void *memory, struct ledger **out)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->lines = memory;
	while (memory && l->nfree < LEDGER_MAX) {
		l->free[l->nfree] = (uint16_t)(LEDGER_MAX - 1 - l->nfree);
		l->nfree++;
	}
	*out = l;
	return 0;
}

void ledger_free(struct ledger *l)
{
	free(l);
}

void ledger_take_over(struct ledger *l,
	void (*each)(void *ctx, const struct flow *f, uint64_t start), void *ctx)
{
	for (unsigned i = 0; l->lines && i < LEDGER_MAX; i++) {
		struct line *line = &l->lines[i];

		if (line->used == 1)
			each(ctx, &line->f, line->start);
		if (line->used)
			use(line, false);
	}
}

int ledger_put(struct ledger *l, const struct flow *f, uint64_t start)
{
	struct line *line;
	int place;

	if (l->nfree == 0)
		return LEDGER_NONE;
	place = l->free[--l->nfree];
	line = &l->lines[place];
	line->f = *f;
	line->start = start;
	use(line, true);
	return place;
}

void ledger_count(struct ledger *l, int place, const struct flow *f)
{
	struct flow *to = place == LEDGER_NONE ? NULL : &l->lines[place].f;

	if (!to)
		return;
	to->rx = f->rx;
	to->tx = f->tx;
	to->rx_packets = f->rx_packets;
	to->tx_packets = f->tx_packets;
}

void ledger_drop(struct ledger *l, int place)
{
	if (place == LEDGER_NONE)
		return;
	use(&l->lines[place], false);
	l->free[l->nfree++] = (uint16_t)place;
}
