/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/expr.h"

#include "base/macros.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

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

struct nftnl_expr *expr_new(struct builder *b, const char *name)
{
	struct nftnl_expr *e = b->rule ? nftnl_expr_alloc(name) : NULL;

	if (e)
		nftnl_rule_add_expr(b->rule, e);
	else
		b->batch->error = -ENOMEM;
	return e;
}

void expr_set32(struct nftnl_expr *e, uint16_t what, uint32_t v)
{
	if (e)
		nftnl_expr_set_u32(e, what, v);
}

void expr_set(struct nftnl_expr *e, uint16_t what, const void *v, uint32_t n)
{
	if (e)
		nftnl_expr_set(e, what, v, n);
}

void expr_set_name(struct nftnl_expr *e, uint16_t what, const char *v)
{
	if (e)
		nftnl_expr_set_str(e, what, v);
}

void load_sock(struct builder *b)
{
	if (b->conf->basic)
		load_meta(b, NFT_META_MARK, R0);
	else
		load_sock_own(b);
}

void load_sock_own(struct builder *b)
{
	struct nftnl_expr *e = expr_new(b, "socket");

	expr_set32(e, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_MARK);
	expr_set32(e, NFTNL_EXPR_SOCKET_DREG, R0);
}

void load_actor(struct builder *b)
{
	load_sock(b);
	load_bits32(b, R0, MARK_ACTOR_BITS, 0);
}

void load_meta(struct builder *b, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e = expr_new(b, "meta");

	expr_set32(e, NFTNL_EXPR_META_KEY, key);
	expr_set32(e, NFTNL_EXPR_META_DREG, reg);
}

void load_ct(struct builder *b, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e = expr_new(b, "ct");

	expr_set32(e, NFTNL_EXPR_CT_KEY, key);
	expr_set32(e, NFTNL_EXPR_CT_DREG, reg);
}

void load_bytes(struct builder *b, uint32_t base, uint32_t at, uint32_t len,
	uint32_t reg)
{
	struct nftnl_expr *e = expr_new(b, "payload");

	expr_set32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	expr_set32(e, NFTNL_EXPR_PAYLOAD_OFFSET, at);
	expr_set32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	expr_set32(e, NFTNL_EXPR_PAYLOAD_DREG, reg);
}

void load_bits(struct builder *b, uint32_t reg, const void *mask, const void *xor,
	uint32_t len)
{
	struct nftnl_expr *e = expr_new(b, "bitwise");

	expr_set32(e, NFTNL_EXPR_BITWISE_SREG, reg);
	expr_set32(e, NFTNL_EXPR_BITWISE_DREG, reg);
	expr_set32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	expr_set32(e, NFTNL_EXPR_BITWISE_LEN, len);
	expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	expr_set(e, NFTNL_EXPR_BITWISE_XOR, xor, len);
}

void load_bits32(struct builder *b, uint32_t reg, uint32_t mask, uint32_t xor)
{
	load_bits(b, reg, &mask, &xor, sizeof(mask));
}

void load_value(struct builder *b, uint32_t reg, const void *v, uint32_t len)
{
	struct nftnl_expr *e = expr_new(b, "immediate");

	expr_set32(e, NFTNL_EXPR_IMM_DREG, reg);
	expr_set(e, NFTNL_EXPR_IMM_DATA, v, len);
}
