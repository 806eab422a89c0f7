/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/undo.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

uint32_t undo_put(struct undo *u, const struct undo_entry *e)
{
	struct undo_entry *to = &u->at[++u->newest % UNDO_MAX];

	*to = *e;
	to->n = u->newest;
	return to->n;
}

bool undo_find(const struct undo *u, uint32_t n, struct undo_entry *out)
{
	const struct undo_entry *e = &u->at[n % UNDO_MAX];

	if (n == 0 || e->n != n)
		return false;
	*out = *e;
	return true;
}

void undo_drop(struct undo *u, uint32_t n)
{
	struct undo_entry *e = &u->at[n % UNDO_MAX];

	if (e->n == n)
		e->n = 0;
}

/* the end of the word that begins at s: quotes hold blanks, \ takes the next byte in them */
static const char *word_end(const char *s)
{
	bool quoted = false;

	for (; *s && (quoted || (*s != ' ' && *s != '\t')); s++) {
		if (*s == '"')
			quoted = !quoted;
		else if (quoted && *s == '\\' && s[1])
			s++;
	}
	return s;
}

int undo_switch(const char *rule, bool on, char out[static LINK_RULE_TEXT_MAX])
{
	struct text t = text_into(out, LINK_RULE_TEXT_MAX);
	const char *s = rule;

	while (*(s += strspn(s, " \t")) && *s != '#') {
		const char *end = word_end(s);

		if (end - s != 3 || strncmp(s, "off", 3) != 0) {
			text_add(&t, t.len ? " " : "");
			text_addn(&t, s, (size_t)(end - s));
		}
		s = end;
	}
	if (!on)
		text_add(&t, " off");
	return t.cut ? -EINVAL : 0;
}
