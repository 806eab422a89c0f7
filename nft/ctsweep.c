/* SPDX-License-Identifier: GPL-2.0-or-later
 * Listing entries and taking them back. The kernel walks its table and sends what bears a
 * mark (or, from 6.8 on, stands in a zone; before, it sends all and we look). To delete,
 * each is named by tuple, zone and id from a second socket, so that an entry made meanwhile
 * for the same tuple is never hit and no list has to be kept. Needs CAP_NET_ADMIN. */
#include "nft/ct.h"

#include "nft/ask.h"
#include "nft/ctentry.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { DNS_PORT = 53, NO_ZONE = 0, DUMP_FIRST = 64 };

/* mark and zone narrow what the kernel sends; each decides */
static int sweep(uint32_t mark, uint32_t mask, uint16_t zone, ask_message each, void *ctx)
{
	struct ask from = { 0 };
	char buf[ASK_REQUEST_MAX];
	struct nlmsghdr *dump = ct_entry_put_dump(buf);
	int r = ask_open(NETLINK_NETFILTER, &from);

	if (r < 0)
		return r;
	if (mask) {
		mnl_attr_put_u32(dump, CTA_MARK, htonl(mark));
		mnl_attr_put_u32(dump, CTA_MARK_MASK, htonl(mask));
	}
	if (zone != NO_ZONE)
		mnl_attr_put_u16(dump, CTA_ZONE, htons(zone));
	r = ask_dump(&from, dump, each, ctx);
	ask_close(&from);
	return r;
}

struct taking {
	const struct instance *instance; /* NULL: DNS of anybody */
	uint32_t actor;
	const struct addr *dst;
	uint8_t proto;
	uint16_t port;
	struct ask by; /* where deletes go */
	int deleted;
};

static bool actors(const struct taking *t, const struct ct_entry *e)
{
	uint32_t mark = instance_mark(t->instance, t->actor);

	if ((e->mark & CTMARK_BITS) != mark &&
		e->orig.zone != instance_zone(t->instance, t->actor))
		return false;
	if (t->dst && addr_cmp(t->dst, &e->orig.dst) != 0)
		return false;
	if (t->proto && t->proto != e->orig.proto)
		return false;
	return !t->port || t->port == e->orig.dport;
}

static bool unmarked_dns(const struct ct_entry *e)
{
	uint32_t magic = (e->mark & CTMARK_BITS) >> 24;

	if (e->orig.proto != IPPROTO_UDP && e->orig.proto != IPPROTO_TCP)
		return false;
	if (magic >= INSTANCE_MAGIC_MAIN && magic <= INSTANCE_MAGIC_LAST)
		return false;
	return e->orig.dport == DNS_PORT && !e->orig.zone;
}

static int take(const struct nlmsghdr *message, void *ctx)
{
	struct taking *t = ctx;
	char buf[ASK_REQUEST_MAX];
	struct ct_entry e;
	int r;

	if (ct_entry_read(message, &e) < 0)
		return 0;
	if (t->instance ? !actors(t, &e) : !unmarked_dns(&e))
		return 0;
	r = ask_ack(&t->by, ct_entry_put_delete(buf, &e));
	if (r == -ENOENT) /* it ended by itself */
		return 0;
	if (r == 0)
		t->deleted++;
	return r;
}

int ct_delete(const struct instance *instance, uint32_t actor, const struct addr *dst,
	uint8_t proto, uint16_t port)
{
	struct taking t = { .instance = instance, .actor = actor, .dst = dst, .proto = proto,
		.port = port };
	int r;

	if (actor == ACTOR_NONE) /* its zone would be everybody's */
		return -EINVAL;
	r = ask_open(NETLINK_NETFILTER, &t.by);
	if (r < 0)
		return r;
	r = sweep(instance_mark(instance, actor), CTMARK_BITS, NO_ZONE, take, &t);
	/* Before the number is given to another: also those whose mark another table wrote
	 * over. (For one destination it does not matter: without its mark such a flow passes
	 * by the sets alone.) */
	if (r == 0 && !dst)
		r = sweep(0, 0, (uint16_t)instance_zone(instance, actor), take, &t);
	ask_close(&t.by);
	return r < 0 ? r : t.deleted;
}

static int delete_one(struct ask *a, const struct ct_flow *f, uint32_t zone)
{
	const struct ct_tuple tuple = { .src = f->src, .dst = f->dst, .sport = f->sport,
		.dport = f->dport, .proto = f->proto, .zone = (uint16_t)zone };
	char buf[ASK_REQUEST_MAX];

	return ask_ack(a, ct_tuple_put_delete(buf, &tuple, f->id));
}

int ct_delete_tuple(const struct ct_flow *f, uint32_t zone)
{
	struct ask a = { 0 };
	int r = ask_open(NETLINK_NETFILTER, &a);

	if (r < 0)
		return r;
	r = delete_one(&a, f, zone);
	ask_close(&a);
	return r;
}

int ct_delete_flows(const struct instance *instance, const struct ct_flow *f, size_t n)
{
	struct ask a = { 0 };
	int r = ask_open(NETLINK_NETFILTER, &a);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = delete_one(&a, &f[i],
			f[i].inbound || f[i].zone
				? f[i].zone : instance_zone(instance, f[i].actor));
		if (r == -ENOENT)
			r = 0;
	}
	ask_close(&a);
	return r;
}

struct finding {
	const struct instance *instance;
	struct ct_flow *sent;
};

static int found(const struct nlmsghdr *message, void *ctx)
{
	const struct finding *f = ctx;
	struct ct_entry e;

	if (ct_entry_read(message, &e) == 0)
		ct_entry_flow(&e, f->instance, f->sent);
	return 0;
}

int ct_find_sent(const struct instance *instance, const struct ct_flow *seen,
	struct ct_flow *sent, size_t n)
{
	struct ask a = { 0 };
	char buf[ASK_REQUEST_MAX];
	int r = ask_open(NETLINK_NETFILTER, &a);

	memset(sent, 0, n * sizeof(*sent));
	for (size_t i = 0; r >= 0 && i < n; i++) {
		const struct ct_tuple back = { .src = seen[i].dst, .dst = seen[i].src,
			.sport = seen[i].dport, .dport = seen[i].sport,
			.proto = seen[i].proto };
		struct finding f = { instance, &sent[i] };

		r = ask_get(&a, ct_tuple_put_get_reply(buf, &back), found, &f);
		if (r == -ENOENT)
			r = 0;
	}
	ask_close(&a);
	return r;
}

enum { ADOPT_TRIES = 16 };

static int adopt(struct ask *a, const struct ct_tuple *t, uint32_t mark, bool inbound)
{
	struct ct_tuple before = *t;
	char buf[ASK_REQUEST_MAX];
	int r;

	if (inbound) {
		r = ask_ack(a, ct_tuple_put_entry(buf, t, mark, false));
		return r == -ENOENT ? ask_ack(a, ct_tuple_put_entry(buf, t, mark, true)) : r;
	}
	/* a packet in between makes the old entry again, or its mirror image */
	r = -EEXIST;
	for (int i = 0; r == -EEXIST && i < ADOPT_TRIES; i++) {
		before.zone = 0;
		ask_ack(a, ct_tuple_put_delete(buf, &before, 0));
		if (i > 0) {
			struct ct_tuple mirror = { .src = t->dst, .dst = t->src,
				.sport = t->dport, .dport = t->sport, .proto = t->proto };

			ask_ack(a, ct_tuple_put_delete(buf, &mirror, 0));
		}
		r = ask_ack(a, ct_tuple_put_entry(buf, t, mark, true));
	}
	return r;
}

int ct_adopt(const struct instance *instance, const struct ct_flow *f)
{
	const struct ct_tuple tuple = { .src = f->src, .dst = f->dst, .sport = f->sport,
		.dport = f->dport, .proto = f->proto,
		.zone = (uint16_t)(f->inbound ? 0 : instance_zone(instance, f->actor)) };
	struct ask a = { 0 };
	int r = ask_open(NETLINK_NETFILTER, &a);

	if (r < 0)
		return r;
	r = adopt(&a, &tuple, instance_mark(instance, f->actor) | CTMARK_ADOPTED, f->inbound);
	ask_close(&a);
	return r;
}

static int take_ours(const struct nlmsghdr *message, void *ctx)
{
	struct taking *t = ctx;
	char buf[ASK_REQUEST_MAX];
	struct ct_entry e;
	struct ct_flow f;
	int r;

	if (ct_entry_read(message, &e) < 0)
		return 0;
	if (!ct_entry_flow(&e, t->instance, &f) &&
		(e.orig.zone <= instance_zone(t->instance, 0) ||
			e.orig.zone > instance_zone(t->instance, ACTOR_MASK)))
		return 0;
	r = ask_ack(&t->by, ct_entry_put_delete(buf, &e));
	t->deleted += r == 0;
	return r == -ENOENT ? 0 : r;
}

static int take_all(struct taking *t, ask_message each)
{
	int r = ask_open(NETLINK_NETFILTER, &t->by);

	if (r < 0)
		return r;
	r = sweep(0, 0, NO_ZONE, each, t);
	ask_close(&t->by);
	return r < 0 ? r : t->deleted;
}

int ct_delete_all(const struct instance *instance)
{
	struct taking t = { .instance = instance };

	return take_all(&t, take_ours);
}

int ct_delete_dns(void)
{
	struct taking t = { 0 };

	return take_all(&t, take);
}

struct listing {
	const struct instance *instance;
	struct addr listener[2];
	struct ct_flow *flows;
	size_t n, room;
};

static int list(const struct nlmsghdr *message, void *ctx)
{
	struct listing *l = ctx;
	struct ct_entry e;
	struct ct_flow f;

	if (ct_entry_read(message, &e) < 0 || !ct_entry_flow(&e, l->instance, &f) ||
		addr_cmp(&e.reply.src, &l->listener[0]) == 0 ||
		addr_cmp(&e.reply.src, &l->listener[1]) == 0)
		return 0;
	if (l->n == CT_DUMP_MAX)
		return -ENOSPC;
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : DUMP_FIRST;
		struct ct_flow *more = reallocarray(l->flows, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->flows = more;
		l->room = room;
	}
	l->flows[l->n++] = f;
	return 0;
}

int ct_dump(const struct instance *instance, struct ct_flow **out, size_t *n)
{
	const uint32_t bits = CTMARK_BITS & ~(uint32_t)ACTOR_MASK;
	struct listing l = { .instance = instance,
		.listener = { instance_listener(instance, 4), instance_listener(instance, 6) } };
	int r = sweep(instance_mark(instance, 0), bits, NO_ZONE, list, &l);

	if (r < 0) {
		free(l.flows);
		return r;
	}
	*out = l.flows;
	*n = l.n;
	return 0;
}
