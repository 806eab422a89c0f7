/* SPDX-License-Identifier: GPL-2.0-or-later
 * memo.h - what the rules said lately, by program and name: a name that is asked for again
 * is judged without going through the rules. Never another answer than theirs: what is kept
 * is of one ruleset, one program (by serial), one name, one address, and of the stretch of
 * time in which no rule begins or ends to hold. Pure; bounded: a newcomer takes its place's
 * former entry. Copies names, borrows the ruleset. */
#ifndef GATE_MEMO_H
#define GATE_MEMO_H

#include "rules/rules.h"

struct memo;

int memo_new(struct memo **out); /* -ENOMEM */
void memo_free(struct memo *m);  /* NULL is fine */
/* From now on rs, which may be NULL; whatever was kept is forgotten. To be called for every
 * change by which the rules could say something else, lists that they name included. */
void memo_rules(struct memo *m, const struct ruleset *rs);

/* like the functions of rules.h with those names */
bool memo_local_name(struct memo *m, const char *name);
void memo_at_name(struct memo *m, const struct program *who, const char *name,
	bool local_name, int64_t now_s, struct decision *out);
/* who a name's address is for: outbound */
void memo_ports(struct memo *m, const struct program *who, const struct target *to,
	int64_t now_s, struct port_verdicts *out);

#endif
