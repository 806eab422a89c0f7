/* SPDX-License-Identifier: GPL-2.0-or-later
 * DNS over HTTPS (RFC 8484) by curl: one HTTP/2 connection to a server, many queries in it.
 *
 * Theory of operation. A try is an easy handle with its POST; those that ended are kept for
 * the next. curl keeps the connection. When a query timed out and nothing was heard since it
 * was sent, or nothing was asked for a while, the connection is given up with its multi
 * handle; what else is under way is sent again in a new one, as is, once, what broke. */
#include "resolver/multi.h"
#include "resolver/pad.h"
#include "resolver/transport.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

enum {
	TIMEOUT_MS = 2500,
	IDLE_MS = 20000,
	KEPT_MAX = 32,
	KEPT_REPLY_MAX = 4096, /* a kept handle's buffer */
	HTTP_OK = 200,
};

#define DNS_MESSAGE "application/dns-message"

struct try {
	struct try *next, **at;
	struct transport *owner;
	try_done done;
	void *ctx;
	CURL *easy;
	int64_t sent_ms;
	bool again;
	uint8_t asked_id[2];
	uint8_t *reply;
	size_t have, room;
	char error[CURL_ERROR_SIZE];
	uint8_t body[PADDED_MAX];
};

struct transport {
	struct uv_loop_s *loop;
	struct secure way;
	struct curl_slist *heads;
	unsigned timeout_ms;
	uv_timer_t timer;   /* idle */
	bool closed;
	struct multi *multi;
	struct try *tries, *kept;
	unsigned nkept;
	int64_t heard_ms;
	char why[UPSTREAM_WHY_MAX];
};

static size_t on_bytes(char *bytes, size_t one, size_t n, void *ctx)
{
	struct try *t = ctx;

	n *= one;
	t->owner->heard_ms = clock_boot_ms();
	if (n > WIRE_MAX - t->have)
		return 0;
	if (t->have + n > t->room) {
		size_t room = t->have + n < 1024 ? 1024 : WIRE_MAX;
		uint8_t *more = realloc(t->reply, room);

		if (!more)
			return 0;
		t->reply = more;
		t->room = room;
	}
	memcpy(t->reply + t->have, bytes, n);
	t->have += n;
	return n;
}

/* --- tries ---------------------------------------------------------------------------------- */

static void try_free(struct try *t)
{
	if (t->easy)
		curl_easy_cleanup(t->easy);
	free(t->reply);
	free(t);
}

static struct try *try_new(struct transport *tr)
{
	struct try *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->owner = tr;
	t->easy = secure_easy(&tr->way, t->error);
	if (!t->easy) {
		try_free(t);
		return NULL;
	}
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, tr->heads);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)tr->timeout_ms);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	return t;
}

static struct try *try_get(struct transport *tr)
{
	struct try *t = tr->kept;

	if (!t)
		return try_new(tr);
	tr->kept = t->next;
	tr->nkept--;
	return t;
}

static void try_link(struct try **list, struct try *t)
{
	t->next = *list;
	t->at = list;
	if (t->next)
		t->next->at = &t->next;
	*list = t;
}

static void try_unlink(struct try *t)
{
	*t->at = t->next;
	if (t->next)
		t->next->at = t->at;
}

static void try_put(struct try *t)
{
	struct transport *tr = t->owner;

	if (tr->closed || tr->nkept == KEPT_MAX || t->room > KEPT_REPLY_MAX) {
		try_free(t);
		return;
	}
	t->have = 0;
	t->again = false;
	t->error[0] = '\0';
	t->next = tr->kept;
	tr->kept = t;
	tr->nkept++;
}

/* --- the connection ------------------------------------------------------------------------- */

static void on_done(void *ctx, CURL *easy, CURLcode code);

static int try_start(struct try *t)
{
	struct transport *tr = t->owner;
	int r = tr->multi ? 0 : multi_open(tr->loop, on_done, tr, &tr->multi);

	t->have = 0;
	t->sent_ms = clock_boot_ms();
	return r < 0 ? r : multi_add(tr->multi, t->easy);
}

static bool is_dns(CURL *easy, char why[static UPSTREAM_WHY_MAX])
{
	const char *type = NULL;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
	if (status == HTTP_OK && type && strncasecmp(type, DNS_MESSAGE, strlen(DNS_MESSAGE)) == 0)
		return true;
	if (status != HTTP_OK)
		snprintf(why, UPSTREAM_WHY_MAX, "HTTP status %ld", status);
	else
		snprintf(why, UPSTREAM_WHY_MAX, "the reply is no " DNS_MESSAGE);
	return false;
}

static int result(struct try *t, CURLcode code)
{
	struct transport *tr = t->owner;

	if (code != CURLE_OK) {
		text_copy(tr->why, sizeof(tr->why),
			t->error[0] ? t->error : curl_easy_strerror(code));
		return from_curl(code);
	}
	tr->heard_ms = clock_boot_ms();
	if (!is_dns(t->easy, tr->why) || t->have < WIRE_HEAD)
		return -EBADMSG;
	tr->why[0] = '\0';
	memcpy(t->reply, t->asked_id, 2);
	return 0;
}

static void on_idle(uv_timer_t *timer)
{
	struct transport *tr = container_of(timer, struct transport, timer);

	if (tr->tries)
		return;
	multi_close(tr->multi);
	tr->multi = NULL;
}

static void try_end(struct try *t, int r)
{
	try_unlink(t);
	t->done(t->ctx, r, r == 0 ? t->reply : NULL, r == 0 ? t->have : 0);
	try_put(t);
}

/* a new connection for what is under way */
static void move(struct transport *tr)
{
	struct multi *old = tr->multi;
	struct try *lost = NULL, *next;

	tr->multi = NULL;
	for (struct try *t = tr->tries; t; t = next) {
		next = t->next;
		multi_remove(old, t->easy);
		if (try_start(t) == 0)
			continue;
		try_unlink(t);
		try_link(&lost, t);
	}
	multi_close(old);
	while (lost)
		try_end(lost, -ENOMEM);
}

static void on_done(void *ctx, CURL *easy, CURLcode code)
{
	struct transport *tr = ctx;
	struct try *t = NULL, *ended = NULL;
	int r;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
	multi_remove(tr->multi, easy);
	r = result(t, code);
	if (r == -ECONNRESET && !t->again) {
		t->again = true;
		if (try_start(t) == 0)
			return;
	}
	if (r == -ETIMEDOUT && tr->heard_ms < t->sent_ms) {
		try_unlink(t); /* it has had its time */
		try_link(&ended, t);
		move(tr);
	}
	try_end(t, r);
	if (!tr->closed)
		uv_timer_start(&tr->timer, on_idle, IDLE_MS, 0);
}

/* --- the transport -------------------------------------------------------------------------- */

static int https_init(struct transport *t, const struct upstream *to,
	const struct resolver_conf *conf)
{
	struct curl_slist *more;
	int r = secure_init(&t->way, to, conf, t->timeout_ms);

	if (r < 0)
		return r;
	t->heads = curl_slist_append(NULL, "Content-Type: " DNS_MESSAGE);
	more = t->heads ? curl_slist_append(t->heads, "Accept: " DNS_MESSAGE) : NULL;
	if (!more) {
		curl_slist_free_all(t->heads);
		secure_done(&t->way);
		return -ENOMEM;
	}
	return 0;
}

static int https_open(struct uv_loop_s *loop, const struct upstream *to,
	const struct resolver_conf *conf, struct transport **out)
{
	struct transport *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->loop = loop;
	t->timeout_ms = conf->timeout_ms ? conf->timeout_ms : TIMEOUT_MS;
	r = https_init(t, to, conf);
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

	while (t->tries)
		try_end(t->tries, -ECANCELED);
	curl_slist_free_all(t->heads);
	secure_done(&t->way);
	free(t);
}

static void https_close(struct transport *t)
{
	t->closed = true;
	for (struct try *try = t->tries; try; try = try->next)
		multi_remove(t->multi, try->easy);
	multi_close(t->multi);
	t->multi = NULL;
	while (t->kept) {
		struct try *try = t->kept;

		t->kept = try->next;
		try_free(try);
	}
	uv_timer_stop(&t->timer);
	uv_close((uv_handle_t *)&t->timer, on_closed);
}

static int https_send(struct transport *tr, const uint8_t *msg, size_t len, try_done done,
	void *ctx, struct try **out)
{
	struct try *t = try_get(tr);
	int r;

	if (!t)
		return -ENOMEM;
	t->done = done;
	t->ctx = ctx;
	memcpy(t->asked_id, msg, 2);
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body);
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE,
		(long)query_pad(msg, len, true, t->body));
	r = try_start(t);
	if (r < 0) {
		try_put(t);
		return r;
	}
	try_link(&tr->tries, t);
	*out = t;
	return 0;
}

static void https_forget(struct try *t)
{
	if (t->owner->multi)
		multi_remove(t->owner->multi, t->easy);
	try_unlink(t);
	try_put(t);
}

static const char *https_why(const struct transport *t)
{
	return t->why;
}

const struct transport_kind https_transport = { https_open, https_close, https_send,
	https_forget, https_why };
