/* SPDX-License-Identifier: GPL-2.0-or-later
 * order.c - which rule wins: one total order, read from top to bottom. */
#include "rules/rule.h"

#include <string.h>

/* below 0: a first */
static int less(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int high(const struct rule *a, const struct rule *b)
{
	return b->high - a->high;
}

static int what_kind(const struct rule *a, const struct rule *b)
{
	return less(a->what.kind, b->what.kind);
}

/* how narrow, within one kind */
static int what_size(const struct rule *a, const struct rule *b)
{
	if (a->what.kind == WHAT_NET)
		return memcmp(a->what.size, b->what.size, sizeof(a->what.size));
	return less(b->what.labels, a->what.labels);
}

static int with_port(const struct rule *a, const struct rule *b)
{
	return (b->what.nports > 0) - (a->what.nports > 0);
}

static int with_proto(const struct rule *a, const struct rule *b)
{
	return (b->what.proto > 0) - (a->what.proto > 0);
}

static int who_kind(const struct rule *a, const struct rule *b)
{
	return less(a->who.kind, b->who.kind);
}

static int with_user(const struct rule *a, const struct rule *b)
{
	return (b->who.user != NULL) - (a->who.user != NULL);
}

static int action(const struct rule *a, const struct rule *b)
{
	static const uint8_t rank[] = { [VERDICT_DENY] = 0, [VERDICT_ASK] = 1,
		[VERDICT_ALLOW] = 2 };

	return less(rank[a->action], rank[b->action]);
}

static int source(const struct rule *a, const struct rule *b)
{
	return less(a->source, b->source);
}

static int newer(const struct rule *a, const struct rule *b)
{
	return less(b->created_s, a->created_s);
}

/* nothing left to tell them apart but which was read later */
static int later(const struct rule *a, const struct rule *b)
{
	return less(b->seq, a->seq);
}

static const struct step {
	int (*cmp)(const struct rule *a, const struct rule *b);
	const char *why;
} steps[] = {
	{ high, "it is high" },
	{ what_kind, "its target is of a more specific kind" },
	{ what_size, "its target is narrower" },
	{ with_port, "it names ports" },
	{ with_proto, "it names a protocol" },
	{ who_kind, "its program is of a more specific kind" },
	{ with_user, "it names a user" },
	{ action, "deny goes before ask, ask before allow" },
	{ source, "own rules go before files, files before factory" },
	{ newer, "it is newer" },
	{ later, "it was read later" },
};

static const struct step *deciding(const struct rule *a, const struct rule *b, int *cmp)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		*cmp = steps[i].cmp(a, b);
		if (*cmp)
			return &steps[i];
	}
	*cmp = 0;
	return NULL;
}

int order_cmp(const struct rule *a, const struct rule *b)
{
	int cmp;

	deciding(a, b, &cmp);
	return cmp;
}

const char *order_why(const struct rule *a, const struct rule *b)
{
	int cmp;
	const struct step *s = deciding(a, b, &cmp);

	return s ? s->why : "they are equal";
}
