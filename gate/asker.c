/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who asks. What was redirected shows its number in the source address; what came straight
 * to the plain listener is looked up by its socket; in basic mode sock_diag and /proc are
 * asked, on a thread of their own. */
#include "gate/pass.h"
#include "base/macros.h"
#include "base/text.h"
#include "who/basic.h"
#include "who/diag.h"

#include <netinet/in.h>

static const struct program *outside_program(void)
{
	static const struct program outside = { .path = "outside the scope" };

	return &outside;
}

/* the program of this pass, for the current turn of the loop */
const struct program *asker_program(struct pass *p)
{
	const struct program *who;

	if (p->own)
		return &p->own->program;
	if (p->outside)
		return outside_program();
	who = who_actor(p->g->parts.who, p->actor);
	return who->serial == p->serial ? who : who_unknown(p->g->parts.who);
}

void asker_is(struct pass *p, const struct program *who, enum how how)
{
	p->actor = who->actor;
	p->serial = who->serial;
	flow_begin(p->g, &p->f, FLOW_QUERY, who, how);
	p->f.proto = p->q->tcp ? IPPROTO_TCP : IPPROTO_UDP;
	p->f.qtype = p->q->q.type;
	if (!p->inner) {
		p->f.addr = listener_addr(p->q->listener);
		p->f.port = 53;
	}
	text_copy(p->f.name, sizeof(p->f.name), p->q->q.name);
}

/* the egress record beside the query: which of the program's processes it was */
void asker_process_is(struct pass *p)
{
	struct who_tuple t = {
		.src = p->q->source,
		.dst = listener_addr(p->q->listener),
		.sport = p->q->source_port,
		.dport = 53,
		.dns_id = p->q->tcp ? 0 : p->q->q.id,
		.proto = p->q->tcp ? IPPROTO_TCP : IPPROTO_UDP,
	};
	struct process process;

	if (who_record(p->g->parts.who, &t, p->actor, &process) == 0) {
		p->f.pid = process.pid;
		p->start = process.start;
	}
}

static void on_basic(void *ctx, const struct basic_found *found)
{
	struct pass *p = ctx;
	bool known = found && found->program.known;

	p->waiting--;
	p->own = calloc(1, sizeof(*p->own));
	if (!p->own) {
		p->asked(p, false);
		return;
	}
	if (found)
		pass_own(p->own, &found->program, &found->process);
	if (!found || gate_by_key(p->g)) /* its own numbers are not the table's */
		p->own->program.actor = ACTOR_UNKNOWN;
	if (!p->done)
		asker_is(p, &p->own->program, known ? HOW_DIAG : HOW_NOBODY);
	p->f.pid = p->own->process.pid;
	p->outside = found && !found->in_scope;
	if (p->outside)
		p->f.how = HOW_OUTSIDE;
	p->g->stats.unknown += !known;
	p->asked(p, !p->dead);
}

static struct diag_tuple tuple_of(const struct pass *p)
{
	return (struct diag_tuple){
		.local = p->q->source,
		.peer = listener_addr(p->q->listener),
		.lport = p->q->source_port,
		.pport = 53,
		.proto = p->q->tcp ? IPPROTO_TCP : IPPROTO_UDP,
	};
}

void asker_basic(struct pass *p, void (*asked)(struct pass *p, bool ok))
{
	struct diag_tuple t = tuple_of(p);

	p->asked = asked;
	p->waiting++;
	if (basic_find(p->g->parts.basic, &t, on_basic, p) < 0)
		on_basic(p, NULL);
}

/* NULL: there is none, or nobody could say */
static const struct diag_socket *socket_find(struct pass *p)
{
	struct asked_socket *a = &p->g->asked;
	const struct dns_query *q = p->q;
	struct diag_tuple t = tuple_of(p);

	if (!q->batch || a->batch != q->batch || a->listener != q->listener ||
		a->port != q->source_port || addr_cmp(&a->source, &q->source) != 0) {
		*a = (struct asked_socket){ .listener = q->listener, .batch = q->batch,
			.source = q->source, .port = q->source_port };
		a->found = diag_find(p->g->parts.diag, &t, &a->socket) == 0;
	}
	return a->found ? &a->socket : NULL;
}

void asker_outside(struct pass *p, uint32_t uid)
{
	asker_is(p, outside_program(), HOW_OUTSIDE);
	p->f.uid = uid;
	p->outside = true;
	p->g->stats.outside++;
}

/*
 * Not redirected: usually a process outside the scope. But the table may be gone, so its
 * socket is looked up: with our magic it is judged as the actor it bears; a socket that
 * cannot be found is unknown and judged as the worst it could be.
 */
void asker_plain(struct pass *p)
{
	struct gate *g = p->g;
	const struct diag_socket *s = socket_find(p);
	const struct program *who;

	if (!s) {
		asker_is(p, who_unknown(g->parts.who), HOW_NOBODY);
		g->stats.unknown++;
	} else if (s->mark >> 24 == g->conf.instance->magic) {
		who = who_actor(g->parts.who, s->mark & ACTOR_MASK);
		asker_is(p, who, who->known ? HOW_KERNEL : HOW_NOBODY);
	} else {
		asker_outside(p, s->uid);
	}
}
