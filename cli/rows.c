/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/rows.h"
#include "base/macros.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum tree_verdict rows_verdict(const struct node *n, bool *mixed)
{
	*mixed = n->told[TREE_ALLOWED] && n->told[TREE_DENIED];
	return n->told[TREE_DENIED] ? TREE_DENIED : n->told[TREE_ALLOWED] ? TREE_ALLOWED
									  : TREE_OPEN;
}

/* --- what passes ------------------------------------------------------------------------ */

static bool is_hit(const struct node *n, const char *filter)
{
	return strcasestr(n->label, filter) || strcasestr(n->key, filter) ||
		(n->kind == NODE_HOST && strcasecmp(n->country, filter) == 0);
}

/* children first marked, then their parent: hit itself, below a hit, or above one */
static bool mark(struct node *n, const char *filter, bool below_hit)
{
	n->hit = below_hit || !*filter || is_hit(n, filter);
	n->shown = n->hit;
	return n->hit;
}

static size_t mark_all(struct tree *t, const char *filter)
{
	size_t hosts = 0;

	for (struct node *p = t->all.first; p; p = p->next) {
		mark(p, filter, false);
		for (struct node *d = p->first; d; d = d->next) {
			mark(d, filter, p->hit);
			for (struct node *h = d->first; h; h = h->next) {
				hosts += mark(h, filter, d->hit);
				d->shown |= h->shown;
			}
			p->shown |= d->shown;
		}
	}
	return hosts;
}

bool rows_open(const struct node *n, const char *filter)
{
	return n->children && (n->open || (*filter && !n->hit));
}

/* --- in order --------------------------------------------------------------------------- */

static int by_number(double a, double b)
{
	return (a > b) - (a < b);
}

static int rank(const struct node *n)
{
	bool mixed;
	enum tree_verdict v = rows_verdict(n, &mixed);

	return mixed ? 2 : v == TREE_DENIED ? 3 : v == TREE_ALLOWED ? 1 : 0;
}

static int compare(const struct node *a, const struct node *b, enum order_by by)
{
	switch (by) {
	case BY_VERDICT:
		return rank(a) - rank(b);
	case BY_RATE:
		return by_number(a->rx_rate + a->tx_rate, b->rx_rate + b->tx_rate);
	case BY_DOWN:
		return by_number((double)a->rx, (double)b->rx);
	case BY_UP:
		return by_number((double)a->tx, (double)b->tx);
	case BY_FLOWS:
		return a->live != b->live ? by_number(a->live, b->live)
					  : by_number(a->flows, b->flows);
	case BY_LAST:
		return by_number((double)a->last_ms, (double)b->last_ms);
	default:
		return strcasecmp(a->label, b->label);
	}
}

/* where they are equal the busier one first, then by name: rows do not jump about */
static int compare_rows(const void *x, const void *y, void *ctx)
{
	const struct node *a = *(struct node *const *)x, *b = *(struct node *const *)y;
	const struct order *o = ctx;
	int r = compare(a, b, o->by);

	if (r)
		return o->falling ? -r : r;
	r = by_number((double)b->rx + (double)b->tx, (double)a->rx + (double)a->tx);
	if (!r)
		r = strcmp(a->label, b->label);
	return r ? r : strcmp(a->key, b->key);
}

/* --- the lines -------------------------------------------------------------------------- */

static int room_for(struct rows *r, size_t more)
{
	size_t room = MAX(r->room * 2, MAX(r->n + more, 256));
	struct node **at;

	if (r->n + more <= r->room)
		return 0;
	at = realloc(r->at, room * sizeof(struct node *));
	if (!at)
		return -ENOMEM;
	r->at = at;
	r->room = room;
	return 0;
}

/* n's children that are shown, in order: the caller's to free; *count of them */
static struct node **children_of(const struct node *n, const struct order *o, size_t *count)
{
	struct node **list = malloc((n->children + 1) * sizeof(struct node *));
	size_t k = 0;

	*count = 0;
	if (!list)
		return NULL;
	for (struct node *c = n->first; c; c = c->next) {
		if (c->shown)
			list[k++] = c;
	}
	qsort_r(list, k, sizeof(struct node *), compare_rows, (void *)o);
	*count = k;
	return list;
}

static int add_hosts(struct rows *r, const struct node *domain, const struct order *o)
{
	size_t n;
	auto_free struct node **hosts = children_of(domain, o, &n);

	if (!hosts || room_for(r, n) < 0)
		return -ENOMEM;
	memcpy(r->at + r->n, hosts, n * sizeof(struct node *));
	r->n += n;
	return 0;
}

static int add_domains(struct rows *r, const struct node *program, const struct order *o,
	const char *filter)
{
	size_t n;
	auto_free struct node **domains = children_of(program, o, &n);

	if (!domains || room_for(r, n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (room_for(r, 1) < 0)
			return -ENOMEM;
		r->at[r->n++] = domains[i];
		if (rows_open(domains[i], filter) && add_hosts(r, domains[i], o) < 0)
			return -ENOMEM;
	}
	return 0;
}

int rows_build(struct rows *r, struct tree *t, struct order o, const char *filter)
{
	auto_free struct node **programs = NULL;
	size_t n;

	r->n = 0;
	r->passed = mark_all(t, filter);
	programs = children_of(&t->all, &o, &n);
	if (!programs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (room_for(r, 1) < 0)
			return -ENOMEM;
		r->at[r->n++] = programs[i];
		if (rows_open(programs[i], filter) &&
			add_domains(r, programs[i], &o, filter) < 0)
			return -ENOMEM;
	}
	return 0;
}

void rows_done(struct rows *r)
{
	free(r->at);
	*r = (struct rows){ 0 };
}
