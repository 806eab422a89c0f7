/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/pace.h"
#include "base/macros.h"
#include "base/table.h"

#include <errno.h>
#include <stdlib.h>

/* told within the last PACE_MS; in the table in the order in which they were */
struct row {
	struct table_node node;
	uint64_t id;
	int64_t told_ms;
	bool waiting; /* it changed since */
};

struct pace {
	struct table rows;
	size_t waiting;
};

int pace_new(struct pace **out)
{
	struct pace *p = calloc(1, sizeof(*p));

	if (!p || table_init(&p->rows, PACE_ROWS_MAX) < 0) {
		free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

static void row_free(struct pace *p, struct row *r)
{
	p->waiting -= r->waiting;
	table_remove(&p->rows, &r->node);
	free(r);
}

void pace_free(struct pace *p)
{
	struct table_node *n;

	if (!p)
		return;
	while ((n = table_oldest(&p->rows)))
		row_free(p, container_of(n, struct row, node));
	table_done(&p->rows);
	free(p);
}

static bool is_row(const struct table_node *n, const void *id)
{
	return container_of(n, const struct row, node)->id == *(const uint64_t *)id;
}

/* those that nobody waits for and that may be told again */
static void forget(struct pace *p, int64_t now_ms)
{
	struct table_node *n;

	while ((n = table_oldest(&p->rows))) {
		struct row *r = container_of(n, struct row, node);

		if (r->waiting || r->told_ms + PACE_MS > now_ms)
			return;
		row_free(p, r);
	}
}

bool pace_now(struct pace *p, uint64_t row, int64_t now_ms)
{
	uint64_t hash = table_hash(&p->rows, &row, sizeof(row));
	struct table_node *n;
	struct row *r;

	forget(p, now_ms);
	n = table_find(&p->rows, hash, is_row, &row);
	if (n) {
		r = container_of(n, struct row, node);
		p->waiting += !r->waiting;
		r->waiting = true;
		return false;
	}
	r = p->rows.count < PACE_ROWS_MAX ? calloc(1, sizeof(*r)) : NULL;
	if (!r)
		return true;
	r->id = row;
	r->told_ms = now_ms;
	table_add(&p->rows, &r->node, hash);
	return true;
}

bool pace_due(struct pace *p, int64_t now_ms, uint64_t *row)
{
	struct row *r;

	forget(p, now_ms);
	if (!table_oldest(&p->rows))
		return false;
	r = container_of(table_oldest(&p->rows), struct row, node);
	if (r->told_ms + PACE_MS > now_ms)
		return false;
	r->waiting = false;
	r->told_ms = now_ms;
	p->waiting--;
	table_use(&p->rows, &r->node);
	*row = r->id;
	return true;
}

size_t pace_waiting(const struct pace *p)
{
	return p->waiting;
}
