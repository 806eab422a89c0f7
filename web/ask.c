/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the core must be asked. It may be away for a moment (being restarted): after
 * CHANNEL_WAIT_MS reads get what was known last, changes a 503. */
#include "web/api.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/door.h"
#include "web/events.h"
#include "web/job.h"
#include "web/objects.h"
#include "web/reader.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>

enum { EXPLAIN_MAX = 256 * 1024 };

/* status */

static void status_done(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);
	struct api *a = j->api;
	const struct object_link link = { d != NULL, a->boot, channel_bad(a->channel),
		reader_none(a->reader) ? NULL : reader_why(a->reader) };
	const char *listens[DOOR_LISTENS_MAX];
	struct object_web web = { .listens = listens, .streams = events_streams(a->events) };

	door_state(a->door, &web, listens);
	web.connections = a->connections(a->connections_ctx);
	request_answer(j->rq, MHD_HTTP_OK,
		object_status(a->has_status ? &a->status : NULL, &link, &web));
}

void api_status(struct api *a, struct request *rq)
{
	struct job *j = job_new(a, rq);

	if (!j)
		return;
	j->call.got = job_status_got;
	j->call.done = status_done;
	if (!job_ask(j, LINK_GET_STATUS, NULL))
		status_done(&j->call, NULL);
}

/* rules */

static void rules_done(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);

	if (d && d->r < 0) {
		job_refused(j->rq, d);
	} else if (d) {
		job_rules_keep(j);
		api_answer_list(j->rq, json_incref(j->items), 0);
	} else if (j->api->rules) {
		api_answer_list(j->rq, json_incref(j->api->rules), 0);
	} else {
		job_core_away(j->rq);
	}
}

void api_rules(struct api *a, struct request *rq)
{
	struct job *j = job_new(a, rq);

	if (!j)
		return;
	j->items = json_array();
	j->call.got = job_rules_got;
	j->call.done = rules_done;
	if (!job_ask(j, LINK_GET_RULES, NULL))
		rules_done(&j->call, NULL);
}

/* explain */

static void explain_got(struct channel_call *call, const struct link_any *m)
{
	struct job *j = container_of(call, struct job, call);
	size_t n = strlen(m->u.text.text);
	char *more;

	if (m->head.type != LINK_TEXT || j->len + n > EXPLAIN_MAX)
		return;
	more = realloc(j->text, j->len + n + 1);
	if (!more)
		return;
	memcpy(more + j->len, m->u.text.text, n + 1);
	j->text = more;
	j->len += n;
}

static void explain_done(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);
	json_t *o;

	if (!d) {
		job_core_away(j->rq);
		return;
	}
	if (d->r < 0) {
		job_refused(j->rq, d);
		return;
	}
	o = json_object();
	json_object_set_new(o, "who", object_text(j->explained.who));
	json_object_set_new(o, "what", object_text(j->explained.what));
	json_object_set_new(o, "text", object_text(j->text ? j->text : ""));
	request_answer(j->rq, MHD_HTTP_OK, o);
}

static void explain(struct api *a, struct request *rq, const char *who, const char *what)
{
	struct job *j = job_new(a, rq);

	if (!j)
		return;
	if (!text_copy(j->explained.who, sizeof(j->explained.who), who) ||
		!text_copy(j->explained.what, sizeof(j->explained.what), what)) {
		request_problem(rq, MHD_HTTP_UNPROCESSABLE_CONTENT,
			"who is at most 799 bytes, what 511");
		return;
	}
	j->call.got = explain_got;
	j->call.done = explain_done;
	if (!job_ask(j, LINK_EXPLAIN, &j->explained))
		job_core_away(rq);
}

void api_explain(struct api *a, struct request *rq)
{
	const char *who = request_argument(rq, "who"), *what = request_argument(rq, "what");

	if (who && what)
		explain(a, rq, who, what);
	else
		request_problem(rq, MHD_HTTP_BAD_REQUEST, "who and what must be given");
}

void api_explain_body(struct api *a, struct request *rq)
{
	static const char *const names[] = { "who", "what" };
	const char *values[2];
	json_t *body;

	if (!api_body(rq, names, values, 2, &body))
		return;
	explain(a, rq, values[0], values[1]);
	json_decref(body);
}
