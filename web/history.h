/* SPDX-License-Identifier: GPL-2.0-or-later
 * history.h - what other routes want of the past: spans of time, and sums over them. */
#ifndef WEB_HISTORY_H
#define WEB_HISTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct api;
struct request;

enum { HISTORY_STEPS_USUAL = 400, HISTORY_STEPS_MAX = 3000 };

/* arguments from and to; 0: not said. false: it has answered */
bool history_span(struct request *rq, int64_t *from_ms, int64_t *to_ms);
/* programs by what they sent and received between from and to */
void history_apps(struct api *a, struct request *rq);
/* sums by step between from and to, which the request says; step_s 0: as the span wants,
 * else it is rounded up to whole minutes. What the recent past's own figures do not reach */
void history_stats(struct api *a, struct request *rq, int64_t step_s);
int64_t history_step(int64_t from_ms, int64_t to_ms); /* the usual one, in seconds */
/* {"items": [...], "step": seconds, "next": null}; takes items */
void history_answer_stats(struct request *rq, json_t *items, int64_t step_s);

#endif
