/* SPDX-License-Identifier: GPL-2.0-or-later
 * listread.h - the text of a list, of any of the formats people publish. Pure.
 * What a line cannot say of a name or an address (a path, an option, a cosmetic rule) is
 * skipped and counted, never guessed at. */
#ifndef RULES_LISTREAD_H
#define RULES_LISTREAD_H

#include "rules/list.h"

struct list_word {
	char name[HOST_MAX];   /* normalised; "": a range */
	unsigned says;         /* of listfile.h */
	struct addr lo, hi;
	uint32_t line;
};

/* below 0: reading ends with that */
typedef int (*list_take)(void *ctx, const struct list_word *w);
struct list_seen {
	uint32_t skipped;      /* lines */
	bool zone;             /* it was a zone file */
};
/* text need not end in anything */
int list_read(const char *text, size_t len, enum list_format format, list_take take,
	void *ctx, struct list_seen *seen);

#endif
