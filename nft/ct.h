/* SPDX-License-Identifier: GPL-2.0-or-later
 * ct.h - conntrack: new flows of ours as events, and deleting entries (take-back).
 * Through libnetfilter_conntrack. Needs CAP_NET_ADMIN. */
#ifndef NFT_CT_H
#define NFT_CT_H

#include "base/instance.h"

#include <stddef.h>

struct uv_loop_s;
struct ct;

struct ct_flow {
	uint32_t actor;
	struct addr src, dst;       /* original direction, before translation */
	uint16_t sport, dport;
	uint8_t proto;
	bool inbound;               /* dst is this machine's, the mark the listener's */
	bool ended;                 /* NEW or DESTROY */
	bool redirected;            /* dnat: to our listeners */
	uint32_t id;
	uint64_t rx, tx;            /* 0 without accounting */
};

/* on the loop; only flows whose ct mark has our magic */
int ct_open(struct uv_loop_s *loop, const struct instance *instance,
	void (*event)(void *ctx, const struct ct_flow *f), void *ctx, struct ct **out);
void ct_close(struct ct *c);
uint64_t ct_lost(const struct ct *c); /* events the kernel could not deliver */

/* Blocking; for nft's thread. Deletes entries of this actor (dst NULL: all of them; port 0:
 * every port); returns how many. Also entries in the actor's zone. */
int ct_delete(const struct instance *instance, uint32_t actor, const struct addr *dst,
	uint8_t proto, uint16_t port);
/* every live entry whose ct mark has our magic, as it stands; the caller frees *out */
int ct_dump(const struct instance *instance, struct ct_flow **out, size_t *n);
/* one exact entry by original tuple, in whatever zone */
int ct_delete_tuple(const struct ct_flow *f, uint32_t zone);
/* at start: unmarked entries to port 53 of anybody, so that none keeps its old server */
int ct_delete_dns(void);

#endif
