/* SPDX-License-Identifier: GPL-2.0-or-later
 * table.h - the whole table as one transaction's messages, in the order of evaluation. */
#ifndef NFT_TABLE_H
#define NFT_TABLE_H

#include "nft/builder.h"

enum {
	TABLE_LAYOUT = 16, /* counts up whenever sets or chains change */
	TABLE_COMMENT_MAX = 240,
};

/* "scupper layout 1 default deny in allow ipv6 1 dns 53 gate 1021 log 1 closed 1 at 811c9dc5
 * 80 443" (at: a digest of dns_at and web_ports): equal text, equal chains and flags */
void table_comment(const struct nft_conf *conf, char out[static TABLE_COMMENT_MAX]);
/* sets, pairs, chains and rules of a table that the batch has just made; the builder is
 * kept for naming the rule that a kernel refuses. first to last: the numbers that a table of
 * basic mode may give */
void table_build(struct builder *b, struct batch *batch, const struct nft_conf *conf,
	uint32_t first, uint32_t last);

#endif
