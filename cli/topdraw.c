/* SPDX-License-Identifier: GPL-2.0-or-later
 * The screen: sums, how the daemon is, heads of columns, the rows in sight, one line below. */
#include "base/clock.h"
#include "base/text.h"
#include "cli/show.h"
#include "cli/term.h"
#include "cli/top.h"
#include "cli/units.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

enum { HEAD_LINES = 3, FOOT_LINES = 1, WIDTH_LEAST = 20, HEIGHT_LEAST = HEAD_LINES + 2,
	NAME_LEAST = 24, CELL_MAX = 64, INDENT = 2 };

/* behind the name, from left to right; leave says which goes first where it is narrow */
static const struct column {
	const char *head;
	int width;
	enum order_by by; /* ORDERS: cannot be sorted by */
	int leave;        /* 0: stays */
} columns[] = {
	{ "VERDICT", 10, BY_VERDICT, 0 }, { "RATE", 8, BY_RATE, 6 }, { "DOWN", 7, BY_DOWN, 5 },
	{ "UP", 7, BY_UP, 2 }, { "FLOWS", 5, BY_FLOWS, 1 }, { "CC", 2, ORDERS, 3 },
	{ "LAST", 6, BY_LAST, 4 },
};

static bool visible[ARRAY_LEN(columns)]; /* on this screen's width */

struct node *top_node(const struct top *t)
{
	return t->at < t->rows.n ? t->rows.at[t->at] : NULL;
}

int top_list_height(void)
{
	return MAX(LINES - HEAD_LINES - FOOT_LINES, 1);
}

/* the row of the chosen node, or of what it stands below if that is closed */
static size_t place_of(const struct top *t)
{
	for (const struct node *n = t->tree->chosen; n && n->parent; n = n->parent) {
		for (size_t i = 0; i < t->rows.n; i++) {
			if (t->rows.at[i] == n)
				return i;
		}
	}
	return 0;
}

void top_rows(struct top *t)
{
	rows_build(&t->rows, t->tree, t->order, t->filter);
	t->rows_left = t->tree->left;
	t->at = place_of(t);
}

/* --- the lines above -------------------------------------------------------------------- */

static void draw_sums(const struct top *t)
{
	const struct node *all = &t->tree->all;
	char down[UNITS_MAX], up[UNITS_MAX], line[512];
	struct text x = text_into(line, sizeof(line));

	units_rate(all->rx_rate, down);
	units_rate(all->tx_rate, up);
	text_addf(&x, "scupper  %s %s  %s %s  %u flow%s  %u program%s  %u denied  ",
		term_utf8() ? "\u2193" : "down", *down ? down : "0 B/s",
		term_utf8() ? "\u2191" : "up", *up ? up : "0 B/s", all->live,
		all->live == 1 ? "" : "s", all->children, all->children == 1 ? "" : "s",
		all->told[TREE_DENIED]);
	text_add(&x, t->how);
	attron(A_BOLD);
	term_put(0, 0, COLS, line);
	attroff(A_BOLD);
}

static void when(int64_t unix_ms, char out[static SHOW_TIME_MAX])
{
	char iso[TEXT_TIME_MAX];

	out[0] = '\0';
	if (unix_ms)
		show_time(text_time(unix_ms, iso), out);
}

static void draw_state(const struct top *t)
{
	char line[TOP_SAID_MAX], heard[SHOW_TIME_MAX];
	struct text x = text_into(line, sizeof(line));
	chtype bad = term_colour(TERM_YELLOW) | A_BOLD;

	when(t->heard_ms, heard);
	if (!t->live && !t->paused) {
		if (*heard)
			text_addf(&x, "OFFLINE since %s, trying again: ", heard);
		else
			text_add(&x, "connecting: ");
		text_add(&x, t->gone);
	} else if (t->paused) {
		text_addf(&x, "stands still since %s: p goes on", heard);
	} else {
		text_add(&x, t->filter_said);
		bad = t->filter_said[0] ? bad : 0;
	}
	if (t->filter[0])
		text_addf(&x, "%sfilter /%s: %zu host%s", x.len ? "  " : "", t->filter,
			t->rows.passed, t->rows.passed == 1 ? "" : "s");
	attron(bad);
	term_put(1, 0, COLS, line);
	attroff(bad);
}

/* what the columns leave to the name; takes columns away until that is enough */
static int choose_columns(void)
{
	int left = COLS;

	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		visible[i] = true;
		left -= columns[i].width + 1;
	}
	for (int leave = 1; left < NAME_LEAST && leave <= 6; leave++) {
		for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
			if (columns[i].leave != leave)
				continue;
			visible[i] = false;
			left += columns[i].width + 1;
		}
	}
	return MAX(left, 8);
}

/* "RATE" with a sign where the rows are sorted by it */
static void head_text(const struct top *t, const char *head, enum order_by by,
	char out[static CELL_MAX])
{
	const char *sign = t->order.falling ? (term_utf8() ? "\u25be" : "v")
					    : (term_utf8() ? "\u25b4" : "^");

	snprintf(out, CELL_MAX, "%s%s", head, t->order.by == by ? sign : "");
}

static bool is_text(const struct column *c)
{
	return c->by == BY_VERDICT || c->by == ORDERS;
}

static void draw_heads(const struct top *t, int name)
{
	char cell[CELL_MAX];
	int x = name;

	attron(A_REVERSE);
	term_put(HEAD_LINES - 1, 0, COLS, "");
	head_text(t, "PROGRAM / DOMAIN / HOST", BY_NAME, cell);
	term_put(HEAD_LINES - 1, 0, name, cell);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		if (!visible[i])
			continue;
		head_text(t, columns[i].head, columns[i].by, cell);
		if (is_text(&columns[i]))
			term_put(HEAD_LINES - 1, x + 1, columns[i].width, cell);
		else
			term_put_right(HEAD_LINES - 1, x + 1, columns[i].width, cell);
		x += columns[i].width + 1;
	}
	attroff(A_REVERSE);
}

/* --- the rows --------------------------------------------------------------------------- */

static const char *verdict_text_of(const struct node *n, chtype *colour)
{
	bool mixed;
	enum tree_verdict v = rows_verdict(n, &mixed);

	*colour = term_colour(mixed ? TERM_YELLOW : v == TREE_DENIED ? TERM_RED
			: v == TREE_ALLOWED ? TERM_GREEN : TERM_PLAIN);
	if (mixed)
		return "mixed";
	if (v == TREE_DENIED)
		return n->watched ? "would deny" : "deny";
	return v == TREE_ALLOWED ? "allow" : "-";
}

static void bytes_or_dash(uint64_t n, char out[static UNITS_MAX])
{
	if (n)
		units_bytes(n, out);
	else
		snprintf(out, UNITS_MAX, "-");
}

static void cell_text(const struct node *n, enum order_by by, int64_t now_ms,
	char out[static CELL_MAX])
{
	char units[UNITS_MAX] = "";

	switch (by) {
	case BY_RATE:
		units_rate(n->rx_rate + n->tx_rate, units);
		break;
	case BY_DOWN:
		bytes_or_dash(n->rx, units);
		break;
	case BY_UP:
		bytes_or_dash(n->tx, units);
		break;
	case BY_FLOWS:
		snprintf(units, sizeof(units), n->live ? "%u" : "-", n->live);
		break;
	case BY_LAST:
		units_ago(n->last_ms, now_ms, units);
		break;
	default:
		snprintf(units, sizeof(units), "%s", tree_country(n));
	}
	snprintf(out, CELL_MAX, "%s", *units ? units : "-");
}

static const char *twist(const struct top *t, const struct node *n)
{
	if (!n->children)
		return " ";
	if (rows_open(n, t->filter))
		return term_utf8() ? "\u25be" : "v";
	return term_utf8() ? "\u25b8" : ">";
}

static void draw_name(const struct top *t, const struct node *n, int y, int width)
{
	char name[TREE_WORD_MAX];
	struct text x = text_into(name, sizeof(name));

	text_addf(&x, "%*s%s %s", INDENT * ((int)n->kind - NODE_PROGRAM), "", twist(t, n),
		n->label);
	if (n->kind != NODE_HOST && !rows_open(n, t->filter))
		text_addf(&x, "  %u", n->children);
	term_put(y, 0, width, name);
}

static void draw_row(const struct top *t, size_t row, int y, int name, int64_t now_ms)
{
	const struct node *n = t->rows.at[row];
	chtype base = row == t->at ? A_REVERSE : 0, colour = 0;
	char cell[CELL_MAX];
	int x = name;

	if (!t->live)
		base |= A_DIM;
	attrset(base | (n->kind == NODE_PROGRAM ? A_BOLD : 0));
	draw_name(t, n, y, name);
	attrset(base);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		if (!visible[i])
			continue;
		mvaddch(y, x, ' ');
		if (columns[i].by == BY_VERDICT) {
			const char *verdict = verdict_text_of(n, &colour);

			attrset(base | (t->live ? colour : 0));
			term_put(y, x + 1, columns[i].width, verdict);
			attrset(base);
		} else {
			cell_text(n, columns[i].by, now_ms, cell);
			if (is_text(&columns[i]))
				term_put(y, x + 1, columns[i].width, cell);
			else
				term_put_right(y, x + 1, columns[i].width, cell);
		}
		x += columns[i].width + 1;
	}
	attrset(0);
}

static void scroll_to_cursor(struct top *t)
{
	size_t height = (size_t)top_list_height();

	if (t->rows.n && t->at >= t->rows.n)
		t->at = t->rows.n - 1;
	if (t->at < t->first)
		t->first = t->at;
	if (t->at >= t->first + height)
		t->first = t->at - height + 1;
	if (t->first + height > t->rows.n)
		t->first = t->rows.n > height ? t->rows.n - height : 0;
}

static void draw_list(struct top *t)
{
	int name = choose_columns(), height = top_list_height();
	int64_t now_ms = t->live && !t->paused ? clock_unix_ms() : t->heard_ms;

	draw_heads(t, name);
	scroll_to_cursor(t);
	for (int i = 0; i < height && t->first + (size_t)i < t->rows.n; i++)
		draw_row(t, t->first + (size_t)i, HEAD_LINES + i, name, now_ms);
	if (t->rows.n == 0)
		term_put(HEAD_LINES, 0, COLS, t->filter[0] ? "nothing passes the filter"
			: t->live ? "nothing yet: whatever a program asks for or connects to "
				"appears here" : "");
}

/* --- the line below --------------------------------------------------------------------- */

static void draw_foot(const struct top *t)
{
	char line[TOP_FILTER_MAX + 8];

	if (t->mode == TOP_FILTER) {
		snprintf(line, sizeof(line), "/%s", t->filter);
		move(LINES - 1, MIN(term_put(LINES - 1, 0, COLS, line), COLS - 1));
		curs_set(1);
		return;
	}
	if (t->said[0]) {
		attron(A_BOLD);
		term_put(LINES - 1, 0, COLS, t->said);
		attroff(A_BOLD);
	} else {
		term_put(LINES - 1, 0, COLS, "q quit  / filter  Enter details  a allow  d deny  "
			"u undo  p pause  ? help");
	}
}

void top_draw(struct top *t)
{
	if (t->rows_left != t->tree->left)
		top_rows(t); /* some of them are no more */
	erase();
	curs_set(0);
	if (COLS < WIDTH_LEAST || LINES < HEIGHT_LEAST) {
		term_put(0, 0, COLS, "too small");
		refresh();
		return;
	}
	if (t->mode == TOP_TEXT) {
		top_text_draw(t);
	} else {
		draw_sums(t);
		draw_state(t);
		draw_list(t);
		if (t->mode == TOP_RULE)
			top_rule_draw(t);
		draw_foot(t);
	}
	refresh();
}
