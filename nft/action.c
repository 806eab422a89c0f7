/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/expr.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <stdio.h>

#include <libnftnl/expr.h> /* wants FILE */

void store_mark(struct builder *b)
{
	struct nftnl_expr *e = expr_new(b, "meta");

	expr_set32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	expr_set32(e, NFTNL_EXPR_META_SREG, R0);
}

void do_stamp_from_sock(struct builder *b)
{
	load_sock(b);
	load_bits32(b, R0, ~(uint32_t)MARK_STAMP_BIT, MARK_STAMP_BIT);
	store_mark(b);
}

void do_stamp_from_ct(struct builder *b)
{
	load_ct(b, NFT_CT_MARK, R0);
	load_bits32(b, R0, CTMARK_BITS, MARK_STAMP_BIT);
	store_mark(b);
}

static void ct_mark(struct builder *b, uint32_t flags)
{
	struct nftnl_expr *e;

	load_actor(b);
	if (flags)
		load_bits32(b, R0, ~flags, flags);
	e = expr_new(b, "ct");
	expr_set32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
	expr_set32(e, NFTNL_EXPR_CT_SREG, R0);
}

void do_ct_mark_actor(struct builder *b)
{
	ct_mark(b, 0);
}

void do_ct_mark_local(struct builder *b)
{
	ct_mark(b, CTMARK_LOCAL);
}

/* the mark is in the register */
static void do_zone(struct builder *b)
{
	struct nftnl_expr *e;

	load_bits32(b, R0, ACTOR_MASK, b->zone);
	e = expr_new(b, "ct");
	expr_set32(e, NFTNL_EXPR_CT_KEY, NFT_CT_ZONE);
	expr_set32(e, NFTNL_EXPR_CT_SREG, R0);
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

static void verdict(struct builder *b, int code, const char *to)
{
	struct nftnl_expr *e = expr_new(b, "immediate");

	expr_set32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	expr_set32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
	if (to)
		expr_set_name(e, NFTNL_EXPR_IMM_CHAIN, to);
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
	struct nftnl_expr *e = expr_new(b, "reject");

	expr_set32(e, NFTNL_EXPR_REJECT_TYPE, type);
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
	reject(b, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
}

void do_log(struct builder *b, const char *word)
{
	struct nftnl_expr *e = expr_new(b, "log");

	expr_set_name(e, NFTNL_EXPR_LOG_PREFIX, word);
	if (!e)
		return;
	nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_GROUP, instance_log_group(b->conf->instance));
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOG_SNAPLEN, 128);
	nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_QTHRESHOLD, 1); /* nobody waits for more lines */
}

void do_redirect(struct builder *b, const struct addr *to, uint16_t port)
{
	uint32_t len = to->family == 4 ? 4 : 16, port_reg = R0 + len / 4;
	uint16_t v = htons(port);
	struct nftnl_expr *e;

	load_value(b, R0, to->b, len);
	load_value(b, port_reg, &v, sizeof(v));
	e = expr_new(b, "nat");
	expr_set32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	expr_set32(e, NFTNL_EXPR_NAT_FAMILY, to->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	expr_set32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, R0);
	expr_set32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, port_reg);
	expr_set32(e, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
}

static void source(struct builder *b, uint32_t family, uint32_t addr_reg)
{
	struct nftnl_expr *e = expr_new(b, "nat");

	expr_set32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_SNAT);
	expr_set32(e, NFTNL_EXPR_NAT_FAMILY, family);
	expr_set32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, addr_reg);
}

/* reg := the ct mark's number in network order, bits of the last word of a prefix over it */
static void load_number(struct builder *b, uint32_t reg, const uint8_t last_word[4])
{
	struct nftnl_expr *e;
	uint32_t mask = htonl(ACTOR_MASK);

	load_ct(b, NFT_CT_MARK, reg);
	e = expr_new(b, "byteorder");
	expr_set32(e, NFTNL_EXPR_BYTEORDER_SREG, reg);
	expr_set32(e, NFTNL_EXPR_BYTEORDER_DREG, reg);
	expr_set32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	expr_set32(e, NFTNL_EXPR_BYTEORDER_LEN, 4);
	expr_set32(e, NFTNL_EXPR_BYTEORDER_SIZE, 4);
	load_bits(b, reg, &mask, last_word, 4);
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

	load_value(b, R0, prefix.b, 16);
	load_number(b, R0 + 3, prefix.b + 12);
	source(b, NFPROTO_IPV6, R0);
}
