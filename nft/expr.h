/* SPDX-License-Identifier: GPL-2.0-or-later
 * expr.h - the steps that conditions and actions are made of.
 * Registers: every condition uses the first; a key is put together from it upwards, in
 * steps of four bytes, as the kernel's concatenations are. A failure sticks in the batch. */
#ifndef NFT_EXPR_H
#define NFT_EXPR_H

#include "nft/builder.h"

#include <linux/netfilter/nf_tables.h>

struct nftnl_expr;

enum { R0 = NFT_REG32_00 };

/* the rule owns it; NULL once memory ran out, and then the setters do nothing */
struct nftnl_expr *expr_new(struct builder *b, const char *name);
void expr_set32(struct nftnl_expr *e, uint16_t what, uint32_t v);
void expr_set(struct nftnl_expr *e, uint16_t what, const void *v, uint32_t n);
void expr_set_name(struct nftnl_expr *e, uint16_t what, const char *v);

void load_sock(struct builder *b);  /* R0 := the socket's mark; basic mode: the packet's */
void load_sock_own(struct builder *b); /* R0 := what SO_MARK set, in basic mode too */
void load_actor(struct builder *b); /* R0 := magic and number of it */
void compare_at(struct builder *b, uint32_t reg, uint32_t op, const void *v, uint32_t len);
void store_mark(struct builder *b); /* the packet's mark := R0 */
void load_meta(struct builder *b, uint32_t key, uint32_t reg);
void load_ct(struct builder *b, uint32_t key, uint32_t reg);
void load_bytes(struct builder *b, uint32_t base, uint32_t at, uint32_t len, uint32_t reg);
void load_value(struct builder *b, uint32_t reg, const void *v, uint32_t len);
/* reg := reg & mask ^ xor */
void load_bits(struct builder *b, uint32_t reg, const void *mask, const void *xor,
	uint32_t len);
void load_bits32(struct builder *b, uint32_t reg, uint32_t mask, uint32_t xor);

#endif
