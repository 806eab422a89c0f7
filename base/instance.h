/* SPDX-License-Identifier: GPL-2.0-or-later
 * instance.h - the numbers that tell one scupperd on a machine from another.
 * An instance has a magic (main 0x53, others 0x54 to 0x5a) in the top byte of its marks
 * and n = magic - 0x53. Its table is "scupper" (main) or "scupper_54"; conntrack zones
 * and source addresses are 8192 n + actor. A mark is magic << 24 | flags | actor. */
#ifndef BASE_INSTANCE_H
#define BASE_INSTANCE_H

#include "base/addr.h"
#include "base/program.h"

enum {
	INSTANCE_MAGIC_MAIN = 0x53,
	INSTANCE_MAGIC_LAST = 0x5a,
	INSTANCE_NAME_MAX = 32,
	MARK_DEVICE_BIT = 0x2000,      /* bound to an interface, or a link-local target */
	MARK_STAMP_BIT = 0x20000000,   /* what the table adds: 0x53 becomes 0x73 */
	MARK_ACTOR_BITS = 0xff001fff,  /* magic and actor: what sets are keyed by */
	CTMARK_BITS = 0xdf001fff,      /* the same of a ct mark, whatever stamp it bears */
	CTMARK_LOCAL = 0x00200000,     /* in a ct mark: it came in from this machine itself */
	CTMARK_ADOPTED = 0x00100000,   /* in a ct mark: the flow is older than the daemon */
};

struct instance {
	char name[INSTANCE_NAME_MAX];
	uint8_t magic;
};

static inline uint32_t instance_n(const struct instance *i)
{
	return (uint32_t)i->magic - INSTANCE_MAGIC_MAIN;
}

static inline uint32_t instance_mark(const struct instance *i, uint32_t actor)
{
	return (uint32_t)i->magic << 24 | (actor & ACTOR_MASK);
}

static inline uint32_t instance_zone(const struct instance *i, uint32_t actor)
{
	return (instance_n(i) << ACTOR_BITS) | (actor & ACTOR_MASK);
}

enum { INSTANCE_TABLE_MAX = 16 };
const char *instance_table(const struct instance *i, char out[static INSTANCE_TABLE_MAX]);
/* where redirected DNS arrives: 127.0.0.153 + n and fd53:6375:7070:1::53 + n (hex), port 53 */
struct addr instance_listener(const struct instance *i, uint8_t family);
/* the source address that stands for an actor: 127.64.0.0 and fd53:6375:7070:: | zone */
struct addr instance_source(const struct instance *i, uint8_t family, uint32_t actor);
/* and back: ACTOR_NONE if the address is no actor's of this instance */
uint32_t instance_actor(const struct instance *i, const struct addr *source);
/* the NFLOG group of this instance's refusals */
uint16_t instance_log_group(const struct instance *i);

#endif
