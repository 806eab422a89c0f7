/* SPDX-License-Identifier: GPL-2.0-or-later
 * rebuild.h - a message written anew, record by record, names and all: what pointers led to
 * may be left out, and no pointer leads to anything but a name. Pure. */
#ifndef RESOLVER_REBUILD_H
#define RESOLVER_REBUILD_H

#include "resolver/record.h"
#include "resolver/wire.h"

/* Writes header (counts not yet right), question and records of msg, OPT left out, into the
 * empty o; what e cuts is cut. The question comes from query's bytes behind the header.
 * *h is msg's header with the counts of what was written, and TC where an RRset of the
 * answer or authority section did not fit. -EBADMSG, -ENOSPC: not even the question fits */
int rebuild(struct out *o, const uint8_t *query, size_t question_len, const uint8_t *msg,
	size_t len, const struct wire_edit *e, struct head *h);
uint32_t ttl_aged(const struct wire_edit *e, uint32_t ttl);

#endif
