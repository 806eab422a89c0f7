/* SPDX-License-Identifier: GPL-2.0-or-later
 * Forgetting answers: POST {"name": "a.example"}, ".example" for all below too, {} for all. */
#include "web/job.h"
#include "base/host.h"
#include "base/macros.h"

#include <microhttpd.h>
#include <string.h>

static void flush_done(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);

	if (!d)
		job_not_known(j->rq);
	else if (d->r < 0)
		job_refused(j->rq, d);
	else
		request_answer(j->rq, MHD_HTTP_OK, json_incref(j->items));
}

static bool read_wish(const json_t *o, struct link_cache_flush *f)
{
	const json_t *name = json_object_get(o, "name");
	const char *text = "";

	if (!json_is_object(o) || json_object_size(o) != (name != NULL))
		return false;
	if (name && (!json_is_string(name) || !json_string_length(name)))
		return false;
	if (name)
		text = json_string_value(name);
	f->below = !name || *text == '.';
	return host_parse(text + (*text == '.'), f->name) == 0;
}

void api_cache_flush(struct api *a, struct request *rq)
{
	struct link_cache_flush f = { .uid = rq->peer->uid };
	json_t *o = request_json(rq);
	bool good = read_wish(o, &f);
	struct job *j;

	json_decref(o);
	if (!good) {
		request_problem(rq, MHD_HTTP_BAD_REQUEST,
			"the body must be {\"name\": \"a.example\"}, {\"name\": \".example\"} for "
			"everything below it too, or {} for all");
		return;
	}
	j = job_new(a, rq);
	if (!j)
		return;
	j->items = json_pack("{s:s, s:b}", "name", f.name, "below", f.below);
	j->call.done = flush_done;
	if (!job_ask(j, LINK_CACHE_FLUSH, &f))
		job_core_away(rq);
}
