/* SPDX-License-Identifier: GPL-2.0-or-later
 * The live tree in a terminal; once, as text or JSON, for scripts. */
#include "cli/top.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/call.h"
#include "cli/columns.h"
#include "cli/term.h"
#include "cli/told.h"
#include "cli/units.h"

#include <curses.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
	TICK_MS = 1000,  /* rates, and the rows' order */
	DRAW_MS = 250,   /* what came meanwhile is drawn so often */
	ONCE_MS = 2200,  /* two counts of the kernel's are in it */
};

/* whether there were any */
static bool take_keys(struct top *t)
{
	bool any = false;
	int key;

	while (!t->quit && (key = getch()) != ERR) {
		any = true;
		if (key != KEY_RESIZE) /* ours comes by signal */
			top_key(t, key);
	}
	return any;
}

static bool take_events(struct top *t)
{
	enum term_event e = term_event();
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	/* a terminal that went away can be read for ever, and says nothing */
	if (e == TERM_END || (poll(&in, 1, 0) > 0 && in.revents & (POLLHUP | POLLERR)))
		t->quit = true;
	if (e == TERM_RESIZED)
		clearok(curscr, TRUE);
	return e == TERM_RESIZED;
}

static void tick(struct top *t, int64_t *ticked_ms)
{
	int64_t now = clock_boot_ms();

	if (now - *ticked_ms < TICK_MS || t->paused)
		return;
	if (t->live)
		tree_tick(t->tree, now);
	top_rows(t);
	*ticked_ms = now;
}

static void run(struct top *t)
{
	const int fds[] = { STDIN_FILENO, term_fd() };
	int64_t ticked = 0, draw = 0;
	bool resized;

	while (!t->quit) {
		tick(t, &ticked);
		if (clock_boot_ms() >= draw) {
			top_draw(t);
			draw = clock_boot_ms() + DRAW_MS;
		}
		top_turn(t, fds, ARRAY_LEN(fds), (int)MAX(draw - clock_boot_ms(), 0));
		resized = take_events(t);
		if (take_keys(t) || resized)
			draw = 0;
	}
}

/* until the daemon has said what it knows, or has not */
static int begin(struct top *t)
{
	while (!t->live) {
		top_turn(t, NULL, 0, TICK_MS);
		if (!t->stream)
			return command_fail(UNREACHABLE, "%s", client_why(t->streaming));
		if (t->said[0])
			return command_fail(UNREACHABLE, "%s", t->said);
	}
	return DONE;
}

/* --- once ------------------------------------------------------------------------------- */

static void print_row(struct columns *c, const struct node *n)
{
	static const char *const words[] = { "-", "allow", "deny" };
	char name[COLUMNS_CELL_MAX], rate[UNITS_MAX], rx[UNITS_MAX], tx[UNITS_MAX], flows[24],
		last[UNITS_MAX];
	bool mixed;
	enum tree_verdict v = rows_verdict(n, &mixed);

	snprintf(name, sizeof(name), "%*s%s", 2 * ((int)n->kind - NODE_PROGRAM), "", n->label);
	snprintf(flows, sizeof(flows), "%u", n->live);
	columns_add(c, (const char *const[]){ name,
		mixed ? "mixed" : v == TREE_DENIED && n->watched ? "would deny" : words[v],
		units_rate(n->rx_rate + n->tx_rate, rate), n->rx ? units_bytes(n->rx, rx) : NULL,
		n->tx ? units_bytes(n->tx, tx) : NULL, flows, tree_country(n),
		units_ago(n->last_ms, clock_unix_ms(), last) });
}

static void print_tree(struct top *t)
{
	static const char *const heads[] = { "PROGRAM / DOMAIN / HOST", "VERDICT", "RATE",
		"DOWN", "UP", "FLOWS", "CC", "LAST" };
	struct columns c;

	for (struct table_node *in = t->tree->nodes.newest; in; in = in->older)
		container_of(in, struct node, in)->open = true;
	top_rows(t);
	columns_init(&c, ARRAY_LEN(heads), heads);
	for (size_t i = 0; i < t->rows.n; i++)
		print_row(&c, t->rows.at[i]);
	columns_print(&c, stdout);
	columns_done(&c);
}

static int once(struct command_line *c, struct top *t)
{
	int64_t until = clock_boot_ms() + ONCE_MS, ticked = clock_boot_ms();
	json_t *o;

	while (clock_boot_ms() < until && t->stream) {
		top_turn(t, NULL, 0, (int)MAX(until - clock_boot_ms(), 0));
		tick(t, &ticked);
	}
	if (!c->json) {
		print_tree(t);
		return DONE;
	}
	o = told_tree(t->tree);
	if (o)
		call_print(o);
	json_decref(o);
	return o ? DONE : command_fail(REFUSED, "out of memory");
}

int command_top(struct command_line *c)
{
	char why[TERM_WHY_MAX];
	struct top *t;
	int status;

	if (top_open(c->socket, &t) < 0)
		return command_fail(REFUSED, "out of memory");
	status = begin(t);
	if (status == DONE && (c->once || c->json)) {
		status = once(c, t);
	} else if (status == DONE && term_open(why) < 0) {
		status = command_fail(USAGE, "%s: top --once prints what it shows", why);
	} else if (status == DONE) {
		run(t);
		term_close();
	}
	top_close(t);
	return status;
}
