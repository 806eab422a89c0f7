/* SPDX-License-Identifier: GPL-2.0-or-later
 * choice.h - the rule a person makes of a row of the tree: how wide, for whom, how long.
 * Pure. */
#ifndef CLI_CHOICE_H
#define CLI_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

struct node;

enum choice_width {
	WIDTH_HOST,   /* this name or address */
	WIDTH_PARENT, /* what stands between the host and its registrable domain, and below */
	WIDTH_DOMAIN, /* the registrable domain and all below it */
	WIDTH_ANY,
	WIDTHS,
};
enum { LIVES = 5, CHOICE_WHO_MAX = 4200, CHOICE_WHAT_MAX = 512 };

/* copies what it needs of the row, which may leave meanwhile */
struct choice {
	char who[CHOICE_WHO_MAX];   /* the rule's word */
	char user[16];              /* "+uid:1000"; "" where it cannot be for one user */
	char what[WIDTHS][CHOICE_WHAT_MAX]; /* "" where the row has no such width */
	bool allow;
	enum choice_width width;
	bool one_user;
	unsigned life;              /* of LIVES; 0: until it is taken back */
};

/* the narrowest rule of a row, for everybody, until it is taken back */
void choice_init(struct choice *c, const struct node *n, bool allow);
/* the next width that the row has, by 1 or -1 */
void choice_widen(struct choice *c, int by);
const char *choice_life(unsigned life); /* for eyes */
/* everything, for good: to be asked twice */
bool choice_is_wide(const struct choice *c);
/* false: it does not fit */
bool choice_rule(const struct choice *c, char *out, size_t max);

#endif
