/* SPDX-License-Identifier: GPL-2.0-or-later
 * scupper history: what happened, page by page, the newest first. Nothing is held but the
 * page, so any number of rows may be written. */
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "cli/call.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SHOWN = 50, PAGE = 1000 };

/* --- what is asked ------------------------------------------------------------------------ */

/* RFC 3339, or a local time: a day, with or without an hour */
static bool read_time(const char *s, int64_t *ms)
{
	static const char *const shapes[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
		"%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d" };

	if (text_time_read(s, ms) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(s, shapes[i], &tm);

		if (!end || *end)
			continue;
		*ms = (int64_t)mktime(&tm) * 1000;
		return *ms > 0;
	}
	return false;
}

static bool add_time(char *path, const char *name, const char *said)
{
	char utc[TEXT_TIME_MAX];
	int64_t ms;

	if (!said)
		return true;
	if (!read_time(said, &ms) || ms <= 0) {
		command_fail(USAGE, "--%s takes a time: 2026-11-24, \"2026-11-24 13:00\" (local) or "
			"2026-11-24T13:00:00Z", name);
		return false;
	}
	client_argument(path, CALL_PATH_MAX, name, text_time(ms, utc));
	return true;
}

static bool add_since(const struct command_line *c, char *path)
{
	char utc[TEXT_TIME_MAX];
	int64_t s;

	if (!c->since)
		return add_time(path, "from", c->from);
	if (c->from || text_duration_s(c->since, &s) < 0 || s <= 0) {
		command_fail(USAGE, c->from ? "--since and --from say the same: give one"
					    : "--since takes a duration: 90s, 10m, 2h, 7d");
		return false;
	}
	client_argument(path, CALL_PATH_MAX, "from",
		text_time(MAX(clock_unix_ms() - s * 1000, 1), utc));
	return true;
}

static bool build_path(const struct command_line *c, char *path)
{
	snprintf(path, CALL_PATH_MAX, "/api/v1/history");
	if (!add_since(c, path) || !add_time(path, "to", c->to))
		return false;
	if (client_argument(path, CALL_PATH_MAX, "program", c->program) &&
		client_argument(path, CALL_PATH_MAX, "name", c->name) &&
		client_argument(path, CALL_PATH_MAX, "address", c->address) &&
		client_argument(path, CALL_PATH_MAX, "country", c->country) &&
		client_argument(path, CALL_PATH_MAX, "verdict", c->verdict))
		return true;
	command_fail(USAGE, "an argument is too long");
	return false;
}

/* --- forms -------------------------------------------------------------------------------- */

struct printer {
	struct columns columns;
	bool begun, any;
};

struct form {
	void (*begin)(struct printer *p);
	void (*row)(struct printer *p, json_t *o);
	void (*page)(struct printer *p);                 /* one is over; may be NULL */
	void (*end)(struct printer *p, const json_t *next); /* may be NULL */
};

static void table_begin(struct printer *p)
{
	show_flow_columns(&p->columns);
	p->columns.width[0] = sizeof("2026-11-24 13:00:00") - 1;
}

static void table_row(struct printer *p, json_t *o)
{
	if (show_text(o, "type")) /* a query: what it was for says more than udp */
		json_object_set_new(o, "proto", json_string("dns"));
	show_flow(&p->columns, o);
}

static void table_page(struct printer *p)
{
	columns_print(&p->columns, stdout);
}

static void table_end(struct printer *p, const json_t *next)
{
	(void)next;
	columns_print(&p->columns, stdout);
}

static void lines_row(struct printer *p, json_t *o)
{
	(void)p;
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
}

static void document_begin(struct printer *p)
{
	(void)p;
	fputs("{\"items\":[", stdout);
}

static void document_row(struct printer *p, json_t *o)
{
	if (p->any)
		putchar(',');
	json_dumpf(o, stdout, JSON_COMPACT);
}

static void document_end(struct printer *p, const json_t *next)
{
	(void)p;
	fputs("],\"next\":", stdout);
	json_dumpf(next, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	puts("}");
}

/* name of a column, and where it stands in the object: a member, or a member of a member */
static const struct {
	const char *head, *member, *of;
} fields[] = {
	{ "start", "start", NULL }, { "end", "end", NULL }, { "kind", "kind", NULL },
	{ "state", "state", NULL }, { "verdict", "verdict", NULL },
	{ "program", "path", "actor" }, { "user", "user", "actor" }, { "uid", "uid", "actor" },
	{ "pid", "pid", "actor" }, { "name", "name", NULL }, { "domain", "domain", NULL },
	{ "type", "type", NULL }, { "address", "address", NULL }, { "port", "port", NULL },
	{ "proto", "proto", NULL }, { "direction", "direction", NULL },
	{ "country", "country", NULL }, { "city", "city", NULL }, { "as", "number", "as" },
	{ "as_name", "name", "as" }, { "rule", "text", "rule" }, { "reason", "reason", NULL },
	{ "rx", "rx", NULL }, { "tx", "tx", NULL },
};

/* RFC 4180; and what a spreadsheet would take for a formula is kept from being one */
static void put_field(const char *s)
{
	char shown[4096];
	struct text t = text_into(shown, sizeof(shown));

	text_add_safe(&t, s);
	if (strchr("=+-@", shown[0]) && shown[0])
		putchar('\'');
	if (!strpbrk(shown, "\",")) {
		fputs(shown, stdout);
		return;
	}
	putchar('"');
	for (const char *p = shown; *p; p++) {
		if (*p == '"')
			putchar('"');
		putchar(*p);
	}
	putchar('"');
}

static void csv_begin(struct printer *p)
{
	(void)p;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		printf("%s%s", i ? "," : "", fields[i].head);
	fputs("\r\n", stdout);
}

static void csv_row(struct printer *p, json_t *o)
{
	(void)p;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const json_t *from = fields[i].of ? json_object_get(o, fields[i].of) : o;
		const json_t *v = json_object_get(from, fields[i].member);

		if (i)
			putchar(',');
		if (json_is_string(v))
			put_field(json_string_value(v));
		else if (json_is_integer(v))
			printf("%lld", (long long)json_integer_value(v));
	}
	fputs("\r\n", stdout);
}

static const struct form table = { table_begin, table_row, table_page, table_end };
static const struct form document = { document_begin, document_row, NULL, document_end };
static const struct form lines = { NULL, lines_row, NULL, NULL };
static const struct form csv = { csv_begin, csv_row, NULL, NULL };

/* --- writing ------------------------------------------------------------------------------ */

/* prints a page's rows; how many */
static uint64_t print_page(struct printer *p, const struct form *form, const json_t *page)
{
	const json_t *items = json_object_get(page, "items");
	size_t n = json_array_size(items);

	if (!p->begun && form->begin)
		form->begin(p);
	p->begun = true;
	for (size_t i = 0; i < n; i++) {
		form->row(p, json_array_get(items, i));
		p->any = true;
	}
	if (form->page)
		form->page(p);
	return n;
}

static bool one_form(const struct command_line *c)
{
	return c->json + c->jsonl + c->csv <= 1;
}

/* *next: where to go on, or null */
static int print_pages(struct command_line *c, struct printer *p, const struct form *form,
	const char *path, json_t **next)
{
	uint64_t left = c->limit ? c->limit : form == &table ? SHOWN : UINT64_MAX;
	int status = DONE;

	do {
		char page[CALL_PATH_MAX], n[16];
		struct reply r;

		snprintf(page, sizeof(page), "%s", path);
		snprintf(n, sizeof(n), "%u", (unsigned)MIN(left, (uint64_t)PAGE));
		client_argument(page, sizeof(page), "limit", n);
		client_argument(page, sizeof(page), "cursor", json_string_value(*next));
		status = call_daemon(c, "GET", page, NULL, &r);
		if (status != DONE)
			return status;
		left -= print_page(p, form, r.json);
		json_decref(*next);
		*next = json_incref(json_object_get(r.json, "next"));
		reply_done(&r);
	} while (left && json_is_string(*next) && !ferror(stdout)); /* error: the reader left */
	return DONE;
}

int command_history(struct command_line *c)
{
	const struct form *form = c->csv ? &csv : c->jsonl ? &lines : c->json ? &document
									      : &table;
	struct printer p = { .any = false };
	char path[CALL_PATH_MAX];
	json_t *next = json_null();
	int status;

	if (!one_form(c))
		return command_fail(USAGE, "one of --csv, --jsonl and --json");
	if (!build_path(c, path))
		return USAGE;
	status = print_pages(c, &p, form, path, &next);
	if (status == DONE && form->end)
		form->end(&p, next);
	json_decref(next);
	columns_done(&p.columns);
	if (fflush(stdout) != 0 && status == DONE && !ferror(stdout))
		status = REFUSED;
	return status;
}
