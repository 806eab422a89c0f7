/* SPDX-License-Identifier: GPL-2.0-or-later
 * packet.h - the headers of a packet's first bytes. Pure.
 * IPv4 (RFC 791), IPv6 with its extension headers (RFC 8200), ports of TCP, UDP, UDP-Lite,
 * SCTP and DCCP, the type of ICMP and ICMPv6. */
#ifndef NFT_PACKET_H
#define NFT_PACKET_H

#include "base/addr.h"

struct packet {
	struct addr src, dst;
	uint16_t sport, dport; /* 0 where there are none or they were cut; ICMP: type in dport */
	uint16_t first;        /* UDP: the two bytes it begins with, 0 if it is shorter or cut */
	uint8_t proto;         /* behind the extension headers; of a later fragment too */
};

/* bytes begin at the IP header; -EBADMSG: no whole IP header */
int packet_read(const void *bytes, size_t len, struct packet *out);

#endif
