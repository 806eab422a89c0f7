/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/web.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sha256.h"
#include "rules/rules.h"
#include "web/api.h"
#include "web/door.h"
#include "web/events.h"
#include "web/pace.h"
#include "web/pages.h"
#include "web/reader.h"
#include "web/sandbox.h"
#include "web/stats.h"
#include "web/users.h"
#include "web/window.h"
#include "who/diag.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <uv.h>

enum { WATCH_MS = 500, SECOND_MS = 250, PACE_LOOK_MS = 50 };

struct web {
	uv_loop_t loop;
	uv_signal_t term;
	uv_timer_t watch, second, pacing; /* pacing runs while rows wait */
	bool signals;
	unsigned watchers; /* as the core was told */
	struct api api;
	struct window *window;
	struct stats *stats;
	struct pace *pace;
	struct channel *channel;
	struct events *events;
	struct http *http, *tcp[WEB_TCP_MAX];
	struct door door;
	struct sessions sessions; /* where conf brings none */
	struct pages *pages;
	struct users *users;
	struct reader *reader;
};

static void on_hello(void *ctx, uint64_t boot)
{
	struct web *w = ctx;

	w->api.boot = boot;
	w->watchers = 0; /* a new core starts with nobody */
	window_boot(w->window, boot);
	events_hello(w->events, boot, true);
}

static void on_program(void *ctx, const struct link_program *p)
{
	struct web *w = ctx;

	window_program_told(w->window, p);
}

static void on_pacing(uv_timer_t *t)
{
	struct web *w = t->data;
	struct link_flow f;
	uint64_t id;

	while (pace_due(w->pace, clock_boot_ms(), &id)) {
		if (window_again(w->window, id, &f))
			events_flow(w->events, &f);
	}
	if (!pace_waiting(w->pace))
		uv_timer_stop(t);
}

static void on_flow(void *ctx, const struct link_flow *f)
{
	struct web *w = ctx;
	struct link_flow whole = *f;

	stats_time(w->stats, clock_unix_ms());
	window_recall(w->window, &whole);
	window_flow_told(w->window, &whole);
	if (f->flow.kind == FLOW_QUERY || pace_now(w->pace, f->flow.id, clock_boot_ms()))
		events_flow(w->events, &whole);
	else if (!uv_is_active((uv_handle_t *)&w->pacing))
		uv_timer_start(&w->pacing, on_pacing, PACE_LOOK_MS, PACE_LOOK_MS);
}

static void on_counts(void *ctx, const struct link_bytes *b)
{
	struct web *w = ctx;

	stats_time(w->stats, clock_unix_ms());
	for (uint32_t i = 0; i < b->n; i++)
		window_counted(w->window, &b->at[i]);
	if (!b->more)
		stats_round(w->stats);
	if (b->n)
		events_counts(w->events, b);
}

/* the core reads counters every second only while somebody looks */
static void on_watch(uv_timer_t *t)
{
	struct web *w = t->data;
	struct link_watchers now = { events_watchers(w->events) };

	if (now.n != w->watchers && channel_tell(w->channel, LINK_WATCHERS, &now) == 0)
		w->watchers = now.n;
}

static void on_changed(void *ctx, const struct link_changed *c)
{
	struct web *w = ctx;

	if (c->rules)
		events_rules(w->events);
	if (c->filter)
		events_filter(w->events);
}

static void on_history(void *ctx, const struct link_history *h)
{
	struct web *w = ctx;

	reader_told(w->reader, h->dev, h->ino);
}

/* the supervisor starts it again; browsers come back by themselves */
static void on_other_file(void *ctx)
{
	struct web *w = ctx;

	uv_stop(&w->loop);
}

static void on_second(uv_timer_t *t)
{
	struct web *w = t->data;
	struct stats_point p;

	stats_time(w->stats, clock_unix_ms());
	while (stats_next(w->stats, &p))
		events_stats(w->events, &p);
}

static unsigned connections(void *ctx)
{
	const struct web *w = ctx;
	unsigned n = http_connections(w->http);

	for (unsigned i = 0; i < WEB_TCP_MAX; i++)
		n += http_connections(w->tcp[i]);
	return n;
}

static void on_gone(void *ctx)
{
	struct web *w = ctx;

	uv_stop(&w->loop);
}

static void on_term(uv_signal_t *s, int number)
{
	(void)number;
	uv_stop(s->loop);
}

static int open_tcp(struct web *w, const struct web_conf *conf)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < conf->ntcp; i++) {
		const struct http_conf http = { .fd = conf->tcp[i],
			.ctx = &w->api, .identify = door_identify, .gate = api_gate,
			.handle = api_handle, .ended = api_ended };

		r = http_open(&w->loop, &http, &w->tcp[i]);
	}
	return r;
}

/* what must be opened while it still can be */
static void open_door(struct web *w, const struct web_conf *conf)
{
	int r = conf->ntcp ? diag_open(&w->door.diag) : 0;

	if (r < 0)
		log_warning("web: cannot ask whose a connection is: nobody can sign in: %s",
			strerror(-r));
	w->door.sessions = conf->sessions ? conf->sessions : &w->sessions;
	w->door.admins = conf->admins;
	w->door.nadmins = conf->nadmins;
	w->door.readers = conf->readers;
	w->door.nreaders = conf->nreaders;
	w->door.all_read = conf->all_read;
	w->door.group = conf->group;
	if (conf->origin && conf->ntcp)
		snprintf(w->door.origin, sizeof(w->door.origin), "%s", conf->origin);
	for (unsigned i = 0; i < conf->ntcp; i++)
		door_listens(&w->door, conf->tcp[i]);
	r = conf->ntcp && conf->pages ? pages_load(conf->pages, &w->pages) : 0;
	if (r < 0)
		log_notice("web: no dashboard at %s: %s", conf->pages, strerror(-r));
	w->api.door = &w->door;
	w->api.connections = connections;
	w->api.connections_ctx = w;
	w->api.pages = w->pages;
}

static int open_parts(struct web *w, const struct web_conf *conf)
{
	const struct channel_news news = { w, on_hello, on_program, on_flow, on_counts,
		on_changed, on_history, on_gone };
	const struct http_conf http = { conf->listen_fd, &w->api, door_identify_unix,
		api_gate, api_handle, api_ended };
	int r = window_new(&w->window);

	if (r == 0)
		r = stats_new(clock_unix_ms(), &w->stats);
	if (r == 0)
		r = pace_new(&w->pace);
	if (r == 0)
		r = uv_timer_init(&w->loop, &w->pacing);
	w->pacing.data = r == 0 ? w : NULL;
	if (r == 0)
		r = events_open(&w->loop, w->window, &w->events);
	if (r == 0)
		r = channel_open(&w->loop, conf->link_fd, &news, &w->channel);
	if (r == 0)
		r = http_open(&w->loop, &http, &w->http);
	if (r == 0)
		r = open_tcp(w, conf);
	if (r == 0)
		r = uv_signal_init(&w->loop, &w->term);
	if (r < 0)
		return r;
	r = uv_timer_init(&w->loop, &w->watch);
	if (r < 0) {
		uv_close((uv_handle_t *)&w->term, NULL);
		return r;
	}
	uv_timer_init(&w->loop, &w->second);
	w->signals = true;
	w->watch.data = w->second.data = w;
	uv_timer_start(&w->second, on_second, SECOND_MS, SECOND_MS);
	uv_timer_start(&w->watch, on_watch, WATCH_MS, WATCH_MS);
	window_stats(w->window, w->stats);
	w->api.window = w->window;
	w->api.stats = w->stats;
	w->api.channel = w->channel;
	w->api.events = w->events;
	w->api.users = w->users;
	w->api.reader = w->reader;
	return uv_signal_start(&w->term, on_term, SIGTERM);
}

/* in the order that leaves nothing waiting in libmicrohttpd: calls are told that nobody
 * answers, streams end, then the daemon stops */
static void close_parts(struct web *w)
{
	channel_close(w->channel);
	reader_close(w->reader);
	if (w->events)
		events_end(w->events);
	http_close(w->http);
	for (unsigned i = 0; i < WEB_TCP_MAX; i++)
		http_close(w->tcp[i]);
	events_close(w->events);
	if (w->pacing.data)
		uv_close((uv_handle_t *)&w->pacing, NULL);
	if (w->signals) {
		uv_close((uv_handle_t *)&w->term, NULL);
		uv_close((uv_handle_t *)&w->watch, NULL);
		uv_close((uv_handle_t *)&w->second, NULL);
	}
	uv_run(&w->loop, UV_RUN_DEFAULT);
	uv_loop_close(&w->loop);
	window_free(w->window);
	stats_free(w->stats);
	pace_free(w->pace);
	json_decref(w->api.rules);
	users_free(w->users);
	pages_free(w->pages);
	diag_close(w->door.diag);
}

static int serve(struct web *w, const struct web_conf *conf)
{
	int r = users_load("/etc/passwd", &w->users);

	if (r < 0) /* then users are numbers */
		log_notice("/etc/passwd: %s", strerror(-r));
	open_door(w, conf);
	r = reader_new(conf->history, &w->reader);
	if (r < 0)
		return r;
	(void)rules_registrable(""); /* its list is read while files can be opened */
	r = sha256_init();
	if (r == 0)
		r = open_parts(w, conf);
	if (r < 0) {
		log_error("web: cannot start: %s", strerror(-r));
		return r;
	}
	r = sandbox_enter(conf->uid, conf->gid);
	if (r < 0) {
		log_error("web: cannot give up its rights: %s", strerror(-r));
		return r;
	}
	r = reader_start(w->reader, &w->loop, on_other_file, w);
	if (r < 0) {
		log_error("web: cannot start the reader of the history: %s", strerror(-r));
		return r;
	}
	uv_run(&w->loop, UV_RUN_DEFAULT);
	return 0;
}

int web_main(const struct web_conf *conf)
{
	struct web_conf own = *conf;
	int *keep[2 + WEB_TCP_MAX] = { &own.link_fd, &own.listen_fd };
	struct web w = { 0 };
	int r;

	prctl(PR_SET_NAME, "scupper-web");
	/* the terminal's signals are for the supervisor, which then ends us */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < own.ntcp; i++)
		keep[2 + i] = &own.tcp[i];
	r = sandbox_close_others(keep, 2 + (int)own.ntcp);
	if (r == 0)
		r = uv_loop_init(&w.loop);
	if (r < 0) {
		log_error("web: cannot start: %s", strerror(-r));
		return 1;
	}
	r = serve(&w, &own);
	close_parts(&w);
	return r < 0;
}
