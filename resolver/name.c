/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/name.h"

#include <errno.h>
#include <string.h>

enum { HEAD = 12, POINTER = 0xc0, LABEL_MAX = 63 };

/* What a byte of a label becomes in text; 0: it stands escaped. */
static const char plain[256] = {
	['-'] = '-', ['_'] = '_',
	['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',
	['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9',
	['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f',
	['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l',
	['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',
	['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x',
	['y'] = 'y', ['z'] = 'z',
	['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f',
	['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l',
	['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r',
	['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x',
	['Y'] = 'y', ['Z'] = 'z',
};

/* The place a pointer names: before from, where the labels under way began. */
static int follow(struct cur *c, uint8_t high, size_t *from)
{
	size_t to = (size_t)(high & 0x3f) << 8;

	to |= cur_u8(c);
	if (c->bad || to < HEAD || to >= *from)
		return -EBADMSG;
	*from = to;
	cur_seek(c, to);
	return 0;
}

int name_read(struct cur *c, struct name *out)
{
	struct cur w = *c;
	size_t from = c->at, n = 0;
	bool jumped = false;

	for (;;) {
		uint8_t len = cur_u8(&w);
		const uint8_t *label;

		if (w.bad)
			return -EBADMSG;
		if ((len & POINTER) == POINTER) {
			if (follow(&w, len, &from) < 0)
				return -EBADMSG;
			if (!jumped)
				cur_take(c, 2);
			jumped = true;
			continue;
		}
		/* the root's zero must fit behind it */
		if (len > LABEL_MAX || n + 1 + len + (len != 0) > HOST_WIRE_MAX)
			return -EBADMSG;
		label = cur_take(&w, len);
		if (!label)
			return -EBADMSG;
		if (!jumped)
			cur_take(c, 1u + len);
		out->b[n++] = len;
		if (len == 0)
			break;
		memcpy(out->b + n, label, len);
		n += len;
	}
	out->len = (uint8_t)n;
	return 0;
}

int name_skip(struct cur *c)
{
	size_t n = 0;

	for (;;) {
		uint8_t len = cur_u8(c);

		if (c->bad)
			return -EBADMSG;
		if ((len & POINTER) == POINTER) {
			cur_u8(c);
			break;
		}
		n += 1u + len;
		if (len > LABEL_MAX || n > HOST_WIRE_MAX)
			return -EBADMSG;
		if (len == 0)
			break;
		cur_take(c, len);
	}
	return c->bad ? -EBADMSG : 0;
}

static size_t escape(char *to, uint8_t v)
{
	to[0] = '\\';
	to[1] = (char)('0' + v / 100);
	to[2] = (char)('0' + v / 10 % 10);
	to[3] = (char)('0' + v % 10);
	return 4;
}

int name_text(const struct name *n, char out[static HOST_MAX])
{
	char text[4 * HOST_WIRE_MAX + 1];
	size_t at = 0, t = 0;

	while (n->b[at]) {
		size_t end = at + 1 + n->b[at];

		if (at)
			text[t++] = '.';
		while (++at < end) {
			char p = plain[n->b[at]];

			if (p)
				text[t++] = p;
			else
				t += escape(text + t, n->b[at]);
		}
	}
	if (t >= HOST_MAX)
		return -EBADMSG;
	memcpy(out, text, t);
	out[t] = '\0';
	return 0;
}

int name_read_text(struct cur *c, char out[static HOST_MAX])
{
	struct name n;
	int r = name_read(c, &n);

	return r < 0 ? r : name_text(&n, out);
}

static uint8_t fold(uint8_t v)
{
	return v >= 'A' && v <= 'Z' ? (uint8_t)(v | 0x20) : v;
}

static bool equal_folded(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && fold(a[i]) != fold(b[i]))
			return false;
	return true;
}

/* length bytes are below 'A': folding does not touch them */
bool name_equal(const struct name *a, const struct name *b)
{
	return a->len == b->len && equal_folded(a->b, b->b, a->len);
}

bool question_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	return n > 4 && equal_folded(a, b, n - 4) &&
		memcmp(a + n - 4, b + n - 4, 4) == 0;
}
