/* SPDX-License-Identifier: GPL-2.0-or-later
 * events.h - the live stream: Server-Sent Events (WHATWG HTML 9.2) to those who listen.
 *
 * Events: hello {boot, core}, query, flow (the API's objects; a flow again when it changed),
 *         flows {items: [{id, rx, tx}]} (counters of live flows that moved),
 *         notice (the query or flow that is a program's first contact ever),
 *         stats {time, down, up, flows, denied} (all traffic of a second that is over),
 *         rules {}, filter {} (they changed: read them again), resync {} (something was lost: read
 *         again). An id is BOOT-NUMBER: who comes back with one as Last-Event-ID gets what
 *         changed since, in its state of now, from the window; or resync, if the core or this
 *         process began anew meanwhile, or more happened than is kept (EVENTS_REPLAY_MAX
 *         changes, EVENTS_POINTS_MAX seconds of stats).
 * Bounds: EVENTS_STREAMS_MAX streams; EVENTS_BUFFER_MAX bytes waiting in each, then what
 *         waits is dropped and resync sent. A comment every 15 s finds those who left. */
#ifndef WEB_EVENTS_H
#define WEB_EVENTS_H

#include "web/window.h"

struct events;
struct http_stream;
struct stats_point;
struct uv_loop_s;

enum {
	EVENTS_STREAMS_MAX = 16,
	EVENTS_UID_MAX = 4,
	EVENTS_BUFFER_MAX = 1024 * 1024,
	EVENTS_LAST_MAX = 1000,
	EVENTS_REPLAY_MAX = 4000,
	EVENTS_POINTS_MAX = 64,
};

enum events_topic { TOPIC_QUERIES = 1, TOPIC_FLOWS = 2, TOPIC_RULES = 4,
	TOPIC_NOTICES = 8, TOPIC_STATS = 16, TOPIC_ALL = 31 };

struct events_want {
	unsigned topics;             /* of enum events_topic */
	struct window_filter filter; /* its strings are copied */
	unsigned last;               /* how many of the window's to begin with */
	bool by_uid;                 /* EVENTS_UID_MAX for each uid */
	uint32_t uid;
	const char *last_id;         /* Last-Event-ID, or NULL */
};

/* borrows the window */
int events_open(struct uv_loop_s *loop, struct window *w, struct events **out);
/* streams must be gone; NULL is fine */
void events_close(struct events *e);
/* -EUSERS: as many as this uid may have; -EMFILE: as many as can be; the stream frees itself when its connection goes */
int events_listen(struct events *e, const struct events_want *want,
	struct http_stream **out);
void events_hello(struct events *e, uint64_t boot, bool running); /* to everybody */
void events_flow(struct events *e, const struct link_flow *f);
/* to those who listen to all connections, not to a filtered few */
void events_counts(struct events *e, const struct link_bytes *b);
/* to those who filter nothing */
void events_stats(struct events *e, const struct stats_point *p);
unsigned events_streams(const struct events *e);
unsigned events_watchers(const struct events *e); /* how many look at live traffic */
void events_rules(struct events *e);
void events_filter(struct events *e);
void events_end(struct events *e); /* lets every stream end */

#endif
