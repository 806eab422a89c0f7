/* SPDX-License-Identifier: GPL-2.0-or-later
 * hello.h - the name a client says first: TLS server name (RFC 6066 3, inside RFC 8446 4.1.2)
 * or HTTP host (RFC 9112 3.2). A claim and no more: the client writes what it likes.
 * Pure: bytes in, name out. Bytes may come one at a time; call again with all so far. */
#ifndef GATE_HELLO_H
#define GATE_HELLO_H

#include "base/host.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A client hello with post-quantum key shares is 2 to 4 KB; 16 KB is a record's limit, and
 * common servers take no larger head of a request. */
enum { HELLO_MAX = 16384 + 5 };

enum hello_kind {
	HELLO_OTHER, /* neither, or broken: it says no name */
	HELLO_TLS,
	HELLO_HTTP,
	HELLO_BAD,   /* an HTTP/1 head that two servers could read differently */
};

struct hello {
	enum hello_kind kind;
	bool ech;            /* encrypted client hello: its outer name is a cover name */
	char name[HOST_MAX]; /* normalised; "": none was said, or an address */
};

/* 0: *out is final. -EAGAIN: more bytes are needed to tell. At
 * HELLO_MAX bytes it is final always. */
int hello_read(const uint8_t *bytes, size_t len, struct hello *out);

/* The host of one request head (request line to the empty line, RFC 9112): an absolute
 * target's, CONNECT's, or the Host field's. "" where it is an address or none. -ENOENT: not
 * HTTP/1. -EINVAL: no head that every server would read alike (two hosts, folded lines,
 * blanks before the colon, a bare CR). */
int hello_http_host(const uint8_t *head, size_t len, char host[static HOST_MAX]);
/* where a head ends: its length with the empty line, 0: not in these bytes */
size_t hello_http_end(const uint8_t *bytes, size_t len);
/* A field's line, name and value without blanks around. How a head is walked: at is 0
 * first, the offset of the next line then. False at the empty line or at what is no field. */
struct hello_field {
	const char *name, *value;
	size_t name_len, value_len;
};
bool hello_http_field(const uint8_t *head, size_t len, size_t *at, struct hello_field *out);
bool hello_field_is(const struct hello_field *f, const char *name); /* case apart */

#endif
