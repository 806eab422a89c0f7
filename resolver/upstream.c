/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. An exchange is a query and its tries, one after another. Each try
 * goes to the best server that did not yet refuse it: the one this exchange asked least
 * often, alive before dead, then the order of the configuration; where servers race, to the
 * best two at once. It ends with the first
 * reply that is an answer, or with TRIES_MAX tries, or when every server has refused; then
 * a refusal is passed on rather than a time-out. Servers may be exchanged under it: a try
 * whose server is gone fails and the next one is made. */
#include "resolver/upstream.h"
#include "resolver/name.h"
#include "resolver/transport.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <sys/random.h>

enum {
	TRIES_MAX = 4,
	TRIES_ONE = 2,            /* with one server only: within a client's 5 s */
	DEAD_AFTER = 2,           /* failures in a row */
	DEAD_MS = 10000,
	OPT_BARE = 11,
	LEGS = 2,
};

struct server {
	struct upstream_state state;
	uint32_t serial;          /* never another's */
	const struct transport_kind *kind;
	struct transport *transport;
	unsigned failing;         /* in a row */
	int64_t dead_until_ms;
};

struct upstreams {
	struct uv_loop_s *loop;
	struct resolver_conf conf; /* its list is not ours */
	struct server servers[UPSTREAMS_MAX];
	size_t n;
	uint32_t serials;
	struct exchange *exchanges;
};

/* one try of an exchange; two at a time where servers race */
struct leg {
	struct exchange *owner;
	struct try *try;          /* NULL: none under way */
	const struct transport_kind *kind;
	uint32_t serial;          /* of its server */
};

struct exchange {
	struct upstreams *owner;
	struct exchange *next, **at;
	exchange_done done;
	void *ctx;
	struct leg legs[LEGS];
	unsigned tries;
	uint8_t asked[UPSTREAMS_MAX];
	uint8_t refused;          /* bit per server */
	int error;
	uint8_t *refusal;         /* the first refusal's message, if any */
	size_t refusal_len;
	size_t len;
	uint8_t query[EXCHANGE_QUERY_MAX];
};

static struct server *server_find(struct upstreams *u, const struct upstream *up)
{
	for (size_t i = 0; i < u->n; i++)
		if (upstream_equal(&u->servers[i].state.up, up))
			return &u->servers[i];
	return NULL;
}

static struct server *server_of(struct upstreams *u, const struct leg *l)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->servers[i].serial == l->serial)
			return &u->servers[i];
	return NULL;
}

static int server_open(struct upstreams *u, const struct upstream *up, struct server *out)
{
	struct server s = { .state = { .up = *up }, .serial = ++u->serials,
		.kind = transport_kind(up) };
	int r = s.kind->open(u->loop, up, &u->conf, &s.transport);

	*out = s;
	return r;
}

static void server_ok(struct server *s)
{
	s->failing = 0;
	s->dead_until_ms = 0;
	s->state.last_ok_ms = clock_unix_ms();
	s->state.why[0] = '\0';
}

static const char *failure_text(int r)
{
	switch (r) {
	case -ETIMEDOUT:
		return "no answer in time";
	case -ECONNREFUSED:
		return "it does not listen";
	case -EBADMSG:
		return "the reply is no answer to the query";
	default:
		return strerror(-r);
	}
}

static void server_failed(struct server *s, int r)
{
	const char *why = s->kind->why && s->transport ? s->kind->why(s->transport) : NULL;

	text_copy(s->state.why, sizeof(s->state.why), why && *why ? why : failure_text(r));
	s->state.failed++;
	if (++s->failing >= DEAD_AFTER)
		s->dead_until_ms = clock_boot_ms() + DEAD_MS;
}

/* A fallback is for when the others cannot be reached: their refusals stand. */
static bool fallback_due(const struct exchange *x)
{
	const struct upstreams *u = x->owner;
	int64_t now_ms = clock_boot_ms();

	if (x->refused)
		return false;
	for (size_t i = 0; i < u->n; i++) {
		const struct server *s = &u->servers[i];

		if (!s->state.up.fallback && s->dead_until_ms <= now_ms && x->asked[i] == 0)
			return false;
	}
	return true;
}

static bool is_asked(const struct exchange *x, const struct server *s)
{
	for (unsigned i = 0; i < LEGS; i++)
		if (x->legs[i].try && x->legs[i].serial == s->serial)
			return true;
	return false;
}

/* the next server for this exchange, or NULL when all have refused */
static struct server *server_pick(struct exchange *x)
{
	struct upstreams *u = x->owner;
	int64_t now_ms = clock_boot_ms();
	bool fallback = fallback_due(x);
	unsigned least = UINT_MAX;
	struct server *best = NULL;

	for (size_t i = 0; i < u->n; i++) {
		struct server *s = &u->servers[i];
		unsigned cost = x->asked[i] * 2u + (s->dead_until_ms > now_ms);

		if (x->refused >> i & 1 || cost >= least || is_asked(x, s) ||
			(s->state.up.fallback && !fallback))
			continue;
		best = s;
		least = cost;
	}
	return best;
}

static void exchange_free(struct exchange *x)
{
	for (unsigned i = 0; i < LEGS; i++)
		if (x->legs[i].try)
			x->legs[i].kind->forget(x->legs[i].try);
	*x->at = x->next;
	if (x->next)
		x->next->at = x->at;
	free(x->refusal);
	free(x);
}

static void exchange_end(struct exchange *x, int r, const uint8_t *msg, size_t len)
{
	exchange_done done = x->done;
	void *ctx = x->ctx;
	uint8_t *refusal = x->refusal;

	x->refusal = NULL;
	if (r < 0 && refusal) {
		r = 0;
		msg = refusal;
		len = x->refusal_len;
	}
	exchange_free(x);
	done(ctx, r, msg, len);
	free(refusal);
}

static void on_try(void *ctx, int r, const uint8_t *msg, size_t len);

/* starts tries until one is under way; 0, or what the last one failed with */
static int leg_try(struct leg *l)
{
	struct exchange *x = l->owner;
	unsigned most = x->owner->n > 1 ? TRIES_MAX : TRIES_ONE;

	while (x->tries < most) {
		struct server *s = server_pick(x);
		int r;

		if (!s)
			return x->error ? x->error : -ENETUNREACH;
		x->tries++;
		x->asked[s - x->owner->servers]++;
		l->serial = s->serial;
		l->kind = s->kind;
		s->state.sent++;
		r = s->transport ? s->kind->send(s->transport, x->query, x->len, on_try, l,
			&l->try) : -EIO;
		if (r == 0)
			return 0;
		l->try = NULL;
		server_failed(s, r);
		x->error = r;
	}
	return x->error ? x->error : -ETIMEDOUT;
}

static int exchange_start(struct exchange *x)
{
	int r = leg_try(&x->legs[0]);

	if (r == 0 && x->owner->conf.race)
		leg_try(&x->legs[1]); /* none left to ask: the first runs alone */
	return r;
}

/* l's try is over without an answer */
static void exchange_next(struct leg *l)
{
	struct exchange *x = l->owner;
	struct leg *other = &x->legs[l == x->legs];
	int r = leg_try(l);

	if (r < 0 && !other->try)
		exchange_end(x, r, NULL, 0);
}

static size_t question_end(const struct exchange *x)
{
	size_t at = WIRE_HEAD;

	while (at < x->len && x->query[at])
		at += 1u + x->query[at];
	return at + 5;
}

/* does it answer what was asked? RFC 5452 9.1 */
static bool matches(const struct exchange *x, const uint8_t *msg, size_t len)
{
	size_t end = question_end(x);

	if (len < end || memcmp(msg, x->query, 2) != 0 || !(msg[2] & 0x80))
		return false;
	return msg[4] == 0 && msg[5] == 1 &&
		question_equal(msg + WIRE_HEAD, x->query + WIRE_HEAD, end - WIRE_HEAD);
}

static void refusal_keep(struct exchange *x, const uint8_t *msg, size_t len)
{
	if (x->refusal)
		return;
	x->refusal = malloc(len);
	if (!x->refusal)
		return;
	memcpy(x->refusal, msg, len);
	x->refusal_len = len;
}

/* A server from before EDNS says FORMERR (RFC 6891 7): again without. */
static bool without_edns(struct exchange *x)
{
	if (x->query[11] == 0)
		return false;
	x->query[11] = 0;
	x->len -= OPT_BARE;
	x->tries--;
	return true;
}

static void on_reply(struct leg *l, struct server *s, const uint8_t *msg, size_t len)
{
	struct exchange *x = l->owner;
	uint8_t rcode = msg[3] & 15;

	if (s)
		server_ok(s);
	if (rcode == RCODE_FORMERR && without_edns(x)) {
		exchange_next(l);
		return;
	}
	if (rcode != RCODE_SERVFAIL && rcode != RCODE_REFUSED && rcode != RCODE_NOTIMP) {
		exchange_end(x, 0, msg, len);
		return;
	}
	refusal_keep(x, msg, len);
	if (s)
		x->refused |= (uint8_t)(1u << (s - x->owner->servers));
	exchange_next(l);
}

static void on_try(void *ctx, int r, const uint8_t *msg, size_t len)
{
	struct leg *l = ctx;
	struct exchange *x = l->owner;
	struct server *s = server_of(x->owner, l);

	l->try = NULL;
	if (r == 0 && matches(x, msg, len)) {
		on_reply(l, s, msg, len);
		return;
	}
	x->error = r < 0 ? r : -EBADMSG;
	if (r == -ECANCELED)
		x->tries--; /* the server was taken away, it did not fail */
	else if (s)
		server_failed(s, x->error);
	exchange_next(l);
}

int upstreams_open(struct uv_loop_s *loop, const struct resolver_conf *conf,
	struct upstreams **out)
{
	struct upstreams *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->loop = loop;
	u->conf = *conf;
	u->conf.upstreams = NULL;
	u->conf.nupstreams = 0;
	upstreams_set(u, conf->upstreams, conf->nupstreams);
	*out = u;
	return 0;
}

void upstreams_close(struct upstreams *u)
{
	if (!u)
		return;
	while (u->exchanges)
		exchange_free(u->exchanges);
	for (size_t i = 0; i < u->n; i++)
		if (u->servers[i].transport)
			u->servers[i].kind->close(u->servers[i].transport);
	free(u);
}

/* what an exchange noted per server is void: the places have changed */
static void exchanges_reset(struct upstreams *u)
{
	for (struct exchange *x = u->exchanges; x; x = x->next) {
		memset(x->asked, 0, sizeof(x->asked));
		x->refused = 0;
	}
}

static bool listed(const struct upstream *list, size_t n, const struct upstream *up)
{
	for (size_t i = 0; i < n; i++)
		if (upstream_equal(&list[i], up))
			return true;
	return false;
}

void upstreams_set(struct upstreams *u, const struct upstream *list, size_t n)
{
	struct server now[UPSTREAMS_MAX] = { 0 };
	size_t m = 0;

	for (size_t i = 0; i < n && m < UPSTREAMS_MAX; i++) {
		struct server *old = server_find(u, &list[i]);

		if (listed(list, i, &list[i]))
			continue;
		if (old)
			now[m] = *old;
		else
			server_open(u, &list[i], &now[m]); /* fails: as a dead server */
		m++;
	}
	for (size_t i = 0; i < u->n; i++) {
		struct server *s = &u->servers[i];

		if (s->transport && !listed(list, n, &s->state.up))
			s->kind->close(s->transport);
	}
	memcpy(u->servers, now, sizeof(now));
	u->n = m;
	exchanges_reset(u);
}

/* copies query, whose one OPT without options, if any, stands last */
static int upstreams_ask(struct upstreams *u, const uint8_t *query, size_t len,
	exchange_done done, void *ctx, struct exchange **out)
{
	struct exchange *x;
	int r;

	if (u->n == 0)
		return -ENETUNREACH;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	*x = (struct exchange){ .owner = u, .done = done, .ctx = ctx, .len = len };
	memcpy(x->query, query, len);
	x->next = u->exchanges;
	x->at = &u->exchanges;
	if (x->next)
		x->next->at = &x->next;
	u->exchanges = x;
	for (unsigned i = 0; i < LEGS; i++)
		x->legs[i].owner = x;
	r = exchange_start(x);
	if (r < 0) {
		exchange_free(x);
		return r;
	}
	*out = x;
	return 0;
}

int upstreams_query(struct upstreams *u, const struct upstream_question *q,
	exchange_done done, void *ctx, struct exchange **out)
{
	uint8_t query[EXCHANGE_QUERY_MAX];
	uint16_t id;
	int n;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return -EIO;
	n = wire_query_write(q->name, q->type, id, q->dnssec_ok, query, sizeof(query));
	if (n < 0)
		return n;
	query[3] |= (uint8_t)q->flags;
	return upstreams_ask(u, query, (size_t)n, done, ctx, out);
}

size_t upstreams_state(const struct upstreams *u, struct upstream_state *out, size_t max)
{
	size_t n = MIN(max, u->n);

	for (size_t i = 0; i < n; i++) {
		out[i] = u->servers[i].state;
		out[i].dead = u->servers[i].dead_until_ms > clock_boot_ms();
	}
	return n;
}
