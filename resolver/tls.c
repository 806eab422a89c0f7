/* SPDX-License-Identifier: GPL-2.0-or-later
 * DNS over TLS (RFC 7858): one connection to a server, many queries in it.
 *
 * Theory of operation. curl connects and shakes hands; after that the socket is ours to
 * watch and curl only encrypts. The tries stand in one list, oldest first: those that were
 * sent, then those that wait (first of them: unsent). Each has an id of its own on the wire,
 * whose low bits are its place in `sent`; replies come in any order. A connection that
 * breaks with queries in it is made anew and they are sent again, once each: servers close
 * idle ones, and that may cross a query. So is one that let a query time out and was silent
 * since. Without queries it is closed after a while. Memory of a closed transport goes when
 * its timer's handle is closed: not while a reply is read from it. */
#include "resolver/multi.h"
#include "resolver/pad.h"
#include "resolver/record.h"
#include "resolver/transport.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
	TIMEOUT_MS = 2500,
	IDLE_MS = 20000,
	SENT_MAX = 256,      /* in one connection at a time, a power of two */
	FRAME_HEAD = 2,
	REPLY_MAX = FRAME_HEAD + WIRE_MAX,
};

struct try {
	struct try *next, *prev;
	struct transport *owner;
	try_done done;       /* NULL: forgotten, half written */
	void *ctx;
	int64_t deadline_ms, sent_ms;
	unsigned round;
	bool sent, again;    /* again: it was in a connection that broke */
	uint16_t id;         /* on the wire, once any of it was written */
	uint8_t asked_id[2];
	size_t len, written;
	uint8_t frame[FRAME_HEAD + PADDED_MAX];
};

struct watch {
	uv_poll_t poll;
	struct transport *owner;
};

/* a connection: made (no watch), up (a watch), or none (no easy) */
struct link {
	struct multi *multi;
	CURL *easy;
	struct watch *watch;
	char error[CURL_ERROR_SIZE];
	int64_t heard_ms;
	uint16_t ids;
	struct try *sent[SENT_MAX];
	unsigned nsent;
	size_t have;
	uint8_t in[REPLY_MAX];
};

struct transport {
	struct uv_loop_s *loop;
	struct secure way;
	unsigned timeout_ms;
	uv_timer_t timer;
	bool closed;
	unsigned round;      /* of failing: which tries are to fail together */
	struct try *first, *last, *unsent;
	struct link link;
	char why[UPSTREAM_WHY_MAX];
};

/* --- the list of tries ---------------------------------------------------------------------- */

static void try_append(struct transport *t, struct try *try)
{
	try->round = t->round;
	try->prev = t->last;
	if (t->last)
		t->last->next = try;
	else
		t->first = try;
	t->last = try;
	if (!t->unsent)
		t->unsent = try;
}

static void slot_free(struct link *l, struct try *try)
{
	struct try **slot = &l->sent[try->id % SENT_MAX];

	if (*slot != try)
		return;
	*slot = NULL;
	l->nsent--;
}

static void try_unlink(struct try *try)
{
	struct transport *t = try->owner;

	slot_free(&t->link, try);
	if (t->unsent == try)
		t->unsent = try->next;
	if (try->prev)
		try->prev->next = try->next;
	else
		t->first = try->next;
	if (try->next)
		try->next->prev = try->prev;
	else
		t->last = try->prev;
}

static void try_end(struct try *try, int r, const uint8_t *msg, size_t len)
{
	try_done done = try->done;
	void *ctx = try->ctx;

	try_unlink(try);
	free(try);
	if (done)
		done(ctx, r, msg, len);
}

/* Ends those that are there now: what their ends bring is for another connection. */
static void fail_all(struct transport *t, int r)
{
	unsigned round = t->round++;

	while (t->first && (int)(t->first->round - round) <= 0 && !t->closed)
		try_end(t->first, r, NULL, 0);
}

/* --- the connection ------------------------------------------------------------------------- */

static void on_watch_closed(uv_handle_t *h)
{
	free(container_of((uv_poll_t *)h, struct watch, poll));
}

static void link_close(struct transport *t)
{
	struct link *l = &t->link;

	if (l->watch) {
		uv_poll_stop(&l->watch->poll);
		uv_close((uv_handle_t *)&l->watch->poll, on_watch_closed);
	}
	if (l->easy) {
		multi_remove(l->multi, l->easy);
		curl_easy_cleanup(l->easy);
	}
	multi_close(l->multi);
	l->watch = NULL;
	l->easy = NULL;
	l->multi = NULL;
	l->have = 0;
	memset(l->sent, 0, sizeof(l->sent));
	l->nsent = 0;
}

static void on_connected(void *ctx, CURL *easy, CURLcode code);

static int link_open(struct transport *t)
{
	struct link *l = &t->link;
	int r = multi_open(t->loop, on_connected, t, &l->multi);

	if (r < 0)
		return r;
	l->easy = secure_easy(&t->way, l->error);
	if (!l->easy) {
		link_close(t);
		return -ENOMEM;
	}
	curl_easy_setopt(l->easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(l->easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
	r = multi_add(l->multi, l->easy);
	if (r < 0)
		link_close(t);
	return r;
}

/* what was under way waits again, but for what was lost once before */
static void link_lost(struct transport *t, int r)
{
	struct try *next;

	link_close(t);
	for (struct try *try = t->first; try; try = next) {
		next = try->next;
		if (!try->done) { /* forgotten: nobody misses it */
			try_unlink(try);
			free(try);
			continue;
		}
		if (try->sent && try->again)
			try->deadline_ms = 0;
		try->again = try->again || try->sent;
		try->sent = false;
		try->written = 0;
	}
	t->unsent = t->first;
	while (t->first && t->first->deadline_ms == 0 && !t->closed)
		try_end(t->first, r, NULL, 0);
	if (t->closed || !t->first || t->link.easy)
		return;
	r = link_open(t);
	if (r < 0)
		fail_all(t, r);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void link_watch(struct transport *t)
{
	struct link *l = &t->link;
	bool write = t->unsent && (l->nsent < SENT_MAX || t->unsent->written);

	if (l->watch)
		uv_poll_start(&l->watch->poll, UV_READABLE | (write ? UV_WRITABLE : 0),
			on_poll);
}

/* The oldest of those that were sent and are not through: a place and an id */
static void id_give(struct link *l, struct try *try)
{
	do
		l->ids++;
	while (l->sent[l->ids % SENT_MAX]);
	try->id = l->ids;
	put_u16(try->frame + FRAME_HEAD, try->id);
	l->sent[try->id % SENT_MAX] = try;
	l->nsent++;
}

/* false: the connection is lost */
static bool write_tries(struct transport *t)
{
	struct link *l = &t->link;

	while (t->unsent) {
		struct try *try = t->unsent;
		CURLcode code;
		size_t n = 0;

		if (try->written == 0 && l->nsent == SENT_MAX)
			return true;
		if (try->written == 0 && l->sent[try->id % SENT_MAX] != try)
			id_give(l, try);
		code = curl_easy_send(l->easy, try->frame + try->written,
			try->len - try->written, &n);
		if (code == CURLE_AGAIN)
			return true;
		if (code != CURLE_OK)
			return false;
		try->written += n;
		if (try->written < try->len)
			continue;
		try->sent = true;
		try->sent_ms = clock_boot_ms();
		t->unsent = try->next;
		if (!try->done) {
			try_unlink(try);
			free(try);
		}
	}
	return true;
}

static void on_message(struct transport *t, uint8_t *msg, size_t len)
{
	uint16_t id = (uint16_t)(msg[0] << 8 | msg[1]);
	struct try *try = t->link.sent[id % SENT_MAX];

	if (!try || try->id != id || !try->sent)
		return; /* late: it was forgotten, or timed out */
	memcpy(msg, try->asked_id, 2);
	try_end(try, 0, msg, len);
}

static void read_messages(struct transport *t)
{
	struct link *l = &t->link;
	size_t at = 0;

	while (l->have - at >= FRAME_HEAD && !t->closed) {
		size_t len = (size_t)l->in[at] << 8 | l->in[at + 1];

		if (l->have - at < FRAME_HEAD + len)
			break;
		if (len >= WIRE_HEAD)
			on_message(t, l->in + at + FRAME_HEAD, len);
		at += FRAME_HEAD + len;
	}
	memmove(l->in, l->in + at, l->have - at);
	l->have -= at;
}

/* false: the connection is lost */
static bool read_replies(struct transport *t)
{
	struct link *l = &t->link;

	while (!t->closed) {
		size_t n = 0;
		CURLcode code = curl_easy_recv(l->easy, l->in + l->have,
			sizeof(l->in) - l->have, &n);

		if (code == CURLE_AGAIN)
			return true;
		if (code != CURLE_OK || n == 0)
			return false;
		l->have += n;
		l->heard_ms = clock_boot_ms();
		read_messages(t);
	}
	return true;
}

static void timer_set(struct transport *t);

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct transport *t = container_of(poll, struct watch, poll)->owner;
	bool good = status == 0;

	if (good && events & UV_READABLE)
		good = read_replies(t);
	if (good && !t->closed)
		good = write_tries(t);
	if (t->closed)
		return;
	if (good)
		link_watch(t);
	else
		link_lost(t, -ECONNRESET);
	timer_set(t);
}

static int watch_open(struct transport *t)
{
	struct watch *w = calloc(1, sizeof(*w));
	curl_socket_t fd = CURL_SOCKET_BAD;
	int r;

	if (!w)
		return -ENOMEM;
	curl_easy_getinfo(t->link.easy, CURLINFO_ACTIVESOCKET, &fd);
	r = fd == CURL_SOCKET_BAD ? -ECONNRESET : uv_poll_init(t->loop, &w->poll, fd);
	if (r < 0) {
		free(w);
		return r;
	}
	w->owner = t;
	t->link.watch = w;
	return 0;
}

static void on_connected(void *ctx, CURL *easy, CURLcode code)
{
	struct transport *t = ctx;
	struct link *l = &t->link;
	int r = from_curl(code);

	(void)easy;
	if (r == 0)
		r = watch_open(t);
	if (r == 0) {
		t->why[0] = '\0';
		l->heard_ms = clock_boot_ms();
		link_watch(t);
	} else {
		text_copy(t->why, sizeof(t->why),
			l->error[0] ? l->error : curl_easy_strerror(code));
		link_close(t);
		fail_all(t, r);
	}
	if (!t->closed)
		timer_set(t);
}

/* --- time ----------------------------------------------------------------------------------- */

/* Is the connection dead though nobody says so? */
static bool stalled(const struct transport *t, const struct try *try)
{
	return t->link.watch &&
		(!try->sent ? try->written > 0 : t->link.heard_ms < try->sent_ms);
}

static void on_timer(uv_timer_t *timer)
{
	struct transport *t = container_of(timer, struct transport, timer);
	int64_t now_ms = clock_boot_ms();
	bool lost = false;

	if (!t->first)
		link_close(t); /* idle */
	while (!t->closed && t->first && t->first->deadline_ms <= now_ms) {
		lost = lost || stalled(t, t->first);
		try_end(t->first, -ETIMEDOUT, NULL, 0);
	}
	if (t->closed)
		return;
	if (lost)
		link_lost(t, -ETIMEDOUT);
	if (!t->closed)
		timer_set(t);
}

static void timer_set(struct transport *t)
{
	int64_t ms = IDLE_MS;

	if (t->first) {
		ms = t->first->deadline_ms - clock_boot_ms();
	} else if (!t->link.easy) {
		uv_timer_stop(&t->timer);
		return;
	}
	uv_timer_start(&t->timer, on_timer, (uint64_t)MAX(ms, 0), 0);
}

/* --- the transport -------------------------------------------------------------------------- */

static int tls_open(struct uv_loop_s *loop, const struct upstream *to,
	const struct resolver_conf *conf, struct transport **out)
{
	struct transport *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->loop = loop;
	t->timeout_ms = conf->timeout_ms ? conf->timeout_ms : TIMEOUT_MS;
	r = secure_init(&t->way, to, conf, t->timeout_ms);
	if (r < 0) {
		free(t);
		return r;
	}
	uv_timer_init(loop, &t->timer);
	*out = t;
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct transport *t = container_of((uv_timer_t *)h, struct transport, timer);

	while (t->first)
		try_end(t->first, -ECANCELED, NULL, 0);
	secure_done(&t->way);
	free(t);
}

static void tls_close(struct transport *t)
{
	t->closed = true;
	link_close(t);
	uv_timer_stop(&t->timer);
	uv_close((uv_handle_t *)&t->timer, on_closed);
}

static int tls_send(struct transport *t, const uint8_t *msg, size_t len, try_done done,
	void *ctx, struct try **out)
{
	struct try *try = calloc(1, sizeof(*try));
	size_t padded;

	if (!try)
		return -ENOMEM;
	padded = query_pad(msg, len, false, try->frame + FRAME_HEAD);
	put_u16(try->frame, (uint16_t)padded);
	memcpy(try->asked_id, msg, 2);
	try->owner = t;
	try->done = done;
	try->ctx = ctx;
	try->len = FRAME_HEAD + padded;
	try->deadline_ms = clock_boot_ms() + t->timeout_ms;
	try_append(t, try);
	if (!t->link.easy) {
		int r = link_open(t);

		if (r < 0) {
			try_unlink(try);
			free(try);
			return r;
		}
	}
	link_watch(t);
	timer_set(t);
	*out = try;
	return 0;
}

static void tls_forget(struct try *try)
{
	struct transport *t = try->owner;

	try->done = NULL;
	if (try->written && !try->sent)
		return; /* what follows would be taken for its rest */
	try_unlink(try);
	free(try);
	if (!t->closed)
		timer_set(t);
}

static const char *tls_why(const struct transport *t)
{
	return t->why;
}

const struct transport_kind tls_transport = { tls_open, tls_close, tls_send, tls_forget,
	tls_why };
