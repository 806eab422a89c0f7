/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whoever is told of is used together with everything above it, a child before its parent:
 * so the oldest of the table has no children, and may leave. */
#include "cli/tree.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* one query or connection, so that being told twice does not count twice */
struct record {
	struct table_node in;
	struct node *host;
	struct record *next, **at; /* of its host */
	uint64_t id;
	int64_t start_ms;
	bool query, live;
	enum tree_verdict verdict;
	uint64_t rx, tx;
};

static struct node *node_of(struct table_node *n)
{
	return n ? container_of(n, struct node, in) : NULL;
}

static struct record *record_of(struct table_node *n)
{
	return n ? container_of(n, struct record, in) : NULL;
}

int tree_new(struct tree **out)
{
	struct tree *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	r = table_init(&t->nodes, TREE_NODES_MAX);
	if (r == 0)
		r = table_init(&t->records, TREE_RECORDS_MAX);
	if (r < 0) {
		table_done(&t->nodes);
		free(t);
		return r;
	}
	t->all.open = true;
	*out = t;
	return 0;
}

static void node_free(struct node *n)
{
	free(n->key);
	free(n->label);
	free(n);
}

void tree_free(struct tree *t)
{
	struct table_node *n;

	if (!t)
		return;
	while ((n = table_oldest(&t->records))) {
		table_remove(&t->records, n);
		free(record_of(n));
	}
	while ((n = table_oldest(&t->nodes))) {
		table_remove(&t->nodes, n);
		node_free(node_of(n));
	}
	table_done(&t->records);
	table_done(&t->nodes);
	free(t);
}

/* --- leaving ---------------------------------------------------------------------------- */

static void record_drop(struct tree *t, struct record *r)
{
	if (r->live) {
		for (struct node *n = r->host; n; n = n->parent)
			n->live--;
	}
	*r->at = r->next;
	if (r->next)
		r->next->at = r->at;
	table_remove(&t->records, &r->in);
	free(r);
}

static void unlink_node(struct node *n)
{
	struct node *p = n->parent;

	*(n->prev ? &n->prev->next : &p->first) = n->next;
	*(n->next ? &n->next->prev : &p->last) = n->prev;
	p->children--;
}

static void take_from(struct node *n, const struct node *left)
{
	n->rx -= left->rx;
	n->tx -= left->tx;
	n->rx_before -= left->rx_before;
	n->tx_before -= left->tx_before;
	n->flows -= left->flows;
	for (size_t i = 0; i < TREE_VERDICTS; i++)
		n->told[i] -= left->told[i];
}

/* a node without children; those above that have none then leave, too */
static void node_drop(struct tree *t, struct node *n)
{
	while (n->records)
		record_drop(t, n->records);
	for (struct node *p = n->parent; p; p = p->parent)
		take_from(p, n);
	while (n->parent && !n->children) {
		struct node *parent = n->parent;

		if (t->chosen == n)
			t->chosen = parent->parent ? parent : NULL;
		unlink_node(n);
		table_remove(&t->nodes, &n->in);
		node_free(n);
		t->left++;
		n = parent;
	}
}

/* --- coming ----------------------------------------------------------------------------- */

struct node_key {
	const struct node *parent;
	const char *key;
	uint32_t uid;
};

static bool node_equal(const struct table_node *in, const void *key)
{
	const struct node *n = container_of(in, struct node, in);
	const struct node_key *k = key;

	return n->parent == k->parent && n->uid == k->uid && strcmp(n->key, k->key) == 0;
}

static uint64_t node_hash(const struct tree *t, const struct node_key *k)
{
	uint64_t words[3] = { (uint64_t)(uintptr_t)k->parent, k->uid,
		table_hash(&t->nodes, k->key, strlen(k->key)) };

	return table_hash(&t->nodes, words, sizeof(words));
}

static char *safe_copy(const char *s)
{
	char shown[TREE_WORD_MAX];
	struct text t = text_into(shown, sizeof(shown));

	text_add_safe(&t, s);
	return strdup(shown);
}

static void link_node(struct node *n)
{
	struct node *p = n->parent;

	n->prev = p->last;
	*(p->last ? &p->last->next : &p->first) = n;
	p->last = n;
	p->children++;
}

/* the child with that key, made if need be; NULL: no memory */
static struct node *below(struct tree *t, struct node *parent, const char *key,
	const char *label, uint32_t uid)
{
	struct node_key k = { parent, key, uid };
	uint64_t hash = node_hash(t, &k);
	struct node *n = node_of(table_find(&t->nodes, hash, node_equal, &k));

	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->key = strdup(key);
	n->label = safe_copy(label);
	if (!n->key || !n->label || table_add(&t->nodes, &n->in, hash) < 0) {
		node_free(n);
		return NULL;
	}
	n->parent = parent;
	n->kind = parent->kind + 1;
	n->uid = uid;
	link_node(n);
	return n;
}

static void used(struct tree *t, struct node *n)
{
	for (; n->parent; n = n->parent)
		table_use(&t->nodes, &n->in);
}

static void program_label(const struct tree_seen *s, char *out, size_t max)
{
	const char *last = s->path ? strrchr(s->path, '/') : NULL;
	struct text t = text_into(out, max);

	if (!s->path) {
		text_add(&t, "unknown program");
		return;
	}
	text_add(&t, last && last[1] ? last + 1 : s->path);
	if (s->uid && s->user)
		text_addf(&t, " (%s)", s->user);
	else if (s->uid)
		text_addf(&t, " (uid %u)", s->uid);
}

/* where s belongs; three nodes may be new, and room for them is made first */
static struct node *host_of(struct tree *t, const struct tree_seen *s)
{
	const char *host = s->name ? s->name : s->address ? s->address : "";
	const char *domain = s->name ? (s->domain ? s->domain : s->name) : "";
	char label[TREE_WORD_MAX];
	struct node *n;

	while (t->nodes.count + 3 > t->nodes.max)
		node_drop(t, node_of(table_oldest(&t->nodes)));
	program_label(s, label, sizeof(label));
	n = below(t, &t->all, s->path ? s->path : "", label, s->uid);
	if (!n)
		return NULL;
	n->believed = s->path && s->believed;
	n = below(t, n, domain, s->name ? domain : "addresses without a name", 0);
	if (n)
		n = below(t, n, host, *host ? host : "no address", 0);
	if (n)
		n->address = !s->name;
	return n;
}

/* --- records ---------------------------------------------------------------------------- */

struct record_key {
	bool query;
	uint64_t id;
};

static bool record_equal(const struct table_node *in, const void *key)
{
	const struct record *r = container_of(in, struct record, in);
	const struct record_key *k = key;

	return r->id == k->id && r->query == k->query;
}

static uint64_t record_hash(const struct tree *t, bool query, uint64_t id)
{
	uint64_t words[2] = { query, id };

	return table_hash(&t->records, words, sizeof(words));
}

static struct record *record_find(const struct tree *t, bool query, uint64_t id)
{
	return record_of(table_find(&t->records, record_hash(t, query, id), record_equal,
		&(struct record_key){ query, id }));
}

static void count(struct record *r, uint64_t rx, uint64_t tx, int64_t at_ms)
{
	uint64_t down = rx > r->rx ? rx - r->rx : 0, up = tx > r->tx ? tx - r->tx : 0;

	if (!down && !up)
		return;
	r->rx += down;
	r->tx += up;
	for (struct node *n = r->host; n; n = n->parent) {
		n->rx += down;
		n->tx += up;
		n->last_ms = MAX(n->last_ms, at_ms);
	}
}

static void judge(struct record *r, enum tree_verdict verdict)
{
	for (struct node *n = r->host; n; n = n->parent) {
		n->told[r->verdict]--;
		n->told[verdict]++;
	}
	r->verdict = verdict;
}

static void set_live(struct record *r, bool live)
{
	for (struct node *n = r->host; n && live != r->live; n = n->parent)
		n->live += live ? 1u : -1u;
	r->live = live;
}

static void update(struct record *r, const struct tree_seen *s)
{
	int64_t at_ms = MAX(s->start_ms, s->end_ms);

	judge(r, s->verdict);
	set_live(r, s->live);
	count(r, s->rx, s->tx, at_ms);
	if (s->country)
		text_copy(r->host->country, sizeof(r->host->country), s->country);
	for (struct node *n = r->host; n; n = n->parent) {
		n->last_ms = MAX(n->last_ms, at_ms);
		n->watched = s->watched;
	}
}

static void record_init(struct record *r, struct node *host, const struct tree_seen *s)
{
	*r = (struct record){ .host = host, .id = s->id, .start_ms = s->start_ms,
		.query = s->query, .verdict = s->verdict };
	for (struct node *n = host; n; n = n->parent) {
		n->told[s->verdict]++;
		n->flows += !s->query;
	}
}

static int record_add(struct tree *t, struct node *host, const struct tree_seen *s)
{
	struct record *r = malloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	if (t->records.count >= t->records.max)
		record_drop(t, record_of(table_oldest(&t->records)));
	record_init(r, host, s);
	r->next = host->records;
	r->at = &host->records;
	if (r->next)
		r->next->at = &r->next;
	host->records = r;
	table_add(&t->records, &r->in, record_hash(t, s->query, s->id));
	update(r, s);
	return 0;
}

int tree_put(struct tree *t, const struct tree_seen *s)
{
	struct record *r = record_find(t, s->query, s->id), gone;
	struct node *host;

	if (r && r->start_ms == s->start_ms) {
		table_use(&t->records, &r->in);
		update(r, s);
		used(t, r->host);
		return 0;
	}
	host = host_of(t, s);
	if (!host)
		return -ENOMEM;
	used(t, host);
	/* making room may have taken r away; numbers begin anew with each start of the daemon */
	r = record_find(t, s->query, s->id);
	if (r && r->start_ms > s->start_ms) {
		struct tree_seen past = *s;

		past.live = false;
		record_init(&gone, host, &past); /* counted, and not known by its number */
		update(&gone, &past);
		return 0;
	}
	if (r)
		record_drop(t, r);
	return record_add(t, host, s);
}

bool tree_count(struct tree *t, uint64_t id, uint64_t rx, uint64_t tx, int64_t now_ms)
{
	struct record *r = record_find(t, false, id);

	if (!r)
		return false;
	count(r, rx, tx, now_ms);
	used(t, r->host);
	return true;
}

/* --- time ------------------------------------------------------------------------------- */

static double rate(double before, uint64_t bytes, int64_t ms)
{
	double now = before * 0.6 + 0.4 * (double)bytes * 1000.0 / (double)ms;

	return now < 1 ? 0 : now;
}

static void tick_node(struct node *n, int64_t ms)
{
	n->rx_rate = rate(n->rx_rate, n->rx - n->rx_before, ms);
	n->tx_rate = rate(n->tx_rate, n->tx - n->tx_before, ms);
	n->rx_before = n->rx;
	n->tx_before = n->tx;
}

void tree_tick(struct tree *t, int64_t now_ms)
{
	int64_t ms = MAX(now_ms - t->ticked_ms, 1);

	tick_node(&t->all, ms);
	for (struct table_node *n = t->nodes.newest; n; n = n->older)
		tick_node(node_of(n), ms);
	t->ticked_ms = now_ms;
}

void tree_settle(struct tree *t, int64_t now_ms)
{
	t->all.rx_before = t->all.rx;
	t->all.tx_before = t->all.tx;
	for (struct table_node *in = t->nodes.newest; in; in = in->older) {
		struct node *n = node_of(in);

		n->rx_before = n->rx;
		n->tx_before = n->tx;
	}
	t->ticked_ms = now_ms;
}

/* --- looking ---------------------------------------------------------------------------- */

static struct node *same_in(struct tree *t, const struct node *old)
{
	struct node *parent = &t->all;
	const struct node *path[NODE_HOST + 1] = { NULL };

	for (; old->parent; old = old->parent)
		path[old->kind] = old;
	for (int kind = NODE_PROGRAM; parent && kind <= NODE_HOST && path[kind]; kind++) {
		struct node_key k = { parent, path[kind]->key, path[kind]->uid };

		parent = node_of(table_find(&t->nodes, node_hash(t, &k), node_equal, &k));
	}
	return parent;
}

void tree_like(struct tree *t, const struct tree *old)
{
	for (struct table_node *in = old->nodes.newest; in; in = in->older) {
		const struct node *was = node_of(in);
		struct node *n = was->open ? same_in(t, was) : NULL;

		if (n)
			n->open = true;
	}
	t->chosen = NULL;
	for (const struct node *n = old->chosen; n && n->parent && !t->chosen; n = n->parent)
		t->chosen = same_in(t, n);
}

static void most(const struct node *host, const struct node **best)
{
	if (host->country[0] && (!*best || host->rx + host->tx > (*best)->rx + (*best)->tx))
		*best = host;
}

const char *tree_country(const struct node *n)
{
	const struct node *best = NULL;

	if (n->kind == NODE_HOST)
		return n->country;
	if (n->kind == NODE_DOMAIN) {
		for (const struct node *h = n->first; h; h = h->next)
			most(h, &best);
	}
	if (n->kind == NODE_PROGRAM) {
		for (const struct node *d = n->first; d; d = d->next) {
			for (const struct node *h = d->first; h; h = h->next)
				most(h, &best);
		}
	}
	return best ? best->country : "";
}

const struct node *tree_program(const struct node *n)
{
	while (n->kind > NODE_PROGRAM)
		n = n->parent;
	return n;
}
