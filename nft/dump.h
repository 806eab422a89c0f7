/* SPDX-License-Identifier: GPL-2.0-or-later
 * dump.h - reading back what stands in the sets. Blocking; the caller frees *out. */
#ifndef NFT_DUMP_H
#define NFT_DUMP_H

#include "nft/set.h"

/* what outlives a table: grants, and the numbers they speak of */
int dump_timed(int fd, const struct instance *i, struct nft_element **out, size_t *n);
int dump_all(int fd, const struct instance *i, struct nft_element **out, size_t *n);

/* NFT_NUMBER alone */
int dump_numbers(int fd, const struct instance *i, struct nft_element **out, size_t *n);

#endif
