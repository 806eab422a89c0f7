/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Own rules: added, changed, taken back, and all of that undone. Theory of operation: what
 * takes a rule's text away asks for the rules first, checks If-Match against what stands,
 * and keeps the text; then the change goes to the core; when it is done it is noted under a
 * number that undoes it, which the answer bears. To undo is itself a change with a number.
 */
#include "web/job.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/objects.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

/* --- the end of every change ------------------------------------------------------------ */

static void note(struct job *j)
{
	struct undo_entry e = { .id = j->id, .kind = j->kind,
		.created_s = j->created_s };

	text_copy(e.before, sizeof(e.before), j->before);
	text_copy(e.after, sizeof(e.after), j->after);
	j->undo = undo_put(&j->api->undo, &e);
}

static void undo_header(struct job *j)
{
	char n[16];

	snprintf(n, sizeof(n), "%u", j->undo);
	request_header(j->rq, "Scupper-Undo", n);
}

static void answer_rule(struct job *j)
{
	json_t *rule = job_rule(j, j->id), *o = json_copy(rule);

	json_decref(rule);
	json_object_set_new(o, "undo", json_integer(j->undo));
	request_answer(j->rq, j->kind == UNDO_ADDED ? MHD_HTTP_CREATED : MHD_HTTP_OK, o);
	undo_header(j);
}

static void list_done(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);

	if (d && d->r == 0)
		job_rules_keep(j);
	answer_rule(j);
}

static void answer_removed(struct job *j)
{
	request_text(j->rq, MHD_HTTP_NO_CONTENT, NULL, NULL);
	undo_header(j);
}

/* the core did it, or says why not */
static void changed(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);

	if (!d) {
		job_not_known(j->rq);
		return;
	}
	if (d->r < 0) {
		job_refused(j->rq, d);
		return;
	}
	if (j->kind == UNDO_ADDED)
		j->id = d->id;
	note(j);
	if (j->kind == UNDO_REMOVED) {
		answer_removed(j);
		return;
	}
	json_decref(j->items);
	j->items = json_array();
	j->call.got = job_rules_got;
	j->call.done = list_done;
	if (!job_ask(j, LINK_GET_RULES, NULL))
		list_done(&j->call, NULL);
}

/* --- what is sent ----------------------------------------------------------------------- */

static bool send_change(struct job *j)
{
	uint32_t uid = j->rq->peer->uid;

	j->call.got = NULL;
	j->call.done = changed;
	if (j->kind == UNDO_REMOVED)
		return job_ask(j, LINK_RULE_REMOVE,
			&(struct link_rule_remove){ .id = j->id, .uid = uid });
	if (j->kind == UNDO_ADDED) {
		struct link_rule_add m = { .uid = uid, .created_s = j->created_s };

		text_copy(m.text, sizeof(m.text), j->after);
		return job_ask(j, LINK_RULE_ADD, &m);
	}
	struct link_rule_change m = { .id = j->id, .uid = uid };

	text_copy(m.text, sizeof(m.text), j->after);
	return job_ask(j, LINK_RULE_CHANGE, &m);
}

static void send_or_say(struct job *j)
{
	if (!send_change(j))
		job_core_away(j->rq);
}

/* --- what the change takes away --------------------------------------------------------- */

static bool still_as_seen(struct job *j, const json_t *rule)
{
	const char *seen = MHD_lookup_connection_value(j->rq->mhd, MHD_HEADER_KIND,
		MHD_HTTP_HEADER_IF_MATCH);
	const char *etag = json_string_value(json_object_get(rule, "etag"));

	if (!seen || strcmp(seen, "*") == 0 || (etag && strcmp(seen, etag) == 0))
		return true;
	request_problem(j->rq, MHD_HTTP_PRECONDITION_FAILED,
		"the rule was changed meanwhile: look at it again");
	return false;
}

static bool switch_text(struct job *j)
{
	if (j->enable < 0 || undo_switch(j->before, j->enable, j->after) == 0)
		return true;
	request_problem(j->rq, MHD_HTTP_UNPROCESSABLE_CONTENT,
		"with the word off the rule would be too long");
	return false;
}

static void before_done(struct channel_call *call, const struct link_done *d)
{
	struct job *j = container_of(call, struct job, call);
	const char *text, *source, *created;
	int64_t created_ms;
	json_t *rule;

	if (!d) {
		job_core_away(j->rq);
		return;
	}
	if (d->r < 0) {
		job_refused(j->rq, d);
		return;
	}
	job_rules_keep(j);
	rule = job_rule(j, j->id);
	text = json_string_value(json_object_get(rule, "text"));
	source = json_string_value(json_object_get(rule, "source"));
	created = json_string_value(json_object_get(rule, "created"));
	if (text && source && strcmp(source, "own") == 0)
		text_copy(j->before, sizeof(j->before), text);
	if (created && text_time_read(created, &created_ms) == 0)
		j->created_s = created_ms / 1000;
	if (!j->before[0] && j->enable >= 0)
		request_problem(j->rq, MHD_HTTP_NOT_FOUND, "no own rule has this number");
	else if (still_as_seen(j, rule) && switch_text(j))
		send_or_say(j); /* what is no own rule the core refuses, and says why */
	json_decref(rule);
}

static void ask_before(struct job *j)
{
	j->items = json_array();
	j->call.got = job_rules_got;
	j->call.done = before_done;
	if (!job_ask(j, LINK_GET_RULES, NULL))
		job_core_away(j->rq);
}

/* --- the routes ------------------------------------------------------------------------- */

void api_rule_add(struct api *a, struct request *rq)
{
	static const char *const names[] = { "text" };
	const char *text;
	json_t *body;
	struct job *j;
	bool fits;

	if (!api_body(rq, names, &text, 1, &body))
		return;
	j = job_new(a, rq);
	if (j) {
		j->kind = UNDO_ADDED;
		fits = text_copy(j->after, sizeof(j->after), text);
		if (fits)
			send_or_say(j);
		else
			request_problem(rq, MHD_HTTP_UNPROCESSABLE_CONTENT,
				"a rule is at most 1023 bytes");
	}
	json_decref(body);
}

/* the number behind the route's path; 0: it has answered */
static uint32_t number_of(struct request *rq, const char *none)
{
	uint32_t n = 0;

	if (text_u32(rq->path + strlen(rq->route->path), UINT32_MAX, &n) < 0 || n == 0)
		request_problem(rq, MHD_HTTP_NOT_FOUND, none);
	return n;
}

void api_rule_remove(struct api *a, struct request *rq)
{
	uint32_t id = number_of(rq, "no rule has this number");
	struct job *j = id ? job_new(a, rq) : NULL;

	if (!j)
		return;
	j->id = id;
	j->kind = UNDO_REMOVED;
	j->enable = -1;
	ask_before(j);
}

/* {text} or {enabled} */
static bool read_change(struct request *rq, struct job *j)
{
	json_t *o = request_json(rq);
	json_t *text = json_object_get(o, "text"), *enabled = json_object_get(o, "enabled");
	bool good = json_object_size(o) == 1 &&
		(json_is_string(text) || json_is_boolean(enabled));

	j->enable = json_is_boolean(enabled) ? json_is_true(enabled) : -1;
	if (!good)
		request_problem(rq, MHD_HTTP_BAD_REQUEST,
			"the body must be a JSON object of text or of enabled");
	else if (text && !text_copy(j->after, sizeof(j->after), json_string_value(text)))
		good = (request_problem(rq, MHD_HTTP_UNPROCESSABLE_CONTENT,
			"a rule is at most 1023 bytes"), false);
	json_decref(o);
	return good;
}

void api_rule_change(struct api *a, struct request *rq)
{
	uint32_t id = number_of(rq, "no rule has this number");
	struct job *j = id ? job_new(a, rq) : NULL;

	if (!j || !read_change(rq, j))
		return;
	j->id = id;
	j->kind = UNDO_CHANGED;
	ask_before(j);
}

void api_undo(struct api *a, struct request *rq)
{
	static const enum undo_kind reverse[] = { [UNDO_ADDED] = UNDO_REMOVED,
		[UNDO_REMOVED] = UNDO_ADDED, [UNDO_CHANGED] = UNDO_CHANGED };
	static const char none[] = "no change has this number, or it is too long ago, or it "
				   "was undone";
	uint32_t n = number_of(rq, none);
	struct undo_entry e;
	struct job *j;

	if (!n)
		return;
	if (!undo_find(&a->undo, n, &e)) {
		request_problem(rq, MHD_HTTP_NOT_FOUND, none);
		return;
	}
	j = job_new(a, rq);
	if (!j)
		return;
	undo_drop(&a->undo, n);
	j->id = e.id;
	j->kind = reverse[e.kind];
	j->enable = -1;
	j->created_s = e.created_s;
	text_copy(j->before, sizeof(j->before), e.after);
	text_copy(j->after, sizeof(j->after), e.before);
	send_or_say(j);
}
