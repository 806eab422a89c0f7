/* SPDX-License-Identifier: GPL-2.0-or-later
 * The headers of a refused packet: whatever the bytes, reading stays inside them and what
 * comes out is whole. */
#include "nft/packet.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct packet p;

	if (packet_read(bytes, len, &p) == 0) {
		assert(p.src.family == 4 || p.src.family == 6);
		assert(p.dst.family == 4 || p.dst.family == 6);
	}
	return 0;
}
