/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Basic mode with a table. A number stands for a cgroup and a user, as the kernel can tell
 * them; which program of theirs asks is looked up afterwards (sock_diag, /proc) and decides
 * about its name, connection or datagram. What is opened by that is open to its neighbours
 * too. Where nobody is found, or can be looked for (a ping, what comes in), to open something
 * new takes rules that allow it to everybody; to let go on what is open, a rule for any
 * program that was seen behind the number. */
#include "gate/meet.h"
#include "base/macros.h"
#include "gate/pass.h"
#include "nft/ct.h"

#include <errno.h>
#include <netinet/in.h>

bool key_allows(struct gate *g, uint32_t actor, const struct target *to, int64_t now_s,
	struct decision *d)
{
	const struct program *p;

	for (unsigned i = 1; (p = who_member(g->parts.who, actor, i)); i++) {
		struct decision found;

		ruleset_decide(g->rules, p, to, now_s, &found);
		if (found.verdict != VERDICT_ALLOW)
			continue;
		*d = found;
		return true;
	}
	return false;
}

const struct program *key_best(struct gate *g, uint32_t actor, const struct target *to,
	int64_t now_s, struct port_verdicts *v)
{
	const struct program *p, *first = who_actor(g->parts.who, actor);
	struct grant_shape shape;

	for (unsigned i = 0; (p = who_member(g->parts.who, actor, i)); i++) {
		ruleset_ports(g->rules, p, to, now_s, v);
		if (grant_shape(&shape, v))
			return p;
	}
	ruleset_ports(g->rules, first, to, now_s, v);
	return first;
}

/* The unknown is denied what anybody is, and what no rule for everybody allows: here that
 * would be all of a user's programs for the sake of one. What goes out is met and looked up
 * instead; what comes in is as for a program that no rule names. */
const struct program *key_unnamed(const struct gate *g, const struct program *p,
	struct program *mild)
{
	if (!gate_by_key(g) || p->known)
		return p;
	*mild = *p;
	mild->known = true;
	mild->npaths = 0;
	return mild;
}

void key_whole(struct gate *g, const struct program *p, int64_t now_s, struct whole *w)
{
	struct program nobody;
	struct whole mild;

	ruleset_whole(g->rules, key_unnamed(g, p, &nobody), now_s, &mild);
	if (w->out.verdict != VERDICT_ALLOW)
		w->out.verdict = VERDICT_UNDECIDED;
	w->local = mild.local;
}

/* what came to a listener of ours, as its sender's socket has it */
static int find(struct gate *g, const struct ct_flow *seen,
	void (*done)(void *ctx, const struct basic_found *found), void *ctx)
{
	struct diag_tuple t;
	struct ct_flow f;
	int r = ct_find_sent(g->conf.instance, seen, &f, 1);

	if (r < 0 || !f.proto)
		return r < 0 ? r : -ENOENT;
	t = (struct diag_tuple){ .local = f.src, .peer = f.dst, .lport = f.sport,
		.pport = f.dport, .proto = f.proto };
	return basic_find(g->parts.basic, &t, done, ctx);
}

/* Its program as one of that number's; NULL: not known, or not of the user the number says. */
static const struct program *found_of(struct gate *g, uint32_t actor,
	const struct basic_found *found, struct program *out)
{
	const struct program *key = who_actor(g->parts.who, actor);

	if (!found || !found->program.known || key->actor != actor ||
		found->program.uid != key->uid)
		return NULL;
	*out = found->program;
	out->actor = actor;
	for (uint8_t i = 0; i < out->npaths; i++)
		out->paths[i] = out->path;
	who_member_add(g->parts.who, actor, out);
	return out;
}

/* --- packets that are held ---------------------------------------------------------------- */

struct held_finding {
	struct gate *g;
	struct flow f;
	void (*done)(struct gate *g, const struct program *who, struct flow *f);
};

static void on_held(void *ctx, const struct basic_found *found)
{
	struct held_finding *hf = ctx;
	const struct program *who;
	struct program program;

	who = found_of(hf->g, hf->f.actor, found, &program);
	if (who) {
		hf->f.serial = who->serial;
		hf->f.uid = who->uid;
		hf->f.how = HOW_DIAG;
	}
	hf->done(hf->g, who, &hf->f);
	free(hf);
}

int key_find(struct gate *g, const struct conn *c, const struct flow *f,
	void (*done)(struct gate *g, const struct program *who, struct flow *f))
{
	struct diag_tuple t = { .local = *c->src, .peer = *c->dst, .lport = c->sport,
		.pport = c->dport, .proto = c->proto };
	struct held_finding *hf;
	int r;

	if (!c->sport || (c->proto != IPPROTO_UDP && c->proto != IPPROTO_TCP))
		return -EPROTONOSUPPORT;
	hf = malloc(sizeof(*hf));
	if (!hf)
		return -ENOMEM;
	*hf = (struct held_finding){ g, *f, done };
	r = basic_find(g->parts.basic, &t, on_held, hf);
	if (r < 0)
		free(hf);
	return r;
}

/* --- queries ------------------------------------------------------------------------------ */

static void on_asker(void *ctx, const struct basic_found *found)
{
	struct pass *p = ctx;
	const struct program *key, *who;
	struct program program;

	p->waiting--;
	if (p->done || p->dead) {
		p->asked(p, false);
		return;
	}
	key = who_actor(p->g->parts.who, p->actor);
	who = found_of(p->g, p->actor, found, &program);
	p->own = calloc(1, sizeof(*p->own));
	if (!p->own) {
		p->asked(p, false);
		return;
	}
	pass_own(p->own, who ? who : key, who ? &found->process : &(struct process){ 0 });
	asker_is(p, &p->own->program, who ? HOW_DIAG : HOW_NOBODY);
	p->f.pid = p->own->process.pid;
	p->g->stats.unknown += !who;
	p->asked(p, true);
}

void asker_by_key(struct pass *p, uint32_t actor, void (*asked)(struct pass *p, bool ok))
{
	struct ct_flow seen = { .dst = listener_addr(p->q->listener), .dport = 53,
		.src = p->q->source, .sport = p->q->source_port,
		.proto = p->q->tcp ? IPPROTO_TCP : IPPROTO_UDP };

	p->actor = actor;
	p->asked = asked;
	p->waiting++;
	if (find(p->g, &seen, on_asker, p) < 0)
		on_asker(p, NULL);
}

/* --- connections that are met ------------------------------------------------------------- */

struct meet_finding {
	struct meet *m; /* NULL: it is over */
};

static void on_meeter(void *ctx, const struct basic_found *found)
{
	struct meet_finding *mf = ctx;
	struct meet *m = mf->m;
	const struct program *who;
	struct program program;

	free(mf);
	if (!m)
		return;
	m->finding = NULL;
	who = found_of(m->g, m->actor, found, &program);
	if (who && (m->own = calloc(1, sizeof(*m->own)))) {
		pass_own(m->own, who, &found->process);
		m->serial = who->serial;
		m->f.serial = who->serial;
		m->f.uid = who->uid;
		m->f.how = HOW_DIAG;
		m->f.pid = found->process.pid;
		m->start = found->process.start;
	}
	meet_begin(m);
}

int meet_find(struct meet *m, const struct who_tuple *t)
{
	struct ct_flow seen = { .dst = t->dst, .dport = t->dport, .src = t->src,
		.sport = t->sport, .proto = IPPROTO_TCP };
	struct meet_finding *mf = malloc(sizeof(*mf));
	int r;

	if (!mf)
		return -ENOMEM;
	mf->m = m;
	r = find(m->g, &seen, on_meeter, mf);
	if (r < 0) {
		free(mf);
		return r;
	}
	m->finding = mf;
	return 0;
}

void meet_find_cancel(struct meet *m)
{
	if (m->finding)
		m->finding->m = NULL;
	m->finding = NULL;
	free(m->own);
	m->own = NULL;
}
