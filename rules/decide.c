/* SPDX-License-Identifier: GPL-2.0-or-later
 * decide.c - the decision: of the rules that match, the first in the order wins.
 * Each question here is "the first rule that passes a test": the index proposes lists
 * of candidates, each in order, and the lowest rank that passes is the answer. */
#include "rules/rule.h"

#include <string.h>

enum { NO_RANK = UINT32_MAX };

/* what rules are tested against */
struct query {
	const struct ruleset *rs;
	const struct program *who;
	const struct target *to;
	int64_t now_s;
	uint8_t zone;          /* whole: 1 << enum zone */
	bool nameless;         /* whole: rules that need a name do not count */
	enum verdict verdict;  /* that another rule would contradict */
	bool is_default;       /* that verdict is the default's */
};

typedef bool (*query_test)(const struct query *q, const struct rule *r);

struct first {
	const struct query *q;
	query_test test;
	uint32_t rank;         /* the best so far, or where to stop */
	bool found;
};

bool rule_concerns(const struct rule *r, const struct program *who, enum flow_dir dir,
	int64_t now_s)
{
	return (r->dirs & 1 << dir) && rule_holds(r, now_s) && who_matches(r, who);
}

static bool concerns(const struct query *q, const struct rule *r, enum flow_dir dir)
{
	return rule_concerns(r, q->who, dir, q->now_s);
}

static void on_ranks(void *ctx, const uint32_t *ranks, size_t n)
{
	struct first *f = ctx;

	for (size_t i = 0; i < n && ranks[i] < f->rank; i++) {
		if (f->test(f->q, f->q->rs->rules[ranks[i]])) {
			f->rank = ranks[i];
			f->found = true;
			return;
		}
	}
}

/* the first rule before `before` that passes, or NO_RANK */
static uint32_t first_of(const struct query *q, unsigned parts, query_test test,
	uint32_t before)
{
	struct first f = { .q = q, .test = test, .rank = before };
	struct place at = { q->to ? q->to->name : NULL, q->to ? q->to->addr : NULL };

	index_each(q->rs, q->who, at, parts, on_ranks, &f);
	return f.found ? f.rank : NO_RANK;
}

struct decision decision_of(const struct rule *r)
{
	return (struct decision){
		.verdict = r->action, .reason = REASON_RULE, .rule = r->id };
}

static struct decision fallback(const struct ruleset *rs, enum flow_dir dir)
{
	return (struct decision){
		.verdict = rs->fallback[dir], .reason = REASON_DEFAULT };
}

/* everything known */
const char *target_name(const struct target *to)
{
	return to->dir == FLOW_IN ? NULL : to->name;
}

bool rule_matches(const struct rule *r, const struct program *who,
	const struct target *to, int64_t now_s)
{
	return what_matches_place(&r->what, target_name(to), to->addr, to->geo) &&
		what_matches_service(&r->what, to->proto, to->port) &&
		rule_concerns(r, who, to->dir, now_s);
}

static bool matches(const struct query *q, const struct rule *r)
{
	return rule_matches(r, q->who, q->to, q->now_s);
}

void ruleset_decide(const struct ruleset *rs, const struct program *who,
	const struct target *to, int64_t now_s, struct decision *out)
{
	struct query q = { .rs = rs, .who = who, .to = to, .now_s = now_s };
	uint32_t rank = first_of(
		&q, PART_NAME | PART_GLOB | PART_NET | PART_REST, matches, NO_RANK);

	if (rank != NO_RANK)
		*out = decision_of(rs->rules[rank]);
	else
		decide_default(rs, who, to->dir, now_s, out);
}

/* name time */
bool rule_counts_at_name(const struct rule *r, const struct program *who,
	const struct target *to, int64_t now_s)
{
	if (r->not_at_name || (!(r->may & 1 << ZONE_INTERNET) && !to->local_name))
		return false;
	if (r->named && !what_matches_name(&r->what, to->name))
		return false;
	return rule_concerns(r, who, FLOW_OUT, now_s);
}

static bool counts_at_name(const struct query *q, const struct rule *r)
{
	return rule_counts_at_name(r, q->who, q->to, q->now_s);
}

/* whatever the address and port turn out to be; of a list with addresses in it, only for
 * the names that it holds */
static bool is_sure(const struct query *q, const struct rule *r)
{
	if (r->what.kind == WHAT_LIST && !r->named)
		return what_any_service(&r->what) &&
			what_matches_name(&r->what, q->to->name);
	return r->sure == ZONES_ALL;
}

static bool sure_at_name(const struct query *q, const struct rule *r)
{
	return is_sure(q, r) && counts_at_name(q, r);
}

/* A rule that only may match, and would say otherwise. To ask, or to fall back on the
 * default, needs no look at addresses that a rule would merely take away: a question is
 * put before anything goes upstream. */
static bool contradicts_at_name(const struct query *q, const struct rule *r)
{
	if (r->action == q->verdict || is_sure(q, r))
		return false;
	if (r->action == VERDICT_DENY && (q->is_default || q->verdict == VERDICT_ASK))
		return false;
	return counts_at_name(q, r);
}

void ruleset_at_name(const struct ruleset *rs, const struct program *who,
	const char *name, bool local_name, int64_t now_s, struct decision *out)
{
	static const unsigned parts = PART_NAME | PART_GLOB | PART_CLASS;
	struct target to = { .name = name, .local_name = local_name };
	struct query q = { .rs = rs, .who = who, .to = &to, .now_s = now_s };
	uint32_t sure = first_of(&q, parts, sure_at_name, NO_RANK), other;
	struct decision d;

	q.is_default = sure == NO_RANK;
	d = q.is_default ? fallback(rs, FLOW_OUT) : decision_of(rs->rules[sure]);
	q.verdict = d.verdict;
	other = first_of(&q, parts, contradicts_at_name, sure);
	if (other != NO_RANK) {
		d = decision_of(rs->rules[other]);
		d.verdict = VERDICT_UNDECIDED;
	}
	*out = d;
}

/* whole-program verdicts: of one zone, where no name explains the address */
static bool covers_zone(const struct query *q, const struct rule *r)
{
	return !r->named && (r->sure & q->zone) && concerns(q, r, q->to->dir);
}

static bool contradicts_in_zone(const struct query *q, const struct rule *r)
{
	if (r->action == q->verdict || !(r->may & q->zone) || (r->named && q->nameless))
		return false;
	return concerns(q, r, q->to->dir);
}

static struct decision whole_zone(
	struct query *q, enum zone zone, struct decision otherwise)
{
	uint32_t sure, other;
	struct decision d = otherwise;

	q->zone = (uint8_t)(1 << zone);
	sure = first_of(q, PART_CLASS, covers_zone, NO_RANK);
	if (sure != NO_RANK)
		d = decision_of(q->rs->rules[sure]);
	if (d.verdict == VERDICT_ASK) {
		d.verdict = VERDICT_UNDECIDED;
		return d;
	}
	q->verdict = d.verdict;
	/* a name may open what is denied, and only narrow what is allowed */
	q->nameless = d.verdict == VERDICT_ALLOW || zone == ZONE_LOCALHOST;
	other = first_of(q, PART_CLASS, contradicts_in_zone, sure);
	if (other != NO_RANK) {
		d = decision_of(q->rs->rules[other]);
		d.verdict = VERDICT_UNDECIDED;
	}
	return d;
}

/* of all other machines */
static struct decision whole_out(const struct ruleset *rs, const struct program *who,
	int64_t now_s)
{
	struct target to = { .dir = FLOW_OUT };
	struct decision otherwise = fallback(rs, FLOW_OUT);
	struct query q = { .rs = rs, .who = who, .to = &to, .now_s = now_s };
	struct decision d = whole_zone(&q, ZONE_INTERNET, otherwise);
	struct decision lan = whole_zone(&q, ZONE_LAN, otherwise);
	struct decision multicast = whole_zone(&q, ZONE_MULTICAST, otherwise);

	if (d.verdict != lan.verdict || d.verdict != multicast.verdict)
		d.verdict = VERDICT_UNDECIDED;
	return d;
}

/* Who is denied every contact outward by rules answers nothing from outside either. */
void decide_default(const struct ruleset *rs, const struct program *who,
	enum flow_dir dir, int64_t now_s, struct decision *out)
{
	struct decision d = fallback(rs, dir), all;

	if (dir == FLOW_IN) {
		all = whole_out(rs, who, now_s);
		if (all.verdict == VERDICT_DENY && all.reason == REASON_RULE)
			d = all;
	}
	*out = d;
}

static bool narrows(const struct query *q, const struct rule *r)
{
	return r->named && r->action != VERDICT_ALLOW && concerns(q, r, FLOW_OUT);
}

void ruleset_whole(const struct ruleset *rs, const struct program *who, int64_t now_s,
	struct whole *out)
{
	struct target to = { .dir = FLOW_OUT };
	struct query q = { .rs = rs, .who = who, .to = &to, .now_s = now_s };

	out->out = whole_out(rs, who, now_s);
	out->local = whole_zone(&q, ZONE_LOCALHOST, fallback(rs, FLOW_OUT));
	out->narrows = first_of(&q, PART_CLASS, narrows, NO_RANK) != NO_RANK;
}

bool ruleset_lets_all(const struct ruleset *rs, int64_t now_s, bool *narrows)
{
	const unsigned elsewhere = ZONES_ALL & ~(1u << ZONE_LOCALHOST);
	bool named = false;

	if (rs->fallback[FLOW_OUT] != VERDICT_ALLOW)
		return false;
	for (uint32_t i = 0; i < rs->n; i++) {
		const struct rule *r = rs->rules[i];

		if (r->action == VERDICT_ALLOW || !(r->dirs & 1 << FLOW_OUT) ||
			!(r->may & elsewhere) || !rule_holds(r, now_s))
			continue;
		if (!r->named)
			return false;
		named = true;
	}
	*narrows = named;
	return true;
}

bool ruleset_lets_all_in(const struct ruleset *rs, int64_t now_s)
{
	if (rs->fallback[FLOW_IN] != VERDICT_ALLOW)
		return false;
	for (uint32_t i = 0; i < rs->n; i++) {
		const struct rule *r = rs->rules[i];

		if (r->action == VERDICT_ALLOW || r->named || !rule_holds(r, now_s))
			continue;
		/* or one by which a program could be denied everything outbound */
		if ((r->dirs & DIR_IN) || r->sure)
			return false;
	}
	return true;
}

static bool overlap(const struct what *a, const struct what *b)
{
	if (a->proto && b->proto && a->proto != b->proto)
		return false;
	if (!a->nports || !b->nports)
		return true;
	for (uint8_t i = 0; i < a->nports; i++)
		for (uint8_t j = 0; j < b->nports; j++)
			if (a->ports[i].lo <= b->ports[j].hi &&
				b->ports[j].lo <= a->ports[i].hi)
				return true;
	return false;
}

/* does nothing that outranks this factory rule speak against its kind of place? */
static bool undisputed(const struct query *q, uint32_t rank)
{
	const struct rule *f = q->rs->rules[rank];

	for (uint32_t i = 0; i < rank; i++) {
		const struct rule *r = q->rs->rules[i];

		if (r->action != VERDICT_ALLOW && (r->may & f->may) && !r->named &&
			r->what.kind != WHAT_NET && r->what.kind != WHAT_LIST &&
			overlap(&r->what, &f->what) &&
			concerns(q, r, FLOW_OUT))
			return false;
	}
	return true;
}

unsigned ruleset_classes(
	const struct ruleset *rs, const struct program *who, int64_t now_s)
{
	struct query q = { .rs = rs, .who = who, .now_s = now_s };
	unsigned classes = 0, bit;

	if (!who->known)
		return 0;
	for (uint32_t i = 0; i < rs->n; i++) {
		const struct rule *r = rs->rules[i];

		if (r->source != RULE_FACTORY)
			continue;
		bit = 1u << factory_class(r->id);
		if (bit > 1 && concerns(&q, r, FLOW_OUT) && undisputed(&q, i))
			classes |= bit;
	}
	return classes;
}
