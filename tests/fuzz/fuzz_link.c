/* SPDX-License-Identifier: GPL-2.0-or-later
 * A link message of any bytes: link_check() reads no byte too many, and what it lets pass
 * can be read to the end. The first byte says the direction; the message follows. */
#include "web/link.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct link_any m;
	bool from_core;

	if (len < 1)
		return 0;
	from_core = bytes[0] & 1;
	if (link_check(bytes + 1, len - 1, from_core) < 0)
		return 0;
	assert(len - 1 <= sizeof(m));
	memcpy(&m, bytes + 1, len - 1);
	assert(link_size(m.head.type) == len - 1);
	if (m.head.type == LINK_FLOW)
		assert(strlen(m.u.flow.flow.name) < HOST_MAX &&
			strlen(m.u.flow.rule_text) < sizeof(m.u.flow.rule_text));
	if (m.head.type == LINK_STATUS)
		assert(m.u.status.nupstreams <= LINK_UPSTREAMS_MAX);
	if (m.head.type == LINK_RULE)
		assert(strlen(m.u.rule.text) < LINK_RULE_TEXT_MAX);
	return 0;
}
