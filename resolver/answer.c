/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/answer.h"

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

/* the message written anew behind b; its length */
static int box_fill(struct box *b, const uint8_t *msg, size_t len)
{
	uint64_t cut[CUT_WORDS];
	struct wire_answer raw;
	int r = wire_answer_read(msg, len, &raw);

	if (r < 0)
		return r;
	cut_strays(&raw, cut);
	wire_answer_done(&raw);
	r = wire_canon(msg, len, cut, b->msg, WIRE_MAX);
	return r == -ENOSPC ? -EBADMSG : r;
}

int answer_new(const uint8_t *msg, size_t len, struct answer **out)
{
	/* names may come out longer, where they pointed to what is no name */
	struct box *b = malloc(sizeof(*b) + WIRE_MAX), *fit;
	int r, n;

	if (!b)
		return -ENOMEM;
	n = box_fill(b, msg, len);
	r = n < 0 ? n : wire_answer_read(b->msg, (size_t)n, &b->read);
	if (r < 0) {
		free(b);
		return r;
	}
	fit = realloc(b, sizeof(*b) + (size_t)n);
	b = fit ? fit : b;
	b->refs = 1;
	b->pub = (struct answer){ .msg = b->msg, .len = (size_t)n, .read = &b->read };
	*out = &b->pub;
	return 0;
}

void answer_doubt(struct answer *a)
{
	box_of(a)->msg[3] &= (uint8_t)~WIRE_AD;
}

size_t answer_size(const struct answer *a)
{
	return sizeof(struct box) + a->len + a->read->nitems * sizeof(*a->read->items);
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
