/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/varjson.h"

#include <errno.h>

/* what a closed bracket must close: a bit per level, 1 for an object */
struct nest {
	uint32_t objects;
	unsigned depth;
};

static int peek(const struct cur *c)
{
	return c->bad || c->at == c->len ? -1 : c->base[c->at];
}

static void blanks(struct cur *c)
{
	int b;

	while ((b = peek(c)) == ' ' || b == '\t' || b == '\n' || b == '\r')
		cur_u8(c);
}

static bool take(struct cur *c, char what)
{
	if (peek(c) != what)
		return false;
	cur_u8(c);
	return true;
}

static bool fail(struct cur *c)
{
	c->bad = true;
	return false;
}

static bool word(struct cur *c, const char *w)
{
	size_t n = strlen(w);
	const uint8_t *p = cur_take(c, n);

	return p && memcmp(p, w, n) == 0 ? true : fail(c);
}

static bool digits(struct cur *c)
{
	bool any = false;

	for (int b = peek(c); b >= '0' && b <= '9'; b = peek(c)) {
		cur_u8(c);
		any = true;
	}
	return any;
}

static bool number(struct cur *c)
{
	take(c, '-');
	if (!take(c, '0') && !digits(c))
		return fail(c);
	if (take(c, '.') && !digits(c))
		return fail(c);
	if (take(c, 'e') || take(c, 'E')) {
		if (!take(c, '+'))
			take(c, '-');
		if (!digits(c))
			return fail(c);
	}
	return true;
}

static uint32_t hex4(struct cur *c)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++) {
		uint8_t b = cur_u8(c);

		v <<= 4;
		if (b >= '0' && b <= '9')
			v |= b - '0';
		else if ((b | 32) >= 'a' && (b | 32) <= 'f')
			v |= (uint32_t)(b | 32) - 'a' + 10;
		else
			c->bad = true;
	}
	return v;
}

/* \u and what follows: one code point, out of a pair of surrogates where it takes two */
static uint32_t escaped_unicode(struct cur *c)
{
	uint32_t v = hex4(c), low;

	if (v < 0xd800 || v > 0xdfff)
		return v;
	if (v > 0xdbff || !word(c, "\\u"))
		return fail(c);
	low = hex4(c);
	if (low < 0xdc00 || low > 0xdfff)
		return fail(c);
	return 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
}

static uint32_t escaped(struct cur *c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint8_t b = cur_u8(c);
	const char *at = b ? strchr(from, b) : NULL;

	if (b == 'u')
		return escaped_unicode(c);
	return at ? (uint32_t)(uint8_t)to[at - from] : (uint32_t)fail(c);
}

/* the rest of a character whose first byte was b (RFC 3629) */
static uint32_t utf8_rest(struct cur *c, uint8_t b)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1;
	uint32_t v = b & (0x3fu >> more);

	if (b < 0xc2 || b > 0xf4)
		return fail(c);
	for (unsigned i = 0; i < more; i++) {
		uint8_t next = cur_u8(c);

		if ((next & 0xc0) != 0x80)
			return fail(c);
		v = v << 6 | (next & 0x3f);
	}
	if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return fail(c);
	return v;
}

/* the next character inside a string; false at its end, or if the cursor went bad */
static bool character(struct cur *c, uint32_t *out)
{
	uint8_t b = cur_u8(c);

	if (c->bad || b == '"')
		return false;
	if (b < 0x20)
		return fail(c);
	*out = b == '\\' ? escaped(c) : b < 0x80 ? b : utf8_rest(c, b);
	return !c->bad;
}

static bool string(struct cur *c)
{
	uint32_t ch;

	if (!take(c, '"'))
		return fail(c);
	while (character(c, &ch))
		;
	return !c->bad;
}

static bool scalar(struct cur *c)
{
	switch (peek(c)) {
	case '"':
		return string(c);
	case 't':
		return word(c, "true");
	case 'f':
		return word(c, "false");
	case 'n':
		return word(c, "null");
	default:
		return number(c);
	}
}

static bool key_and_colon(struct cur *c)
{
	blanks(c);
	if (!string(c))
		return false;
	blanks(c);
	return take(c, ':') ? true : fail(c);
}

static bool descend(struct cur *c, struct nest *n, bool object)
{
	if (n->depth == VARJSON_DEPTH_MAX)
		return fail(c);
	n->objects = n->objects << 1 | object;
	n->depth++;
	return true;
}

/* behind a value: closes what ends here; true: another value is to come */
static bool after_value(struct cur *c, struct nest *n)
{
	while (n->depth && !c->bad) {
		bool object = n->objects & 1;

		blanks(c);
		if (take(c, ','))
			return object ? key_and_colon(c) : true;
		if (!take(c, object ? '}' : ']'))
			return fail(c);
		n->objects >>= 1;
		n->depth--;
	}
	return false;
}

/* The beginning of a value: true if it is over with that (what is left of an empty object or
 * array is its end), false if one inside of it is to come. */
static bool begin(struct cur *c, struct nest *n)
{
	bool object;

	blanks(c);
	object = take(c, '{');
	if (!object && !take(c, '[')) {
		scalar(c);
		return true;
	}
	if (!descend(c, n, object))
		return true;
	blanks(c);
	if (peek(c) == (object ? '}' : ']'))
		return true;
	if (object)
		key_and_colon(c);
	return false;
}

/* one value and all that is in it */
static bool value(struct cur *c)
{
	struct nest n = { 0 };

	do {
		while (!c->bad && !begin(c, &n))
			;
	} while (!c->bad && after_value(c, &n));
	return !c->bad;
}

int varjson_open(const void *text, size_t len, struct varjson *out)
{
	struct varjson v = { .c = cur_over(text, len) };
	struct cur c;

	blanks(&v.c);
	c = v.c;
	if (!value(&c))
		return -EBADMSG;
	blanks(&c);
	if (cur_left(&c))
		return -EBADMSG;
	*out = v;
	return 0;
}

enum varjson_type varjson_type(const struct varjson *v)
{
	switch (peek(&v->c)) {
	case '{':
		return VARJSON_OBJECT;
	case '[':
		return VARJSON_ARRAY;
	case '"':
		return VARJSON_STRING;
	case 't':
		return VARJSON_TRUE;
	case 'f':
		return VARJSON_FALSE;
	case 'n':
		return VARJSON_NULL;
	default:
		return VARJSON_NUMBER;
	}
}

struct varjson varjson_enter(const struct varjson *v)
{
	struct varjson inside = *v;

	inside.object = take(&inside.c, '{');
	if (!inside.object && !take(&inside.c, '['))
		inside.c.bad = true;
	return inside;
}

static size_t utf8(uint32_t ch, char out[static 4])
{
	if (ch < 0x80) {
		out[0] = (char)ch;
		return 1;
	}
	if (ch < 0x800) {
		out[0] = (char)(0xc0 | ch >> 6);
		out[1] = (char)(0x80 | (ch & 0x3f));
		return 2;
	}
	if (ch < 0x10000) {
		out[0] = (char)(0xe0 | ch >> 12);
		out[1] = (char)(0x80 | (ch >> 6 & 0x3f));
		out[2] = (char)(0x80 | (ch & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | ch >> 18);
	out[1] = (char)(0x80 | (ch >> 12 & 0x3f));
	out[2] = (char)(0x80 | (ch >> 6 & 0x3f));
	out[3] = (char)(0x80 | (ch & 0x3f));
	return 4;
}

/* reads all of the string, whatever fits */
static int decode(struct cur *c, char *out, size_t max)
{
	size_t n = 0;
	uint32_t ch;
	int r = 0;

	if (!take(c, '"'))
		return -EINVAL;
	while (character(c, &ch)) {
		char bytes[4];
		size_t more = utf8(ch, bytes);

		if (ch == 0 && r == 0)
			r = -EINVAL;
		if (r == 0 && n + more >= max)
			r = -ENAMETOOLONG;
		if (r < 0)
			continue;
		memcpy(out + n, bytes, more);
		n += more;
	}
	out[n] = '\0';
	return c->bad ? -EINVAL : r;
}

bool varjson_next(struct varjson *inside, char key[static VARJSON_KEY_MAX], struct varjson *out)
{
	struct cur *c = &inside->c;

	key[0] = '\0';
	blanks(c);
	if (c->bad || peek(c) == '}' || peek(c) == ']' || peek(c) < 0)
		return false;
	if (take(c, ','))
		blanks(c);
	if (inside->object) {
		if (decode(c, key, VARJSON_KEY_MAX) < 0)
			key[0] = '\0'; /* no key that anybody looks for */
		blanks(c);
		take(c, ':');
		blanks(c);
	}
	*out = (struct varjson){ .c = *c };
	return value(c);
}

int varjson_get(const struct varjson *v, const char *key, struct varjson *out)
{
	struct varjson inside = varjson_enter(v), member, found;
	char name[VARJSON_KEY_MAX];
	bool any = false;

	if (!inside.object)
		return -EBADMSG;
	while (varjson_next(&inside, name, &member)) {
		if (strcmp(name, key) != 0)
			continue;
		if (any)
			return -EBADMSG;
		any = true;
		found = member;
	}
	if (!any)
		return -ENOENT;
	*out = found;
	return 0;
}

int varjson_string(const struct varjson *v, char *out, size_t max)
{
	struct cur c = v->c;

	return decode(&c, out, max);
}

int varjson_integer(const struct varjson *v, int64_t *out)
{
	struct cur c = v->c;
	bool minus = take(&c, '-');
	uint64_t n = 0;
	int b;

	if (peek(&c) < '0' || peek(&c) > '9')
		return -EINVAL;
	for (; (b = peek(&c)) >= '0' && b <= '9'; cur_u8(&c))
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(b - '0'), &n))
			return -EINVAL;
	if (b == '.' || b == 'e' || b == 'E' || n > INT64_MAX)
		return -EINVAL;
	*out = minus ? -(int64_t)n : (int64_t)n;
	return 0;
}

void varjson_quote(struct text *t, const char *s)
{
	struct cur c = cur_over(s, strlen(s));

	text_add(t, "\"");
	while (cur_left(&c)) {
		struct cur one = c;
		uint8_t b = cur_u8(&one);

		if (b < 0x20 || b == '"' || b == '\\' || b == 0x7f) {
			text_addf(t, "\\u%04x", b);
		} else if (b < 0x80 || (utf8_rest(&one, b) && !one.bad)) {
			text_addn(t, s + c.at, one.at - c.at);
		} else {
			one = c;
			cur_u8(&one);
			text_add(t, "\\ufffd");
		}
		c = one;
	}
	text_add(t, "\"");
}
