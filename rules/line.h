/* SPDX-License-Identifier: GPL-2.0-or-later
 * line.h - one line of rule text as words that remember where they stood.
 * Blanks part words, quotes hold blanks (\" and \\ inside them), # begins a comment
 * where a word would begin. Errors: -EINVAL with err filled; columns count characters
 * from 1. */
#ifndef RULES_LINE_H
#define RULES_LINE_H

#include "rules/rule.h"

enum { LINE_WORDS_MAX = 24 };

struct word {
	const char *s;         /* NUL-terminated, quotes and escapes undone */
	size_t len;
	size_t start;          /* where it begins in the line, with its quote */
	const uint16_t *at;    /* where each byte (and the end) stood in the line */
	size_t quoted_end;     /* up to here bytes may have been quoted */
};

struct line {
	const char *text;      /* borrowed */
	size_t len;
	unsigned number;
	struct rule_error *err; /* or NULL */
	struct word words[LINE_WORDS_MAX];
	size_t n;
	char bytes[RULE_LINE_MAX + LINE_WORDS_MAX];
	uint16_t at[RULE_LINE_MAX + LINE_WORDS_MAX];
};

int line_read(struct line *l, const char *text, size_t len, unsigned number,
	struct rule_error *err);
unsigned line_column(const struct line *l, size_t offset);
/* -EINVAL, with the column of that byte of the line */
int line_fail(const struct line *l, size_t offset, const char *fmt, ...)
	format_printf(3, 4);
/* the same for a byte of a word; 0 is the word itself */
#define word_fail(l, w, i, ...) \
	line_fail(l, (i) ? (w)->at[i] : (w)->start, __VA_ARGS__)

/* the bytes [from, to) of a word, cut to fit, and the address that stands there */
void word_copy(const struct word *w, size_t from, size_t to, char *out, size_t max);
int word_address(const struct word *w, size_t from, size_t to, struct addr *out);

/* net.c: an address, prefix or range in [from, to); -ENOENT: none, and no error said */
int net_parse(const struct line *l, const struct word *w, size_t from, size_t to,
	struct what *out);
/* where.c: the length of "as:", "country:" or "continent:" where the word begins so, else
 * 0; and what stands behind it, up to `to` */
size_t where_head(const struct word *w);
int where_parse(const struct line *l, const struct word *w, size_t to, struct what *out);
/* target.c: the WHAT of a rule; name is where w->name will point */
int target_parse(const struct line *l, const struct word *w, struct what *out,
	char name[static HOST_MAX]);

#endif
