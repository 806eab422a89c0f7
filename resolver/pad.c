/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/pad.h"
#include "resolver/record.h"

#include <string.h>

enum { OPTION_PADDING = 12, OPTION_HEAD = 4, ARCOUNT_AT = 10 };

size_t query_pad(const uint8_t *msg, size_t len, bool anonymous,
	uint8_t out[static PADDED_MAX])
{
	size_t n = PAD_BLOCK - 1 - (len + OPTION_HEAD - 1) % PAD_BLOCK;

	memcpy(out, msg, len);
	if (anonymous)
		memset(out, 0, 2);
	if (!msg[ARCOUNT_AT] && !msg[ARCOUNT_AT + 1])
		return len;
	put_u16(out + len - 2, (uint16_t)(OPTION_HEAD + n)); /* the OPT's length stands last */
	put_u16(out + len, OPTION_PADDING);
	put_u16(out + len + 2, (uint16_t)n);
	memset(out + len + OPTION_HEAD, 0, n);
	return len + OPTION_HEAD + n;
}
