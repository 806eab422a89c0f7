/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/grant.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

struct grant_book {
	struct table table;
	uint32_t per_actor;
	struct list of[ACTOR_MASK + 1];
};

struct key {
	uint32_t actor;
	struct addr addr;
	const char *name; /* NULL: any */
};

int grant_book_new(size_t max, uint32_t per_actor, struct grant_book **out)
{
	struct grant_book *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->per_actor = per_actor;
	if (table_init(&b->table, max) < 0) {
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

static bool wants(const struct grant_shape *s, const struct grant_element *e)
{
	for (unsigned i = 0; i < s->n; i++)
		if (memcmp(&s->at[i], e, sizeof(*e)) == 0)
			return true;
	return false;
}

static void add_element(struct grant_shape *s, enum nft_set set, uint8_t proto,
	uint16_t port)
{
	if (s->n < GRANT_ELEMENTS_MAX)
		s->at[s->n++] = (struct grant_element){ .set = (uint8_t)set, .proto = proto,
			.port = port };
}

/* a stretch without a protocol speaks of every protocol that has ports; to open, the two
 * that programs use are enough, to shut it takes all */
static const uint8_t with_ports[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_SCTP,
	IPPROTO_UDPLITE };

static unsigned protos_of(const struct port_stretch *s, enum nft_set set)
{
	return s->proto ? 1 : set == NFT_REFUSE_SVC ? ARRAY_LEN(with_ports) : 2;
}

static bool every_port(const struct port_stretch *s)
{
	return s->lo == 0 && s->hi == 65535;
}

static uint32_t elements_of(const struct port_stretch *s, enum nft_set set)
{
	uint32_t ports = every_port(s) ? 1 : (uint32_t)s->hi - s->lo + 1;

	return ports * protos_of(s, set);
}

static void add_stretch(struct grant_shape *out, enum nft_set set,
	const struct port_stretch *s)
{
	for (unsigned p = 0; p < protos_of(s, set); p++) {
		uint8_t proto = s->proto ? s->proto : with_ports[p];

		if (every_port(s)) {
			add_element(out, set, proto, 0);
			continue;
		}
		for (uint32_t port = s->lo; port <= s->hi; port++)
			add_element(out, set, proto, (uint16_t)port);
	}
}

/*
 * rest allowed: the whole address passes, and what differs is refused port by port; the
 * kernel asks refusals first. A refusal that does not fit must not become an opening: then
 * nothing is opened at all.
 * rest denied: what differs passes port by port; a stretch that does not fit stays shut.
 */
bool grant_shape(struct grant_shape *out, const struct port_verdicts *v)
{
	bool open = v->rest.verdict == VERDICT_ALLOW && !v->cut, any = open;
	enum nft_set set = open ? NFT_REFUSE_SVC : NFT_PASS_SVC;

	out->n = 0;
	if (open)
		add_element(out, NFT_PASS, 0, 0);
	for (unsigned i = 0; i < v->n; i++) {
		const struct port_stretch *s = &v->at[i];
		bool fits = out->n + elements_of(s, set) <= GRANT_ELEMENTS_MAX;

		if ((s->decision.verdict == VERDICT_ALLOW) == open)
			continue;
		if (open && !fits)
			return false;
		any = true;
		if (fits)
			add_stretch(out, set, s);
	}
	return any;
}

bool grant_shape_port(struct grant_shape *s, uint8_t proto, uint16_t port)
{
	struct grant_element e = { .set = NFT_PASS_SVC, .proto = proto, .port = port };

	if (s->n == GRANT_ELEMENTS_MAX || wants(s, &e))
		return false;
	s->at[s->n++] = e;
	return true;
}

bool grant_same_shape(const struct grant_shape *a, const struct grant_shape *b)
{
	return a->n == b->n && memcmp(a->at, b->at, a->n * sizeof(a->at[0])) == 0;
}

const struct decision *grant_decision(const struct port_verdicts *v)
{
	for (unsigned i = 0; v->rest.verdict != VERDICT_ALLOW && i < v->n; i++)
		if (v->at[i].decision.verdict == VERDICT_ALLOW)
			return &v->at[i].decision;
	return &v->rest;
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

/* the latest expiry among the other grants in the kernel that want the element, or 0 */
static int64_t others_expire(const struct grant_book *b, const struct grant *g, unsigned i)
{
	struct key k = { .actor = g->actor, .addr = g->addr };
	uint64_t hash = hash_of(b, g->actor, &g->addr);
	struct table_node *n = b->table.buckets[hash & b->table.mask];
	int64_t latest = 0;

	for (struct grant *o = same_place(n, hash, &k); o;
		o = same_place(o->node.next, hash, &k))
		if (o != g && o->in_kernel && wants(&o->shape, &g->shape.at[i]))
			latest = MAX(latest, o->expires_ms);
	return latest;
}

bool grant_shared(const struct grant_book *b, const struct grant *g, unsigned i)
{
	return others_expire(b, g, i) > 0;
}

static struct grant *of_actor(struct list_node *n)
{
	return container_of(n, struct grant, of_actor);
}

void grant_remove(struct grant_book *b, struct grant *g)
{
	list_remove(&b->of[g->actor & ACTOR_MASK], &g->of_actor);
	table_remove(&b->table, &g->node);
}

void grant_discard(struct grant *g)
{
	free(g);
}

struct grant *grant_get(struct grant_book *b, uint32_t actor, const struct addr *addr,
	const char *name, struct grant **evicted)
{
	struct list *l = &b->of[actor & ACTOR_MASK];
	struct grant *g = grant_find(b, actor, addr, name);

	*evicted = NULL;
	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	if (l->n >= b->per_actor)
		*evicted = of_actor(l->oldest);
	else if (b->table.count >= b->table.max)
		*evicted = container_of(table_oldest(&b->table), struct grant, node);
	if (*evicted)
		grant_remove(b, *evicted);
	g->actor = actor;
	g->addr = *addr;
	text_copy(g->name, sizeof(g->name), name);
	table_add(&b->table, &g->node, hash_of(b, actor, addr));
	list_add(l, &g->of_actor);
	return g;
}

void grant_use(struct grant_book *b, struct grant *g)
{
	struct list *l = &b->of[g->actor & ACTOR_MASK];

	table_use(&b->table, &g->node);
	if (l->newest == &g->of_actor)
		return;
	list_remove(l, &g->of_actor);
	list_add(l, &g->of_actor);
}

void grant_expire(struct grant_book *b, int64_t now_ms, int64_t remember_ms)
{
	struct table_node *n = b->table.oldest;

	while (n) {
		struct grant *g = container_of(n, struct grant, node);

		n = n->newer;
		if (g->expires_ms > now_ms)
			continue;
		g->in_kernel = false;
		if (g->expires_ms + remember_ms > now_ms)
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
	struct list_node *n = b->of[actor & ACTOR_MASK].oldest;

	while (n) {
		struct grant *g = of_actor(n);

		n = n->newer;
		each(ctx, g);
	}
}

bool grant_of(const struct grant_book *b, uint32_t actor)
{
	return b->of[actor & ACTOR_MASK].n > 0;
}

size_t grant_count(struct grant_book *b, int64_t now_ms)
{
	size_t n = 0;

	for (struct table_node *t = b->table.oldest; t; t = t->newer)
		n += container_of(t, struct grant, node)->expires_ms > now_ms;
	return n;
}

void grant_element(const struct grant_book *b, const struct grant *g, unsigned i,
	int64_t now_ms, struct nft_element *out)
{
	int64_t left = MAX(g->expires_ms, others_expire(b, g, i)) - now_ms;

	*out = (struct nft_element){
		.set = g->shape.at[i].set,
		.actor = g->actor,
		.addr = g->addr,
		.proto = g->shape.at[i].proto,
		.port = g->shape.at[i].port,
		.timeout_ms = left < 1000 ? 1000 : (uint32_t)MIN(left, INT32_MAX),
		.rule = g->rule,
	};
	text_copy(out->name, sizeof(out->name), g->name);
}
