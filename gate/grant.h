/* SPDX-License-Identifier: GPL-2.0-or-later
 * grant.h - what stands open (or shut) in the kernel because of an answer: the book that
 * the sets are written from. One grant is (actor, address, name) with the rule that explains
 * it and the ports it covers; it may need several elements. Names that share an address
 * share elements: each is taken back only when the last grant that wants it goes.
 *
 * The largest expiry of all grants of an element is what is sent, because the kernel's last
 * writer wins.
 * Ownership: a book owns its grants; so many at most, and so many of one actor,
 * whose own oldest leaves first (its elements are taken back).
 * Times: boot-clock ms. */
#ifndef GATE_GRANT_H
#define GATE_GRANT_H

#include "base/list.h"
#include "base/table.h"
#include "nft/nft.h"
#include "rules/rules.h"

enum {
	GRANTS_MAX = 60000,
	GRANTS_PER_ACTOR = 8000,
	GRANT_ELEMENTS_MAX = 40,   /* of one grant: the whole address, or 16 ports of both */
	GRANT_LEAST_MS = 300000,   /* timeout = max(TTL, 5 min) */
	GRANT_NEAR_MS = 150000,    /* closer to its end than this: asserted again */
	/* after its end: programs go on using addresses long after their answers' time, and the
	 * proxy then knows whose they were */
	GRANT_REMEMBER_MS = 24 * 3600 * 1000,
};

/* which elements one address needs */
struct grant_shape {
	uint8_t n;
	struct grant_element {
		uint8_t set;      /* enum nft_set */
		uint8_t proto;
		uint16_t port;    /* 0: every port of it */
	} at[GRANT_ELEMENTS_MAX];
};

struct grant {
	struct table_node node;
	struct list_node of_actor; /* by last use */
	uint32_t actor, rule;
	struct addr addr;
	int64_t expires_ms;
	uint64_t sent;        /* the batch with its elements: not there before it is answered */
	bool in_kernel;       /* elements were sent; false: the actor's whole verdict covers it */
	struct grant_shape shape; /* elements as the rules want them */
	char name[HOST_MAX];  /* "" for a literal address */
};

struct grant_book;

int grant_book_new(size_t max, uint32_t per_actor, struct grant_book **out);
void grant_book_free(struct grant_book *b);

/* Which elements these verdicts need for one address. Returns whether anything at all is
 * allowed. Ports that do not fit are left shut (they open one by one when they are met). */
bool grant_shape(struct grant_shape *out, const struct port_verdicts *v);
/* the decision that opens it (or, if nothing does, that shuts it) */
const struct decision *grant_decision(const struct port_verdicts *v);
bool grant_same_shape(const struct grant_shape *a, const struct grant_shape *b);
/* one port more, if there is room and it is not there: false if it is neither */
bool grant_shape_port(struct grant_shape *s, uint8_t proto, uint16_t port);

struct grant *grant_find(struct grant_book *b, uint32_t actor, const struct addr *addr,
	const char *name);
/* the grant that explains this address best: the one that lasts longest, or NULL */
struct grant *grant_by_addr(struct grant_book *b, uint32_t actor, const struct addr *addr);
/* finds or makes; *evicted gets a grant that had to leave (the caller takes its elements
 * back and calls grant_discard), or NULL. NULL on no memory. */
struct grant *grant_get(struct grant_book *b, uint32_t actor, const struct addr *addr,
	const char *name, struct grant **evicted);
void grant_use(struct grant_book *b, struct grant *g);
void grant_remove(struct grant_book *b, struct grant *g); /* out of the book, not freed */
void grant_discard(struct grant *g);
/* grants whose time is over are out of the kernel (it forgot them by itself), and leave the
 * book when it need not remember them any longer (GRANT_REMEMBER_MS) */
void grant_expire(struct grant_book *b, int64_t now_ms, int64_t remember_ms);
void grant_each(struct grant_book *b, void (*each)(void *ctx, struct grant *g), void *ctx);
/* safe against removal of the grant that each() is given */
void grant_each_of(struct grant_book *b, uint32_t actor,
	void (*each)(void *ctx, struct grant *g), void *ctx);
/* does this number have any grant? */
bool grant_of(const struct grant_book *b, uint32_t actor);
size_t grant_count(struct grant_book *b, int64_t now_ms); /* those whose time is not over */

/* does another grant in the kernel want this element of g too? g may be out of the book */
bool grant_shared(const struct grant_book *b, const struct grant *g, unsigned i);
/* the i-th element of a grant as the table wants it */
void grant_element(const struct grant_book *b, const struct grant *g, unsigned i,
	int64_t now_ms, struct nft_element *out);

#endif
