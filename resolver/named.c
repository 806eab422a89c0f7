/* SPDX-License-Identifier: GPL-2.0-or-later
 * An encrypted server that is known by name.
 *
 * Theory of operation. The bootstrap servers are asked, in plain, for its addresses when
 * they are first needed, and again when they are old or have all failed; nothing else is
 * ever asked there. Queries wait meanwhile. Then a transport to one address does the work;
 * when that fails, the next query goes to the next address. The certificate is checked
 * against the name whatever the address. */
#include "resolver/transport.h"
#include "resolver/upstream.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uv.h>

enum {
	ADDRS_MAX = 8,
	FRESH_MS = 3600 * 1000,
	LOOKUPS = 2,         /* A, AAAA */
};

struct try {
	struct try *next, **at;
	struct transport *owner;
	struct transport *via; /* the transport whose try it is, NULL: it waits */
	struct try *inner;
	try_done done;
	void *ctx;
	size_t len;
	uint8_t msg[EXCHANGE_QUERY_MAX];
};

struct lookup {
	struct transport *owner;
	struct exchange *exchange;
};

struct transport {
	struct uv_loop_s *loop;
	struct resolver_conf conf;
	struct upstream to;
	struct upstreams *boot;
	struct lookup lookups[LOOKUPS];
	unsigned looking;
	struct addr found[ADDRS_MAX], addrs[ADDRS_MAX];
	unsigned nfound, naddrs, at;
	int64_t found_ms;
	struct transport *way;  /* to addrs[at], or NULL */
	struct try *tries;
	uv_timer_t timer;       /* waiting queries go on, and close */
	bool closed;
	char why[UPSTREAM_WHY_MAX];
};

static const struct transport_kind *kind_of(const struct transport *t)
{
	return t->to.kind == UPSTREAM_HTTPS ? &https_transport : &tls_transport;
}

static void try_end(struct try *try, int r, const uint8_t *msg, size_t len)
{
	try_done done = try->done;
	void *ctx = try->ctx;

	*try->at = try->next;
	if (try->next)
		try->next->at = try->at;
	free(try);
	done(ctx, r, msg, len);
}

/* --- the way to one address ----------------------------------------------------------------- */

static int way_open(struct transport *t)
{
	struct upstream to = t->to;

	if (t->way)
		return 0;
	to.addr = t->addrs[t->at];
	return kind_of(t)->open(t->loop, &to, &t->conf, &t->way);
}

/* what is under way in it ends as canceled, and is asked again by its asker */
static void way_close(struct transport *t)
{
	if (t->way)
		kind_of(t)->close(t->way);
	t->way = NULL;
}

static void on_inner(void *ctx, int r, const uint8_t *msg, size_t len)
{
	struct try *try = ctx;
	struct transport *t = try->owner;

	if (r == -ECANCELED || r == -ENOMEM || try->via != t->way || t->closed) {
		try_end(try, r, msg, len);
		return;
	}
	if (r < 0) {
		text_copy(t->why, sizeof(t->why), kind_of(t)->why(t->way));
		way_close(t);
		if (++t->at >= t->naddrs)
			t->at = t->naddrs = 0; /* look again */
	} else {
		t->why[0] = '\0';
	}
	try_end(try, r, msg, len);
}

static int try_go(struct try *try)
{
	struct transport *t = try->owner;
	int r = way_open(t);

	if (r < 0)
		return r;
	try->via = t->way;
	return kind_of(t)->send(t->way, try->msg, try->len, on_inner, try, &try->inner);
}

/* --- finding its addresses ------------------------------------------------------------------ */

static struct try *first_waiting(const struct transport *t)
{
	struct try *try = t->tries;

	while (try && try->via)
		try = try->next;
	return try;
}

/* The queries that waited. One whose end brings a new one does not go on for ever: a query
 * has few tries. */
static void on_timer(uv_timer_t *timer)
{
	struct transport *t = container_of(timer, struct transport, timer);
	struct try *try;

	while (!t->closed && t->looking == 0 && (try = first_waiting(t))) {
		int r = t->naddrs ? try_go(try) : -EHOSTUNREACH;

		if (r < 0)
			try_end(try, r, NULL, 0);
	}
}

static void found(struct transport *t, const uint8_t *msg, size_t len)
{
	struct wire_answer a;

	if (wire_answer_read(msg, len, &a) < 0)
		return;
	for (unsigned i = 0; i < a.nitems && t->nfound < ADDRS_MAX; i++)
		if (a.items[i].lead == LEAD_ADDR && a.items[i].rr < a.nanswer)
			t->found[t->nfound++] = a.items[i].addr;
	wire_answer_done(&a);
}

static void on_found(void *ctx, int r, const uint8_t *msg, size_t len)
{
	struct lookup *l = ctx;
	struct transport *t = l->owner;

	l->exchange = NULL;
	if (r == 0)
		found(t, msg, len);
	if (--t->looking > 0)
		return;
	t->found_ms = clock_boot_ms();
	if (t->nfound) {
		way_close(t);
		memcpy(t->addrs, t->found, sizeof(t->addrs));
		t->naddrs = t->nfound;
		t->at = 0;
	} else {
		text_copy(t->why, sizeof(t->why), "no bootstrap server knows its address");
	}
	uv_timer_start(&t->timer, on_timer, 0, 0);
}

static void look(struct transport *t)
{
	static const uint16_t types[LOOKUPS] = { TYPE_A, TYPE_AAAA };

	t->nfound = 0;
	for (unsigned i = 0; i < LOOKUPS; i++) {
		struct lookup *l = &t->lookups[i];
		const struct upstream_question q = { .name = t->to.name, .type = types[i] };

		l->owner = t;
		if (upstreams_query(t->boot, &q, on_found, l, &l->exchange) == 0)
			t->looking++;
	}
	if (t->looking == 0)
		uv_timer_start(&t->timer, on_timer, 0, 0);
}

/* --- the transport -------------------------------------------------------------------------- */

static int named_open(struct uv_loop_s *loop, const struct upstream *to,
	const struct resolver_conf *conf, struct transport **out)
{
	struct transport *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->loop = loop;
	t->to = *to;
	t->conf = *conf;
	t->conf.upstreams = conf->bootstrap;
	t->conf.nupstreams = conf->nbootstrap;
	t->conf.race = false;
	r = upstreams_open(loop, &t->conf, &t->boot);
	if (r < 0) {
		free(t);
		return r;
	}
	uv_timer_init(loop, &t->timer);
	*out = t;
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct transport *t = container_of((uv_timer_t *)h, struct transport, timer);

	while (t->tries) {
		if (t->tries->via)
			kind_of(t)->forget(t->tries->inner);
		try_end(t->tries, -ECANCELED, NULL, 0);
	}
	free(t);
}

static void named_close(struct transport *t)
{
	t->closed = true;
	upstreams_close(t->boot);
	way_close(t);
	uv_timer_stop(&t->timer);
	uv_close((uv_handle_t *)&t->timer, on_closed);
}

static int named_send(struct transport *t, const uint8_t *msg, size_t len, try_done done,
	void *ctx, struct try **out)
{
	struct try *try = calloc(1, sizeof(*try));
	bool old = t->naddrs == 0 || clock_boot_ms() - t->found_ms > FRESH_MS;

	if (!try)
		return -ENOMEM;
	*try = (struct try){ .owner = t, .done = done, .ctx = ctx, .len = len };
	memcpy(try->msg, msg, len);
	if (t->looking == 0 && !old) {
		int r = try_go(try);

		if (r < 0) {
			free(try);
			return r;
		}
	}
	try->next = t->tries;
	try->at = &t->tries;
	if (try->next)
		try->next->at = &try->next;
	t->tries = try;
	if (t->looking == 0 && old)
		look(t);
	*out = try;
	return 0;
}

static void named_forget(struct try *try)
{
	if (try->via)
		kind_of(try->owner)->forget(try->inner);
	*try->at = try->next;
	if (try->next)
		try->next->at = try->at;
	free(try);
}

static const char *named_why(const struct transport *t)
{
	return t->why;
}

const struct transport_kind named_transport = { named_open, named_close, named_send,
	named_forget, named_why };
