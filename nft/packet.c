/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/packet.h"

#include "base/cur.h"

#include <errno.h>
#include <netinet/in.h>

enum {
	EXTENSIONS_MAX = 8,
	FRAGMENT_OFFSET = 0x1fff,  /* of IPv4, in units of eight bytes */
	FRAGMENT6_OFFSET = 0xfff8, /* of IPv6, in bytes */
	IPPROTO_MOBILITY = 135,
	IPPROTO_HIP = 139,
	IPPROTO_SHIM6 = 140,
};

static void read_ports(struct cur *c, struct packet *p)
{
	switch (p->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		if (cur_left(c) < 4)
			return;
		p->sport = cur_u16(c);
		p->dport = cur_u16(c);
		if (p->proto != IPPROTO_UDP || cur_left(c) < 6)
			break;
		cur_take(c, 4); /* length, checksum */
		p->first = cur_u16(c);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		p->dport = cur_u8(c);
		break;
	}
}

static int read_v4(struct cur *c, struct packet *p)
{
	size_t header = (size_t)(cur_u8(c) & 0x0f) * 4;
	const uint8_t *src, *dst;
	uint16_t fragment;

	cur_take(c, 5); /* TOS, length, id */
	fragment = cur_u16(c);
	cur_take(c, 1);
	p->proto = cur_u8(c);
	cur_take(c, 2);
	src = cur_take(c, 4);
	dst = cur_take(c, 4);
	if (c->bad || header < 20)
		return -EBADMSG;
	p->src = addr_v4(src);
	p->dst = addr_v4(dst);
	if (header > c->len || (fragment & FRAGMENT_OFFSET))
		return 0; /* the addresses are worth showing */
	cur_seek(c, header);
	read_ports(c, p);
	return 0;
}

static bool is_extension(uint8_t next)
{
	switch (next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
	case IPPROTO_MOBILITY:
	case IPPROTO_HIP:
	case IPPROTO_SHIM6:
		return true;
	}
	return false;
}

/* one extension header; false: what follows is not the start of the payload */
static bool skip_extension(struct cur *c, struct packet *p)
{
	uint8_t this = p->proto;
	uint8_t next = cur_u8(c);
	size_t len = cur_u8(c);

	if (this == IPPROTO_FRAGMENT) {
		uint16_t offset = cur_u16(c) & FRAGMENT6_OFFSET;

		cur_take(c, 4);
		if (c->bad)
			return false;
		p->proto = next;
		return offset == 0;
	}
	/* counted without the first eight bytes; AH in words, without two */
	cur_take(c, this == IPPROTO_AH ? len * 4 + 6 : len * 8 + 6);
	if (c->bad)
		return false;
	p->proto = next;
	return true;
}

static int read_v6(struct cur *c, struct packet *p)
{
	const uint8_t *src, *dst;

	cur_take(c, 6); /* version, class, flow label, length */
	p->proto = cur_u8(c);
	cur_take(c, 1);
	src = cur_take(c, 16);
	dst = cur_take(c, 16);
	if (c->bad)
		return -EBADMSG;
	p->src = addr_v6(src);
	p->dst = addr_v6(dst);
	for (int i = 0; is_extension(p->proto); i++)
		if (i == EXTENSIONS_MAX || !skip_extension(c, p))
			return 0;
	read_ports(c, p);
	return 0;
}

int packet_read(const void *bytes, size_t len, struct packet *out)
{
	struct cur c = cur_over(bytes, len);
	struct packet p = { 0 };
	uint8_t version = len ? *(const uint8_t *)bytes >> 4 : 0;
	int r = -EBADMSG;

	if (version == 4)
		r = read_v4(&c, &p);
	else if (version == 6)
		r = read_v6(&c, &p);
	if (r == 0)
		*out = p;
	return r;
}
