/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/line.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

unsigned line_column(const struct line *l, size_t offset)
{
	unsigned c = 1;

	for (size_t i = 0; i < offset && i < l->len; i++)
		c += ((unsigned char)l->text[i] & 0xc0) != 0x80;
	return c;
}

int line_fail(const struct line *l, size_t offset, const char *fmt, ...)
{
	char raw[sizeof(l->err->what)];
	struct text t;
	va_list args;

	if (!l->err)
		return -EINVAL;
	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	l->err->line = l->number;
	l->err->column = line_column(l, offset);
	t = text_into(l->err->what, sizeof(l->err->what));
	text_add_safe(&t, raw);
	return -EINVAL;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* from and to move on; the word's bytes go to bytes[], their places to at[] */
static int word_read(struct line *l, size_t *from, size_t *to, struct word *w)
{
	size_t i = *from, o = *to, quote = 0;
	bool quoted = false;

	*w = (struct word){ .s = l->bytes + o, .start = i, .at = l->at + o };
	for (; i < l->len && (quoted || !blank(l->text[i])); i++) {
		char c = l->text[i];

		if (control(c))
			return line_fail(l, i, "a control character (0x%02x)",
				(unsigned char)c);
		if (c == '"') {
			quoted = !quoted;
			quote = i;
			w->quoted_end = o - *to;
			continue;
		}
		if (quoted && c == '\\' && i + 1 < l->len &&
			(l->text[i + 1] == '"' || l->text[i + 1] == '\\'))
			c = l->text[++i];
		l->at[o] = (uint16_t)i;
		l->bytes[o++] = c;
	}
	if (quoted)
		return line_fail(l, quote, "this quote has no end");
	w->len = o - *to;
	l->at[o] = (uint16_t)i;
	l->bytes[o++] = '\0';
	*from = i;
	*to = o;
	return 0;
}

int line_read(struct line *l, const char *text, size_t len, unsigned number,
	struct rule_error *err)
{
	size_t i = 0, o = 0;

	if (len && text[len - 1] == '\r')
		len--;
	l->text = text;
	l->len = len;
	l->number = number;
	l->err = err;
	l->n = 0;
	if (len >= RULE_LINE_MAX)
		return line_fail(l, RULE_LINE_MAX - 1,
			"the line is longer than %d bytes", RULE_LINE_MAX - 1);
	for (;;) {
		int r;

		while (i < len && blank(text[i]))
			i++;
		if (i == len || text[i] == '#')
			return 0;
		if (l->n == LINE_WORDS_MAX)
			return line_fail(l, i, "more than %d words", LINE_WORDS_MAX);
		r = word_read(l, &i, &o, &l->words[l->n]);
		if (r < 0)
			return r;
		l->n++;
	}
}

void word_copy(const struct word *w, size_t from, size_t to, char *out, size_t max)
{
	size_t n = MIN(to - from, max - 1);

	memcpy(out, w->s + from, n);
	out[n] = '\0';
}
