/* SPDX-License-Identifier: GPL-2.0-or-later
 * dns_build.h - DNS messages for tests, put together piece by piece. Header only. */
#ifndef TESTS_UNIT_DNS_BUILD_H
#define TESTS_UNIT_DNS_BUILD_H

#include "base/host.h"
#include "resolver/wire.h"

#include <stdio.h>

struct build_msg {
	struct out o;
	uint8_t bytes[WIRE_MAX];
};

static inline void dns_u16_at(struct out *o, size_t at, unsigned v)
{
	o->base[at] = (uint8_t)(v >> 8);
	o->base[at + 1] = (uint8_t)v;
}

static inline void dns_name(struct out *o, const char *name)
{
	uint8_t wire[HOST_WIRE_MAX];
	int len = host_to_wire(name, wire);

	if (len < 0)
		o->bad = true;
	else
		out_bytes(o, wire, (size_t)len);
}

/* a header and one question; counts are raised by what is added */
static inline void dns_start(struct build_msg *m, uint16_t flags, const char *name,
	uint16_t type)
{
	m->o = out_into(m->bytes, sizeof(m->bytes));
	out_u16(&m->o, 0x1234);
	out_u16(&m->o, flags);
	out_u16(&m->o, 1);
	out_u16(&m->o, 0);
	out_u32(&m->o, 0);
	dns_name(&m->o, name);
	out_u16(&m->o, type);
	out_u16(&m->o, 1);
}

enum dns_section { IN_ANSWER = 6, IN_AUTHORITY = 8, IN_ADDITIONAL = 10 };

/* owner: a name, or "@" for a pointer to the question */
static inline void dns_rr(struct build_msg *m, enum dns_section s, const char *owner,
	uint16_t type, uint32_t ttl, const void *data, size_t len)
{
	uint8_t *count = m->bytes + s;

	if (owner[0] == '@')
		out_u16(&m->o, 0xc00c);
	else
		dns_name(&m->o, owner);
	out_u16(&m->o, type);
	out_u16(&m->o, 1);
	out_u32(&m->o, ttl);
	out_u16(&m->o, (uint16_t)len);
	out_bytes(&m->o, data, len);
	dns_u16_at(&m->o, s, (unsigned)(count[0] << 8 | count[1]) + 1);
}

static inline void dns_a(struct build_msg *m, enum dns_section s, const char *owner,
	uint32_t ttl, const char *addr)
{
	struct addr a = { 0 };

	addr_parse(addr, &a);
	dns_rr(m, s, owner, a.family == 4 ? TYPE_A : TYPE_AAAA, ttl, a.b,
		addr_bits(&a) / 8);
}

/* prefix bytes (MX preference, SRV numbers), then a name */
static inline void dns_to(struct build_msg *m, enum dns_section s, const char *owner,
	uint16_t type, uint32_t ttl, size_t prefix, const char *target)
{
	uint8_t data[16 + HOST_WIRE_MAX] = { 0 };
	int len = host_to_wire(target, data + prefix);

	dns_rr(m, s, owner, type, ttl, data, prefix + (size_t)len);
}

static inline void dns_soa(struct build_msg *m, const char *owner, uint32_t ttl,
	uint32_t minimum)
{
	uint8_t data[512];
	struct out o = out_into(data, sizeof(data));

	dns_name(&o, "ns.example");
	dns_name(&o, "admin.example");
	for (int i = 0; i < 4; i++)
		out_u32(&o, 1);
	out_u32(&o, minimum);
	dns_rr(m, IN_AUTHORITY, owner, TYPE_SOA, ttl, data, o.len);
}

static inline void dns_opt(struct build_msg *m, uint16_t size, uint32_t ttl,
	const void *options, size_t len)
{
	uint8_t *ar = m->bytes + IN_ADDITIONAL;

	out_u8(&m->o, 0);
	out_u16(&m->o, TYPE_OPT);
	out_u16(&m->o, size);
	out_u32(&m->o, ttl);
	out_u16(&m->o, (uint16_t)len);
	out_bytes(&m->o, options, len);
	dns_u16_at(&m->o, IN_ADDITIONAL, (unsigned)(ar[0] << 8 | ar[1]) + 1);
}

#endif
