/* SPDX-License-Identifier: GPL-2.0-or-later
 * DNS from outside: queries and answers as they are read, and replies made of them. The
 * first bytes of the input steer the reply, the rest is the message: so a file is
 * [flags][size / 8][cut bits, 2 bytes][message]. */
#include "base/macros.h"
#include "resolver/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { STEER = 4, STEER_HINTS = 1, STEER_EDNS = 2, STEER_CUT = 4, STEER_EDE = 8 };

static void check(bool good)
{
	if (!good)
		abort();
}

static void try_query(const uint8_t *msg, size_t len)
{
	uint8_t out[WIRE_UDP_MIN];
	struct wire_query q;
	enum rcode rcode;
	int n;

	if (wire_query_read(msg, len, &q, &rcode) < 0)
		return;
	check(WIRE_HEAD + q.question_len <= len && strlen(q.name) < HOST_MAX);
	n = wire_error(&q, msg, len, rcode, EDE_OTHER, "why", out, sizeof(out));
	check(n > 0); /* a refusal of whatever was asked always fits */
}

/* a query for the answer's name, as an asker would send it */
static bool asker(const struct wire_answer *a, uint8_t steer, uint8_t *query, size_t room,
	struct wire_query *q)
{
	enum rcode rcode;
	int n = wire_query_write(a->qname, a->qtype, 7, steer & 128, query, room);

	if (n < 0)
		return false;
	if (!(steer & STEER_EDNS)) {
		query[11] = 0;
		n -= 11;
	}
	return wire_query_read(query, (size_t)n, q, &rcode) == 0 && q->question_len > 0;
}

static void try_reply(const struct wire_answer *a, const uint8_t *steer,
	const uint8_t *msg, size_t len)
{
	static uint8_t out[WIRE_MAX];
	uint64_t cut[WIRE_ITEMS_MAX / 64] = { (uint64_t)steer[2] << 8 | steer[3] };
	struct wire_edit e = { .age_s = steer[2], .max = 64 + steer[1] * 8u,
		.cut = steer[0] & STEER_CUT ? cut : NULL,
		.cut_hints = steer[0] & STEER_HINTS,
		.ede = steer[0] & STEER_EDE ? EDE_BLOCKED : EDE_NONE, .ede_text = "why" };
	struct wire_answer again;
	uint8_t query[512];
	struct wire_query q;
	int n;

	if (!asker(a, steer[0], query, sizeof(query), &q))
		return;
	n = wire_reply(&q, query, msg, len, &e, out, sizeof(out));
	if (n < 0)
		return;
	check((size_t)n <= e.max);
	check(wire_answer_read(out, (size_t)n, &again) == 0); /* we write what we read */
	check(strcmp(again.qname, a->qname) == 0);
	check(again.nrr <= a->nrr && again.nitems <= a->nitems);
	for (unsigned i = 0; e.cut_hints && i < again.nitems; i++)
		check(again.items[i].lead != LEAD_HINT);
	wire_answer_done(&again);
}

static bool items_equal(const struct wire_answer *a, const struct wire_answer *b)
{
	if (a->nitems != b->nitems || a->nrr != b->nrr || a->nanswer != b->nanswer)
		return false;
	for (unsigned i = 0; i < a->nitems; i++) {
		const struct wire_answer_item *x = &a->items[i], *y = &b->items[i];

		if (x->lead != y->lead || x->ttl != y->ttl || x->rr != y->rr ||
			strcmp(x->owner, y->owner) != 0 || strcmp(x->name, y->name) != 0 ||
			addr_cmp(&x->addr, &y->addr) != 0)
			return false;
	}
	return a->rcode == b->rcode && a->ttl == b->ttl && a->negative == b->negative;
}

static void try_answer(const uint8_t *steer, const uint8_t *msg, size_t len)
{
	static uint8_t canon[WIRE_MAX];
	struct wire_answer before, after;
	int n;

	if (wire_answer_read(msg, len, &before) < 0)
		return;
	n = wire_canon(msg, len, NULL, canon, sizeof(canon));
	if (n > 0) {
		check(wire_answer_read(canon, (size_t)n, &after) == 0);
		check(items_equal(&before, &after));
		try_reply(&after, steer, canon, (size_t)n);
		wire_answer_done(&after);
	}
	wire_answer_done(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len < STEER)
		return 0;
	try_query(bytes + STEER, len - STEER);
	try_answer(bytes, bytes + STEER, len - STEER);
	return 0;
}
