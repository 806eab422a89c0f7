/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/rebuild.h"
#include "resolver/name.h"

#include "base/macros.h"

#include <errno.h>

enum {
	KNOWN_MAX = 32,       /* names that later ones may point to */
	POINTER_REACH = 0x4000,
};

uint32_t ttl_aged(const struct wire_edit *e, uint32_t ttl)
{
	ttl = ttl_sane(ttl);
	ttl = ttl > e->age_s ? ttl - e->age_s : 0;
	return e->ttl_max ? MIN(ttl, e->ttl_max) : ttl;
}

/* what is being written */
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

static struct name name_tail(const struct name *n, size_t at)
{
	struct name tail = { .len = (uint8_t)(n->len - at) };

	memcpy(tail.b, n->b + at, tail.len);
	return tail;
}

static void known_add(struct build *b, const struct name *n, size_t at)
{
	if (b->nknown == KNOWN_MAX || at >= POINTER_REACH || n->len < 3)
		return;
	b->known[b->nknown].at = (uint16_t)at;
	b->known[b->nknown++].name = *n;
}

/* a name written at start, its first new bytes in full: it, and its parent if that is new */
static void known_add_both(struct build *b, const struct name *n, size_t start, size_t new)
{
	size_t parent = 1u + n->b[0];
	struct name tail;

	if (new == 0 || b->o.bad)
		return;
	known_add(b, n, start);
	if (parent >= new)
		return;
	tail = name_tail(n, parent);
	known_add(b, &tail, start + parent);
}

/* where the labels of n from at on already stand, or 0 */
static uint16_t known_tail(const struct build *b, const struct name *n, size_t at)
{
	struct name tail = name_tail(n, at);

	for (size_t i = 0; i < b->nknown; i++)
		if (name_equal(&b->known[i].name, &tail))
			return b->known[i].at;
	return 0;
}

static void name_write(struct build *b, const struct name *n, bool compress)
{
	size_t start = b->o.len, at = 0;
	uint16_t to = 0;

	while (n->b[at]) {
		to = compress ? known_tail(b, n, at) : 0;
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
	known_add_both(b, n, start, at);
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

static int question_copy(struct build *b, const uint8_t *query, size_t question_len)
{
	struct cur c = cur_over(query, WIRE_HEAD + question_len);
	struct name n;

	cur_seek(&c, WIRE_HEAD);
	if (name_read(&c, &n) < 0)
		return -EBADMSG;
	out_bytes(&b->o, query + WIRE_HEAD, question_len);
	known_add_both(b, &n, WIRE_HEAD, n.len - 1u);
	return 0;
}

/* the question's name is the first thing known, so the record points to it */
static int alias_write(struct build *b, const char *alias)
{
	struct name n;
	int len = host_to_wire(alias, n.b);
	size_t at;

	if (len < 0)
		return -EBADMSG;
	n.len = (uint8_t)len;
	out_u16(&b->o, 0xc000 | WIRE_HEAD);
	out_u16(&b->o, TYPE_CNAME);
	out_u16(&b->o, 1);
	out_u32(&b->o, b->e->alias_ttl);
	at = b->o.len;
	out_u16(&b->o, 0);
	name_write(b, &n, true);
	if (b->o.bad)
		return -ENOSPC;
	put_u16(b->o.base + at, (uint16_t)(b->o.len - at - 2));
	return 0;
}

int rebuild(struct out *o, const uint8_t *query, size_t question_len, const uint8_t *msg,
	size_t len, const struct wire_edit *e, struct head *h)
{
	struct build b = { .o = *o, .msg = msg, .e = e };
	struct cur c = cur_over(msg, len);
	int r;

	if (head_read(&c, h) < 0 || name_skip(&c) < 0 || !cur_take(&c, 4))
		return -EBADMSG;
	head_write(&b.o, h);
	if (question_copy(&b, query, question_len) < 0)
		return -EBADMSG;
	if (b.o.bad)
		return -ENOSPC;
	r = e->alias ? alias_write(&b, e->alias) : 0;
	if (r == 0)
		r = sections_write(&b, &c, h);
	h->an += e->alias != NULL;
	*o = b.o;
	return r;
}
