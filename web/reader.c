/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation: jobs wait in a list of the loop's and go to the thread one by one, so
 * that one which nobody waits for any more can be taken out, and an interrupt can only meet
 * the one that is meant. The file is opened once, before the process gives up the right to
 * open any; when the core begins another one (the old was corrupt, or deleted), this process
 * is started anew to open that. It is not when it has tried that very file before. */
#include "web/reader.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/macros.h"
#include "db/read.h"
#include "web/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

/* told by a core that has just begun a new file, and looks every second itself */
enum { OTHER_MS = 2500 };

struct reader {
	struct history_read *file;
	struct worker *worker;
	struct job turn;   /* the thread's, with running */
	struct reader_job *head, **tail, *running;
	unsigned waiting;
	uv_timer_t look, again;
	bool timers, none;
	uint64_t dev, ino; /* that were tried, 0: there was none */
	void (*other)(void *ctx);
	void *ctx;
	char why[300];
};

int reader_new(const char *path, struct reader **out)
{
	struct reader *r = calloc(1, sizeof(*r));
	struct stat st;
	int e;

	if (!r)
		return -ENOMEM;
	*out = r;
	r->tail = &r->head;
	r->none = !path;
	if (!path) {
		snprintf(r->why, sizeof(r->why), "no history is kept: keep=0 in [history]");
		return 0;
	}
	if (stat(path, &st) == 0) {
		r->dev = st.st_dev;
		r->ino = st.st_ino;
	}
	e = read_open(path, r->why, sizeof(r->why), &r->file);
	if (e < 0) {
		if (!r->why[0])
			snprintf(r->why, sizeof(r->why), "%s: %s", path, strerror(-e));
		log_warning("web: the history cannot be read: %s", r->why);
	}
	return 0;
}

const char *reader_why(const struct reader *r)
{
	return !r ? "out of memory" : r->file ? NULL : r->why;
}

bool reader_none(const struct reader *r)
{
	return r && r->none;
}

/* --- the queue ---------------------------------------------------------------------------- */

static void read_batch(void *ctx, struct job *batch)
{
	struct reader *r = ctx;

	(void)batch; /* one */
	r->running->read(r->running, r->file);
}

static void finish(struct reader *r, struct reader_job *j, int result)
{
	r->waiting--;
	j->result = result;
	j->done(j);
}

static void on_read(struct job *job);

static void give_next(struct reader *r)
{
	struct reader_job *j = r->head;

	if (r->running || !j)
		return;
	r->head = j->next;
	if (!r->head)
		r->tail = &r->head;
	r->running = j;
	r->turn.done = on_read;
	worker_give(r->worker, &r->turn); /* there is room: no other is with it */
}

static void on_read(struct job *job)
{
	struct reader *r = container_of(job, struct reader, turn);
	struct reader_job *j = r->running;

	r->running = NULL;
	finish(r, j, job->result == -ECANCELED ? -ECANCELED : j->result);
	give_next(r);
	if (!r->waiting)
		uv_timer_stop(&r->look);
}

static void drop_gone(struct reader *r)
{
	for (struct reader_job **at = &r->head; *at;) {
		struct reader_job *j = *at;

		if (!request_gone(j->rq)) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		if (r->tail == &j->next)
			r->tail = at;
		finish(r, j, -ECANCELED);
	}
}

static void on_look(uv_timer_t *t)
{
	struct reader *r = t->data;

	drop_gone(r);
	if (r->running && request_gone(r->running->rq))
		read_stop(r->file);
	if (!r->waiting)
		uv_timer_stop(t);
}

static unsigned waiting_of(const struct reader *r, uint32_t uid)
{
	unsigned n = r->running && r->running->rq->peer->uid == uid;

	for (const struct reader_job *j = r->head; j; j = j->next)
		n += j->rq->peer->uid == uid;
	return n;
}

int reader_give(struct reader *r, struct reader_job *j)
{
	if (!r->worker || r->waiting >= READER_WAITING_MAX ||
		waiting_of(r, j->rq->peer->uid) >= READER_EACH_MAX)
		return -ENOBUFS;
	j->reader = r;
	j->next = NULL;
	*r->tail = j;
	r->tail = &j->next;
	if (!r->waiting++)
		uv_timer_start(&r->look, on_look, READER_LOOK_MS, READER_LOOK_MS);
	give_next(r);
	return 0;
}

/* --- which file --------------------------------------------------------------------------- */

static void on_again(uv_timer_t *t)
{
	struct reader *r = t->data;

	log_notice("web: the history is in a new file now: starting again to read that");
	r->other(r->ctx);
}

static bool same_file(const struct reader *r, uint64_t dev, uint64_t ino)
{
	return r->file ? read_is(r->file, dev, ino) : r->dev == dev && r->ino == ino;
}

void reader_told(struct reader *r, uint64_t dev, uint64_t ino)
{
	if (!r->timers)
		return;
	if (!ino || same_file(r, dev, ino))
		uv_timer_stop(&r->again);
	else if (!uv_is_active((uv_handle_t *)&r->again))
		uv_timer_start(&r->again, on_again, OTHER_MS, 0);
}

/* --- its life ----------------------------------------------------------------------------- */

int reader_start(struct reader *r, struct uv_loop_s *loop, void (*other)(void *ctx),
	void *ctx)
{
	r->other = other;
	r->ctx = ctx;
	uv_timer_init(loop, &r->look);
	uv_timer_init(loop, &r->again);
	r->look.data = r->again.data = r;
	r->timers = true;
	return r->file ? worker_open(loop, "scupper-reader", 1, read_batch, r, &r->worker) : 0;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	if (r->running)
		read_stop(r->file);
	while (r->head) {
		struct reader_job *j = r->head;

		r->head = j->next;
		finish(r, j, -ECANCELED);
	}
	r->tail = &r->head;
	worker_close(r->worker);
	read_close(r->file);
	if (!r->timers) {
		free(r);
		return;
	}
	uv_close((uv_handle_t *)&r->look, NULL);
	uv_close((uv_handle_t *)&r->again, on_closed);
}
