/* SPDX-License-Identifier: GPL-2.0-or-later
 * local.h - names that are answered without asking anybody: special use (RFC 6761, 6762,
 * 7686, 9462, 9476), loopback addresses, the hosts file. Pure. */
#ifndef RESOLVER_LOCAL_H
#define RESOLVER_LOCAL_H

#include "resolver/hosts.h"
#include "resolver/wire.h"

/* the reply's length, 0 if the name is not local, -ENOSPC */
int local_answer(const struct hosts *h, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room);

#endif
