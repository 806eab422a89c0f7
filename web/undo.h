/* SPDX-License-Identifier: GPL-2.0-or-later
 * undo.h - the last changes of own rules, so that each can be taken back. Pure.
 * Bounds: UNDO_MAX; the oldest leaves first. Numbers count up from 1 and are not reused. */
#ifndef WEB_UNDO_H
#define WEB_UNDO_H

#include "web/link.h"

enum { UNDO_MAX = 50 };

enum undo_kind { UNDO_ADDED, UNDO_REMOVED, UNDO_CHANGED };

struct undo_entry {
	uint32_t n;         /* 0: none */
	uint32_t id;        /* of the rule */
	enum undo_kind kind; /* what was done */
	int64_t created_s;  /* UNDO_REMOVED: of what was removed */
	char before[LINK_RULE_TEXT_MAX], after[LINK_RULE_TEXT_MAX];
};

struct undo {
	struct undo_entry at[UNDO_MAX]; /* n stands at n % UNDO_MAX */
	uint32_t newest;
};

/* copies; returns the number */
uint32_t undo_put(struct undo *u, const struct undo_entry *e);
/* false: no such change, or too long ago, or undone already */
bool undo_find(const struct undo *u, uint32_t n, struct undo_entry *out);
void undo_drop(struct undo *u, uint32_t n);

/* The same rule with or without its word "off", outside quotes; -EINVAL: too long. */
int undo_switch(const char *rule, bool on, char out[static LINK_RULE_TEXT_MAX]);

#endif
