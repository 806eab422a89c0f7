/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One connection on its way through the proxy. A stage a function, in the order of this file:
 *
 *   who     its source address says whose it is                             meet_who
 *   peek    the client speaks first: TLS server name, HTTP host; or not     peeked
 *   may     rules: the name it claims, the address it dialled (claim.c)     may_connect
 *   ask     a claim that only counts if true: its name is looked up         look_up, asked
 *   open    an element for the next connection like it                      open_next
 *   connect to the address, as ourselves (dial.c)                           connect_out
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
#include "gate/dial.h"
#include "gate/pass.h"
#include "who/diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ORIGINAL_DST = 80 /* SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST */ };

/* --- tell --------------------------------------------------------------------------------- */

static void tell(struct meet *m)
{
	struct process process;

	flow_offer(m->g, &m->f, meet_program(m), m->own ? &m->own->process
		: flow_process(m->g, &m->f, m->start, &process));
}

/* what crossed the wire for it is its other half's: ours to the server */
bool meet_counts(struct meet *m)
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
	ledger_count(m->meets->ledger, m->line, &m->f);
	return true;
}

/* Every meeting ends here, once, its relay over. It was told as live only if it ran. */
static void meet_end(struct meet *m)
{
	dial_close(m->dial);
	if (m->asking)
		gate_ask_cancel(m->asking);
	m->f.end_ms = clock_unix_ms();
	if (m->f.verdict == VERDICT_DENY && m->f.state != FLOW_LIVE) {
		m->f.state = FLOW_REFUSED;
		m->f.end_ms = m->f.start_ms; /* there was nothing of it */
		m->g->stats.refused++;
	} else {
		m->f.state = FLOW_DONE;
	}
	tell(m);
	meet_find_cancel(m);
	ledger_drop(m->meets->ledger, m->line);
	list_remove(&m->meets->all, &m->node);
	free(m);
}

void meet_abort(struct meet *m)
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
	if (m->state == MEET_WHO)
		return 0;
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

static void connected(void *ctx, int fd)
{
	struct meet *m = ctx;

	m->dial = NULL;
	if (fd < 0) {
		failed(m);
		return;
	}
	m->state = MEET_RUN;
	m->f.state = FLOW_LIVE;
	m->g->stats.flows++;
	m->line = ledger_put(m->meets->ledger, &m->f, m->start);
	tell(m);
	if (relay_join(m->relay, fd, m->http || !m->heard) < 0) {
		close(fd);
		meet_abort(m);
		return;
	}
	relay_look(m->relay, RELAY_CLIENT);
}

/* What fails at once ends at the next tick, as this may be called from inside the relay. */
static void connect_out(struct meet *m)
{
	uint32_t mark = instance_mark(m->g->conf.instance, ACTOR_SELF);

	m->state = MEET_CONNECT;
	m->deadline_ms = clock_boot_ms() + MEET_CONNECT_MS;
	if (dial_open(m->g->loop, mark, &m->addr, m->port, connected, m, &m->dial) < 0)
		m->deadline_ms = 0;
}

/* --- who ---------------------------------------------------------------------------------- */

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
	if (gate_by_key(g) && meet_find(m, &t) == 0) {
		m->state = MEET_WHO;
	} else if (who_record(g->parts.who, &t, m->actor, &process) == 0) {
		m->f.pid = process.pid;
		m->start = process.start;
	}
	return 0;
}

/* No name it may say could change a thing: nothing is waited for. */
static bool decided_already(struct meet *m)
{
	char verified[HOST_MAX];
	struct decision d;

	return claim_is_plain(m) && claim_judge(m, "", &d, verified) == CLAIM_ALLOW;
}

void meet_begin(struct meet *m)
{
	m->state = MEET_PEEK;
	m->deadline_ms = clock_boot_ms() + m->g->conf.peek_ms;
	if (decided_already(m)) {
		m->heard = true;
		may_connect(m);
	}
	relay_look(m->relay, RELAY_CLIENT);
}

int meet_open(struct gate *g, struct meets *meets, int fd, const struct sockaddr_storage *peer)
{
	struct meet *m = calloc(1, sizeof(*m));
	struct relay_calls calls = { m, look, over };
	int r = m ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	m->g = g;
	m->state = MEET_PEEK;
	m->came_ms = clock_boot_ms();
	m->deadline_ms = m->came_ms + g->conf.peek_ms;
	r = meet_who(m, fd, peer);
	if (r == 0)
		r = relay_open(g->loop, meets->pool, fd, &calls, &m->relay);
	if (r < 0) {
		meet_find_cancel(m);
		free(m);
		return r;
	}
	m->meets = meets;
	m->line = LEDGER_NONE;
	list_add(&meets->all, &m->node);
	if (m->state == MEET_WHO) {
		m->deadline_ms = m->came_ms + MEET_WHO_MS;
	} else if (decided_already(m)) {
		m->heard = true;
		may_connect(m);
	}
	return 0;
}

/* --- time, rules -------------------------------------------------------------------------- */

static void meet_late(struct meet *m)
{
	if (m->state == MEET_WHO) {
		meet_find_cancel(m); /* nobody was found in time: not known */
		meet_begin(m);
		return;
	}
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

bool meet_waits(struct meet *m, int64_t now_ms)
{
	if (m->state == MEET_RUN)
		return false;
	if (m->state != MEET_ASK && m->deadline_ms <= now_ms)
		meet_late(m);
	return true;
}

void meet_review(struct meet *m)
{
	char verified[HOST_MAX];
	struct decision d;

	if (m->state < MEET_CONNECT)
		return; /* judged when they are known, by what then holds */
	if (claim_judge(m, m->f.name, &d, verified) == CLAIM_ALLOW ||
		(d.verdict == VERDICT_ALLOW && strcmp(m->f.name, m->good) == 0))
		return;
	m->f.reason = REASON_GONE;
	meet_abort(m);
}
