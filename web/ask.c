/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the core must be asked. It may be away for a moment (being restarted): after
 * CHANNEL_WAIT_MS reads get what was known last, changes a 503. */
#include "web/api.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/events.h"
#include "web/job.h"
#include "web/objects.h"
#include "web/reader.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>

enum { RULES_SHOWN_MAX = 20000, EXPLAIN_MAX = 256 * 1024 };

void api_ended(void *ctx, struct request *rq)
{
	struct job *j = rq->job;

	(void)ctx;
	if (!j)
		return;
	if (rq->job_free) {
		rq->job_free(j);
		return;
	}
	json_decref(j->items);
	free(j->text);
	free(j);
}

struct job *job_new(struct api *a, struct request *rq)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j) {
		request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return NULL;
	}
	j->api = a;
	j->rq = rq;
	rq->job = j;
	return j;
}

void job_core_away(struct request *rq)
{
	request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "the core is being restarted");
	request_header(rq, MHD_HTTP_HEADER_RETRY_AFTER, "1");
}

bool job_ask(struct job *j, enum link_type type, const void *body)
{
	if (channel_ask(j->api->channel, type, body, &j->call) < 0)
		return false;
	if (!j->rq->waiting)
		request_wait(j->rq);
	return true;
}

void job_refused(struct request *rq, const struct link_done *d)
{
	unsigned status = MHD_HTTP_INTERNAL_SERVER_ERROR;

	if (d->r == -EINVAL)
		status = MHD_HTTP_UNPROCESSABLE_CONTENT;
	else if (d->r == -ENOENT)
		status = MHD_HTTP_NOT_FOUND;
	else if (d->r == -EPERM || d->r == -EROFS || d->r == -EEXIST)
		status = MHD_HTTP_CONFLICT;
	else if (d->r == -ENOSPC)
		status = MHD_HTTP_INSUFFICIENT_STORAGE;
	request_problem(rq, status, d->error[0] ? d->error : strerror(-d->r));
}

/* status */

static void status_got(struct channel_call *call, const struct link_any *m)
{
	struct job *j = container_of(call, struct job, call);

	if (m->head.type != LINK_STATUS)
		return;
	j->api->status = m->u.status;
	j->api->has_status = true;
}

static void status_done(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);
	struct api *a = j->api;
	const struct object_link link = { d != NULL, a->boot, channel_bad(a->channel),
		reader_none(a->reader) ? NULL : reader_why(a->reader) };

	request_answer(j->rq, MHD_HTTP_OK,
		object_status(a->has_status ? &a->status : NULL, &link));
}

void api_status(struct api *a, struct request *rq)
{
	struct job *j = job_new(a, rq);

	if (!j)
		return;
	j->call.got = status_got;
	j->call.done = status_done;
	if (!job_ask(j, LINK_GET_STATUS, NULL))
		status_done(&j->call, NULL);
}

/* rules */

void job_rules_got(struct channel_call *call, const struct link_any *m)
{
	struct job *j = container_of(call, struct job, call);

	if (m->head.type == LINK_RULE && json_array_size(j->items) < RULES_SHOWN_MAX)
		json_array_append_new(j->items, object_rule(&m->u.rule));
}

void job_rules_keep(struct job *j)
{
	json_decref(j->api->rules);
	j->api->rules = json_incref(j->items);
}

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

void job_not_known(struct request *rq)
{
	request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE,
		"the core did not answer (it is being restarted): whether the change was made "
		"is not known, look at the rules");
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
