/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * UNIX clients: a call becomes one query or two (a host name: A and AAAA), each of which goes
 * all of gate.c's way, and their replies are joined. So a call is judged, put into the
 * kernel's sets and told as if its program had asked by DNS, and its reply leaves when the
 * last of them is done.
 *
 * Who: the process that connected, as it is when the call is read. Unknown, and judged as such,
 * are: one that is gone; one whose descriptor others wrote to as well (it was passed on, or
 * inherited by a fork); one that has become another program since it connected. */
#include "gate/pass.h"
#include "base/macros.h"
#include "base/text.h"
#include "resolver/varlink.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum { REPLY_ROOM = 1 << 19 };

struct client {
	struct who_peer peer;
	bool known;
	uint32_t actor;   /* of the program that connected */
};

struct call;

struct part {
	struct call *call;
	struct inner *inner; /* NULL: done */
	uint8_t *msg;        /* owned */
	struct varlink_part got;
};

struct call {
	struct gate *g;
	struct varlink_request *request;
	unsigned nparts, waiting;
	struct part parts[VARLINK_PARTS_MAX];
};

/* who asks, for the current turn */
struct asker {
	uint32_t actor, uid;
	bool outside;
	struct process process;
};

/* --- clients ------------------------------------------------------------------------------ */

static void *client_came(void *gate, int fd)
{
	struct gate *g = gate;
	struct client *c = calloc(1, sizeof(*c));
	struct process process;
	bool in_scope;

	if (!c)
		return NULL;
	c->peer.pidfd = -1;
	c->known = who_peer_open(g->parts.who, fd, &c->peer) == 0;
	c->actor = c->known ? who_peer_actor(g->parts.who, &c->peer, &process, &in_scope)
			    : ACTOR_UNKNOWN;
	return c;
}

static void client_left(void *gate, void *client)
{
	struct client *c = client;

	(void)gate;
	who_peer_close(&c->peer);
	free(c);
}

static void asker_find(struct gate *g, const struct varlink_request *r, struct asker *out)
{
	const struct client *c = r->client;
	bool in_scope = true;

	*out = (struct asker){ .actor = ACTOR_UNKNOWN };
	if (!c->known || r->shared)
		return;
	out->actor = who_peer_actor(g->parts.who, &c->peer, &out->process, &in_scope);
	if (out->actor == c->actor && out->actor != ACTOR_UNKNOWN) {
		out->outside = !in_scope;
		return;
	}
	*out = (struct asker){ .actor = ACTOR_UNKNOWN };
}

/* --- out ----------------------------------------------------------------------------------- */

static void call_free(struct call *c)
{
	for (unsigned i = 0; i < c->nparts; i++) {
		if (c->parts[i].inner)
			gate_ask_cancel(c->parts[i].inner);
		free(c->parts[i].msg);
	}
	free(c);
}

static void reply_text(struct varlink_request *r, struct text *t)
{
	if (t->cut) {
		t->len = 0;
		t->cut = false;
		varlink_error_named(t, "io.systemd.Resolve.InvalidReply");
	}
	varlink_reply(r, t->s, t->len);
}

static void reply_error(struct varlink_request *r, const char *id, const char *key,
	const char *value)
{
	struct varlink_error err = { .id = id, .key = key };
	char room[512];
	struct text t = text_into(room, sizeof(room));

	text_copy(err.value, sizeof(err.value), value);
	varlink_error_write(&t, &err);
	reply_text(r, &t);
}

static void call_end(struct call *c)
{
	auto_free char *room = malloc(REPLY_ROOM);
	struct varlink_part parts[VARLINK_PARTS_MAX];
	struct varlink_request *r = c->request;
	struct text t;

	for (unsigned i = 0; i < c->nparts; i++) {
		parts[i] = c->parts[i].got;
		parts[i].msg = c->parts[i].msg;
	}
	if (!room) {
		call_free(c);
		reply_error(r, "io.systemd.Resolve.QueryAborted", NULL, "");
		return;
	}
	t = text_into(room, REPLY_ROOM);
	varlink_answer_write(&t, r->call, parts, c->nparts);
	call_free(c);
	reply_text(r, &t);
}

static void part_done(struct call *c)
{
	if (--c->waiting == 0)
		call_end(c);
}

static void on_replied(void *ctx, const struct pass *p, const uint8_t *msg, size_t len)
{
	struct part *part = ctx;

	part->inner = NULL;
	part->got.local = p->local_len > 0 && p->f.verdict != VERDICT_DENY;
	part->got.cached = p->f.cached;
	if (p->f.reason == REASON_UPSTREAM && p->f.verdict != VERDICT_DENY)
		part->got.error = p->error < 0 ? p->error : -ETIMEDOUT;
	else if (p->f.reason == REASON_KERNEL)
		part->got.error = -ECANCELED;
	else if (!len)
		part->got.error = -EBADMSG;
	part->msg = part->got.error ? NULL : malloc(len);
	if (part->msg) {
		memcpy(part->msg, msg, len);
		part->got.len = len;
	} else if (!part->got.error) {
		part->got.error = -ENOMEM;
	}
	part_done(part->call);
}

/* --- in ------------------------------------------------------------------------------------ */

static void pass_asker(struct pass *p, const struct asker *a)
{
	struct gate *g = p->g;
	const struct program *who;

	if (a->outside) {
		asker_outside(p, a->process.uid);
	} else {
		who = a->actor == ACTOR_UNKNOWN ? who_unknown(g->parts.who)
						: who_actor(g->parts.who, a->actor);
		asker_is(p, who, who->known ? HOW_KERNEL : HOW_NOBODY);
		g->stats.unknown += !who->known;
	}
	p->f.proto = 0; /* neither UDP nor TCP */
	p->f.pid = a->process.pid;
	p->start = a->process.start;
	g->stats.queries++;
}

static void part_start(struct call *c, const struct asker *a, const char *name, uint16_t type)
{
	struct part *part = &c->parts[c->nparts++];
	struct pass *p;
	int r = pass_inner(c->g, name, type, &p);

	part->call = c;
	c->waiting++;
	if (r < 0) {
		part->got.error = r;
		part_done(c);
		return;
	}
	part->inner = p->inner;
	p->inner->replied = on_replied;
	p->inner->ctx = part;
	p->inner->q.tcp = true; /* no limit of a datagram's */
	if (c->request->call->flags & RESOLVED_NO_VALIDATE)
		p->inner->q.q.flags |= WIRE_CD;
	pass_asker(p, a);
	pass_go(p);
}

static void reverse_name(const struct addr *a, char out[static HOST_MAX])
{
	struct text t = text_into(out, HOST_MAX);

	if (a->family == 4) {
		text_addf(&t, "%u.%u.%u.%u.in-addr.arpa", a->b[3], a->b[2], a->b[1], a->b[0]);
		return;
	}
	for (int i = 15; i >= 0; i--)
		text_addf(&t, "%x.%x.", a->b[i] & 15, a->b[i] >> 4);
	text_add(&t, "ip6.arpa");
}

/* -EINVAL: it is no name */
static int name_of(const struct varlink_call *call, char out[static HOST_MAX])
{
	if (call->method == VARLINK_ADDRESS) {
		reverse_name(&call->addr, out);
		return 0;
	}
	if (rules_host(call->name, out) < 0)
		return -EINVAL;
	return call->method == VARLINK_RECORD || out[0] ? 0 : -EINVAL;
}

static bool answer_literal(struct varlink_request *r)
{
	const struct varlink_call *call = r->call;
	struct addr a;
	const char *zone;
	uint32_t ifindex = 0;
	char room[512];
	struct text t = text_into(room, sizeof(room));

	if (call->method != VARLINK_HOSTNAME || varlink_literal(call->name, &a, &zone) < 0)
		return false;
	if (*zone && text_u32(zone, INT32_MAX, &ifindex) < 0)
		ifindex = if_nametoindex(zone);
	if (*zone && !ifindex)
		varlink_error_named(&t, "io.systemd.Resolve.NoSuchResourceRecord");
	else
		varlink_literal_write(&t, call, &a, ifindex);
	reply_text(r, &t);
	return true;
}

static void start_all(struct call *c, const struct asker *a, const char *name)
{
	const struct varlink_call *call = c->request->call;

	if (call->method == VARLINK_ADDRESS)
		part_start(c, a, name, TYPE_PTR);
	if (call->method == VARLINK_RECORD)
		part_start(c, a, name, call->type);
	if (call->method == VARLINK_HOSTNAME && call->family != 6)
		part_start(c, a, name, TYPE_A);
	if (call->method == VARLINK_HOSTNAME && call->family != 4)
		part_start(c, a, name, TYPE_AAAA);
}

static void on_call(void *gate, struct varlink_request *r)
{
	uint64_t protocols = r->call->flags & RESOLVED_PROTOCOLS;
	struct gate *g = gate;
	char name[HOST_MAX];
	struct asker a;
	struct call *c;

	r->user = NULL;
	if (answer_literal(r))
		return;
	if (name_of(r->call, name) < 0) {
		reply_error(r, "org.varlink.service.InvalidParameter", "parameter", "name");
		return;
	}
	if (protocols && !(protocols & RESOLVED_DNS)) { /* LLMNR or mDNS alone */
		reply_error(r, "io.systemd.Resolve.NoNameServers", NULL, "");
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		reply_error(r, "io.systemd.Resolve.QueryAborted", NULL, "");
		return;
	}
	c->g = g;
	c->request = r;
	r->user = c;
	c->waiting = 1; /* until all have begun */
	asker_find(g, r, &a);
	start_all(c, &a, name);
	part_done(c);
}

static void on_cancel(void *gate, struct varlink_request *r)
{
	(void)gate;
	if (r->user)
		call_free(r->user);
}

void gate_varlink(struct gate *g, struct varlink_calls *out)
{
	*out = (struct varlink_calls){ .ctx = g, .came = client_came, .left = client_left,
		.take = on_call, .cancel = on_cancel };
}
