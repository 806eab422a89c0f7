/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A server name or HTTP host is the program's own word. Alone it may only narrow: a claimed
 * name that a rule denies is denied. One that a rule allows counts only where the address is
 * truly that name's: an answer of ours to this program said so, or the name is looked up now
 * and the connection goes to an address of that answer. Without a name, the address decides.
 */
#include "gate/meet.h"
#include "gate/pass.h"
#include "base/clock.h"
#include "base/text.h"

#include <netinet/in.h>
#include <string.h>

const struct program *meet_program(const struct meet *m)
{
	const struct program *p;

	if (m->own)
		return &m->own->program;
	p = who_actor(m->g->parts.who, m->actor);
	return p->serial == m->serial ? p : who_unknown(m->g->parts.who);
}

static void decide(struct meet *m, const char *name, struct decision *d)
{
	struct gate *g = m->g;
	struct target to = { .name = name[0] ? name : NULL, .addr = &m->addr,
		.port = m->port, .proto = IPPROTO_TCP, .dir = FLOW_OUT };
	struct geo_tag tag;

	to.local_name = to.name && rules_local_name(name);
	to.geo = gate_where(g, &m->addr, &tag);
	ruleset_decide(g->rules, meet_program(m), &to, clock_unix_ms() / 1000, d);
}

/* did an answer of ours say so to this program, lately or within the book's memory? */
static bool truly(const struct meet *m, const char *name)
{
	return grant_find(m->g->book, m->actor, &m->addr, name) != NULL;
}

enum claim claim_judge(struct meet *m, const char *name, struct decision *d,
	char verified[static HOST_MAX])
{
	const struct grant *gr = grant_by_addr(m->g->book, m->actor, &m->addr);
	const char *known = gr ? gr->name : "";
	struct decision by_addr;

	verified[0] = 0;
	if (m->g->mode == GATE_BLOCKED) {
		*d = (struct decision){ .verdict = VERDICT_DENY, .reason = REASON_BLOCKED };
		return CLAIM_DENY;
	}
	decide(m, name[0] ? name : known, d);
	if (!name[0] || truly(m, name))
		text_copy(verified, HOST_MAX, name[0] ? name : known);
	if (gate_watches(m->g))
		return CLAIM_ALLOW;
	if (d->verdict != VERDICT_ALLOW)
		return CLAIM_DENY;
	if (!name[0] || verified[0])
		return CLAIM_ALLOW;
	decide(m, "", &by_addr);
	if (by_addr.verdict != VERDICT_ALLOW)
		return CLAIM_ASK;
	*d = by_addr; /* the claim narrowed nothing, and explains nothing */
	return CLAIM_ALLOW;
}

bool claim_is_plain(struct meet *m)
{
	const struct program *p = meet_program(m);

	return p->known && !actor_of(m->g, p)->whole.narrows;
}
