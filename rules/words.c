/* SPDX-License-Identifier: GPL-2.0-or-later
 * words.c - was another word meant? */
#include "rules/rule.h"

#include <string.h>

enum { WORD_MAX = 24 };

bool word_in(const char *word, struct word_list list)
{
	for (size_t i = 0; i < list.n; i++)
		if (strcmp(word, list.words[i]) == 0)
			return true;
	return false;
}

/* edit distance with neighbours swapped (optimal string alignment) */
static unsigned distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];

	for (unsigned i = 0; i <= la; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			unsigned v = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			v = MIN(v, d[i - 1][j] + 1);
			v = MIN(v, d[i][j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
				a[i - 2] == b[j - 1])
				v = MIN(v, d[i - 2][j - 2] + 1);
			d[i][j] = v;
		}
	}
	return d[la][lb];
}

const char *word_near(const char *word, struct word_list list, unsigned slips)
{
	size_t n = strlen(word);
	const char *best = NULL;
	unsigned best_d = slips + 1;

	if (n < 2 || n > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < list.n; i++) {
		size_t m = strlen(list.words[i]);
		unsigned d;

		if (m > WORD_MAX)
			continue;
		d = distance(word, n, list.words[i], m);
		/* short words are near everything: one slip is all they may have */
		if (d < best_d && (d <= 1 || MIN(n, m) >= 5)) {
			best = list.words[i];
			best_d = d;
		}
	}
	return best;
}
