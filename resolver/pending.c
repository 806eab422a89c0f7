/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. A query is looked up in the cache, then among those under way, and
 * only then sent. What is under way is a pending with a list of askings; its answer goes
 * into the cache and to every asking in the order they came. A pending whose askings were
 * all cancelled goes on: its answer is cached.
 *
 * Stale answers (RFC 8767). Where the cache has one past its end, the pending waits in a
 * list for the client response timer, the same for all, so the list is in order of time and
 * one timer serves it. When it strikes, or asking fails, the askings get the stale answer;
 * the pending goes on without them, and whoever asks meanwhile gets the stale one at once.
 * After a failure the cache says for a while not to ask at all.
 *
 * Prefetch. A hit near its answer's end starts a pending without askings, a few at a time. */
#include "resolver/pending.h"
#include "resolver/upstream.h"
#include "resolver/validator.h"

#include "base/clock.h"
#include "base/macros.h"

#include <errno.h>

enum {
	CLASS_IN = 1,
	PENDING_MAX = 4096,
	PREFETCH_MAX = 64,        /* at a time */
	STALE_AFTER_MS = 1800,    /* client response timer (RFC 8767 5) */
	ASKING_MAX = 16384,
};

struct asking {
	struct asking *next, **at;
	struct pending *owner;
	resolver_done done;
	void *ctx;
};

struct pending {
	struct table_node node;
	struct resolver *owner;
	struct cache_key key;
	struct asking *first, **last;
	struct exchange *exchange;
	struct way way;
	uint64_t generation;       /* the servers it was sent to */
	struct list_node due;      /* in resolver's stale, where stale_at_ms is not 0 */
	int64_t stale_at_ms;
	bool stale_given, prefetch;
	char name[HOST_MAX];
};

static bool pending_equal(const struct table_node *n, const void *key)
{
	return cache_key_equal(&container_of(n, struct pending, node)->key, key);
}

static void asking_unlink(struct asking *a)
{
	*a->at = a->next;
	if (a->next)
		a->next->at = a->at;
	else
		a->owner->last = a->at;
	a->owner->owner->askings--;
}

static int asking_add(struct pending *p, resolver_done done, void *ctx,
	struct asking **out)
{
	struct asking *a;

	if (p->owner->askings >= ASKING_MAX)
		return -ENOBUFS;
	a = malloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct asking){ .owner = p, .at = p->last, .done = done, .ctx = ctx };
	*p->last = a;
	p->last = &a->next;
	p->owner->askings++;
	*out = a;
	return 0;
}

/* A callback may cancel others or ask anew: the list is read afresh each time. */
static void pending_give(struct pending *p, int r, const struct answer *answer)
{
	while (p->first) {
		struct asking *a = p->first;
		resolver_done done = a->done;
		void *ctx = a->ctx;

		asking_unlink(a);
		free(a);
		done(ctx, r, answer);
	}
}

static void pending_undue(struct pending *p)
{
	if (p->stale_at_ms && !p->stale_given)
		list_remove(&p->owner->stale, &p->due);
	p->stale_given = true;
}

/* nobody finds it any more */
static void pending_out(struct pending *p)
{
	pending_undue(p);
	p->owner->prefetches -= p->prefetch;
	table_remove(&p->owner->pending, &p->node);
}

static void pending_end(struct pending *p, int r, const struct answer *answer)
{
	pending_out(p);
	pending_give(p, r, answer);
	free(p);
}

static const struct answer *stale_of(struct resolver *r, const struct cache_key *key,
	bool *wait)
{
	return cache_stale(&r->cache, key, clock_boot_ms(), wait);
}

/* whoever waits has the stale answer now, if there is one */
static void pending_stale(struct pending *p)
{
	struct resolver *r = p->owner;
	const struct answer *answer;
	bool wait;

	answer = p->first ? stale_of(r, &p->key, &wait) : NULL;
	if (!answer)
		return;
	answer_hold(answer);
	for (struct asking *a = p->first; a; a = a->next)
		r->stats.stale++;
	pending_give(p, 0, answer);
	answer_release(answer);
}

static void stale_arm(struct resolver *r);

static void on_stale_due(uv_timer_t *timer)
{
	struct resolver *r = timer->data;
	int64_t now_ms = clock_boot_ms();

	while (r->stale.oldest) {
		struct pending *p = container_of(r->stale.oldest, struct pending, due);

		if (p->stale_at_ms > now_ms)
			break;
		pending_undue(p);
		pending_stale(p);
	}
	stale_arm(r);
}

static void stale_arm(struct resolver *r)
{
	struct pending *p;
	int64_t wait_ms;

	if (!r->stale.oldest || uv_is_active((uv_handle_t *)r->stale_timer))
		return; /* when it strikes too early, it is armed again */
	p = container_of(r->stale.oldest, struct pending, due);
	wait_ms = p->stale_at_ms - clock_boot_ms();
	uv_timer_start(r->stale_timer, on_stale_due, (uint64_t)MAX(wait_ms, 1), 0);
}

static void stale_wait(struct pending *p)
{
	if (p->stale_at_ms || p->stale_given)
		return;
	p->stale_at_ms = clock_boot_ms() + STALE_AFTER_MS;
	list_add(&p->owner->stale, &p->due);
	stale_arm(p->owner);
}

static void keep(struct pending *p, int r, const struct answer *answer)
{
	struct resolver *owner = p->owner;
	int64_t now_ms = clock_boot_ms();

	if (p->generation != owner->generation || r == -ECANCELED || r == -ENOMEM)
		return;
	if (r == 0)
		cache_put(&owner->cache, &p->key, answer, now_ms);
	else
		cache_failed(&owner->cache, &p->key, r, now_ms);
}

/* may its AD be believed? Routes lead to where the root's keys prove nothing, mostly */
static bool is_proven(const struct pending *p)
{
	if (p->way.alias)
		return false;
	return p->owner->validator ? !p->way.upstreams : p->owner->trust_ad;
}

static int answer_of(const struct pending *p, const uint8_t *msg, size_t len,
	struct answer **out)
{
	auto_free uint8_t *as = NULL;
	int n;

	if (!p->way.alias)
		return answer_new(msg, len, &p->owner->ttl, out);
	as = malloc(WIRE_MAX);
	if (!as)
		return -ENOMEM;
	n = ways_answer(&p->way, p->key.name, p->key.type, msg, len, as);
	return n < 0 ? -EBADMSG : answer_new(as, (size_t)n, &p->owner->ttl, out);
}

static void on_upstream(void *ctx, int r, const uint8_t *msg, size_t len)
{
	struct pending *p = ctx;
	struct answer *answer = NULL;

	if (r == 0)
		r = answer_of(p, msg, len, &answer);
	if (r == 0 && !is_proven(p))
		answer_doubt(answer);
	if (r < 0)
		p->owner->stats.upstream_failed++;
	keep(p, r, answer);
	pending_out(p);
	if (r < 0 || (cache_is_failure(answer) && !answer->bogus))
		pending_stale(p);
	pending_give(p, r, answer);
	free(p);
	answer_release(answer);
}

static const char *asked_name(const struct pending *p)
{
	return p->way.alias ? p->way.alias : p->key.name;
}

static int send_validated(struct pending *p)
{
	const struct validator_ask ask = { .name = asked_name(p), .type = p->key.type,
		.dnssec_ok = p->key.dnssec_ok, .checking_disabled = p->key.checking_disabled,
		.done = on_upstream, .ctx = p };

	return validator_ask(p->owner->validator, &ask);
}

static int pending_send(struct pending *p)
{
	const struct resolver *r = p->owner;
	const struct upstream_question q = { .name = asked_name(p), .type = p->key.type,
		.dnssec_ok = p->key.dnssec_ok,
		/* AD: tell us (RFC 6840 5.7) */
		.flags = (p->key.checking_disabled ? WIRE_CD : 0) | (r->trust_ad ? WIRE_AD : 0) };

	if (r->validator && p->key.klass == CLASS_IN && !p->way.upstreams)
		return send_validated(p);
	p->owner->stats.upstream_sent++;
	return upstreams_query(p->way.upstreams ? p->way.upstreams : r->upstreams, &q,
		on_upstream, p, &p->exchange);
}

static int pending_new(struct resolver *r, const struct cache_key *key,
	struct pending **out)
{
	struct pending *p;

	if (r->pending.count >= PENDING_MAX)
		return -ENOBUFS;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->owner = r;
	p->key = *key;
	ways_find(r->ways, key->name, &p->way);
	memcpy(p->name, key->name, strlen(key->name) + 1);
	p->key.name = p->name;
	p->last = &p->first;
	p->generation = r->generation;
	table_add(&r->pending, &p->node, cache_key_hash(&r->pending, key));
	*out = p;
	return 0;
}

/* it could not be sent: nobody but the caller knows of it */
static void pending_drop(struct pending *p)
{
	struct asking *a = p->first;

	pending_out(p);
	if (a)
		asking_unlink(a);
	free(a);
	free(p);
}

static int ask_upstream(struct resolver *r, const struct cache_key *key,
	resolver_done done, void *ctx, struct asking **out)
{
	struct asking *a = NULL;
	struct pending *p;
	int e = pending_new(r, key, &p);

	if (e < 0)
		return e;
	if (done)
		e = asking_add(p, done, ctx, &a);
	if (e == 0)
		e = pending_send(p);
	if (e < 0) {
		pending_drop(p);
		return e;
	}
	if (done)
		*out = a;
	return 0;
}

static struct pending *pending_find(struct resolver *r, const struct cache_key *key)
{
	struct table_node *n = table_find(&r->pending, cache_key_hash(&r->pending, key),
		pending_equal, key);

	return n ? container_of(n, struct pending, node) : NULL;
}

void pending_prefetch(struct resolver *r, const struct cache_key *key)
{
	struct pending *p;

	if (!r->prefetch || r->prefetches >= PREFETCH_MAX || pending_find(r, key))
		return;
	if (ask_upstream(r, key, NULL, NULL, NULL) < 0)
		return;
	p = pending_find(r, key);
	p->prefetch = true;
	r->prefetches++;
	r->stats.prefetched++;
}

void pending_answer(const struct answer *answer, resolver_done done, void *ctx)
{
	answer_hold(answer);
	done(ctx, 0, answer);
	answer_release(answer);
}

static int give_stale(struct resolver *r, const struct answer *answer, resolver_done done,
	void *ctx)
{
	r->stats.stale++;
	pending_answer(answer, done, ctx);
	return 0;
}

int pending_ask(struct resolver *r, const struct cache_key *key, resolver_done done, void *ctx,
	struct asking **asking)
{
	struct pending *p = pending_find(r, key);
	const struct answer *stale;
	bool wait = false;
	int e;

	stale = stale_of(r, key, &wait);
	if (stale && (wait || (p && p->stale_given)))
		return give_stale(r, stale, done, ctx);
	if (p) {
		r->stats.shared++;
		e = asking_add(p, done, ctx, asking);
	} else {
		e = ask_upstream(r, key, done, ctx, asking);
		p = e == 0 ? pending_find(r, key) : NULL;
	}
	if (stale && e < 0)
		return give_stale(r, stale, done, ctx);
	if (stale)
		stale_wait(p);
	return e;
}

void resolver_cancel(struct asking *a)
{
	if (!a)
		return;
	asking_unlink(a);
	free(a);
}

void pending_gone(void *ctx, struct upstreams *u)
{
	struct resolver *r = ctx;
	struct table_node *n = r->pending.oldest;

	while (n) {
		struct pending *p = container_of(n, struct pending, node);

		n = n->newer;
		if (p->way.upstreams != u)
			continue;
		pending_end(p, -ENETUNREACH, NULL);
		n = r->pending.oldest; /* its askers may have asked anew */
	}
}

int pending_open(struct resolver *r, struct uv_loop_s *loop)
{
	int e = table_init(&r->pending, PENDING_MAX);

	if (e < 0)
		return e;
	r->stale_timer = malloc(sizeof(*r->stale_timer));
	if (!r->stale_timer)
		return -ENOMEM;
	uv_timer_init(loop, r->stale_timer);
	r->stale_timer->data = r;
	return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h);
}

void pending_close(struct resolver *r)
{
	while (r->pending.count)
		pending_end(container_of(table_oldest(&r->pending), struct pending, node),
			-ECANCELED, NULL);
	table_done(&r->pending);
	if (r->stale_timer)
		uv_close((uv_handle_t *)r->stale_timer, on_timer_closed);
}
