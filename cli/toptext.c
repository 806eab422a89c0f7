/* SPDX-License-Identifier: GPL-2.0-or-later
 * Pages of text over the list: what is known of a row and why it went as it did; the keys. */
#include "base/text.h"
#include "cli/show.h"
#include "cli/term.h"
#include "cli/top.h"
#include "cli/units.h"

#include <curses.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { KEY_ESCAPE = 27, LINE_MAX_BYTES = 4096, LINES_MAX = 400, SHOWN = 20,
	LOOKED_AT = 300, PATH_TEXT_MAX = 3000 };

void top_text_done(struct top_text *x)
{
	for (size_t i = 0; i < x->n; i++)
		free(x->lines[i]);
	free(x->lines);
	*x = (struct top_text){ 0 };
}

static format_printf(2, 3) void add(struct top_text *x, const char *fmt, ...)
{
	char raw[LINE_MAX_BYTES], safe[4 * LINE_MAX_BYTES];
	struct text t = text_into(safe, sizeof(safe));
	va_list args;

	if (x->n == x->room) {
		size_t room = MAX(2 * x->room, 64);
		char **lines = room <= 2 * LINES_MAX
			? realloc(x->lines, room * sizeof(char *)) : NULL;

		if (!lines)
			return;
		x->lines = lines;
		x->room = room;
	}
	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	text_add_safe(&t, raw);
	x->lines[x->n] = strdup(safe);
	x->n += x->lines[x->n] != NULL;
}

static struct top_text *begin(struct top *t, const char *title)
{
	top_text_done(&t->text);
	text_copy(t->text.title, sizeof(t->text.title), title);
	t->mode = TOP_TEXT;
	return &t->text;
}

/* --- a row's details -------------------------------------------------------------------- */

/* which records are the row's, as the API can tell; the rest is is_of() */
static bool records_path(const struct node *n, const char *collection, char *path)
{
	const struct node *program = tree_program(n);
	char domain[TREE_WORD_MAX], limit[16];
	struct text t = text_into(domain, sizeof(domain));

	snprintf(path, PATH_TEXT_MAX, "/api/v1/%s", collection);
	snprintf(limit, sizeof(limit), "%d", LOOKED_AT);
	text_addf(&t, ".%s", n->key);
	return client_argument(path, PATH_TEXT_MAX, "limit", limit) &&
		client_argument(path, PATH_TEXT_MAX, "program",
			*program->key ? program->key : NULL) &&
		client_argument(path, PATH_TEXT_MAX, "name", n->kind == NODE_PROGRAM || !*n->key
			|| n->address ? NULL : n->kind == NODE_DOMAIN ? domain : n->key);
}

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b) == 0;
}

static bool is_of(const struct node *n, const json_t *o)
{
	const struct node *program = tree_program(n);
	const json_t *actor = json_object_get(o, "actor");
	bool named = show_text(o, "name") != NULL;

	if (!same(show_text(actor, "path"), program->key) ||
		(*program->key && show_number(actor, "uid") != (json_int_t)program->uid))
		return false;
	if (n->kind == NODE_DOMAIN && !*n->key)
		return !named;
	if (n->kind == NODE_HOST && n->address)
		return !named && same(show_text(o, "address"), n->key);
	return true;
}

static void add_flow(struct top_text *x, const json_t *o)
{
	const char *address = show_text(o, "address"), *end = show_text(o, "end");
	const json_t *as = json_object_get(o, "as");
	char began[SHOW_TIME_MAX], ended[SHOW_TIME_MAX], rx[UNITS_MAX], tx[UNITS_MAX];
	char place[160] = "";

	if (show_number(as, "number"))
		snprintf(place, sizeof(place), "  AS%lld %s", (long long)show_number(as, "number"),
			show_text(as, "name") ? show_text(as, "name") : "");
	add(x, "  %s %-5s %s:%lld/%s  %s%s%s  down %s up %s  %s%s",
		show_time(show_text(o, "start"), began), show_verdict(o), address ? address : "?",
		(long long)show_number(o, "port"), show_text(o, "proto"), show_text(o, "state"),
		end ? " " : "", show_time(end, ended),
		units_bytes((uint64_t)show_number(o, "rx"), rx),
		units_bytes((uint64_t)show_number(o, "tx"), tx),
		show_text(o, "country") ? show_text(o, "country") : "", place);
	add(x, "      why: %s", show_why(o) ? show_why(o) : "?");
}

static void add_query(struct top_text *x, const json_t *o)
{
	const json_t *answers = json_object_get(o, "answers");
	const char *first = json_string_value(json_array_get(answers, 0));
	char at[SHOW_TIME_MAX], more[24] = "";

	if (json_array_size(answers) > 1)
		snprintf(more, sizeof(more), " +%zu", json_array_size(answers) - 1);
	add(x, "  %s %-5s %s %s  %s%s", show_time(show_text(o, "time"), at), show_verdict(o),
		show_text(o, "type"), show_text(o, "name"), first ? first : show_text(o, "rcode"),
		more);
	add(x, "      why: %s", show_why(o) ? show_why(o) : "?");
}

static void add_records(struct top *t, struct top_text *x, const struct node *n, bool queries)
{
	char path[PATH_TEXT_MAX];
	json_t *page = NULL, *o;
	size_t i, shown = 0;

	if (records_path(n, queries ? "queries" : "flows", path))
		page = top_get(t, path);
	add(x, "%s", "");
	add(x, queries ? "names it asked for, the last first:"
		       : "connections, the last first:");
	json_array_foreach(json_object_get(page, "items"), i, o) {
		if (!is_of(n, o) || shown == SHOWN)
			continue;
		(queries ? add_query : add_flow)(x, o);
		shown++;
	}
	if (!page)
		add(x, "  %s", t->said);
	else if (!shown)
		add(x, "  none");
	json_decref(page);
}

static void add_sums(struct top_text *x, const struct node *n)
{
	char rx[UNITS_MAX], tx[UNITS_MAX], down[UNITS_MAX], up[UNITS_MAX];
	const char *country = tree_country(n);

	add(x, "traffic   down %s (%s), up %s (%s)", units_bytes(n->rx, rx),
		*units_rate(n->rx_rate, down) ? down : "0 B/s", units_bytes(n->tx, tx),
		*units_rate(n->tx_rate, up) ? up : "0 B/s");
	add(x, "flows     %u, %u of them now", n->flows, n->live);
	add(x, "verdicts  %u allowed, %u denied, %u open%s", n->told[TREE_ALLOWED],
		n->told[TREE_DENIED], n->told[TREE_OPEN], n->watched
			? "; nothing is refused: they are what they would be" : "");
	if (*country)
		add(x, "country   %s, likely", country);
}

void top_details(struct top *t)
{
	const struct node *n = top_node(t), *program;
	struct top_text *x;

	if (!n)
		return;
	program = tree_program(n);
	x = begin(t, n->label);
	add(x, "program   %s", *program->key ? program->key : "unknown: the kernel did not say");
	if (*program->key)
		add(x, "user      %u%s", program->uid, program->believed ? ""
			: "; the path is not believed: rules for it do not match");
	if (n->kind == NODE_HOST)
		add(x, "%s   %s", n->address ? "address" : "name   ", n->key);
	else if (n->kind == NODE_DOMAIN && *n->key)
		add(x, "domain    %s and below", n->key);
	add_sums(x, n);
	add_records(t, x, n, false);
	add_records(t, x, n, true);
}

/* --- help ------------------------------------------------------------------------------- */

void top_help(struct top *t)
{
	static const char *const lines[] = {
		"up, down, j, k            move; page up and down, home, end (g, G)",
		"right, l, +               open: a program's domains, a domain's hosts",
		"left, h, -                close, or go to what it is below",
		"space                     open or close",
		"Enter                     details: connections, names, and why",
		"",
		"a, d                      allow, deny: how wide, for whom, how long",
		"u                         undo: take the last rule made here back",
		"",
		"/                         filter by program, name, address or country",
		"Esc                       no filter",
		"1 2 3 4 5 6 7             sort by name, verdict, rate, down, up, flows, last;",
		"                          once more: the other way round",
		"< >  R                    sort by the column beside it; the other way round",
		"p                         stand still, go on",
		"?  q                      this help, quit",
		"",
		"Rates are of the last seconds, sums since the daemon began. A country is a",
		"hint: one address may be served from many places.",
	};
	struct top_text *x = begin(t, "keys");

	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		add(x, "%s", lines[i]);
}

/* --- a page ----------------------------------------------------------------------------- */

static size_t page_height(void)
{
	return (size_t)MAX(LINES - 2, 1);
}

void top_text_key(struct top *t, int key)
{
	struct top_text *x = &t->text;
	size_t page = page_height(), most = x->n > page ? x->n - page : 0;

	switch (key) {
	case KEY_UP: case 'k':
		x->first -= x->first > 0;
		break;
	case KEY_DOWN: case 'j':
		x->first = MIN(x->first + 1, most);
		break;
	case KEY_PPAGE:
		x->first -= MIN(x->first, page);
		break;
	case KEY_NPAGE: case ' ':
		x->first = MIN(x->first + page, most);
		break;
	case 'a': case 'd':
		t->mode = TOP_LIST;
		top_ask_rule(t, key == 'a');
		break;
	case 'q': case KEY_ESCAPE: case '\r': case '\n': case KEY_ENTER: case '?':
		t->mode = TOP_LIST;
		break;
	}
}

void top_text_draw(struct top *t)
{
	const struct top_text *x = &t->text;
	size_t page = page_height();

	attrset(A_REVERSE);
	term_put(0, 0, COLS, x->title);
	attrset(0);
	for (size_t i = 0; i < page && x->first + i < x->n; i++)
		term_put((int)i + 1, 0, COLS, x->lines[x->first + i]);
	attrset(A_BOLD);
	term_put(LINES - 1, 0, COLS, x->n > page ? "up and down: scroll  Esc, Enter: back"
						 : "Esc, Enter: back");
	attrset(0);
}
