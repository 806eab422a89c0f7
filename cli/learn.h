/* SPDX-License-Identifier: GPL-2.0-or-later
 * learn.h - the fewest rules that would have let through what a command was seen to do. Pure:
 * works on the API's own objects, knows no file and no clock.
 *
 * Programs go by their path (one that no path names by `unknown`), whichever user ran them.
 * What a name explains goes by that name, the rest by its address; ports and protocols are
 * those that were seen, and those of one name and protocol share a rule. A name that was asked
 * for and never connected to is allowed as a name. Nothing is wider than what was seen, unless
 * `wide`: then several names of one registrable domain become that domain. The same events in
 * another order give the same text. */
#ifndef CLI_LEARN_H
#define CLI_LEARN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct learn;

int learn_new(struct learn **out);
void learn_free(struct learn *l); /* NULL is fine */
/* items of GET queries and GET flows; what is not the command's own is skipped */
void learn_add_queries(struct learn *l, const json_t *items);
void learn_add_flows(struct learn *l, const json_t *items);
/* one rule a line, and a comment for each thing that was denied. -ENOMEM: more was seen than
 * was kept, and nothing is written */
int learn_write(struct learn *l, bool wide, FILE *to);

#endif
