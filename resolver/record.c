/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/record.h"
#include "resolver/name.h"
#include "resolver/wire.h"

#include "base/macros.h"

#include <errno.h>

int head_read(struct cur *c, struct head *out)
{
	out->id = cur_u16(c);
	out->flags = cur_u16(c);
	out->qd = cur_u16(c);
	out->an = cur_u16(c);
	out->ns = cur_u16(c);
	out->ar = cur_u16(c);
	return c->bad ? -EBADMSG : 0;
}

void head_write(struct out *o, const struct head *h)
{
	out_u16(o, h->id);
	out_u16(o, h->flags);
	out_u16(o, h->qd);
	out_u16(o, h->an);
	out_u16(o, h->ns);
	out_u16(o, h->ar);
}

int record_read(struct cur *c, struct record *out)
{
	out->owner_at = c->at;
	if (name_skip(c) < 0)
		return -EBADMSG;
	out->type = cur_u16(c);
	out->klass = cur_u16(c);
	out->ttl_at = c->at;
	out->ttl = cur_u32(c);
	out->rdlen = cur_u16(c);
	out->rdata_at = c->at;
	return cur_take(c, out->rdlen) ? 0 : -EBADMSG;
}

/* RFC 1035 3.3, 1183, 2535, 2163, 2782, 3403; numbers where wire.h has no word */
static const struct shape shapes[] = {
	{ TYPE_NS, 0, 0, 1 }, { 3, 0, 0, 1 }, { 4, 0, 0, 1 }, { TYPE_CNAME, 0, 0, 1 },
	{ TYPE_SOA, 0, 0, 2 }, { 7, 0, 0, 1 }, { 8, 0, 0, 1 }, { 9, 0, 0, 1 },
	{ TYPE_PTR, 0, 0, 1 }, { 14, 0, 0, 2 }, { TYPE_MX, 2, 0, 1 }, { 17, 0, 0, 2 },
	{ 18, 2, 0, 1 }, { 21, 2, 0, 1 }, { 24, 18, 0, 1 }, { 26, 2, 0, 2 },
	{ 30, 0, 0, 1 }, { TYPE_SRV, 6, 0, 1 }, { 35, 4, 3, 1 }, { 36, 2, 0, 1 },
	{ TYPE_DNAME, 0, 0, 1 },
};

const struct shape *shape_of(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (shapes[i].type == type)
			return &shapes[i];
	return NULL;
}

int opt_find(const uint8_t *msg, size_t len, struct record *opt)
{
	struct cur c = cur_over(msg, len);
	struct head h;
	unsigned total;

	if (head_read(&c, &h) < 0 || h.qd != 1 || name_skip(&c) < 0 || !cur_take(&c, 4))
		return -EBADMSG;
	total = (unsigned)h.an + h.ns + h.ar;
	for (unsigned i = 0; i < total; i++) {
		struct record rr;

		if (record_read(&c, &rr) < 0)
			return -EBADMSG;
		if (rr.type == TYPE_OPT)
			*opt = rr;
	}
	return 0;
}

const uint8_t *opt_option(const uint8_t *msg, const struct record *opt, uint16_t code,
	uint16_t *len)
{
	struct cur c = cur_over(msg + opt->rdata_at, opt->rdlen);

	while (cur_left(&c) > 0) {
		uint16_t what = cur_u16(&c);
		uint16_t n = cur_u16(&c);
		const uint8_t *data = cur_take(&c, n);

		if (!data)
			return NULL;
		if (what == code) {
			*len = n;
			return data;
		}
	}
	return NULL;
}
