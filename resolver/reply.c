/* SPDX-License-Identifier: GPL-2.0-or-later
 * The writing half of wire.h.
 *
 * Theory of operation of wire_reply. Mostly nothing is left out and all fits: then the
 * message is copied and patched in place (id, flags, question, TTLs), and its OPT, when it
 * stands last, makes room for ours; no byte moves, so every pointer stays right. Else the
 * reply is built record by record, every name written anew, because what a pointer led to
 * may be gone. A pointer of somebody else's may lead into a TTL, and patching would make
 * another name of it than the one that was judged: hence wire_canon() for what comes in. */
#include "resolver/wire.h"
#include "resolver/name.h"
#include "resolver/rebuild.h"
#include "resolver/record.h"

#include "base/macros.h"

#include <errno.h>

enum {
	EDE_TEXT_MAX = 160,   /* fits a reply of 512 bytes beside the longest question */
	OPT_FIXED = 11,
	CLASS_IN = 1,
	NEED_REBUILD = 1,
};

struct ede_note {
	int code; /* EDE_NONE: nothing to say */
	const uint8_t *text;
	size_t len;
};

static struct ede_note note_own(enum ede ede, const char *text)
{
	struct ede_note n = { .code = ede, .text = (const uint8_t *)text };

	if (!text || ede == EDE_NONE)
		return n;
	n.len = strlen(text);
	if (n.len > EDE_TEXT_MAX) {
		n.len = EDE_TEXT_MAX;
		while (n.len && (n.text[n.len] & 0xc0) == 0x80) /* whole characters */
			n.len--;
	}
	return n;
}

/* ours if we have something to say, else what the upstream said */
static struct ede_note note_pick(const struct wire_edit *e, const uint8_t *msg,
	const struct record *opt)
{
	struct ede_note n = note_own(e->ede, e->ede_text);
	const uint8_t *said;
	uint16_t len;

	if (n.code != EDE_NONE || !opt)
		return n;
	said = opt_option(msg, opt, OPTION_EDE, &len);
	if (!said || len < 2)
		return n;
	n.code = said[0] << 8 | said[1];
	n.text = said + 2;
	n.len = MIN(len - 2u, (size_t)EDE_TEXT_MAX);
	return n;
}

static size_t opt_size(const struct wire_query *q, const struct ede_note *n)
{
	if (!q->edns)
		return 0;
	return OPT_FIXED + (n->code == EDE_NONE ? 0 : 6 + n->len);
}

static void opt_write(struct out *o, const struct wire_query *q, uint16_t rcode,
	const struct ede_note *n)
{
	if (!q->edns)
		return;
	out_u8(o, 0);
	out_u16(o, TYPE_OPT);
	out_u16(o, WIRE_UDP_MAX);
	out_u32(o, (uint32_t)(rcode >> 4) << 24 | (q->dnssec_ok ? 0x8000 : 0));
	out_u16(o, (uint16_t)(opt_size(q, n) - OPT_FIXED));
	if (n->code == EDE_NONE)
		return;
	out_u16(o, OPTION_EDE);
	out_u16(o, (uint16_t)(n->len + 2));
	out_u16(o, (uint16_t)n->code);
	out_bytes(o, n->text, n->len);
}

/* TC, AD and the rcode come from the answer (AD for who knows it: RFC 6840 5.8); the rest of
 * the flags is ours to say */
static uint16_t reply_flags(const struct wire_query *q, uint16_t kept, uint16_t rcode)
{
	if (!q->dnssec_ok && !(q->flags & WIRE_AD))
		kept &= (uint16_t)~WIRE_AD;
	if (rcode > 15 && !q->edns)
		rcode = RCODE_SERVFAIL;
	return (uint16_t)(WIRE_QR | WIRE_RA | (q->opcode & 15) << 11 | kept |
		(q->flags & (WIRE_RD | WIRE_CD)) | (rcode & 15));
}

static void head_patch(uint8_t *msg, const struct head *h)
{
	struct out o = out_into(msg, WIRE_HEAD);

	head_write(&o, h);
}

/* One walk over the message, TTLs patched in the copy. NEED_REBUILD: an OPT that is not
 * last, another question than was asked, or no room. */
static int reply_patched(const struct wire_query *q, const uint8_t *query,
	const uint8_t *msg, size_t len, const struct wire_edit *e, uint8_t *to, size_t room)
{
	struct cur c = cur_over(msg, len);
	struct out o = out_into(to, room);
	struct record rr, opt = { 0 };
	struct ede_note note;
	struct head h;
	unsigned total;
	uint16_t rcode;

	if (head_read(&c, &h) < 0 || h.qd != 1 || name_skip(&c) < 0 || !cur_take(&c, 4))
		return -EBADMSG;
	if (c.at - WIRE_HEAD != q->question_len || len > room ||
		!question_equal(msg + WIRE_HEAD, query + WIRE_HEAD, q->question_len))
		return NEED_REBUILD;
	memcpy(to, msg, len);
	memcpy(to + WIRE_HEAD, query + WIRE_HEAD, q->question_len);
	total = (unsigned)h.an + h.ns + h.ar;
	for (unsigned i = 0; i < total && opt.type != TYPE_OPT; i++) {
		if (record_read(&c, &rr) < 0)
			return -EBADMSG;
		if (rr.type != TYPE_OPT)
			put_u32(to + rr.ttl_at, ttl_aged(e, rr.ttl));
		else if (i + 1 != total || h.ar == 0)
			return NEED_REBUILD;
		else
			opt = rr;
	}
	o.len = opt.type == TYPE_OPT ? opt.owner_at : c.at;
	rcode = h.flags & 15;
	if (opt.type == TYPE_OPT) {
		rcode |= (uint16_t)(opt.ttl >> 24 << 4);
		h.ar--;
	}
	note = note_pick(e, msg, opt.type == TYPE_OPT ? &opt : NULL);
	opt_write(&o, q, rcode, &note);
	if (o.bad)
		return NEED_REBUILD;
	h.id = q->id;
	h.flags = reply_flags(q, h.flags & (WIRE_TC | WIRE_AD), rcode);
	h.ar += q->edns;
	head_patch(to, &h);
	return (int)o.len;
}

static int reply_rebuilt(const struct wire_query *q, const uint8_t *query,
	const uint8_t *msg, size_t len, const struct wire_edit *e, uint8_t *to, size_t room)
{
	struct out o = out_into(to, room);
	struct record opt = { 0 };
	struct ede_note note;
	struct head h;
	uint16_t rcode;
	size_t reserved;
	int r;

	if (opt_find(msg, len, &opt) < 0)
		return -EBADMSG;
	note = note_pick(e, msg, opt.type == TYPE_OPT ? &opt : NULL);
	reserved = opt_size(q, &note);
	if (WIRE_HEAD + q->question_len + reserved > room)
		return -ENOSPC;
	o.max = room - reserved;
	r = rebuild(&o, query, q->question_len, msg, len, e, &h);
	if (r < 0)
		return r;
	o.max = room;
	rcode = (h.flags & 15) | (uint16_t)(opt.ttl >> 24 << 4);
	opt_write(&o, q, rcode, &note);
	h.id = q->id;
	h.flags = reply_flags(q, h.flags & (e->cut || e->cut_hints ? WIRE_TC :
		WIRE_TC | WIRE_AD), rcode);
	h.ar += q->edns;
	head_patch(to, &h);
	return (int)o.len;
}

int wire_reply(const struct wire_query *q, const uint8_t *query, const uint8_t *msg,
	size_t len, const struct wire_edit *e, uint8_t *out, size_t room)
{
	int r = NEED_REBUILD;

	room = MIN(room, MIN(e->max, (size_t)WIRE_MAX));
	if (!e->cut && !e->cut_hints)
		r = reply_patched(q, query, msg, len, e, out, room);
	if (r == NEED_REBUILD)
		r = reply_rebuilt(q, query, msg, len, e, out, room);
	return r;
}

/* written anew with the question of query, and an OPT if msg has one */
static int renew(const uint8_t *query, size_t question_len, const uint8_t *msg, size_t len,
	const struct wire_edit *e, struct out *o)
{
	struct wire_query q = { 0 };
	struct record opt = { 0 };
	struct cur c = cur_over(msg, len);
	struct ede_note note;
	struct head h;
	uint16_t flags;
	int r;

	if (opt_find(msg, len, &opt) < 0 || head_read(&c, &h) < 0)
		return -EBADMSG;
	flags = h.flags;
	r = rebuild(o, query, question_len, msg, len, e, &h);
	if (r < 0 || (h.flags & WIRE_TC) != (flags & WIRE_TC))
		return r < 0 ? r : -ENOSPC;
	q.edns = opt.type == TYPE_OPT;
	q.dnssec_ok = opt.ttl & 0x8000;
	note = note_pick(e, msg, q.edns ? &opt : NULL);
	opt_write(o, &q, (uint16_t)(opt.ttl >> 24 << 4), &note);
	if (o->bad)
		return -ENOSPC;
	h.ar += q.edns;
	head_patch(o->base, &h);
	return (int)o->len;
}

int wire_canon(const uint8_t *msg, size_t len, const uint64_t *cut, uint8_t *out,
	size_t room)
{
	struct wire_edit as_is = { .ede = EDE_NONE, .cut = cut };
	struct out o = out_into(out, MIN(room, (size_t)WIRE_MAX));
	struct cur c = cur_over(msg, len);

	cur_take(&c, WIRE_HEAD);
	if (c.bad || name_skip(&c) < 0)
		return -EBADMSG;
	return renew(msg, c.at + 4 - WIRE_HEAD, msg, len, &as_is, &o);
}

int wire_alias(const uint8_t *query, size_t question_len, const char *alias,
	uint32_t alias_ttl, const uint8_t *msg, size_t len, uint8_t *out, size_t room)
{
	struct wire_edit e = { .ede = EDE_NONE, .alias = alias, .alias_ttl = alias_ttl };
	struct out o = out_into(out, MIN(room, (size_t)WIRE_MAX));

	return renew(query, question_len, msg, len, &e, &o);
}

static void short_head(struct out *o, const struct wire_query *q, const uint8_t *query,
	uint16_t rcode, uint16_t answers)
{
	struct head h = { .id = q->id, .flags = reply_flags(q, 0, rcode),
		.qd = q->question_len > 0, .an = answers, .ar = q->edns };

	head_write(o, &h);
	out_bytes(o, query + WIRE_HEAD, q->question_len);
}

int wire_error(const struct wire_query *q, const uint8_t *query, size_t query_len,
	enum rcode rcode, enum ede ede, const char *ede_text, uint8_t *out, size_t room)
{
	struct ede_note note = note_own(ede, ede_text);
	struct out o = out_into(out, room);

	if (q->question_len && WIRE_HEAD + q->question_len > query_len)
		return -EBADMSG;
	short_head(&o, q, query, (uint16_t)rcode, 0);
	opt_write(&o, q, (uint16_t)rcode, &note);
	return o.bad ? -ENOSPC : (int)o.len;
}

/* a record of the question's name; the caller writes data of that length behind it */
static void local_head(struct out *o, uint16_t type, uint32_t ttl, size_t rdlen)
{
	out_u16(o, 0xc000 | WIRE_HEAD);
	out_u16(o, type);
	out_u16(o, CLASS_IN);
	out_u32(o, ttl);
	out_u16(o, (uint16_t)rdlen);
}

int wire_local(const struct wire_query *q, const uint8_t *query, const struct addr *addrs,
	unsigned n, uint32_t ttl, uint8_t *out, size_t room)
{
	struct ede_note none = { .code = EDE_NONE };
	struct out o = out_into(out, room);

	short_head(&o, q, query, RCODE_NOERROR, (uint16_t)n);
	for (unsigned i = 0; i < n; i++) {
		size_t len = addr_bits(&addrs[i]) / 8;

		local_head(&o, len == 4 ? TYPE_A : TYPE_AAAA, ttl, len);
		out_bytes(&o, addrs[i].b, len);
	}
	opt_write(&o, q, RCODE_NOERROR, &none);
	return o.bad ? -ENOSPC : (int)o.len;
}

int wire_local_records(const struct wire_query *q, const uint8_t *query,
	const struct wire_record *records, unsigned n, uint8_t *out, size_t room)
{
	struct ede_note none = { .code = EDE_NONE };
	struct out o = out_into(out, room);

	short_head(&o, q, query, RCODE_NOERROR, (uint16_t)n);
	for (unsigned i = 0; i < n; i++) {
		local_head(&o, records[i].type, records[i].ttl, records[i].len);
		out_bytes(&o, records[i].data, records[i].len);
	}
	opt_write(&o, q, RCODE_NOERROR, &none);
	return o.bad ? -ENOSPC : (int)o.len;
}

int wire_local_ptr(const struct wire_query *q, const uint8_t *query, const char *target,
	uint32_t ttl, uint8_t *out, size_t room)
{
	struct ede_note none = { .code = EDE_NONE };
	struct out o = out_into(out, room);
	uint8_t name[HOST_WIRE_MAX];
	int len = host_to_wire(target, name);

	if (len < 0)
		return len;
	short_head(&o, q, query, RCODE_NOERROR, 1);
	local_head(&o, TYPE_PTR, ttl, (size_t)len);
	out_bytes(&o, name, (size_t)len);
	opt_write(&o, q, RCODE_NOERROR, &none);
	return o.bad ? -ENOSPC : (int)o.len;
}

int wire_query_write(const char *name, uint16_t type, uint16_t id, bool dnssec_ok,
	uint8_t *out, size_t room)
{
	struct wire_query q = { .edns = true, .dnssec_ok = dnssec_ok };
	struct head h = { .id = id, .flags = WIRE_RD, .qd = 1, .ar = 1 };
	struct ede_note none = { .code = EDE_NONE };
	struct out o = out_into(out, room);
	uint8_t wire[HOST_WIRE_MAX];
	int len = host_to_wire(name, wire);

	if (len < 0)
		return len;
	head_write(&o, &h);
	out_bytes(&o, wire, (size_t)len);
	out_u16(&o, type);
	out_u16(&o, CLASS_IN);
	opt_write(&o, &q, RCODE_NOERROR, &none);
	return o.bad ? -ENOSPC : (int)o.len;
}
