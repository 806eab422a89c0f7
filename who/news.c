/* SPDX-License-Identifier: GPL-2.0-or-later
 * What happens to processes, from the kernel's ring to the tables. The ring is news only:
 * what was lost there (the kernel counts it) is made good by another walk over everybody
 * who is alive and by the numbers' pages. */
#include "who/state.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "who/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <bpf/libbpf.h>

enum { TURN_US = 3000, TICK_MS = 1000, BUSY_TICK_MS = 20, CGROUPS = 256,
	CGROUP_HANDLE = 0xfe };

struct cgroup_name {
	uint64_t id;
	char path[256];
};

struct news {
	struct who *w;
	struct ring_buffer *ring;
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned open;      /* handles not closed yet */
	uint64_t lost;      /* as counted when it was last made good */
	int64_t until_us;   /* of this turn */
	int64_t tick_ms;
	struct bpf_link *link; /* of the walk that makes good what was lost */
	struct iter *it;       /* NULL: none under way */
	uint32_t met;          /* how far the numbers have been gone through since */
	struct cgroup_name cgroups[CGROUPS]; /* by id, one a slot */
};

/* the path of a cgroup by its id, which is its file handle; "" when it is gone */
static int cgroup_path(const struct who *w, uint64_t id, char *out, size_t max)
{
	union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} h = { .head = { .handle_bytes = sizeof(id), .handle_type = CGROUP_HANDLE } };
	char link[64], full[512], root[256];
	auto_close int fd = -1;
	size_t above;
	ssize_t n;

	memcpy(h.head.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(w->scope_fd, &h.head, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full) - 1);
	if (n < 0)
		return -errno;
	full[n] = '\0';
	/* the scope's own path, and the same below its mount, say where the mount is */
	text_copy(root, sizeof(root), w->scope);
	above = strlen(root);
	if (strcmp(w->scope_below, "/") != 0 && above >= strlen(w->scope_below))
		above -= strlen(w->scope_below);
	text_copy(out, max, (size_t)n > above ? full + above : "/");
	return 0;
}

static const char *cgroup_of(struct news *s, uint64_t id)
{
	struct cgroup_name *c = &s->cgroups[id % CGROUPS];

	if (c->id != id) {
		c->path[0] = '\0';
		c->id = cgroup_path(s->w, id, c->path, sizeof(c->path)) == 0 ? id : 0;
	}
	return c->path;
}

static void process_fill(struct news *s, const struct who_walk *e, bool believed,
	struct process *p)
{
	memset(p, 0, sizeof(*p));
	p->pid = (int32_t)e->head.tgid;
	p->start = e->head.start;
	p->parent = (int32_t)e->head.parent;
	p->uid = e->head.uid;
	path_show(&e->path, believed, p->path, sizeof(p->path));
	text_copy(p->cgroup, sizeof(p->cgroup), cgroup_of(s, e->head.cgroup));
}

/* The look that keeps an executable known whatever is put in its place later. Does its
 * path name it? */
static bool look_at(struct who *w, const struct who_walk *e)
{
	char path[PROGRAM_PATH_MAX];
	bool believed, news = false;
	struct image *i;

	if (!path_lookable(&e->path))
		return false;
	i = image_get(w, &e->exe);
	if (!i)
		return false;
	path_build(&e->path, path, sizeof(path));
	believed = image_look(w, i, path, &news);
	if (news && i->programs)
		identity_refresh(w, i);
	return believed;
}

/* NULL: it has no number yet, since it never made a socket */
static const struct program *program_of_exec(struct who *w, const struct who_exec *e)
{
	uint32_t n = number_find(w, &e->what.exe, e->what.head.uid);

	return n ? who_actor(w, n) : NULL;
}

static void on_exec_event(struct news *s, const struct who_exec *e)
{
	struct process p;

	process_fill(s, &e->what, look_at(s->w, &e->what), &p);
	path_args(e->args, MIN(e->args_len, (uint32_t)WHO_ARGS_MAX), p.args, sizeof(p.args));
	processes_exec(s->w->processes, &p);
	if (s->w->calls.exec)
		s->w->calls.exec(s->w->calls.ctx, &p, program_of_exec(s->w, e));
}

static void on_walk(void *ctx, const void *record)
{
	const struct who_walk *e = record;
	struct news *s = ctx;
	struct process p, now;
	auto_close int dir = -1;

	process_fill(s, e, look_at(s->w, e), &p);
	dir = proc_open(p.pid);
	if (dir >= 0 && proc_read(dir, &now) == 0)
		text_copy(p.args, sizeof(p.args), now.args);
	processes_exec(s->w->processes, &p);
}

static void walk_end(struct news *s)
{
	iter_close(s->it);
	bpf_link__destroy(s->link);
	s->it = NULL;
	s->link = NULL;
}

static int walk_begin(struct news *s)
{
	struct iter_about all = { .map_fd = -1 };
	int r = iter_link(s->w, ITER_WALK, all, &s->link);

	s->lost = s->w->meta->stats[WHO_RING_LOST];
	s->met = 1;
	if (r == 0)
		r = iter_open(s->link, sizeof(struct who_walk), &s->it);
	if (r < 0)
		walk_end(s);
	return r;
}

/* some forty processes, or as many numbers, a step */
static void walk_step(struct news *s)
{
	if (s->it && iter_step(s->it, on_walk, s) <= 0)
		walk_end(s);
	else if (!s->it && s->met <= ACTOR_MAX)
		identity_catch_up(s->w, &s->met);
}

static bool walking(const struct news *s)
{
	return s->it || s->met <= ACTOR_MAX;
}

static int on_event(void *ctx, void *data, size_t size)
{
	const struct who_event *e = data;
	struct news *s = ctx;
	struct processes *t = s->w->processes;

	if (size < sizeof(*e))
		return 0;
	switch (e->kind) {
	case WHO_EV_EXEC:
		if (size >= sizeof(struct who_exec))
			on_exec_event(s, data);
		break;
	case WHO_EV_FORK:
		processes_fork(t, (int32_t)e->tgid, e->start, (int32_t)e->parent, e->uid);
		break;
	case WHO_EV_EXIT:
		processes_exit(t, (int32_t)e->tgid, e->start, clock_boot_ms());
		break;
	case WHO_EV_NUMBER:
		identity_meet(s->w, e->actor);
		break;
	}
	/* the rest next turn: nobody waits for the ring */
	return clock_boot_us() > s->until_us ? -EAGAIN : 0;
}

static void on_ring(uv_poll_t *poll, int status, int events)
{
	struct news *s = poll->data;

	(void)events;
	if (status < 0)
		return;
	s->until_us = clock_boot_us() + TURN_US;
	ring_buffer__consume(s->ring);
}

static void on_tick(uv_timer_t *timer)
{
	struct news *s = timer->data;
	int64_t now = clock_boot_ms();
	uint64_t every;

	sweep_tick(s->w, now);
	walk_step(s);
	if (now - s->tick_ms >= TICK_MS) {
		s->tick_ms = now;
		processes_expire(s->w->processes, now);
		if (!walking(s) && s->w->meta->stats[WHO_RING_LOST] != s->lost)
			walk_begin(s);
	}
	every = walking(s) || sweep_running(s->w) ? BUSY_TICK_MS : TICK_MS;
	if (uv_timer_get_repeat(timer) != every)
		uv_timer_start(timer, on_tick, every, every);
}

static void on_closed(uv_handle_t *handle)
{
	struct news *s = handle->data;

	if (--s->open > 0)
		return;
	ring_buffer__free(s->ring);
	free(s);
}

static int handles_start(struct news *s)
{
	int r = uv_poll_init(s->w->loop, &s->poll, ring_buffer__epoll_fd(s->ring));

	if (r < 0)
		return r;
	s->open++;
	s->poll.data = s;
	r = uv_timer_init(s->w->loop, &s->timer);
	if (r < 0)
		return r;
	s->open++;
	s->timer.data = s;
	r = uv_poll_start(&s->poll, UV_READABLE, on_ring);
	return r < 0 ? r : uv_timer_start(&s->timer, on_tick, TICK_MS, TICK_MS);
}

int news_start(struct who *w)
{
	struct news *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->w = w;
	w->news = s;
	s->ring = ring_buffer__new(map_fd(w, MAP_NEWS), on_event, s, NULL);
	r = s->ring ? handles_start(s) : -errno;
	if (r == 0)
		r = walk_begin(s);
	if (r < 0) {
		news_stop(w);
		return r;
	}
	while (walking(s))
		walk_step(s);
	return 0;
}

void news_stop(struct who *w)
{
	struct news *s = w->news;

	w->news = NULL;
	if (!s)
		return;
	walk_end(s);
	if (s->open == 0) { /* no handle yet: nothing to wait for */
		ring_buffer__free(s->ring);
		free(s);
		return;
	}
	if (s->open > 1)
		uv_close((uv_handle_t *)&s->timer, on_closed);
	uv_close((uv_handle_t *)&s->poll, on_closed);
}
