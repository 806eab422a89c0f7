/* SPDX-License-Identifier: GPL-2.0-or-later
 * GET /api/v1/stats: all traffic by steps of time. */
#include "web/api.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/history.h"
#include "web/objects.h"
#include "web/reader.h"
#include "web/stats.h"

#include <microhttpd.h>

enum { STEP_MAX_S = 7 * 86400, MINUTE_S = 60 };

struct span {
	int64_t from_s, to_s; /* to not included */
	uint32_t step_s;
};

static bool wrong(struct request *rq, const char *detail)
{
	request_problem(rq, MHD_HTTP_BAD_REQUEST, detail);
	return false;
}

/* default: the ten minutes up to now, by the second */
static bool read_span(struct request *rq, struct span *out)
{
	const char *step = request_argument(rq, "step");
	int64_t now_s = clock_unix_ms() / 1000, from_ms, to_ms;

	*out = (struct span){ .to_s = now_s + 1, .step_s = 1 };
	if (!history_span(rq, &from_ms, &to_ms))
		return false;
	if (to_ms)
		out->to_s = MIN(to_ms / 1000, now_s + 1);
	out->from_s = from_ms ? from_ms / 1000 : out->to_s - STATS_SECONDS;
	if (!step && out->from_s < now_s - STATS_SECONDS)
		out->step_s = (uint32_t)history_step(out->from_s, out->to_s);
	if (step && (text_u32(step, STEP_MAX_S, &out->step_s) < 0 || !out->step_s))
		return wrong(rq, "step must be a number of seconds up to 604800");
	if ((out->to_s - out->from_s) / out->step_s > API_LIST_MAX)
		return wrong(rq, "that is more than 1000 points: ask for longer steps");
	return true;
}

static void answer(struct request *rq, const struct stats_point *points, size_t n,
	int64_t step_s)
{
	json_t *o = json_object(), *items = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(items, object_point(&points[i]));
	json_object_set_new(o, "items", items);
	json_object_set_new(o, "step", json_integer(step_s));
	json_object_set_new(o, "next", json_null());
	request_answer(rq, MHD_HTTP_OK, o);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The history knows of a connection's bytes when it has ended, the last minutes here know
 * them as they are counted: what these know whole stands in its place. Of the step in which
 * they begin each of the two knows a part, and the larger is nearer to what was. */
static void answer_joined(struct api *a, struct history_steps *h)
{
	struct stats_point recent[API_LIST_MAX + 2];
	size_t n;

	stats_time(a->stats, clock_unix_ms());
	n = stats_read(a->stats, h->from_s, h->to_s, h->step_s, recent, ARRAY_LEN(recent));
	history_fill(h, n ? recent[0].time_s + h->step_s : h->to_s);
	for (size_t i = 0; i < n; i++) {
		struct stats_point *last = h->n ? &h->at[h->n - 1] : NULL;

		if (last && last->time_s == recent[i].time_s) {
			last->down = larger(last->down, recent[i].down);
			last->up = larger(last->up, recent[i].up);
			last->flows = larger(last->flows, recent[i].flows);
			last->denied = larger(last->denied, recent[i].denied);
		} else if (h->n < ARRAY_LEN(h->at)) {
			h->at[h->n++] = recent[i];
		}
	}
	answer(h->rq, h->at, h->n, h->step_s);
}

static void answer_past(struct api *a, struct history_steps *h)
{
	(void)a;
	history_fill(h, h->to_s);
	answer(h->rq, h->at, h->n, h->step_s);
}

static void answer_recent(struct api *a, struct request *rq, const struct span *span)
{
	struct stats_point points[API_LIST_MAX + 2];

	answer(rq, points, stats_read(a->stats, span->from_s, span->to_s, span->step_s,
		points, ARRAY_LEN(points)), span->step_s);
}

/* Whole minutes and more are in the history, seconds are not. Where that cannot be read,
 * what is here is given: the live view goes on. */
void api_stats(struct api *a, struct request *rq)
{
	bool some = !rq->admin || request_argument(rq, "program") ||
		request_argument(rq, "country") || request_argument(rq, "verdict");
	struct span span;

	if (!read_span(rq, &span))
		return;
	stats_time(a->stats, clock_unix_ms());
	if (some || (span.step_s >= MINUTE_S && span.from_s < stats_first_s(a->stats) &&
		!reader_why(a->reader)))
		history_stats(a, rq, &(struct history_steps){ .from_s = span.from_s,
			.to_s = span.to_s, .step_s = span.step_s,
			.answer = some ? answer_past : answer_joined });
	else
		answer_recent(a, rq, &span);
}
