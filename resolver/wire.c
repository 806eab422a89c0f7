/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/wire.h"
#include "resolver/name.h"
#include "resolver/record.h"

#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLASS_IN = 1, TYPE_IXFR = 251, TYPE_MAILA = 254 };

static bool options_fit(struct cur options)
{
	while (cur_left(&options) > 0) {
		cur_u16(&options);
		cur_take(&options, cur_u16(&options));
	}
	return !options.bad;
}

static enum rcode edns_read(const struct record *rr, const uint8_t *msg,
	struct wire_query *q)
{
	if (q->edns || msg[rr->owner_at] != 0) /* RFC 6891 6.1.1: one, owned by the root */
		return RCODE_FORMERR;
	if (!options_fit(cur_over(msg + rr->rdata_at, rr->rdlen)))
		return RCODE_FORMERR;
	q->edns = true;
	q->udp_size = MAX(rr->klass, WIRE_UDP_MIN);
	q->edns_version = (uint8_t)(rr->ttl >> 16);
	q->dnssec_ok = rr->ttl & 0x8000;
	return RCODE_NOERROR;
}

static enum rcode query_records(struct cur *c, const struct head *h, struct wire_query *q)
{
	for (unsigned i = 0; i < (unsigned)h->ns + h->ar; i++) {
		enum rcode rcode = RCODE_NOERROR;
		struct record rr;

		if (record_read(c, &rr) < 0)
			return RCODE_FORMERR;
		if (rr.type == TYPE_OPT)
			rcode = edns_read(&rr, c->base, q);
		if (rcode != RCODE_NOERROR)
			return rcode;
	}
	return RCODE_NOERROR;
}

static enum rcode query_body(struct cur *c, const struct head *h, struct wire_query *q)
{
	enum rcode rcode;

	if (q->opcode != 0)
		return RCODE_NOTIMP;
	if (h->qd != 1 || h->an != 0 || name_read_text(c, q->name) < 0)
		return RCODE_FORMERR;
	q->type = cur_u16(c);
	q->klass = cur_u16(c);
	if (c->bad)
		return RCODE_FORMERR;
	q->question_len = c->at - WIRE_HEAD;
	rcode = query_records(c, h, q);
	if (rcode != RCODE_NOERROR)
		return rcode;
	if (q->edns_version != 0)
		return RCODE_BADVERS;
	if (q->klass != CLASS_IN || (q->type >= TYPE_IXFR && q->type <= TYPE_MAILA))
		return RCODE_NOTIMP;
	return q->type == TYPE_OPT ? RCODE_FORMERR : RCODE_NOERROR;
}

int wire_query_read(const uint8_t *msg, size_t len, struct wire_query *out,
	enum rcode *rcode)
{
	struct cur c = cur_over(msg, len);
	struct head h;

	if (head_read(&c, &h) < 0 || (h.flags & WIRE_QR))
		return -EBADMSG;
	*out = (struct wire_query){ .id = h.id, .flags = h.flags,
		.opcode = h.flags >> 11 & 15, .udp_size = WIRE_UDP_MIN };
	*rcode = query_body(&c, &h, out);
	return 0;
}

enum section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL };

/* an answer being read: what was gathered so far */
struct reading {
	const uint8_t *msg;
	struct wire_answer a;
	size_t room;           /* items allocated */
	bool found;            /* a record of the type that was asked for */
	bool soa, opt;
	uint32_t least, negative;
};

static int item_add(struct reading *r, enum wire_lead lead, const struct name *owner,
	const struct record *rr, struct wire_answer_item **out)
{
	struct wire_answer_item *i;

	if (r->a.nitems >= WIRE_ITEMS_MAX)
		return -EBADMSG;
	if (r->a.nitems == r->room) {
		size_t room = r->room ? r->room * 2 : 4;

		i = realloc(r->a.items, room * sizeof(*i));
		if (!i)
			return -ENOMEM;
		r->a.items = i;
		r->room = room;
	}
	i = &r->a.items[r->a.nitems];
	memset(i, 0, sizeof(*i));
	i->lead = lead;
	i->ttl = ttl_sane(rr->ttl);
	i->rr = r->a.nrr;
	if (name_text(owner, i->owner) < 0)
		return -EBADMSG;
	r->a.nitems++;
	*out = i;
	return 0;
}

static int item_addr(struct reading *r, enum wire_lead lead, const struct name *owner,
	const struct record *rr, const struct addr *addr)
{
	struct wire_answer_item *i;
	int e = item_add(r, lead, owner, rr, &i);

	if (e == 0)
		i->addr = *addr;
	return e;
}

static int item_name(struct reading *r, enum wire_lead lead, const struct name *owner,
	const struct record *rr, const struct name *target)
{
	struct wire_answer_item *i;
	int e = item_add(r, lead, owner, rr, &i);

	return e < 0 ? e : name_text(target, i->name);
}

/* a cursor over the record's data in which names can still be followed backwards */
static struct cur rdata(const struct reading *r, const struct record *rr, size_t skip)
{
	struct cur c = cur_over(r->msg, rr->rdata_at + rr->rdlen);

	cur_seek(&c, rr->rdata_at);
	cur_take(&c, skip);
	return c;
}

static int read_target(struct reading *r, enum wire_lead lead, const struct name *owner,
	const struct record *rr, size_t skip)
{
	struct cur c = rdata(r, rr, skip);
	struct name target;

	if (name_read(&c, &target) < 0)
		return -EBADMSG;
	return item_name(r, lead, owner, rr, &target);
}

static struct addr addr_of(const uint8_t *bytes, size_t n)
{
	return n == 4 ? addr_v4(bytes) : addr_v6(bytes);
}

static int read_hints(struct reading *r, const struct name *owner,
	const struct record *rr, struct cur *c)
{
	enum { IPV4HINT = 4, IPV6HINT = 6 };

	while (cur_left(c) > 0) {
		uint16_t key = cur_u16(c);
		uint16_t len = cur_u16(c);
		const uint8_t *value = cur_take(c, len);
		size_t one = key == IPV4HINT ? 4 : key == IPV6HINT ? 16 : 0;
		int e;

		if (!value || (one && (len == 0 || len % one)))
			return -EBADMSG;
		for (size_t at = 0; one && at < len; at += one) {
			struct addr addr = addr_of(value + at, one);

			e = item_addr(r, LEAD_HINT, owner, rr, &addr);
			if (e < 0)
				return e;
		}
	}
	return c->bad ? -EBADMSG : 0;
}

/* SVCB and HTTPS (RFC 9460 2.2): the target is never compressed; "." is the owner */
static int read_service(struct reading *r, const struct name *owner,
	const struct record *rr)
{
	struct cur c = rdata(r, rr, 0);
	uint16_t priority = cur_u16(&c);
	size_t at = c.at;
	struct name target;
	int e;

	if (name_read(&c, &target) < 0 || c.at - at != target.len)
		return -EBADMSG;
	if (target.len == 1 && priority == 0)
		return 0; /* alias to nowhere: no such service */
	e = item_name(r, LEAD_TARGET, owner, rr, target.len == 1 ? owner : &target);
	return e < 0 ? e : read_hints(r, owner, rr, &c);
}

static int read_soa(struct reading *r, const struct record *rr)
{
	struct cur c = rdata(r, rr, 0);
	uint32_t minimum, ttl = ttl_sane(rr->ttl);
	struct name n;

	if (name_read(&c, &n) < 0 || name_read(&c, &n) < 0)
		return -EBADMSG;
	cur_take(&c, 16);
	minimum = cur_u32(&c);
	if (c.bad)
		return -EBADMSG;
	r->soa = true;
	r->negative = MIN(minimum, ttl); /* RFC 2308 5 */
	return 0;
}

static int read_addr(struct reading *r, const struct name *owner, const struct record *rr)
{
	struct addr addr;

	if (rr->rdlen != (rr->type == TYPE_A ? 4 : 16))
		return -EBADMSG;
	addr = addr_of(r->msg + rr->rdata_at, rr->rdlen);
	return item_addr(r, LEAD_ADDR, owner, rr, &addr);
}

static int read_lead(struct reading *r, const struct name *owner, const struct record *rr)
{
	if (rr->klass != CLASS_IN)
		return 0;
	switch (rr->type) {
	case TYPE_A:
	case TYPE_AAAA:
		return read_addr(r, owner, rr);
	case TYPE_CNAME:
	case TYPE_DNAME:
		return read_target(r, LEAD_CNAME, owner, rr, 0);
	case TYPE_MX:
		return read_target(r, LEAD_TARGET, owner, rr, 2);
	case TYPE_SRV:
		return read_target(r, LEAD_TARGET, owner, rr, 6);
	case TYPE_SVCB:
	case TYPE_HTTPS:
		return read_service(r, owner, rr);
	default:
		return 0;
	}
}

static int read_opt(struct reading *r, const struct record *rr, enum section where)
{
	if (r->opt || where != SECTION_ADDITIONAL) /* RFC 6891 6.1.1 */
		return -EBADMSG;
	r->opt = true;
	r->a.rcode |= (uint16_t)(rr->ttl >> 24 << 4);
	return 0;
}

static int read_record(struct reading *r, struct cur *c, enum section where)
{
	size_t at = c->at;
	struct record rr;
	struct cur o;
	struct name owner;
	int e;

	if (record_read(c, &rr) < 0)
		return -EBADMSG;
	if (rr.type == TYPE_OPT)
		return read_opt(r, &rr, where);
	o = cur_over(c->base, c->at);
	cur_seek(&o, at);
	if (r->a.nrr >= WIRE_ITEMS_MAX || name_read(&o, &owner) < 0)
		return -EBADMSG;
	e = read_lead(r, &owner, &rr);
	if (e == 0 && where == SECTION_AUTHORITY && rr.type == TYPE_SOA && !r->soa)
		e = read_soa(r, &rr);
	if (e < 0)
		return e;
	if (where == SECTION_ANSWER) {
		r->least = MIN(r->least, ttl_sane(rr.ttl));
		r->found |= rr.type == r->a.qtype || r->a.qtype == TYPE_ANY;
		r->a.nanswer++;
	}
	r->a.nrr++;
	return 0;
}

static enum section section_of(const struct head *h, unsigned i)
{
	if (i < h->an)
		return SECTION_ANSWER;
	return i < (unsigned)h->an + h->ns ? SECTION_AUTHORITY : SECTION_ADDITIONAL;
}

static int read_answer(struct reading *r, size_t len)
{
	struct cur c = cur_over(r->msg, len);
	unsigned total;
	struct head h;

	if (head_read(&c, &h) < 0 || !(h.flags & WIRE_QR) || h.qd != 1)
		return -EBADMSG;
	r->a.id = h.id;
	r->a.flags = h.flags;
	r->a.rcode = h.flags & 15;
	if (name_read_text(&c, r->a.qname) < 0)
		return -EBADMSG;
	r->a.qtype = cur_u16(&c);
	cur_u16(&c);
	total = (unsigned)h.an + h.ns + h.ar;
	for (unsigned i = 0; i < total; i++) {
		int e = read_record(r, &c, section_of(&h, i));

		if (e < 0)
			return e;
	}
	return c.bad ? -EBADMSG : 0;
}

/* least TTL of what was answered; a negative answer lives as its SOA says, and without
 * one not at all (RFC 2308 5) */
static void judge_ttl(struct reading *r)
{
	struct wire_answer *a = &r->a;

	if (a->rcode != RCODE_NOERROR && a->rcode != RCODE_NXDOMAIN)
		return;
	a->negative = a->rcode == RCODE_NXDOMAIN || !r->found;
	a->ttl = a->nanswer ? r->least : UINT32_MAX;
	if (a->negative)
		a->ttl = r->soa ? MIN(a->ttl, r->negative) : 0;
}

int wire_answer_read(const uint8_t *msg, size_t len, struct wire_answer *out)
{
	struct reading r = { .msg = msg, .least = UINT32_MAX };
	struct wire_answer_item *fit;
	int e = read_answer(&r, len);

	if (e < 0) {
		wire_answer_done(&r.a);
		return e;
	}
	judge_ttl(&r);
	if (r.a.nitems) {
		fit = realloc(r.a.items, r.a.nitems * sizeof(*fit));
		if (fit)
			r.a.items = fit;
	}
	*out = r.a;
	return 0;
}

void wire_answer_done(struct wire_answer *a)
{
	free(a->items);
	a->items = NULL;
	a->nitems = 0;
}

const char *type_text(uint16_t type, char buf[static 12])
{
	static const struct {
		uint16_t type;
		const char *text;
	} types[] = {
		{ TYPE_A, "A" }, { TYPE_AAAA, "AAAA" }, { TYPE_HTTPS, "HTTPS" },
		{ TYPE_CNAME, "CNAME" }, { TYPE_PTR, "PTR" }, { TYPE_MX, "MX" },
		{ TYPE_TXT, "TXT" }, { TYPE_SRV, "SRV" }, { TYPE_NS, "NS" },
		{ TYPE_SOA, "SOA" }, { TYPE_SVCB, "SVCB" }, { TYPE_DNAME, "DNAME" },
		{ TYPE_ANY, "ANY" }, { 13, "HINFO" }, { 35, "NAPTR" }, { 43, "DS" },
		{ 44, "SSHFP" }, { 46, "RRSIG" }, { 47, "NSEC" }, { 48, "DNSKEY" },
		{ 50, "NSEC3" }, { 52, "TLSA" }, { 61, "OPENPGPKEY" }, { 257, "CAA" },
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].text;
	snprintf(buf, 12, "TYPE%u", type); /* RFC 3597 5 */
	return buf;
}

const char *rcode_text(uint16_t rcode)
{
	static const char *const texts[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
		"NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
		"NOTZONE", "DSOTYPENI", "RCODE12", "RCODE13", "RCODE14", "RCODE15",
		"BADVERS" };

	return rcode < ARRAY_LEN(texts) ? texts[rcode] : "RCODE?";
}
