/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/http.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum {
	SWEEP_MS = 1000,
	IDLE_KEPT = 48,             /* with more connections than this, idle ones are cut */
	HEADERS_MAX = 32 * 1024,    /* libmicrohttpd's buffer of one connection */
	DISCARD_MAX = 1024 * 1024,  /* of a body that is too long, before we hang up */
	STREAM_BLOCK = 16 * 1024,
};

/* a connection; in the order made */
struct line {
	struct peer peer;
	struct http *http;
	struct line *next, **at;
	int fd;
	int64_t deadline_ms; /* 0: none (a stream) */
	bool idle;           /* between requests, or before the first is complete */
	bool cut;
};

struct http {
	struct http_conf conf;
	struct MHD_Daemon *mhd;
	uv_poll_t poll;
	uv_timer_t timer, sweep;
	unsigned handles;
	struct line *lines, **last;
	unsigned nlines;
};

static void drive(struct http *h);

static void on_timer(uv_timer_t *t)
{
	drive(t->data);
}

/* lets the daemon work and arms the timer for when it wants to again */
static void drive(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(h->mhd);
	if (MHD_get_timeout(h->mhd, &ms) == MHD_YES)
		uv_timer_start(&h->timer, on_timer, ms, 0);
	else
		uv_timer_stop(&h->timer);
}

/* soon, not now: we may be inside MHD_run */
static void drive_soon(struct http *h)
{
	uv_timer_start(&h->timer, on_timer, 0, 0);
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	(void)status;
	(void)events;
	drive(p->data);
}

/* connections */

/* libmicrohttpd has no call that ends a connection: it sees the end of the stream */
static void hang_up(struct line *l)
{
	shutdown(l->fd, SHUT_RDWR);
	l->deadline_ms = clock_boot_ms() + HTTP_IDLE_MS;
	l->idle = false;
	l->cut = true;
}

static unsigned lines_of(const struct http *h, uint32_t uid)
{
	unsigned n = 0;

	for (const struct line *l = h->lines; l; l = l->next)
		n += !l->cut && l->peer.uid == uid;
	return n;
}

static struct line *longest_idle(struct http *h, uint32_t uid)
{
	struct line *l = h->lines;

	while (l && !(l->idle && l->peer.uid == uid))
		l = l->next;
	return l;
}

/* of whoever has the most connections and an idle one among them */
static struct line *longest_idle_of_most(struct http *h)
{
	struct line *found = NULL;
	unsigned most = 0;

	for (struct line *l = h->lines; l; l = l->next) {
		unsigned n = l->idle ? lines_of(h, l->peer.uid) : 0;

		if (n > most) {
			most = n;
			found = l;
		}
	}
	return found;
}

/* a connection more: nobody takes the places of others */
static void make_way(struct http *h, struct line *l)
{
	struct line *out = NULL;

	if (lines_of(h, l->peer.uid) > HTTP_UID_MAX)
		out = longest_idle(h, l->peer.uid);
	else if (h->nlines > IDLE_KEPT)
		out = longest_idle_of_most(h);
	if (out)
		hang_up(out);
}

static struct line *line_new(struct http *h, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct line *l = calloc(1, sizeof(*l));

	if (!l || !info) {
		free(l);
		return NULL;
	}
	l->http = h;
	l->fd = info->connect_fd;
	l->idle = true;
	l->deadline_ms = clock_boot_ms() + HTTP_REQUEST_MS;
	h->conf.identify(h->conf.ctx, l->fd, &l->peer);
	l->at = h->last;
	*h->last = l;
	h->last = &l->next;
	h->nlines++;
	make_way(h, l);
	if (l->peer.tcp && !l->peer.allowed)
		hang_up(l);
	return l;
}

static void line_free(struct line *l)
{
	*l->at = l->next;
	if (l->next)
		l->next->at = l->at;
	else
		l->http->last = l->at;
	l->http->nlines--;
	free(l);
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **own,
	enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*own = line_new(ctx, mhd);
	} else if (*own) {
		line_free(*own);
		*own = NULL;
	}
}

static struct line *line_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void on_sweep(uv_timer_t *t)
{
	struct http *h = t->data;
	int64_t now = clock_boot_ms();

	for (struct line *l = h->lines; l; l = l->next) {
		if (l->deadline_ms && l->deadline_ms <= now)
			hang_up(l);
	}
}

/* requests */

static struct request *request_new(struct http *h, struct MHD_Connection *mhd,
	const char *path, const char *method)
{
	struct line *l = line_of(mhd);
	struct request *rq = l ? calloc(1, sizeof(*rq)) : NULL;

	if (!rq)
		return NULL;
	rq->http = h;
	rq->mhd = mhd;
	rq->peer = &l->peer;
	rq->admin = l->peer.admin;
	rq->path = path;
	rq->method = method;
	return rq;
}

static void line_busy(struct request *rq)
{
	struct line *l = line_of(rq->mhd);

	l->idle = false;
	l->deadline_ms = rq->streams ? 0 : clock_boot_ms() + HTTP_ANSWER_MS;
}

static enum MHD_Result send_answer(struct request *rq)
{
	enum MHD_Result r;

	line_busy(rq);
	if (rq->streams)
		MHD_set_connection_option(rq->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	r = MHD_queue_response(rq->mhd, rq->status, rq->response);
	MHD_destroy_response(rq->response);
	rq->response = NULL;
	return r;
}

static enum MHD_Result take_body(struct request *rq, const char *bytes, size_t *len)
{
	size_t n = *len;

	*len = 0;
	rq->body_len += n;
	if (rq->body_len > HTTP_BODY_MAX) {
		rq->body_over = true;
		return rq->body_len > DISCARD_MAX ? MHD_NO : MHD_YES;
	}
	if (!rq->body) {
		rq->body = calloc(1, HTTP_BODY_MAX + 1);
		if (!rq->body)
			return MHD_NO;
	}
	memcpy(rq->body + rq->body_len - n, bytes, n);
	return MHD_YES;
}

static enum MHD_Result first_step(struct http *h, struct MHD_Connection *mhd,
	const char *path, const char *method, void **own)
{
	struct request *rq = request_new(h, mhd, path, method);

	if (!rq)
		return MHD_NO;
	*own = rq;
	if (h->conf.gate(h->conf.ctx, rq))
		return MHD_YES;
	rq->handled = true;
	return send_answer(rq);
}

/* libmicrohttpd's: first with the headers, then with each piece of the body, then without
 * one, and once more when the connection is resumed */
static enum MHD_Result on_step(void *ctx, struct MHD_Connection *mhd, const char *path,
	const char *method, const char *version, const char *bytes, size_t *len, void **own)
{
	struct http *h = ctx;
	struct request *rq = *own;

	(void)version;
	if (!rq)
		return first_step(h, mhd, path, method, own);
	if (*len)
		return take_body(rq, bytes, len);
	if (!rq->handled) {
		rq->handled = true;
		line_busy(rq);
		rq->path = path;
		rq->method = method;
		if (rq->body_over)
			request_problem(rq, MHD_HTTP_CONTENT_TOO_LARGE,
				"a body is at most 64 KB");
		else
			h->conf.handle(h->conf.ctx, rq);
	}
	return rq->response ? send_answer(rq) : MHD_YES;
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **own,
	enum MHD_RequestTerminationCode code)
{
	struct http *h = ctx;
	struct request *rq = *own;
	struct line *l = line_of(mhd);

	(void)code;
	*own = NULL;
	if (l) {
		l->idle = !l->cut;
		l->deadline_ms = clock_boot_ms() + HTTP_IDLE_MS;
	}
	if (!rq)
		return;
	h->conf.ended(h->conf.ctx, rq);
	if (rq->response)
		MHD_destroy_response(rq->response);
	free(rq->body);
	free(rq);
}

/* answers */

static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
	"img-src 'self' data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
	"require-trusted-types-for 'script'; trusted-types scupper";

static void browser_headers(struct MHD_Response *res)
{
	MHD_add_response_header(res, "Content-Security-Policy", policy);
	MHD_add_response_header(res, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(res, "Cross-Origin-Opener-Policy", "same-origin");
	MHD_add_response_header(res, "Cross-Origin-Resource-Policy", "same-origin");
	MHD_add_response_header(res, "X-Frame-Options", "DENY");
}

static void answer_with(struct request *rq, unsigned status, struct MHD_Response *res,
	const char *type)
{
	if (!res)
		return; /* no memory: the connection is closed without an answer */
	if (type)
		MHD_add_response_header(res, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(res, MHD_HTTP_HEADER_CACHE_CONTROL,
		rq->cache ? rq->cache : "no-store");
	MHD_add_response_header(res, "X-Content-Type-Options", "nosniff");
	if (rq->peer->tcp)
		browser_headers(res);
	rq->response = res;
	rq->status = status;
	if (!rq->waiting)
		return;
	rq->waiting = false;
	MHD_resume_connection(rq->mhd);
	drive_soon(rq->http);
}

void request_text(struct request *rq, unsigned status, const char *type, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	answer_with(rq, status, MHD_create_response_from_buffer(len,
		(void *)(uintptr_t)(text ? text : ""), MHD_RESPMEM_PERSISTENT), type);
}

void request_bytes(struct request *rq, const char *type, const char *bytes, size_t len)
{
	answer_with(rq, MHD_HTTP_OK, MHD_create_response_from_buffer(len,
		(void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT), type);
}

static void answer_json(struct request *rq, unsigned status, json_t *body, const char *type)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct MHD_Response *res = NULL;

	json_decref(body);
	if (!text) {
		request_text(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "application/problem+json",
			"{\"status\":503,\"title\":\"Service Unavailable\","
			"\"detail\":\"out of memory\"}");
		return;
	}
	res = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!res)
		free(text);
	answer_with(rq, status, res, type);
}

json_t *request_json(const struct request *rq)
{
	return rq->body ? json_loadb(rq->body, rq->body_len, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

void request_answer(struct request *rq, unsigned status, json_t *body)
{
	answer_json(rq, status, body, "application/json");
}

void request_problem(struct request *rq, unsigned status, const char *detail)
{
	json_t *o = json_object();

	json_object_set_new(o, "type", json_string("about:blank"));
	json_object_set_new(o, "status", json_integer(status));
	json_object_set_new(o, "title", json_string(MHD_get_reason_phrase_for(status)));
	json_object_set_new(o, "detail", json_string(detail));
	answer_json(rq, status, o, "application/problem+json");
}

void request_header(struct request *rq, const char *name, const char *value)
{
	if (rq->response)
		MHD_add_response_header(rq->response, name, value);
}

void request_wait(struct request *rq)
{
	rq->waiting = true;
	MHD_suspend_connection(rq->mhd);
}

bool request_gone(const struct request *rq)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(rq->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd p = { .events = rq->peer->tcp ? POLLRDHUP : 0 };

	if (!info)
		return true;
	p.fd = info->connect_fd;
	/* the other end of a UNIX socket is said to be gone by POLLHUP alone */
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

const char *request_argument(struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->mhd, MHD_GET_ARGUMENT_KIND, name);
}

struct strange {
	const char *const *names;
	const char *found;
};

static enum MHD_Result look_at_argument(void *ctx, enum MHD_ValueKind kind, const char *key,
	const char *value)
{
	struct strange *s = ctx;

	(void)kind;
	(void)value;
	for (const char *const *n = s->names; *n; n++) {
		if (strcmp(*n, key) == 0)
			return MHD_YES;
	}
	s->found = key;
	return MHD_NO;
}

const char *request_strange_argument(struct request *rq, const char *const *names)
{
	struct strange s = { .names = names };

	MHD_get_connection_values(rq->mhd, MHD_GET_ARGUMENT_KIND, look_at_argument, &s);
	return s.found;
}

/* streams */

static ssize_t on_stream_read(void *ctx, uint64_t at, char *to, size_t max)
{
	struct http_stream *s = ctx;
	ssize_t n = s->read(s, to, max);

	(void)at;
	if (n < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		s->asleep = true;
		MHD_suspend_connection(s->mhd);
	}
	return n;
}

static void on_stream_free(void *ctx)
{
	struct http_stream *s = ctx;

	s->free(s);
}

void request_stream(struct request *rq, const char *type, struct http_stream *s)
{
	struct MHD_Response *res;

	s->http = rq->http;
	s->mhd = rq->mhd;
	res = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
		on_stream_read, s, on_stream_free);
	if (!res) {
		s->free(s);
		request_problem(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return;
	}
	rq->streams = true;
	answer_with(rq, MHD_HTTP_OK, res, type);
}

void stream_wake(struct http_stream *s)
{
	if (!s->asleep)
		return;
	s->asleep = false;
	MHD_resume_connection(s->mhd);
	drive_soon(s->http);
}

/* the daemon */

static void format_printf(2, 0) on_log(void *ctx, const char *fmt, va_list args)
{
	char line[512];

	(void)ctx;
	vsnprintf(line, sizeof(line), fmt, args);
	log_debug("http: %s", line);
}

static struct MHD_Daemon *start(struct http *h)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_step, h,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, h->conf.fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(HTTP_IDLE_MS / 1000),
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
		MHD_OPTION_END);
}

static void on_closed(uv_handle_t *handle)
{
	struct http *h = handle->data;

	if (--h->handles == 0)
		free(h);
}

int http_open(struct uv_loop_s *loop, const struct http_conf *conf, struct http **out)
{
	struct http *h = calloc(1, sizeof(*h));
	const union MHD_DaemonInfo *info;
	int r;

	if (!h)
		return -ENOMEM;
	h->conf = *conf;
	h->last = &h->lines;
	if (listen(conf->fd, HTTP_CONNECTIONS_MAX * 4) < 0) {
		r = -errno;
		goto fail;
	}
	h->mhd = start(h);
	info = h->mhd ? MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	r = info ? uv_poll_init(loop, &h->poll, info->epoll_fd) : -EIO;
	if (r < 0)
		goto fail;
	uv_timer_init(loop, &h->timer);
	uv_timer_init(loop, &h->sweep);
	h->poll.data = h->timer.data = h->sweep.data = h;
	h->handles = 3;
	uv_timer_start(&h->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	r = uv_poll_start(&h->poll, UV_READABLE, on_readable);
	if (r < 0) {
		http_close(h);
		return r;
	}
	*out = h;
	return 0;
fail:
	if (h->mhd)
		MHD_stop_daemon(h->mhd);
	free(h);
	return r;
}

unsigned http_connections(const struct http *h)
{
	return h ? h->nlines : 0;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	uv_poll_stop(&h->poll);
	MHD_quiesce_daemon(h->mhd); /* the listening socket is not its to shut down */
	MHD_stop_daemon(h->mhd);
	uv_close((uv_handle_t *)&h->poll, on_closed);
	uv_close((uv_handle_t *)&h->timer, on_closed);
	uv_close((uv_handle_t *)&h->sweep, on_closed);
}
