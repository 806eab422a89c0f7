/* SPDX-License-Identifier: GPL-2.0-or-later
 * chains.h - the table's chains, by what they are about; table.c puts them together and
 * tells how a packet goes through them. */
#ifndef NFT_CHAINS_H
#define NFT_CHAINS_H

#include "nft/builder.h"

enum {
	DNS = 53,
	HOLDS_PER_S = 200, /* of one actor; what is above waits for its next try */
	HOLDS_BURST = 500,
};

/* where our listeners are */
struct addr builder_listener(const struct builder *b, uint8_t family);
void do_admit(struct builder *b);
/* an element of one of the four sets from here on, with or without port, ends it */
void in_sets(struct builder *b, enum set_id first, void (*end)(struct builder *b));
/* the outer packets of tunnels further on, where other tables may have written marks */
void to_tunnel_by_zone(struct builder *b);

void factory_dhcp(struct builder *b, void (*end)(struct builder *b));
void factory_ntp(struct builder *b, void (*end)(struct builder *b));
void chains_factory(struct builder *b);
void chains_redirect(struct builder *b);
void chains_inbound(struct builder *b);

#endif
