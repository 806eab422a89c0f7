/* SPDX-License-Identifier: GPL-2.0-or-later
 * varjson.h - reading JSON (RFC 8259) from anybody on this machine, and quoting for it.
 * Pure: nothing is allocated, nothing recurses. varjson_open() checks a whole document,
 * grammar and UTF-8; values are then places in it, borrowed. Strict: no comments, no trailing
 * commas, nothing behind the document, VARJSON_DEPTH_MAX levels at most. Not named as
 * jansson's functions, which the same program is linked with. */
#ifndef RESOLVER_VARJSON_H
#define RESOLVER_VARJSON_H

#include "base/cur.h"
#include "base/text.h"

enum { VARJSON_DEPTH_MAX = 16, VARJSON_KEY_MAX = 64 };

enum varjson_type { VARJSON_OBJECT, VARJSON_ARRAY, VARJSON_STRING, VARJSON_NUMBER, VARJSON_TRUE, VARJSON_FALSE,
	VARJSON_NULL };

struct varjson {
	struct cur c; /* over the document, standing at the value's first byte */
	bool object;  /* of varjson_enter(): members have keys */
};

int varjson_open(const void *text, size_t len, struct varjson *out); /* -EBADMSG */
enum varjson_type varjson_type(const struct varjson *v);

/* Members of an object, or of an array (key is then ""); *inside begins as varjson_enter(v).
 * false: that was the last. A key that is too long, or has a NUL in it, comes out as "". */
struct varjson varjson_enter(const struct varjson *v);
bool varjson_next(struct varjson *inside, char key[static VARJSON_KEY_MAX], struct varjson *out);

/* -ENOENT; -EBADMSG: it stands there twice, or v is no object */
int varjson_get(const struct varjson *v, const char *key, struct varjson *out);
/* decoded, with a NUL; -EINVAL: no string, or one with a NUL in it; -ENAMETOOLONG */
int varjson_string(const struct varjson *v, char *out, size_t max);
/* -EINVAL: no whole number, or one beyond 64 bits */
int varjson_integer(const struct varjson *v, int64_t *out);

void varjson_quote(struct text *t, const char *s); /* what is no UTF-8 becomes U+FFFD */

#endif
