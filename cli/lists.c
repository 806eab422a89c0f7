/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the daemon remembers: queries, connections, programs; told once or followed. */
#include "base/macros.h"
#include "cli/call.h"
#include "cli/show.h"
#include "cli/why.h"

#include <stdio.h>
#include <string.h>

enum {
	SHOWN = 50,            /* rows for a person who did not say */
	SHOWN_JSON = 100,
	FOLLOW_LAST = 10,
	FOLLOW_LAST_MAX = 1000, /* what the API begins a stream with */
};

static bool filter_path(struct command_line *c, char *path)
{
	if (client_argument(path, CALL_PATH_MAX, "program", c->program) &&
		client_argument(path, CALL_PATH_MAX, "name", c->name) &&
		client_argument(path, CALL_PATH_MAX, "verdict", c->verdict))
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
		call_print(data);
	} else {
		f->view->row(&f->columns, data);
		columns_print(&f->columns, stdout);
	}
	return !ferror(stdout); /* the reader is gone: enough */
}

static int follow(struct command_line *c, const struct view *v)
{
	struct following f = { .view = v, .json = c->json };
	char path[CALL_PATH_MAX] = "/api/v1/events", topics[32], last[16], why[CLIENT_WHY_MAX];
	struct reply r = { 0 };
	int status = DONE;

	snprintf(last, sizeof(last), "%u", c->limit ? MIN(c->limit, FOLLOW_LAST_MAX) : FOLLOW_LAST);
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
	char path[CALL_PATH_MAX];
	json_t *items, *next = NULL;
	int status;

	if (c->follow)
		return follow(c, v);
	snprintf(path, sizeof(path), "%s", v->path);
	if (!filter_path(c, path))
		return USAGE;
	items = json_array();
	status = call_collect(c, path, limit, items, &next);
	if (status == DONE && c->json)
		call_print_collection(items, next);
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

static void show_apps_document(const json_t *o)
{
	show_apps(json_object_get(o, "items"));
}

int command_apps(struct command_line *c)
{
	return call_show(c, "GET", "/api/v1/apps?limit=1000", NULL, show_apps_document);
}

static int collect_denied(struct command_line *c, const char *collection, json_t *items)
{
	char path[CALL_PATH_MAX];
	json_t *next = NULL;
	int status;

	snprintf(path, sizeof(path), "%s", collection);
	c->verdict = "deny";
	if (!filter_path(c, path))
		return USAGE;
	status = call_collect(c, path, COMMAND_LIMIT_MAX, items, &next);
	json_decref(next);
	return status;
}

/* whose a denial was, and what an allow would open, is another thing without BPF */
static void why_limits(const json_t *status)
{
	const json_t *identity = json_object_get(status, "identity");
	const char *limits = show_text(identity, "limits");

	if (limits)
		printf("%s mode: %s\n\n", show_text(identity, "mode"), limits);
}

int command_why(struct command_line *c)
{
	json_t *queries = json_array(), *flows = json_array(), *groups = NULL;
	struct reply rules = { 0 }, now = { 0 };
	int status;

	if (c->nargs)
		c->program = c->args[0];
	status = collect_denied(c, "/api/v1/queries", queries);
	if (status == DONE)
		status = collect_denied(c, "/api/v1/flows", flows);
	if (status == DONE)
		status = call_daemon(c, "GET", "/api/v1/rules", NULL, &rules);
	if (status == DONE && !c->json)
		status = call_daemon(c, "GET", "/api/v1/status", NULL, &now);
	if (status == DONE) {
		why_limits(now.json);
		groups = why_group(queries, flows, json_object_get(rules.json, "items"));
		if (c->json)
			call_print_collection(groups, NULL);
		else
			why_show(groups);
	}
	reply_done(&rules);
	reply_done(&now);
	json_decref(groups);
	json_decref(queries);
	json_decref(flows);
	return status;
}
