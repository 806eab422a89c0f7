/* SPDX-License-Identifier: GPL-2.0-or-later
 * nflog.h - what the table refused, from packets' first bytes (NFLOG, through libmnl).
 * Rate-limited per actor in the table. Needs CAP_NET_ADMIN. */
#ifndef NFT_NFLOG_H
#define NFT_NFLOG_H

#include "base/instance.h"

struct uv_loop_s;
struct nflog;

struct nflog_packet {
	uint32_t actor;       /* by the packet's mark, stamped or not; ACTOR_NONE: not ours.
			       * (In input a packet has no mark of its own: the table must
			       * set it from the socket's before it logs.) */
	struct addr src, dst;
	uint16_t sport, dport; /* ICMP: type in dport */
	uint16_t first;        /* UDP: the two bytes it begins with, else 0 */
	uint8_t proto;
	bool inbound;
	char why[16];         /* the log prefix's word: "refuse", "held", "sink", "dns" ... */
};

/* On the loop, some 20 ms after the packet. -EPERM: somebody else has the group, or no
 * CAP_NET_ADMIN. */
int nflog_open(struct uv_loop_s *loop, const struct instance *instance,
	void (*packet)(void *ctx, const struct nflog_packet *p), void *ctx,
	struct nflog **out);
void nflog_close(struct nflog *l); /* NULL is fine */
uint64_t nflog_lost(const struct nflog *l); /* messages the kernel could not deliver */

#endif
