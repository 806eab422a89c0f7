/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/grant.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

struct grant_list {
	struct grant *newest, *oldest;
	uint32_t n;
};

struct grant_book {
	struct table table;
	struct grant_list of[ACTOR_MASK + 1];
};

struct key {
	uint32_t actor;
	struct addr addr;
	const char *name; /* NULL: any */
};

int grant_book_new(struct grant_book **out)
{
	struct grant_book *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	if (table_init(&b->table, GRANTS_MAX) < 0) {
		free(b);
		return -ENOMEM;
	}
	*out = b;
	return 0;
}

void grant_book_free(struct grant_book *b)
{
	struct table_node *n;

	if (!b)
		return;
	while ((n = table_oldest(&b->table))) {
		table_remove(&b->table, n);
		free(container_of(n, struct grant, node));
	}
	table_done(&b->table);
	free(b);
}

static void add_element(struct grant *g, enum nft_set set, uint8_t proto, uint16_t port)
{
	g->at[g->n++] = (struct grant_element){ .set = (uint8_t)set, .proto = proto,
		.port = port };
}

/* the ports of one stretch, each protocol that has ports */
static void add_stretch(struct grant *g, enum nft_set set, const struct port_stretch *s)
{
	static const uint8_t both[] = { IPPROTO_TCP, IPPROTO_UDP };

	for (size_t p = 0; p < ARRAY_LEN(both); p++) {
		if (s->proto && s->proto != both[p])
			continue;
		for (uint32_t port = s->lo; port <= s->hi; port++) {
			if (g->n == GRANT_ELEMENTS_MAX)
				return;
			add_element(g, set, both[p], (uint16_t)port);
		}
	}
}

/*
 * rest allowed: the whole address passes, and what differs is refused port by port; the
 * kernel asks refusals first. A refusal that does not fit must not become an opening: then
 * nothing is opened but the elements that name a port. Protocols without ports follow rest.
 */
bool grant_shape(struct grant *g, const struct port_verdicts *v)
{
	bool open = v->rest.verdict == VERDICT_ALLOW && !v->cut, any = open;
	enum nft_set set = open ? NFT_REFUSE_SVC : NFT_PASS_SVC;
	enum verdict differs = open ? VERDICT_DENY : VERDICT_ALLOW;
	uint32_t ports = 0;

	g->n = 0;
	for (unsigned i = 0; i < v->n; i++) {
		const struct port_stretch *s = &v->at[i];

		if ((s->decision.verdict == VERDICT_ALLOW) != (differs == VERDICT_ALLOW))
			continue;
		ports += (uint32_t)(s->hi - s->lo + 1) * (s->proto ? 1 : 2);
	}
	if (open && ports >= GRANT_ELEMENTS_MAX)
		return false;
	if (open)
		add_element(g, NFT_PASS, 0, 0);
	for (unsigned i = 0; i < v->n; i++) {
		const struct port_stretch *s = &v->at[i];

		if ((s->decision.verdict == VERDICT_ALLOW) != (differs == VERDICT_ALLOW))
			continue;
		add_stretch(g, set, s);
		any |= differs == VERDICT_ALLOW;
	}
	return any && g->n > 0;
}

const struct decision *grant_decision(const struct port_verdicts *v)
{
	for (unsigned i = 0; v->rest.verdict != VERDICT_ALLOW && i < v->n; i++)
		if (v->at[i].decision.verdict == VERDICT_ALLOW)
			return &v->at[i].decision;
	return &v->rest;
}

bool grant_same_shape(const struct grant *a, const struct grant *b)
{
	return a->n == b->n && memcmp(a->at, b->at, a->n * sizeof(a->at[0])) == 0;
}

static bool grant_is(const struct table_node *n, const void *key)
{
	const struct grant *g = container_of(n, const struct grant, node);
	const struct key *k = key;

	return g->actor == k->actor && addr_cmp(&g->addr, &k->addr) == 0 &&
	       (!k->name || strcmp(k->name, g->name) == 0);
}

static uint64_t hash_of(const struct grant_book *b, uint32_t actor, const struct addr *a)
{
	uint8_t bytes[4 + 1 + 16];

	memcpy(bytes, &actor, 4);
	bytes[4] = a->family;
	memcpy(bytes + 5, a->b, 16);
	return table_hash(&b->table, bytes, sizeof(bytes));
}

struct grant *grant_find(struct grant_book *b, uint32_t actor, const struct addr *addr,
	const char *name)
{
	struct key k = { .actor = actor, .addr = *addr, .name = name };
	struct table_node *n = table_find(&b->table, hash_of(b, actor, addr), grant_is, &k);

	return n ? container_of(n, struct grant, node) : NULL;
}

/* the next grant of the same actor and address in the bucket, from n on */
static struct grant *same_place(struct table_node *n, uint64_t hash, const struct key *k)
{
	for (; n; n = n->next)
		if (n->hash == hash && grant_is(n, k))
			return container_of(n, struct grant, node);
	return NULL;
}

struct grant *grant_by_addr(struct grant_book *b, uint32_t actor, const struct addr *addr)
{
	struct key k = { .actor = actor, .addr = *addr };
	uint64_t hash = hash_of(b, actor, addr);
	struct table_node *n = b->table.buckets[hash & b->table.mask];
	struct grant *best = NULL, *g;

	for (g = same_place(n, hash, &k); g; g = same_place(g->node.next, hash, &k))
		if (!best || g->expires_ms > best->expires_ms)
			best = g;
	return best;
}

static bool wants(const struct grant *g, const struct grant_element *e)
{
	for (unsigned i = 0; i < g->n; i++)
		if (memcmp(&g->at[i], e, sizeof(*e)) == 0)
			return true;
	return false;
}

/* the latest expiry among the other grants in the kernel that want the element, or 0 */
static int64_t others_expire(const struct grant_book *b, const struct grant *g, unsigned i)
{
	struct key k = { .actor = g->actor, .addr = g->addr };
	uint64_t hash = hash_of(b, g->actor, &g->addr);
	struct table_node *n = b->table.buckets[hash & b->table.mask];
	int64_t latest = 0;

	for (struct grant *o = same_place(n, hash, &k); o;
		o = same_place(o->node.next, hash, &k))
		if (o != g && o->in_kernel && wants(o, &g->at[i]))
			latest = MAX(latest, o->expires_ms);
	return latest;
}

bool grant_shared(const struct grant_book *b, const struct grant *g, unsigned i)
{
	return others_expire(b, g, i) > 0;
}

static void list_add(struct grant_list *l, struct grant *g)
{
	g->prev_of_actor = NULL;
	g->next_of_actor = l->newest;
	if (l->newest)
		l->newest->prev_of_actor = g;
	else
		l->oldest = g;
	l->newest = g;
	l->n++;
}

static void list_remove(struct grant_list *l, struct grant *g)
{
	if (g->prev_of_actor)
		g->prev_of_actor->next_of_actor = g->next_of_actor;
	else
		l->newest = g->next_of_actor;
	if (g->next_of_actor)
		g->next_of_actor->prev_of_actor = g->prev_of_actor;
	else
		l->oldest = g->prev_of_actor;
	l->n--;
}

void grant_remove(struct grant_book *b, struct grant *g)
{
	list_remove(&b->of[g->actor & ACTOR_MASK], g);
	table_remove(&b->table, &g->node);
}

void grant_discard(struct grant *g)
{
	free(g);
}

struct grant *grant_get(struct grant_book *b, uint32_t actor, const struct addr *addr,
	const char *name, struct grant **evicted)
{
	struct grant_list *l = &b->of[actor & ACTOR_MASK];
	struct grant *g = grant_find(b, actor, addr, name);

	*evicted = NULL;
	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	if (l->n >= GRANTS_PER_ACTOR)
		*evicted = l->oldest;
	else if (b->table.count >= GRANTS_MAX)
		*evicted = container_of(table_oldest(&b->table), struct grant, node);
	if (*evicted)
		grant_remove(b, *evicted);
	g->actor = actor;
	g->addr = *addr;
	text_copy(g->name, sizeof(g->name), name);
	table_add(&b->table, &g->node, hash_of(b, actor, addr));
	list_add(l, g);
	return g;
}

void grant_use(struct grant_book *b, struct grant *g)
{
	struct grant_list *l = &b->of[g->actor & ACTOR_MASK];

	table_use(&b->table, &g->node);
	if (l->newest == g)
		return;
	list_remove(l, g);
	list_add(l, g);
}

void grant_expire(struct grant_book *b, int64_t now_ms)
{
	struct table_node *n = b->table.oldest;

	while (n) {
		struct grant *g = container_of(n, struct grant, node);

		n = n->newer;
		if (g->expires_ms > now_ms)
			continue;
		grant_remove(b, g);
		grant_discard(g);
	}
}

void grant_each(struct grant_book *b, void (*each)(void *ctx, struct grant *g), void *ctx)
{
	struct table_node *n = b->table.oldest;

	while (n) {
		struct grant *g = container_of(n, struct grant, node);

		n = n->newer;
		each(ctx, g);
	}
}

void grant_each_of(struct grant_book *b, uint32_t actor,
	void (*each)(void *ctx, struct grant *g), void *ctx)
{
	struct grant *g = b->of[actor & ACTOR_MASK].oldest;

	while (g) {
		struct grant *newer = g->prev_of_actor;

		each(ctx, g);
		g = newer;
	}
}

size_t grant_count(const struct grant_book *b)
{
	return b->table.count;
}

void grant_element(const struct grant_book *b, const struct grant *g, unsigned i,
	int64_t now_ms, struct nft_element *out)
{
	int64_t left = MAX(g->expires_ms, others_expire(b, g, i)) - now_ms;

	*out = (struct nft_element){
		.set = g->at[i].set,
		.actor = g->actor,
		.addr = g->addr,
		.proto = g->at[i].proto,
		.port = g->at[i].port,
		.timeout_ms = left < 1000 ? 1000 : (uint32_t)MIN(left, INT32_MAX),
		.rule = g->rule,
	};
	text_copy(out->name, sizeof(out->name), g->name);
}
