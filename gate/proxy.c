/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The transparent proxy: TCP connections of guarded programs that no set admits are met
 * here, as gate.c meets queries. A stage a function, in the order of this file:
 *
 *   in      the listener hands over a connection, redirected by the table   on_incoming
 *   who     its source address says whose it is                             meet_who
 *   peek    the client speaks first: TLS server name, HTTP host; or not     peeked
 *   may     rules: the name it claims, the address it dialled (claim.c)     may_connect
 *   ask     a claim that only counts if true: its name is looked up         look_up, asked
 *   open    an element for the next connection like it                      open_next
 *   connect to the address, as ourselves                                    connect_out
 *   run     bytes both ways (relay.c); later requests of plain HTTP         requests
 *   tell    the record goes to history and the live stream                  meet_end
 *
 * Until connect_out nothing of it has left the machine. What the client says first is held
 * back until it was judged, also where it lets the server speak first.
 */
#include "gate/meet.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "gate/proxy.h"
#include "who/diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_MAX = 64, ORIGINAL_DST = 80 /* SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST */ };

struct proxy {
	struct gate *g;
	struct relay_pool *pool;
	struct meet *oldest, *newest;
	unsigned count;
	uv_timer_t *tick;
	bool ticking;
	uv_poll_t *listeners[PROXY_LISTENERS_MAX];
	int fds[PROXY_LISTENERS_MAX];
	unsigned nlisteners;
};

/* --- tell --------------------------------------------------------------------------------- */

static void tell(struct meet *m)
{
	struct gate *g = m->g;
	struct process process;

	if (!actor_may_tell(g, m->actor, clock_unix_ms())) {
		g->stats.events_lost++;
		return;
	}
	flow_tell(g, &m->f, meet_program(m), flow_process(g, &m->f, m->start, &process));
}

/* what crossed the wire for it, which is its other half's: ours to the server */
static bool meet_counts(struct meet *m)
{
	struct diag_traffic t;
	int fd = relay_fd(m->relay, RELAY_SERVER);

	if (fd < 0 || diag_count_own(fd, m->addr.family, &t) < 0 ||
		(t.rx == m->f.rx && t.tx == m->f.tx))
		return false;
	m->f.rx = t.rx;
	m->f.tx = t.tx;
	m->f.rx_packets = t.rx_packets;
	m->f.tx_packets = t.tx_packets;
	return true;
}

static void meet_unlink(struct meet *m)
{
	struct proxy *x = m->g->proxy;

	if (m->newer)
		m->newer->older = m->older;
	else
		x->newest = m->older;
	if (m->older)
		m->older->newer = m->newer;
	else
		x->oldest = m->newer;
	x->count--;
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

static void stop_connecting(struct meet *m)
{
	if (m->connecting) {
		uv_poll_stop(m->connecting);
		uv_close((uv_handle_t *)m->connecting, free_handle);
		m->connecting = NULL;
	}
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

/* Every meeting ends here, once, its relay over. It was told as live only if it ran. */
static void meet_end(struct meet *m)
{
	stop_connecting(m);
	if (m->asking)
		gate_ask_cancel(m->asking);
	m->f.end_ms = clock_unix_ms();
	if (m->f.verdict == VERDICT_DENY && m->f.state != FLOW_LIVE) {
		m->f.state = FLOW_REFUSED;
		m->g->stats.refused++;
	} else {
		m->f.state = FLOW_DONE;
	}
	tell(m);
	meet_unlink(m);
	free(m);
}

static void meet_abort(struct meet *m)
{
	meet_counts(m);
	relay_close(m->relay, true);
	meet_end(m);
}

/* --- may ---------------------------------------------------------------------------------- */

static void denied(struct meet *m, const struct decision *d)
{
	m->f.verdict = VERDICT_DENY;
	m->f.reason = (uint8_t)d->reason;
	m->f.rule = d->rule;
	m->refused = true;
}

static void allowed(struct meet *m, const struct decision *d, const char *name)
{
	m->f.verdict = VERDICT_ALLOW;
	m->f.reason = (uint8_t)d->reason;
	m->f.rule = d->rule;
	if (name[0])
		text_copy(m->f.name, sizeof(m->f.name), name);
}

static void connect_out(struct meet *m);

/* at the next tick: not from inside the relay */
static void end_soon(struct meet *m)
{
	m->state = MEET_CONNECT;
	m->deadline_ms = 0;
}

/* the name is looked up as a query of this program, judged as such */
static void asked(void *ctx, bool ok, const struct addr *addrs, unsigned n)
{
	struct meet *m = ctx;
	bool here = false;
	const struct addr *first = NULL;

	m->asking = NULL;
	for (unsigned i = 0; ok && i < n; i++) {
		here |= addr_cmp(&addrs[i], &m->addr) == 0;
		if (!first && addrs[i].family == m->addr.family)
			first = &addrs[i];
	}
	if (m->state == MEET_RUN) {
		if (here)
			text_copy(m->good, sizeof(m->good), m->asked);
		relay_look(m->relay, RELAY_CLIENT); /* it cannot go elsewhere any more */
		return;
	}
	if (here || first) {
		if (!here) {
			/* to an address of that name instead, whatever was dialled */
			m->addr = m->f.addr = *first;
			geo_find(m->g->parts.geo, first, &m->f.geo);
		}
		text_copy(m->good, sizeof(m->good), m->asked);
		allowed(m, &m->decision, m->asked);
		connect_out(m);
		return;
	}
	denied(m, &(struct decision){ .verdict = VERDICT_DENY, .reason = REASON_CLAIM });
	end_soon(m);
}

static int look_up(struct meet *m, const char *name)
{
	text_copy(m->asked, sizeof(m->asked), name);
	return gate_ask(m->g, meet_program(m), name, m->addr.family == 4 ? TYPE_A : TYPE_AAAA,
		asked, m, &m->asking);
}

/* the next connection like this one need not be met */
static void open_next(struct meet *m)
{
	if (!claim_is_plain(m) || m->f.verdict != VERDICT_ALLOW || gate_watches(m->g))
		return;
	open_met(m->g, meet_program(m), &m->f);
}

static void may_connect(struct meet *m)
{
	const char *name = m->hello.kind == HELLO_BAD || m->hello.ech ? "" : m->hello.name;
	char verified[HOST_MAX];
	struct decision d;
	enum claim c = claim_judge(m, name, &d, verified);

	m->generation = m->g->generation;
	m->decision = d;
	if (m->hello.kind == HELLO_BAD && c != CLAIM_DENY && !claim_is_plain(m)) {
		d = (struct decision){ .verdict = VERDICT_DENY, .reason = REASON_BAD };
		c = CLAIM_DENY;
	}
	switch (c) {
	case CLAIM_DENY:
		text_copy(m->f.name, sizeof(m->f.name), verified[0] ? verified : name);
		denied(m, &d);
		return;
	case CLAIM_ALLOW:
		text_copy(m->good, sizeof(m->good), verified);
		allowed(m, &d, verified);
		open_next(m);
		connect_out(m);
		return;
	case CLAIM_ASK:
		m->state = MEET_ASK;
		if (look_up(m, name) < 0)
			denied(m, &(struct decision){ .verdict = VERDICT_DENY,
					  .reason = REASON_CLAIM });
	}
}

/* --- run ---------------------------------------------------------------------------------- */

/* a later request of a running connection, or what its client said after its server spoke */
static bool claim_goes(struct meet *m, const char *name, bool *wait)
{
	char verified[HOST_MAX];
	struct decision d;

	*wait = false;
	if (name[0] && strcmp(name, m->good) == 0 && m->generation == m->g->generation)
		return true;
	switch (claim_judge(m, name, &d, verified)) {
	case CLAIM_ALLOW:
		return true;
	case CLAIM_DENY:
		text_copy(m->f.other, sizeof(m->f.other), name);
		denied(m, &d);
		return false;
	case CLAIM_ASK:
		break;
	}
	*wait = true;
	if (m->asking)
		return true;
	if (strcmp(name, m->asked) == 0 || look_up(m, name) < 0) {
		/* looked up already, and it is not here */
		text_copy(m->f.other, sizeof(m->f.other), name);
		denied(m, &(struct decision){ .verdict = VERDICT_DENY, .reason = REASON_CLAIM });
		return false;
	}
	return true; /* asked() looks again, perhaps before this returns */
}

/* every request's host is judged before its head goes */
static ssize_t requests(struct meet *m, const uint8_t *bytes, size_t len)
{
	enum http_event event;
	size_t go = 0;
	bool wait;

	for (;;) {
		go += http_stream_read(&m->stream, bytes + go, len - go, &event);
		if (event == HTTP_BAD) {
			denied(m, &(struct decision){ .verdict = VERDICT_DENY,
					  .reason = REASON_BAD });
			return RELAY_ABORT;
		}
		if (event == HTTP_SWITCH && m->back_open)
			http_stream_go_on(&m->stream); /* too late to see its answer */
		else if (event != HTTP_HEAD)
			return (ssize_t)go;
		else if (!claim_goes(m, m->stream.host, &wait))
			return RELAY_ABORT;
		else if (wait)
			return (ssize_t)go;
		else
			http_stream_pass(&m->stream);
	}
}

/* the server's side of plain HTTP is only looked at while it may switch protocols */
static ssize_t look_back(struct meet *m, const uint8_t *bytes, size_t len, bool end)
{
	const struct http_stream *s = &m->stream;
	int status;

	if (!m->http || !http_stream_may_switch(s)) {
		m->back_open = true;
		return RELAY_OPEN;
	}
	status = http_answer_status(bytes, len);
	if (!end && len < RELAY_BUFFER && (status == 0 || !http_stream_at_switch(s)))
		return 0;
	if (status == 101 || (s->connect && status >= 200 && status < 300))
		m->http = false; /* from here on it is another protocol */
	http_stream_go_on(&m->stream);
	m->back_open = true;
	relay_look(m->relay, RELAY_CLIENT);
	return RELAY_OPEN;
}

/* what the client says first: 1 known, 0 not yet */
static bool peeked(struct meet *m, const uint8_t *bytes, size_t len, bool end)
{
	if (m->heard)
		return true;
	if (hello_read(bytes, len, &m->hello) < 0) {
		if (!end)
			return false;
		m->hello = (struct hello){ .kind = HELLO_OTHER };
	}
	m->heard = true;
	m->http = m->hello.kind == HELLO_HTTP;
	return true;
}

static ssize_t look(void *ctx, enum relay_side from, const uint8_t *bytes, size_t len, bool end)
{
	struct meet *m = ctx;
	bool late = m->state == MEET_RUN && !m->heard, wait;

	if (from == RELAY_SERVER)
		return look_back(m, bytes, len, end);
	if (!peeked(m, bytes, len, end)) {
		if (m->state == MEET_PEEK && len) /* it speaks: it may take its time */
			m->deadline_ms = m->came_ms + MEET_HELLO_MS;
		return 0;
	}
	if (m->state == MEET_PEEK)
		may_connect(m);
	if (m->refused)
		return RELAY_ABORT;
	if (m->state != MEET_RUN)
		return 0;
	if (m->http)
		return requests(m, bytes, len);
	if (late && m->hello.kind == HELLO_TLS && !m->hello.ech &&
		!claim_goes(m, m->hello.name, &wait))
		return RELAY_ABORT;
	return RELAY_OPEN;
}

static void over(void *ctx, int r)
{
	struct meet *m = ctx;

	(void)r;
	meet_counts(m);
	meet_end(m);
}

/* --- connect ------------------------------------------------------------------------------ */

static void failed(struct meet *m)
{
	m->f.reason = REASON_UPSTREAM;
	meet_abort(m); /* the client's connection ends as one that broke */
}

static void connected(struct meet *m)
{
	int fd = m->fd;

	uv_poll_stop(m->connecting);
	uv_close((uv_handle_t *)m->connecting, free_handle);
	m->connecting = NULL;
	m->fd = -1;
	m->state = MEET_RUN;
	m->f.state = FLOW_LIVE;
	m->g->stats.flows++;
	tell(m);
	if (relay_join(m->relay, fd, m->http || !m->heard) < 0) {
		close(fd);
		meet_abort(m);
		return;
	}
	relay_look(m->relay, RELAY_CLIENT);
}

static void on_connected(uv_poll_t *poll, int status, int events)
{
	struct meet *m = poll->data;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(m->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (status < 0 || error)
		failed(m);
	else
		connected(m);
}

static int connect_begin(struct meet *m)
{
	uint32_t mark = instance_mark(m->g->conf.instance, ACTOR_SELF);
	struct sockaddr_storage at;
	socklen_t len = (socklen_t)addr_to_sockaddr(&m->addr, m->port, &at);
	int on = 1;

	m->fd = socket(m->addr.family == 4 ? AF_INET : AF_INET6,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->fd < 0 || setsockopt(m->fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return -errno;
	setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(m->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(m->fd, (struct sockaddr *)&at, len) < 0 && errno != EINPROGRESS)
		return -errno;
	m->connecting = malloc(sizeof(*m->connecting));
	if (!m->connecting)
		return -ENOMEM;
	if (uv_poll_init(m->g->loop, m->connecting, m->fd) < 0) {
		free(m->connecting);
		m->connecting = NULL;
		return -ENOMEM;
	}
	m->connecting->data = m;
	return uv_poll_start(m->connecting, UV_WRITABLE, on_connected);
}

/* As ourselves: our own packets need no element. What fails at once ends at the next tick,
 * as this may be called from inside the relay. */
static void connect_out(struct meet *m)
{
	m->state = MEET_CONNECT;
	m->deadline_ms = clock_boot_ms() + MEET_CONNECT_MS;
	if (connect_begin(m) < 0)
		m->deadline_ms = 0;
}

/* --- in, who ------------------------------------------------------------------------------ */

static int original_destination(int fd, uint8_t family, struct meet *m)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);

	if (getsockopt(fd, family == 4 ? IPPROTO_IP : IPPROTO_IPV6, ORIGINAL_DST, &at, &len) < 0)
		return -errno;
	return addr_from_sockaddr((struct sockaddr *)&at, &m->addr, &m->port);
}

static int meet_who(struct meet *m, int fd, const struct sockaddr_storage *peer)
{
	struct gate *g = m->g;
	struct who_tuple t = { .proto = IPPROTO_TCP };
	struct sockaddr_storage here;
	socklen_t len = sizeof(here);
	const struct program *p;
	struct process process;
	int r = addr_from_sockaddr((const struct sockaddr *)peer, &t.src, &t.sport);

	if (r < 0 || getsockname(fd, (struct sockaddr *)&here, &len) < 0)
		return r < 0 ? r : -errno;
	r = addr_from_sockaddr((struct sockaddr *)&here, &t.dst, &t.dport);
	if (r == 0)
		r = original_destination(fd, t.src.family, m);
	m->actor = r < 0 ? ACTOR_NONE : instance_actor(g->conf.instance, &t.src);
	if (m->actor == ACTOR_NONE)
		return -EPERM; /* not by our redirect */
	if (addr_cmp(&m->addr, &t.dst) == 0 && m->port == t.dport)
		return -ELOOP;
	p = who_actor(g->parts.who, m->actor);
	m->serial = p->serial;
	flow_begin(g, &m->f, FLOW_CONN, p, p->known ? HOW_KERNEL : HOW_NOBODY);
	m->f.proto = IPPROTO_TCP;
	m->f.dir = FLOW_OUT;
	m->f.counted = true;
	m->f.addr = m->addr;
	m->f.port = m->port;
	geo_find(g->parts.geo, &m->addr, &m->f.geo);
	if (who_record(g->parts.who, &t, m->actor, &process) == 0) {
		m->f.pid = process.pid;
		m->start = process.start;
	}
	return 0;
}

static void tick_on(struct proxy *x);

/* No name it may say could change a thing: nothing is waited for. */
static bool decided_already(struct meet *m)
{
	char verified[HOST_MAX];
	struct decision d;

	return claim_is_plain(m) && claim_judge(m, "", &d, verified) == CLAIM_ALLOW;
}

static void meet_begin(struct proxy *x, int fd, const struct sockaddr_storage *peer)
{
	struct relay_calls calls = { .look = look, .over = over };
	struct meet *m = calloc(1, sizeof(*m));
	int on = 1;

	if (!m || x->count >= MEETS_MAX)
		goto no;
	m->g = x->g;
	m->fd = -1;
	m->came_ms = clock_boot_ms();
	m->deadline_ms = m->came_ms + x->g->conf.peek_ms;
	if (!x->g->rules || meet_who(m, fd, peer) < 0)
		goto no;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	calls.ctx = m;
	if (relay_open(x->g->loop, x->pool, fd, &calls, &m->relay) < 0)
		goto no;
	m->older = x->newest;
	if (x->newest)
		x->newest->newer = m;
	else
		x->oldest = m;
	x->newest = m;
	x->count++;
	tick_on(x);
	if (decided_already(m)) {
		m->heard = true;
		may_connect(m);
	}
	return;
no:
	close(fd); /* unread, so reset if it said anything */
	free(m);
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
		meet_begin(x, fd, &peer);
	}
}

/* --- time --------------------------------------------------------------------------------- */

static void meet_late(struct meet *m)
{
	if (m->refused) {
		meet_abort(m);
		return;
	}
	if (m->state == MEET_CONNECT) {
		failed(m);
		return;
	}
	if (m->deadline_ms > m->came_ms + m->g->conf.peek_ms) { /* it never said the rest */
		m->heard = true;
		m->hello.kind = HELLO_BAD;
	}
	may_connect(m); /* by address: the server speaks first here */
	if (m->refused)
		meet_abort(m);
}

static void on_tick(uv_timer_t *t)
{
	struct proxy *x = t->data;
	int64_t now = clock_boot_ms();
	bool waiting = false;

	for (struct meet *m = x->newest, *older; m; m = older) {
		older = m->older;
		if (m->state == MEET_RUN)
			continue;
		waiting = true;
		if (m->state != MEET_ASK && m->deadline_ms <= now)
			meet_late(m);
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

/* --- the proxy itself --------------------------------------------------------------------- */

void proxy_counts(struct proxy *x, void (*each)(void *ctx, const struct flow_count *c),
	void *ctx)
{
	for (struct meet *m = x ? x->newest : NULL; m; m = m->older) {
		if (m->state != MEET_RUN || !meet_counts(m))
			continue;
		each(ctx, &(struct flow_count){ m->f.id, m->f.rx, m->f.tx, m->f.rx_packets,
				     m->f.tx_packets });
	}
}

void proxy_review(struct proxy *x)
{
	for (struct meet *m = x ? x->newest : NULL, *older; m; m = older) {
		char verified[HOST_MAX];
		struct decision d;

		older = m->older;
		if (m->state < MEET_CONNECT)
			continue; /* judged when they are known, by what then holds */
		if (claim_judge(m, m->f.name, &d, verified) == CLAIM_ALLOW ||
			(d.verdict == VERDICT_ALLOW && strcmp(m->f.name, m->good) == 0))
			continue;
		m->f.reason = REASON_GONE;
		meet_abort(m);
	}
}

int proxy_open(struct gate *g, struct proxy **out)
{
	struct proxy *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->g = g;
	x->tick = malloc(sizeof(*x->tick));
	if (!x->tick || relay_pool_new(&x->pool) < 0) {
		free(x->tick);
		free(x);
		return -ENOMEM;
	}
	uv_timer_init(g->loop, x->tick);
	x->tick->data = x;
	*out = x;
	return 0;
}

int proxy_listen(struct proxy *x, int fd)
{
	uv_poll_t *poll = malloc(sizeof(*poll));
	int r = !poll ? -ENOMEM : x->nlisteners == PROXY_LISTENERS_MAX ? -ENFILE : 0;

	if (r == 0)
		r = uv_poll_init(x->g->loop, poll, fd);
	if (r < 0) {
		free(poll);
		return r;
	}
	poll->data = x;
	x->listeners[x->nlisteners++] = poll;
	return uv_poll_start(poll, UV_READABLE, on_incoming);
}

void proxy_close(struct proxy *x)
{
	if (!x)
		return;
	for (unsigned i = 0; i < x->nlisteners; i++)
		uv_close((uv_handle_t *)x->listeners[i], free_handle);
	while (x->newest)
		meet_abort(x->newest);
	uv_close((uv_handle_t *)x->tick, free_handle);
	relay_pool_free(x->pool);
	free(x);
}
