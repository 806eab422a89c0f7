/* SPDX-License-Identifier: GPL-2.0-or-later
 * The writing half of wire.h.
 *
 * Theory of operation of wire_reply. Mostly nothing is left out and all fits: then the
 * message is copied and patched in place (id, flags, question, TTLs), and its OPT, when it
 * stands last, makes room for ours; no byte moves, so every pointer stays right. Else the
 * reply is built record by record, every name written anew, because what a pointer led to
 * may be gone. */
#include "resolver/wire.h"
#include "resolver/name.h"
#include "resolver/record.h"

#include "base/macros.h"

#include <errno.h>

enum {
	KNOWN_MAX = 16,       /* names that later ones may point to */
	POINTER_REACH = 0x4000,
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

static void put_u16(uint8_t *to, uint16_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static void put_u32(uint8_t *to, uint32_t v)
{
	put_u16(to, (uint16_t)(v >> 16));
	put_u16(to + 2, (uint16_t)v);
}

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

/* TC and the rcode come from the answer; the rest of the flags is ours to say */
static uint16_t reply_flags(const struct wire_query *q, uint16_t tc, uint16_t rcode)
{
	if (rcode > 15 && !q->edns)
		rcode = RCODE_SERVFAIL;
	return (uint16_t)(WIRE_QR | WIRE_RA | (q->opcode & 15) << 11 | tc |
		(q->flags & (WIRE_RD | WIRE_CD)) | (rcode & 15));
}

static void head_write(struct out *o, const struct head *h)
{
	out_u16(o, h->id);
	out_u16(o, h->flags);
	out_u16(o, h->qd);
	out_u16(o, h->an);
	out_u16(o, h->ns);
	out_u16(o, h->ar);
}

static void head_patch(uint8_t *msg, const struct head *h)
{
	struct out o = out_into(msg, WIRE_HEAD);

	head_write(&o, h);
}

static uint32_t ttl_aged(const struct wire_edit *e, uint32_t ttl)
{
	ttl = ttl_sane(ttl);
	ttl = ttl > e->age_s ? ttl - e->age_s : 0;
	return e->ttl_max ? MIN(ttl, e->ttl_max) : ttl;
}

/* One walk over the message, TTLs patched in the copy. NEED_REBUILD: an OPT that is not
 * last, a question of another length, or no room. */
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
	if (c.at - WIRE_HEAD != q->question_len || len > room)
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
	h.flags = reply_flags(q, h.flags & WIRE_TC, rcode);
	h.ar += q->edns;
	head_patch(to, &h);
	return (int)o.len;
}

/* a reply being built */
struct build {
	struct out o;
	const uint8_t *msg;
	const struct wire_edit *e;
	size_t nknown;
	struct {
		uint16_t at;
		struct name name;
	} known[KNOWN_MAX];
	struct {            /* where the RRset under way began */
		size_t len, nknown;
		uint16_t type, count;
		struct name owner;
	} set;
};

static void known_add(struct build *b, const struct name *n, size_t at)
{
	if (b->nknown == KNOWN_MAX || at >= POINTER_REACH || n->len < 3)
		return;
	b->known[b->nknown].at = (uint16_t)at;
	b->known[b->nknown++].name = *n;
}

/* where the labels of n from at on already stand, or 0 */
static uint16_t known_tail(const struct build *b, const struct name *n, size_t at)
{
	struct name tail = { .len = (uint8_t)(n->len - at) };

	memcpy(tail.b, n->b + at, tail.len);
	for (size_t i = 0; i < b->nknown; i++)
		if (name_equal(&b->known[i].name, &tail))
			return b->known[i].at;
	return 0;
}

static void name_write(struct build *b, const struct name *n, bool compress)
{
	size_t start = b->o.len, at = 0;
	uint16_t to = 0;

	while (compress && n->b[at]) {
		to = known_tail(b, n, at);
		if (to)
			break;
		at += 1u + n->b[at];
	}
	if (to) {
		out_bytes(&b->o, n->b, at);
		out_u16(&b->o, 0xc000 | to);
	} else {
		out_bytes(&b->o, n->b, n->len);
	}
	if (at && !b->o.bad)
		known_add(b, n, start);
}

static void copy_rest(struct build *b, struct cur *c)
{
	size_t n = cur_left(c);
	const uint8_t *rest = cur_take(c, n);

	if (rest)
		out_bytes(&b->o, rest, n);
}

static int names_write(struct build *b, struct cur *c, const struct shape *s)
{
	const uint8_t *fixed = cur_take(c, s->skip);

	if (!fixed)
		return -EBADMSG;
	out_bytes(&b->o, fixed, s->skip);
	for (unsigned i = 0; i < s->strings; i++) {
		uint8_t n = cur_u8(c);
		const uint8_t *string = cur_take(c, n);

		if (!string)
			return -EBADMSG;
		out_u8(&b->o, n);
		out_bytes(&b->o, string, n);
	}
	for (unsigned i = 0; i < s->names; i++) {
		struct name n;

		if (name_read(c, &n) < 0)
			return -EBADMSG;
		name_write(b, &n, s->type <= TYPE_MX); /* RFC 3597 4: no newer type */
	}
	copy_rest(b, c);
	return 0;
}

enum { KEY_MANDATORY = 0, KEY_IPV4HINT = 4, KEY_IPV6HINT = 6 };

static bool is_hint(uint16_t key)
{
	return key == KEY_IPV4HINT || key == KEY_IPV6HINT;
}

/* what is gone cannot stay mandatory (RFC 9460 8) */
static void mandatory_write(struct build *b, const uint8_t *value, uint16_t len)
{
	struct cur c = cur_over(value, len & ~1u);
	size_t start = b->o.len;

	out_u16(&b->o, KEY_MANDATORY);
	out_u16(&b->o, 0);
	while (cur_left(&c) > 0) {
		uint16_t key = cur_u16(&c);

		if (!is_hint(key))
			out_u16(&b->o, key);
	}
	if (b->o.bad)
		return;
	if (b->o.len == start + 4)
		b->o.len = start;
	else
		put_u16(b->o.base + start + 2, (uint16_t)(b->o.len - start - 4));
}

static int service_write(struct build *b, struct cur *c)
{
	const uint8_t *priority = cur_take(c, 2);
	struct name target;

	if (!priority || name_read(c, &target) < 0)
		return -EBADMSG;
	out_bytes(&b->o, priority, 2);
	name_write(b, &target, false);
	while (cur_left(c) > 0) {
		uint16_t key = cur_u16(c);
		uint16_t len = cur_u16(c);
		const uint8_t *value = cur_take(c, len);

		if (!value)
			return -EBADMSG;
		if (is_hint(key))
			continue;
		if (key == KEY_MANDATORY) {
			mandatory_write(b, value, len);
			continue;
		}
		out_u16(&b->o, key);
		out_u16(&b->o, len);
		out_bytes(&b->o, value, len);
	}
	return 0;
}

static int rdata_write(struct build *b, const struct record *rr)
{
	bool service = rr->type == TYPE_SVCB || rr->type == TYPE_HTTPS;
	const struct shape *s = shape_of(rr->type);
	struct cur c = cur_over(b->msg, rr->rdata_at + rr->rdlen);
	size_t at = b->o.len;
	int r = 0;

	cur_seek(&c, rr->rdata_at);
	out_u16(&b->o, 0);
	if (s)
		r = names_write(b, &c, s);
	else if (service && b->e->cut_hints)
		r = service_write(b, &c);
	else
		copy_rest(b, &c);
	if (r == 0 && !b->o.bad)
		put_u16(b->o.base + at, (uint16_t)(b->o.len - at - 2));
	return r;
}

static int owner_read(const struct build *b, const struct record *rr, struct name *out)
{
	struct cur c = cur_over(b->msg, rr->rdata_at);

	cur_seek(&c, rr->owner_at);
	return name_read(&c, out);
}

/* RRsets stand together in practice; one that does not is taken for two */
static void set_follow(struct build *b, const struct record *rr, const struct name *owner)
{
	if (b->set.count && b->set.type == rr->type && name_equal(&b->set.owner, owner))
		return;
	b->set.len = b->o.len;
	b->set.nknown = b->nknown;
	b->set.type = rr->type;
	b->set.count = 0;
	b->set.owner = *owner;
}

static int record_write(struct build *b, const struct record *rr)
{
	struct name owner;
	int r;

	if (owner_read(b, rr, &owner) < 0)
		return -EBADMSG;
	set_follow(b, rr, &owner);
	name_write(b, &owner, true);
	out_u16(&b->o, rr->type);
	out_u16(&b->o, rr->klass);
	out_u32(&b->o, ttl_aged(b->e, rr->ttl));
	r = rdata_write(b, rr);
	if (r < 0 || !b->o.bad) {
		b->set.count++;
		return r;
	}
	b->o.len = b->set.len;       /* the whole set goes */
	b->o.bad = false;
	b->nknown = b->set.nknown;
	return -ENOSPC;
}

static bool is_cut(const struct wire_edit *e, unsigned rr)
{
	return e->cut && rr < WIRE_ITEMS_MAX && (e->cut[rr / 64] >> (rr % 64) & 1);
}

/* One section. count: what came in, then what went out. -ENOSPC: it is full. */
static int section_write(struct build *b, struct cur *c, uint16_t *count, unsigned *index)
{
	uint16_t todo = *count, done = 0;
	int r = 0;

	b->set.count = 0;
	for (uint16_t i = 0; i < todo && r == 0; i++) {
		struct record rr;

		if (record_read(c, &rr) < 0)
			return -EBADMSG;
		if (rr.type == TYPE_OPT || is_cut(b->e, (*index)++))
			continue;
		r = record_write(b, &rr);
		if (r == 0)
			done++;
		else if (r == -ENOSPC)
			done -= b->set.count;
	}
	*count = done;
	return r;
}

static int sections_write(struct build *b, struct cur *c, struct head *h)
{
	unsigned index = 0;
	int r = section_write(b, c, &h->an, &index);

	if (r == -ENOSPC) {
		h->flags |= WIRE_TC;
		h->ns = h->ar = 0;
		return 0;
	}
	if (r == 0)
		r = section_write(b, c, &h->ns, &index);
	if (r == -ENOSPC) {
		h->flags |= WIRE_TC;
		h->ar = 0;
		return 0;
	}
	if (r == 0)
		r = section_write(b, c, &h->ar, &index);
	return r == -ENOSPC ? 0 : r; /* additional records are a courtesy */
}

static int find_opt(const uint8_t *msg, size_t len, struct record *opt)
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

static int question_copy(struct build *b, const struct wire_query *q, const uint8_t *query)
{
	struct cur c = cur_over(query, WIRE_HEAD + q->question_len);
	struct name n;

	cur_seek(&c, WIRE_HEAD);
	if (name_read(&c, &n) < 0)
		return -EBADMSG;
	out_bytes(&b->o, query + WIRE_HEAD, q->question_len);
	known_add(b, &n, WIRE_HEAD);
	return 0;
}

static int reply_rebuilt(const struct wire_query *q, const uint8_t *query,
	const uint8_t *msg, size_t len, const struct wire_edit *e, uint8_t *to, size_t room)
{
	struct build b = { .o = out_into(to, room), .msg = msg, .e = e };
	struct cur c = cur_over(msg, len);
	struct record opt = { 0 };
	struct ede_note note;
	struct head h;
	uint16_t rcode;
	size_t reserved;
	int r;

	if (find_opt(msg, len, &opt) < 0 || head_read(&c, &h) < 0)
		return -EBADMSG;
	name_skip(&c);
	cur_take(&c, 4);
	rcode = (h.flags & 15) | (uint16_t)(opt.ttl >> 24 << 4);
	note = note_pick(e, msg, opt.type == TYPE_OPT ? &opt : NULL);
	reserved = opt_size(q, &note);
	if (WIRE_HEAD + q->question_len + reserved > room)
		return -ENOSPC;
	b.o.max = room - reserved;
	head_write(&b.o, &h);
	if (question_copy(&b, q, query) < 0)
		return -EBADMSG;
	h.flags &= WIRE_TC;
	r = sections_write(&b, &c, &h);
	if (r < 0)
		return r;
	b.o.max = room;
	opt_write(&b.o, q, rcode, &note);
	h.id = q->id;
	h.flags = reply_flags(q, h.flags, rcode);
	h.ar += q->edns;
	head_patch(to, &h);
	return (int)b.o.len;
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
