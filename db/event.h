/* SPDX-License-Identifier: GPL-2.0-or-later
 * event.h - one thing that happened, packed: what waits for the history's thread. */
#ifndef DB_EVENT_H
#define DB_EVENT_H

#include "base/flow.h"

struct history_who;

enum event_text { EVENT_PATH, EVENT_HOST, EVENT_DOMAIN, EVENT_RULE, EVENT_AS, EVENT_CITY,
	EVENT_TEXTS };

enum { EVENT_WATCHED = 1, EVENT_FIRST = 2, EVENT_COUNTED = 4 };

struct event {
	struct event *next;
	int64_t id, end_ms, at_ms; /* at_ms: when its bytes are counted */
	uint64_t rx, tx, rx_packets, tx_packets;
	uint32_t uid, rule, asn;
	int32_t pid;
	uint16_t port, qtype, country; /* two letters, high byte first */
	uint8_t kind, state, how, dir, proto, verdict, reason, flags;
	struct addr addr;
	uint16_t text[EVENT_TEXTS]; /* offsets into texts, each NUL-terminated */
	char texts[];
};

/* NULL: no memory */
struct event *event_new(const struct flow *f, const struct history_who *who, int64_t now_ms);
static inline const char *event_text(const struct event *e, enum event_text t)
{
	return e->texts + e->text[t];
}

/* A row's number is when it began: newest first is order of numbers, and a span of time is a
 * span of numbers. 12 bits tell apart what began in the same millisecond. */
enum { EVENT_ID_BITS = 12 };
static inline int64_t event_id(int64_t start_ms, uint64_t id)
{
	return (int64_t)((uint64_t)start_ms << EVENT_ID_BITS |
		(id & ((1u << EVENT_ID_BITS) - 1)));
}
static inline int64_t event_start_ms(int64_t id)
{
	return id >> EVENT_ID_BITS;
}

#endif
