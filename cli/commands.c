/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/commands.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/show.h"
#include "cli/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PAGE_MAX = 1000,       /* what the API gives at once */
	SHOWN = 50,            /* rows for a person who did not say */
	SHOWN_JSON = 100,
	FOLLOW_LAST = 10,
	RULE_MAX = 1024,
	PATH_TEXT_MAX = 3000,
};

int command_fail(int status, const char *fmt, ...)
{
	char said[2048], line[4 * sizeof(said)];
	struct text t = text_into(line, sizeof(line));
	va_list args;

	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
	text_add_safe(&t, said);
	fprintf(stderr, "scupper: %s\n", line);
	return status;
}

/* asking */

/* status of the exit; DONE: out is a success and the caller's */
static int call(struct command_line *c, const char *method, const char *path, json_t *body,
	struct reply *out)
{
	char why[CLIENT_WHY_MAX];
	int status;

	if (client_call(c->client, method, path, body, out) < 0)
		return command_fail(UNREACHABLE, "%s", client_why(c->client));
	if (out->status >= 200 && out->status < 300)
		return DONE;
	status = out->status == 503 ? UNREACHABLE : REFUSED;
	command_fail(status, "%s", reply_why(out, why));
	reply_done(out);
	return status;
}

static void print_json(const json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
}

/* up to limit of a collection, newest first, page by page; *next is the API's */
static int collect(struct command_line *c, const char *path, uint32_t limit, json_t *items,
	json_t **next)
{
	json_t *cursor = json_null();

	while (json_array_size(items) < limit) {
		char page[PATH_TEXT_MAX], n[16];
		struct reply r;
		int status;

		snprintf(page, sizeof(page), "%s", path);
		snprintf(n, sizeof(n), "%u",
			(unsigned)MIN(limit - json_array_size(items), PAGE_MAX));
		client_argument(page, sizeof(page), "limit", n);
		client_argument(page, sizeof(page), "cursor", json_string_value(cursor));
		json_decref(cursor);
		status = call(c, "GET", page, NULL, &r);
		if (status != DONE)
			return status;
		json_array_extend(items, json_object_get(r.json, "items"));
		cursor = json_incref(json_object_get(r.json, "next"));
		reply_done(&r);
		if (!json_is_string(cursor))
			break;
	}
	*next = cursor;
	return DONE;
}

static void print_collection(json_t *items, json_t *next)
{
	json_t *o = json_object();

	json_object_set(o, "items", items);
	json_object_set(o, "next", next ? next : json_null());
	print_json(o);
	json_decref(o);
}

/* lists */

static bool filter_path(struct command_line *c, char *path)
{
	if (client_argument(path, PATH_TEXT_MAX, "program", c->program) &&
		client_argument(path, PATH_TEXT_MAX, "name", c->name) &&
		client_argument(path, PATH_TEXT_MAX, "verdict", c->verdict))
		return true;
	command_fail(USAGE, "an argument is too long");
	return false;
}

struct view {
	const char *path, *topic, *event;
	void (*columns)(struct columns *c);
	void (*row)(struct columns *c, const json_t *o);
};

static const struct view queries_view = { "/api/v1/queries", "queries", "query",
	show_query_columns, show_query };
static const struct view flows_view = { "/api/v1/flows", "flows", "flow",
	show_flow_columns, show_flow };

struct following {
	const struct view *view;
	bool json;
	struct columns columns;
};

static bool on_event(void *ctx, const char *type, json_t *data)
{
	struct following *f = ctx;

	if (strcmp(type, "resync") == 0) {
		command_fail(DONE, "some were lost: this view was too slow");
		return true;
	}
	if (strcmp(type, "notice") == 0 && !f->json)
		show_notice(data);
	if (strcmp(type, f->view->event) != 0)
		return true;
	if (f->json) {
		print_json(data);
	} else {
		f->view->row(&f->columns, data);
		columns_print(&f->columns, stdout);
	}
	return !ferror(stdout); /* the reader is gone: enough */
}

static int follow(struct command_line *c, const struct view *v)
{
	struct following f = { .view = v, .json = c->json };
	char path[PATH_TEXT_MAX] = "/api/v1/events", topics[32], last[16], why[CLIENT_WHY_MAX];
	struct reply r = { 0 };
	int status = DONE;

	snprintf(last, sizeof(last), "%u", c->limit ? MIN(c->limit, PAGE_MAX) : FOLLOW_LAST);
	snprintf(topics, sizeof(topics), "%s,notices", v->topic);
	client_argument(path, sizeof(path), "topics", topics);
	client_argument(path, sizeof(path), "last", last);
	if (!filter_path(c, path))
		return USAGE;
	v->columns(&f.columns);
	if (!c->json)
		columns_print(&f.columns, stdout);
	if (client_listen(c->client, path, on_event, &f, &r) < 0)
		status = command_fail(UNREACHABLE, "%s", client_why(c->client));
	else if (r.status >= 300)
		status = command_fail(r.status == 503 ? UNREACHABLE : REFUSED, "%s",
			reply_why(&r, why));
	reply_done(&r);
	columns_done(&f.columns);
	return status;
}

static void print_rows(const struct view *v, const json_t *items)
{
	struct columns columns;

	v->columns(&columns);
	for (size_t i = json_array_size(items); i-- > 0;) /* the newest stands last */
		v->row(&columns, json_array_get(items, i));
	columns_print(&columns, stdout);
	columns_done(&columns);
}

static int list(struct command_line *c, const struct view *v)
{
	uint32_t limit = c->limit ? c->limit : c->json ? SHOWN_JSON : SHOWN;
	char path[PATH_TEXT_MAX];
	json_t *items, *next = NULL;
	int status;

	if (c->follow)
		return follow(c, v);
	snprintf(path, sizeof(path), "%s", v->path);
	if (!filter_path(c, path))
		return USAGE;
	items = json_array();
	status = collect(c, path, limit, items, &next);
	if (status == DONE && c->json)
		print_collection(items, next);
	else if (status == DONE)
		print_rows(v, items);
	json_decref(next);
	json_decref(items);
	return status;
}

int command_queries(struct command_line *c)
{
	return list(c, &queries_view);
}

int command_flows(struct command_line *c)
{
	return list(c, &flows_view);
}

/* one document, shown whole */
static int show_one(struct command_line *c, const char *path, void (*show)(const json_t *))
{
	struct reply r;
	int status = call(c, "GET", path, NULL, &r);

	if (status != DONE)
		return status;
	if (c->json)
		print_json(r.json);
	else
		show(r.json);
	reply_done(&r);
	return DONE;
}

int command_status(struct command_line *c)
{
	return show_one(c, "/api/v1/status", show_status);
}

static void show_apps_document(const json_t *o)
{
	show_apps(json_object_get(o, "items"));
}

int command_apps(struct command_line *c)
{
	return show_one(c, "/api/v1/apps?limit=1000", show_apps_document);
}

/* rules */

static void show_rules_document(const json_t *o)
{
	show_rules(json_object_get(o, "items"));
}

int command_rule_list(struct command_line *c)
{
	return show_one(c, "/api/v1/rules", show_rules_document);
}

/* RULE as one argument or several: what the shell took the quotes from gets them again */
static bool rule_text(struct command_line *c, char *out, size_t max)
{
	struct text t = text_into(out, max);

	for (int i = 0; i < c->nargs; i++) {
		const char *arg = c->args[i];
		bool quote = c->nargs > 1 && (!*arg || strpbrk(arg, " \t#")) &&
			!strchr(arg, '"');

		text_addf(&t, "%s%s%s%s", i ? " " : "", quote ? "\"" : "", arg,
			quote ? "\"" : "");
	}
	return !t.cut;
}

int command_rule_add(struct command_line *c)
{
	char text[RULE_MAX];
	struct reply r;
	json_t *body;
	int status;

	if (!rule_text(c, text, sizeof(text)))
		return command_fail(REFUSED, "a rule is at most %d bytes", RULE_MAX - 1);
	body = json_object();
	if (json_object_set_new(body, "text", json_string(text)) < 0) {
		json_decref(body);
		return command_fail(REFUSED, "the rule is not valid UTF-8");
	}
	status = call(c, "POST", "/api/v1/rules", body, &r);
	json_decref(body);
	if (status != DONE)
		return status;
	if (c->json) {
		print_json(r.json);
	} else {
		printf("rule %lld: ", (long long)show_number(r.json, "id"));
		show_lines(show_text(r.json, "text") ? show_text(r.json, "text") : text);
	}
	reply_done(&r);
	return DONE;
}

int command_rule_rm(struct command_line *c)
{
	char path[64];
	struct reply r;
	uint32_t id;
	int status;

	if (text_u32(c->args[0], UINT32_MAX, &id) < 0)
		return command_fail(USAGE, "rule rm takes a rule's number, see: scupper "
			"rule list");
	snprintf(path, sizeof(path), "/api/v1/rules/%u", id);
	status = call(c, "DELETE", path, NULL, &r);
	if (status != DONE)
		return status;
	reply_done(&r);
	if (!c->json)
		printf("rule %u is gone\n", id);
	return DONE;
}

/* pausing */

static int set_filter(struct command_line *c, json_t *body)
{
	struct reply r;
	int status = call(c, "PUT", "/api/v1/filter", body, &r);

	json_decref(body);
	if (status != DONE)
		return status;
	if (c->json)
		print_json(r.json);
	else
		show_filter(r.json);
	reply_done(&r);
	return DONE;
}

int command_pause(struct command_line *c)
{
	json_t *body = json_pack("{s:b}", "enabled", false);
	char until[TEXT_TIME_MAX];
	int64_t s;

	if (c->nargs && (text_duration_s(c->args[0], &s) < 0 || s <= 0)) {
		json_decref(body);
		return command_fail(USAGE, "pause takes a duration: 90s, 10m, 2h, 7d");
	}
	if (c->nargs)
		json_object_set_new(body, "until",
			json_string(text_time(clock_unix_ms() + s * 1000 + 999, until)));
	return set_filter(c, body);
}

int command_resume(struct command_line *c)
{
	return set_filter(c, json_pack("{s:b}", "enabled", true));
}

int command_block(struct command_line *c)
{
	return set_filter(c, json_pack("{s:b}", "block", true));
}

/* explaining */

int command_explain(struct command_line *c)
{
	json_t *body = json_object();
	struct reply r;
	int status;

	if (json_object_set_new(body, "who", json_string(c->args[0])) < 0 ||
		json_object_set_new(body, "what", json_string(c->args[1])) < 0) {
		json_decref(body);
		return command_fail(REFUSED, "that is not valid UTF-8");
	}
	status = call(c, "POST", "/api/v1/explain", body, &r);
	json_decref(body);
	if (status != DONE)
		return status;
	if (c->json)
		print_json(r.json);
	else
		show_lines(show_text(r.json, "text"));
	reply_done(&r);
	return DONE;
}

static int collect_denied(struct command_line *c, const char *collection, json_t *items)
{
	char path[PATH_TEXT_MAX];
	json_t *next = NULL;
	int status;

	snprintf(path, sizeof(path), "%s", collection);
	c->verdict = "deny";
	if (!filter_path(c, path))
		return USAGE;
	status = collect(c, path, COMMAND_LIMIT_MAX, items, &next);
	json_decref(next);
	return status;
}

int command_why(struct command_line *c)
{
	json_t *queries = json_array(), *flows = json_array(), *groups = NULL;
	struct reply rules = { 0 };
	int status;

	if (c->nargs)
		c->program = c->args[0];
	status = collect_denied(c, "/api/v1/queries", queries);
	if (status == DONE)
		status = collect_denied(c, "/api/v1/flows", flows);
	if (status == DONE)
		status = call(c, "GET", "/api/v1/rules", NULL, &rules);
	if (status == DONE) {
		groups = why_group(queries, flows, json_object_get(rules.json, "items"));
		if (c->json)
			print_collection(groups, NULL);
		else
			why_show(groups);
	}
	reply_done(&rules);
	json_decref(groups);
	json_decref(queries);
	json_decref(flows);
	return status;
}

/* who will look: under sudo the user who ran it */
static json_t *token_request(void)
{
	const char *sudo = geteuid() == 0 ? getenv("SUDO_UID") : NULL;
	json_t *o = json_object();
	uint32_t uid;

	if (sudo && text_u32(sudo, UINT32_MAX - 1, &uid) == 0)
		json_object_set_new(o, "uid", json_integer(uid));
	return o;
}

int command_open(struct command_line *c)
{
	json_t *body = token_request();
	struct reply r;
	int status = call(c, "POST", "/api/v1/session-tokens", body, &r);

	json_decref(body);
	if (status != DONE)
		return status;
	if (c->json)
		print_json(r.json);
	else
		puts(json_string_value(json_object_get(r.json, "url")));
	reply_done(&r);
	return DONE;
}
