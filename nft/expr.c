/* SPDX-License-Identifier: GPL-2.0-or-later
 * Registers: every condition uses the first; a key is put together from it upwards, in
 * steps of four bytes, as the kernel's concatenations are. */
#include "nft/expr.h"

#include "base/macros.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

enum {
	R0 = NFT_REG32_00,
	LO = 1, /* the loopback device's index, in every network namespace */
	CT_INVALID = 1, /* the kernel's NF_CT_STATE_INVALID_BIT */
	CT_NEW = 8,     /* NF_CT_STATE_BIT(IP_CT_NEW) */
	RST = 4,        /* of byte 13 of a TCP header */
	REJECT_PROHIBITED = NFT_REJECT_ICMPX_ADMIN_PROHIBITED,
};

void chain(struct builder *b, const char *name, const struct hook *hook)
{
	struct nlmsghdr *m = batch_message(b->batch, NFT_MSG_NEWCHAIN,
		NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
	struct nftnl_chain *c = m ? nftnl_chain_alloc() : NULL;

	if (!c) {
		if (m)
			b->batch->error = -ENOMEM;
		return;
	}
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, b->table);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name);
	if (hook) {
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, hook->type);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook->at);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, hook->priority);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	nftnl_chain_nlmsg_build_payload(m, c);
	nftnl_chain_free(c);
	batch_add(b->batch, m);
}

void chain_at(struct builder *b, const char *name)
{
	b->chain = name;
}

void rule_begin(struct builder *b)
{
	b->rule = nftnl_rule_alloc();
	if (!b->rule) {
		b->batch->error = -ENOMEM;
		return;
	}
	nftnl_rule_set_str(b->rule, NFTNL_RULE_TABLE, b->table);
	nftnl_rule_set_str(b->rule, NFTNL_RULE_CHAIN, b->chain);
	nftnl_rule_set_u32(b->rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
}

void rule_end(struct builder *b)
{
	struct nlmsghdr *m = batch_message(b->batch, NFT_MSG_NEWRULE,
		NLM_F_REQUEST | NLM_F_CREATE | NLM_F_APPEND);

	if (m && b->nrules < ARRAY_LEN(b->rules)) {
		b->rules[b->nrules].seq = b->batch->next;
		b->rules[b->nrules++].chain = b->chain;
	}
	if (m) {
		nftnl_rule_nlmsg_build_payload(m, b->rule);
		batch_add(b->batch, m);
	}
	if (b->rule)
		nftnl_rule_free(b->rule);
	b->rule = NULL;
}

/* the rule owns it; NULL once memory ran out, and then every set32 does nothing */
static struct nftnl_expr *expr(struct builder *b, const char *name)
{
	struct nftnl_expr *e = b->rule ? nftnl_expr_alloc(name) : NULL;

	if (e)
		nftnl_rule_add_expr(b->rule, e);
	else
		b->batch->error = -ENOMEM;
	return e;
}

static void set32(struct nftnl_expr *e, uint16_t what, uint32_t v)
{
	if (e)
		nftnl_expr_set_u32(e, what, v);
}

static void set_bytes(struct nftnl_expr *e, uint16_t what, const void *v, uint32_t n)
{
	if (e)
		nftnl_expr_set(e, what, v, n);
}

static void set_name(struct nftnl_expr *e, uint16_t what, const char *v)
{
	if (e)
		nftnl_expr_set_str(e, what, v);
}

static void load_sock(struct builder *b)
{
	struct nftnl_expr *e = expr(b, "socket");

	set32(e, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_MARK);
	set32(e, NFTNL_EXPR_SOCKET_DREG, R0);
}

static void load_meta(struct builder *b, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e = expr(b, "meta");

	set32(e, NFTNL_EXPR_META_KEY, key);
	set32(e, NFTNL_EXPR_META_DREG, reg);
}

static void store_meta_mark(struct builder *b)
{
	struct nftnl_expr *e = expr(b, "meta");

	set32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	set32(e, NFTNL_EXPR_META_SREG, R0);
}

static void load_ct(struct builder *b, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e = expr(b, "ct");

	set32(e, NFTNL_EXPR_CT_KEY, key);
	set32(e, NFTNL_EXPR_CT_DREG, reg);
}

static void load_bytes(struct builder *b, uint32_t base, uint32_t at, uint32_t len,
	uint32_t reg)
{
	struct nftnl_expr *e = expr(b, "payload");

	set32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	set32(e, NFTNL_EXPR_PAYLOAD_OFFSET, at);
	set32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	set32(e, NFTNL_EXPR_PAYLOAD_DREG, reg);
}

static void bits(struct builder *b, uint32_t reg, const void *mask, const void *xor,
	uint32_t len)
{
	struct nftnl_expr *e = expr(b, "bitwise");

	set32(e, NFTNL_EXPR_BITWISE_SREG, reg);
	set32(e, NFTNL_EXPR_BITWISE_DREG, reg);
	set32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	set32(e, NFTNL_EXPR_BITWISE_LEN, len);
	set_bytes(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	set_bytes(e, NFTNL_EXPR_BITWISE_XOR, xor, len);
}

static void bits32(struct builder *b, uint32_t reg, uint32_t mask, uint32_t xor)
{
	bits(b, reg, &mask, &xor, sizeof(mask));
}

static void compare(struct builder *b, uint32_t op, const void *v, uint32_t len)
{
	struct nftnl_expr *e = expr(b, "cmp");

	set32(e, NFTNL_EXPR_CMP_SREG, R0);
	set32(e, NFTNL_EXPR_CMP_OP, op);
	set_bytes(e, NFTNL_EXPR_CMP_DATA, v, len);
}

static void equal32(struct builder *b, uint32_t v)
{
	compare(b, NFT_CMP_EQ, &v, sizeof(v));
}

static void equal8(struct builder *b, uint8_t v)
{
	compare(b, NFT_CMP_EQ, &v, sizeof(v));
}

static void load_actor(struct builder *b)
{
	load_sock(b);
	bits32(b, R0, MARK_ACTOR_BITS, 0);
}

void if_sock_any(struct builder *b)
{
	load_sock(b);
}

void if_sock_ours(struct builder *b)
{
	load_sock(b);
	bits32(b, R0, 0xff000000, 0);
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
	bits32(b, R0, MARK_DEVICE_BIT, 0);
	equal32(b, MARK_DEVICE_BIT);
}

void if_mark_zero(struct builder *b)
{
	load_meta(b, NFT_META_MARK, R0);
	equal32(b, 0);
}

void if_mark_ours(struct builder *b)
{
	load_meta(b, NFT_META_MARK, R0);
	bits32(b, R0, 0xff000000 & ~(uint32_t)MARK_STAMP_BIT, 0);
	equal32(b, b->mark);
}

void do_stamp_from_sock(struct builder *b)
{
	load_sock(b);
	bits32(b, R0, ~(uint32_t)MARK_STAMP_BIT, MARK_STAMP_BIT);
	store_meta_mark(b);
}

void do_stamp_from_ct(struct builder *b)
{
	load_ct(b, NFT_CT_MARK, R0);
	bits32(b, R0, CTMARK_BITS, MARK_STAMP_BIT);
	store_meta_mark(b);
}

void if_ct_ours(struct builder *b)
{
	load_ct(b, NFT_CT_MARK, R0);
	bits32(b, R0, CTMARK_BITS & 0xff000000, 0);
	equal32(b, b->mark);
}

void if_ct_mark_zero(struct builder *b)
{
	load_ct(b, NFT_CT_MARK, R0);
	equal32(b, 0);
}

void if_ct_status(struct builder *b, uint32_t mask, uint32_t value)
{
	load_ct(b, NFT_CT_STATUS, R0);
	bits32(b, R0, mask, 0);
	equal32(b, value);
}

static void if_ct_state(struct builder *b, uint32_t state)
{
	load_ct(b, NFT_CT_STATE, R0);
	bits32(b, R0, state, 0);
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

void do_ct_mark_actor(struct builder *b)
{
	struct nftnl_expr *e;

	load_actor(b);
	e = expr(b, "ct");
	set32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
	set32(e, NFTNL_EXPR_CT_SREG, R0);
}

/* the mark is in the register */
static void do_zone(struct builder *b)
{
	struct nftnl_expr *e;

	bits32(b, R0, ACTOR_MASK, b->zone);
	e = expr(b, "ct");
	set32(e, NFTNL_EXPR_CT_KEY, NFT_CT_ZONE);
	set32(e, NFTNL_EXPR_CT_SREG, R0);
	if (e)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, IP_CT_DIR_ORIGINAL);
}

void do_zone_from_sock(struct builder *b)
{
	load_sock(b);
	do_zone(b);
}

void do_zone_from_mark(struct builder *b)
{
	load_meta(b, NFT_META_MARK, R0);
	do_zone(b);
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
		bits(b, R0, mask, none, len);
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

void if_to_type(struct builder *b, uint32_t type)
{
	struct nftnl_expr *e = expr(b, "fib");

	set32(e, NFTNL_EXPR_FIB_DREG, R0);
	set32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	set32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
	equal32(b, type);
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

void if_rst(struct builder *b)
{
	const uint8_t rst = RST, none = 0;

	if_proto(b, IPPROTO_TCP);
	load_bytes(b, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, R0);
	bits(b, R0, &rst, &none, 1);
	equal8(b, rst);
}

static void lookup(struct builder *b, enum set_id id, bool inverted)
{
	struct nftnl_expr *e = expr(b, "lookup");

	set32(e, NFTNL_EXPR_LOOKUP_SREG, R0);
	set_name(e, NFTNL_EXPR_LOOKUP_SET, set_defs[id].name);
	if (inverted)
		set32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

/* the same order as set_key() */
static void load_key(struct builder *b, enum set_id id)
{
	const struct set_def *d = &set_defs[id];
	uint32_t reg = R0 + 1;

	if (d->family == 4)
		if_v4(b);
	else if (d->family == 6)
		if_v6(b);
	load_actor(b);
	if (d->family) {
		uint32_t len = d->family == 4 ? 4 : 16;

		load_bytes(b, NFT_PAYLOAD_NETWORK_HEADER, address_at(d->family, true), len, reg);
		reg += len / 4;
	}
	if (d->service) {
		load_meta(b, NFT_META_L4PROTO, reg);
		load_bytes(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg + 1);
	}
}

void if_in_set(struct builder *b, enum set_id id)
{
	load_key(b, id);
	lookup(b, id, false);
}

void if_not_in_set(struct builder *b, enum set_id id)
{
	load_key(b, id);
	lookup(b, id, true);
}

void if_factory(struct builder *b, enum nft_factory class)
{
	uint32_t v = class;
	struct nftnl_expr *e;

	load_actor(b);
	e = expr(b, "immediate");
	set32(e, NFTNL_EXPR_IMM_DREG, R0 + 1);
	set_bytes(e, NFTNL_EXPR_IMM_DATA, &v, sizeof(v));
	lookup(b, SET_FACTORY, false);
}

void if_pair(struct builder *b)
{
	load_actor(b);
	load_ct(b, NFT_CT_MARK, R0 + 1);
	bits32(b, R0 + 1, CTMARK_BITS, 0);
	lookup(b, SET_PAIRS, false);
}

static void limit(struct builder *b, enum set_id id, uint32_t flags, uint32_t per_s,
	uint32_t burst)
{
	struct nftnl_expr *e, *l;

	load_actor(b);
	e = expr(b, "dynset");
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
	set32(e, NFTNL_EXPR_DYNSET_SREG_KEY, R0);
	set32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_ADD);
	set_name(e, NFTNL_EXPR_DYNSET_SET_NAME, set_defs[id].name);
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

static void verdict(struct builder *b, int code, const char *to)
{
	struct nftnl_expr *e = expr(b, "immediate");

	set32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	set32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
	if (to)
		set_name(e, NFTNL_EXPR_IMM_CHAIN, to);
}

void do_accept(struct builder *b)
{
	verdict(b, NF_ACCEPT, NULL);
}

void do_drop(struct builder *b)
{
	verdict(b, NF_DROP, NULL);
}

void do_return(struct builder *b)
{
	verdict(b, NFT_RETURN, NULL);
}

void do_jump(struct builder *b, const char *to)
{
	verdict(b, NFT_JUMP, to);
}

void do_goto(struct builder *b, const char *to)
{
	verdict(b, NFT_GOTO, to);
}

static void reject(struct builder *b, uint32_t type, uint8_t code)
{
	struct nftnl_expr *e = expr(b, "reject");

	set32(e, NFTNL_EXPR_REJECT_TYPE, type);
	if (e)
		nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, code);
}

void do_reset(struct builder *b)
{
	if_proto(b, IPPROTO_TCP);
	reject(b, NFT_REJECT_TCP_RST, 0);
}

void do_reject(struct builder *b)
{
	reject(b, NFT_REJECT_ICMPX_UNREACH, REJECT_PROHIBITED);
}

void do_log(struct builder *b, const char *word)
{
	struct nftnl_expr *e = expr(b, "log");

	set_name(e, NFTNL_EXPR_LOG_PREFIX, word);
	if (!e)
		return;
	nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_GROUP, instance_log_group(b->conf->instance));
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOG_SNAPLEN, 128);
	nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_QTHRESHOLD, 1); /* nobody waits for more lines */
}

static void immediate(struct builder *b, uint32_t reg, const void *v, uint32_t len)
{
	struct nftnl_expr *e = expr(b, "immediate");

	set32(e, NFTNL_EXPR_IMM_DREG, reg);
	set_bytes(e, NFTNL_EXPR_IMM_DATA, v, len);
}

void do_redirect(struct builder *b, const struct addr *to, uint16_t port)
{
	uint32_t len = to->family == 4 ? 4 : 16, port_reg = R0 + len / 4;
	uint16_t v = htons(port);
	struct nftnl_expr *e;

	immediate(b, R0, to->b, len);
	immediate(b, port_reg, &v, sizeof(v));
	e = expr(b, "nat");
	set32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	set32(e, NFTNL_EXPR_NAT_FAMILY, to->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	set32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, R0);
	set32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, port_reg);
	set32(e, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
}

static void source(struct builder *b, uint32_t family, uint32_t addr_reg)
{
	struct nftnl_expr *e = expr(b, "nat");

	set32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_SNAT);
	set32(e, NFTNL_EXPR_NAT_FAMILY, family);
	set32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, addr_reg);
}

/* reg := the ct mark's number in network order, bits of the last word of a prefix over it */
static void load_number(struct builder *b, uint32_t reg, const uint8_t last_word[4])
{
	struct nftnl_expr *e;
	uint32_t mask = htonl(ACTOR_MASK);

	load_ct(b, NFT_CT_MARK, reg);
	e = expr(b, "byteorder");
	set32(e, NFTNL_EXPR_BYTEORDER_SREG, reg);
	set32(e, NFTNL_EXPR_BYTEORDER_DREG, reg);
	set32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	set32(e, NFTNL_EXPR_BYTEORDER_LEN, 4);
	set32(e, NFTNL_EXPR_BYTEORDER_SIZE, 4);
	bits(b, reg, &mask, last_word, 4);
}

void do_source4(struct builder *b)
{
	struct addr prefix = instance_source(b->conf->instance, 4, 0);

	load_number(b, R0, prefix.b);
	source(b, NFPROTO_IPV4, R0);
}

void do_source6(struct builder *b)
{
	struct addr prefix = instance_source(b->conf->instance, 6, 0);

	immediate(b, R0, prefix.b, 16);
	load_number(b, R0 + 3, prefix.b + 12);
	source(b, NFPROTO_IPV6, R0);
}
