/* SPDX-License-Identifier: GPL-2.0-or-later
 * read.h - history.db as a reader without rights sees it: a read-only connection.
 * Blocking: for a thread of its own. Nothing takes much longer than READ_MS: a list that
 * would, ends early with a place to go on from; sums that would are -ETIMEDOUT.
 * Text in what is given is the callback's for its call. Times are Unix ms, from included,
 * to not; 0: open. */
#ifndef DB_READ_H
#define DB_READ_H

#include "base/flow.h"

struct history_read;

enum { READ_MS = 60, READ_SUMS_MS = 2000, READ_PROGRAMS_MAX = 16 };

/* -errno and why; opens every file that it will ever need, so that a sandbox may follow */
int read_open(const char *path, char *why, size_t why_max, struct history_read **out);
void read_close(struct history_read *r); /* NULL is fine */
/* from any thread: what is being read now is broken off (-EIO), nothing else is */
void read_stop(struct history_read *r);
/* is it this file that is open? */
bool read_is(const struct history_read *r, uint64_t dev, uint64_t ino);

struct read_filter {
	const char *program;    /* a path, or without '/' the last part of one; NULL: any */
	const char *name;       /* a host; ".x" and "*.x" cover what is below; NULL: any */
	const struct addr *addr;
	const char *country;    /* two letters */
	bool by_verdict;
	enum verdict verdict;
	int64_t from_ms, to_ms;
	bool by_uid;            /* only what programs of this user did */
	uint32_t uid;
};

struct read_row {
	int64_t id, start_ms, end_ms;
	const char *path, *name, *rule_text, *as_name, *city; /* "" where there is none */
	char country[3];
	bool unknown;           /* open when its core died */
	struct flow flow;       /* numbers, address, verdict; no texts */
};
typedef void (*read_row_cb)(void *ctx, const struct read_row *row);
/* newest first, those with a number below before (0: from the newest), at most limit.
 * *next: where to go on, 0: that was all */
int read_rows(struct history_read *r, const struct read_filter *filter, int64_t before,
	unsigned limit, read_row_cb got, void *ctx, int64_t *next);

enum read_by { READ_BY_TIME, READ_BY_PROGRAM, READ_BY_COUNTRY };

struct read_sum {
	int64_t at_ms, step_s;  /* BY_TIME: where the step begins, and how long it is */
	const char *path;       /* BY_PROGRAM */
	uint32_t uid;
	char country[3];        /* BY_COUNTRY, "" not known */
	uint64_t rx, tx, connections, denied;
	int64_t last_ms;        /* of the finest sum that was used */
};
typedef void (*read_sum_cb)(void *ctx, const struct read_sum *sum);
/* Sums over the span, whole minutes (hours, days where only they are left); program, country
 * and verdict of the filter count, name and addr do not. step_s (BY_TIME): a multiple of 60;
 * it is what the steps will be long, or longer where only hours or days are left. */
int read_sums(struct history_read *r, enum read_by by, const struct read_filter *filter,
	int64_t step_s, read_sum_cb got, void *ctx);

#endif
