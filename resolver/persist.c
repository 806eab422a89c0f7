/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. One job at a time is with the thread: at first reading, later
 * writing. What was read goes into the cache a part each turn of the loop, oldest use first,
 * behind what came meanwhile. What is written are answers held for the thread, which reads
 * their bytes alone. round is raised when what is under way became untrue (other servers, a
 * flush): its result is dropped then, and the file it wrote. */
#include "resolver/persist.h"
#include "resolver/cachefile.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/loop.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

enum {
	SAVE_EACH_MS = 300000,
	PART = 256,      /* entries put back in a turn */
	SAID_MAX = PATH_MAX + 128,
};

struct work {
	struct job job;
	struct persist *owner;
	bool writes;
	unsigned round;
	struct cachefile_now now;
	struct cache_kept *list;
	size_t n;
	const char *why;
};

struct persist {
	struct cache *cache;
	char path[PATH_MAX];
	uint64_t owner;
	struct ttl_limits ttl;
	void (*said)(void *ctx, const char *what);
	void *ctx;
	struct worker *worker;
	uv_timer_t *save, *restore;
	struct work work;
	bool busy, read;          /* a job is under way; the file was looked at */
	bool settled;             /* and what was in it is in the cache: it may be written */
	unsigned round;
	struct cache_kept *back;  /* on its way into the cache, from next on */
	size_t nback, next;
};

static void say(struct persist *p, const char *what, const char *why)
{
	char text[SAID_MAX];

	snprintf(text, sizeof(text), "%s %s: %s", p->path, what, why);
	if (p->said)
		p->said(p->ctx, text);
}

/* --- on the thread ---------------------------------------------------------------------- */

static int work_read(struct work *w)
{
	auto_free char *bytes = NULL;
	size_t len;
	int r = io_read_file(w->owner->path, CACHEFILE_MAX, &bytes, &len);

	if (r < 0)
		return r;
	return cachefile_read((uint8_t *)bytes, len, &w->now, &w->owner->ttl, &w->list, &w->n,
		&w->why);
}

/* beside it and over it: there is always a whole one */
static int work_write(struct work *w)
{
	char part[PATH_MAX + 8];
	auto_free uint8_t *bytes = NULL;
	auto_close int fd = -1;
	size_t len;
	int r = cachefile_write(w->list, w->n, &w->now, &bytes, &len);

	if (r < 0)
		return r;
	snprintf(part, sizeof(part), "%s.part", w->owner->path);
	unlink(part);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, bytes, len);
	if (r == 0 && rename(part, w->owner->path) < 0)
		r = -errno;
	if (r < 0)
		unlink(part);
	return r;
}

static void work_run(void *ctx, struct job *batch)
{
	(void)ctx;
	for (struct job *j = batch; j; j = j->next) {
		struct work *w = container_of(j, struct work, job);

		j->result = w->writes ? work_write(w) : work_read(w);
	}
}

/* --- reading it back --------------------------------------------------------------------- */

static void back_drop(struct persist *p)
{
	for (size_t i = p->next; i < p->nback; i++)
		answer_release(p->back[i].answer);
	free(p->back);
	p->back = NULL;
	p->nback = p->next = 0;
	uv_timer_stop(p->restore);
}

static void on_restore(uv_timer_t *timer)
{
	struct persist *p = timer->data;
	size_t end = MIN(p->next + PART, p->nback);

	for (; p->next < end; p->next++) {
		const struct cache_kept *k = &p->back[p->next];
		struct cache_key key = { .name = k->answer->read->qname,
			.type = k->answer->read->qtype, .klass = 1,
			.dnssec_ok = k->dnssec_ok,
			.checking_disabled = k->checking_disabled };

		cache_restore(p->cache, &key, k->answer, k->stored_ms, clock_boot_ms());
		answer_release(k->answer);
	}
	if (p->next < p->nback)
		return;
	back_drop(p);
	p->settled = true;
}

static void on_read(struct persist *p, struct work *w)
{
	p->settled = w->job.result < 0 && w->job.result != -ECANCELED;
	if (w->job.result == -ENOENT || w->job.result == -ECANCELED)
		return;
	if (w->job.result < 0) {
		say(p, "is not used", w->why ? w->why : strerror(-w->job.result));
		return;
	}
	if (w->round != p->round) {
		p->settled = true;
		cachefile_free(w->list, w->n);
		return;
	}
	p->back = w->list;
	p->nback = w->n;
	p->next = 0;
	uv_timer_start(p->restore, on_restore, 0, 1);
}

static void on_written(struct persist *p, struct work *w)
{
	cachefile_free(w->list, w->n);
	if (w->job.result < 0 && w->job.result != -ECANCELED)
		say(p, "cannot be written", strerror(-w->job.result));
	if (w->round != p->round)
		unlink(p->path);
}

static void on_work(struct job *job)
{
	struct work *w = container_of(job, struct work, job);
	struct persist *p = w->owner;

	p->busy = false;
	if (w->writes)
		on_written(p, w);
	else
		on_read(p, w);
}

/* --- starting jobs ----------------------------------------------------------------------- */

static void work_begin(struct persist *p, bool writes)
{
	p->work = (struct work){ .job.done = on_work, .owner = p, .writes = writes,
		.round = p->round, .now = { p->owner, clock_unix_ms(), clock_boot_ms() } };
}

/* true: there is something to write */
static bool work_collect(struct persist *p)
{
	struct work *w = &p->work;

	work_begin(p, true);
	w->list = malloc(CACHEFILE_ENTRIES_MAX * sizeof(*w->list));
	if (w->list)
		w->n = cache_kept(p->cache, w->list, CACHEFILE_ENTRIES_MAX);
	if (w->n)
		return true;
	free(w->list);
	return false;
}

static void work_give(struct persist *p)
{
	p->busy = worker_give(p->worker, &p->work.job) == 0;
	if (!p->busy && p->work.writes)
		cachefile_free(p->work.list, p->work.n);
}

static void read_file(struct persist *p)
{
	if (p->read || p->busy || !p->owner)
		return;
	p->read = true;
	work_begin(p, false);
	work_give(p);
}

static void on_save(uv_timer_t *timer)
{
	struct persist *p = timer->data;

	if (p->settled && !p->busy && work_collect(p))
		work_give(p);
}

bool persist_settled(const struct persist *p)
{
	return p->settled;
}

void persist_owner(struct persist *p, uint64_t owner)
{
	if (!p || p->owner == owner)
		return;
	if (p->owner)
		persist_flushed(p);
	p->owner = owner;
	read_file(p);
}

void persist_flushed(struct persist *p)
{
	if (!p)
		return;
	p->round++;
	if (p->back)
		p->settled = true;
	back_drop(p);
	unlink(p->path);
}

/* --- beginning and end ------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *h)
{
	free(h);
}

static uv_timer_t *timer_new(struct persist *p, struct uv_loop_s *loop)
{
	uv_timer_t *t = malloc(sizeof(*t));

	if (!t)
		return NULL;
	uv_timer_init(loop, t);
	t->data = p;
	return t;
}

static void timer_close(uv_timer_t *t)
{
	if (t)
		uv_close((uv_handle_t *)t, on_timer_closed);
}

/* the thread is gone */
static void write_last(struct persist *p)
{
	int r;

	if (!work_collect(p))
		return;
	r = work_write(&p->work);
	cachefile_free(p->work.list, p->work.n);
	if (r < 0)
		say(p, "cannot be written", strerror(-r));
}

int persist_open(struct uv_loop_s *loop, struct cache *cache, const struct persist_conf *conf,
	struct persist **out)
{
	struct persist *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	if (!p)
		return r;
	p->cache = cache;
	p->owner = conf->owner;
	p->ttl = conf->ttl;
	p->said = conf->said;
	p->ctx = conf->ctx;
	text_copy(p->path, sizeof(p->path), conf->path);
	p->save = timer_new(p, loop);
	p->restore = timer_new(p, loop);
	if (p->save && p->restore)
		r = worker_open(loop, "cache", 1, work_run, p, &p->worker);
	if (r < 0) {
		persist_close(p);
		return r;
	}
	uv_timer_start(p->save, on_save, SAVE_EACH_MS, SAVE_EACH_MS);
	read_file(p);
	*out = p;
	return 0;
}

void persist_close(struct persist *p)
{
	if (!p)
		return;
	worker_close(p->worker);
	if (p->settled)
		write_last(p);
	if (p->restore)
		back_drop(p);
	timer_close(p->save);
	timer_close(p->restore);
	free(p);
}
