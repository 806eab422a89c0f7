/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/window.h"
#include "base/macros.h"
#include "base/table.h"
#include "base/text.h"
#include "web/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A flow up to its strings, which follow one after another: name, other, rule, process,
 * parents. */
enum { HEAD_LEN = offsetof(struct flow, name), FLOW_STRINGS = 5 };

struct record {
	struct table_node node; /* in flows, by (id, kind) */
	uint64_t place, id;
	uint64_t number, born; /* of the change that was told last, and first */
	uint32_t boot;
	uint8_t kind;
	char head[HEAD_LEN];
	char strings[];
};

struct known {
	struct table_node node; /* in programs, by serial */
	uint64_t serial, denied, rx, tx;
	int64_t last_ms;
	uint32_t actor, uid;
	int32_t parent_pid;
	bool known, believed, counted;
	char *strings; /* path, parent, cgroup; owned */
};

struct ring {
	struct record *at[WINDOW_FLOWS_MAX]; /* place p stands at p % max; owned */
	uint64_t newest;                     /* place; 0: empty */
	uint64_t left;                       /* the highest number of those that left */
};

struct window {
	struct ring rings[FLOW_CONN + 1];
	struct table flows, programs;
	uint64_t boot_id;
	uint32_t boot; /* counts the boots seen */
	uint64_t number;
	struct stats *stats; /* or NULL */
};

static void known_free(struct known *k)
{
	if (k)
		free(k->strings);
	free(k);
}

int window_new(struct window **out)
{
	struct window *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	if (table_init(&w->flows, 2 * WINDOW_FLOWS_MAX) < 0 ||
		table_init(&w->programs, WINDOW_PROGRAMS_MAX) < 0) {
		window_free(w);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

void window_free(struct window *w)
{
	struct table_node *n;

	if (!w)
		return;
	for (size_t kind = 0; kind < ARRAY_LEN(w->rings); kind++) {
		for (size_t i = 0; i < WINDOW_FLOWS_MAX; i++)
			free(w->rings[kind].at[i]);
	}
	while (w->programs.buckets && (n = table_oldest(&w->programs))) {
		table_remove(&w->programs, n);
		known_free(container_of(n, struct known, node));
	}
	table_done(&w->programs);
	table_done(&w->flows);
	free(w);
}

void window_boot(struct window *w, uint64_t boot)
{
	if (w->boot && w->boot_id == boot)
		return;
	w->boot_id = boot;
	w->boot++;
}

void window_stats(struct window *w, struct stats *s)
{
	w->stats = s;
}

/* the strings of a record, one after another in one block */
static size_t pack(char *to, const char *const *strings, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		size_t one = strlen(strings[i]) + 1;

		if (to)
			memcpy(to + len, strings[i], one);
		len += one;
	}
	return len;
}

static const char *unpack(char *to, size_t max, const char *from)
{
	size_t len = strlen(from) + 1;

	memcpy(to, from, MIN(len, max));
	return from + len;
}

static bool known_equal(const struct table_node *n, const void *serial)
{
	return container_of(n, struct known, node)->serial == *(const uint64_t *)serial;
}

static struct known *known_find(struct window *w, uint64_t serial)
{
	struct table_node *n = table_find(&w->programs,
		table_hash(&w->programs, &serial, sizeof(serial)), known_equal, &serial);

	return n ? container_of(n, struct known, node) : NULL;
}

static struct known *known_add(struct window *w, uint64_t serial)
{
	struct known *k = calloc(1, sizeof(*k));
	uint64_t hash = table_hash(&w->programs, &serial, sizeof(serial));

	if (!k)
		return NULL;
	k->serial = serial;
	if (w->programs.count == w->programs.max) {
		struct table_node *n = table_oldest(&w->programs);

		table_remove(&w->programs, n);
		known_free(container_of(n, struct known, node));
	}
	table_add(&w->programs, &k->node, hash);
	return k;
}

int window_program_told(struct window *w, const struct link_program *p)
{
	const char *const strings[] = { p->path, p->parent, p->cgroup };
	char *packed = malloc(pack(NULL, strings, ARRAY_LEN(strings)));
	struct known *k = known_find(w, p->serial);

	if (packed && !k)
		k = known_add(w, p->serial);
	if (!packed || !k) {
		free(packed);
		return -ENOMEM;
	}
	pack(packed, strings, ARRAY_LEN(strings));
	free(k->strings);
	k->strings = packed;
	k->actor = p->actor;
	k->uid = p->uid;
	k->parent_pid = p->parent_pid;
	k->known = p->known;
	k->believed = p->believed;
	table_use(&w->programs, &k->node);
	return 0;
}

static void known_get(const struct known *k, struct window_program *out)
{
	struct link_program *p = &out->told;
	const char *s = k->strings;

	memset(out, 0, sizeof(*out));
	p->serial = k->serial;
	p->actor = k->actor;
	p->uid = k->uid;
	p->known = k->known;
	p->believed = k->believed;
	p->parent_pid = k->parent_pid;
	s = unpack(p->path, sizeof(p->path), s);
	s = unpack(p->parent, sizeof(p->parent), s);
	unpack(p->cgroup, sizeof(p->cgroup), s);
	out->denied = k->denied;
	out->rx = k->rx;
	out->tx = k->tx;
	out->counted = k->counted;
	out->last_ms = k->last_ms;
}

bool window_program(struct window *w, uint64_t serial, struct window_program *out)
{
	struct known *k = known_find(w, serial);

	if (!k)
		return false;
	known_get(k, out);
	return true;
}

const void *window_next_program(struct window *w, const void *after,
	struct window_program *out)
{
	const struct table_node *n = after ? after : w->programs.newest;

	if (after)
		n = n->older;
	if (n)
		known_get(container_of(n, struct known, node), out);
	return n;
}

static void record_get(const struct record *rec, struct link_flow *out)
{
	const char *s = rec->strings;

	memset(out, 0, sizeof(*out));
	memcpy(&out->flow, rec->head, HEAD_LEN);
	s = unpack(out->flow.name, sizeof(out->flow.name), s);
	s = unpack(out->flow.other, sizeof(out->flow.other), s);
	s = unpack(out->rule_text, sizeof(out->rule_text), s);
	s = unpack(out->process, sizeof(out->process), s);
	unpack(out->parents, sizeof(out->parents), s);
}

static struct record *record_new(const struct link_flow *f)
{
	const char *const strings[FLOW_STRINGS] = { f->flow.name, f->flow.other,
		f->rule_text, f->process, f->parents };
	struct record *rec = malloc(sizeof(*rec) + pack(NULL, strings, FLOW_STRINGS));

	if (!rec)
		return NULL;
	memset(rec, 0, sizeof(*rec));
	memcpy(rec->head, &f->flow, HEAD_LEN);
	pack(rec->strings, strings, FLOW_STRINGS);
	rec->id = f->flow.id;
	rec->kind = f->flow.kind;
	return rec;
}

struct flow_key {
	uint64_t id, kind;
};

static bool record_equal(const struct table_node *n, const void *key)
{
	const struct record *rec = container_of(n, struct record, node);
	const struct flow_key *k = key;

	return rec->id == k->id && rec->kind == k->kind;
}

/* what is new in a record */
struct growth {
	bool flow, denied;
	uint64_t rx, tx;
};

/* was is what the record said before, or NULL */
static struct growth growth_of(const struct flow *was, const struct flow *now)
{
	bool denied = now->verdict == VERDICT_DENY;

	return (struct growth){
		.flow = !was && !denied && now->kind == FLOW_CONN,
		.denied = denied && !(was && was->verdict == VERDICT_DENY),
		.rx = now->rx - (was ? MIN(was->rx, now->rx) : 0),
		.tx = now->tx - (was ? MIN(was->tx, now->tx) : 0),
	};
}

/* Bytes that are told at first of one that goes on are older than we are, or than who counts:
 * when they moved is not known. */
static void count_all(struct window *w, const struct flow *was, const struct flow *now,
	const struct growth *g)
{
	bool older = !(was && was->counted) && now->state != FLOW_DONE;

	if (!w->stats)
		return;
	if (g->flow || g->denied)
		stats_began(w->stats, now->start_ms, g->denied);
	if (!older && (g->rx || g->tx))
		stats_bytes(w->stats, now->start_ms, g->rx, g->tx);
}

static void account(struct window *w, const struct flow *was, const struct flow *now)
{
	const struct growth g = growth_of(was, now);
	struct known *k = known_find(w, now->serial);

	count_all(w, was, now, &g);
	if (!k)
		return;
	table_use(&w->programs, &k->node);
	k->denied += g.denied;
	k->rx += g.rx;
	k->tx += g.tx;
	k->counted |= now->counted;
	k->last_ms = MAX(k->last_ms, MAX(now->start_ms, now->end_ms));
}

static void record_put(struct window *w, struct record *rec, uint64_t hash)
{
	struct ring *ring = &w->rings[rec->kind];
	struct record **slot = &ring->at[rec->place % WINDOW_FLOWS_MAX];

	if (*slot) {
		if ((*slot)->place != rec->place)
			ring->left = MAX(ring->left, (*slot)->number);
		table_remove(&w->flows, &(*slot)->node);
		free(*slot);
	}
	*slot = rec;
	table_add(&w->flows, &rec->node, hash);
}

void window_recall(struct window *w, struct link_flow *f)
{
	struct flow_key key = { f->flow.id, f->flow.kind };
	struct table_node *n = table_find(&w->flows, table_hash(&w->flows, &key, sizeof(key)),
		record_equal, &key);
	struct link_flow was;

	if (!n || (f->flow.name[0] && f->process[0]))
		return;
	record_get(container_of(n, struct record, node), &was);
	if (was.flow.start_ms != f->flow.start_ms || was.flow.port != f->flow.port ||
		addr_cmp(&was.flow.addr, &f->flow.addr) != 0)
		return;
	if (f->flow.name[0] && strcmp(f->flow.name, was.flow.name) != 0)
		return;
	text_copy(f->flow.name, sizeof(f->flow.name), was.flow.name);
	if (f->process[0] || (f->flow.pid && f->flow.pid != was.flow.pid))
		return;
	f->flow.pid = was.flow.pid;
	text_copy(f->process, sizeof(f->process), was.process);
	text_copy(f->parents, sizeof(f->parents), was.parents);
}

int window_flow_told(struct window *w, const struct link_flow *f)
{
	struct flow_key key = { f->flow.id, f->flow.kind };
	uint64_t hash = table_hash(&w->flows, &key, sizeof(key));
	struct table_node *n = table_find(&w->flows, hash, record_equal, &key);
	struct record *rec = record_new(f);
	struct link_flow was;

	if (!rec)
		return -ENOMEM;
	if (n) {
		record_get(container_of(n, struct record, node), &was);
		/* the core says it once */
		rec->head[offsetof(struct flow, first)] |= (char)was.flow.first;
		rec->place = container_of(n, struct record, node)->place;
		rec->born = container_of(n, struct record, node)->born;
	} else {
		rec->place = ++w->rings[rec->kind].newest;
		rec->born = w->number;
	}
	rec->number = w->number;
	rec->boot = w->boot;
	account(w, n ? &was.flow : NULL, &f->flow);
	record_put(w, rec, hash);
	return 0;
}

static struct record *conn_find(struct window *w, uint64_t id)
{
	struct flow_key key = { id, FLOW_CONN };
	struct table_node *n = table_find(&w->flows, table_hash(&w->flows, &key, sizeof(key)),
		record_equal, &key);

	return n ? container_of(n, struct record, node) : NULL;
}

bool window_flow_uid(struct window *w, uint64_t id, uint32_t *out)
{
	struct record *rec = conn_find(w, id);
	struct flow f = { 0 };

	if (!rec)
		return false;
	memcpy(&f, rec->head, HEAD_LEN);
	*out = f.uid;
	return true;
}

bool window_again(struct window *w, uint64_t id, struct link_flow *out)
{
	struct record *rec = conn_find(w, id);

	if (!rec)
		return false;
	rec->number = w->number;
	record_get(rec, out);
	return true;
}

bool window_counted(struct window *w, const struct flow_count *c)
{
	struct record *rec = conn_find(w, c->id);
	struct flow was = { 0 }, now;

	if (!rec)
		return false;
	memcpy(&was, rec->head, HEAD_LEN);
	now = was;
	now.counted = 1;
	now.rx = c->rx;
	now.tx = c->tx;
	now.rx_packets = c->rx_packets;
	now.tx_packets = c->tx_packets;
	account(w, &was, &now);
	memcpy(rec->head, &now, HEAD_LEN);
	rec->number = w->number;
	return true;
}

/* curl matches /usr/bin/curl; /usr/bin/curl matches itself alone */
static bool program_matches(const char *path, const char *wanted)
{
	const char *last = strrchr(path, '/');

	if (strchr(wanted, '/') || !last)
		return strcmp(path, wanted) == 0;
	return strcmp(last + 1, wanted) == 0;
}

static bool name_matches(const char *host, const char *wanted)
{
	bool below_only = wanted[0] == '*' && wanted[1] == '.';

	if (below_only)
		wanted++;
	if (wanted[0] != '.')
		return strcmp(host, wanted) == 0;
	wanted++;
	return host_covers(wanted, host) && !(below_only && strcmp(host, wanted) == 0);
}

bool window_passes(struct window *w, const struct window_filter *filter,
	const struct link_flow *f)
{
	const struct known *k;

	if (filter->by_verdict && f->flow.verdict != filter->verdict)
		return false;
	if (filter->by_uid && f->flow.uid != filter->uid)
		return false;
	if (filter->name && !name_matches(f->flow.name, filter->name))
		return false;
	if (!filter->program)
		return true;
	k = known_find(w, f->flow.serial);
	return program_matches(k ? k->strings : "unknown", filter->program);
}

uint64_t window_older(struct window *w, enum flow_kind kind, uint64_t before,
	const struct window_filter *filter, struct link_flow *out, bool *old_boot)
{
	struct ring *ring = &w->rings[kind];
	uint64_t place = ring->newest;
	uint64_t last = place > WINDOW_FLOWS_MAX ? place - WINDOW_FLOWS_MAX : 0;

	if (before && before <= place)
		place = before - 1;
	for (; place > last; place--) {
		const struct record *rec = ring->at[place % WINDOW_FLOWS_MAX];

		record_get(rec, out);
		if (window_passes(w, filter, out)) {
			*old_boot = rec->boot != w->boot;
			return place;
		}
	}
	return 0;
}

bool window_at(struct window *w, enum flow_kind kind, uint64_t place,
	const struct window_filter *filter, struct link_flow *out, bool *old_boot)
{
	const struct record *rec = w->rings[kind].at[place % WINDOW_FLOWS_MAX];

	if (!rec || rec->place != place)
		return false;
	record_get(rec, out);
	*old_boot = rec->boot != w->boot;
	return window_passes(w, filter, out);
}

void window_number(struct window *w, uint64_t number)
{
	w->number = number;
}

static int by_number(const void *a, const void *b)
{
	const struct window_change *x = a, *y = b;

	if (x->number != y->number)
		return x->number > y->number ? 1 : -1;
	return (x->place > y->place) - (x->place < y->place);
}

int window_changes(const struct window *w, unsigned kinds, uint64_t after,
	struct window_change *out, unsigned max)
{
	unsigned n = 0;

	for (unsigned kind = 0; kind < ARRAY_LEN(w->rings); kind++) {
		const struct ring *ring = &w->rings[kind];

		if (!(kinds & 1u << kind))
			continue;
		if (ring->left > after)
			return -ENOENT;
		for (size_t i = 0; i < WINDOW_FLOWS_MAX; i++) {
			const struct record *rec = ring->at[i];

			if (!rec || rec->number <= after)
				continue;
			if (n == max)
				return -E2BIG;
			out[n++] = (struct window_change){ .number = rec->number,
				.place = rec->place, .born = rec->born,
				.kind = (enum flow_kind)kind };
		}
	}
	qsort(out, n, sizeof(*out), by_number);
	return (int)n;
}
