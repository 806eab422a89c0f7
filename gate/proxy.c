/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The transparent proxy: TCP connections of guarded programs that no set admits are met
 * here, as gate.c meets queries. This file has the listeners, the meetings under way and
 * their clock; what happens to one of them is in meet.c. */
#include "gate/proxy.h"
#include "base/clock.h"
#include "base/macros.h"
#include "gate/meet.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_MAX = 64 };

_Static_assert((int)LIVE_PAST_SIZE + (int)LEDGER_SIZE <= (int)GATE_PAST_SIZE,
	"both have room in the past");

struct proxy {
	struct gate *g;
	struct meets meets;
	uv_timer_t *tick;
	bool ticking;
	uv_poll_t *listeners[PROXY_LISTENERS_MAX];
	unsigned nlisteners;
};

static struct meet *meet_of(struct list_node *n)
{
	return container_of(n, struct meet, node);
}

/* --- time --------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *t)
{
	struct proxy *x = t->data;
	int64_t now = clock_boot_ms();
	bool waiting = false;

	for (struct list_node *n = x->meets.all.newest, *older; n; n = older) {
		older = n->older; /* n may end */
		waiting |= meet_waits(meet_of(n), now);
	}
	if (!waiting) {
		uv_timer_stop(x->tick);
		x->ticking = false;
	}
}

static void tick_on(struct proxy *x)
{
	if (!x->ticking)
		uv_timer_start(x->tick, on_tick, MEET_TICK_MS, MEET_TICK_MS);
	x->ticking = true;
}

/* --- in ----------------------------------------------------------------------------------- */

static void take(struct proxy *x, int fd, const struct sockaddr_storage *peer)
{
	if (!x->g->rules || x->meets.all.n >= MEETS_MAX ||
		meet_open(x->g, &x->meets, fd, peer) < 0)
		close(fd); /* unread, so reset if it said anything */
	else
		tick_on(x);
}

static void on_incoming(uv_poll_t *poll, int status, int events)
{
	struct proxy *x = poll->data;
	int listener;

	(void)events;
	if (status < 0 || uv_fileno((uv_handle_t *)poll, &listener) < 0)
		return;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd = accept4(listener, (struct sockaddr *)&peer, &len,
			SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		take(x, fd, &peer);
	}
}

/* --- the proxy itself --------------------------------------------------------------------- */

unsigned proxy_counts(struct proxy *x, uint64_t *below,
	struct flow_count out[static GATE_COUNTS_MAX])
{
	unsigned n = 0, looked = 0;

	for (struct list_node *at = x ? x->meets.all.newest : NULL; at; at = at->older) {
		struct meet *m = meet_of(at);

		if (m->f.id >= *below) /* newer ones have greater ids */
			continue;
		if (looked++ == GATE_COUNTS_MAX)
			return n;
		*below = m->f.id;
		if (m->state == MEET_RUN && meet_counts(m))
			out[n++] = (struct flow_count){ m->f.id, m->f.rx, m->f.tx,
				m->f.rx_packets, m->f.tx_packets };
	}
	*below = 0;
	return n;
}

void proxy_review(struct proxy *x)
{
	for (struct list_node *n = x ? x->meets.all.newest : NULL, *older; n; n = older) {
		older = n->older; /* n may end */
		meet_review(meet_of(n));
	}
}

/* they were spliced by a core that is gone */
static void ended(void *ctx, const struct flow *was, uint64_t start)
{
	struct gate *g = ctx;
	const struct program *p = who_actor(g->parts.who, was->actor);
	struct flow f = *was;
	struct process process;

	if (p->serial != f.serial) {
		p = who_unknown(g->parts.who);
		f.serial = p->serial;
	}
	f.state = FLOW_DONE;
	f.end_ms = clock_unix_ms();
	flow_offer(g, &f, p, flow_process(g, &f, start, &process));
}

int proxy_open(struct gate *g, struct proxy **out)
{
	uint8_t *memory = g->conf.past ? (uint8_t *)g->conf.past + LIVE_PAST_SIZE : NULL;
	struct proxy *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->g = g;
	x->tick = malloc(sizeof(*x->tick));
	if (!x->tick || relay_pool_new(&x->meets.pool) < 0 ||
		ledger_new(memory, &x->meets.ledger) < 0) {
		relay_pool_free(x->meets.pool);
		free(x->tick);
		free(x);
		return -ENOMEM;
	}
	ledger_take_over(x->meets.ledger, ended, g);
	uv_timer_init(g->loop, x->tick);
	x->tick->data = x;
	*out = x;
	return 0;
}

int proxy_listen(struct proxy *x, int fd)
{
	uv_poll_t *poll = malloc(sizeof(*poll));
	int on = 1, r = !poll ? -ENOMEM : x->nlisteners == PROXY_LISTENERS_MAX ? -ENFILE : 0;

	if (r == 0)
		r = uv_poll_init(x->g->loop, poll, fd);
	if (r < 0) {
		free(poll);
		return r;
	}
	/* for what will be accepted */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	poll->data = x;
	x->listeners[x->nlisteners++] = poll;
	return uv_poll_start(poll, UV_READABLE, on_incoming);
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

void proxy_close(struct proxy *x)
{
	if (!x)
		return;
	for (unsigned i = 0; i < x->nlisteners; i++)
		uv_close((uv_handle_t *)x->listeners[i], free_handle);
	while (x->meets.all.newest)
		meet_abort(meet_of(x->meets.all.newest));
	uv_close((uv_handle_t *)x->tick, free_handle);
	relay_pool_free(x->meets.pool);
	ledger_free(x->meets.ledger);
	free(x);
}
