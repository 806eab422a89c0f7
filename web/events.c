/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/events.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/http.h"
#include "web/objects.h"
#include "web/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { BEAT_MS = 15000, FILTER_MAX = PROGRAM_PATH_MAX };

struct stream {
	struct http_stream http; /* first: what http knows */
	struct events *events;
	struct stream *next, **at;
	unsigned topics;
	bool by_uid;
	uint32_t uid;
	struct window_filter filter; /* points into the two below */
	char program[FILTER_MAX], name[HOST_MAX];
	char *buf; /* bytes from..len wait to be sent */
	size_t from, len, room;
	bool ending;
};

struct events {
	uv_timer_t beat;
	struct window *window;
	struct stream *streams;
	unsigned n;
	bool running;
	uint64_t boot;
	/* Of the last event, of the one before the first, and of the last ones that said that
	 * rules and filter changed. They begin at the time of start in microseconds, so that
	 * those of the process before us are below ours. */
	uint64_t number, first, rules, filter;
	struct {
		uint64_t number;
		struct stats_point point;
	} points[EVENTS_POINTS_MAX]; /* point n stands at n % max */
	uint64_t npoints;
};

/* one event more; what the window is told from now on is of the next */
static void advance(struct events *e)
{
	e->number++;
	window_number(e->window, e->number + 1);
}

static bool make_room(struct stream *s, size_t more)
{
	size_t room = s->room ? s->room : 4096;
	char *buf;

	if (s->from) {
		memmove(s->buf, s->buf + s->from, s->len - s->from);
		s->len -= s->from;
		s->from = 0;
	}
	while (room < s->len + more)
		room *= 2;
	if (room == s->room)
		return true;
	buf = realloc(s->buf, room);
	if (!buf)
		return false;
	s->buf = buf;
	s->room = room;
	return true;
}

static void put(struct stream *s, const char *bytes, size_t n)
{
	static const char resync[] = "event: resync\ndata: {}\n\n";

	if (s->ending)
		return;
	if (s->len - s->from + n > EVENTS_BUFFER_MAX || !make_room(s, n + sizeof(resync))) {
		/* too slow for what it wants to know */
		s->from = s->len = 0;
		if (!make_room(s, sizeof(resync)))
			return;
		bytes = resync;
		n = sizeof(resync) - 1;
	}
	memcpy(s->buf + s->len, bytes, n);
	s->len += n;
	stream_wake(&s->http);
}

/* one event as it stands on the wire; the caller's to free, NULL with no memory */
static char *event_text(uint64_t boot, uint64_t number, const char *type, const char *data,
	size_t *len)
{
	char *text = NULL;
	int n = asprintf(&text, "event: %s\nid: %" PRIx64 "-%" PRIu64 "\ndata: %s\n\n", type,
		boot, number, data);

	if (n < 0)
		return NULL;
	*len = (size_t)n;
	return text;
}

static void put_at(struct stream *s, uint64_t number, const char *type, const char *data)
{
	size_t len = 0;
	auto_free char *text = event_text(s->events->boot, number, type, data, &len);

	if (text)
		put(s, text, len);
}

static void put_event(struct stream *s, const char *type, const char *data)
{
	put_at(s, s->events->number, type, data);
}

static char *flow_json(struct window *w, const struct link_flow *f, bool old_boot)
{
	json_t *o = f->flow.kind == FLOW_QUERY ? object_query(w, f)
					       : object_flow(w, f, old_boot);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return text;
}

static const char *flow_event(const struct link_flow *f)
{
	return f->flow.kind == FLOW_QUERY ? "query" : "flow";
}

static unsigned flow_topic(const struct link_flow *f)
{
	return f->flow.kind == FLOW_QUERY ? TOPIC_QUERIES : TOPIC_FLOWS;
}

void events_flow(struct events *e, const struct link_flow *f)
{
	auto_free char *json = NULL;

	advance(e);
	for (struct stream *s = e->streams; s; s = s->next) {
		bool notice = f->flow.first && s->topics & TOPIC_NOTICES;
		bool wanted = s->topics & flow_topic(f);

		if ((!notice && !wanted) || !window_passes(e->window, &s->filter, f))
			continue;
		if (!json)
			json = flow_json(e->window, f, false);
		if (json && notice)
			put_event(s, "notice", json);
		if (json && wanted)
			put_event(s, flow_event(f), json);
	}
}

static void tell_changed(struct events *e, const char *what)
{
	for (struct stream *s = e->streams; s; s = s->next) {
		if (s->topics & TOPIC_RULES)
			put_event(s, what, "{}");
	}
}

static bool unfiltered(const struct stream *s)
{
	return !s->filter.program && !s->filter.name &&
		!s->filter.by_verdict;
}

unsigned events_streams(const struct events *e)
{
	return e->n;
}

unsigned events_watchers(const struct events *e)
{
	unsigned n = 0;

	for (const struct stream *s = e->streams; s; s = s->next)
		n += (s->topics & (TOPIC_FLOWS | TOPIC_STATS)) != 0;
	return n;
}

static char *counts_json(struct stream *s, const struct link_bytes *b)
{
	json_t *items = json_array(), *o;
	uint32_t uid = 0;
	char *text;

	for (uint32_t i = 0; i < b->n; i++) {
		if (s->filter.by_uid && !(window_flow_uid(s->events->window, b->at[i].id, &uid) &&
						uid == s->filter.uid))
			continue;
		json_array_append_new(items,
			json_pack("{s:I, s:I, s:I}", "id", (json_int_t)b->at[i].id, "rx",
				(json_int_t)b->at[i].rx, "tx", (json_int_t)b->at[i].tx));
	}
	o = json_pack("{s:o}", "items", items);
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text;
}

void events_counts(struct events *e, const struct link_bytes *b)
{
	auto_free char *json = NULL;

	advance(e);
	for (struct stream *s = e->streams; s; s = s->next) {
		if (!(s->topics & TOPIC_FLOWS) || !unfiltered(s))
			continue;
		if (s->filter.by_uid) {
			auto_free char *few = counts_json(s, b);

			if (few)
				put_event(s, "flows", few);
			continue;
		}
		if (!json)
			json = counts_json(s, b);
		if (json)
			put_event(s, "flows", json);
	}
}

static bool wants_points(const struct stream *s)
{
	return s->topics & TOPIC_STATS && unfiltered(s);
}

static char *point_json(const struct stats_point *p)
{
	json_t *o = object_point(p);
	char *json = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return json;
}

void events_stats(struct events *e, const struct stats_point *p)
{
	auto_free char *json = point_json(p);

	advance(e);
	e->points[e->npoints % EVENTS_POINTS_MAX].number = e->number;
	e->points[e->npoints++ % EVENTS_POINTS_MAX].point = *p;
	for (struct stream *s = e->streams; json && s; s = s->next) {
		if (wants_points(s))
			put_event(s, "stats", json);
	}
}

void events_rules(struct events *e)
{
	advance(e);
	e->rules = e->number;
	tell_changed(e, "rules");
}

void events_filter(struct events *e)
{
	advance(e);
	e->filter = e->number;
	tell_changed(e, "filter");
}

static void put_hello(struct stream *s, uint64_t number)
{
	char data[96];

	snprintf(data, sizeof(data), "{\"boot\":\"%" PRIx64 "\",\"core\":\"%s\"}",
		s->events->boot, s->events->running ? "running" : "restarting");
	put_at(s, number, "hello", data);
}

void events_hello(struct events *e, uint64_t boot, bool running)
{
	e->boot = boot;
	e->running = running;
	for (struct stream *s = e->streams; s; s = s->next)
		put_hello(s, e->number);
}

void events_end(struct events *e)
{
	for (struct stream *s = e->streams; s; s = s->next) {
		s->ending = true;
		stream_wake(&s->http);
	}
}

static void on_beat(uv_timer_t *t)
{
	struct events *e = t->data;

	for (struct stream *s = e->streams; s; s = s->next)
		put(s, ":\n\n", 3);
}

static ssize_t on_read(struct http_stream *http, char *to, size_t max)
{
	struct stream *s = container_of(http, struct stream, http);
	size_t n = MIN(max, s->len - s->from);

	if (n == 0)
		return s->ending ? -1 : 0;
	memcpy(to, s->buf + s->from, n);
	s->from += n;
	return (ssize_t)n;
}

static void on_free(struct http_stream *http)
{
	struct stream *s = container_of(http, struct stream, http);

	*s->at = s->next;
	if (s->next)
		s->next->at = s->at;
	s->events->n--;
	free(s->buf);
	free(s);
}

/* the window's last ones, oldest first */
static void put_last(struct stream *s, enum flow_kind kind, unsigned last)
{
	uint64_t places[EVENTS_LAST_MAX], place = 0;
	struct link_flow f;
	bool old_boot;
	unsigned n = 0;

	while (n < last && n < EVENTS_LAST_MAX &&
		(place = window_older(s->events->window, kind, place, &s->filter, &f,
			&old_boot)))
		places[n++] = place;
	while (n-- > 0) {
		auto_free char *json = NULL;

		if (window_at(s->events->window, kind, places[n], &s->filter, &f, &old_boot))
			json = flow_json(s->events->window, &f, old_boot);
		if (json)
			put_event(s, flow_event(&f), json);
	}
}

/* --- what was missed ---------------------------------------------------------------------- */

/* of an event of ours? */
static bool read_id(const struct events *e, const char *id, uint64_t *out)
{
	char *end;
	unsigned long long boot = strtoull(id, &end, 16), number;

	if (*end != '-' || boot != e->boot)
		return false;
	number = strtoull(end + 1, &end, 10);
	if (*end || number < e->first || number > e->number)
		return false;
	*out = number;
	return true;
}

/* false: some of them are not kept any more */
static bool replay_points(struct stream *s, uint64_t after)
{
	const struct events *e = s->events;
	uint64_t n = e->npoints > EVENTS_POINTS_MAX ? e->npoints - EVENTS_POINTS_MAX : 0;

	if (n && e->points[n % EVENTS_POINTS_MAX].number > after)
		return false;
	for (; n < e->npoints; n++) {
		auto_free char *json = NULL;

		if (e->points[n % EVENTS_POINTS_MAX].number <= after)
			continue;
		json = point_json(&e->points[n % EVENTS_POINTS_MAX].point);
		if (json)
			put_at(s, after, "stats", json);
	}
	return true;
}

static void replay_change(struct stream *s, const struct window_change *c, uint64_t after,
	uint64_t id)
{
	auto_free char *json = NULL;
	struct link_flow f;
	bool old_boot;

	if (!window_at(s->events->window, c->kind, c->place, &s->filter, &f, &old_boot))
		return;
	json = flow_json(s->events->window, &f, old_boot);
	if (json && f.flow.first && c->born > after && s->topics & TOPIC_NOTICES)
		put_at(s, id, "notice", json);
	if (json && s->topics & flow_topic(&f))
		put_at(s, id, flow_event(&f), json);
}

/* What cannot be told apart by number bears the one before it until all of it is out, so
 * that who breaks off in between gets it again. */
static bool replay(struct stream *s, uint64_t after)
{
	struct events *e = s->events;
	auto_free struct window_change *c = malloc(EVENTS_REPLAY_MAX * sizeof(*c));
	unsigned notices = s->topics & TOPIC_NOTICES;
	unsigned kinds = (notices || s->topics & TOPIC_QUERIES ? 1u << FLOW_QUERY : 0) |
		(notices || s->topics & TOPIC_FLOWS ? 1u << FLOW_CONN : 0);
	int n = c ? window_changes(e->window, kinds, after, c, EVENTS_REPLAY_MAX) : -ENOMEM;
	char id[64];

	if (n < 0 || (wants_points(s) && !replay_points(s, after)))
		return false;
	if (s->topics & TOPIC_RULES && e->rules > after)
		put_at(s, after, "rules", "{}");
	if (s->topics & TOPIC_RULES && e->filter > after)
		put_at(s, after, "filter", "{}");
	for (int i = 0; i < n; i++) {
		bool last = i + 1 == n || c[i + 1].number > c[i].number;

		replay_change(s, &c[i], after, last ? c[i].number : c[i].number - 1);
	}
	/* an id alone is no event, but is remembered */
	snprintf(id, sizeof(id), "id: %" PRIx64 "-%" PRIu64 "\n\n", e->boot, e->number);
	put(s, id, strlen(id));
	return true;
}

static void begin(struct stream *s, const struct events_want *want)
{
	uint64_t after;

	if (want->last_id && read_id(s->events, want->last_id, &after)) {
		put_hello(s, after);
		if (!replay(s, after))
			put_event(s, "resync", "{}");
		return;
	}
	put_hello(s, s->events->number);
	if (want->last_id)
		put_event(s, "resync", "{}");
	if (s->topics & TOPIC_QUERIES)
		put_last(s, FLOW_QUERY, want->last);
	if (s->topics & TOPIC_FLOWS)
		put_last(s, FLOW_CONN, want->last);
}

static void copy_filter(struct stream *s, const struct window_filter *f)
{
	s->filter = *f;
	if (f->program) {
		text_copy(s->program, sizeof(s->program), f->program);
		s->filter.program = s->program;
	}
	if (f->name) {
		text_copy(s->name, sizeof(s->name), f->name);
		s->filter.name = s->name;
	}
}

static bool too_many(const struct events *e, uint32_t uid)
{
	unsigned n = 0;

	for (const struct stream *s = e->streams; s; s = s->next)
		n += s->by_uid && s->uid == uid;
	return n >= EVENTS_UID_MAX;
}

int events_listen(struct events *e, const struct events_want *want,
	struct http_stream **out)
{
	struct stream *s;

	if (e->n >= EVENTS_STREAMS_MAX)
		return -EMFILE;
	if (want->by_uid && too_many(e, want->uid))
		return -EUSERS;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->events = e;
	s->topics = want->topics;
	s->by_uid = want->by_uid;
	s->uid = want->uid;
	s->http.read = on_read;
	s->http.free = on_free;
	copy_filter(s, &want->filter);
	s->at = &e->streams;
	s->next = e->streams;
	if (s->next)
		s->next->at = &s->next;
	e->streams = s;
	e->n++;
	begin(s, want);
	*out = &s->http;
	return 0;
}

int events_open(struct uv_loop_s *loop, struct window *w, struct events **out)
{
	struct events *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->window = w;
	e->number = e->first = (uint64_t)clock_unix_ms() * 1000;
	window_number(w, e->number + 1);
	r = uv_timer_init(loop, &e->beat);
	if (r < 0) {
		free(e);
		return r;
	}
	e->beat.data = e;
	uv_timer_start(&e->beat, on_beat, BEAT_MS, BEAT_MS);
	*out = e;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void events_close(struct events *e)
{
	if (e)
		uv_close((uv_handle_t *)&e->beat, on_closed);
}
