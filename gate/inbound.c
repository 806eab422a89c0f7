/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who may come in. Theory of operation: for every number the gate computes what rules say of
 * its ports whoever the peer is (rules/ports.c), and keeps the kernel equal to that: a verdict
 * of the program, verdicts of single ports, and ports where peers are told apart. Only there
 * a first packet is held: dropped and shown to us (NFLOG). It is decided like everything
 * else, and the answer becomes an element of (program, peer, protocol, port) that the
 * sender's next try meets. `ask` counts as deny until questions can be put.
 *
 * Peers stand in a book of grants of their own, without names: a program that everybody
 * knocks at pushes out its own oldest peers only. */
#include "gate/internal.h"
#include "base/clock.h"
#include "base/macros.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum {
	DHCP4 = 68, DHCP6 = 546, MDNS = 5353, /* where the client listens */
	PEER_PASS_MS = 24 * 3600 * 1000, /* longer than a refusal: a wait of a second each */
};

struct in_ports {
	enum verdict rest;
	unsigned n;
	bool fits;
	struct in_port at[IN_PORTS_MAX];
};

static enum verdict kernels(enum verdict v)
{
	return v == VERDICT_ASK ? VERDICT_DENY : v;
}

static void want_port(struct in_ports *w, uint8_t proto, uint16_t port, enum verdict v)
{
	if (w->n == IN_PORTS_MAX) {
		w->fits = false;
		return;
	}
	w->at[w->n++] = (struct in_port){ .proto = proto, .verdict = (uint8_t)v, .port = port };
}

static void want_stretch(struct in_ports *w, const struct port_stretch *s)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP }; /* that sockets are found for */
	enum verdict v = kernels(s->decision.verdict);

	if (v == w->rest)
		return;
	for (size_t p = 0; p < ARRAY_LEN(protos); p++) {
		if (s->proto && s->proto != protos[p])
			continue;
		if (s->lo == 0 && s->hi == 65535) {
			want_port(w, protos[p], 0, v);
			continue;
		}
		for (uint32_t port = s->lo; w->fits && port <= s->hi; port++)
			want_port(w, protos[p], (uint16_t)port, v);
	}
}

/* Where only the default refuses, answers to a broadcast or a group still come in by the
 * table's factory rules: they stand where peers are told apart. */
static void want_factory(struct in_ports *w, unsigned classes)
{
	static const struct {
		unsigned class;
		uint16_t port;
	} answers[] = { { NFT_FACTORY_DHCP, DHCP4 }, { NFT_FACTORY_DHCP, DHCP6 },
		{ NFT_FACTORY_MDNS, MDNS } };

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		unsigned k = 0;

		if (!(classes >> answers[i].class & 1))
			continue;
		while (k < w->n && (w->at[k].proto != IPPROTO_UDP ||
				   (w->at[k].port && w->at[k].port != answers[i].port)))
			k++;
		if (k == w->n) /* no rule speaks of it */
			want_port(w, IPPROTO_UDP, answers[i].port, VERDICT_UNDECIDED);
	}
}

static void want(struct gate *g, const struct program *p, unsigned classes,
	struct in_ports *w)
{
	struct port_verdicts v;
	struct program mild;

	ruleset_inbound(g->rules, key_unnamed(g, p, &mild), clock_unix_ms() / 1000, &v);
	*w = (struct in_ports){ .rest = kernels(v.rest.verdict), .fits = true };
	for (uint8_t i = 0; w->fits && i < v.n; i++)
		want_stretch(w, &v.at[i]);
	if (v.rest.reason == REASON_DEFAULT && w->rest == VERDICT_DENY)
		want_factory(w, classes);
	if (!w->fits) { /* every contact by itself */
		w->rest = VERDICT_UNDECIDED;
		w->n = 0;
	}
}

static bool among(const struct in_port *e, const struct in_port *at, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (memcmp(e, &at[i], sizeof(*e)) == 0)
			return true;
	return false;
}

void inbound_element(uint32_t actor, const struct in_port *e, struct nft_element *out)
{
	*out = (struct nft_element){
		.set = e->verdict == VERDICT_UNDECIDED ? NFT_INBOUND_MEET : NFT_INBOUND_PORT,
		.actor = actor,
		.proto = e->proto,
		.port = e->port,
		.accept = e->verdict == VERDICT_ALLOW,
	};
}

static void take_ports(struct batch *b, uint32_t actor, const struct in_port *at, unsigned n,
	const struct in_ports *w)
{
	struct nft_element el;

	for (unsigned i = 0; i < n; i++) {
		if (among(&at[i], w->at, w->n))
			continue;
		inbound_element(actor, &at[i], &el);
		batch_take(b, &el);
	}
}

/* what is not wanted any more goes first: the same port may come back with another verdict */
static void tell_ports(struct batch *b, uint32_t actor, struct actor_state *a,
	const struct in_ports *w)
{
	struct in_port *now = NULL;
	struct nft_element el;

	if (w->n) {
		now = malloc(w->n * sizeof(*now));
		if (!now)
			return; /* stays as it was told, until the next review */
		memcpy(now, w->at, w->n * sizeof(*now));
	}
	take_ports(b, actor, a->ports, a->nports, w);
	if (a->ports_unsure)
		take_ports(b, actor, a->was, a->nwas, w);
	for (unsigned i = 0; i < w->n; i++) {
		if (!a->ports_unsure && among(&w->at[i], a->ports, a->nports))
			continue;
		inbound_element(actor, &w->at[i], &el);
		batch_put(b, &el);
	}
	if (a->ports_unsure) {
		free(a->ports);
	} else {
		free(a->was);
		a->was = a->ports;
		a->nwas = a->nports;
	}
	a->ports = now;
	a->nports = (uint16_t)w->n;
	a->ports_unsure = false;
}

enum verdict inbound_tell(struct gate *g, const struct program *p, struct actor_state *a,
	unsigned classes, struct batch *b)
{
	struct in_ports w = { 0 };

	if (g->mode != GATE_WATCH)
		want(g, p, classes, &w);
	tell_ports(b, p->actor, a, &w);
	return w.rest;
}

void inbound_forget(struct batch *b, uint32_t actor, struct actor_state *a)
{
	static const struct in_ports nothing;

	tell_ports(b, actor, a, &nothing);
	free(a->was);
	a->was = NULL;
	a->nwas = 0;
}

void inbound_told(struct actor_state *a, const struct nft_element *el)
{
	struct in_port *more = realloc(a->ports, (a->nports + 1U) * sizeof(*more));

	if (!more)
		return;
	a->ports = more;
	more[a->nports++] = (struct in_port){ .proto = el->proto, .port = el->port,
		.verdict = (uint8_t)(el->set == NFT_INBOUND_MEET ? VERDICT_UNDECIDED
			: el->accept ? VERDICT_ALLOW : VERDICT_DENY) };
}

/* does the kernel know by itself, or will once it has what it was sent? */
static bool settled(const struct actor_state *a, uint8_t proto, uint16_t port)
{
	uint8_t v = a->in;

	for (unsigned i = 0; i < a->nports; i++) {
		const struct in_port *e = &a->ports[i];

		if (e->proto == proto && e->port == port)
			return e->verdict != VERDICT_UNDECIDED;
		if (e->proto == proto && e->port == 0)
			v = e->verdict;
	}
	return v == VERDICT_ALLOW || v == VERDICT_DENY;
}

/* this element of the peer's and not its opposite; false: no room */
static bool set_peer(struct grant_shape *s, bool pass, uint8_t proto, uint16_t port)
{
	uint8_t set = pass ? NFT_INBOUND_PASS : NFT_INBOUND_REFUSE;

	for (unsigned i = 0; i < s->n; i++) {
		if (s->at[i].proto == proto && s->at[i].port == port) {
			s->at[i].set = set;
			return true;
		}
	}
	if (s->n == GRANT_ELEMENTS_MAX)
		return false;
	s->at[s->n++] = (struct grant_element){ .set = set, .proto = proto, .port = port };
	return true;
}

void inbound_decide(struct gate *g, const struct flow *f, bool pass)
{
	int64_t now_ms = clock_boot_ms();
	struct grant *evicted, *gr = grant_get(g->peers, f->actor, &f->addr, "", &evicted);
	struct batch *b = batch_new(g);

	if (evicted) {
		batch_take_grant(b, g, evicted);
		grant_discard(evicted);
	}
	if (gr) {
		batch_take_grant(b, g, gr);
		if (!set_peer(&gr->shape, pass, f->proto, f->port)) {
			gr->shape.n = 0; /* more ports than anybody serves: begin anew */
			set_peer(&gr->shape, pass, f->proto, f->port);
		}
		grant_use(g->peers, gr);
		gr->rule = f->rule;
		gr->expires_ms = MAX(gr->expires_ms,
			now_ms + (pass ? PEER_PASS_MS : GRANT_LEAST_MS));
		gr->in_kernel = true;
		batch_put_grant(b, g, gr, now_ms);
	}
	batch_send(b, NULL, NULL);
}

static bool is_answer(const struct gate *g, uint32_t actor, uint8_t proto, uint16_t sport,
	uint16_t dport)
{
	uint8_t classes = g->actors[actor & ACTOR_MASK].factory;

	if (proto != IPPROTO_UDP)
		return false;
	if (dport == MDNS)
		return classes >> NFT_FACTORY_MDNS & 1;
	return ((dport == DHCP4 && sport == DHCP4 - 1) ||
		       (dport == DHCP6 && sport == DHCP6 + 1)) &&
	       classes >> NFT_FACTORY_DHCP & 1;
}

bool inbound_answer(const struct gate *g, const struct ct_flow *c)
{
	return is_answer(g, c->actor, c->proto, c->sport, c->dport);
}

bool inbound_met(struct gate *g, const struct flow *f, uint16_t sport)
{
	struct actor_state *a = &g->actors[f->actor & ACTOR_MASK];
	bool pass = f->verdict == VERDICT_ALLOW;

	if (!pass && is_answer(g, f->actor, f->proto, sport, f->port))
		return false; /* it was early: the kernel has the factory rule now */
	if (!settled(a, f->proto, f->port))
		inbound_decide(g, f, pass);
	if (!pass)
		a->held = (struct held){ .peer = f->addr, .sport = sport, .port = f->port,
			.proto = f->proto };
	return !pass;
}

bool inbound_again(struct gate *g, const struct flow *f, uint16_t sport)
{
	struct actor_state *a = &g->actors[f->actor & ACTOR_MASK];
	struct held *h = &a->held;

	if (f->proto != IPPROTO_TCP || h->proto != f->proto || h->sport != sport ||
		h->port != f->port || addr_cmp(&h->peer, &f->addr) != 0)
		return false;
	h->proto = 0;
	return true;
}

struct reviewing {
	struct gate *g;
	struct batch *b;
	int64_t now_ms;
};

static void review_one(void *ctx, struct grant *gr)
{
	const struct reviewing *v = ctx;
	struct gate *g = v->g;
	struct program mild;
	const struct program *p = key_unnamed(g, who_actor(g->parts.who, gr->actor), &mild);
	struct target to = { .addr = &gr->addr, .dir = FLOW_IN };
	struct grant_shape is = { .n = 0 };
	struct geo_tag tag;

	if (g->mode == GATE_WATCH) {
		batch_take_grant(v->b, g, gr);
		gr->in_kernel = false;
		gr->expires_ms = MIN(gr->expires_ms, v->now_ms);
	}
	if (gate_watches(g) || gr->expires_ms <= v->now_ms)
		return;
	to.geo = gate_where(g, &gr->addr, &tag);
	for (unsigned i = 0; i < gr->shape.n; i++) {
		struct decision d;

		to.proto = gr->shape.at[i].proto;
		to.port = gr->shape.at[i].port;
		ruleset_decide(g->rules, p, &to, clock_unix_ms() / 1000, &d);
		set_peer(&is, d.verdict == VERDICT_ALLOW, to.proto, to.port);
	}
	if (grant_same_shape(&gr->shape, &is))
		return;
	batch_take_grant(v->b, g, gr);
	gr->shape = is;
	batch_put_grant(v->b, g, gr, v->now_ms);
}

void inbound_review(struct gate *g, struct batch *b)
{
	struct reviewing v = { g, b, clock_boot_ms() };

	grant_each(g->peers, review_one, &v);
}

/* a knock may have been judged before it was known whose door it was */
void inbound_review_of(struct gate *g, uint32_t actor, struct batch *b)
{
	struct reviewing v = { g, b, clock_boot_ms() };

	grant_each_of(g->peers, actor, review_one, &v);
}
