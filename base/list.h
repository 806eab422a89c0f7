/* SPDX-License-Identifier: GPL-2.0-or-later
 * list.h - the caller's records by age: the new one at one end, any one out from anywhere.
 * Intrusive: a record embeds struct list_node; a list allocates and frees nothing. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stddef.h>

struct list_node {
	struct list_node *newer, *older;
};

struct list {
	struct list_node *newest, *oldest;
	size_t n;
};

static inline void list_add(struct list *l, struct list_node *n)
{
	n->newer = NULL;
	n->older = l->newest;
	*(l->newest ? &l->newest->newer : &l->oldest) = n;
	l->newest = n;
	l->n++;
}

static inline void list_remove(struct list *l, struct list_node *n)
{
	*(n->newer ? &n->newer->older : &l->newest) = n->older;
	*(n->older ? &n->older->newer : &l->oldest) = n->newer;
	l->n--;
}

#endif
