/* SPDX-License-Identifier: GPL-2.0-or-later
 * net.c - addresses, prefixes and ranges, all kept as two ends. */
#include "rules/line.h"

#include <errno.h>
#include <string.h>

int word_address(const struct word *w, size_t from, size_t to, struct addr *out)
{
	char buf[ADDR_TEXT_MAX + 8];

	if (to - from >= sizeof(buf))
		return -EINVAL;
	word_copy(w, from, to, buf, sizeof(buf));
	return addr_parse(buf, out);
}

static void net_set(struct what *out, const struct addr *lo, const struct addr *hi)
{
	int borrow = 0;

	out->kind = WHAT_NET;
	out->lo = *lo;
	out->hi = *hi;
	for (int i = 15; i >= 0; i--) {
		int v = hi->b[i] - lo->b[i] - borrow;

		borrow = v < 0;
		out->size[i] = (uint8_t)(v + (borrow ? 256 : 0));
	}
}

static int prefix_parse(const struct line *l, const struct word *w, size_t slash,
	size_t to, const struct addr *net, struct what *out)
{
	char buf[8], text[ADDR_TEXT_MAX];
	struct addr lo = *net, hi = *net;
	uint32_t bits;

	word_copy(w, slash + 1, to, buf, sizeof(buf));
	if (to - slash > 4 || text_u32(buf, addr_bits(net), &bits) < 0)
		return word_fail(l, w, slash + 1, "expected a prefix length of 0 to %u",
			addr_bits(net));
	for (unsigned i = bits; i < addr_bits(net); i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		lo.b[i / 8] &= (uint8_t)~bit;
		hi.b[i / 8] |= bit;
	}
	if (addr_cmp(&lo, net) != 0)
		return word_fail(l, w, slash, "the address has bits behind its prefix: "
			"write %s/%u", addr_text(&lo, text), bits);
	net_set(out, &lo, &hi);
	return 0;
}

static int range_parse(const struct line *l, const struct word *w, size_t dash,
	size_t to, const struct addr *lo, struct what *out)
{
	struct addr hi;

	if (word_address(w, dash + 1, to, &hi) < 0)
		return word_fail(l, w, dash + 1, "expected an address after the dash");
	if (hi.family != lo->family)
		return word_fail(l, w, dash + 1,
			"a range is of IPv4 or of IPv6 addresses, not of both");
	if (addr_cmp(lo, &hi) > 0)
		return word_fail(l, w, dash + 1, "the range ends before it begins");
	net_set(out, lo, &hi);
	return 0;
}

int net_parse(const struct line *l, const struct word *w, size_t from, size_t to,
	struct what *out)
{
	const char *slash = memchr(w->s + from, '/', to - from);
	const char *dash = memchr(w->s + from, '-', to - from);
	size_t slash_at = slash ? (size_t)(slash - w->s) : 0;
	size_t dash_at = dash ? (size_t)(dash - w->s) : 0;
	struct addr a;

	if (slash && word_address(w, from, slash_at, &a) == 0)
		return prefix_parse(l, w, slash_at, to, &a, out);
	if (!slash && dash && word_address(w, from, dash_at, &a) == 0)
		return range_parse(l, w, dash_at, to, &a, out);
	if (word_address(w, from, to, &a) < 0)
		return -ENOENT;
	net_set(out, &a, &a);
	return 0;
}

unsigned net_bits(const struct what *w)
{
	unsigned n = addr_bits(&w->lo), bits = n;

	/* from the end: lo all zeros and hi all ones, then both the same */
	while (bits > 0) {
		uint8_t mask = (uint8_t)(0x80 >> (bits - 1) % 8);

		if ((w->lo.b[(bits - 1) / 8] & mask) ||
			!(w->hi.b[(bits - 1) / 8] & mask))
			break;
		bits--;
	}
	return addr_in_prefix(&w->hi, &w->lo, bits) ? bits : 255;
}
