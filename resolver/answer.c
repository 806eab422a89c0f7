/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/answer.h"
#include "resolver/name.h"
#include "resolver/record.h"

#include "base/macros.h"

#include <errno.h>

enum { CUT_WORDS = WIRE_ITEMS_MAX / 64 };

struct box {
	struct answer pub;
	struct wire_answer read;
	unsigned refs;
	uint8_t msg[];
};

static struct box *box_of(const struct answer *a)
{
	return container_of(a, struct box, pub);
}

static bool leads_to(const struct wire_answer *a, const char *owner)
{
	if (strcmp(a->qname, owner) == 0)
		return true;
	for (unsigned i = 0; i < a->nitems; i++)
		if ((a->items[i].lead == LEAD_CNAME || a->items[i].lead == LEAD_TARGET) &&
			strcmp(a->items[i].name, owner) == 0)
			return true;
	return false;
}

static void cut_strays(const struct wire_answer *a, uint64_t cut[static CUT_WORDS])
{
	memset(cut, 0, CUT_WORDS * sizeof(*cut));
	for (unsigned i = 0; i < a->nitems; i++) {
		const struct wire_answer_item *it = &a->items[i];

		if ((it->lead == LEAD_ADDR || it->lead == LEAD_HINT) &&
			!leads_to(a, it->owner))
			cut[it->rr / 64] |= (uint64_t)1 << it->rr % 64;
	}
}

/* A negative answer is believed for as long as its SOA says, whichever of the SOA's two
 * numbers is less: the next cache must not see more (RFC 2308 5). */
static uint32_t ttl_within(const struct ttl_limits *l, const struct wire_answer *a,
	const struct record *rr)
{
	uint32_t ttl = ttl_sane(rr->ttl);

	if (!a->negative)
		ttl = MAX(ttl, l->min);
	else if (rr->type == TYPE_SOA)
		ttl = MIN(MIN(ttl, a->ttl), l->negative_max);
	return MIN(ttl, l->max);
}

/* names point to names only (wire_canon), so no name changes by this */
static int ttls_limit(uint8_t *msg, size_t len, const struct ttl_limits *l,
	const struct wire_answer *a)
{
	struct cur c = cur_over(msg, len);
	struct record rr;
	struct head h;
	unsigned total;

	if (head_read(&c, &h) < 0 || name_skip(&c) < 0 || !cur_take(&c, 4))
		return -EBADMSG;
	total = (unsigned)h.an + h.ns + h.ar;
	for (unsigned i = 0; i < total; i++) {
		if (record_read(&c, &rr) < 0)
			return -EBADMSG;
		if (rr.type != TYPE_OPT)
			put_u32(msg + rr.ttl_at, ttl_within(l, a, &rr));
	}
	return 0;
}

/* the message written anew behind b; its length */
static int box_fill(struct box *b, const uint8_t *msg, size_t len,
	const struct ttl_limits *limits)
{
	uint64_t cut[CUT_WORDS];
	struct wire_answer raw;
	int r = wire_answer_read(msg, len, &raw);

	if (r < 0)
		return r;
	cut_strays(&raw, cut);
	wire_answer_done(&raw);
	r = wire_canon(msg, len, cut, b->msg, WIRE_MAX);
	if (r > 0 && limits && ttls_limit(b->msg, (size_t)r, limits, &raw) < 0)
		r = -EBADMSG;
	return r == -ENOSPC ? -EBADMSG : r;
}

/* RFC 8914 4.6 to 4.13: whoever validated says that it is not true */
static bool says_bogus(const uint8_t *msg, size_t len)
{
	struct cur c = cur_over(msg, len);
	const uint8_t *said;
	struct record rr;
	struct head h;
	uint16_t n;

	if (head_read(&c, &h) < 0 || name_skip(&c) < 0 || !cur_take(&c, 4))
		return false;
	for (unsigned i = (unsigned)h.an + h.ns + h.ar; i > 0; i--) {
		if (record_read(&c, &rr) < 0)
			return false;
		if (rr.type != TYPE_OPT)
			continue;
		said = opt_option(msg, &rr, OPTION_EDE, &n);
		return said && n >= 2 && said[0] == 0 && said[1] >= EDE_INDETERMINATE &&
			said[1] <= EDE_NO_NSEC;
	}
	return false;
}

int answer_new(const uint8_t *msg, size_t len, const struct ttl_limits *limits,
	struct answer **out)
{
	/* names may come out longer, where they pointed to what is no name */
	struct box *b = malloc(sizeof(*b) + WIRE_MAX), *fit;
	int r, n;

	if (!b)
		return -ENOMEM;
	n = box_fill(b, msg, len, limits);
	r = n < 0 ? n : wire_answer_read(b->msg, (size_t)n, &b->read);
	if (r < 0) {
		free(b);
		return r;
	}
	fit = realloc(b, sizeof(*b) + (size_t)n);
	b = fit ? fit : b;
	b->refs = 1;
	b->pub = (struct answer){ .msg = b->msg, .len = (size_t)n, .read = &b->read,
		.bogus = b->read.rcode == RCODE_SERVFAIL && says_bogus(b->msg, (size_t)n) };
	*out = &b->pub;
	return 0;
}

void answer_doubt(struct answer *a)
{
	box_of(a)->msg[3] &= (uint8_t)~WIRE_AD;
}

size_t answer_size(const struct answer *a)
{
	return malloc_cost(sizeof(struct box) + a->len) +
		(a->read->nitems ? malloc_cost(a->read->nitems * sizeof(*a->read->items)) : 0);
}

const struct answer *answer_hold(const struct answer *a)
{
	box_of(a)->refs++;
	return a;
}

void answer_release(const struct answer *a)
{
	struct box *b;

	if (!a)
		return;
	b = box_of(a);
	if (--b->refs > 0)
		return;
	wire_answer_done(&b->read);
	free(b);
}
