/* SPDX-License-Identifier: GPL-2.0-or-later
 * Pause, resume, block: PUT {"enabled": true|false, "until": TIME} or {"block": true}. */
#include "web/job.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/objects.h"

#include <microhttpd.h>

static void status_done(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);

	if (d && d->r < 0)
		job_refused(j->rq, d);
	else if (!d || !j->api->has_status)
		job_core_away(j->rq);
	else
		request_answer(j->rq, MHD_HTTP_OK, object_filter(&j->api->status));
}

static void ask_status(struct job *j)
{
	j->call.got = job_status_got;
	j->call.done = status_done;
	if (!job_ask(j, LINK_GET_STATUS, NULL))
		job_core_away(j->rq);
}

void api_filter(struct api *a, struct request *rq)
{
	struct job *j = job_new(a, rq);

	if (j)
		ask_status(j);
}

static void set_done(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);

	if (!d) {
		job_not_known(j->rq);
	} else if (d->r < 0) {
		job_refused(j->rq, d);
	} else {
		ask_status(j);
	}
}

/* fractions of a second are cut */
static bool read_until(const json_t *time, int64_t *out)
{
	int64_t ms;

	if (!json_is_string(time) || text_time_read(json_string_value(time), &ms) < 0 ||
		ms < 1000)
		return false;
	*out = ms / 1000;
	return true;
}

static bool read_wish(const json_t *o, struct link_filter *f)
{
	const json_t *enabled = json_object_get(o, "enabled");
	const json_t *block = json_object_get(o, "block");
	const json_t *until = json_object_get(o, "until");
	size_t known = (enabled != NULL) + (block != NULL) + (until != NULL);

	if (!json_is_object(o) || json_object_size(o) != known || !enabled == !block)
		return false;
	if (until && !json_is_null(until) && !read_until(until, &f->until_s))
		return false;
	if (block) {
		f->mode = FILTER_BLOCK;
		return json_is_true(block);
	}
	f->mode = json_is_true(enabled) ? FILTER_ON : FILTER_PAUSED;
	return json_is_boolean(enabled) && !(f->mode == FILTER_ON && f->until_s);
}

void api_filter_set(struct api *a, struct request *rq)
{
	struct link_filter f = { .uid = rq->peer->uid };
	json_t *o = request_json(rq);
	bool good = read_wish(o, &f);
	struct job *j;

	json_decref(o);
	if (!good) {
		request_problem(rq, MHD_HTTP_BAD_REQUEST,
			"the body must be {\"enabled\": true}, {\"enabled\": false} or "
			"{\"block\": true}, the last two with \"until\": an RFC 3339 time in "
			"UTC if it is to end by itself");
		return;
	}
	j = job_new(a, rq);
	if (!j)
		return;
	j->call.done = set_done;
	if (!job_ask(j, LINK_FILTER, &f))
		job_core_away(rq);
}
