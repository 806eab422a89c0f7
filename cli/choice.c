/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/choice.h"
#include "base/text.h"
#include "cli/tree.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *word, *eyes;
} lives[LIVES] = { { "", "until taken back" }, { " for 10m", "10 minutes" },
	{ " for 1h", "an hour" }, { " for 8h", "8 hours" }, { " for 7d", "7 days" } };

/* what the language's own signs would be read from stands in quotes (scupper-rules(5)) */
static void add_word(struct text *t, const char *word)
{
	if (*word && !strpbrk(word, " \t\"\\#<") && !strstr(word, "+uid:")) {
		text_add(t, word);
		return;
	}
	text_add(t, "\"");
	for (; *word; word++)
		text_addf(t, "%s%c", *word == '"' || *word == '\\' ? "\\" : "", *word);
	text_add(t, "\"");
}

/* of "a.b.shop.test" below "shop.test": "b.shop.test", or NULL where nothing is between */
static const char *between(const char *name, const char *domain)
{
	const char *up = strchr(name, '.');
	size_t n = strlen(domain), left;

	if (!up || strcmp(name, domain) == 0)
		return NULL;
	up++;
	left = strlen(up);
	return left > n + 1 && strcmp(up + left - n, domain) == 0 && up[left - n - 1] == '.'
		? up : NULL;
}

static const char *target(const struct node *n, enum choice_width w)
{
	const struct node *domain = n->kind == NODE_HOST ? n->parent : n;
	bool named = n->kind >= NODE_DOMAIN && *domain->key;

	switch (w) {
	case WIDTH_HOST:
		return n->kind == NODE_HOST && *n->key ? n->key : NULL;
	case WIDTH_PARENT:
		return n->kind == NODE_HOST && named ? between(n->key, domain->key) : NULL;
	case WIDTH_DOMAIN:
		return named ? domain->key : NULL;
	default:
		return "any";
	}
}

static void set_what(const struct node *n, enum choice_width w, char *out)
{
	const char *word = target(n, w);
	struct text t = text_into(out, CHOICE_WHAT_MAX);

	if (!word)
		return;
	if (w == WIDTH_PARENT || w == WIDTH_DOMAIN)
		text_add(&t, ".");
	add_word(&t, word);
	if (t.cut)
		out[0] = '\0';
}

void choice_init(struct choice *c, const struct node *n, bool allow)
{
	const struct node *program = tree_program(n);
	struct text who;

	*c = (struct choice){ .allow = allow };
	who = text_into(c->who, sizeof(c->who));
	add_word(&who, program->believed ? program->key : "unknown");
	if (program->believed)
		snprintf(c->user, sizeof(c->user), "+uid:%u", program->uid);
	if (who.cut)
		c->who[0] = '\0'; /* no rule can say it */
	for (enum choice_width w = WIDTH_HOST; w < WIDTHS; w++)
		set_what(n, w, c->what[w]);
	while (!c->what[c->width][0])
		c->width++; /* there is WIDTH_ANY */
}

void choice_widen(struct choice *c, int by)
{
	enum choice_width w = c->width;

	do {
		w = (enum choice_width)(((int)w + by + WIDTHS) % WIDTHS);
	} while (!c->what[w][0]);
	c->width = w;
}

const char *choice_life(unsigned life)
{
	return lives[life < LIVES ? life : 0].eyes;
}

bool choice_is_wide(const struct choice *c)
{
	return c->width == WIDTH_ANY && c->life == 0;
}

bool choice_rule(const struct choice *c, char *out, size_t max)
{
	struct text t = text_into(out, max);

	text_addf(&t, "%s %s%s %s%s", c->allow ? "allow" : "deny", c->who,
		c->one_user ? c->user : "", c->what[c->width],
		lives[c->life < LIVES ? c->life : 0].word);
	return c->who[0] && c->what[c->width][0] && !t.cut;
}
