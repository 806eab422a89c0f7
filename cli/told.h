/* SPDX-License-Identifier: GPL-2.0-or-later
 * told.h - the API's objects into the tree, and the tree as an object. */
#ifndef CLI_TOLD_H
#define CLI_TOLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct tree;

/* one query or flow; what is none changes nothing. -ENOMEM */
int told_seen(struct tree *t, const json_t *o, bool query);
void told_counts(struct tree *t, const json_t *flows, int64_t now_ms); /* {items: [...]} */
int64_t told_time(const char *rfc3339); /* Unix ms; 0: none */
/* {rx, tx, ..., programs: [{path, ..., domains: [{name, ..., hosts: [...]}]}]}, or NULL */
json_t *told_tree(const struct tree *t);

#endif
