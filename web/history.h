/* SPDX-License-Identifier: GPL-2.0-or-later
 * history.h - what other routes want of the past: spans of time, and sums over them. */
#ifndef WEB_HISTORY_H
#define WEB_HISTORY_H

#include "web/api.h"
#include "web/stats.h"

#include <stdbool.h>
#include <stdint.h>

struct api;
struct request;

enum { HISTORY_STEPS_USUAL = 400 };

/* arguments from and to; 0: not said. false: it has answered */
bool history_span(struct request *rq, int64_t *from_ms, int64_t *to_ms);
/* programs by what they sent and received between from and to */
void history_apps(struct api *a, struct request *rq);
/* sums by step: asked for, and as they come back */
struct history_steps {
	int64_t from_s, to_s;
	int64_t step_s; /* rounded up to minutes; longer where only hours or days are left */
	void (*answer)(struct api *a, struct history_steps *h); /* on the loop */
	struct request *rq;
	size_t n;
	struct stats_point at[API_LIST_MAX + 2]; /* oldest first, without a gap */
};
/* of the program, country and verdict that the request says; answers problems itself */
void history_stats(struct api *a, struct request *rq, const struct history_steps *want);
/* steps without traffic up to that time; what is at that time or after it goes */
void history_fill(struct history_steps *h, int64_t until_s);
int64_t history_step(int64_t from_s, int64_t to_s); /* the usual one */

#endif
