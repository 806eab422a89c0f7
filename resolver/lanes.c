/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/lanes.h"

#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 0x7fff };

struct group {
	struct group *next;
	struct upstreams *upstreams;
	struct upstream servers[UPSTREAMS_MAX];
	size_t n;
	bool used;
};

struct lanes {
	struct uv_loop_s *loop;
	struct resolver_conf conf;
	struct group *groups;
	struct route *routes;
	struct lane *lanes; /* beside routes */
	size_t n;
	uint16_t last;
};

static bool same_servers(const struct group *g, const struct route *r)
{
	if (g->n != r->n)
		return false;
	for (size_t i = 0; i < g->n; i++)
		if (!upstream_equal(&g->servers[i], &r->servers[i]))
			return false;
	return true;
}

static struct group *group_get(struct lanes *l, const struct route *r)
{
	struct resolver_conf conf = l->conf;
	struct group *g = l->groups;

	while (g && !same_servers(g, r))
		g = g->next;
	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	memcpy(g->servers, r->servers, sizeof(g->servers));
	g->n = r->n;
	conf.upstreams = g->servers;
	conf.nupstreams = g->n;
	if (upstreams_open(l->loop, &conf, &g->upstreams) < 0) {
		free(g);
		return NULL;
	}
	g->next = l->groups;
	l->groups = g;
	return g;
}

static uint16_t number_of(struct lanes *l, const struct route *r)
{
	for (size_t i = 0; i < l->n; i++)
		if (route_equal(&l->routes[i], r))
			return l->lanes[i].number;
	l->last = l->last == NUMBER_MAX ? 1 : l->last + 1;
	return l->last;
}

static void groups_sweep(struct lanes *l, void (*gone)(void *ctx, struct upstreams *u),
	void *ctx)
{
	struct group **at = &l->groups;

	while (*at) {
		struct group *g = *at;

		if (g->used) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		gone(ctx, g->upstreams);
		upstreams_close(g->upstreams);
		free(g);
	}
}

int lanes_set(struct lanes *l, const struct route *list, size_t n,
	void (*gone)(void *ctx, struct upstreams *u), void *ctx)
{
	struct route *routes = calloc(MAX(n, (size_t)1), sizeof(*routes));
	struct lane *lanes = calloc(MAX(n, (size_t)1), sizeof(*lanes));
	size_t m = 0;

	if (!routes || !lanes) {
		free(routes);
		free(lanes);
		return -ENOMEM;
	}
	for (struct group *g = l->groups; g; g = g->next)
		g->used = false;
	for (size_t i = 0; i < n; i++) {
		struct group *g = group_get(l, &list[i]);

		if (!g)
			continue;
		g->used = true;
		routes[m] = list[i];
		lanes[m++] = (struct lane){ g->upstreams, number_of(l, &list[i]) };
	}
	free(l->routes);
	free(l->lanes);
	l->routes = routes;
	l->lanes = lanes;
	l->n = m;
	groups_sweep(l, gone, ctx);
	return m == n ? 0 : -ENOMEM;
}

int lanes_open(struct uv_loop_s *loop, const struct resolver_conf *conf, struct lanes **out)
{
	struct lanes *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->loop = loop;
	l->conf = *conf;
	*out = l;
	return 0;
}

static void nobody(void *ctx, struct upstreams *u)
{
	(void)ctx;
	(void)u;
}

void lanes_close(struct lanes *l)
{
	if (!l)
		return;
	for (struct group *g = l->groups; g; g = g->next)
		g->used = false;
	groups_sweep(l, nobody, NULL);
	free(l->routes);
	free(l->lanes);
	free(l);
}

bool lanes_find(const struct lanes *l, const char *name, struct lane *out)
{
	const struct route *r = l->n ? route_find(l->routes, l->n, name) : NULL;

	if (r)
		*out = l->lanes[r - l->routes];
	return r;
}

const struct route *lanes_routes(const struct lanes *l, size_t *n)
{
	*n = l->n;
	return l->routes;
}

size_t lanes_state(const struct lanes *l, struct upstream_state *out, size_t max)
{
	size_t n = 0;

	for (const struct group *g = l->groups; g; g = g->next)
		n += upstreams_state(g->upstreams, out + n, max - n);
	return n;
}
