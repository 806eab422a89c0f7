/* SPDX-License-Identifier: GPL-2.0-or-later
 * http.h - HTTP on the control socket: libmicrohttpd in external epoll mode, on the loop.
 *
 * Theory of operation. A request's headers come: http asks gate; if it refuses, its answer
 * goes out and nothing else is read. The body comes, bounded. Then handle is called once; it
 * answers at once (request_answer, request_problem, request_stream) or calls request_wait
 * and answers later. A request lives until ended is called.
 *
 * Bounds: HTTP_CONNECTIONS_MAX connections, HTTP_UID_MAX of one uid; when they run short the
 * longest idle one is cut, of who has the most. A request must be there within HTTP_REQUEST_MS, bodies are at most HTTP_BODY_MAX. */
#ifndef WEB_HTTP_H
#define WEB_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct uv_loop_s;
struct MHD_Connection;
struct MHD_Response;
struct http;
struct route;

enum {
	HTTP_CONNECTIONS_MAX = 64,
	HTTP_UID_MAX = 24,
	HTTP_BODY_MAX = 64 * 1024,
	HTTP_REQUEST_MS = 10000,
	HTTP_IDLE_MS = 30000,
	HTTP_ANSWER_MS = 60000,
};

/* who is at the other end, as the kernel said when the connection was made */
struct peer {
	uint32_t uid;
	int32_t pid;
	bool allowed;  /* may ask at all */
	bool admin;    /* may read what others did, and change rules */
	bool tcp;      /* a browser, on loopback */
	uint16_t port; /* of ours, where tcp */
};

struct request {
	struct http *http;
	struct MHD_Connection *mhd;
	const struct peer *peer;
	bool admin;                /* the peer, or the session it showed; the gate's to set */
	const char *method, *path; /* while gate and handle run */
	char *body;                /* NUL-terminated; owned */
	size_t body_len;
	const struct route *route; /* the gate's to set */
	void *job;                 /* the handler's */
	void (*job_free)(void *job); /* wherever there is a job */
	/* http's own */
	struct MHD_Response *response;
	unsigned status;
	const char *cache; /* Cache-Control, NULL: no-store */
	bool handled, waiting, body_over, streams;
};

struct http_conf {
	int fd; /* listening; borrowed */
	void *ctx;
	/* whose the connection is, before any byte is read */
	void (*identify)(void *ctx, int fd, struct peer *out);
	bool (*gate)(void *ctx, struct request *rq);   /* false: it has answered */
	void (*handle)(void *ctx, struct request *rq);
	void (*ended)(void *ctx, struct request *rq);
};

int http_open(struct uv_loop_s *loop, const struct http_conf *conf, struct http **out);
unsigned http_connections(const struct http *h); /* h may be NULL */
/* requests under way must have been answered, streams ended. NULL is fine */
void http_close(struct http *h);

/* body: taken; NULL with no memory becomes a 503 */
/* the body, which is to be JSON: the caller's to json_decref; NULL: none, or it is not */
json_t *request_json(const struct request *rq);
void request_answer(struct request *rq, unsigned status, json_t *body);
void request_text(struct request *rq, unsigned status, const char *type,
	const char *text); /* text is a literal, or NULL for an empty body */
/* bytes: must outlive the answer */
void request_bytes(struct request *rq, const char *type, const char *bytes, size_t len);
/* RFC 9457; detail is for a person */
void request_problem(struct request *rq, unsigned status, const char *detail);
/* one more header for the answer that was just given */
void request_header(struct request *rq, const char *name, const char *value);
void request_wait(struct request *rq);
/* who waits for it hung up: libmicrohttpd does not look while it waits */
bool request_gone(const struct request *rq);
/* argument of the query string, or NULL */
const char *request_argument(struct request *rq, const char *name);
/* the first argument that is not in names (NULL-terminated), or NULL */
const char *request_strange_argument(struct request *rq, const char *const *names);

/* An answer that goes on. read: copies up to max bytes and says how many; 0: none now, the
 * stream sleeps until stream_wake; -1: that was all. free: the connection is gone. */
struct http_stream {
	struct http *http;
	struct MHD_Connection *mhd;
	bool asleep;
	ssize_t (*read)(struct http_stream *s, char *to, size_t max);
	void (*free)(struct http_stream *s);
};
void request_stream(struct request *rq, const char *type, struct http_stream *s);
void stream_wake(struct http_stream *s); /* there is something to read */

#endif
