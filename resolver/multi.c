/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. curl tells which sockets to watch, and when it wants to be woken:
 * one poll handle a socket, one timer. After each call into it, what has ended is told.
 * curl is never entered from its own callbacks: those only start and stop handles. */
#include "resolver/multi.h"

#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct watch {
	uv_poll_t poll;
	struct watch *next, **at;
	struct multi *owner;
	curl_socket_t fd;
};

struct multi {
	CURLM *curl; /* NULL: closed */
	uv_timer_t timer;
	struct watch *watches;
	multi_done done;
	void *ctx;
};

static void tell(struct multi *m)
{
	int left;

	while (m->curl) {
		CURLMsg *msg = curl_multi_info_read(m->curl, &left);

		if (!msg)
			return;
		if (msg->msg == CURLMSG_DONE)
			m->done(m->ctx, msg->easy_handle, msg->data.result);
	}
}

static void on_watch(uv_poll_t *poll, int status, int events)
{
	struct watch *w = container_of(poll, struct watch, poll);
	struct multi *m = w->owner;
	int what = status < 0 ? CURL_CSELECT_ERR : 0, running;

	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	curl_multi_socket_action(m->curl, w->fd, what, &running);
	tell(m);
}

static void on_watch_closed(uv_handle_t *h)
{
	free(container_of((uv_poll_t *)h, struct watch, poll));
}

static void watch_end(struct watch *w)
{
	*w->at = w->next;
	if (w->next)
		w->next->at = w->at;
	uv_poll_stop(&w->poll);
	uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

static struct watch *watch_new(struct multi *m, curl_socket_t fd)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	if (uv_poll_init(m->timer.loop, &w->poll, fd) < 0) {
		free(w);
		return NULL;
	}
	w->owner = m;
	w->fd = fd;
	w->next = m->watches;
	w->at = &m->watches;
	if (w->next)
		w->next->at = &w->next;
	m->watches = w;
	return w;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *mine)
{
	struct multi *m = ctx;
	struct watch *w = mine;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w)
			watch_end(w);
		curl_multi_assign(m->curl, fd, NULL);
		return 0;
	}
	if (!w) {
		w = watch_new(m, fd);
		if (!w)
			return 0; /* it times out */
		curl_multi_assign(m->curl, fd, w);
	}
	uv_poll_start(&w->poll, (what & CURL_POLL_IN ? UV_READABLE : 0) |
		(what & CURL_POLL_OUT ? UV_WRITABLE : 0), on_watch);
	return 0;
}

static void on_time(uv_timer_t *timer)
{
	struct multi *m = container_of(timer, struct multi, timer);
	int running;

	curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
	tell(m);
}

static int on_timer(CURLM *curl, long ms, void *ctx)
{
	struct multi *m = ctx;

	(void)curl;
	if (uv_is_closing((uv_handle_t *)&m->timer))
		return 0;
	if (ms < 0)
		uv_timer_stop(&m->timer);
	else
		uv_timer_start(&m->timer, on_time, (uint64_t)ms, 0);
	return 0;
}

int multi_open(struct uv_loop_s *loop, multi_done done, void *ctx, struct multi **out)
{
	struct multi *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->done = done;
	m->ctx = ctx;
	m->curl = curl_multi_init();
	if (!m->curl) {
		free(m);
		return -ENOMEM;
	}
	r = uv_timer_init(loop, &m->timer);
	if (r < 0) {
		curl_multi_cleanup(m->curl);
		free(m);
		return r;
	}
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_MAX_HOST_CONNECTIONS, 2L);
	*out = m;
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	free(container_of((uv_timer_t *)h, struct multi, timer));
}

void multi_close(struct multi *m)
{
	if (!m)
		return;
	uv_timer_stop(&m->timer);
	uv_close((uv_handle_t *)&m->timer, on_closed);
	curl_multi_cleanup(m->curl);
	m->curl = NULL;
	while (m->watches)
		watch_end(m->watches);
}

int multi_add(struct multi *m, CURL *easy)
{
	return curl_multi_add_handle(m->curl, easy) == CURLM_OK ? 0 : -ENOMEM;
}

void multi_remove(struct multi *m, CURL *easy)
{
	curl_multi_remove_handle(m->curl, easy);
}
