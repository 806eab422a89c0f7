/* SPDX-License-Identifier: GPL-2.0-or-later
 * explain.c - the computed order, and what won, for a person. Not on any hot path: it
 * walks all rules. */
#include "rules/rule.h"
#include "rules/list.h"

#include <stdio.h>

enum { EXPLAIN_RULES_MAX = 100 };

struct explain {
	const struct ruleset *rs;
	const struct program *who;
	const struct target *to;
	int64_t now_s;
	struct text *out;
	const struct rule *at[EXPLAIN_RULES_MAX];
	size_t n;
	bool more;
};

/* no address yet: the decision at name time */
static bool at_name(const struct explain *e)
{
	return !e->to->addr && e->to->name && e->to->dir == FLOW_OUT;
}

static void gather(struct explain *e)
{
	for (size_t i = 0; i < e->rs->n; i++) {
		const struct rule *r = e->rs->rules[i];

		if (at_name(e) ? !rule_counts_at_name(r, e->who, e->to, e->now_s)
			       : !rule_matches(r, e->who, e->to, e->now_s))
			continue;
		if (e->n == EXPLAIN_RULES_MAX) {
			e->more = true;
			return;
		}
		e->at[e->n++] = r;
	}
}

static void origin(const struct rule *r, struct text *out)
{
	if (r->source == RULE_FILE && r->file) {
		text_add_safe(out, r->file);
		text_addf(out, ":%u", r->line);
	} else {
		text_addf(out, "%s %u", r->source == RULE_FACTORY ? "factory" : "rule",
			r->id);
	}
}

/* which entry of a list it is */
static void entry(const struct explain *e, const struct rule *r)
{
	const struct list *l = r->what.list;
	char lo[ADDR_TEXT_MAX], hi[ADDR_TEXT_MAX];
	struct list_entry found;
	struct list_info about;

	if (!l)
		return;
	if (target_name(e->to) && list_find_name(l, e->to->name, &found)) {
		list_about(l, &about);
		text_addf(e->out, "  [%s%s, line %u of ", found.below ? "below " : "",
			found.name, found.line);
		text_add_safe(e->out, about.source);
		text_add(e->out, "]");
	} else if (e->to->addr && list_find_addr(l, e->to->addr, &found)) {
		text_addf(e->out, "  [%s to %s]", addr_text(&found.lo, lo),
			addr_text(&found.hi, hi));
	}
}

static void rule_line(const struct explain *e, size_t i)
{
	const struct rule *r = e->at[i];

	text_addf(e->out, "%zu. ", i + 1);
	text_add_safe(e->out, r->text);
	text_add(e->out, "  (");
	origin(r, e->out);
	text_add(e->out, ")");
	entry(e, r);
	if (at_name(e) && r->sure != ZONES_ALL &&
		!(r->what.kind == WHAT_LIST && what_any_service(&r->what) &&
			what_matches_name(&r->what, e->to->name)))
		text_add(e->out, "  only if the address or port fits");
	if (i + 1 < e->n)
		text_addf(
			e->out, "  before %zu: %s", i + 2, order_why(r, e->at[i + 1]));
	text_add(e->out, "\n");
}

static const struct rule *by_id(const struct explain *e, uint32_t id)
{
	for (size_t i = 0; i < e->rs->n; i++)
		if (e->rs->rules[i]->id == id)
			return e->rs->rules[i];
	return NULL;
}

static void verdict_line(const struct explain *e, const struct decision *d)
{
	const struct rule *r = d->reason == REASON_RULE ? by_id(e, d->rule) : NULL;

	text_addf(e->out, "%s: ", verdict_text(d->verdict));
	if (!r) {
		text_add(e->out, e->n ? "no rule decides, so the default does"
				      : "no rule matches, so the default decides");
	} else if (d->verdict == VERDICT_UNDECIDED) {
		origin(r, e->out);
		text_add(e->out,
			" may match, depending on the address or port: the name is "
			"looked up and each address judged");
	} else if (e->to->dir == FLOW_IN && !(r->dirs & DIR_IN)) {
		origin(r, e->out);
		text_add(e->out, " denies everything outbound, and no rule for inbound "
			"matches");
	} else {
		origin(r, e->out);
		text_add(e->out, " is the first that matches");
	}
	text_add(e->out, "\n");
}

void ruleset_explain(const struct ruleset *rs, const struct program *who,
	const struct target *to, int64_t now_s, struct text *out)
{
	struct explain e = { .rs = rs, .who = who, .to = to, .now_s = now_s };
	struct decision d;

	e.out = out;
	gather(&e);
	for (size_t i = 0; i < e.n; i++)
		rule_line(&e, i);
	if (e.more)
		text_addf(out, "... and more behind these %d\n", EXPLAIN_RULES_MAX);
	if (at_name(&e))
		ruleset_at_name(rs, who, to->name, to->local_name, now_s, &d);
	else
		ruleset_decide(rs, who, to, now_s, &d);
	verdict_line(&e, &d);
}
