/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct queue {
	struct job *head, **tail;
};

struct worker {
	uv_thread_t thread;
	uv_mutex_t lock;
	uv_cond_t more;
	uv_async_t wake; /* in the loop: results are there */
	struct queue todo, results;
	size_t waiting, max; /* given and not yet done */
	bool stop;
	worker_run run;
	void *ctx;
	char name[16];
};

static void queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static struct job *queue_take(struct queue *q)
{
	struct job *j = q->head;

	queue_init(q);
	return j;
}

static void queue_chain(struct queue *q, struct job *j)
{
	*q->tail = j;
	while (*q->tail)
		q->tail = &(*q->tail)->next;
}

static void worker_main(void *arg)
{
	struct worker *w = arg;

	pthread_setname_np(pthread_self(), w->name);
	uv_mutex_lock(&w->lock);
	for (;;) {
		struct job *batch;

		while (!w->todo.head && !w->stop)
			uv_cond_wait(&w->more, &w->lock);
		if (w->stop)
			break;
		batch = queue_take(&w->todo);
		uv_mutex_unlock(&w->lock);
		w->run(w->ctx, batch);
		uv_mutex_lock(&w->lock);
		queue_chain(&w->results, batch);
		uv_async_send(&w->wake);
	}
	uv_mutex_unlock(&w->lock);
}

static void deliver(struct job *j)
{
	while (j) {
		struct job *next = j->next;

		j->next = NULL;
		if (j->done)
			j->done(j);
		j = next;
	}
}

static void on_results(uv_async_t *a)
{
	struct worker *w = a->data;
	struct job *j;

	uv_mutex_lock(&w->lock);
	j = queue_take(&w->results);
	for (struct job *i = j; i; i = i->next)
		w->waiting--;
	uv_mutex_unlock(&w->lock);
	deliver(j);
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

int worker_open(struct uv_loop_s *loop, const char *name, size_t max, worker_run run,
	void *ctx, struct worker **out)
{
	struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->run = run;
	w->ctx = ctx;
	w->max = max;
	strncpy(w->name, name, sizeof(w->name) - 1);
	queue_init(&w->todo);
	queue_init(&w->results);
	uv_mutex_init(&w->lock);
	uv_cond_init(&w->more);
	r = uv_async_init(loop, &w->wake, on_results);
	if (r < 0) {
		free(w);
		return r;
	}
	w->wake.data = w;
	r = uv_thread_create(&w->thread, worker_main, w);
	if (r < 0) {
		uv_close((uv_handle_t *)&w->wake, on_closed);
		return r;
	}
	*out = w;
	return 0;
}

int worker_give(struct worker *w, struct job *job)
{
	int r = -ENOBUFS;

	job->next = NULL;
	job->result = 0;
	uv_mutex_lock(&w->lock);
	if (w->waiting < w->max) {
		w->waiting++;
		queue_chain(&w->todo, job);
		uv_cond_signal(&w->more);
		r = 0;
	}
	uv_mutex_unlock(&w->lock);
	return r;
}

void worker_close(struct worker *w)
{
	struct job *left;

	if (!w)
		return;
	uv_mutex_lock(&w->lock);
	w->stop = true;
	uv_cond_signal(&w->more);
	uv_mutex_unlock(&w->lock);
	uv_thread_join(&w->thread);
	deliver(queue_take(&w->results));
	left = queue_take(&w->todo);
	for (struct job *j = left; j; j = j->next)
		j->result = -ECANCELED;
	deliver(left);
	uv_mutex_destroy(&w->lock);
	uv_cond_destroy(&w->more);
	uv_close((uv_handle_t *)&w->wake, on_closed);
}
