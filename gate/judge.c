/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where an answer leads. CNAME targets are judged by rules alone (the default speaks of what
 * was asked, not of a provider's aliases), addresses by (name asked, address). What may not
 * be is cut; if no address is left the whole answer is a refusal.
 */
#include "gate/pass.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"

#include <string.h>

void pass_clear(struct pass *p)
{
	memset(p, 0, offsetof(struct pass, open));
}

void pass_own(struct own_program *own, const struct program *who,
	const struct process *process)
{
	own->program = *who;
	own->process = *process;
	own->program.npaths = who->npaths ? 1 : 0;
	own->program.paths[0] = own->program.path;
}

void pass_forget_answer(struct pass *p)
{
	if (p->held)
		answer_release(p->held);
	p->held = NULL;
	p->answer = NULL;
	wire_answer_done(&p->local_read);
	p->local_len = 0;
}

void pass_decided(struct pass *p, const struct decision *d)
{
	p->decision = *d;
	p->f.verdict = (uint8_t)d->verdict;
	p->f.reason = (uint8_t)d->reason;
	p->f.rule = d->rule;
}

static void cut(struct pass *p, const struct wire_answer_item *i)
{
	unsigned word = i->rr / 64u;

	if (i->lead == LEAD_HINT) {
		p->cut_hints = true;
		return;
	}
	if (word >= CUT_WORDS || (p->cut[word] >> (i->rr % 64) & 1))
		return;
	p->cut[word] |= (uint64_t)1 << (i->rr % 64);
	p->ncut++;
}

/* an upstream must not lead a program to this machine or its network (DNS rebinding) */
static bool rebinds(const struct pass *p, const struct addr *a)
{
	enum zone z = addr_zone(a);

	if (p->local_len || z == ZONE_INTERNET)
		return false; /* from the hosts file, the configuration, or localhost itself */
	switch (resolver_guard(p->g->parts.resolver, p->q->q.name)) {
	case GUARD_NONE:
		return false;
	case GUARD_LOOPBACK:
		return z == ZONE_LOCALHOST;
	default:
		return true;
	}
}

static bool is_name(const struct wire_answer_item *i)
{
	return i->lead == LEAD_CNAME || i->lead == LEAD_TARGET;
}

static bool by_rule(const struct decision *d)
{
	return d->verdict == VERDICT_DENY && d->reason == REASON_RULE;
}

static bool denied_name(struct pass *p, const struct program *who, const char *name,
	int64_t now_s, struct decision *d)
{
	gate_at_name(p->g, who, name, memo_local_name(p->g->memo, name), now_s, d);
	p->unsure_alias |= d->verdict == VERDICT_UNDECIDED;
	return by_rule(d);
}

/* the first name led over that a rule denies whatever its address, or NULL */
static const char *judge_names(struct pass *p, const struct program *who,
	const struct wire_answer *a, int64_t now_s, struct decision *d)
{
	for (unsigned k = 0; k < a->nitems; k++)
		if (is_name(&a->items[k]) && denied_name(p, who, a->items[k].name, now_s, d))
			return a->items[k].name;
	return NULL;
}

/* A rule for addresses outranked the one for a name that was led over: now that the address
 * is known, which of them does? */
static bool denied_alias(const struct pass *p, const struct program *who,
	const struct addr *addr, int64_t now_s, struct decision *why)
{
	const struct wire_answer *a = p->local_len ? &p->local_read : p->answer->read;
	struct target to = { .addr = addr, .dir = FLOW_OUT };
	struct geo_tag tag;

	if (!p->unsure_alias)
		return false;
	to.geo = gate_where(p->g, addr, &tag);
	for (unsigned k = 0; k < a->nitems; k++) {
		struct port_verdicts v;

		if (!is_name(&a->items[k]))
			continue;
		to.name = a->items[k].name;
		to.local_name = memo_local_name(p->g->memo, to.name);
		ruleset_ports(p->g->rules, who, &to, now_s, &v);
		*why = *grant_decision(&v);
		if (by_rule(why))
			return true;
	}
	return false;
}

static bool open_already(const struct pass *p, const struct addr *a)
{
	for (unsigned k = 0; k < p->nopen; k++)
		if (addr_cmp(&p->open[k], a) == 0)
			return true;
	return false;
}

const struct geo_tag *gate_where(const struct gate *g, const struct addr *a,
	struct geo_tag *tag)
{
	if (!ruleset_asks_where(g->rules) || geo_find(g->parts.geo, a, tag) < 0)
		return NULL;
	return tag;
}

/* may this program reach that address under the name it asked for? */
static bool judge_addr(struct pass *p, const struct program *who,
	const struct wire_answer_item *i, int64_t now_s, struct decision *why)
{
	struct target to = { .name = p->q->q.name, .addr = &i->addr, .dir = FLOW_OUT,
		.local_name = p->local_name };
	struct open_addr *o = &p->g->open[p->nopen];
	struct port_verdicts v;
	struct geo_tag tag;

	if (rebinds(p, &i->addr)) {
		*why = (struct decision){ .verdict = VERDICT_DENY, .reason = REASON_REBIND };
		return false;
	}
	if (p->outside)
		return true;
	if (p->decision.reason == REASON_FACTORY)
		return true; /* a PTR: it leads nowhere new */
	if (p->nopen == OPEN_MAX)
		return false; /* more addresses than anybody tries: cut, never leaked */
	if (denied_alias(p, who, &i->addr, now_s, why))
		return false;
	to.geo = gate_where(p->g, &i->addr, &tag);
	gate_ports(p->g, who, &to, now_s, &v);
	*why = *grant_decision(&v);
	if (!grant_shape(&o->shape, &v))
		return false;
	if (open_already(p, &i->addr))
		return true;
	o->addr = i->addr;
	o->ttl = i->ttl;
	o->rule = why->rule;
	p->open[p->nopen++] = i->addr;
	return true;
}

static void refuse_for(struct pass *p, const struct decision *d, enum reason reason,
	const char *name)
{
	p->f.verdict = VERDICT_DENY;
	p->f.reason = (uint8_t)reason;
	p->f.rule = d->rule;
	p->nopen = 0;
	if (name)
		text_copy(p->f.other, sizeof(p->f.other), name);
}

static void remember(struct pass *p, const struct wire_answer_item *i)
{
	if (p->f.nanswers < FLOW_ANSWERS_MAX)
		p->f.answers[p->f.nanswers++] = i->addr;
}

/* what the rules would refuse is kept by name, for its connections to be named by */
static void keep_name(struct pass *p, const struct wire_answer_item *i)
{
	struct open_addr *o = &p->g->open[p->nopen];

	if (p->nopen == OPEN_MAX || open_already(p, &i->addr))
		return;
	*o = (struct open_addr){ .addr = i->addr, .ttl = i->ttl };
	p->open[p->nopen++] = i->addr;
}

static void would_refuse(struct pass *p, const struct decision *d, enum reason reason,
	const char *name)
{
	if (p->would.verdict != VERDICT_NONE)
		return;
	p->would = (struct decision){ .verdict = VERDICT_DENY, .reason = reason,
		.rule = d->rule };
	if (name)
		text_copy(p->f.other, sizeof(p->f.other), name);
}

/* nothing is cut: only noted */
static void judge_watched(struct pass *p, const struct program *who,
	const struct wire_answer *a, int64_t now_s)
{
	struct decision last = { 0 }, d = { 0 };
	const char *bad_name = judge_names(p, who, a, now_s, &d);
	unsigned good = 0, bad = 0;

	if (bad_name)
		would_refuse(p, &d, REASON_CNAME, bad_name);
	for (unsigned k = 0; k < a->nitems; k++) {
		const struct wire_answer_item *i = &a->items[k];

		if (is_name(i))
			continue;
		remember(p, i);
		if (judge_addr(p, who, i, now_s, &d)) {
			good++;
			continue;
		}
		bad++;
		last = d;
		keep_name(p, i);
	}
	if (bad && !good)
		would_refuse(p, &last, last.reason == REASON_REBIND ? REASON_REBIND
								    : REASON_ADDRESS,
			NULL);
	p->f.verdict = VERDICT_ALLOW;
}

void judge(struct pass *p, const struct program *who)
{
	const struct wire_answer *a = p->local_len ? &p->local_read : p->answer->read;
	int64_t now_s = clock_unix_ms() / 1000;
	struct decision last = { 0 }, allowed = { 0 }, d;
	unsigned good = 0, bad = 0;
	const char *bad_name;

	p->nopen = 0;
	p->ncut = 0;
	p->cut_hints = p->unsure_alias = false;
	p->f.nanswers = 0;
	memset(p->cut, 0, sizeof(p->cut));
	if (gate_watches(p->g) && !p->outside) {
		judge_watched(p, who, a, now_s);
		return;
	}
	bad_name = p->outside ? NULL : judge_names(p, who, a, now_s, &d);
	if (bad_name) {
		refuse_for(p, &d, REASON_CNAME, bad_name);
		return;
	}
	for (unsigned k = 0; k < a->nitems; k++) {
		const struct wire_answer_item *i = &a->items[k];

		if (is_name(i))
			continue;
		if (i->rr / 64u < CUT_WORDS && judge_addr(p, who, i, now_s, &d)) {
			good++;
			allowed = d;
			remember(p, i);
		} else {
			bad++;
			last = d;
			cut(p, i);
		}
	}
	if (bad && !good && !p->cut_hints) {
		refuse_for(p, &last, last.reason == REASON_REBIND ? REASON_REBIND
								  : REASON_ADDRESS,
			NULL);
		return;
	}
	p->f.verdict = VERDICT_ALLOW;
	if (p->at_name == VERDICT_UNDECIDED && good) {
		p->f.reason = (uint8_t)allowed.reason;
		p->f.rule = allowed.rule;
	}
}

/* does the kernel let this program out to anywhere already? then no element is needed */
static bool covered(const struct gate *g, const struct program *who,
	const struct open_addr *o)
{
	const struct actor_state *a = &g->actors[who->actor & ACTOR_MASK];

	if (addr_zone(&o->addr) == ZONE_LOCALHOST)
		return true; /* the loopback rule or its opposite: told by actor, not address */
	return a->serial == who->serial && a->out == VERDICT_ALLOW &&
	       a->generation == g->generation && o->shape.n == 1 &&
	       o->shape.at[0].set == NFT_PASS;
}

/* is what stands good for as long as the reply will be believed? */
static bool stands(const struct grant *gr, const struct open_addr *o, bool cover,
	int64_t now_ms)
{
	int64_t until = now_ms + MAX((int64_t)o->ttl * 1000, GRANT_NEAR_MS);

	return gr->expires_ms >= until && (gr->in_kernel || cover) &&
	       grant_same_shape(&gr->shape, &o->shape);
}

static void open_one(struct pass *p, const struct program *who, struct open_addr *o,
	int64_t now_ms, struct batch **b)
{
	struct gate *g = p->g;
	bool cover = covered(g, who, o) || o->shape.n == 0 || g->mode == GATE_WATCH;
	struct grant *evicted, *gr = grant_get(g->book, p->actor, &o->addr, p->q->q.name,
		&evicted);

	if (evicted) {
		if (!*b)
			*b = batch_new(g);
		batch_take_grant(*b, g, evicted);
		grant_discard(evicted);
	}
	if (!gr)
		return;
	grant_use(g->book, gr);
	if (cover)
		p->must_wait |= g->actors[p->actor & ACTOR_MASK].told > g->acked;
	if (gr->shape.n && stands(gr, o, cover, now_ms)) {
		p->must_wait |= gr->in_kernel && gr->sent > g->acked;
		return;
	}
	if (gr->in_kernel && !grant_same_shape(&gr->shape, &o->shape)) {
		if (!*b)
			*b = batch_new(g);
		batch_take_grant(*b, g, gr);
	}
	gr->shape = o->shape;
	gr->rule = o->rule;
	gr->expires_ms = MAX(gr->expires_ms,
		now_ms + MAX((int64_t)o->ttl * 1000 + 1000, GRANT_LEAST_MS));
	if (cover && !gr->in_kernel)
		return;
	gr->in_kernel = true;
	if (!*b)
		*b = batch_new(g);
	batch_put_grant(*b, g, gr, now_ms);
}

struct batch *pass_open(struct pass *p, const struct program *who)
{
	int64_t now_ms = clock_boot_ms();
	struct batch *b = NULL;

	p->must_wait = false;
	if (gate_resolver_only(p->g) || (gate_by_key(p->g) && p->actor > ACTOR_MAX))
		return NULL; /* no sets, or nobody's */
	for (unsigned i = 0; i < p->nopen; i++)
		open_one(p, who, &p->g->open[i], now_ms, &b);
	return b;
}

bool pass_open_holds(struct pass *p)
{
	int64_t now_ms = clock_boot_ms();

	for (unsigned i = 0; i < p->nopen; i++) {
		const struct grant *gr = grant_find(p->g->book, p->actor, &p->open[i],
			p->f.name);

		if (!gr || gr->expires_ms <= now_ms)
			return false;
	}
	return true;
}

/* an earlier element of theirs may stand: it must not outlive its grant in the book */
void pass_open_failed(struct pass *p)
{
	struct gate *g = p->g;
	struct batch *b = batch_new(g);

	for (unsigned i = 0; i < p->nopen; i++) {
		struct grant *gr = grant_find(g->book, p->actor, &p->open[i], p->f.name);

		if (!gr)
			continue;
		batch_take_grant(b, g, gr);
		grant_remove(g->book, gr);
		grant_discard(gr);
	}
	batch_send(b, NULL, NULL);
}
