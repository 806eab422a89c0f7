/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/expr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <stdio.h>

#include <libnftnl/expr.h> /* wants FILE */

enum {
	LO = 1, /* the loopback device's index, in every network namespace */
	CT_INVALID = 1, /* the kernel's NF_CT_STATE_INVALID_BIT */
	CT_RELATED = 4, /* NF_CT_STATE_BIT(IP_CT_RELATED) */
	CT_NEW = 8,     /* NF_CT_STATE_BIT(IP_CT_NEW) */
	FIN = 1,        /* of byte 13 of a TCP header */
	SYN = 2,
	RST = 4,
	ACK = 16,
};

void compare_at(struct builder *b, uint32_t reg, uint32_t op, const void *v, uint32_t len)
{
	struct nftnl_expr *e = expr_new(b, "cmp");

	expr_set32(e, NFTNL_EXPR_CMP_SREG, reg);
	expr_set32(e, NFTNL_EXPR_CMP_OP, op);
	expr_set(e, NFTNL_EXPR_CMP_DATA, v, len);
}

static void compare(struct builder *b, uint32_t op, const void *v, uint32_t len)
{
	compare_at(b, R0, op, v, len);
}

static void equal32(struct builder *b, uint32_t v)
{
	compare(b, NFT_CMP_EQ, &v, sizeof(v));
}

static void equal8(struct builder *b, uint8_t v)
{
	compare(b, NFT_CMP_EQ, &v, sizeof(v));
}

void if_sock_any(struct builder *b)
{
	load_sock_own(b);
}

void if_sock_ours(struct builder *b)
{
	load_sock(b);
	load_bits32(b, R0, 0xff000000, 0);
	equal32(b, b->mark);
}

void if_sock_actor(struct builder *b, uint32_t actor)
{
	load_actor(b);
	equal32(b, b->mark | actor);
}

void if_sock_not_actor(struct builder *b, uint32_t actor)
{
	uint32_t v = b->mark | actor;

	load_actor(b);
	compare(b, NFT_CMP_NEQ, &v, sizeof(v));
}

void if_sock_device(struct builder *b)
{
	load_sock(b);
	load_bits32(b, R0, MARK_DEVICE_BIT, 0);
	equal32(b, MARK_DEVICE_BIT);
}

void if_mark_ours(struct builder *b)
{
	load_meta(b, NFT_META_MARK, R0);
	load_bits32(b, R0, 0xff000000 & ~(uint32_t)MARK_STAMP_BIT, 0);
	equal32(b, b->mark);
}

void if_mark_stamped(struct builder *b)
{
	load_meta(b, NFT_META_MARK, R0);
	load_bits32(b, R0, 0xff000000, 0);
	equal32(b, b->mark | MARK_STAMP_BIT);
}

void if_mark_not_ours(struct builder *b)
{
	load_meta(b, NFT_META_MARK, R0);
	load_bits32(b, R0, 0xff000000 & ~(uint32_t)MARK_STAMP_BIT, 0);
	compare(b, NFT_CMP_NEQ, &b->mark, sizeof(b->mark));
}

void if_mark_nobodys(struct builder *b)
{
	load_meta(b, NFT_META_MARK, R0);
	load_bits32(b, R0, 0xff000000, 0);
	equal32(b, 0);
}

void if_zone_none(struct builder *b)
{
	const uint16_t none = 0;

	load_ct(b, NFT_CT_ZONE, R0);
	compare(b, NFT_CMP_EQ, &none, sizeof(none));
}

void if_ct_ours(struct builder *b)
{
	load_ct(b, NFT_CT_MARK, R0);
	load_bits32(b, R0, CTMARK_BITS & 0xff000000, 0);
	equal32(b, b->mark);
}

void if_ct_self(struct builder *b)
{
	load_ct(b, NFT_CT_MARK, R0);
	load_bits32(b, R0, CTMARK_BITS, 0);
	equal32(b, b->mark | ACTOR_SELF);
}

void if_ct_mark_zero(struct builder *b)
{
	load_ct(b, NFT_CT_MARK, R0);
	equal32(b, 0);
}

void if_ct_status(struct builder *b, uint32_t mask, uint32_t value)
{
	load_ct(b, NFT_CT_STATUS, R0);
	load_bits32(b, R0, mask, 0);
	equal32(b, value);
}

static void if_ct_state(struct builder *b, uint32_t state)
{
	load_ct(b, NFT_CT_STATE, R0);
	load_bits32(b, R0, state, 0);
	equal32(b, state);
}

void if_ct_invalid(struct builder *b)
{
	if_ct_state(b, CT_INVALID);
}

void if_ct_new(struct builder *b)
{
	if_ct_state(b, CT_NEW);
	if_ct_status(b, IPS_CONFIRMED, 0);
}

void if_ct_related(struct builder *b)
{
	if_ct_state(b, CT_RELATED);
}

static void if_ct_direction(struct builder *b, uint8_t direction)
{
	load_ct(b, NFT_CT_DIRECTION, R0);
	equal8(b, direction);
}

void if_ct_original(struct builder *b)
{
	if_ct_direction(b, IP_CT_DIR_ORIGINAL);
}

void if_ct_reply(struct builder *b)
{
	if_ct_direction(b, IP_CT_DIR_REPLY);
}

void if_ct_answers_from(struct builder *b, const struct addr *a)
{
	bool six = a->family == 6;
	struct nftnl_expr *e = expr_new(b, "ct");

	expr_set32(e, NFTNL_EXPR_CT_KEY, six ? NFT_CT_SRC_IP6 : NFT_CT_SRC_IP);
	expr_set32(e, NFTNL_EXPR_CT_DREG, R0);
	if (e)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, IP_CT_DIR_REPLY);
	compare(b, NFT_CMP_EQ, a->b, six ? 16 : 4);
}

void if_v4(struct builder *b)
{
	load_meta(b, NFT_META_NFPROTO, R0);
	equal8(b, NFPROTO_IPV4);
}

void if_v6(struct builder *b)
{
	load_meta(b, NFT_META_NFPROTO, R0);
	equal8(b, NFPROTO_IPV6);
}

void if_in_none(struct builder *b)
{
	load_meta(b, NFT_META_IIF, R0);
	equal32(b, 0);
}

void if_in_lo(struct builder *b)
{
	load_meta(b, NFT_META_IIF, R0);
	equal32(b, LO);
}

void if_out_lo(struct builder *b)
{
	load_meta(b, NFT_META_OIF, R0);
	equal32(b, LO);
}

void if_out_not_lo(struct builder *b)
{
	uint32_t lo = LO;

	load_meta(b, NFT_META_OIF, R0);
	compare(b, NFT_CMP_NEQ, &lo, sizeof(lo));
}

/* offsets of source and destination in RFC 791 and RFC 8200 headers */
static unsigned address_at(uint8_t family, bool to)
{
	if (family == 4)
		return to ? 16 : 12;
	return to ? 24 : 8;
}

static void if_address(struct builder *b, const struct addr *a, unsigned prefix, bool to)
{
	uint8_t mask[16] = { 0 }, none[16] = { 0 }, net[16];
	unsigned len = a->family == 4 ? 4 : 16;

	for (unsigned i = 0; i < prefix && i < len * 8; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	for (unsigned i = 0; i < len; i++)
		net[i] = a->b[i] & mask[i];
	if (a->family == 4)
		if_v4(b);
	else
		if_v6(b);
	load_bytes(b, NFT_PAYLOAD_NETWORK_HEADER, address_at(a->family, to), len, R0);
	if (prefix < len * 8)
		load_bits(b, R0, mask, none, len);
	compare(b, NFT_CMP_EQ, net, len);
}

void if_to(struct builder *b, const struct addr *a, unsigned prefix)
{
	if_address(b, a, prefix, true);
}

void if_from(struct builder *b, const struct addr *a, unsigned prefix)
{
	if_address(b, a, prefix, false);
}

void if_to_text(struct builder *b, const char *text, unsigned prefix)
{
	struct addr a;

	if (addr_parse(text, &a) < 0)
		b->batch->error = -EINVAL; /* a literal of ours that is wrong */
	else
		if_to(b, &a, prefix);
}

static void if_type(struct builder *b, uint32_t which, uint32_t type)
{
	struct nftnl_expr *e = expr_new(b, "fib");

	expr_set32(e, NFTNL_EXPR_FIB_DREG, R0);
	expr_set32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	expr_set32(e, NFTNL_EXPR_FIB_FLAGS, which);
	equal32(b, type);
}

void if_to_type(struct builder *b, uint32_t type)
{
	if_type(b, NFTA_FIB_F_DADDR, type);
}

void if_from_type(struct builder *b, uint32_t type)
{
	if_type(b, NFTA_FIB_F_SADDR, type);
}

void if_proto(struct builder *b, uint8_t proto)
{
	load_meta(b, NFT_META_L4PROTO, R0);
	equal8(b, proto);
}

static void if_port(struct builder *b, uint16_t port, unsigned at)
{
	uint16_t v = htons(port);

	load_bytes(b, NFT_PAYLOAD_TRANSPORT_HEADER, at, sizeof(v), R0);
	compare(b, NFT_CMP_EQ, &v, sizeof(v));
}

void if_to_port(struct builder *b, uint16_t port)
{
	if_port(b, port, 2);
}

void if_from_port(struct builder *b, uint16_t port)
{
	if_port(b, port, 0);
}

static void if_icmp_type(struct builder *b, uint8_t proto, uint8_t first, uint8_t last)
{
	if_proto(b, proto);
	load_bytes(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, R0);
	compare(b, NFT_CMP_GTE, &first, 1);
	compare(b, NFT_CMP_LTE, &last, 1);
}

void if_icmp(struct builder *b, uint8_t first, uint8_t last)
{
	if_v4(b);
	if_icmp_type(b, IPPROTO_ICMP, first, last);
}

void if_icmp6(struct builder *b, uint8_t first, uint8_t last)
{
	if_v6(b);
	if_icmp_type(b, IPPROTO_ICMPV6, first, last);
}

void if_hoplimit(struct builder *b, uint8_t hops)
{
	load_bytes(b, NFT_PAYLOAD_NETWORK_HEADER, 7, 1, R0);
	equal8(b, hops);
}

static void if_flags(struct builder *b, uint8_t mask, uint8_t flags)
{
	const uint8_t none = 0;

	if_proto(b, IPPROTO_TCP);
	load_bytes(b, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, R0);
	load_bits(b, R0, &mask, &none, 1);
	equal8(b, flags);
}

void if_syn(struct builder *b)
{
	if_flags(b, FIN | SYN | RST | ACK, SYN);
}

void if_rst(struct builder *b)
{
	if_flags(b, RST, RST);
}

static void lookup(struct builder *b, enum set_id id, bool inverted)
{
	struct nftnl_expr *e = expr_new(b, "lookup");

	expr_set32(e, NFTNL_EXPR_LOOKUP_SREG, R0);
	expr_set_name(e, NFTNL_EXPR_LOOKUP_SET, set_defs[id].name);
	if (inverted)
		expr_set32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

/* whoever's socket it is, if it is ours: the magic with our own number */
static void load_self(struct builder *b)
{
	load_sock(b);
	load_bits32(b, R0, 0xff000000, ACTOR_SELF);
}

static void load_anybody(struct builder *b)
{
	const uint32_t self = b->mark | ACTOR_SELF;

	load_value(b, R0, &self, sizeof(self));
}

/* the same order as set_key() */
enum port_key { PORT_OF_PACKET, PORT_ANY };

static void load_key(struct builder *b, enum set_id id, enum port_key port)
{
	const uint16_t every = 0;
	const struct set_def *d = &set_defs[id];
	uint32_t reg = R0 + 1;

	if (d->family == 4)
		if_v4(b);
	else if (d->family == 6)
		if_v6(b);
	if (set_is_tunnel(id) && b->conf->basic)
		load_anybody(b); /* a packet has no number yet where these are looked for */
	else if (set_is_tunnel(id))
		load_self(b);
	else
		load_actor(b);
	if (d->family) {
		uint32_t len = d->family == 4 ? 4 : 16;

		load_bytes(b, NFT_PAYLOAD_NETWORK_HEADER, address_at(d->family, !d->peer), len,
			reg);
		reg += len / 4;
	}
	if (d->service) {
		load_meta(b, NFT_META_L4PROTO, reg);
		if (port == PORT_ANY)
			load_value(b, reg + 1, &every, sizeof(every));
		else
			load_bytes(b, NFT_PAYLOAD_TRANSPORT_HEADER,
				id == SET_TUNNEL_FROM ? 0 : 2, 2, reg + 1);
	}
}

void if_in_set(struct builder *b, enum set_id id)
{
	load_key(b, id, PORT_OF_PACKET);
	lookup(b, id, false);
}

void if_in_set_any_port(struct builder *b, enum set_id id)
{
	load_key(b, id, PORT_ANY);
	lookup(b, id, false);
}

void if_not_in_set(struct builder *b, enum set_id id)
{
	load_key(b, id, PORT_OF_PACKET);
	lookup(b, id, true);
}

void if_on(struct builder *b, enum set_id id)
{
	load_self(b);
	lookup(b, id, false);
}

void if_on_for_all(struct builder *b, enum set_id id)
{
	load_anybody(b);
	lookup(b, id, false);
}

void if_factory(struct builder *b, enum nft_factory class)
{
	uint32_t v = class;

	load_actor(b);
	load_value(b, R0 + 1, &v, sizeof(v));
	lookup(b, SET_FACTORY, false);
}

static void pair(struct builder *b, bool inverted)
{
	load_actor(b);
	load_ct(b, NFT_CT_MARK, R0 + 1);
	load_bits32(b, R0 + 1, CTMARK_BITS, 0);
	lookup(b, SET_PAIRS, inverted);
}

void if_pair(struct builder *b)
{
	pair(b, false);
}

void if_not_pair(struct builder *b)
{
	pair(b, true);
}

static void limit(struct builder *b, enum set_id id, uint32_t flags, uint32_t per_s,
	uint32_t burst)
{
	struct nftnl_expr *e, *l;

	load_actor(b);
	e = expr_new(b, "dynset");
	l = e ? nftnl_expr_alloc("limit") : NULL;
	if (!l) {
		b->batch->error = -ENOMEM;
		return;
	}
	nftnl_expr_set_u64(l, NFTNL_EXPR_LIMIT_RATE, per_s);
	nftnl_expr_set_u64(l, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(l, NFTNL_EXPR_LIMIT_BURST, burst);
	nftnl_expr_set_u32(l, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(l, NFTNL_EXPR_LIMIT_FLAGS, flags);
	expr_set32(e, NFTNL_EXPR_DYNSET_SREG_KEY, R0);
	expr_set32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_ADD);
	expr_set_name(e, NFTNL_EXPR_DYNSET_SET_NAME, set_defs[id].name);
	nftnl_expr_add_expr(e, NFTNL_EXPR_DYNSET_EXPRESSIONS, l); /* takes it */
}

void if_over(struct builder *b, enum set_id id, uint32_t per_s, uint32_t burst)
{
	limit(b, id, NFT_LIMIT_F_INV, per_s, burst);
}

void if_within(struct builder *b, enum set_id id, uint32_t per_s, uint32_t burst)
{
	limit(b, id, 0, per_s, burst);
}
