/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/ways.h"

#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ALIAS_NUMBER = 0x8000, /* beside a route's: an answer for another name */
	OPT_BARE = 11,
};

struct ways {
	struct lanes *lanes;
	struct statics *statics;
	struct here *here;
	char search[SEARCH_MAX][HOST_MAX]; /* beside the configured ones */
	unsigned nsearch;
	bool public; /* one of the usual servers is on the internet */
};

static void nobody(void *ctx, struct upstreams *u)
{
	(void)ctx;
	(void)u;
}

int ways_open(struct uv_loop_s *loop, const struct resolver_conf *conf, struct ways **out)
{
	struct ways *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	ways_usual(w, conf->upstreams, conf->nupstreams, conf->recursive);
	r = statics_parse(conf->names ? conf->names : "", &w->statics);
	if (r == 0)
		r = here_open(conf->hosts ? conf->hosts : "/etc/hosts", w->statics, &w->here);
	if (r == 0)
		r = lanes_open(loop, conf, &w->lanes);
	if (r == 0)
		r = ways_links(w, NULL, 0, nobody, NULL);
	if (r == 0)
		*out = w;
	else
		ways_close(w);
	return r;
}

void ways_close(struct ways *w)
{
	if (!w)
		return;
	lanes_close(w->lanes);
	here_close(w->here);
	statics_free(w->statics);
	free(w);
}

void ways_find(const struct ways *w, const char *name, struct way *out)
{
	struct lane lane;

	*out = (struct way){ 0 };
	out->alias = statics_alias(w->statics, name, &out->alias_ttl);
	if (lanes_find(w->lanes, out->alias ? out->alias : name, &lane)) {
		out->upstreams = lane.upstreams;
		out->number = lane.number;
	}
	if (out->alias)
		out->number |= ALIAS_NUMBER;
}

int ways_answer(const struct way *way, const char *name, uint16_t type, const uint8_t *msg,
	size_t len, uint8_t out[static WIRE_MAX])
{
	uint8_t query[EXCHANGE_QUERY_MAX];
	int n = wire_query_write(name, type, 0, false, query, sizeof(query));

	if (n < 0)
		return n;
	return wire_alias(query, (size_t)n - WIRE_HEAD - OPT_BARE, way->alias, way->alias_ttl,
		msg, len, out, WIRE_MAX);
}

static struct local *local_now(struct ways *w)
{
	struct local *l = here_now(w->here);

	l->routes = lanes_routes(w->lanes, &l->nroutes);
	l->public = w->public;
	return l;
}

int ways_local(struct ways *w, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room)
{
	const struct local *l = local_now(w);

	if (local_wants_machine(l, q))
		here_look_machine(w->here);
	return local_answer(l, q, query, out, room);
}

bool ways_in_hosts(struct ways *w, const char *name)
{
	const struct hosts *h = here_now(w->here)->hosts;

	return h && hosts_has(h, name);
}

bool ways_own_name(struct ways *w, const char *name)
{
	return local_is_own(here_now(w->here), name);
}

bool ways_local_name(struct ways *w, const char *name)
{
	const struct static_record *records;
	const struct route *route;
	size_t n;
	const struct route *list = lanes_routes(w->lanes, &n);

	route = route_find(list, n, name);
	return ways_in_hosts(w, name) || (route && route->configured) ||
		statics_find(w->statics, name, &records) ||
		statics_may_rebind(w->statics, name);
}

/* by the name that was asked for in the end: a rewrite makes no other answer good */
enum resolver_guard ways_guard(struct ways *w, const char *name)
{
	const struct route *route;
	uint32_t ttl;
	const char *alias = statics_alias(w->statics, name, &ttl);
	size_t n;
	const struct route *list = lanes_routes(w->lanes, &n);

	if (statics_may_rebind(w->statics, name) ||
		(alias && statics_may_rebind(w->statics, alias)))
		return GUARD_NONE;
	route = route_find(list, n, alias ? alias : name);
	if (route)
		return route_is_near(route) ? GUARD_LOOPBACK : GUARD_LAN;
	return w->public ? GUARD_LAN : GUARD_LOOPBACK;
}

void ways_usual(struct ways *w, const struct upstream *u, size_t n, bool recursive)
{
	w->public = recursive;
	for (size_t i = 0; i < n; i++) /* one that is found by name is taken for one */
		w->public |= !u[i].addr.family || addr_zone(&u[i].addr) == ZONE_INTERNET;
}

int ways_links(struct ways *w, const struct route *list, size_t n,
	void (*gone)(void *ctx, struct upstreams *u), void *ctx)
{
	size_t nown;
	const struct route *own = statics_routes(w->statics, &nown);
	struct route *all;
	int r;

	n = MIN(n, ROUTES_MAX - nown);
	all = calloc(nown + n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	if (nown)
		memcpy(all, own, nown * sizeof(*all));
	if (n)
		memcpy(all + nown, list, n * sizeof(*all));
	r = lanes_set(w->lanes, all, nown + n, gone, ctx);
	free(all);
	return r;
}

static bool searched(const struct ways *w, const char *domain)
{
	for (unsigned i = 0; ways_search(w, i); i++)
		if (strcmp(ways_search(w, i), domain) == 0)
			return true;
	return false;
}

void ways_search_also(struct ways *w, const char (*domains)[HOST_MAX], size_t n)
{
	w->nsearch = 0;
	for (size_t i = 0; i < n && w->nsearch < SEARCH_MAX; i++)
		if (!searched(w, domains[i]))
			memcpy(w->search[w->nsearch++], domains[i], HOST_MAX);
}

const char *ways_search(const struct ways *w, unsigned i)
{
	unsigned n = 0;

	while (statics_search(w->statics, n))
		n++;
	if (i < n)
		return statics_search(w->statics, i);
	return i - n < w->nsearch ? w->search[i - n] : NULL;
}

size_t ways_state(const struct ways *w, struct upstream_state *out, size_t max)
{
	return lanes_state(w->lanes, out, max);
}
