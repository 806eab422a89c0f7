/* SPDX-License-Identifier: GPL-2.0-or-later
 * A rule made of a row: what it will say is shown before it is made, and it can be undone. */
#include "base/text.h"
#include "cli/show.h"
#include "cli/term.h"
#include "cli/top.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

enum { KEY_ESCAPE = 27, RULE_MAX = 1024, HEIGHT = 9 };
enum field { FIELD_VERDICT, FIELD_WHAT, FIELD_WHO, FIELD_LIFE, FIELDS };

void top_ask_rule(struct top *t, bool allow)
{
	const struct node *n = top_node(t);

	if (!n)
		return;
	choice_init(&t->choice, n, allow);
	t->field = FIELD_WHAT;
	t->sure = false;
	t->mode = TOP_RULE;
}

/* --- making and undoing ----------------------------------------------------------------- */

static void remember(struct top *t, uint32_t id)
{
	if (t->undos == TOP_UNDO_MAX) {
		memmove(t->undo, t->undo + 1, sizeof(t->undo) - sizeof(t->undo[0]));
		t->undos--;
	}
	t->undo[t->undos++] = id;
}

static void make(struct top *t)
{
	char rule[RULE_MAX], why[CLIENT_WHY_MAX];
	struct reply r;
	json_t *body;

	if (!choice_rule(&t->choice, rule, sizeof(rule))) {
		top_say(t, "a rule for this would be too long");
		return;
	}
	body = json_pack("{s:s}", "text", rule);
	if (!body) {
		top_say(t, "the path is not valid UTF-8: no rule can name it");
		return;
	}
	if (client_call(t->calls, "POST", "/api/v1/rules", body, &r) < 0) {
		top_say(t, "%s", client_why(t->calls));
	} else if (r.status >= 300) {
		top_say(t, "refused: %s", reply_why(&r, why));
		reply_done(&r);
	} else {
		remember(t, (uint32_t)show_number(r.json, "id"));
		top_say(t, "rule %lld: %s (u: undo)", (long long)show_number(r.json, "id"),
			show_text(r.json, "text") ? show_text(r.json, "text") : rule);
		t->mode = TOP_LIST;
		reply_done(&r);
	}
	json_decref(body);
}

void top_undo(struct top *t)
{
	char path[64], why[CLIENT_WHY_MAX];
	struct reply r;
	uint32_t id;

	if (!t->undos) {
		top_say(t, "nothing to undo: no rule was made here");
		return;
	}
	id = t->undo[t->undos - 1];
	snprintf(path, sizeof(path), "/api/v1/rules/%u", id);
	if (client_call(t->calls, "DELETE", path, NULL, &r) < 0) {
		top_say(t, "%s", client_why(t->calls));
		return;
	}
	if (r.status < 300)
		top_say(t, "rule %u is taken back", id);
	else
		top_say(t, "rule %u: %s", id, reply_why(&r, why));
	if (r.status < 300 || r.status == 404)
		t->undos--;
	reply_done(&r);
}

/* --- choosing --------------------------------------------------------------------------- */

static void change(struct top *t, int by)
{
	struct choice *c = &t->choice;

	t->sure = false;
	if (t->field == FIELD_VERDICT)
		c->allow = !c->allow;
	else if (t->field == FIELD_WHAT)
		choice_widen(c, by);
	else if (t->field == FIELD_WHO)
		c->one_user = c->user[0] && !c->one_user;
	else
		c->life = (c->life + LIVES + (unsigned)by) % LIVES;
}

void top_rule_key(struct top *t, int key)
{
	switch (key) {
	case KEY_ESCAPE: case 'q':
		t->mode = TOP_LIST;
		break;
	case KEY_UP: case 'k': case KEY_BTAB:
		t->field = (t->field + FIELDS - 1) % FIELDS;
		break;
	case KEY_DOWN: case 'j': case '\t':
		t->field = (t->field + 1) % FIELDS;
		break;
	case KEY_LEFT: case 'h':
		change(t, -1);
		break;
	case KEY_RIGHT: case 'l': case ' ':
		change(t, 1);
		break;
	case '\r': case '\n': case KEY_ENTER:
		if (choice_is_wide(&t->choice) && !t->sure) {
			t->sure = true;
			break;
		}
		make(t);
		break;
	}
}

static void draw_field(const struct top *t, enum field field, int y, const char *name,
	const char *value)
{
	char safe[CHOICE_WHO_MAX * 4], line[sizeof(safe) + 64];
	struct text s = text_into(safe, sizeof(safe));

	text_add_safe(&s, value);
	snprintf(line, sizeof(line), " %-8s %s %s %s", name,
		t->field == field ? (term_utf8() ? "\u25c2" : "<") : " ", safe,
		t->field == field ? (term_utf8() ? "\u25b8" : ">") : " ");
	attrset(t->field == field ? A_REVERSE : 0);
	term_put(y, 0, COLS, line);
	attrset(0);
}

static void draw_ask(const struct top *t, int y)
{
	const char *again = t->choice.allow ? "allow everything, for good? Enter once more"
					    : "deny everything, for good? Enter once more";

	attrset(A_BOLD);
	term_put(y, 0, COLS, t->sure ? again : "Enter makes it  Esc does not  "
		"up and down: field  left and right: value");
	attrset(0);
}

void top_rule_draw(struct top *t)
{
	const struct choice *c = &t->choice;
	int y = MAX(LINES - HEIGHT, 0);
	char rule[RULE_MAX], safe[4 * RULE_MAX + 16], who[CHOICE_WHO_MAX + 64];
	struct text x = text_into(safe, sizeof(safe));

	attrset(A_REVERSE);
	term_put(y++, 0, COLS, c->allow ? " ALLOW" : " DENY");
	attrset(0);
	draw_field(t, FIELD_VERDICT, y++, "verdict", c->allow ? "allow" : "deny");
	draw_field(t, FIELD_WHAT, y++, "what", c->width == WIDTH_ANY ? "everything"
		: c->what[c->width]);
	snprintf(who, sizeof(who), "%s%s", c->who, c->one_user ? ", only this user"
		: c->user[0] ? ", whoever runs it" : " programs");
	draw_field(t, FIELD_WHO, y++, "who", who);
	draw_field(t, FIELD_LIFE, y++, "for", choice_life(c->life));
	text_add(&x, " rule:    ");
	if (choice_rule(c, rule, sizeof(rule)))
		text_add_safe(&x, rule);
	term_put(y++, 0, COLS, "");
	term_put(y++, 0, COLS, safe);
	draw_ask(t, y++);
}
