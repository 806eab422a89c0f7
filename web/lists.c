/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the window alone can answer: it does so while the core is away, too. */
#include "web/api.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/events.h"
#include "web/history.h"
#include "web/objects.h"
#include "web/window.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

static bool verdict_parse(const char *s, enum verdict *out)
{
	for (int v = VERDICT_NONE; v <= VERDICT_UNDECIDED; v++) {
		if (strcmp(s, verdict_text((enum verdict)v)) == 0) {
			*out = (enum verdict)v;
			return true;
		}
	}
	return false;
}

bool api_verdict(struct request *rq, bool *said, enum verdict *out)
{
	const char *verdict = request_argument(rq, "verdict");

	*said = verdict != NULL;
	if (!verdict || verdict_parse(verdict, out))
		return true;
	request_problem(rq, MHD_HTTP_BAD_REQUEST,
		"verdict must be allow, deny, ask, undecided or none");
	return false;
}

static bool read_filter(struct request *rq, struct window_filter *f)
{
	*f = (struct window_filter){ .program = request_argument(rq, "program"),
		.name = request_argument(rq, "name"), .by_uid = !rq->admin,
		.uid = rq->peer->uid };
	return api_verdict(rq, &f->by_verdict, &f->verdict);
}

static void answer_flows(struct api *a, struct request *rq, enum flow_kind kind)
{
	struct window_filter filter;
	json_t *items;
	uint64_t place, last = 0;
	unsigned limit, n = 0;
	struct link_flow f;
	bool old_boot;

	if (!api_limit(rq, &limit, &place) || !read_filter(rq, &filter))
		return;
	items = json_array();
	while ((place = window_older(a->window, kind, place, &filter, &f, &old_boot))) {
		if (n++ == limit)
			break; /* one more than asked: so there is a next page */
		last = place;
		json_array_append_new(items, kind == FLOW_QUERY
			? object_query(a->window, &f)
			: object_flow(a->window, &f, old_boot));
	}
	api_answer_list(rq, items, place ? last : 0);
}

void api_queries(struct api *a, struct request *rq)
{
	answer_flows(a, rq, FLOW_QUERY);
}

void api_flows(struct api *a, struct request *rq)
{
	answer_flows(a, rq, FLOW_CONN);
}

/* in order of last use, which changes meanwhile: a page may miss or repeat one that moved */
void api_apps(struct api *a, struct request *rq)
{
	json_t *items;
	struct window_program p;
	const void *at = NULL;
	uint64_t skip, n = 0;
	unsigned limit;

	if (request_argument(rq, "from") || request_argument(rq, "to")) {
		history_apps(a, rq);
		return;
	}
	if (!api_limit(rq, &limit, &skip))
		return;
	items = json_array();
	while ((at = window_next_program(a->window, at, &p))) {
		if (!api_sees(rq, p.told.uid) || n++ < skip)
			continue;
		if (json_array_size(items) == limit)
			break;
		json_array_append_new(items, object_app(&p, a->users));
	}
	api_answer_list(rq, items, at ? skip + limit : 0);
}

static bool topics_parse(const char *s, unsigned *out)
{
	static const struct {
		const char *name;
		unsigned topic;
	} all[] = { { "queries", TOPIC_QUERIES }, { "flows", TOPIC_FLOWS },
		{ "rules", TOPIC_RULES }, { "notices", TOPIC_NOTICES },
		{ "stats", TOPIC_STATS } };

	*out = s ? 0 : TOPIC_ALL;
	while (s && *s) {
		size_t n = strcspn(s, ","), i = 0;

		while (i < ARRAY_LEN(all) &&
			!(strlen(all[i].name) == n && strncmp(all[i].name, s, n) == 0))
			i++;
		if (i == ARRAY_LEN(all))
			return false;
		*out |= all[i].topic;
		s += n + (s[n] == ',');
	}
	return *out != 0;
}

void api_events(struct api *a, struct request *rq)
{
	struct events_want want = { .by_uid = rq->peer->tcp || rq->peer->uid != 0,
		.uid = rq->peer->uid };
	const char *last = request_argument(rq, "last");
	struct http_stream *s;

	if (!read_filter(rq, &want.filter))
		return;
	if (!topics_parse(request_argument(rq, "topics"), &want.topics)) {
		request_problem(rq, MHD_HTTP_BAD_REQUEST,
			"topics must be some of queries,flows,stats,rules,notices");
		return;
	}
	if (last && text_u32(last, EVENTS_LAST_MAX, &want.last) < 0) {
		request_problem(rq, MHD_HTTP_BAD_REQUEST, "last must be a number up to 1000");
		return;
	}
	want.last_id = MHD_lookup_connection_value(rq->mhd, MHD_HEADER_KIND, "Last-Event-ID");
	if (events_listen(a->events, &want, &s) < 0) {
		request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE,
			"16 streams, or 4 of this user, are open already");
		return;
	}
	request_stream(rq, "text/event-stream", s);
}
