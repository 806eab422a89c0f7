/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/memo.h"

#include "base/table.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	NAMES = 4096,     /* places, powers of two; a place's memory is used when it is taken */
	VERDICTS = 8192,
	STRETCHES = 2,    /* what has more ports than that is not kept */
};

struct name_place {
	uint64_t id;      /* of what stands here now, never given again; 0: nothing */
	bool local;
	char name[HOST_MAX];
};

struct about {
	uint64_t name, serial, epoch;
	bool local_name;
};

struct at_name_place {
	struct about of;
	struct decision decision;
};

struct ports_place {
	struct about of;
	struct addr addr;
	struct decision rest;
	uint8_t n;
	struct port_stretch at[STRETCHES];
};

struct memo {
	const struct ruleset *rules;
	uint64_t epoch;           /* goes up when nothing that is kept holds any more */
	int64_t from_s, until_s;  /* now was, and must be, in between; until 0: for ever */
	uint64_t next_id;
	struct table hashing;     /* for its seed */
	struct name_place *last;
	struct name_place *names;
	struct at_name_place *at_name;
	struct ports_place *ports;
};

int memo_new(struct memo **out)
{
	struct memo *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->names = calloc(NAMES, sizeof(*m->names));
	m->at_name = calloc(VERDICTS, sizeof(*m->at_name));
	m->ports = calloc(VERDICTS, sizeof(*m->ports));
	if (!m->names || !m->at_name || !m->ports) {
		memo_free(m);
		return -ENOMEM;
	}
	if (getrandom(&m->hashing.seed, sizeof(m->hashing.seed), 0) < 0)
		m->hashing.seed = (uint64_t)(uintptr_t)m;
	m->last = m->names;
	memo_rules(m, NULL);
	*out = m;
	return 0;
}

void memo_free(struct memo *m)
{
	if (!m)
		return;
	free(m->names);
	free(m->at_name);
	free(m->ports);
	free(m);
}

void memo_rules(struct memo *m, const struct ruleset *rs)
{
	m->rules = rs;
	m->epoch++;
	m->from_s = INT64_MAX; /* the first question sets the stretch */
	m->until_s = 0;
}

static struct name_place *name_at(struct memo *m, const char *name)
{
	struct name_place *p = m->last;

	if (p->id && strcmp(p->name, name) == 0)
		return p;
	p = &m->names[table_hash(&m->hashing, name, strlen(name)) % NAMES];
	m->last = p;
	if (p->id && strcmp(p->name, name) == 0)
		return p;
	p->id = ++m->next_id;
	p->local = rules_local_name(name);
	text_copy(p->name, sizeof(p->name), name);
	return p;
}

bool memo_local_name(struct memo *m, const char *name)
{
	return name_at(m, name)->local;
}

/* a clock that was set back, or went over the moment a rule ends, begins another stretch */
static void stretch_set(struct memo *m, int64_t now_s)
{
	if (now_s >= m->from_s && (m->until_s == 0 || now_s < m->until_s))
		return;
	m->epoch++;
	m->from_s = now_s;
	m->until_s = ruleset_next_change(m->rules, now_s);
}

static struct about about(struct memo *m, const struct program *who, const char *name,
	bool local_name)
{
	return (struct about){ .name = name_at(m, name)->id, .serial = who->serial,
		.epoch = m->epoch, .local_name = local_name };
}

static bool about_same(const struct about *a, const struct about *b)
{
	return a->name == b->name && a->serial == b->serial && a->epoch == b->epoch &&
		a->local_name == b->local_name;
}

/* names' ids and serials count up: mixed, they spread over the places */
static uint64_t about_mix(const struct about *a, uint32_t more)
{
	uint64_t h = (a->name ^ a->serial << 32 ^ more) * 0x9e3779b97f4a7c15;

	return h >> 32;
}

void memo_at_name(struct memo *m, const struct program *who, const char *name,
	bool local_name, int64_t now_s, struct decision *out)
{
	struct at_name_place *p;
	struct about of;

	stretch_set(m, now_s);
	of = about(m, who, name, local_name);
	p = &m->at_name[about_mix(&of, local_name) % VERDICTS];
	if (!about_same(&p->of, &of)) {
		ruleset_at_name(m->rules, who, name, local_name, now_s, &p->decision);
		p->of = of;
	}
	*out = p->decision;
}

static uint32_t last_four(const struct addr *a)
{
	uint32_t four;

	memcpy(&four, a->b + (a->family == 4 ? 0 : 12), sizeof(four));
	return four;
}

static void ports_keep(struct ports_place *p, const struct about *of, const struct addr *a,
	const struct port_verdicts *v)
{
	if (v->n > STRETCHES || v->cut)
		return;
	p->of = *of;
	p->addr = *a;
	p->rest = v->rest;
	p->n = v->n;
	memcpy(p->at, v->at, v->n * sizeof(v->at[0]));
}

void memo_ports(struct memo *m, const struct program *who, const struct target *to,
	int64_t now_s, struct port_verdicts *out)
{
	struct ports_place *p;
	struct about of;

	if (!to->name || !to->addr || ruleset_asks_where(m->rules)) {
		ruleset_ports(m->rules, who, to, now_s, out);
		return;
	}
	stretch_set(m, now_s);
	of = about(m, who, to->name, to->local_name);
	p = &m->ports[about_mix(&of, last_four(to->addr)) % VERDICTS];
	if (!about_same(&p->of, &of) || addr_cmp(&p->addr, to->addr) != 0) {
		ruleset_ports(m->rules, who, to, now_s, out);
		ports_keep(p, &of, to->addr, out);
		return;
	}
	out->rest = p->rest;
	out->n = p->n;
	out->cut = false;
	memcpy(out->at, p->at, p->n * sizeof(p->at[0]));
}
