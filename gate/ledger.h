/* SPDX-License-Identifier: GPL-2.0-or-later
 * ledger.h - connections that the proxy passes on, in memory that outlives a core: they end
 * with their core, and by this the next one tells so. Pure.
 * A core may be killed while it writes there: what is half written is not found. */
#ifndef GATE_LEDGER_H
#define GATE_LEDGER_H

#include "base/flow.h"

/* LEDGER_SIZE: of the memory, zeroed at the very first */
enum { LEDGER_MAX = 8192, LEDGER_SIZE = 8 << 20, LEDGER_NONE = -1 };

struct ledger;

/* memory may be NULL: then nothing is kept. -ENOMEM */
int ledger_new(void *memory, struct ledger **out);
void ledger_free(struct ledger *l); /* NULL is fine; the memory keeps what it has */
/* what a core before us left behind, and is forgotten by this; before the first ledger_put().
 * start is that of process f->pid */
void ledger_take_over(struct ledger *l,
	void (*each)(void *ctx, const struct flow *f, uint64_t start), void *ctx);

/* copies f; its place, LEDGER_NONE if there is none */
int ledger_put(struct ledger *l, const struct flow *f, uint64_t start);
void ledger_count(struct ledger *l, int place, const struct flow *f); /* its counters */
void ledger_drop(struct ledger *l, int place);                        /* LEDGER_NONE is fine */

#endif
