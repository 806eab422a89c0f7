/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/ledger.h"

#include <errno.h>
#include <stdlib.h>

/* used is written last and taken away first; apart from the lines, as memory that was never
 * looked at costs none */
struct kept {
	uint8_t used[LEDGER_MAX];
	struct line {
		uint64_t start;
		struct flow f;
	} lines[LEDGER_MAX];
};

_Static_assert(sizeof(struct kept) <= LEDGER_SIZE, "the ledger has room");

struct ledger {
	struct kept *kept; /* or NULL */
	unsigned nfree;
	uint16_t free[LEDGER_MAX];
};

static void use(struct ledger *l, int place, bool used)
{
	__atomic_store_n(&l->kept->used[place], used, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* nothing moves before or behind it */
}

int ledger_new(void *memory, struct ledger **out)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->kept = memory;
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
	for (int i = 0; l->kept && i < LEDGER_MAX; i++) {
		if (l->kept->used[i] == 1)
			each(ctx, &l->kept->lines[i].f, l->kept->lines[i].start);
		if (l->kept->used[i])
			use(l, i, false);
	}
}

int ledger_put(struct ledger *l, const struct flow *f, uint64_t start)
{
	struct line *line;
	int place;

	if (l->nfree == 0)
		return LEDGER_NONE;
	place = l->free[--l->nfree];
	line = &l->kept->lines[place];
	line->f = *f;
	line->start = start;
	use(l, place, true);
	return place;
}

void ledger_count(struct ledger *l, int place, const struct flow *f)
{
	struct flow *to = place == LEDGER_NONE ? NULL : &l->kept->lines[place].f;

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
	use(l, place, false);
	l->free[l->nfree++] = (uint16_t)place;
}
