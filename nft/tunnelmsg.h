/* SPDX-License-Identifier: GPL-2.0-or-later
 * tunnelmsg.h - what the kernel says of its tunnels: rtnetlink's links and forwarding entries
 * (linux/if_link.h, if_tunnel.h, neighbour.h), WireGuard's generic netlink (wireguard.h).
 * Requests are built in the caller's ASK_REQUEST_MAX bytes. Values only. */
#ifndef NFT_TUNNELMSG_H
#define NFT_TUNNELMSG_H

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct nlmsghdr;

enum tunnel_kind { TUNNEL_OTHER, TUNNEL_VXLAN, TUNNEL_WIREGUARD };

struct tunnel_link {
	uint32_t ifindex;
	enum tunnel_kind kind;
	struct addr remote; /* family 0: none that the link itself names */
	uint8_t proto, proto_too; /* of the outer packet; proto_too 0: none */
	uint16_t port;      /* of UDP, else 0 */
};

/* a VXLAN's way to one neighbour */
struct tunnel_way {
	uint32_t ifindex;
	struct addr remote;
	uint16_t port; /* 0: the link's */
};

/* 0; -ENOENT: no tunnel, or one that is down; -EBADMSG */
int tunnel_link_read(const struct nlmsghdr *m, struct tunnel_link *out);
int tunnel_way_read(const struct nlmsghdr *m, struct tunnel_way *out);
/* WireGuard's number among generic families; the port a device sends from */
int tunnel_family_read(const struct nlmsghdr *m, uint16_t *out);
int tunnel_port_read(const struct nlmsghdr *m, uint16_t family, uint16_t *out);

struct nlmsghdr *tunnel_ask_links(void *buf);
struct nlmsghdr *tunnel_ask_ways(void *buf);
struct nlmsghdr *tunnel_ask_family(void *buf);
struct nlmsghdr *tunnel_ask_port(void *buf, uint16_t family, uint32_t ifindex);

#endif
