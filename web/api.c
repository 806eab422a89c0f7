/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/api.h"
#include "base/macros.h"
#include "base/text.h"
#include "web/assets.h"
#include "web/door.h"
#include "web/pages.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

static const char openapi[] =
#include "web/openapi.inc"
	;

static void api_document(struct api *a, struct request *rq)
{
	(void)a;
	request_text(rq, MHD_HTTP_OK, "application/json", openapi);
}

/* web/openapi.json describes these; tests/unit/test_web.c holds one against the other */
const struct route api_routes[] = {
	{ "GET", "/api/v1/status", api_status, ROUTE_READS, { NULL } },
	{ "GET", "/api/v1/queries", api_queries, ROUTE_READS,
		{ "program", "verdict", "name", "limit", "cursor", NULL } },
	{ "GET", "/api/v1/flows", api_flows, ROUTE_READS,
		{ "program", "verdict", "name", "limit", "cursor", NULL } },
	{ "GET", "/api/v1/apps", api_apps, ROUTE_READS, { "limit", "cursor", "from", "to", "program",
		"country", "verdict", NULL } },
	{ "GET", "/api/v1/history", api_history, ROUTE_READS, { "program", "name", "address",
		"country", "verdict", "from", "to", "limit", "cursor", NULL } },
	{ "GET", "/api/v1/countries", api_countries, ROUTE_READS, { "from", "to", "program",
		"country", "verdict", NULL } },
	{ "GET", "/api/v1/stats", api_stats, ROUTE_READS, { "from", "to", "step", "program",
		"country", "verdict", NULL } },
	{ "GET", "/api/v1/events", api_events, ROUTE_READS,
		{ "topics", "program", "verdict", "name", "last", NULL } },
	{ "GET", "/api/v1/rules", api_rules, ROUTE_READS, { NULL } },
	{ "POST", "/api/v1/rules", api_rule_add, ROUTE_ADMINS, { NULL } },
	{ "DELETE", "/api/v1/rules/", api_rule_remove, ROUTE_ADMINS, { NULL } },
	{ "PATCH", "/api/v1/rules/", api_rule_change, ROUTE_ADMINS, { NULL } },
	{ "POST", "/api/v1/rules/test", api_explain_body, ROUTE_TAKES, { NULL } },
	{ "POST", "/api/v1/undo/", api_undo, ROUTE_ADMINS, { NULL } },
	{ "GET", "/api/v1/filter", api_filter, ROUTE_READS, { NULL } },
	{ "PUT", "/api/v1/filter", api_filter_set, ROUTE_ADMINS, { NULL } },
	{ "POST", "/api/v1/cache/flush", api_cache_flush, ROUTE_ADMINS, { NULL } },
	{ "GET", "/api/v1/explain", api_explain, ROUTE_READS, { "who", "what", NULL } },
	{ "POST", "/api/v1/explain", api_explain_body, ROUTE_TAKES, { NULL } },
	{ "POST", "/api/v1/session-tokens", api_token_add, ROUTE_TAKES, { NULL } },
	{ "POST", "/api/v1/login", api_login, ROUTE_TAKES, { NULL } },
	{ "POST", "/api/v1/logout", api_logout, ROUTE_TAKES, { NULL } },
	{ "GET", "/api/v1/me", api_me, ROUTE_READS, { NULL } },
	{ "GET", "/api/v1/openapi.json", api_document, ROUTE_READS, { NULL } },
};
const size_t api_routes_count = ARRAY_LEN(api_routes);

static bool path_matches(const struct route *r, const char *path)
{
	size_t n = strlen(r->path);

	if (r->path[n - 1] != '/')
		return strcmp(r->path, path) == 0;
	return strncmp(r->path, path, n) == 0 && path[n] && !strchr(path + n, '/');
}

/* the route, or NULL; methods gets those that the path does know */
static const struct route *route_find(const char *method, const char *path,
	struct text *methods)
{
	for (size_t i = 0; i < api_routes_count; i++) {
		const struct route *r = &api_routes[i];

		if (!path_matches(r, path))
			continue;
		if (strcmp(r->method, method) == 0)
			return r;
		text_addf(methods, "%s%s", methods->len ? ", " : "", r->method);
	}
	return NULL;
}

static const char *header(struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->mhd, MHD_HEADER_KIND, name);
}

static bool refuse(struct request *rq, unsigned status, const char *detail)
{
	request_problem(rq, status, detail);
	return false;
}

static bool is_json(const char *type)
{
	static const char json[] = "application/json";
	size_t n = sizeof(json) - 1;

	return type && strncasecmp(type, json, n) == 0 &&
		(type[n] == '\0' || type[n] == ';' || type[n] == ' ');
}

static bool body_gate(struct request *rq)
{
	const char *length = header(rq, MHD_HTTP_HEADER_CONTENT_LENGTH);

	if (length && strtoull(length, NULL, 10) > HTTP_BODY_MAX)
		return refuse(rq, MHD_HTTP_CONTENT_TOO_LARGE, "a body is at most 64 KB");
	if (rq->route->kind != ROUTE_READS &&
		(rq->peer->tcp || strcmp(rq->method, "DELETE") != 0) &&
		!is_json(header(rq, MHD_HTTP_HEADER_CONTENT_TYPE)))
		return refuse(rq, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
			"the body must be application/json");
	return true;
}

static bool route_gate(struct request *rq)
{
	char allowed[64];
	struct text methods = text_into(allowed, sizeof(allowed));

	rq->route = route_find(rq->method, rq->path, &methods);
	if (rq->route)
		return true;
	if (!methods.len)
		return refuse(rq, MHD_HTTP_NOT_FOUND, "there is nothing at this path");
	request_problem(rq, MHD_HTTP_METHOD_NOT_ALLOWED,
		"this path does not know the method");
	request_header(rq, MHD_HTTP_HEADER_ALLOW, allowed);
	return false;
}

/* A page shows nothing without the API: it may be read before signing in. */
static void api_page(struct api *a, struct request *rq)
{
	const struct page *p = pages_find(a->pages, rq->path);
	bool packed = p && p->packed && assets_takes_gzip(header(rq,
		MHD_HTTP_HEADER_ACCEPT_ENCODING));
	const char *etag;

	if (!p) {
		request_problem(rq, MHD_HTTP_NOT_FOUND, "the dashboard is not installed");
		return;
	}
	etag = packed ? p->packed_etag : p->etag;
	rq->cache = p->lasting ? "private, max-age=31536000, immutable" : "private, no-cache";
	if (assets_has(header(rq, MHD_HTTP_HEADER_IF_NONE_MATCH), etag)) {
		request_text(rq, MHD_HTTP_NOT_MODIFIED, NULL, NULL);
	} else {
		request_bytes(rq, p->type, packed ? p->packed : p->bytes,
			packed ? p->packed_len : p->len);
		if (packed)
			request_header(rq, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	}
	request_header(rq, MHD_HTTP_HEADER_ETAG, etag);
	request_header(rq, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
}

static const struct route page_route = { .method = "GET", .path = "/", .handle = api_page };

/* what a browser must bring; false: it has answered */
static bool tcp_gate(struct api *a, struct request *rq)
{
	if (!door_headers(rq))
		return false;
	if (door_reads(rq) && (strcmp(rq->path, "/") == 0 ||
		pages_find(a->pages, rq->path))) {
		rq->route = &page_route;
		return true;
	}
	if (strcmp(rq->method, "POST") == 0 && strcmp(rq->path, "/api/v1/login") == 0)
		return true;
	return door_session(a->door, rq);
}

/* The one gate: nothing that it does not let through reaches a handler. */
bool api_gate(void *ctx, struct request *rq)
{
	const char *strange;
	char detail[160];

	if (!rq->peer->allowed)
		return refuse(rq, MHD_HTTP_FORBIDDEN,
			"only root, members of the group and those named in scupper.conf may "
			"ask");
	/* a browser, by way of some proxy: never ours on this socket */
	if (!rq->peer->tcp &&
		(header(rq, MHD_HTTP_HEADER_ORIGIN) || header(rq, "Sec-Fetch-Site")))
		return refuse(rq, MHD_HTTP_FORBIDDEN, "not for web pages");
	if (rq->peer->tcp && !tcp_gate(ctx, rq))
		return false;
	if (!rq->route && !route_gate(rq))
		return false;
	if (rq->route->kind == ROUTE_ADMINS && !rq->admin)
		return refuse(rq, MHD_HTTP_FORBIDDEN,
			"only administrators (root, group= and users= in [web]) may change this");
	if (!body_gate(rq))
		return false;
	strange = request_strange_argument(rq, rq->route->arguments);
	if (!strange)
		return true;
	snprintf(detail, sizeof(detail), "unknown argument \"%.100s\"", strange);
	return refuse(rq, MHD_HTTP_BAD_REQUEST, detail);
}

bool api_sees(const struct request *rq, uint32_t uid)
{
	return rq->admin || rq->peer->uid == uid;
}

void api_handle(void *ctx, struct request *rq)
{
	rq->route->handle(ctx, rq);
}

static bool number_argument(struct request *rq, const char *name, uint64_t max,
	uint64_t *out)
{
	const char *s = request_argument(rq, name);
	char *end, detail[80];
	uint64_t v;

	if (!s)
		return true;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (*s >= '0' && *s <= '9' && !*end && !errno && v >= 1 && v <= max) {
		*out = v;
		return true;
	}
	snprintf(detail, sizeof(detail), "%s must be a number from 1 to %" PRIu64, name,
		max);
	return refuse(rq, MHD_HTTP_BAD_REQUEST, detail);
}

bool api_limit(struct request *rq, unsigned *limit, uint64_t *cursor)
{
	uint64_t n = API_LIST_DEFAULT;

	*cursor = 0;
	if (!number_argument(rq, "limit", API_LIST_MAX, &n) ||
		!number_argument(rq, "cursor", INT64_MAX, cursor))
		return false;
	*limit = (unsigned)n;
	return true;
}

static bool has_control(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

bool api_body(struct request *rq, const char *const *names, const char **values, size_t n,
	json_t **body)
{
	char detail[120];
	json_t *o;

	o = request_json(rq);
	if (!json_is_object(o) || json_object_size(o) != n)
		goto bad;
	for (size_t i = 0; i < n; i++) {
		values[i] = json_string_value(json_object_get(o, names[i]));
		if (!values[i] || has_control(values[i]))
			goto bad;
	}
	*body = o;
	return true;
bad:
	json_decref(o);
	snprintf(detail, sizeof(detail),
		"the body must be a JSON object of the strings: %s%s%s", names[0],
		 n > 1 ? ", " : "", n > 1 ? names[1] : "");
	return refuse(rq, MHD_HTTP_BAD_REQUEST, detail);
}

void api_answer_list(struct request *rq, json_t *items, uint64_t next)
{
	json_t *o = json_object();
	char cursor[24];

	snprintf(cursor, sizeof(cursor), "%" PRIu64, next);
	json_object_set_new(o, "items", items);
	json_object_set_new(o, "next", next ? json_string(cursor) : json_null());
	request_answer(rq, MHD_HTTP_OK, o);
}
