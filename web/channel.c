/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/channel.h"
#include "base/clock.h"
#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum { MESSAGES_A_TURN = 512 };

struct channel {
	uv_poll_t poll;
	uv_timer_t timer; /* runs while a call waits */
	unsigned handles; /* open: the last one closed frees */
	int fd;
	struct channel_news news;
	struct channel_call *first, **last;
	unsigned waiting;
	uint32_t seq;
	bool gone;
	uint64_t bad;
};

static struct channel_call *call_take(struct channel *c, uint32_t seq)
{
	for (struct channel_call **at = &c->first; *at; at = &(*at)->next) {
		struct channel_call *call = *at;

		if (call->seq != seq)
			continue;
		*at = call->next;
		if (!*at)
			c->last = at;
		c->waiting--;
		return call;
	}
	return NULL;
}

static struct channel_call *call_find(struct channel *c, uint32_t seq)
{
	struct channel_call *call = c->first;

	while (call && call->seq != seq)
		call = call->next;
	return call;
}

static void on_late(uv_timer_t *t);

static void timer_set(struct channel *c)
{
	int64_t left;

	if (!c->first) {
		uv_timer_stop(&c->timer);
		return;
	}
	left = c->first->deadline_ms - clock_boot_ms();
	uv_timer_start(&c->timer, on_late, (uint64_t)MAX(left, 1), 0);
}

static void on_late(uv_timer_t *t)
{
	struct channel *c = t->data;
	int64_t now = clock_boot_ms();

	while (c->first && c->first->deadline_ms <= now) {
		struct channel_call *call = call_take(c, c->first->seq);

		call->done(call, NULL);
	}
	timer_set(c);
}

/* what answers a call that nobody waits for any more came late: dropped */
static void deliver_answer(struct channel *c, const struct link_any *m)
{
	struct channel_call *call;

	if (m->head.type != LINK_DONE) {
		call = call_find(c, m->head.seq);
		if (call && call->got)
			call->got(call, m);
		return;
	}
	call = call_take(c, m->head.seq);
	if (call)
		call->done(call, &m->u.done);
	timer_set(c);
}

static void deliver(struct channel *c, const struct link_any *m)
{
	switch ((enum link_type)m->head.type) {
	case LINK_HELLO:
		c->news.hello(c->news.ctx, m->u.hello.boot);
		return;
	case LINK_PROGRAM:
		c->news.program(c->news.ctx, &m->u.program);
		return;
	case LINK_FLOW:
		c->news.flow(c->news.ctx, &m->u.flow);
		return;
	case LINK_BYTES:
		if (c->news.counts)
			c->news.counts(c->news.ctx, &m->u.bytes);
		return;
	case LINK_CHANGED:
		c->news.changed(c->news.ctx, &m->u.changed);
		return;
	case LINK_HISTORY:
		if (c->news.history)
			c->news.history(c->news.ctx, &m->u.history);
		return;
	default:
		deliver_answer(c, m);
	}
}

static void end(struct channel *c)
{
	if (c->gone)
		return;
	c->gone = true;
	uv_poll_stop(&c->poll);
	c->news.gone(c->news.ctx);
}

/* false: nothing more for now */
static bool read_one(struct channel *c)
{
	union {
		struct link_any m;
		char bytes[LINK_BODY_MAX + sizeof(struct link_head)];
	} in;
	ssize_t n = recv(c->fd, &in, sizeof(in), MSG_DONTWAIT);

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0) {
		end(c);
		return false;
	}
	if (link_check(&in, (size_t)n, true) < 0)
		c->bad++;
	else
		deliver(c, &in.m);
	return true;
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	struct channel *c = p->data;

	(void)events;
	if (status < 0) {
		end(c);
		return;
	}
	/* a flood of news must not keep HTTP waiting: the rest comes next turn */
	for (int i = 0; i < MESSAGES_A_TURN; i++) {
		if (!read_one(c))
			return;
	}
}

static int send_message(struct channel *c, enum link_type type, uint32_t seq,
	const void *body)
{
	struct link_any m = { .head = { .type = (uint16_t)type, .seq = seq } };
	size_t len = link_size((uint16_t)type);

	if (c->gone)
		return -EAGAIN;
	if (body)
		memcpy(&m.u, body, len - sizeof(m.head));
	if (send(c->fd, &m, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		return 0;
	return -EAGAIN;
}

int channel_tell(struct channel *c, enum link_type type, const void *body)
{
	return send_message(c, type, 0, body);
}

static void on_closed(uv_handle_t *h)
{
	struct channel *c = h->data;

	if (--c->handles == 0)
		free(c);
}

int channel_open(struct uv_loop_s *loop, int fd, const struct channel_news *news,
	struct channel **out)
{
	static const struct link_hello hello;
	struct channel *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->fd = fd;
	c->news = *news;
	c->last = &c->first;
	r = uv_poll_init(loop, &c->poll, fd);
	if (r < 0) {
		free(c);
		return r;
	}
	uv_timer_init(loop, &c->timer);
	c->poll.data = c->timer.data = c;
	c->handles = 2;
	r = uv_poll_start(&c->poll, UV_READABLE, on_readable);
	if (r < 0) {
		c->fd = -1;
		channel_close(c);
		return r;
	}
	send_message(c, LINK_HELLO, 0, &hello); /* a core that is away says it by itself */
	*out = c;
	return 0;
}

void channel_close(struct channel *c)
{
	if (!c)
		return;
	while (c->first) {
		struct channel_call *call = call_take(c, c->first->seq);

		call->done(call, NULL);
	}
	uv_close((uv_handle_t *)&c->poll, on_closed);
	uv_close((uv_handle_t *)&c->timer, on_closed);
	if (c->fd >= 0)
		close(c->fd);
}

int channel_ask(struct channel *c, enum link_type type, const void *body,
	struct channel_call *call)
{
	uint32_t seq;
	int r;

	if (c->waiting >= CHANNEL_CALLS_MAX)
		return -ENOBUFS;
	seq = ++c->seq ? c->seq : ++c->seq; /* 0 is for events */
	r = send_message(c, type, seq, body);
	if (r < 0)
		return r;
	call->seq = seq;
	call->deadline_ms = clock_boot_ms() + CHANNEL_WAIT_MS;
	call->next = NULL;
	*c->last = call;
	c->last = &call->next;
	c->waiting++;
	if (c->first == call)
		timer_set(c);
	return 0;
}

uint64_t channel_bad(const struct channel *c)
{
	return c->bad;
}
