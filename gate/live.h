/* SPDX-License-Identifier: GPL-2.0-or-later
 * live.h - connections that go on now, by the number conntrack has for each, and what was
 * counted of them. Pure.
 *
 * Rounds: now and then all of conntrack is read. Between that reading and its digestion,
 * connections end: live_gone() knows them, so that none comes back. One that two whole
 * rounds did not find has ended and its event was lost.
 * Past: memory of LIVE_PAST_SIZE that outlives a core, zeroed at the very first. By it a
 * connection keeps its id, its beginning and the name it was made by under the next core. A core may be killed while it
 * writes there: what is half written is not found.
 * Bounds: LIVE_MAX, then live_add says no: such a connection is told when it ends. */
#ifndef GATE_LIVE_H
#define GATE_LIVE_H

#include "base/flow.h"
#include "base/table.h"
#include "nft/ct.h"
#include "who/diag.h"

enum { LIVE_MAX = 16384, LIVE_GONE_MAX = 4096, LIVE_PAST_SIZE = 12 << 20 };

struct live_book;

struct live {
	struct table_node node;
	uint32_t ct;       /* conntrack's number, and */
	uint64_t check;    /* of its tuple and actor: numbers are used again */
	bool stale;        /* of an instance before us, whose numbers mean nothing now: not told */
	bool told;         /* somebody was told of it: of its end, too, whatever the flood */
	bool missed;       /* by the last whole round */
	bool over;         /* closed, and told so; conntrack remembers it for a while */
	uint32_t round;
	bool based;
	struct diag_traffic base; /* what went through before conntrack counted */
	struct flow f;
};

int live_new(void *past, struct live_book **out); /* past may be NULL; -ENOMEM */
void live_free(struct live_book *l);              /* NULL is fine */
struct live *live_find(struct live_book *l, const struct ct_flow *c);
/* whatever stands at this number; it may be another connection's of before */
struct live *live_at(struct live_book *l, uint32_t ct);
/* Copies f, with the id and start it had under a core before us. NULL: full */
struct live *live_add(struct live_book *l, const struct ct_flow *c, const struct flow *f);
bool live_room(struct live_book *l); /* for one more */
void live_drop(struct live_book *l, struct live *v);
bool live_overflowed(const struct live_book *l); /* some are not in here */
/* the number after the greatest that any core gave to a flow; and one is given */
uint64_t live_next_id(const struct live_book *l);
void live_id_given(struct live_book *l, uint64_t id);

/* of each that the past knows to go out by a name: whose, where to, and the name */
void live_names(struct live_book *l, void (*each)(void *ctx, uint32_t actor,
	const struct addr *to, const char *name), void *ctx);

void live_over(struct live_book *l, struct live *v);
void live_stale(struct live_book *l, struct live *v); /* the next core knows that too */

/* Counters of an entry, and of its socket (NULL: not asked, or it has none); false if
 * nothing moved. Where conntrack does not count, the socket does; of one that is older than
 * the daemon it says what went before. */
bool live_count(struct live_book *l, struct live *v, const struct ct_flow *c,
	const struct diag_traffic *socket);

void live_round(struct live_book *l);             /* before conntrack is read */
void live_ended(struct live_book *l, uint32_t ct);
bool live_gone(const struct live_book *l, uint32_t ct); /* ended since live_round() */
void live_seen(struct live_book *l, struct live *v);
/* After a whole round: the next that has ended unheard, or NULL. Looks at *budget, and takes
 * off how many those were: if some is left with NULL, that was all. */
struct live *live_lost(struct live_book *l, unsigned *budget);
void live_round_over(struct live_book *l, bool whole);

#endif
