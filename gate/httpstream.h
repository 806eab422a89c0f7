/* SPDX-License-Identifier: GPL-2.0-or-later
 * httpstream.h - the requests of one plain HTTP/1 connection, one after the other: where each
 * head begins and its body ends (RFC 9112 6), so that every head's host can be judged before
 * its server sees it. What two servers could frame differently is refused, not guessed.
 * Pure: borrows the bytes of the call, keeps none. */
#ifndef GATE_HTTPSTREAM_H
#define GATE_HTTPSTREAM_H

#include "gate/hello.h"

enum http_event {
	HTTP_MORE,    /* what was counted may go; for the rest more bytes are needed */
	HTTP_HEAD,    /* next is a whole head of head_len bytes, its host in host: judge it,
		       * then http_stream_pass() */
	HTTP_SWITCH,  /* the request asked for another protocol (Upgrade, CONNECT) and is out:
		       * its answer says whether HTTP goes on. Only as the connection's first */
	HTTP_BAD,     /* no HTTP/1 that is read alike everywhere */
};

struct http_stream {
	uint8_t state;
	bool first_done, upgrade, connect, chunked;
	uint64_t left;        /* of a body or chunk */
	size_t head_len;      /* HTTP_HEAD */
	char host[HOST_MAX];
};

/* all zero begins a stream */
/* How many of the bytes may go to the server now. *event says why not more. */
size_t http_stream_read(struct http_stream *s, const uint8_t *bytes, size_t len,
	enum http_event *event);
/* the head that HTTP_HEAD named may go: the next read, of the same bytes, counts it */
void http_stream_pass(struct http_stream *s);
/* the server's next answer may be one to Upgrade or CONNECT; it is the next */
bool http_stream_may_switch(const struct http_stream *s);
bool http_stream_at_switch(const struct http_stream *s);
/* HTTP_SWITCH's answer was: no. HTTP goes on */
void http_stream_go_on(struct http_stream *s);

/* The status of the server's answer at the start of these bytes, interim ones (RFC 9110 15.2)
 * passed over but 101: 0 more is needed, -EBADMSG no HTTP. */
int http_answer_status(const uint8_t *bytes, size_t len);

#endif
