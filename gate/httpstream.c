/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/httpstream.h"

#include "base/macros.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

enum state {
	AT_HEAD, IN_HEAD, IN_BODY, AT_CHUNK, IN_CHUNK, AFTER_CHUNK, IN_TRAILER, AT_SWITCH, BROKEN,
};

enum {
	CHUNK_LINE_MAX = 256,
	LENGTH_DIGITS_MAX = 15,
	STATUS_LINE = 12, /* "HTTP/1.1 101" */
};

static bool value_is(const struct hello_field *f, const char *text)
{
	return f->value_len == strlen(text) && strncasecmp(f->value, text, f->value_len) == 0;
}

static int body_length(const struct hello_field *f, uint64_t *out)
{
	uint64_t n = 0;

	if (f->value_len == 0 || f->value_len > LENGTH_DIGITS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < f->value_len; i++) {
		if (!isdigit((unsigned char)f->value[i]))
			return -EINVAL;
		n = n * 10 + (uint64_t)(f->value[i] - '0');
	}
	*out = n;
	return 0;
}

/* how the body is framed; both ways at once, or one twice, is what smuggling is made of */
static int head_framing(struct http_stream *s, const uint8_t *head, size_t len)
{
	struct hello_field f;
	unsigned lengths = 0, codings = 0;
	size_t at = 0;

	s->upgrade = false;
	s->connect = len > 8 && memcmp(head, "CONNECT ", 8) == 0;
	s->left = 0;
	while (hello_http_field(head, len, &at, &f)) {
		if (hello_field_is(&f, "Content-Length")) {
			if (lengths++ || body_length(&f, &s->left) < 0)
				return -EINVAL;
		} else if (hello_field_is(&f, "Transfer-Encoding")) {
			if (codings++ || !value_is(&f, "chunked"))
				return -EINVAL;
		} else if (hello_field_is(&f, "Upgrade")) {
			s->upgrade = true;
		}
	}
	if (lengths && codings)
		return -EINVAL;
	s->chunked = codings > 0;
	return 0;
}

static void request_over(struct http_stream *s)
{
	bool ask = !s->first_done && (s->upgrade || s->connect);

	s->first_done = true;
	s->state = ask ? AT_SWITCH : AT_HEAD;
}

static void body_begins(struct http_stream *s)
{
	s->state = s->chunked ? AT_CHUNK : IN_BODY;
	if (!s->chunked && s->left == 0)
		request_over(s);
}

/* a line's end: offset behind it, 0 if it is not here yet */
static size_t line_end(const uint8_t *bytes, size_t len)
{
	const uint8_t *nl = memchr(bytes, '\n', len);

	return nl ? (size_t)(nl - bytes) + 1 : 0;
}

/* RFC 9112 7.1: hex size, extensions ignored. -EINVAL */
static int chunk_size(const uint8_t *line, size_t len, uint64_t *out)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; i < len && isxdigit(line[i]); i++) {
		if (i == LENGTH_DIGITS_MAX)
			return -EINVAL;
		n = n * 16 + (uint64_t)(isdigit(line[i]) ? line[i] - '0'
							 : tolower(line[i]) - 'a' + 10);
	}
	if (i == 0 || !(line[i] == ';' || (line[i] == '\r' && line[i + 1] == '\n')))
		return -EINVAL;
	if (len < 2 || line[len - 2] != '\r' || memchr(line, '\r', len - 2))
		return -EINVAL;
	*out = n;
	return 0;
}

/* one step in the framing of a body: how many bytes it took; 0: more are needed */
static size_t body_step(struct http_stream *s, const uint8_t *bytes, size_t len)
{
	size_t n = 0;

	switch (s->state) {
	case IN_HEAD:
		n = MIN(len, s->head_len);
		s->head_len -= n;
		if (s->head_len == 0)
			body_begins(s);
		return n;
	case IN_BODY:
	case IN_CHUNK:
		n = (size_t)MIN((uint64_t)len, s->left);
		s->left -= n;
		if (s->left == 0 && s->state == IN_CHUNK)
			s->state = AFTER_CHUNK;
		else if (s->left == 0)
			request_over(s);
		return n;
	case AT_CHUNK:
		n = line_end(bytes, len);
		if (n > CHUNK_LINE_MAX || (n == 0 && len > CHUNK_LINE_MAX) ||
			(n && chunk_size(bytes, n, &s->left) < 0))
			s->state = BROKEN;
		else if (n)
			s->state = s->left ? IN_CHUNK : IN_TRAILER;
		return s->state == BROKEN ? 0 : n;
	case AFTER_CHUNK:
		if (len < 2)
			return 0;
		if (bytes[0] != '\r' || bytes[1] != '\n') {
			s->state = BROKEN;
			return 0;
		}
		s->state = AT_CHUNK;
		return 2;
	case IN_TRAILER:
		n = line_end(bytes, len);
		if (n == 1 || (n == 2 && bytes[0] == '\r'))
			request_over(s);
		else if (n == 0 && len > HELLO_MAX)
			s->state = BROKEN;
		return n;
	default:
		return 0;
	}
}

static enum http_event head_step(struct http_stream *s, const uint8_t *bytes, size_t len)
{
	size_t blank = 0;

	/* an empty line before a request is passed over (RFC 9112 2.2) by some, not by all */
	if (len && (bytes[0] == '\r' || bytes[0] == '\n'))
		return HTTP_BAD;
	blank = hello_http_end(bytes, len);
	if (blank == 0)
		return len >= HELLO_MAX ? HTTP_BAD : HTTP_MORE;
	if (blank > HELLO_MAX || hello_http_host(bytes, blank, s->host) < 0 ||
		head_framing(s, bytes, blank) < 0)
		return HTTP_BAD;
	s->head_len = blank;
	return HTTP_HEAD;
}

size_t http_stream_read(struct http_stream *s, const uint8_t *bytes, size_t len,
	enum http_event *event)
{
	size_t done = 0, n;
	uint8_t before;

	for (;;) {
		if (s->state == BROKEN) {
			*event = HTTP_BAD;
			return done;
		}
		if (s->state == AT_SWITCH) {
			*event = HTTP_SWITCH;
			return done;
		}
		if (s->state == AT_HEAD) {
			*event = head_step(s, bytes + done, len - done);
			if (*event == HTTP_BAD)
				s->state = BROKEN;
			return done;
		}
		before = s->state;
		n = body_step(s, bytes + done, len - done);
		done += n;
		if (n == 0 && s->state == before) {
			*event = HTTP_MORE;
			return done;
		}
	}
}

/* The head goes with its body: the next read begins with the head's own bytes, which are
 * counted as part of what may go. */
void http_stream_pass(struct http_stream *s)
{
	s->state = IN_HEAD;
}

bool http_stream_at_switch(const struct http_stream *s)
{
	return s->state == AT_SWITCH;
}

bool http_stream_may_switch(const struct http_stream *s)
{
	return s->state == AT_SWITCH || (!s->first_done && (s->upgrade || s->connect));
}

void http_stream_go_on(struct http_stream *s)
{
	if (s->state == AT_SWITCH)
		s->state = AT_HEAD;
}

int http_answer_status(const uint8_t *bytes, size_t len)
{
	while (len >= STATUS_LINE) {
		size_t end = hello_http_end(bytes, len);
		int status = 0;

		if (memcmp(bytes, "HTTP/1.", 7) != 0 || bytes[8] != ' ')
			return -EBADMSG;
		for (int i = 9; i < 12; i++) {
			if (!isdigit(bytes[i]))
				return -EBADMSG;
			status = status * 10 + bytes[i] - '0';
		}
		if (status >= 200 || status == 101)
			return status;
		if (end == 0)
			return 0;
		bytes += end;
		len -= end;
	}
	return 0;
}
