/* SPDX-License-Identifier: GPL-2.0-or-later
 * GET /api/v1/stats: all traffic by steps of time. */
#include "web/api.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/history.h"
#include "web/objects.h"
#include "web/stats.h"

#include <microhttpd.h>

enum { STEP_MAX_S = 7 * 86400 };

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
	if (step && (text_u32(step, STEP_MAX_S, &out->step_s) < 0 || !out->step_s))
		return wrong(rq, "step must be a number of seconds up to 604800");
	if ((out->to_s - out->from_s) / out->step_s > API_LIST_MAX)
		return wrong(rq, "that is more than 1000 points: ask for longer steps");
	return true;
}

void api_stats(struct api *a, struct request *rq)
{
	struct stats_point points[API_LIST_MAX + 2];
	json_t *items;
	struct span span;
	size_t n;

	if (!read_span(rq, &span))
		return;
	stats_time(a->stats, clock_unix_ms());
	n = stats_read(a->stats, span.from_s, span.to_s, span.step_s, points,
		ARRAY_LEN(points));
	items = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(items, object_point(&points[i]));
	api_answer_list(rq, items, 0);
}
