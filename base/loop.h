/* SPDX-License-Identifier: GPL-2.0-or-later
 * loop.h - how a worker thread and the loop talk: two queues and a wake-up each.
 * A worker owns one thread. Jobs run there in the order given, results come back on the
 * loop in the same order. A job is embedded in the caller's record and is the caller's:
 * it must live until done has been called (or dropped, with -ECANCELED, by worker_close).
 * run is called once per batch of waiting jobs, oldest first, so that a worker may put
 * many into one message to the kernel. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stddef.h>

struct uv_loop_s;
struct worker;

struct job {
	struct job *next;
	void (*done)(struct job *job); /* on the loop */
	int result;                    /* for run to fill: 0 or -errno */
};

/* on the worker's thread: a chain of jobs linked by next, each gets its result */
typedef void (*worker_run)(void *ctx, struct job *batch);

/* name is shown by ps (15 bytes); max is how many jobs may wait */
int worker_open(struct uv_loop_s *loop, const char *name, size_t max, worker_run run,
	void *ctx, struct worker **out);
int worker_give(struct worker *w, struct job *job); /* -ENOBUFS: full, job not taken */
/* Finishes the batch under way, cancels the rest, joins. NULL is fine. */
void worker_close(struct worker *w);

#endif
