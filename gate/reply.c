/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What leaves: the answer with what is denied cut out, or a refusal that says why. */
#include "gate/pass.h"
#include "base/text.h"

static void why_text(const struct pass *p, char *out, size_t max)
{
	struct rule_info rule;
	struct text t = text_into(out, max);

	if (p->f.rule && ruleset_find(p->g->rules, p->f.rule, &rule))
		text_addf(&t, "scupper: rule %u: %s", p->f.rule, rule.text);
	else
		text_addf(&t, "scupper: %s", reason_text(p->f.reason));
}

static int refuse(struct pass *p, uint8_t *out, size_t room)
{
	static const uint8_t zero[16];
	const struct wire_query *q = &p->q->q;
	enum rcode rcode = RCODE_NXDOMAIN;
	char why[160];

	why_text(p, why, sizeof(why));
	if (p->g->conf.refusal == GATE_ZERO && (q->type == TYPE_A || q->type == TYPE_AAAA)) {
		struct addr a = q->type == TYPE_A ? addr_v4(zero) : addr_v6(zero);

		return wire_local(q, p->q->msg, &a, 1, 2, out, room);
	}
	if (p->g->conf.refusal == GATE_ZERO) /* the name is there: it has an address */
		rcode = RCODE_NOERROR;
	if (p->g->conf.refusal == GATE_REFUSED)
		rcode = RCODE_REFUSED;
	return wire_error(q, p->q->msg, p->q->len, rcode, EDE_BLOCKED, why, out, room);
}

int pass_reply(struct pass *p, uint8_t *out, size_t room)
{
	const struct wire_query *q = &p->q->q;
	const struct answer *a = p->held ? p->held : p->answer;
	struct wire_edit e = {
		.cut = p->ncut ? p->cut : NULL,
		.cut_hints = p->cut_hints,
		.max = query_room(p->q),
		.ede = EDE_NONE,
	};

	if (p->f.verdict == VERDICT_DENY)
		return refuse(p, out, room);
	if (p->f.reason == REASON_UPSTREAM)
		return wire_error(q, p->q->msg, p->q->len, RCODE_SERVFAIL, EDE_NO_REACHABLE,
			"scupper: no upstream answered", out, room);
	if (p->f.reason == REASON_KERNEL)
		return wire_error(q, p->q->msg, p->q->len, RCODE_SERVFAIL, EDE_OTHER,
			"scupper: the kernel did not take the address", out, room);
	if (p->local_len)
		return wire_reply(q, p->q->msg, p->local, p->local_len, &e, out, room);
	if (!a)
		return wire_error(q, p->q->msg, p->q->len, RCODE_SERVFAIL, EDE_OTHER, NULL, out,
			room);
	e.age_s = a->age_s;
	if (a->stale) {
		e.age_s = 0;
		e.ttl_max = STALE_TTL_S;
		e.ede = a->read->rcode == RCODE_NXDOMAIN ? EDE_STALE_NXDOMAIN : EDE_STALE;
	}
	return wire_reply(q, p->q->msg, a->msg, a->len, &e, out, room);
}
