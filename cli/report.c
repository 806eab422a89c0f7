/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 20000 };

/* a name or an address of one program; many queries and flows may stand behind it */
struct line {
	char path[800], what[300], why[300], name[260], place[100];
	char process[256], parents[1024]; /* of the first denial; parents by " < " */
	json_int_t uid;
	bool address, denied, allowed;
	unsigned count;
};

struct report {
	struct line *lines;
	size_t n, max;
	bool cut;
};

int report_new(struct report **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void report_free(struct report *r)
{
	if (!r)
		return;
	free(r->lines);
	free(r);
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static struct line *line_for(struct report *r, const char *path, json_int_t uid,
	const char *what, bool address)
{
	struct line *l;

	for (size_t i = 0; i < r->n; i++) {
		l = &r->lines[i];
		if (l->address == address && l->uid == uid && strcmp(l->what, what) == 0 &&
			strcmp(l->path, path) == 0)
			return l;
	}
	if (r->n == r->max) {
		size_t max = r->max ? r->max * 2 : 64;
		struct line *more = max > LINES_MAX * 2 ? NULL
						    : realloc(r->lines, max * sizeof(*l));

		if (!more) {
			r->cut = true;
			return NULL;
		}
		r->lines = more;
		r->max = max;
	}
	l = &r->lines[r->n++];
	memset(l, 0, sizeof(*l));
	text_copy(l->path, sizeof(l->path), path);
	text_copy(l->what, sizeof(l->what), what);
	l->uid = uid;
	l->address = address;
	return l;
}

static void judge_process(struct line *l, const json_t *actor)
{
	struct text t = text_into(l->parents, sizeof(l->parents));
	const json_t *parent;
	size_t i;

	text_copy(l->process, sizeof(l->process), string_of(actor, "process"));
	json_array_foreach (json_object_get(actor, "parents"), i, parent) {
		const char *s = json_string_value(parent);

		text_addf(&t, "%s%s", i ? " < " : "", s ? s : "");
	}
}

static void judge(struct line *l, const json_t *item)
{
	const char *rule = string_of(json_object_get(item, "rule"), "text");

	l->count++;
	if (strcmp(string_of(item, "verdict"), "deny") != 0) {
		l->allowed = true;
		return;
	}
	if (!l->denied)
		judge_process(l, json_object_get(item, "actor"));
	l->denied = true;
	text_copy(l->why, sizeof(l->why), *rule ? rule : string_of(item, "reason"));
}

static const char *path_of(const json_t *item, json_int_t *uid)
{
	const json_t *actor = json_object_get(item, "actor");
	const char *path = string_of(actor, "path");

	*uid = json_integer_value(json_object_get(actor, "uid"));
	return *path ? path : "unknown";
}

/* a private instance guards one command: what is outside of it is not its business */
static bool ours(const json_t *item)
{
	return strcmp(string_of(json_object_get(item, "actor"), "how"), "outside") != 0;
}

void report_add_queries(struct report *r, const json_t *items)
{
	size_t i;
	const json_t *item;

	json_array_foreach (items, i, item) {
		json_int_t uid;
		const char *path = path_of(item, &uid);
		struct line *l;

		if (!ours(item))
			continue;
		l = line_for(r, path, uid, string_of(item, "name"), false);
		if (l)
			judge(l, item);
	}
}

static void flow_where(const json_t *item, char out[static 300])
{
	const char *address = string_of(item, "address");
	json_int_t port = json_integer_value(json_object_get(item, "port"));
	struct text t = text_into(out, 300);

	text_addf(&t, strchr(address, ':') ? "[%s]" : "%s", address);
	if (port)
		text_addf(&t, ":%d", (int)port);
	text_addf(&t, "/%s", string_of(item, "proto"));
}

/* "NL, AS1136 KPN" */
static void flow_place(const json_t *item, struct line *l)
{
	const json_t *as = json_object_get(item, "as");
	json_int_t number = json_integer_value(json_object_get(as, "number"));
	struct text t = text_into(l->place, sizeof(l->place));

	text_add(&t, string_of(item, "country"));
	if (number)
		text_addf(&t, "%sAS%lld %s", t.len ? ", " : "", (long long)number,
			string_of(as, "name"));
}

void report_add_flows(struct report *r, const json_t *items)
{
	size_t i;
	const json_t *item;

	json_array_foreach (items, i, item) {
		json_int_t uid;
		const char *path = path_of(item, &uid);
		char where[300];
		struct line *l;

		if (!ours(item))
			continue;
		flow_where(item, where);
		l = line_for(r, path, uid, where, true);
		if (!l)
			continue;
		judge(l, item);
		text_copy(l->name, sizeof(l->name), string_of(item, "name"));
		flow_place(item, l);
	}
}

size_t report_denied(const struct report *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->lines[i].denied;
	return n;
}

static bool first_of_path(const struct report *r, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(r->lines[i].path, r->lines[at].path) == 0 &&
			r->lines[i].uid == r->lines[at].uid)
			return false;
	return true;
}

static bool same_program(const struct line *a, const struct line *b)
{
	return strcmp(a->path, b->path) == 0 && a->uid == b->uid;
}

static const char *verdict_of(const struct line *l)
{
	return l->denied && l->allowed ? "both" : l->denied ? "denied" : "allowed";
}

static void text_line(const struct line *l, FILE *to)
{
	char buf[1600];
	struct text t = text_into(buf, sizeof(buf));

	text_addf(&t, "    %-8s ", verdict_of(l));
	text_add_safe(&t, l->what);
	if (l->name[0]) {
		text_add(&t, "  ");
		text_add_safe(&t, l->name);
	}
	if (l->place[0]) {
		text_add(&t, "  [");
		text_add_safe(&t, l->place);
		text_add(&t, "]");
	}
	if (l->denied) {
		text_add(&t, "  (");
		text_add_safe(&t, l->why);
		text_add(&t, ")");
	}
	fprintf(to, "%s\n", buf);
	if (!l->process[0])
		return;
	t = text_into(buf, sizeof(buf));
	text_add_safe(&t, l->process);
	if (l->parents[0]) {
		text_add(&t, " < ");
		text_add_safe(&t, l->parents);
	}
	fprintf(to, "             by %s\n", buf);
}

static void count(const struct report *r, size_t *programs, size_t *names,
	size_t *addresses)
{
	*programs = *names = *addresses = 0;
	for (size_t i = 0; i < r->n; i++) {
		*programs += first_of_path(r, i);
		*names += !r->lines[i].address;
		*addresses += r->lines[i].address;
	}
}

void report_text(const struct report *r, FILE *to)
{
	size_t programs, names, addresses;
	char buf[1600];

	count(r, &programs, &names, &addresses);
	fprintf(to, "scupper: %zu programs, %zu names, %zu addresses, %zu denied\n", programs,
		names, addresses, report_denied(r));
	for (size_t i = 0; i < r->n; i++) {
		struct text t = text_into(buf, sizeof(buf));

		if (!first_of_path(r, i))
			continue;
		text_add_safe(&t, r->lines[i].path);
		fprintf(to, "  %s (uid %d)\n", buf, (int)r->lines[i].uid);
		for (size_t k = i; k < r->n; k++)
			if (same_program(&r->lines[i], &r->lines[k]))
				text_line(&r->lines[k], to);
	}
	if (r->cut)
		fprintf(to, "  (more than fits this report)\n");
}

static json_t *json_line(const struct line *l)
{
	json_t *o = json_pack("{s:s, s:s, s:i}", l->address ? "address" : "name", l->what,
		"verdict", verdict_of(l), "count", (int)l->count);

	if (o && l->denied)
		json_object_set_new(o, "why", json_string(l->why));
	if (o && l->process[0])
		json_object_set_new(o, "process", json_string(l->process));
	if (o && l->parents[0])
		json_object_set_new(o, "parents", json_string(l->parents));
	if (o && l->name[0])
		json_object_set_new(o, "name", json_string(l->name));
	if (o && l->place[0])
		json_object_set_new(o, "where", json_string(l->place));
	return o;
}

json_t *report_json(const struct report *r)
{
	json_t *programs = json_array();

	for (size_t i = 0; i < r->n; i++) {
		json_t *names, *addresses;

		if (!first_of_path(r, i))
			continue;
		names = json_array();
		addresses = json_array();
		for (size_t k = i; k < r->n; k++)
			if (same_program(&r->lines[i], &r->lines[k]))
				json_array_append_new(r->lines[k].address ? addresses : names,
					json_line(&r->lines[k]));
		json_array_append_new(programs,
			json_pack("{s:s, s:I, s:o, s:o}", "path", r->lines[i].path, "uid",
				r->lines[i].uid, "names", names, "addresses", addresses));
	}
	return json_pack("{s:o, s:i}", "programs", programs, "denied", (int)report_denied(r));
}
