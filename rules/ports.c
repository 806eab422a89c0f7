/* SPDX-License-Identifier: GPL-2.0-or-later
 * ports.c - what one address opens: the verdict of every protocol and port.
 * Theory of operation: rules that match the place are gathered in order up to the first
 * that names neither port nor protocol; that one (or the default) is the rest. Then
 * each protocol is walked from boundary to boundary of the gathered rules' ports.
 * Stretches that all protocols with ports have in common become one.
 * Inbound the same walk is done for every peer at once: a port has a verdict only where
 * each zone of other machines has the same, and no address in it another. */
#include "rules/rule.h"

#include <netinet/in.h>
#include <string.h>

enum { GATHER_MAX = 256, INBOUND_RULES_MAX = 4096 };

static const uint8_t port_protos[] = {
	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE };

struct gather {
	const struct ruleset *rs;
	const struct program *who;
	const struct target *to;
	int64_t now_s;
	bool peers;            /* of every address, not of one */
	struct decision otherwise; /* peers: the default */
	bool cut;              /* more rules matched than there is room for */
	size_t n;
	uint32_t ranks[GATHER_MAX]; /* ascending */
};

static void gather_add(struct gather *g, uint32_t rank)
{
	size_t at = g->n;

	while (at > 0 && g->ranks[at - 1] > rank)
		at--;
	if (at > 0 && g->ranks[at - 1] == rank)
		return;
	if (g->n == GATHER_MAX) {
		g->cut = true;
		if (at == GATHER_MAX)
			return;
		g->n--;
	}
	memmove(&g->ranks[at + 1], &g->ranks[at], (g->n - at) * sizeof(g->ranks[0]));
	g->ranks[at] = rank;
	g->n++;
}

static void on_ranks(void *ctx, const uint32_t *ranks, size_t n)
{
	struct gather *g = ctx;

	for (size_t i = 0; i < n; i++) {
		const struct rule *r = g->rs->rules[ranks[i]];

		if (!what_matches_place(&r->what, target_name(g->to), g->to->addr,
			    g->to->geo) ||
			!rule_concerns(r, g->who, g->to->dir, g->now_s))
			continue;
		gather_add(g, ranks[i]);
		if (what_any_service(&r->what))
			return; /* it decides whatever is left */
	}
}

static const struct rule *rule_at(const struct gather *g, size_t i)
{
	return g->rs->rules[g->ranks[i]];
}

/* the rest; what stands behind the rule that decides it is forgotten */
static struct decision rest_of(struct gather *g)
{
	struct decision d;

	for (size_t i = 0; i < g->n; i++) {
		if (!what_any_service(&rule_at(g, i)->what))
			continue;
		d = decision_of(rule_at(g, i));
		g->n = i;
		g->cut = false;
		return d;
	}
	decide_default(g->rs, g->who, g->to->dir, g->now_s, &d);
	return d;
}

/* what every peer in that zone gets; UNDECIDED: not all the same */
static struct decision of_zone(const struct gather *g, enum zone zone, uint8_t proto,
	uint16_t port)
{
	struct decision d = g->otherwise;
	unsigned maybe = 0;

	for (size_t i = 0; i < g->n; i++) {
		const struct rule *r = rule_at(g, i);

		if (!(r->may & 1 << zone) || !what_matches_service(&r->what, proto, port))
			continue;
		if (!what_whole_zones(&r->what)) {
			maybe |= 1u << r->action;
			continue;
		}
		d = decision_of(r);
		break;
	}
	if (maybe & ~(1u << d.verdict))
		d.verdict = VERDICT_UNDECIDED;
	return d;
}

/* A peer is on the internet or in the LAN: nobody sends from a group's address, and this
 * machine's own traffic is not asked about. */
static struct decision of_peers(const struct gather *g, uint8_t proto, uint16_t port)
{
	struct decision d = of_zone(g, ZONE_INTERNET, proto, port);

	if (of_zone(g, ZONE_LAN, proto, port).verdict != d.verdict)
		d.verdict = VERDICT_UNDECIDED;
	return d;
}

static struct decision decision_at(const struct gather *g, uint8_t proto, uint16_t port,
	const struct decision *rest)
{
	if (g->peers)
		return of_peers(g, proto, port);
	for (size_t i = 0; i < g->n; i++)
		if (what_matches_service(&rule_at(g, i)->what, proto, port))
			return decision_of(rule_at(g, i));
	return *rest;
}

/* the first port behind this one where another rule may begin or end to match */
static uint32_t boundary(const struct gather *g, uint8_t proto, uint32_t port)
{
	uint32_t next = 65536;

	for (size_t i = 0; i < g->n; i++) {
		const struct what *w = &rule_at(g, i)->what;

		if (w->proto && !proto_is(w->proto, proto))
			continue;
		for (uint8_t k = 0; k < w->nports; k++) {
			uint32_t lo = w->ports[k].lo, end = w->ports[k].hi + 1u;

			if (lo > port)
				next = MIN(next, lo);
			if (end > port)
				next = MIN(next, end);
		}
	}
	return next;
}

static void stretch_add(struct port_verdicts *v, uint8_t proto, uint32_t lo,
	uint32_t hi, const struct decision *d)
{
	struct port_stretch *last = v->n ? &v->at[v->n - 1] : NULL;

	if (d->verdict == v->rest.verdict)
		return;
	if (last && last->proto == proto && last->hi + 1u == lo &&
		last->decision.rule == d->rule &&
		last->decision.verdict == d->verdict) {
		last->hi = (uint16_t)hi;
		return;
	}
	if (v->n == PORTS_MAX) {
		v->cut = true;
		return;
	}
	v->at[v->n++] = (struct port_stretch){ .proto = proto, .lo = (uint16_t)lo,
		.hi = (uint16_t)hi, .decision = *d };
}

static void walk_ports(const struct gather *g, uint8_t proto, struct port_verdicts *out)
{
	uint32_t port = 1, next;
	struct decision d;

	out->n = 0;
	if (boundary(g, proto, 0) == 65536) {
		d = decision_at(g, proto, 0, &out->rest);
		stretch_add(out, proto, 0, 65535, &d);
		return;
	}
	for (; port < 65536 && !out->cut; port = next) {
		next = boundary(g, proto, port);
		d = decision_at(g, proto, (uint16_t)port, &out->rest);
		stretch_add(out, proto, port, next - 1, &d);
	}
}

static bool has_stretch(const struct port_verdicts *v, const struct port_stretch *s)
{
	for (uint8_t i = 0; i < v->n; i++)
		if (v->at[i].lo == s->lo && v->at[i].hi == s->hi &&
			v->at[i].decision.rule == s->decision.rule &&
			v->at[i].decision.verdict == s->decision.verdict)
			return true;
	return false;
}

static void with_ports(const struct gather *g, struct port_verdicts *out)
{
	struct port_verdicts each[ARRAY_LEN(port_protos)];

	for (size_t p = 0; p < ARRAY_LEN(each); p++) {
		each[p] = (struct port_verdicts){ .rest = out->rest };
		walk_ports(g, port_protos[p], &each[p]);
		out->cut |= each[p].cut;
	}
	for (size_t p = 0; p < ARRAY_LEN(each); p++) {
		for (uint8_t i = 0; i < each[p].n; i++) {
			const struct port_stretch *s = &each[p].at[i];
			bool common = true;

			for (size_t o = 0; o < ARRAY_LEN(each); o++)
				common = common && has_stretch(&each[o], s);
			if (!common || p == 0)
				stretch_add(out, common ? 0 : s->proto, s->lo, s->hi,
					&s->decision);
		}
	}
}

static void without_ports_one(const struct gather *g, uint8_t proto,
	struct port_verdicts *out)
{
	struct decision d = decision_at(g, proto, 0, &out->rest);

	for (uint8_t i = 0; i < out->n; i++)
		if (out->at[i].proto == proto)
			return;
	stretch_add(out, proto, 0, 65535, &d);
}

/* every other protocol that a rule names; ICMP by the address's own number */
static void without_ports(const struct gather *g, struct port_verdicts *out)
{
	for (size_t i = 0; i < g->n; i++) {
		uint8_t proto = rule_at(g, i)->what.proto;
		const struct addr *a = g->to->addr;

		if (!proto || proto_has_ports(proto))
			continue;
		if (proto != IPPROTO_ICMP || !a || a->family == 4)
			without_ports_one(g, proto, out);
		if (proto == IPPROTO_ICMP && (!a || a->family == 6))
			without_ports_one(g, IPPROTO_ICMPV6, out);
	}
}

void ruleset_ports(const struct ruleset *rs, const struct program *who,
	const struct target *to, int64_t now_s, struct port_verdicts *out)
{
	struct gather g = { .rs = rs, .who = who, .to = to, .now_s = now_s };
	struct place at = { to->name, to->addr };

	index_each(rs, who, at, PART_NAME | PART_GLOB | PART_NET | PART_REST, on_ranks,
		&g);
	*out = (struct port_verdicts){ .rest = rest_of(&g) };
	out->cut = g.cut;
	with_ports(&g, out);
	without_ports(&g, out);
	if (out->cut)
		out->rest = (struct decision){ .verdict = VERDICT_DENY,
			.reason = REASON_DEFAULT };
}

/* every rule that could match an address; false: there is no room for all */
static bool gather_inbound(struct gather *g)
{
	if (g->rs->inbound > INBOUND_RULES_MAX)
		return false;
	for (uint32_t i = 0, left = g->rs->inbound; left && i < g->rs->n; i++) {
		const struct rule *r = g->rs->rules[i];

		if (!(r->dirs & DIR_IN))
			continue;
		left--;
		if (r->named || !rule_concerns(r, g->who, FLOW_IN, g->now_s))
			continue;
		if (g->n == GATHER_MAX)
			return false;
		g->ranks[g->n++] = i;
	}
	return true;
}

void ruleset_inbound(const struct ruleset *rs, const struct program *who, int64_t now_s,
	struct port_verdicts *out)
{
	static const struct target any = { .dir = FLOW_IN };
	struct gather g = { .rs = rs, .who = who, .to = &any, .now_s = now_s, .peers = true };
	bool all = gather_inbound(&g);

	decide_default(rs, who, FLOW_IN, now_s, &g.otherwise);
	*out = (struct port_verdicts){ .rest = of_peers(&g, 0, 0) };
	if (all)
		with_ports(&g, out);
	if (!all || out->cut)
		*out = (struct port_verdicts){ .rest = { .verdict = VERDICT_UNDECIDED } };
}
