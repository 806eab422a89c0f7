/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/ctentry.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

/* Numbers of an attribute: false (and *out untouched) if it is too short for one. */
static bool get_be16(const struct nlattr *a, uint16_t *out)
{
	if (mnl_attr_get_payload_len(a) < sizeof(*out))
		return false;
	*out = ntohs(mnl_attr_get_u16(a));
	return true;
}

static bool get_be32(const struct nlattr *a, uint32_t *out)
{
	if (mnl_attr_get_payload_len(a) < sizeof(*out))
		return false;
	*out = ntohl(mnl_attr_get_u32(a));
	return true;
}

static bool get_addr(const struct nlattr *a, uint8_t family, struct addr *out)
{
	if (mnl_attr_get_payload_len(a) < (family == 4 ? 4U : 16U))
		return false;
	*out = family == 4 ? addr_v4(mnl_attr_get_payload(a))
			   : addr_v6(mnl_attr_get_payload(a));
	return true;
}

static bool read_ip(const struct nlattr *nest, struct ct_tuple *t)
{
	const struct nlattr *a;
	bool ok = true;

	mnl_attr_for_each_nested(a, nest) {
		switch (mnl_attr_get_type(a)) {
		case CTA_IP_V4_SRC:
			ok = ok && get_addr(a, 4, &t->src);
			break;
		case CTA_IP_V4_DST:
			ok = ok && get_addr(a, 4, &t->dst);
			break;
		case CTA_IP_V6_SRC:
			ok = ok && get_addr(a, 6, &t->src);
			break;
		case CTA_IP_V6_DST:
			ok = ok && get_addr(a, 6, &t->dst);
			break;
		}
	}
	return ok;
}

static bool read_proto(const struct nlattr *nest, struct ct_tuple *t)
{
	const struct nlattr *a;
	bool ok = true;

	mnl_attr_for_each_nested(a, nest) {
		uint8_t byte = mnl_attr_get_payload_len(a) ? mnl_attr_get_u8(a) : 0;

		switch (mnl_attr_get_type(a)) {
		case CTA_PROTO_NUM:
			t->proto = byte;
			break;
		case CTA_PROTO_SRC_PORT:
		case CTA_PROTO_ICMP_ID:
		case CTA_PROTO_ICMPV6_ID:
			ok = ok && get_be16(a, &t->sport);
			break;
		case CTA_PROTO_DST_PORT:
			ok = ok && get_be16(a, &t->dport);
			break;
		case CTA_PROTO_ICMP_TYPE:
		case CTA_PROTO_ICMPV6_TYPE:
			t->dport = byte;
			break;
		case CTA_PROTO_ICMP_CODE:
		case CTA_PROTO_ICMPV6_CODE:
			t->code = byte;
			break;
		}
	}
	return ok;
}

static bool read_tuple(const struct nlattr *nest, struct ct_tuple *out)
{
	const struct nlattr *a;
	bool ok = true;

	mnl_attr_for_each_nested(a, nest) {
		switch (mnl_attr_get_type(a)) {
		case CTA_TUPLE_IP:
			ok = ok && read_ip(a, out);
			break;
		case CTA_TUPLE_PROTO:
			ok = ok && read_proto(a, out);
			break;
		case CTA_TUPLE_ZONE:
			ok = ok && get_be16(a, &out->zone);
			break;
		}
	}
	return ok;
}

static bool read_counters(const struct nlattr *nest, uint64_t *bytes, uint64_t *packets)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest) {
		uint16_t type = mnl_attr_get_type(a);

		if (type != CTA_COUNTERS_BYTES && type != CTA_COUNTERS_PACKETS)
			continue;
		if (mnl_attr_get_payload_len(a) < sizeof(*bytes))
			return false;
		*(type == CTA_COUNTERS_BYTES ? bytes : packets) = be64toh(mnl_attr_get_u64(a));
	}
	return true;
}

static void read_protoinfo(const struct nlattr *nest, uint8_t *tcp_state)
{
	const struct nlattr *tcp, *a;

	mnl_attr_for_each_nested(tcp, nest) {
		if (mnl_attr_get_type(tcp) != CTA_PROTOINFO_TCP)
			continue;
		mnl_attr_for_each_nested(a, tcp) {
			if (mnl_attr_get_type(a) == CTA_PROTOINFO_TCP_STATE &&
				mnl_attr_get_payload_len(a) >= 1)
				*tcp_state = mnl_attr_get_u8(a);
		}
	}
}

/* what two IPv6 addresses, ports and a zone need is half of it */
enum { TUPLE_MAX = 256 };

static bool read_attr(const struct nlattr *a, struct ct_entry *e)
{
	switch (mnl_attr_get_type(a)) {
	case CTA_TUPLE_ORIG:
		e->tuple = a;
		return mnl_attr_get_payload_len(a) <= TUPLE_MAX && read_tuple(a, &e->orig);
	case CTA_TUPLE_REPLY:
		return read_tuple(a, &e->reply);
	case CTA_MARK:
		return get_be32(a, &e->mark);
	case CTA_STATUS:
		return get_be32(a, &e->status);
	case CTA_ID:
		return get_be32(a, &e->id);
	case CTA_ZONE:
		return get_be16(a, &e->zone);
	case CTA_PROTOINFO:
		read_protoinfo(a, &e->tcp_state);
		return true;
	case CTA_COUNTERS_ORIG:
		e->counted = true;
		return read_counters(a, &e->orig_bytes, &e->orig_packets);
	case CTA_COUNTERS_REPLY:
		return read_counters(a, &e->reply_bytes, &e->reply_packets);
	default:
		return true;
	}
}

int ct_entry_read(const struct nlmsghdr *message, struct ct_entry *out)
{
	struct ct_entry e = { 0 };
	const struct nlattr *a;
	bool ok = true;

	if (message->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg) ||
		NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return -EBADMSG;
	e.ended = NFNL_MSG_TYPE(message->nlmsg_type) == IPCTNL_MSG_CT_DELETE;
	mnl_attr_for_each(a, message, sizeof(struct nfgenmsg))
		ok = ok && read_attr(a, &e);
	if (!ok || !e.orig.src.family || e.orig.src.family != e.orig.dst.family)
		return -EBADMSG;
	*out = e;
	return 0;
}

bool ct_entry_flow(const struct ct_entry *e, const struct instance *instance,
	struct ct_flow *out)
{
	uint32_t ours = instance_mark(instance, e->mark);
	struct ct_flow f = {
		.actor = e->mark & ACTOR_MASK,
		.src = e->orig.src,
		.dst = e->orig.dst,
		.sport = e->orig.sport,
		.dport = e->orig.dport,
		.proto = e->orig.proto,
		.ended = e->ended,
		.local = e->mark & CTMARK_LOCAL,
		.adopted = e->mark & CTMARK_ADOPTED,
		.redirected = e->status & IPS_DST_NAT,
		.over = e->tcp_state == TCP_CONNTRACK_TIME_WAIT ||
			e->tcp_state == TCP_CONNTRACK_CLOSE,
		.id = e->id,
		.counted = e->counted,
	};

	if ((e->mark & CTMARK_BITS) != ours)
		return false;
	/* the zone is set where a packet of the actor leaves: what began elsewhere has none */
	f.inbound = e->orig.zone <= instance_zone(instance, 0) ||
		e->orig.zone > instance_zone(instance, ACTOR_MASK);
	f.zone = e->orig.zone;
	f.tx = f.inbound ? e->reply_bytes : e->orig_bytes;
	f.rx = f.inbound ? e->orig_bytes : e->reply_bytes;
	f.tx_packets = f.inbound ? e->reply_packets : e->orig_packets;
	f.rx_packets = f.inbound ? e->orig_packets : e->reply_packets;
	*out = f;
	return true;
}

static struct nlmsghdr *put_header(void *buf, uint16_t type, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | type;
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	g->res_id = 0;
	return h;
}

static uint8_t pf(const struct addr *a)
{
	return a->family == 4 ? AF_INET : AF_INET6;
}

struct nlmsghdr *ct_entry_put_dump(void *buf)
{
	return put_header(buf, IPCTNL_MSG_CT_GET, AF_UNSPEC);
}

static void put_id(struct nlmsghdr *h, uint32_t id)
{
	if (id)
		mnl_attr_put_u32(h, CTA_ID, htonl(id));
}

struct nlmsghdr *ct_entry_put_delete(void *buf, const struct ct_entry *e)
{
	struct nlmsghdr *h = put_header(buf, IPCTNL_MSG_CT_DELETE, pf(&e->orig.src));

	mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(e->tuple),
		mnl_attr_get_payload(e->tuple));
	if (e->zone)
		mnl_attr_put_u16(h, CTA_ZONE, htons(e->zone));
	put_id(h, e->id);
	return h;
}

static void put_ip(struct nlmsghdr *h, const struct ct_tuple *t)
{
	struct nlattr *nest = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	bool four = t->src.family == 4;
	size_t size = four ? 4 : 16;

	mnl_attr_put(h, four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, size, t->src.b);
	mnl_attr_put(h, four ? CTA_IP_V4_DST : CTA_IP_V6_DST, size, t->dst.b);
	mnl_attr_nest_end(h, nest);
}

static void put_icmp(struct nlmsghdr *h, const struct ct_tuple *t)
{
	bool four = t->proto == IPPROTO_ICMP;

	mnl_attr_put_u16(h, four ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, htons(t->sport));
	mnl_attr_put_u8(h, four ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE,
		(uint8_t)t->dport);
	mnl_attr_put_u8(h, four ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE, t->code);
}

static void put_proto(struct nlmsghdr *h, const struct ct_tuple *t)
{
	struct nlattr *nest = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);

	mnl_attr_put_u8(h, CTA_PROTO_NUM, t->proto);
	if (t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6) {
		put_icmp(h, t);
	} else {
		mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(t->sport));
		mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(t->dport));
	}
	mnl_attr_nest_end(h, nest);
}

static void put_tuple(struct nlmsghdr *h, uint16_t attr, const struct ct_tuple *t)
{
	struct nlattr *nest = mnl_attr_nest_start(h, attr);

	put_ip(h, t);
	put_proto(h, t);
	if (t->zone)
		mnl_attr_put_u16(h, CTA_TUPLE_ZONE, htons(t->zone));
	mnl_attr_nest_end(h, nest);
}

/* nothing is known of its windows: let every sequence number be right */
static void put_tcp_established(struct nlmsghdr *h)
{
	static const struct nf_ct_tcp_flags liberal = { .flags = IP_CT_TCP_FLAG_BE_LIBERAL,
		.mask = IP_CT_TCP_FLAG_BE_LIBERAL };
	struct nlattr *info = mnl_attr_nest_start(h, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(h, CTA_PROTOINFO_TCP);

	mnl_attr_put_u8(h, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	mnl_attr_put(h, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(liberal), &liberal);
	mnl_attr_put(h, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(liberal), &liberal);
	mnl_attr_nest_end(h, tcp);
	mnl_attr_nest_end(h, info);
}

enum { TCP_TIMEOUT_S = 432000, OTHER_TIMEOUT_S = 120 }; /* the kernel's own defaults */

struct nlmsghdr *ct_tuple_put_entry(void *buf, const struct ct_tuple *t, uint32_t mark,
	bool create)
{
	const struct ct_tuple back = { .src = t->dst, .dst = t->src, .sport = t->dport,
		.dport = t->sport, .proto = t->proto };
	struct nlmsghdr *h = put_header(buf, IPCTNL_MSG_CT_NEW, pf(&t->src));
	bool tcp = t->proto == IPPROTO_TCP;

	put_tuple(h, CTA_TUPLE_ORIG, t);
	mnl_attr_put_u32(h, CTA_MARK, htonl(mark));
	if (!create)
		return h;
	h->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
	put_tuple(h, CTA_TUPLE_REPLY, &back);
	mnl_attr_put_u32(h, CTA_STATUS,
		htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
	mnl_attr_put_u32(h, CTA_TIMEOUT, htonl(tcp ? TCP_TIMEOUT_S : OTHER_TIMEOUT_S));
	if (tcp)
		put_tcp_established(h);
	return h;
}

struct nlmsghdr *ct_tuple_put_get_reply(void *buf, const struct ct_tuple *t)
{
	struct nlmsghdr *h = put_header(buf, IPCTNL_MSG_CT_GET, pf(&t->src));

	put_tuple(h, CTA_TUPLE_REPLY, t);
	return h;
}

struct nlmsghdr *ct_tuple_put_delete(void *buf, const struct ct_tuple *t, uint32_t id)
{
	struct nlmsghdr *h = put_header(buf, IPCTNL_MSG_CT_DELETE, pf(&t->src));
	struct nlattr *nest = mnl_attr_nest_start(h, CTA_TUPLE_ORIG);

	put_ip(h, t);
	put_proto(h, t);
	if (t->zone)
		mnl_attr_put_u16(h, CTA_TUPLE_ZONE, htons(t->zone));
	mnl_attr_nest_end(h, nest);
	put_id(h, id);
	return h;
}
