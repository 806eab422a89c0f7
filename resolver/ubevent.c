/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. An event is a descriptor's poll handle and a timer, of which it uses
 * what its bits say. It may be freed, or its descriptor closed, inside its own callback: the
 * handles are then closed by the loop and the memory goes with the last of them. */
#include "resolver/ubevent.h"

#include "base/macros.h"

#include <sys/time.h>
#include <unbound-event.h>
#include <uv.h>

typedef void (*event_fn)(int fd, short bits, void *arg);

struct base {
	struct ub_event_base pub;
	uv_loop_t *loop;
};

struct event {
	struct ub_event pub;
	uv_loop_t *loop;
	int fd;
	short bits;
	event_fn fn;
	void *arg;
	uv_poll_t *poll;   /* NULL: not watched */
	uv_timer_t timer;  /* open as long as the event lives */
	uint64_t every_ms; /* its time-out, counted anew from each event; 0: none */
};

static struct event *event_of(struct ub_event *e)
{
	return container_of(e, struct event, pub);
}

static void poll_closed(uv_handle_t *h)
{
	free(h);
}

static void event_closed(uv_handle_t *h)
{
	free(container_of((uv_timer_t *)h, struct event, timer));
}

static void unwatch(struct event *e)
{
	if (e->poll) {
		uv_poll_stop(e->poll);
		uv_close((uv_handle_t *)e->poll, poll_closed);
	}
	e->poll = NULL;
	uv_timer_stop(&e->timer);
}

static void on_timer(uv_timer_t *t);

static void timer_set(struct event *e)
{
	if (e->every_ms)
		uv_timer_start(&e->timer, on_timer, e->every_ms, 0);
}

/* e may be gone after this */
static void fire(struct event *e, short bits)
{
	if (!(e->bits & UB_EV_PERSIST))
		unwatch(e);
	else
		timer_set(e);
	e->fn(e->fd, bits, e->arg);
}

static void on_timer(uv_timer_t *t)
{
	fire(container_of(t, struct event, timer), UB_EV_TIMEOUT);
}

/* An error wakes whoever waits, for either: the next call on the socket tells it. */
static void on_poll(uv_poll_t *h, int status, int events)
{
	struct event *e = h->data;
	short bits = 0;

	if (status < 0)
		bits = e->bits & (UB_EV_READ | UB_EV_WRITE);
	if (events & (UV_READABLE | UV_DISCONNECT))
		bits |= UB_EV_READ;
	if (events & UV_WRITABLE)
		bits |= UB_EV_WRITE;
	if (bits & e->bits)
		fire(e, bits & e->bits);
}

static int watch(struct event *e)
{
	int events = (e->bits & UB_EV_READ ? UV_READABLE : 0) |
		(e->bits & UB_EV_WRITE ? UV_WRITABLE : 0);

	if (e->fd < 0 || !events)
		return 0;
	e->poll = malloc(sizeof(*e->poll));
	if (!e->poll)
		return -1;
	if (uv_poll_init(e->loop, e->poll, e->fd) < 0) {
		free(e->poll);
		e->poll = NULL;
		return -1;
	}
	e->poll->data = e;
	if (uv_poll_start(e->poll, events, on_poll) == 0)
		return 0;
	unwatch(e);
	return -1;
}

/* --- what libunbound calls -------------------------------------------------------------- */

static int event_add(struct ub_event *u, struct timeval *tv)
{
	struct event *e = event_of(u);

	unwatch(e);
	e->every_ms = 0;
	if (tv && e->bits & UB_EV_TIMEOUT)
		e->every_ms = MAX(1u, (uint64_t)tv->tv_sec * 1000 + (uint64_t)tv->tv_usec / 1000);
	if (watch(e) < 0)
		return -1;
	timer_set(e);
	return 0;
}

static int event_del(struct ub_event *u)
{
	unwatch(event_of(u));
	return 0;
}

static void event_bits_add(struct ub_event *u, short bits)
{
	unwatch(event_of(u));
	event_of(u)->bits |= bits;
}

static void event_bits_del(struct ub_event *u, short bits)
{
	unwatch(event_of(u));
	event_of(u)->bits &= (short)~bits;
}

static void event_fd(struct ub_event *u, int fd)
{
	unwatch(event_of(u));
	event_of(u)->fd = fd;
}

static void event_free(struct ub_event *u)
{
	struct event *e = event_of(u);

	unwatch(e);
	uv_close((uv_handle_t *)&e->timer, event_closed);
}

static int event_timer_add(struct ub_event *u, struct ub_event_base *base, event_fn fn,
	void *arg, struct timeval *tv)
{
	struct event *e = event_of(u);

	(void)base;
	e->fn = fn;
	e->arg = arg;
	e->bits |= UB_EV_TIMEOUT;
	return event_add(u, tv);
}

/* signals and Windows: libunbound never asks for them */
static int no_signal_add(struct ub_event *u, struct timeval *tv)
{
	(void)u;
	(void)tv;
	return -1;
}

static int no_signal_del(struct ub_event *u)
{
	(void)u;
	return -1;
}

static void no_wsa(struct ub_event *u)
{
	(void)u;
}

static void no_wouldblock(struct ub_event *u, int bits)
{
	(void)u;
	(void)bits;
}

static struct ub_event_vmt event_calls = { event_bits_add, event_bits_del, event_fd,
	event_free, event_add, event_del, event_timer_add, event_del, no_signal_add,
	no_signal_del, no_wsa, no_wouldblock };

static struct ub_event *event_new(struct ub_event_base *b, int fd, short bits, event_fn fn,
	void *arg)
{
	struct event *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	*e = (struct event){ .pub = { UB_EVENT_MAGIC, &event_calls }, .fd = fd, .bits = bits,
		.loop = container_of(b, struct base, pub)->loop, .fn = fn, .arg = arg };
	uv_timer_init(e->loop, &e->timer);
	return &e->pub;
}

static struct ub_event *no_signal(struct ub_event_base *b, int fd, event_fn fn, void *arg)
{
	(void)b;
	(void)fd;
	(void)fn;
	(void)arg;
	return NULL;
}

static struct ub_event *no_event(struct ub_event_base *b, void *wsa, event_fn fn, void *arg)
{
	(void)wsa;
	return no_signal(b, -1, fn, arg);
}

static int no_dispatch(struct ub_event_base *b)
{
	(void)b;
	return -1;
}

static int no_exit(struct ub_event_base *b, struct timeval *tv)
{
	(void)b;
	(void)tv;
	return -1;
}

static struct ub_event_base_vmt base_calls = { ubevent_free, no_dispatch, no_exit, event_new,
	no_signal, no_event };

struct ub_event_base *ubevent_new(struct uv_loop_s *loop)
{
	struct base *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->pub = (struct ub_event_base){ UB_EVENT_MAGIC, &base_calls };
	b->loop = loop;
	return &b->pub;
}

void ubevent_free(struct ub_event_base *base)
{
	if (base)
		free(container_of(base, struct base, pub));
}
