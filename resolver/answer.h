/* SPDX-License-Identifier: GPL-2.0-or-later
 * answer.h - making the shared answers of resolver.h. Pure. */
#ifndef RESOLVER_ANSWER_H
#define RESOLVER_ANSWER_H

#include "resolver/resolver.h"

/* One reference, the caller's. msg is written anew (wire_canon), without addresses that
 * nothing in it leads to from the name that was asked: a name server's own and the like
 * are no part of the answer, and must open nothing. Its TTLs are put within the limits
 * (NULL: as they are), in the message too, so that what it opens is open as long as the
 * asker believes it. -EBADMSG, -ENOMEM */
int answer_new(const uint8_t *msg, size_t len, const struct ttl_limits *limits,
	struct answer **out);
void answer_doubt(struct answer *a); /* clears AD: nobody we trust proved it */
size_t answer_size(const struct answer *a); /* bytes of memory it takes */

/* what n bytes of malloc's take: its own word, and whole units */
static inline size_t malloc_cost(size_t n)
{
	return n + 8 + 15 < 32 ? 32 : (n + 8 + 15) & ~(size_t)15;
}

#endif
