/* SPDX-License-Identifier: GPL-2.0-or-later
 * where.c - targets by where an address is said to be: as:N, country:CC, continent:CC. */
#include "rules/line.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *word;
	enum what_kind kind;
} words[] = {
	{ "as:", WHAT_AS },
	{ "country:", WHAT_COUNTRY },
	{ "continent:", WHAT_CONTINENT },
};

/* "country:443" is port 443 of a host of that name, but an as: has a number behind it */
static size_t head_of(const struct word *w, enum what_kind *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i].word);

		if (w->len < n || memcmp(w->s, words[i].word, n) != 0)
			continue;
		if (words[i].kind == WHAT_AS || w->s[n] < '0' || w->s[n] > '9') {
			*kind = words[i].kind;
			return n;
		}
	}
	return 0;
}

size_t where_head(const struct word *w)
{
	enum what_kind unused;

	return head_of(w, &unused);
}

static int as_parse(const struct line *l, const struct word *w, size_t at, const char *s,
	struct what *out)
{
	if ((s[0] == 'A' || s[0] == 'a') && (s[1] == 'S' || s[1] == 's'))
		s += 2;
	if (text_u32(s, UINT32_MAX, &out->asn) < 0 || out->asn == 0)
		return word_fail(l, w, at, "expected the number of a network, as:13335");
	return 0;
}

static bool code_read(const char *s, char out[static 3])
{
	char code[3] = "";

	if (strlen(s) != 2)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		code[i] = s[i] >= 'a' && s[i] <= 'z' ? (char)(s[i] - 'a' + 'A') : s[i];
		if (code[i] < 'A' || code[i] > 'Z')
			return false;
	}
	memcpy(out, code, sizeof(code));
	return true;
}

static int country_parse(const struct line *l, const struct word *w, size_t at,
	const char *s, struct what *out)
{
	if (!code_read(s, out->code))
		return word_fail(l, w, at,
			"expected a country's two letters (ISO 3166-1), country:NL");
	if (strcmp(out->code, "UK") == 0)
		return word_fail(l, w, at, "did you mean country:GB?");
	if (strcmp(out->code, "EU") == 0)
		return word_fail(l, w, at, "did you mean continent:EU?");
	return 0;
}

static int continent_parse(const struct line *l, const struct word *w, size_t at,
	const char *s, struct what *out)
{
	static const char *const codes[] = { "AF", "AN", "AS", "EU", "NA", "OC", "SA" };
	static const struct word_list list = { codes, ARRAY_LEN(codes) };

	if (!code_read(s, out->code) || !word_in(out->code, list))
		return word_fail(l, w, at,
			"expected AF, AN, AS, EU, NA, OC or SA after continent:");
	return 0;
}

int where_parse(const struct line *l, const struct word *w, size_t to, struct what *out)
{
	size_t head = head_of(w, &out->kind);
	char s[16];

	word_copy(w, head, to, s, sizeof(s));
	if (to - head >= sizeof(s))
		s[0] = '\0'; /* longer than anything that could stand here */
	if (out->kind == WHAT_AS)
		return as_parse(l, w, head, s, out);
	if (out->kind == WHAT_COUNTRY)
		return country_parse(l, w, head, s, out);
	return continent_parse(l, w, head, s, out);
}
