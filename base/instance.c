/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/instance.h"

#include <stdio.h>
#include <string.h>

/* fd53:6375:7070::/48 is ours: sources in its subnet 0, listeners in its subnet 1 */
static const uint8_t six_net[16] = { 0xfd, 0x53, 0x63, 0x75, 0x70, 0x70 };

enum { LOG_GROUP_BASE = 5300 };

const char *instance_table(const struct instance *i, char out[static INSTANCE_TABLE_MAX])
{
	if (i->magic == INSTANCE_MAGIC_MAIN)
		strcpy(out, "scupper");
	else
		snprintf(out, INSTANCE_TABLE_MAX, "scupper_%02x", i->magic);
	return out;
}

struct addr instance_listener(const struct instance *i, uint8_t family)
{
	uint8_t n = (uint8_t)instance_n(i);
	uint8_t b[16];

	if (family == 4) {
		const uint8_t four[4] = { 127, 0, 0, (uint8_t)(153 + n) };

		return addr_v4(four);
	}
	memcpy(b, six_net, sizeof(b));
	b[7] = 1;
	b[15] = (uint8_t)(0x53 + n);
	return addr_v6(b);
}

struct addr instance_source(const struct instance *i, uint8_t family, uint32_t actor)
{
	uint32_t zone = instance_zone(i, actor);
	uint8_t b[16];

	if (family == 4) {
		const uint8_t four[4] = { 127, 64, (uint8_t)(zone >> 8), (uint8_t)zone };

		return addr_v4(four);
	}
	memcpy(b, six_net, sizeof(b));
	b[14] = (uint8_t)(zone >> 8);
	b[15] = (uint8_t)zone;
	return addr_v6(b);
}

uint32_t instance_actor(const struct instance *i, const struct addr *source)
{
	unsigned at = source->family == 4 ? 2 : 14;
	uint32_t zone = (uint32_t)source->b[at] << 8 | source->b[at + 1];
	struct addr same = instance_source(i, source->family == 4 ? 4 : 6, zone & ACTOR_MASK);

	return addr_cmp(&same, source) == 0 ? zone & ACTOR_MASK : ACTOR_NONE;
}

uint16_t instance_log_group(const struct instance *i)
{
	return (uint16_t)(LOG_GROUP_BASE + instance_n(i));
}
