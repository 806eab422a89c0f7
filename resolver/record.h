/* SPDX-License-Identifier: GPL-2.0-or-later
 * record.h - walking a message's header, question and records in place. Pure; borrows the
 * message. Nothing is believed before it was read: counts are only how often to try. */
#ifndef RESOLVER_RECORD_H
#define RESOLVER_RECORD_H

#include "base/cur.h"

struct head {
	uint16_t id, flags;
	uint16_t qd, an, ns, ar;
};

struct record {
	size_t owner_at; /* from the message's start, as is rdata_at */
	uint16_t type, klass;
	uint32_t ttl;    /* as it stands: OPT keeps other things there */
	size_t ttl_at, rdata_at;
	uint16_t rdlen;
};

/* Where names stand in the data of a type that may have them compressed (RFC 3597 4) or
 * that leads to another name: skip bytes, strings, names, and the rest as it is. */
struct shape {
	uint16_t type;
	uint8_t skip, strings, names;
};

enum { OPTION_EDE = 15 };

int head_read(struct cur *c, struct head *out);        /* -EBADMSG */
void head_write(struct out *o, const struct head *h);
int record_read(struct cur *c, struct record *out);    /* -EBADMSG */
const struct shape *shape_of(uint16_t type);           /* or NULL */
/* a message's OPT record, out untouched where it has none; -EBADMSG */
int opt_find(const uint8_t *msg, size_t len, struct record *out);
/* the data of one option inside an OPT record, *len long; or NULL */
const uint8_t *opt_option(const uint8_t *msg, const struct record *opt, uint16_t code,
	uint16_t *len);

static inline void put_u16(uint8_t *to, uint16_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static inline void put_u32(uint8_t *to, uint32_t v)
{
	put_u16(to, (uint16_t)(v >> 16));
	put_u16(to + 2, (uint16_t)v);
}

/* a TTL with its top bit set counts as 0 (RFC 2181 8) */
static inline uint32_t ttl_sane(uint32_t ttl)
{
	return ttl & 0x80000000u ? 0 : ttl;
}

#endif
