/* SPDX-License-Identifier: GPL-2.0-or-later
 * stats.h - all traffic, second by second: what the chart shows of the last ten minutes.
 * What is older is in the history (db/read.h: read_sums), by minutes. Pure: the time is told.
 *
 * down and up are bytes to and from programs, IP headers and all; flows are connections that
 * began and were let through, denied are refusals of names and of connections. Each is of its
 * step alone, so steps may be added up.
 * Bytes are counted in rounds (a connection's last ones when it ends). What was counted since
 * a round more than STATS_SMOOTH_MS ago is spread evenly over the time since. */
#ifndef WEB_STATS_H
#define WEB_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATS_SECONDS = 600, STATS_SMOOTH_MS = 1500 };

struct stats;

struct stats_point {
	int64_t time_s; /* Unix time at which the step begins */
	uint64_t down, up, flows, denied;
};

int stats_new(int64_t now_ms, struct stats **out); /* -ENOMEM */
void stats_free(struct stats *s);                  /* NULL is fine */
void stats_time(struct stats *s, int64_t now_ms);  /* what is told next is told now */
/* of a connection that began then: what moved since the last round, or since it began */
void stats_bytes(struct stats *s, int64_t start_ms, uint64_t down, uint64_t up);
void stats_round(struct stats *s); /* every live connection was counted just now */
void stats_began(struct stats *s, int64_t at_ms, bool denied);

/* the first second that is known whole; before it there was nobody to count */
int64_t stats_first_s(const struct stats *s);
/* Sums by steps of step_s that begin at multiples of it, oldest first; those that overlap
 * from_s (included) to to_s (not) and what is known. At most max; how many. */
size_t stats_read(const struct stats *s, int64_t from_s, int64_t to_s, int64_t step_s,
	struct stats_point *out, size_t max);
/* a second that is over, each once, in order; false: none is */
bool stats_next(struct stats *s, struct stats_point *out);

#endif
