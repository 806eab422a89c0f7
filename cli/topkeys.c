/* SPDX-License-Identifier: GPL-2.0-or-later
 * What a key does. */
#include "base/text.h"
#include "cli/top.h"

#include <curses.h>
#include <string.h>

enum { KEY_ESCAPE = 27, KEY_DEL = 127 };

static bool starts_falling(enum order_by by)
{
	return by != BY_NAME;
}

static void sort_by(struct top *t, enum order_by by)
{
	t->order.falling = t->order.by == by ? !t->order.falling : starts_falling(by);
	t->order.by = by;
	top_rows(t);
}

/* the first row is nobody's: whoever is there is under the cursor */
static void go_to(struct top *t, size_t row)
{
	if (t->rows.n == 0)
		return;
	t->at = MIN(row, t->rows.n - 1);
	t->tree->chosen = t->at ? t->rows.at[t->at] : NULL;
}

static void move_by(struct top *t, long rows)
{
	long to = (long)t->at + rows;

	go_to(t, to < 0 ? 0 : (size_t)to);
}

/* what the cursor stands on is meant from now on, wherever it goes */
static struct node *hold(struct top *t)
{
	struct node *n = top_node(t);

	t->tree->chosen = n;
	return n;
}

static void set_open(struct top *t, bool open)
{
	struct node *n = hold(t);

	if (!n)
		return;
	if (!open && (!n->open || !n->children) && n->kind > NODE_PROGRAM)
		t->tree->chosen = n->parent; /* closed already: to what it is below */
	else
		n->open = open && n->children;
	top_rows(t);
}

static void toggle(struct top *t)
{
	struct node *n = hold(t);

	if (n && n->children) {
		n->open = !n->open;
		top_rows(t);
	}
}

static void set_filter(struct top *t, const char *filter)
{
	text_copy(t->filter, sizeof(t->filter), filter);
	top_rows(t);
}

static void filter_key(struct top *t, int key)
{
	size_t n = strlen(t->filter);

	if (key == KEY_ESCAPE)
		set_filter(t, "");
	if (key == KEY_ESCAPE || key == '\r' || key == '\n' || key == KEY_ENTER) {
		t->mode = TOP_LIST;
		return;
	}
	if (key == KEY_BACKSPACE || key == KEY_DEL || key == '\b') {
		while (n > 0 && ((unsigned char)t->filter[--n] & 0xc0) == 0x80)
			;
		t->filter[n] = '\0';
	} else if (key >= ' ' && key <= 0xff && n + 1 < sizeof(t->filter)) {
		t->filter[n] = (char)key;
		t->filter[n + 1] = '\0';
	}
	top_rows(t);
}

static bool moved(struct top *t, int key)
{
	long page = top_list_height();

	switch (key) {
	case KEY_UP: case 'k':
		move_by(t, -1);
		return true;
	case KEY_DOWN: case 'j':
		move_by(t, 1);
		return true;
	case KEY_PPAGE:
		move_by(t, -page);
		return true;
	case KEY_NPAGE:
		move_by(t, page);
		return true;
	case KEY_HOME: case 'g':
		go_to(t, 0);
		return true;
	case KEY_END: case 'G':
		go_to(t, SIZE_MAX);
		return true;
	case KEY_RIGHT: case 'l': case '+':
		set_open(t, true);
		return true;
	case KEY_LEFT: case 'h': case '-':
		set_open(t, false);
		return true;
	case ' ':
		toggle(t);
		return true;
	}
	return false;
}

static bool sorted(struct top *t, int key)
{
	if (key >= '1' && key < '1' + ORDERS)
		sort_by(t, (enum order_by)(key - '1'));
	else if (key == '<')
		sort_by(t, (t->order.by + ORDERS - 1) % ORDERS);
	else if (key == '>')
		sort_by(t, (t->order.by + 1) % ORDERS);
	else if (key == 'R')
		sort_by(t, t->order.by);
	else
		return false;
	return true;
}

static void list_key(struct top *t, int key)
{
	if (moved(t, key) || sorted(t, key))
		return;
	switch (key) {
	case 'q':
		t->quit = true;
		break;
	case '/':
		t->mode = TOP_FILTER;
		break;
	case KEY_ESCAPE:
		set_filter(t, "");
		break;
	case 'p':
		t->paused = !t->paused;
		break;
	case '\r': case '\n': case KEY_ENTER:
		hold(t);
		top_details(t);
		break;
	case 'a': case 'd':
		hold(t);
		top_ask_rule(t, key == 'a');
		break;
	case 'u':
		top_undo(t);
		break;
	case '?':
		top_help(t);
		break;
	case 'L' & 0x1f:
		clearok(curscr, TRUE); /* someone wrote over it */
		break;
	}
}

void top_key(struct top *t, int key)
{
	if (t->rows_left != t->tree->left)
		top_rows(t);
	t->said[0] = '\0';
	switch (t->mode) {
	case TOP_FILTER:
		filter_key(t, key);
		break;
	case TOP_RULE:
		top_rule_key(t, key);
		break;
	case TOP_TEXT:
		top_text_key(t, key);
		break;
	default:
		list_key(t, key);
	}
}
