/* SPDX-License-Identifier: GPL-2.0-or-later
 * rows.h - the tree as lines: what is open and passes the filter, in order. Pure. Only the
 * children of open nodes are sorted. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "cli/tree.h"

enum order_by { BY_NAME, BY_VERDICT, BY_RATE, BY_DOWN, BY_UP, BY_FLOWS, BY_LAST, ORDERS };

struct order {
	enum order_by by;
	bool falling;
};

/* borrows the nodes: good until one of the tree's leaves */
struct rows {
	struct node **at;
	size_t n, room;
	size_t passed; /* hosts that pass the filter, shown or below what is closed */
};

/* filter: part of a path, name or address, or a country's code; "" is everything. What leads
 * to a hit is open while there is one, and below a hit everything passes. -ENOMEM: r is
 * what it could be. */
int rows_build(struct rows *r, struct tree *t, struct order o, const char *filter);
void rows_done(struct rows *r);
/* whether n's children stand below it in rows built with that filter */
bool rows_open(const struct node *n, const char *filter);
enum tree_verdict rows_verdict(const struct node *n, bool *mixed);

#endif
