/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/stats.h"
#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>

struct stats {
	struct stats_point at[STATS_SECONDS]; /* second t stands at t % STATS_SECONDS */
	int64_t now_ms, round_ms, first_s;
	int64_t given_s; /* up to here, not included */
};

static int64_t second(int64_t ms)
{
	return ms / 1000;
}

int stats_new(int64_t now_ms, struct stats **out)
{
	struct stats *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->now_ms = s->round_ms = now_ms;
	s->first_s = s->given_s = second(now_ms);
	*out = s;
	return 0;
}

void stats_free(struct stats *s)
{
	free(s);
}

void stats_time(struct stats *s, int64_t now_ms)
{
	if (now_ms < s->now_ms) { /* the clock was set back: those seconds come again */
		s->first_s = MIN(s->first_s, second(now_ms));
		s->given_s = MIN(s->given_s, second(now_ms));
		s->round_ms = MIN(s->round_ms, now_ms);
	}
	s->now_ms = now_ms;
}

void stats_round(struct stats *s)
{
	s->round_ms = s->now_ms;
}

int64_t stats_first_s(const struct stats *s)
{
	return MAX(s->first_s, second(s->now_ms) - STATS_SECONDS + 1);
}

/* NULL: not one of those that are kept */
static struct stats_point *slot(struct stats *s, int64_t at_s)
{
	struct stats_point *p;

	if (at_s < stats_first_s(s) || at_s > second(s->now_ms))
		return NULL;
	p = &s->at[at_s % STATS_SECONDS];
	if (p->time_s != at_s)
		*p = (struct stats_point){ .time_s = at_s };
	return p;
}

/* the share of the part (of whole) that ends at end; both in ms */
static uint64_t share(uint64_t n, int64_t end, int64_t whole)
{
	return (uint64_t)((double)n * ((double)end / (double)whole));
}

static void spread(struct stats *s, int64_t from_ms, uint64_t down, uint64_t up)
{
	int64_t whole = s->now_ms - from_ms;
	int64_t at_s = MAX(second(from_ms), stats_first_s(s));
	uint64_t before_down = share(down, MAX(at_s * 1000 - from_ms, 0), whole);
	uint64_t before_up = share(up, MAX(at_s * 1000 - from_ms, 0), whole);

	for (; at_s <= second(s->now_ms); at_s++) {
		bool last = at_s == second(s->now_ms);
		int64_t end = MIN((at_s + 1) * 1000, s->now_ms) - from_ms;
		uint64_t to_down = last ? down : share(down, end, whole);
		uint64_t to_up = last ? up : share(up, end, whole);
		struct stats_point *p = slot(s, at_s);

		p->down += to_down - before_down;
		p->up += to_up - before_up;
		before_down = to_down;
		before_up = to_up;
	}
}

void stats_bytes(struct stats *s, int64_t start_ms, uint64_t down, uint64_t up)
{
	int64_t from_ms = MAX(start_ms, s->round_ms);
	struct stats_point *p = slot(s, second(s->now_ms));

	if (from_ms < s->now_ms - STATS_SMOOTH_MS) {
		spread(s, from_ms, down, up);
		return;
	}
	p->down += down;
	p->up += up;
}

void stats_began(struct stats *s, int64_t at_ms, bool denied)
{
	/* a record on its way to us may be a moment older than the last look at the clock */
	struct stats_point *p = slot(s, MIN(second(at_ms), second(s->now_ms)));

	if (!p)
		return;
	p->denied += denied;
	p->flows += !denied;
}

static void add(struct stats_point *sum, const struct stats_point *p)
{
	sum->down += p->down;
	sum->up += p->up;
	sum->flows += p->flows;
	sum->denied += p->denied;
}

static struct stats_point get(const struct stats *s, int64_t at_s)
{
	const struct stats_point *p = &s->at[at_s % STATS_SECONDS];

	return p->time_s == at_s ? *p : (struct stats_point){ .time_s = at_s };
}

size_t stats_read(const struct stats *s, int64_t from_s, int64_t to_s, int64_t step_s,
	struct stats_point *out, size_t max)
{
	int64_t at_s = MAX(from_s, stats_first_s(s));
	int64_t end_s = MIN(to_s, second(s->now_ms) + 1);
	size_t n = 0;

	for (at_s -= at_s % step_s; at_s < end_s && n < max; at_s += step_s) {
		out[n] = (struct stats_point){ .time_s = at_s };
		for (int64_t t = MAX(at_s, stats_first_s(s));
			t < at_s + step_s && t <= second(s->now_ms); t++) {
			const struct stats_point p = get(s, t);

			add(&out[n], &p);
		}
		n++;
	}
	return n;
}

bool stats_next(struct stats *s, struct stats_point *out)
{
	s->given_s = MAX(s->given_s, stats_first_s(s));
	if (s->given_s >= second(s->now_ms))
		return false;
	*out = get(s, s->given_s++);
	return true;
}
