/* SPDX-License-Identifier: GPL-2.0-or-later
 * What happened, read from history.db by the reader's thread: lists of it, and sums over a
 * span of time. The thread makes the items; the loop wraps and sends them. */
#include "web/history.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "db/read.h"
#include "web/objects.h"
#include "web/reader.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_MS = 86400000 };

struct past {
	struct reader_job job;
	struct api *api;
	const struct users *users;
	struct read_filter filter;
	char program[PROGRAM_PATH_MAX], name[HOST_MAX + 2], country[3];
	struct addr addr;
	enum read_by by;
	unsigned limit;
	int64_t before, next;
	json_t *items;
	struct history_steps *steps;
};

static void past_free(void *job)
{
	struct past *p = job;

	json_decref(p->items);
	free(p->steps);
	free(p);
}

/* NULL: it has answered */
static struct past *past_new(struct api *a, struct request *rq)
{
	const char *why = reader_why(a->reader);
	struct past *p;

	if (why) {
		request_problem(rq, reader_none(a->reader) ? MHD_HTTP_NOT_FOUND
			: MHD_HTTP_SERVICE_UNAVAILABLE, why);
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p || !(p->items = json_array())) {
		free(p);
		request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return NULL;
	}
	p->api = a;
	p->users = a->users;
	p->job.rq = rq;
	rq->job = p;
	rq->job_free = past_free;
	return p;
}

static bool refuse(struct request *rq, const char *detail)
{
	request_problem(rq, MHD_HTTP_BAD_REQUEST, detail);
	return false;
}

/* --- arguments ---------------------------------------------------------------------------- */

static bool time_argument(struct request *rq, const char *name, int64_t *out)
{
	const char *s = request_argument(rq, name);
	char detail[120];

	*out = 0;
	if (!s || (text_time_read(s, out) == 0 && *out > 0))
		return true;
	snprintf(detail, sizeof(detail),
		"%s must be a time of RFC 3339, as 2026-11-24T13:00:00Z", name);
	return refuse(rq, detail);
}

bool history_span(struct request *rq, int64_t *from_ms, int64_t *to_ms)
{
	if (!time_argument(rq, "from", from_ms) || !time_argument(rq, "to", to_ms))
		return false;
	if (*from_ms && *to_ms && *from_ms >= *to_ms)
		return refuse(rq, "from must be before to");
	return true;
}

static bool copy_argument(struct request *rq, const char *name, char *to, size_t max,
	const char **out)
{
	const char *s = request_argument(rq, name);

	*out = s ? to : NULL;
	if (!s || (*s && text_copy(to, max, s)))
		return true;
	return refuse(rq, *s ? "an argument is too long" : "an argument is empty");
}

static bool country_argument(struct request *rq, struct past *p)
{
	if (!copy_argument(rq, "country", p->country, sizeof(p->country), &p->filter.country))
		return false;
	for (char *c = p->country; *c; c++) {
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	}
	if (p->filter.country && strlen(p->country) != 2)
		return refuse(rq, "country must be two letters");
	return true;
}

static bool address_argument(struct request *rq, struct past *p)
{
	const char *s = request_argument(rq, "address");

	if (!s)
		return true;
	p->filter.addr = &p->addr;
	return addr_parse(s, &p->addr) == 0 || refuse(rq, "address must be an IP address");
}

/* what everybody may give: whose, what was decided, and when */
static bool common_arguments(struct request *rq, struct past *p)
{
	struct read_filter *f = &p->filter;

	f->by_uid = !rq->admin;
	f->uid = rq->peer->uid;
	return history_span(rq, &f->from_ms, &f->to_ms) &&
		copy_argument(rq, "program", p->program, sizeof(p->program), &f->program) &&
		country_argument(rq, p) && api_verdict(rq, &f->by_verdict, &f->verdict);
}

/* --- giving it to the thread, and answering ----------------------------------------------- */

static void answer_failure(struct request *rq, int r)
{
	if (r == -ETIMEDOUT)
		request_problem(rq, MHD_HTTP_GATEWAY_TIMEOUT,
			"reading it takes too long: ask for a shorter time or longer steps");
	else if (r == -EBADMSG)
		request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE,
			"the history's file is corrupt; the daemon will begin a new one");
	else if (r == -ECANCELED)
		request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "broken off");
	else
		request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE, strerror(-r));
}

static void on_done(struct reader_job *j)
{
	struct past *p = container_of(j, struct past, job);
	json_t *items = p->items;

	if (j->result < 0) {
		answer_failure(j->rq, j->result);
		return;
	}
	if (p->steps) {
		p->steps->answer(p->api, p->steps);
		return;
	}
	p->items = NULL;
	api_answer_list(j->rq, items, (uint64_t)p->next);
}

static void past_give(struct api *a, struct past *p,
	void (*read)(struct reader_job *j, struct history_read *r))
{
	struct request *rq = p->job.rq;

	p->job.read = read;
	p->job.done = on_done;
	request_wait(rq);
	if (reader_give(a->reader, &p->job) == 0)
		return;
	request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE,
		"too many questions about the history wait already");
	request_header(rq, MHD_HTTP_HEADER_RETRY_AFTER, "1");
}

/* --- rows --------------------------------------------------------------------------------- */

static void got_row(void *ctx, const struct read_row *row)
{
	struct past *p = ctx;

	json_array_append_new(p->items, object_past(row, p->users));
}

static void read_list(struct reader_job *j, struct history_read *r)
{
	struct past *p = container_of(j, struct past, job);

	j->result = read_rows(r, &p->filter, p->before, p->limit, got_row, p, &p->next);
}

void api_history(struct api *a, struct request *rq)
{
	struct past *p;
	uint64_t cursor;
	unsigned limit;

	if (!api_limit(rq, &limit, &cursor))
		return;
	p = past_new(a, rq);
	if (!p || !common_arguments(rq, p) || !address_argument(rq, p) ||
		!copy_argument(rq, "name", p->name, sizeof(p->name), &p->filter.name))
		return;
	p->limit = limit;
	p->before = (int64_t)cursor;
	past_give(a, p, read_list);
}

/* --- sums --------------------------------------------------------------------------------- */

static void got_sum(void *ctx, const struct read_sum *sum)
{
	struct past *p = ctx;

	json_array_append_new(p->items, p->by == READ_BY_PROGRAM
		? object_past_app(sum, p->users) : object_country(sum));
}

static void read_groups(struct reader_job *j, struct history_read *r)
{
	struct past *p = container_of(j, struct past, job);

	j->result = read_sums(r, p->by, &p->filter, 0, got_sum, p);
}

/* the last day unless it is said */
static struct past *sums_new(struct api *a, struct request *rq, enum read_by by)
{
	struct past *p = past_new(a, rq);

	if (!p || !common_arguments(rq, p))
		return NULL;
	p->by = by;
	if (!p->filter.from_ms)
		p->filter.from_ms = (p->filter.to_ms ? p->filter.to_ms : clock_unix_ms()) - DAY_MS;
	return p;
}

void api_countries(struct api *a, struct request *rq)
{
	struct past *p = sums_new(a, rq, READ_BY_COUNTRY);

	if (p)
		past_give(a, p, read_groups);
}

void history_apps(struct api *a, struct request *rq)
{
	struct past *p = sums_new(a, rq, READ_BY_PROGRAM);

	if (p)
		past_give(a, p, read_groups);
}

int64_t history_step(int64_t from_s, int64_t to_s)
{
	static const int steps[] = { 60, 300, 900, 3600, 6 * 3600, 86400 };
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(steps) &&
		(to_s - from_s) / steps[i] > HISTORY_STEPS_USUAL)
		i++;
	return steps[i];
}

void history_fill(struct history_steps *h, int64_t until_s)
{
	while (h->n && h->at[h->n - 1].time_s >= until_s)
		h->n--;
	while (h->n && h->n < ARRAY_LEN(h->at) &&
		h->at[h->n - 1].time_s + h->step_s < until_s) {
		h->at[h->n] = (struct stats_point){ .time_s = h->at[h->n - 1].time_s +
			h->step_s };
		h->n++;
	}
}

static void got_step(void *ctx, const struct read_sum *sum)
{
	struct past *p = ctx;
	struct history_steps *h = p->steps;

	h->step_s = sum->step_s;
	history_fill(h, sum->at_ms / 1000);
	if (h->n < ARRAY_LEN(h->at))
		h->at[h->n++] = (struct stats_point){ sum->at_ms / 1000, sum->rx, sum->tx,
			sum->connections, sum->denied };
}

static void read_steps(struct reader_job *j, struct history_read *r)
{
	struct past *p = container_of(j, struct past, job);

	j->result = read_sums(r, READ_BY_TIME, &p->filter, p->steps->step_s, got_step, p);
}

void history_stats(struct api *a, struct request *rq, const struct history_steps *want)
{
	struct past *p = past_new(a, rq);

	if (!p || !common_arguments(rq, p))
		return;
	p->steps = calloc(1, sizeof(*p->steps));
	if (!p->steps) {
		request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return;
	}
	*p->steps = *want;
	p->steps->step_s = (want->step_s + 59) / 60 * 60;
	p->steps->rq = rq;
	p->filter.from_ms = want->from_s * 1000;
	p->filter.to_ms = want->to_s * 1000;
	past_give(a, p, read_steps);
}
