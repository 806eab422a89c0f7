/* SPDX-License-Identifier: GPL-2.0-or-later
 * tree.h - program -> registrable domain -> host, summed up from queries and connections as
 * they are told. Pure: the time is an argument.
 *
 * Bounds: TREE_NODES_MAX nodes, the host not told of for longest leaves first and takes its
 *         sums with it; TREE_RECORDS_MAX queries and connections known by number, those that
 *         leave stay in the sums.
 * Memory: copies everything given to it; nodes are the tree's, good until the next
 *         tree_put(). */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include "base/table.h"

#include <stdbool.h>
#include <stdint.h>

enum { TREE_NODES_MAX = 32768, TREE_RECORDS_MAX = 32768, TREE_WORD_MAX = 4096 };

enum node_kind { NODE_ALL, NODE_PROGRAM, NODE_DOMAIN, NODE_HOST };
enum tree_verdict { TREE_OPEN, TREE_ALLOWED, TREE_DENIED, TREE_VERDICTS };

struct record;

struct node {
	struct table_node in; /* the tree's table */
	struct node *parent, *first, *last, *next, *prev;
	enum node_kind kind;
	char *key;            /* as told: a path, a domain, a name or address; "" unknown */
	char *label;          /* for eyes: safe */
	uint32_t uid;         /* of a program */
	bool believed;        /* its path is what rules for paths match */
	bool address;         /* a host's key is no name */
	bool watched;         /* nothing is refused: verdicts are what they would be */
	bool open;            /* its children are shown */
	bool hit, shown;      /* what the rows looked for last */
	unsigned children, live, flows;
	unsigned told[TREE_VERDICTS]; /* queries and connections, by verdict */
	uint64_t rx, tx, rx_before, tx_before;
	double rx_rate, tx_rate;      /* bytes a second */
	int64_t last_ms;
	char country[4];              /* of a host: where its address is said to be */
	struct record *records;       /* of a host */
};

/* a query or connection; texts may be NULL */
struct tree_seen {
	bool query;
	uint64_t id;        /* unique among those that began at the same time */
	int64_t start_ms, end_ms;
	bool live, believed, watched;
	uint32_t uid;
	const char *path, *user, *name, *domain, *address, *country;
	enum tree_verdict verdict;
	uint64_t rx, tx;
};

struct tree {
	struct table nodes, records; /* by use */
	struct node all;             /* the root: sums of everything */
	struct node *chosen;         /* the caller's; when it leaves, its parent */
	uint64_t left;               /* how many nodes have left */
	int64_t ticked_ms;
};

int tree_new(struct tree **out);  /* -ENOMEM */
void tree_free(struct tree *t);   /* NULL is fine */
/* -ENOMEM: not taken. What is known already is brought up to date. */
int tree_put(struct tree *t, const struct tree_seen *s);
/* a connection's counters; they only grow. false: it is not known (any more) */
bool tree_count(struct tree *t, uint64_t id, uint64_t rx, uint64_t tx, int64_t now_ms);
/* about once a second: rates over about three */
void tree_tick(struct tree *t, int64_t now_ms);
/* what has come until now was not within the last second */
void tree_settle(struct tree *t, int64_t now_ms);
/* opens and chooses in t what is open and chosen in old */
void tree_like(struct tree *t, const struct tree *old);
/* the country most of it goes to, or "" */
const char *tree_country(const struct node *n);
const struct node *tree_program(const struct node *n); /* n, or what it is below */

#endif
