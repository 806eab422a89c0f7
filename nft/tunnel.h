/* SPDX-License-Identifier: GPL-2.0-or-later
 * tunnel.h - keeps the table told where this machine's tunnels send to: VXLAN, Geneve, GRE,
 * IP in IP by their remote ends, WireGuard by the port it sends from. What goes through them
 * has been judged before it was wrapped.
 *
 * Reads in the table's own thread, at the start and whenever the kernel tells of a change;
 * while there is a WireGuard device every two seconds, as it does not tell of its port.
 * Needs CAP_NET_ADMIN. */
#ifndef NFT_TUNNEL_H
#define NFT_TUNNEL_H

#include "nft/nft.h"

struct tunnels;

/* els: what stands in the table, as nft_dump gave it. The nft must outlive it, or go by
 * tunnels_table. Errors: -errno. */
int tunnels_open(struct uv_loop_s *loop, struct nft *nft, const struct nft_element *els,
	size_t n, struct tunnels **out);
void tunnels_table(struct tunnels *t, struct nft *nft); /* a new one: everything again */
void tunnels_close(struct tunnels *t); /* before nft_close; NULL is fine */

#endif
