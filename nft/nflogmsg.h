/* SPDX-License-Identifier: GPL-2.0-or-later
 * nflogmsg.h - NFLOG's messages (linux/netfilter/nfnetlink_log.h), built and read. */
#ifndef NFT_NFLOGMSG_H
#define NFT_NFLOGMSG_H

#include "nft/nflog.h"

struct nlmsghdr;

/* binds the group and says how much of a packet to copy, and when to send; a buffer of
 * ASK_REQUEST_MAX */
struct nlmsghdr *nflog_put_bind(void *buf, uint16_t group);
/* -EBADMSG: not a packet, or none with a whole IP header */
int nflog_read(const struct nlmsghdr *message, const struct instance *instance,
	struct nflog_packet *out);

#endif
