/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/job.h"
#include "base/macros.h"
#include "web/objects.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>

enum { RULES_SHOWN_MAX = 20000 };

static void job_free(void *job)
{
	struct job *j = job;

	json_decref(j->items);
	free(j->text);
	free(j);
}

void api_ended(void *ctx, struct request *rq)
{
	(void)ctx;
	if (rq->job)
		rq->job_free(rq->job);
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
	rq->job_free = job_free;
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

void job_not_known(struct request *rq)
{
	request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE,
		"the core did not answer (it is being restarted): whether the change was made "
		"is not known, look at the rules");
}

void job_status_got(struct channel_call *call, const struct link_any *m)
{
	struct job *j = container_of(call, struct job, call);

	if (m->head.type != LINK_STATUS)
		return;
	j->api->status = m->u.status;
	j->api->has_status = true;
}

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

json_t *job_rule(const struct job *j, uint32_t id)
{
	json_t *o;
	size_t i;

	json_array_foreach(j->items, i, o) {
		if (json_integer_value(json_object_get(o, "id")) == (json_int_t)id)
			return json_incref(o);
	}
	o = json_object(); /* gone again already */
	json_object_set_new(o, "id", json_integer(id));
	return o;
}
