/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one natural way of a query, a stage a function, in the order of this file:
 *
 *   in      a listener hands over a query                          gate_take_*
 *           a UNIX client's call becomes queries without one       gate_varlink (varlink.c)
 *   who     its source address, or its socket, says whose it is    asker_* (asker.c)
 *   may     rules: may this program know this name?                may_ask
 *   answer  hosts file, cache or upstream                          fetch, on_answer
 *   where   CNAMEs and addresses are judged; what is denied is cut  judge (judge.c)
 *   open    the kernel gets the elements; the answer waits          open_all, on_open
 *   out     the reply leaves                                       pass_reply (reply.c)
 *   tell    the record goes to history and the live stream         finish
 *
 * Every path ends in finish(), once. A pass that had to wait looks its program up again by
 * number and serial: a number that was given to another program meanwhile is unknown. When
 * the rules changed while it waited, it is judged again before anything leaves.
 */
#include "gate/pass.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/text.h"
#include "gate/proxy.h"
#include "gate/sink.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void finish(struct pass *p);
static void may_ask(struct pass *p);

/* --- in ------------------------------------------------------------------------------- */

static struct pass *pass_of(struct list_node *n)
{
	return container_of(n, struct pass, node);
}

static struct pass *pass_new(struct gate *g, struct dns_query *q)
{
	struct list_node *spare = g->spare.newest;
	struct pass *p;

	if (g->passes.n >= PASSES_MAX)
		return NULL;
	if (spare)
		list_remove(&g->spare, spare);
	p = spare ? pass_of(spare) : malloc(sizeof(*p));
	if (!p)
		return NULL;
	pass_clear(p);
	p->g = g;
	p->q = q;
	p->came_us = q->came_us;
	p->deadline_ms = q->came_us / 1000 + PASS_DEADLINE_MS;
	list_add(&g->passes, &p->node);
	return p;
}

static void pass_free(struct pass *p)
{
	free(p->inner);
	p->inner = NULL;
	free(p->own);
	p->own = NULL;
	if (p->g->spare.n == SPARE_MAX)
		free(p);
	else
		list_add(&p->g->spare, &p->node);
}

/* --- who (asker.c) ----------------------------------------------------------------------- */

/* basic mode's answer: not ok, the pass is over already or there was no memory for it */
static void asked(struct pass *p, bool ok)
{
	if (ok) {
		may_ask(p);
		return;
	}
	p->f.verdict = VERDICT_ALLOW;
	p->f.reason = REASON_UPSTREAM;
	finish(p);
}

void gate_take_redirected(void *gate, struct dns_query *q)
{
	struct gate *g = gate;
	struct pass *p = pass_new(g, q);
	uint32_t actor;
	const struct program *who;

	if (!p) {
		query_drop(q);
		return;
	}
	g->stats.queries++;
	actor = instance_actor(g->conf.instance, &q->source);
	if (gate_by_key(g)) {
		asker_by_key(p, actor == ACTOR_NONE ? ACTOR_UNKNOWN : actor, asked);
		return;
	}
	who = actor == ACTOR_NONE ? who_unknown(g->parts.who)
				  : who_actor(g->parts.who, actor);
	asker_is(p, who, who->known ? HOW_KERNEL : HOW_NOBODY);
	asker_process_is(p);
	if (!who->known)
		g->stats.unknown++;
	may_ask(p);
}

static void plain(struct pass *p)
{
	asker_plain(p);
	may_ask(p);
}

void gate_take_plain(void *gate, struct dns_query *q)
{
	struct gate *g = gate;
	struct pass *p = pass_new(g, q);

	if (!p) {
		query_drop(q);
		return;
	}
	g->stats.queries++;
	if (g->parts.basic)
		asker_basic(p, asked);
	else
		plain(p);
}

int pass_inner(struct gate *g, const char *name, uint16_t type, struct pass **out)
{
	struct inner *i = calloc(1, sizeof(*i));
	enum rcode rcode;
	struct pass *p;
	int n;

	if (!i)
		return -ENOMEM;
	n = wire_query_write(name, type, 0, false, i->msg, sizeof(i->msg));
	if (n < 0 || wire_query_read(i->msg, (size_t)n, &i->q.q, &rcode) < 0) {
		free(i);
		return -EINVAL;
	}
	i->q.msg = i->msg;
	i->q.len = (size_t)n;
	i->q.came_us = clock_boot_us();
	p = pass_new(g, &i->q);
	if (!p) {
		free(i);
		return -ENOBUFS;
	}
	p->inner = i;
	*out = p;
	return 0;
}

void pass_go(struct pass *p)
{
	may_ask(p);
}

int gate_ask(struct gate *g, const struct program *who, const char *name, uint16_t type,
	void (*done)(void *ctx, bool ok, const struct addr *addrs, unsigned n), void *ctx,
	struct inner **out)
{
	struct pass *p;
	int r = pass_inner(g, name, type, &p);

	if (r < 0)
		return r;
	p->inner->done = done;
	p->inner->ctx = ctx;
	*out = p->inner;
	if (gate_by_key(g)) {
		p->own = calloc(1, sizeof(*p->own));
		if (p->own)
			pass_own(p->own, who, &(struct process){ 0 });
	}
	asker_is(p, who, who->known ? HOW_KERNEL : HOW_NOBODY);
	may_ask(p);
	return 0;
}

void gate_ask_cancel(struct inner *i)
{
	i->done = NULL;
	i->replied = NULL;
}

/* --- may ------------------------------------------------------------------------------ */

static void fetch(struct pass *p);

/* PTR of an address this program was just given: it may know its name */
static bool own_reverse(struct pass *p)
{
	struct addr a;

	return p->q->q.type == TYPE_PTR && host_reverse_parse(p->q->q.name, &a) == 0 &&
	       (grant_by_addr(p->g->book, p->actor, &a) || addr_zone(&a) == ZONE_LOCALHOST);
}

/* A name that the configuration rewrote is asked for by the other one: a rule that denies
 * that one decides before it is sent. */
static void may_ask_alias(struct pass *p, const char *alias, struct decision *d)
{
	struct decision of;

	if (!alias || (d->verdict != VERDICT_ALLOW && d->verdict != VERDICT_UNDECIDED))
		return;
	gate_at_name(p->g, asker_program(p), alias, p->local_name, clock_unix_ms() / 1000, &of);
	if (of.verdict != VERDICT_DENY || of.reason != REASON_RULE)
		return;
	*d = of;
	d->reason = REASON_CNAME;
	text_copy(p->f.other, sizeof(p->f.other), alias);
}

static void may_ask(struct pass *p)
{
	struct gate *g = p->g;
	const char *alias = resolver_alias(g->parts.resolver, p->q->q.name);
	const char *to = alias ? alias : p->q->q.name;
	struct decision d;

	p->generation = g->generation;
	p->mode = g->mode;
	p->would = (struct decision){ 0 };
	p->local_name = memo_local_name(g->memo, to) ||
			resolver_local_name(g->parts.resolver, to);
	if (p->outside) {
		p->f.verdict = VERDICT_ALLOW;
		p->f.reason = REASON_OUTSIDE;
		fetch(p);
		return;
	}
	gate_at_name(g, asker_program(p), p->q->q.name, p->local_name,
		clock_unix_ms() / 1000, &d);
	may_ask_alias(p, alias, &d);
	if (d.verdict == VERDICT_DENY && d.reason == REASON_DEFAULT && own_reverse(p))
		d = (struct decision){ .verdict = VERDICT_ALLOW, .reason = REASON_FACTORY };
	if (d.verdict == VERDICT_DENY && d.reason == REASON_DEFAULT &&
		resolver_own_name(g->parts.resolver, p->q->q.name)) /* leads nowhere but here */
		d = (struct decision){ .verdict = VERDICT_UNDECIDED,
			.reason = REASON_FACTORY };
	if (g->mode == GATE_BLOCKED && !resolver_own_name(g->parts.resolver, p->q->q.name))
		d = (struct decision){ .verdict = VERDICT_DENY, .reason = REASON_BLOCKED };
	if (gate_watches(g) && d.verdict != VERDICT_ALLOW && d.verdict != VERDICT_UNDECIDED) {
		p->would = d;
		d = (struct decision){ .verdict = VERDICT_ALLOW, .reason = d.reason,
			.rule = d.rule };
	}
	p->at_name = d.verdict;
	pass_decided(p, &d);
	if (d.verdict == VERDICT_ALLOW || d.verdict == VERDICT_UNDECIDED)
		fetch(p);
	else
		finish(p);
}

/* --- answer --------------------------------------------------------------------------- */

static void judged(struct pass *p);

static void on_answer(void *ctx, int r, const struct answer *a)
{
	struct pass *p = ctx;

	p->asking = NULL;
	if (r < 0) {
		p->f.verdict = VERDICT_ALLOW;
		p->f.reason = REASON_UPSTREAM;
		p->error = r;
		finish(p);
		return;
	}
	p->answer = a;
	p->f.cached = a->cached;
	p->g->stats.cached += a->cached;
	judged(p);
	/* held while the kernel is asked; the reply is out otherwise */
}

static void fetch(struct pass *p)
{
	struct gate *g = p->g;
	int n = resolver_local(g->parts.resolver, &p->q->q, p->q->msg, p->local,
		sizeof(p->local));
	int r;

	if (n > 0 && wire_answer_read(p->local, (size_t)n, &p->local_read) == 0) {
		p->local_len = (size_t)n;
		p->f.reason = p->f.reason == REASON_NONE ? REASON_LOCAL : p->f.reason;
		judged(p);
		return;
	}
	r = resolver_ask(g->parts.resolver, &p->q->q, on_answer, p, &p->asking);
	if (r < 0)
		on_answer(p, r, NULL);
}

/* --- where, open ---------------------------------------------------------------------- */

static void on_open(void *ctx, int r)
{
	struct pass *p = ctx;

	p->waiting--;
	if (p->dead) {
		finish(p);
		return;
	}
	if (r >= 0 && p->generation != p->g->generation) {
		/* the rules changed while it waited: nothing of it is out yet */
		pass_forget_answer(p);
		may_ask(p);
		return;
	}
	if (r < 0 || !pass_open_holds(p)) { /* or another's batch that it relied on failed */
		p->f.reason = REASON_KERNEL;
		p->error = r;
		p->g->stats.kernel_failed++;
		pass_open_failed(p);
	}
	finish(p);
}

static void judged(struct pass *p)
{
	const struct program *who = asker_program(p);
	struct batch *b;

	if (p->generation != p->g->generation) {
		pass_forget_answer(p); /* other rules or another mode since it was asked */
		may_ask(p);
		return;
	}
	p->actor = who->actor; /* the number may be another program's by now */
	judge(p, who);
	if (p->f.verdict != VERDICT_ALLOW || p->outside || p->nopen == 0) {
		finish(p);
		return;
	}
	b = pass_open(p, who);
	if (!b && !p->must_wait) {
		finish(p); /* everything stands open already */
		return;
	}
	if (p->answer && !p->held)
		p->held = answer_hold(p->answer);
	p->waiting++;
	p->deadline_ms = MIN(p->deadline_ms, clock_boot_ms() + KERNEL_DEADLINE_MS);
	if (b)
		batch_send(b, on_open, p);
	else
		gate_after(p->g, on_open, p); /* another's batch has it */
}

/* --- tell ----------------------------------------------------------------------------- */

static void tell(struct pass *p)
{
	const struct program *who = asker_program(p);
	const struct process *known;
	struct process process;

	known = p->own ? &p->own->process : flow_process(p->g, &p->f, p->start, &process);
	flow_offer(p->g, &p->f, who, known);
}

/* the record says what the rules would have done */
static void show_would(struct pass *p)
{
	p->f.watched = !p->outside && (p->mode == GATE_WATCH || p->mode == GATE_PAUSED);
	if (p->f.watched && p->would.verdict != VERDICT_NONE)
		pass_decided(p, &p->would);
}

static void reply(struct pass *p)
{
	uint8_t *out = p->g->reply;
	int n = pass_reply(p, out, sizeof(p->g->reply));

	if (n > 0) {
		p->f.rcode = (uint16_t)(out[3] & 15);
		query_reply(p->q, out, (size_t)n);
	} else {
		query_drop(p->q);
	}
}

static void answer_inner(struct pass *p)
{
	struct inner *i = p->inner;
	bool ok = p->f.verdict == VERDICT_ALLOW && p->f.reason != REASON_UPSTREAM &&
		  p->f.reason != REASON_KERNEL;

	if (i->done)
		i->done(i->ctx, ok, p->open, ok ? p->nopen : 0);
	if (i->replied) {
		int n = pass_reply(p, p->g->reply, sizeof(p->g->reply));

		if (n > 0)
			p->f.rcode = (uint16_t)(p->g->reply[3] & 15);
		i->replied(i->ctx, p, p->g->reply, n > 0 ? (size_t)n : 0);
	}
	gate_ask_cancel(i);
}

static void finish(struct pass *p)
{
	if (!p->done) {
		p->done = true;
		list_remove(&p->g->passes, &p->node);
		if (p->inner)
			answer_inner(p);
		else
			reply(p);
		p->g->stats.denied += p->f.verdict == VERDICT_DENY;
		show_would(p);
		p->f.end_ms = clock_unix_ms();
		p->f.took_us = (uint32_t)MIN(clock_boot_us() - p->came_us, UINT32_MAX);
		tell(p);
		p->q = NULL;
	}
	if (p->asking)
		resolver_cancel(p->asking);
	p->asking = NULL;
	if (p->waiting)
		return; /* the kernel's or /proc's answer is still to come: it ends the pass */
	pass_forget_answer(p);
	pass_free(p);
}

/* --- the gate itself ------------------------------------------------------------------ */

static void on_sweep(uv_timer_t *timer)
{
	struct gate *g = timer->data;
	int64_t now = clock_boot_ms();

	for (struct list_node *n = g->passes.oldest, *newer; n; n = newer) {
		struct pass *p = pass_of(n);

		newer = n->newer;
		if (p->deadline_ms > now)
			continue;
		p->dead = true;
		p->f.verdict = VERDICT_ALLOW;
		p->f.reason = p->waiting && p->answer ? REASON_KERNEL : REASON_UPSTREAM;
		finish(p);
	}
	if (now >= g->expire_ms) {
		grant_expire(g->book, now, GRANT_REMEMBER_MS);
		grant_expire(g->refusals, now, 0);
		grant_expire(g->peers, now, 0);
		g->expire_ms = now + EXPIRE_EACH_MS;
	}
}

const struct ruleset *gate_rules(const struct gate *g)
{
	return g->rules;
}

void gate_rules_set(struct gate *g, struct ruleset *rs)
{
	memo_rules(g->memo, rs);
	ruleset_free(g->rules);
	g->rules = rs;
	g->generation++;
	review(g);
}

void gate_mode_set(struct gate *g, enum gate_mode mode)
{
	g->mode = mode;
	g->switches_told = false;
	g->generation++;
	if (g->rules)
		review(g);
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

int gate_listen(struct gate *g, int fd)
{
	int r = g->proxy ? 0 : proxy_open(g, &g->proxy);

	return r < 0 ? r : proxy_listen(g->proxy, fd);
}

int gate_open(struct uv_loop_s *loop, const struct gate_conf *conf,
	const struct gate_parts *parts, const struct gate_calls *calls, struct gate **out)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->loop = loop;
	g->conf = *conf;
	g->parts = *parts;
	g->calls = *calls;
	/* goes on over restarts, below 2^53 */
	g->next_flow = (uint64_t)clock_unix_ms() * 1000;
	g->actors = calloc(ACTOR_MASK + 1, sizeof(*g->actors));
	g->last_slice = &g->slices;
	g->sweep = malloc(sizeof(*g->sweep));
	g->idle = malloc(sizeof(*g->idle));
	if (!g->actors || !g->sweep || !g->idle ||
		grant_book_new(GRANTS_MAX, GRANTS_PER_ACTOR, &g->book) < 0 ||
		grant_book_new(GRANTS_MAX, GRANTS_PER_ACTOR, &g->peers) < 0 ||
		grant_book_new(REFUSALS_MAX, REFUSALS_PER_ACTOR, &g->refusals) < 0 ||
		memo_new(&g->memo) < 0 || sink_new(g, &g->sink) < 0 || live_new(conf->past, &g->live) < 0) {
		free(g->sweep);
		free(g->idle);
		g->sweep = NULL;
		g->idle = NULL;
		gate_close(g);
		return -ENOMEM;
	}
	g->next_flow = MAX(g->next_flow, live_next_id(g->live));
	uv_idle_init(loop, g->idle);
	g->idle->data = g;
	uv_timer_init(loop, g->sweep);
	g->sweep->data = g;
	uv_timer_start(g->sweep, on_sweep, 500, 500);
	*out = g;
	return 0;
}

void gate_close(struct gate *g)
{
	if (!g)
		return;
	proxy_close(g->proxy);
	if (g->sweep)
		uv_close((uv_handle_t *)g->sweep, free_handle);
	if (g->idle)
		uv_close((uv_handle_t *)g->idle, free_handle);
	slice_drop_all(g);
	while (g->passes.oldest) {
		struct pass *p = pass_of(g->passes.oldest);

		p->dead = true;
		p->waiting = 0; /* the parts that would answer are closed already */
		p->f.reason = REASON_UPSTREAM;
		finish(p);
	}
	while (g->spare.newest) {
		struct pass *p = pass_of(g->spare.newest);

		list_remove(&g->spare, &p->node);
		free(p);
	}
	live_free(g->live);
	memo_free(g->memo);
	grant_book_free(g->book);
	grant_book_free(g->refusals);
	sink_free(g->sink);
	grant_book_free(g->peers);
	ruleset_free(g->rules);
	for (uint32_t n = 0; g->actors && n <= ACTOR_MASK; n++) {
		free(g->actors[n].ports);
		free(g->actors[n].was);
	}
	free(g->actors);
	free(g);
}

void gate_stats(const struct gate *g, struct gate_stats *out)
{
	*out = g->stats;
	out->grants = grant_count(g->book, clock_boot_ms());
}
