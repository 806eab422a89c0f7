/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation: history_flow packs the event into a list under a lock; the thread
 * takes what is there, writes it in one transaction, and waits for the rest of its half
 * second. A batch that could not be written goes back to the front of the list. When the
 * file turns out to be corrupt, at opening or in the middle, it is renamed and the next try
 * makes a new one. Between batches it deletes what is too old or too much, a step at a time.
 */
#include "db/history.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "db/event.h"
#include "db/store.h"
#include "db/open.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RETRY_MS = 1000, RETAIN_MS = 10000, WAITING_BYTES_MAX = 48 << 20 };

struct history {
	struct history_conf conf;
	char *path;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t more;
	/* under lock */
	struct event *head, **tail;
	size_t waiting, bytes;
	bool stop;
	struct history_status status;
	/* the thread's */
	struct store *store;
	int64_t next_retain_ms;
};

static size_t event_bytes(const struct event *e)
{
	const char *last = event_text(e, EVENT_TEXTS - 1);

	return (size_t)(last + strlen(last) + 1 - (const char *)e);
}

static void drop_oldest(struct history *h)
{
	struct event *e = h->head;

	h->head = e->next;
	if (!h->head)
		h->tail = &h->head;
	h->waiting--;
	h->bytes -= event_bytes(e);
	h->status.lost++;
	free(e);
}

static void free_list(struct event *e)
{
	while (e) {
		struct event *next = e->next;

		free(e);
		e = next;
	}
}

static bool wanted(const struct history *h, const struct flow *f)
{
	if (f->kind != FLOW_QUERY)
		return true;
	return h->conf.queries == HISTORY_ALL ||
		(h->conf.queries == HISTORY_REFUSED && f->verdict == VERDICT_DENY);
}

void history_flow(struct history *h, const struct flow *f, const struct history_who *who)
{
	struct event *e = NULL;
	bool want = wanted(h, f);

	if (want)
		e = event_new(f, who, clock_unix_ms());
	if (!want)
		return;
	pthread_mutex_lock(&h->lock);
	if (e) {
		*h->tail = e;
		h->tail = &e->next;
		h->waiting++;
		h->bytes += event_bytes(e);
		while (h->waiting > HISTORY_WAITING_MAX || h->bytes > WAITING_BYTES_MAX)
			drop_oldest(h);
		if (h->waiting == 1 || h->waiting == HISTORY_BATCH_MAX)
			pthread_cond_signal(&h->more);
	} else {
		h->status.lost++;
	}
	pthread_mutex_unlock(&h->lock);
}

/* the first of what waits, at most a batch; under lock */
static struct event *take_batch(struct history *h, size_t *n)
{
	struct event *first = h->head, **end = &h->head;

	for (*n = 0; *end && *n < HISTORY_BATCH_MAX; ++*n) {
		h->bytes -= event_bytes(*end);
		end = &(*end)->next;
	}
	h->head = *end;
	if (!h->head)
		h->tail = &h->head;
	*end = NULL;
	h->waiting -= *n;
	return first;
}

static void put_back(struct history *h, struct event *first, size_t n)
{
	struct event **end = &first;

	while (*end) {
		h->bytes += event_bytes(*end);
		end = &(*end)->next;
	}
	*end = h->head;
	if (!h->head)
		h->tail = end;
	h->head = first;
	h->waiting += n;
	while (h->waiting > HISTORY_WAITING_MAX || h->bytes > WAITING_BYTES_MAX)
		drop_oldest(h);
}

static void say(struct history *h, const char *why)
{
	struct stat st = { 0 };

	if (h->store)
		stat(h->path, &st);
	pthread_mutex_lock(&h->lock);
	text_copy(h->status.why, sizeof(h->status.why), why);
	h->status.dev = h->store ? st.st_dev : 0;
	h->status.ino = h->store ? st.st_ino : 0;
	pthread_mutex_unlock(&h->lock);
}

static void move_aside(struct history *h)
{
	char stamp[TEXT_TIME_MAX], said[HISTORY_WHY_MAX];
	struct text t = text_into(said, sizeof(said));
	int r;

	store_close(h->store);
	h->store = NULL;
	text_time(clock_unix_ms(), stamp);
	r = db_set_aside(h->path, stamp);
	if (r < 0)
		text_addf(&t, "%s: corrupt, and cannot be moved aside: %s", h->path,
			strerror(-r));
	else
		text_addf(&t, "%s.corrupt-%s", h->path, stamp);
	pthread_mutex_lock(&h->lock);
	text_copy(r < 0 ? h->status.why : h->status.aside, HISTORY_WHY_MAX, said);
	pthread_mutex_unlock(&h->lock);
}

/* the file at this path is still the one we have open */
static bool same_file(struct history *h)
{
	struct stat st;

	return stat(h->path, &st) == 0 && st.st_dev == h->status.dev &&
		st.st_ino == h->status.ino;
}

static int open_store(struct history *h)
{
	char why[HISTORY_WHY_MAX] = "";
	struct text t = text_into(why, sizeof(why));
	int r;

	if (h->store && same_file(h))
		return 0;
	store_close(h->store);
	h->store = NULL;
	r = store_open(&h->conf, &t, &h->store);
	if (r == -EBADMSG) {
		move_aside(h);
		t = text_into(why, sizeof(why));
		r = store_open(&h->conf, &t, &h->store);
	}
	say(h, r < 0 ? why : "");
	return r;
}

static int failed(struct history *h, int r)
{
	char why[HISTORY_WHY_MAX];

	if (r == -EBADMSG) {
		move_aside(h);
		return r;
	}
	snprintf(why, sizeof(why), "%s: %s", h->path, r == -ENOSPC ? "the disk is full"
		: r == -EBUSY ? "another program holds it locked" : store_error(h->store));
	say(h, why);
	return r;
}

static int write_batch(struct history *h, const struct event *list)
{
	int r = open_store(h);

	if (r < 0)
		return r;
	r = store_write(h->store, list);
	if (r < 0)
		return failed(h, r);
	say(h, "");
	return 0;
}

/* under lock; waits until then, or for a signal */
static void wait_ms(struct history *h, int64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&h->more, &h->lock, &at);
}

static void retain(struct history *h)
{
	int64_t now = clock_boot_ms();
	uint64_t bytes;
	int r;

	if (now < h->next_retain_ms || open_store(h) < 0)
		return;
	r = store_retain(h->store, &h->conf, clock_unix_ms());
	h->next_retain_ms = r == 1 ? 0 : now + RETAIN_MS;
	if (r == -EBADMSG) {
		move_aside(h);
		return;
	}
	bytes = store_bytes(h->store);
	pthread_mutex_lock(&h->lock);
	h->status.bytes = bytes;
	pthread_mutex_unlock(&h->lock);
}

/* one batch; whether it was written. Under lock, which is let go meanwhile */
static bool turn(struct history *h)
{
	size_t n;
	struct event *list = take_batch(h, &n);
	int r;

	pthread_mutex_unlock(&h->lock);
	r = write_batch(h, list);
	if (r == -EBADMSG)
		r = write_batch(h, list); /* into the new file */
	if (r == 0)
		free_list(list);
	pthread_mutex_lock(&h->lock);
	if (r == 0)
		h->status.written += n;
	else
		put_back(h, list, n);
	return r == 0;
}

static void wait_for_batch(struct history *h, int64_t written_ms)
{
	int64_t until = written_ms + HISTORY_BATCH_MS, now;

	while (!h->stop && h->waiting < HISTORY_BATCH_MAX && (now = clock_boot_ms()) < until)
		wait_ms(h, until - now);
}

static void *history_main(void *arg)
{
	struct history *h = arg;
	int64_t written_ms = 0;

	pthread_setname_np(pthread_self(), "scupper-history");
	open_store(h);
	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		if (!h->head)
			wait_ms(h, h->next_retain_ms ? RETRY_MS : 10);
		if (h->head) {
			wait_for_batch(h, written_ms);
			written_ms = clock_boot_ms();
			if (!turn(h) && !h->stop)
				wait_ms(h, RETRY_MS);
		}
		pthread_mutex_unlock(&h->lock);
		retain(h);
		pthread_mutex_lock(&h->lock);
	}
	while (h->head && turn(h))
		;
	h->status.lost += h->waiting;
	pthread_mutex_unlock(&h->lock);
	store_close(h->store);
	return NULL;
}

static int start_thread(struct history *h)
{
	sigset_t all, before;
	int r;

	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&h->thread, NULL, history_main, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	h->started = r == 0;
	return -r;
}

int history_open(const struct history_conf *conf, struct history **out)
{
	struct history *h = calloc(1, sizeof(*h));
	pthread_condattr_t clock;
	int r = -ENOMEM;

	if (!h)
		return r;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&h->more, &clock);
	pthread_condattr_destroy(&clock);
	h->tail = &h->head;
	h->conf = *conf;
	h->conf.path = h->path = strdup(conf->path);
	if (h->path)
		r = start_thread(h);
	if (r < 0)
		history_close(h);
	else
		*out = h;
	return r;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_signal(&h->more);
	pthread_mutex_unlock(&h->lock);
	if (h->started)
		pthread_join(h->thread, NULL);
	free_list(h->head);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->more);
	free(h->path);
	free(h);
}

void history_status(struct history *h, struct history_status *out)
{
	pthread_mutex_lock(&h->lock);
	*out = h->status;
	out->waiting = h->waiting;
	pthread_mutex_unlock(&h->lock);
}

int history_prepare(const struct history_conf *conf, char *why, size_t why_max)
{
	struct text t = text_into(why, why_max);
	char stamp[TEXT_TIME_MAX];
	struct store *s;
	int r = store_open(conf, &t, &s);

	if (r == -EBADMSG) {
		text_time(clock_unix_ms(), stamp);
		r = db_set_aside(conf->path, stamp);
		t = text_into(why, why_max);
		if (r == 0)
			r = store_open(conf, &t, &s);
		if (r == 0)
			text_addf(&t, "%s: corrupt: moved to %s.corrupt-%s; history begins "
				"anew", conf->path, conf->path, stamp);
	}
	if (r == 0)
		store_close(s);
	return r;
}
