/* SPDX-License-Identifier: GPL-2.0-or-later
 * answer.h - making the shared answers of resolver.h. Pure. */
#ifndef RESOLVER_ANSWER_H
#define RESOLVER_ANSWER_H

#include "resolver/resolver.h"

/* copies msg; one reference, the caller's. -EBADMSG, -ENOMEM */
int answer_new(const uint8_t *msg, size_t len, struct answer **out);
size_t answer_size(const struct answer *a); /* bytes of memory it takes */

#endif
