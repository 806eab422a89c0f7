/* SPDX-License-Identifier: GPL-2.0-or-later
 * objects.h - the API's objects as JSON, from what the core told. Each call gives a new
 * reference, or NULL when memory is short. What only accounting and geodata can fill is
 * null until they do. Times are RFC 3339 in UTC with milliseconds. */
#ifndef WEB_OBJECTS_H
#define WEB_OBJECTS_H

#include "web/link.h"

#include <jansson.h>

struct read_row;
struct read_sum;
struct window;
struct window_program;
struct stats_point;
struct users;

/* Text from outside. JSON is UTF-8: valid text stays as it is, the other is shown with
 * \xNN for what is not. */
json_t *object_text(const char *s);
json_t *object_time(int64_t unix_ms); /* 0 is null */

json_t *object_query(struct window *w, const struct link_flow *f);
/* old_boot: the core that told it is gone: what was open then is of "unknown" state */
json_t *object_flow(struct window *w, const struct link_flow *f, bool old_boot);
/* from the history: the same with more, a query's too; the actor has no number any more */
json_t *object_past(const struct read_row *row, const struct users *users);
json_t *object_past_app(const struct read_sum *sum, const struct users *users);
json_t *object_country(const struct read_sum *sum);
json_t *object_app(const struct window_program *p, const struct users *users);
/* {time, down, up, flows, denied} */
json_t *object_point(const struct stats_point *p);
json_t *object_rule(const struct link_rule *r);
struct object_link { /* how it is between the core and us */
	bool running;
	uint64_t boot, bad; /* bad: messages dropped */
	const char *unread; /* why the history cannot be read, or NULL */
};
struct object_web { /* the dashboard */
	const char *address; /* of its page, or NULL: not served */
	const char *const *listens;
	unsigned nlistens, sessions, streams, connections;
};
/* {mode, enabled, until} */
json_t *object_filter(const struct link_status *s);
/* s NULL: the core has not told yet */
json_t *object_status(const struct link_status *s, const struct object_link *link,
	const struct object_web *web);

#endif
