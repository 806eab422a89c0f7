/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/call.h"
#include "base/macros.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PAGE_MAX = 1000 }; /* what the API gives at once */

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

int call_daemon(struct command_line *c, const char *method, const char *path, json_t *body,
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

void call_print(const json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
}

int call_show(struct command_line *c, const char *method, const char *path, json_t *body,
	void (*show)(const json_t *o))
{
	struct reply r;
	int status = call_daemon(c, method, path, body, &r);

	json_decref(body);
	if (status != DONE)
		return status;
	if (c->json)
		call_print(r.json);
	else
		show(r.json);
	reply_done(&r);
	return DONE;
}

int call_collect(struct command_line *c, const char *path, uint32_t limit, json_t *items,
	json_t **next)
{
	json_t *cursor = json_null();

	while (json_array_size(items) < limit) {
		char page[CALL_PATH_MAX], n[16];
		struct reply r;
		int status;

		snprintf(page, sizeof(page), "%s", path);
		snprintf(n, sizeof(n), "%u",
			(unsigned)MIN(limit - json_array_size(items), PAGE_MAX));
		client_argument(page, sizeof(page), "limit", n);
		client_argument(page, sizeof(page), "cursor", json_string_value(cursor));
		json_decref(cursor);
		status = call_daemon(c, "GET", page, NULL, &r);
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

void call_print_collection(json_t *items, json_t *next)
{
	json_t *o = json_object();

	json_object_set(o, "items", items);
	json_object_set(o, "next", next ? next : json_null());
	call_print(o);
	json_decref(o);
}
