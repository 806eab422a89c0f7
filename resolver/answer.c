/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/answer.h"

#include "base/macros.h"

#include <errno.h>

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

int answer_new(const uint8_t *msg, size_t len, struct answer **out)
{
	/* names come out longer where they pointed to what is no name */
	size_t room = MIN(2 * len + 512, (size_t)WIRE_MAX);
	struct box *b = malloc(sizeof(*b) + room), *fit;
	int r;

	if (!b)
		return -ENOMEM;
	r = wire_canon(msg, len, b->msg, room);
	if (r > 0) {
		len = (size_t)r;
		fit = realloc(b, sizeof(*b) + len);
		b = fit ? fit : b;
		r = wire_answer_read(b->msg, len, &b->read);
	}
	if (r < 0) {
		free(b);
		return r == -ENOSPC ? -EBADMSG : r;
	}
	b->refs = 1;
	b->pub = (struct answer){ .msg = b->msg, .len = len, .read = &b->read };
	*out = &b->pub;
	return 0;
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
