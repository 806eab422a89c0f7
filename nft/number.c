/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Basic mode. Theory of operation: no BPF gives a socket its mark, so the packet gets one
 * from what the kernel knows of its socket, the cgroup it was made in and the user who made
 * it. A pair that has no number yet draws one here and now, before anything is decided about
 * its first packet; user space reads the set `numbers` to learn what a number stands for.
 *
 * nft can only compare the ancestor of a cgroup at a given level, so there is a chain for
 * each level below the scope, the deepest first: the first level that a socket's cgroup has
 * is its own. Cgroups deeper than LEVELS below the scope count as their ancestor there.
 *
 * A socket that its program closed still has its cgroup, but no user. Its packets are known
 * by their conntrack entry, and conntrack zones are by cgroup alone, so that they find it.
 * In input there is no user for a datagram either: what comes in is for the cgroup. So a
 * flow bears the number of a user, or that of the cgroup where it began outside, and in
 * replies either is right if it is the same cgroup's (the set `kin`).
 *
 * The daemon's sockets bear SO_MARK as ever, but only in the daemon's own cgroup: a guarded
 * program elsewhere that may set marks does not pass for it.
 */
#include "nft/expr.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>

#include <libnftnl/expr.h> /* wants FILE */

enum {
	LEVELS = 8,
	KEY = R0, /* two registers of cgroup, one of user or mark */
};

static const char *const cgroup_chains[LEVELS + 1] = { "number_cg_0", "number_cg_1",
	"number_cg_2", "number_cg_3", "number_cg_4", "number_cg_5", "number_cg_6", "number_cg_7",
	"number_cg_8" };
static const char *const user_chains[LEVELS + 1] = { "number_user_0", "number_user_1",
	"number_user_2", "number_user_3", "number_user_4", "number_user_5", "number_user_6",
	"number_user_7", "number_user_8" };

static const char *const kin_chains[LEVELS + 1] = { "number_kin_0", "number_kin_1",
	"number_kin_2", "number_kin_3", "number_kin_4", "number_kin_5", "number_kin_6",
	"number_kin_7", "number_kin_8" };

static void load_cgroup(struct builder *b, unsigned level, uint32_t reg)
{
	struct nftnl_expr *e = expr_new(b, "socket");

	expr_set32(e, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_CGROUPV2);
	expr_set32(e, NFTNL_EXPR_SOCKET_LEVEL, level);
	expr_set32(e, NFTNL_EXPR_SOCKET_DREG, reg);
}

static void if_cgroup(struct builder *b, unsigned level, uint64_t id)
{
	load_cgroup(b, level, R0);
	compare_at(b, R0, NFT_CMP_EQ, &id, sizeof(id));
}

static void load_key(struct builder *b, unsigned level, bool user, uint32_t reg)
{
	const uint32_t any = NFT_ANY_USER;

	load_cgroup(b, level, reg);
	if (user)
		load_meta(b, NFT_META_SKUID, reg + 2);
	else
		load_value(b, reg + 2, &any, sizeof(any));
}

static void find(struct builder *b, uint32_t key, uint32_t to)
{
	struct nftnl_expr *e = expr_new(b, "lookup");

	expr_set32(e, NFTNL_EXPR_LOOKUP_SREG, key);
	expr_set32(e, NFTNL_EXPR_LOOKUP_DREG, to);
	expr_set_name(e, NFTNL_EXPR_LOOKUP_SET, set_defs[SET_NUMBERS].name);
}

static struct nftnl_expr *add(struct builder *b, enum set_id id, uint32_t key)
{
	struct nftnl_expr *e = expr_new(b, "dynset");

	expr_set32(e, NFTNL_EXPR_DYNSET_SREG_KEY, key);
	expr_set32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_ADD);
	expr_set_name(e, NFTNL_EXPR_DYNSET_SET_NAME, set_defs[id].name);
	return e;
}

static void do_mark(struct builder *b, uint32_t mark)
{
	load_value(b, R0, &mark, sizeof(mark));
	store_mark(b);
}

/* the packet's mark := number . drawn, if one is left. One expression counts for all. */
static void chain_draw(struct builder *b)
{
	const uint32_t last = htonl(b->last);
	struct nftnl_expr *e;

	chain_at(b, "number_draw");
	rule_begin(b);
	e = expr_new(b, "numgen");
	expr_set32(e, NFTNL_EXPR_NG_DREG, R0);
	expr_set32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_INCREMENTAL);
	expr_set32(e, NFTNL_EXPR_NG_MODULUS, INT32_MAX); /* never comes round */
	expr_set32(e, NFTNL_EXPR_NG_OFFSET, b->first);
	e = expr_new(b, "byteorder"); /* the kernel compares bytes */
	expr_set32(e, NFTNL_EXPR_BYTEORDER_SREG, R0);
	expr_set32(e, NFTNL_EXPR_BYTEORDER_DREG, R0 + 1);
	expr_set32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	expr_set32(e, NFTNL_EXPR_BYTEORDER_LEN, 4);
	expr_set32(e, NFTNL_EXPR_BYTEORDER_SIZE, 4);
	compare_at(b, R0 + 1, NFT_CMP_LTE, &last, sizeof(last));
	load_bits32(b, R0, ACTOR_MASK, b->mark);
	store_mark(b);
	rule_end(b);
}

static void if_drawn(struct builder *b)
{
	load_meta(b, NFT_META_MARK, R0 + 3);
	compare_at(b, R0 + 3, NFT_CMP_NEQ, &(uint32_t){ 0 }, sizeof(uint32_t));
}

static void chain_level(struct builder *b, const char *chain, unsigned level, bool user)
{
	struct nftnl_expr *e;

	chain_at(b, chain);
	RULE(b, load_key(b, level, user, KEY), find(b, KEY, R0), store_mark(b), do_return(b));
	RULE(b, do_mark(b, 0), do_jump(b, "number_draw"));
	rule_begin(b);
	load_key(b, level, user, KEY);
	if_drawn(b);
	e = add(b, SET_NUMBERS, KEY);
	expr_set32(e, NFTNL_EXPR_DYNSET_SREG_DATA, R0 + 3);
	rule_end(b);
	/* none was left; or another packet of theirs was first: what stands now counts */
	RULE(b, do_mark(b, b->mark | ACTOR_UNKNOWN));
	RULE(b, load_key(b, level, user, KEY), find(b, KEY, R0), store_mark(b));
	RULE(b, load_cgroup(b, level, KEY), load_meta(b, NFT_META_MARK, KEY + 2),
		add(b, SET_KIN, KEY));
}

static void if_self(struct builder *b)
{
	const struct nft_scope *s = b->conf->basic;
	const uint32_t self = b->mark | ACTOR_SELF;

	if (s->self_level)
		if_cgroup(b, s->self_level, s->self_id);
	load_sock_own(b);
	compare_at(b, R0, NFT_CMP_EQ, &self, sizeof(self));
}

/* A mark of ours that is not from here says nothing. But what the kernel itself answers for
 * a listener of ours bears that listener's. */
static void forget_foreign(struct builder *b)
{
	RULE(b, if_sock_actor(b, ACTOR_SELF), do_return(b));
	RULE(b, if_mark_ours(b), do_mark(b, 0));
}

static void chain_head(struct builder *b, const char *chain, const char *scope)
{
	const struct nft_scope *s = b->conf->basic;

	chain_at(b, chain);
	RULE(b, if_self(b), do_mark(b, b->mark | ACTOR_SELF), do_return(b));
	RULE(b, if_cgroup(b, s->level, s->id), do_goto(b, scope));
	forget_foreign(b);
}

static void chain_kin(struct builder *b, const char *chain, unsigned level)
{
	struct nftnl_expr *e;

	chain_at(b, chain);
	rule_begin(b);
	load_cgroup(b, level, KEY);
	load_ct(b, NFT_CT_MARK, KEY + 2);
	load_bits32(b, KEY + 2, CTMARK_BITS, 0);
	e = expr_new(b, "lookup");
	expr_set32(e, NFTNL_EXPR_LOOKUP_SREG, KEY);
	expr_set_name(e, NFTNL_EXPR_LOOKUP_SET, set_defs[SET_KIN].name);
	do_accept(b);
	rule_end(b);
}

void number_chains(struct builder *b)
{
	static const char *const plain[] = { "number", "number_scope", "number_cgroup",
		"number_cgroup_scope", "number_draw", "number_kin" };

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		chain(b, plain[i], NULL);
	for (unsigned i = 0; i <= LEVELS; i++) {
		chain(b, user_chains[i], NULL);
		chain(b, cgroup_chains[i], NULL);
		chain(b, kin_chains[i], NULL);
	}
}

void number_rules(struct builder *b)
{
	const unsigned scope = b->conf->basic->level;

	chain_draw(b);
	for (unsigned i = 0; i <= LEVELS; i++) {
		chain_level(b, user_chains[i], scope + i, true);
		chain_level(b, cgroup_chains[i], scope + i, false);
	}
	for (unsigned i = 0; i <= LEVELS; i++)
		chain_kin(b, kin_chains[i], scope + i);
	chain_at(b, "number_kin");
	for (unsigned i = LEVELS + 1; i-- > 0;)
		RULE(b, load_cgroup(b, scope + i, R0), do_goto(b, kin_chains[i]));
	chain_head(b, "number", "number_scope");
	chain_at(b, "number_scope");
	for (unsigned i = LEVELS + 1; i-- > 0;)
		RULE(b, load_key(b, scope + i, true, KEY), do_goto(b, user_chains[i]));
	/* no program has it open: the kernel's own, or what goes on after a close */
	RULE(b, if_sock_actor(b, ACTOR_SELF), do_return(b));
	RULE(b, do_mark(b, 0));
	RULE(b, if_ct_ours(b), load_ct(b, NFT_CT_MARK, R0), load_bits32(b, R0, CTMARK_BITS, 0),
		store_mark(b));
	chain_head(b, "number_cgroup", "number_cgroup_scope");
	chain_at(b, "number_cgroup_scope");
	for (unsigned i = LEVELS + 1; i-- > 0;)
		RULE(b, load_cgroup(b, scope + i, R0), do_goto(b, cgroup_chains[i]));
}

void number_kin(struct builder *b)
{
	if (b->conf->basic)
		RULE(b, if_ct_reply(b), if_ct_ours(b), do_jump(b, "number_kin"));
}

void do_number(struct builder *b)
{
	do_jump(b, "number");
}

void do_number_cgroup(struct builder *b)
{
	do_jump(b, "number_cgroup");
}
