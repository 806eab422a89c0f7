/* SPDX-License-Identifier: GPL-2.0-or-later
 * api.h - the routes of /api/v1/, and the one gate in front of all of them. */
#ifndef WEB_API_H
#define WEB_API_H

#include "web/channel.h"
#include "web/http.h"
#include "web/undo.h"

struct door;
struct events;
struct pages;
struct reader;
struct stats;
struct users;
struct window;

struct api {
	struct window *window;
	struct channel *channel;
	struct events *events;
	struct stats *stats;
	const struct users *users; /* may be NULL */
	struct door *door;
	const struct pages *pages; /* may be NULL */
	struct reader *reader;
	uint64_t boot;             /* of the core, 0: it has not said hello */
	bool has_status;
	struct link_status status; /* as it was told last */
	json_t *rules;             /* the last complete list; owned */
	struct undo undo;
	unsigned (*connections)(void *ctx); /* how many there are now, of every kind */
	void *connections_ctx;
};

enum { API_ARGUMENTS_MAX = 12, API_LIST_DEFAULT = 100, API_LIST_MAX = 1000 };

enum route_kind {
	ROUTE_READS,
	ROUTE_TAKES,  /* JSON: only what no foreign page can send */
	ROUTE_ADMINS, /* likewise, and for administrators alone */
};

struct route {
	const char *method, *path; /* a path that ends in '/' takes a number behind it */
	void (*handle)(struct api *a, struct request *rq);
	enum route_kind kind;
	const char *arguments[API_ARGUMENTS_MAX]; /* the ones it knows, then NULL */
};
extern const struct route api_routes[];
extern const size_t api_routes_count;

/* for struct http_conf; ctx is a struct api */
bool api_gate(void *ctx, struct request *rq);
void api_handle(void *ctx, struct request *rq);
void api_ended(void *ctx, struct request *rq);

/* handlers: lists.c and chart.c answer from the window, ask.c with what the core says, change.c has
 * the core change something */
void api_queries(struct api *a, struct request *rq);
void api_flows(struct api *a, struct request *rq);
void api_apps(struct api *a, struct request *rq);
void api_stats(struct api *a, struct request *rq);
void api_events(struct api *a, struct request *rq);
void api_status(struct api *a, struct request *rq);
void api_rules(struct api *a, struct request *rq);
void api_rule_add(struct api *a, struct request *rq);
void api_rule_remove(struct api *a, struct request *rq);
void api_rule_change(struct api *a, struct request *rq);
void api_undo(struct api *a, struct request *rq);
void api_filter(struct api *a, struct request *rq);
void api_cache_flush(struct api *a, struct request *rq);
void api_filter_set(struct api *a, struct request *rq);
void api_explain(struct api *a, struct request *rq);
void api_explain_body(struct api *a, struct request *rq);

/* handlers: history.c has history.db read */
void api_history(struct api *a, struct request *rq);
void api_countries(struct api *a, struct request *rq);

/* May this request read what a program of this uid did? Administrators read everybody's,
 * others (rq->admin is false) what is of rq->peer->uid alone. */
bool api_sees(const struct request *rq, uint32_t uid);

/* what the handlers share; all answer with a problem and return false if they must */
bool api_verdict(struct request *rq, bool *said, enum verdict *out);
bool api_limit(struct request *rq, unsigned *limit, uint64_t *cursor);
/* the body as an object whose members are strings by these names, each required and no
 * other; values are borrowed from *body, which is the caller's to json_decref */
bool api_body(struct request *rq, const char *const *names, const char **values, size_t n,
	json_t **body);
/* {"items": [...], "next": cursor or null} */
void api_answer_list(struct request *rq, json_t *items, uint64_t next);

#endif
