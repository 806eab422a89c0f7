/* SPDX-License-Identifier: GPL-2.0-or-later
 * cur.h - reading and writing bytes in bounds. Outside bytes are read through this only.
 * A cursor borrows its bytes. Once a read or write does not fit, bad is set and stays:
 * reads give 0 and NULL, writes do nothing; one check at the end covers every step.
 * Numbers are in network order on the wire and in host order here. */
#ifndef BASE_CUR_H
#define BASE_CUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cur {
	const uint8_t *base;
	size_t len, at;
	bool bad;
};

static inline struct cur cur_over(const void *bytes, size_t len)
{
	return (struct cur){ .base = bytes, .len = len };
}

static inline size_t cur_left(const struct cur *c)
{
	return c->bad ? 0 : c->len - c->at;
}

/* n bytes as they stand, or NULL; valid as long as what the cursor borrows */
static inline const uint8_t *cur_take(struct cur *c, size_t n)
{
	const uint8_t *p;

	if (c->bad || n > c->len - c->at) {
		c->bad = true;
		return NULL;
	}
	p = c->base + c->at;
	c->at += n;
	return p;
}

/* a cursor over the next n bytes; where there are not as many both are bad */
static inline struct cur cur_sub(struct cur *c, size_t n)
{
	const uint8_t *p = cur_take(c, n);

	return (struct cur){ .base = p, .len = p ? n : 0, .bad = !p };
}

static inline uint8_t cur_u8(struct cur *c)
{
	const uint8_t *p = cur_take(c, 1);

	return p ? p[0] : 0;
}

static inline uint16_t cur_u16(struct cur *c)
{
	const uint8_t *p = cur_take(c, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t cur_u32(struct cur *c)
{
	const uint8_t *p = cur_take(c, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
		 : 0;
}

static inline void cur_seek(struct cur *c, size_t at)
{
	if (at > c->len)
		c->bad = true;
	else
		c->at = at;
}

/* the writing twin: a fixed buffer of the caller's */
struct out {
	uint8_t *base;
	size_t max, len;
	bool bad;
};

static inline struct out out_into(void *bytes, size_t max)
{
	return (struct out){ .base = bytes, .max = max };
}

/* room for n bytes, or NULL */
static inline uint8_t *out_room(struct out *o, size_t n)
{
	uint8_t *p;

	if (o->bad || n > o->max - o->len) {
		o->bad = true;
		return NULL;
	}
	p = o->base + o->len;
	o->len += n;
	return p;
}

static inline void out_bytes(struct out *o, const void *bytes, size_t n)
{
	uint8_t *p = out_room(o, n);

	if (p && n)
		memcpy(p, bytes, n);
}

static inline void out_u8(struct out *o, uint8_t v)
{
	out_bytes(o, &v, 1);
}

static inline void out_u16(struct out *o, uint16_t v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	out_bytes(o, b, 2);
}

static inline void out_u32(struct out *o, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
		(uint8_t)v };

	out_bytes(o, b, 4);
}

#endif
