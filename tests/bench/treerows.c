/* SPDX-License-Identifier: GPL-2.0-or-later
 * treerows.c - what scupper top does between two pictures, with 10,000 hosts of 200 programs
 * and 500 changes: taking them in, putting the rows in order (all open, all closed, one
 * filter). Prints one line of figures for each.
 *   treerows [ROUNDS] */
#include "cli/rows.h"
#include "cli/tree.h"
#include "tests/bench/figures.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOSTS = 10000, PROGRAMS = 200, CHANGES = 500, ROUNDS_MAX = 100000 };

static void put(struct tree *t, unsigned host, uint64_t id, uint64_t rx)
{
	char path[64], name[128], domain[64];
	struct tree_seen s = { .id = id, .start_ms = 1, .end_ms = (int64_t)id, .live = true,
		.path = path, .believed = true, .name = name, .domain = domain,
		.country = "NL", .verdict = host % 7 ? TREE_ALLOWED : TREE_DENIED, .rx = rx };

	snprintf(path, sizeof(path), "/usr/bin/program%u", host % PROGRAMS);
	snprintf(domain, sizeof(domain), "domain%u.test", host % 4000);
	snprintf(name, sizeof(name), "host%u.%s", host, domain);
	if (tree_put(t, &s) < 0)
		abort();
}

static void change(struct tree *t, unsigned round, struct figures *f)
{
	int64_t began = now_ns();

	for (unsigned i = 0; i < CHANGES; i++)
		tree_count(t, (round * CHANGES + i * 37) % HOSTS, 1000u * (round + 2), round, 1);
	tree_tick(t, (int64_t)(round + 1) * 1000);
	figures_add(f, now_ns() - began);
}

static void build(struct tree *t, struct rows *r, const char *filter, struct figures *f)
{
	int64_t began = now_ns();

	if (rows_build(r, t, (struct order){ BY_RATE, true }, filter) < 0)
		abort();
	figures_add(f, now_ns() - began);
}

static void open_all(struct tree *t, bool open)
{
	for (struct node *p = t->all.first; p; p = p->next) {
		p->open = open;
		for (struct node *d = p->first; d; d = d->next)
			d->open = open;
	}
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)number(argv[1], ROUNDS_MAX) : 300;
	struct figures taken, opened, closed, filtered;
	struct rows r = { 0 };
	struct tree *t;
	size_t lines = 0;

	if (tree_new(&t) < 0)
		abort();
	figures_init(&taken, rounds);
	figures_init(&opened, rounds);
	figures_init(&closed, rounds);
	figures_init(&filtered, rounds);
	for (unsigned i = 0; i < HOSTS; i++)
		put(t, i, i, i);
	for (unsigned i = 0; i < rounds; i++) {
		change(t, i, &taken);
		open_all(t, true);
		build(t, &r, "", &opened);
		lines = r.n;
		build(t, &r, "host77", &filtered);
		open_all(t, false);
		build(t, &r, "", &closed);
	}
	printf("treerows hosts=%d rows=%zu changes=%d", HOSTS, lines, CHANGES);
	figures_print(&taken, "take");
	figures_print(&opened, "rows_open");
	figures_print(&filtered, "rows_filtered");
	figures_print(&closed, "rows_closed");
	putchar('\n');
	figures_done(&taken);
	figures_done(&opened);
	figures_done(&closed);
	figures_done(&filtered);
	rows_done(&r);
	tree_free(t);
	return 0;
}
