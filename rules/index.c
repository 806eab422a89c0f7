/* SPDX-License-Identifier: GPL-2.0-or-later
 * index.c - which of many rules are worth a look.
 * Theory of operation: every rule that can hold is posted under (part, who, what): who
 * is its path, or "generic" for patterns and any; what is its name, its prefix or
 * nothing. A second posting under "unknown" has all that an unknown program must be
 * judged by. A lookup visits the few lists that this program, this name (each of its
 * suffixes) and this address (each prefix length in use) lead to; whoever visits still
 * matches each rule, so two keys with one hash cost time and change nothing.
 *
 * PART_CLASS holds, per who, only the first of rules that are alike for whoever knows
 * neither name nor address: ten thousand denied prefixes are one entry there. A rule
 * that expires hides no other. */
#include "rules/rule.h"

#include <errno.h>
#include <string.h>

enum { ALIKE_BACK = 64 }; /* how far back to look for one alike; more only costs room */
enum { WHO_GENERIC = 1, WHO_STRANGER = 2 };

struct post {
	struct table_node node;
	uint32_t *ranks;
	uint32_t n, max;
};

struct index {
	struct table table;
	bool bits4[33], bits6[129]; /* prefix lengths in use */
};

static bool same_hash(const struct table_node *n, const void *key)
{
	(void)n;
	(void)key;
	return true;
}

static uint64_t key_of(const struct index *x, enum index_part part, uint64_t who,
	uint64_t what)
{
	uint64_t k[3] = { (uint64_t)part, who, what };

	return table_hash(&x->table, k, sizeof(k));
}

static uint64_t text_key(const struct index *x, const char *s)
{
	return table_hash(&x->table, s, strlen(s));
}

static uint64_t net_key(const struct index *x, const struct addr *a, unsigned bits)
{
	uint8_t b[18] = { a->family, (uint8_t)bits };
	unsigned whole = bits / 8;

	memcpy(b + 2, a->b, whole);
	if (bits % 8)
		b[2 + whole] = (uint8_t)(a->b[whole] & 0xff << (8 - bits % 8));
	return table_hash(&x->table, b, sizeof(b));
}

static struct post *post_find(const struct index *x, uint64_t key)
{
	struct table_node *n = table_find(&x->table, key, same_hash, NULL);

	return n ? container_of(n, struct post, node) : NULL;
}

static int post_make(struct index *x, uint64_t key, struct post **out)
{
	struct post *p = post_find(x, key);
	int r;

	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		r = table_add(&x->table, &p->node, key);
		if (r < 0) {
			free(p);
			return r;
		}
	}
	*out = p;
	return 0;
}

static int post_push(struct post *p, uint32_t rank)
{
	if (p->n == p->max) {
		uint32_t max = p->max ? 2 * p->max : 2;
		uint32_t *ranks = realloc(p->ranks, max * sizeof(*ranks));

		if (!ranks)
			return -ENOMEM;
		p->ranks = ranks;
		p->max = max;
	}
	p->ranks[p->n++] = rank;
	return 0;
}

static bool same_who(const struct who *a, const struct who *b)
{
	if (a->kind != b->kind || !a->user != !b->user || a->uid != b->uid)
		return false;
	return !a->path || strcmp(a->path, b->path) == 0;
}

static bool alike(const struct rule *a, const struct rule *b, uint64_t who)
{
	return a->action == b->action && a->dirs == b->dirs && a->may == b->may &&
		a->sure == b->sure && a->named == b->named &&
		a->not_at_name == b->not_at_name &&
		(who == WHO_STRANGER || same_who(&a->who, &b->who));
}

static int class_post(struct index *x, const struct ruleset *rs, uint32_t rank,
	uint64_t who)
{
	const struct rule *r = rs->rules[rank];
	struct post *p;
	int e = post_make(x, key_of(x, PART_CLASS, who, 0), &p);

	if (e < 0)
		return e;
	for (uint32_t i = p->n; i > 0 && p->n - i < ALIKE_BACK; i--) {
		const struct rule *before = rs->rules[p->ranks[i - 1]];

		if (!before->expires_s && alike(before, r, who))
			return 0;
	}
	return post_push(p, rank);
}

static int place_post(
	struct index *x, const struct what *w, uint32_t rank, uint64_t who)
{
	enum index_part part = PART_REST;
	uint64_t what = 0;
	struct post *p;
	unsigned bits;
	int e;

	if (w->kind == WHAT_HOST || w->kind == WHAT_DOMAIN) {
		part = PART_NAME;
		what = text_key(x, w->name);
	} else if (w->kind == WHAT_GLOB || w->kind == WHAT_LIST) {
		part = PART_GLOB;
	} else if (w->kind == WHAT_NET && (bits = net_bits(w)) != 255) {
		part = PART_NET;
		what = net_key(x, &w->lo, bits);
		(w->lo.family == 4 ? x->bits4 : x->bits6)[bits] = true;
	}
	e = post_make(x, key_of(x, part, who, what), &p);
	return e < 0 ? e : post_push(p, rank);
}

/* a list with addresses is looked up for what has no name too */
static int places_post(
	struct index *x, const struct what *w, uint32_t rank, uint64_t who)
{
	int e = place_post(x, w, rank, who);
	struct post *p;

	if (e < 0 || w->kind != WHAT_LIST || !what_takes_nameless(w))
		return e;
	e = post_make(x, key_of(x, PART_REST, who, 0), &p);
	return e < 0 ? e : post_push(p, rank);
}

static int rule_post(struct index *x, const struct ruleset *rs, uint32_t rank)
{
	const struct rule *r = rs->rules[rank];
	const struct who *w = &r->who;
	uint64_t who = w->kind == WHO_PATH ? text_key(x, w->path) : WHO_GENERIC;
	int e = 0;

	if (w->kind != WHO_UNKNOWN) {
		e = places_post(x, &r->what, rank, who);
		if (e == 0)
			e = class_post(x, rs, rank, who);
	}
	if (r->action == VERDICT_DENY || w->kind == WHO_UNKNOWN ||
		(w->kind == WHO_ANY && !w->user)) {
		if (e == 0)
			e = places_post(x, &r->what, rank, WHO_STRANGER);
		if (e == 0)
			e = class_post(x, rs, rank, WHO_STRANGER);
	}
	return e;
}

int index_new(const struct ruleset *rs, struct index **out)
{
	struct index *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	r = table_init(&x->table, 4 * rs->n + 1);
	for (uint32_t i = 0; r == 0 && i < rs->n; i++)
		if (!rs->rules[i]->off)
			r = rule_post(x, rs, i);
	if (r < 0) {
		index_free(x);
		return r;
	}
	*out = x;
	return 0;
}

void index_free(struct index *x)
{
	struct table_node *n;

	if (!x)
		return;
	while ((n = table_oldest(&x->table)) != NULL) {
		struct post *p = container_of(n, struct post, node);

		table_remove(&x->table, n);
		free(p->ranks);
		free(p);
	}
	table_done(&x->table);
	free(x);
}

struct visit {
	const struct index *x;
	uint64_t who;
	index_visit fn;
	void *ctx;
};

static void visit_key(const struct visit *v, enum index_part part, uint64_t what)
{
	const struct post *p = post_find(v->x, key_of(v->x, part, v->who, what));

	if (p)
		v->fn(v->ctx, p->ranks, p->n);
}

static void visit_suffixes(const struct visit *v, const char *name)
{
	for (;;) {
		const char *dot = strchr(name, '.');

		visit_key(v, PART_NAME, text_key(v->x, name));
		if (!dot)
			return;
		name = dot + 1;
	}
}

static void visit_prefixes(const struct visit *v, const struct addr *a)
{
	const bool *used = a->family == 4 ? v->x->bits4 : v->x->bits6;

	for (unsigned bits = 0; bits <= addr_bits(a); bits++)
		if (used[bits])
			visit_key(v, PART_NET, net_key(v->x, a, bits));
}

static void visit_who(const struct visit *v, struct place at, unsigned parts)
{
	if ((parts & PART_NAME) && at.name)
		visit_suffixes(v, at.name);
	if ((parts & PART_GLOB) && at.name)
		visit_key(v, PART_GLOB, 0);
	if ((parts & PART_NET) && at.addr && at.addr->family)
		visit_prefixes(v, at.addr);
	if (parts & PART_REST)
		visit_key(v, PART_REST, 0);
	if (parts & PART_CLASS)
		visit_key(v, PART_CLASS, 0);
}

static void visit_all(const struct ruleset *rs, index_visit fn, void *ctx)
{
	for (uint32_t i = 0; i < rs->n; i++)
		fn(ctx, &i, 1);
}

void index_each(const struct ruleset *rs, const struct program *who, struct place at,
	unsigned parts, index_visit fn, void *ctx)
{
	struct visit v = { .x = rs->index, .fn = fn, .ctx = ctx };

	if (!rs->index) {
		visit_all(rs, fn, ctx);
		return;
	}
	v.who = who->known ? WHO_GENERIC : WHO_STRANGER;
	visit_who(&v, at, parts);
	for (uint8_t i = 0; who->known && i < who->npaths; i++) {
		v.who = text_key(v.x, who->paths[i]);
		visit_who(&v, at, parts);
	}
}
