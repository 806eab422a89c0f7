/* SPDX-License-Identifier: GPL-2.0-or-later
 * pad.h - the length of an encrypted query says nothing of the name (RFC 7830, 8467). Pure. */
#ifndef RESOLVER_PAD_H
#define RESOLVER_PAD_H

#include "resolver/upstream.h"

enum { PAD_BLOCK = 128, PADDED_MAX = EXCHANGE_QUERY_MAX + PAD_BLOCK + 4 };

/* msg, as upstream.c sends it, filled up to a whole block where it has an OPT, with id
 * 0 where anonymous is set; returns the length. len is at most EXCHANGE_QUERY_MAX. */
size_t query_pad(const uint8_t *msg, size_t len, bool anonymous,
	uint8_t out[static PADDED_MAX]);

#endif
