/* SPDX-License-Identifier: GPL-2.0-or-later
 * name.h - names inside a DNS message (RFC 1035 3.1 and 4.1.4). Pure.
 * A flat name is the wire form without pointers, case as it stood. Pointers lead to an
 * earlier place than the labels they follow, never into the header, so a walk ends.
 * Errors: 0 or -EBADMSG; the cursor then stands anywhere. */
#ifndef RESOLVER_NAME_H
#define RESOLVER_NAME_H

#include "base/cur.h"
#include "base/host.h"

struct name {
	uint8_t len; /* with the root's zero byte */
	uint8_t b[HOST_WIRE_MAX];
};

/* c spans the whole message; it ends behind the name as it stands */
int name_read(struct cur *c, struct name *out);
int name_skip(struct cur *c);
/* normalised text (base/host.h); -EBADMSG if its escapes make it too long */
int name_text(const struct name *n, char out[static HOST_MAX]);
int name_read_text(struct cur *c, char out[static HOST_MAX]);
bool name_equal(const struct name *a, const struct name *b); /* case ignored */
/* the n bytes of a question: name without pointers (case ignored), type and class */
bool question_equal(const uint8_t *a, const uint8_t *b, size_t n);

#endif
