/* SPDX-License-Identifier: GPL-2.0-or-later
 * nflog.h - what the table refused, as packets' first bytes (libnetfilter_log).
 * Rate-limited per actor in the table. Needs CAP_NET_ADMIN. */
#ifndef NFT_NFLOG_H
#define NFT_NFLOG_H

#include "base/instance.h"

struct uv_loop_s;
struct nflog;

struct nflog_packet {
	uint32_t actor;       /* from the prefix the table writes, or the packet's mark */
	struct addr src, dst;
	uint16_t sport, dport; /* ICMP: type in dport */
	uint8_t proto;
	bool inbound;
	char why[16];         /* the log prefix's word: "refuse", "default", "dns", "rate" ... */
};

int nflog_open(struct uv_loop_s *loop, const struct instance *instance,
	void (*packet)(void *ctx, const struct nflog_packet *p), void *ctx,
	struct nflog **out);
void nflog_close(struct nflog *l);

#endif
