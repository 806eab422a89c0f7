/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How the daemon stands: counters and settings of all its parts in one message.
 */
#include "base/clock.h"
#include "base/text.h"
#include "cli/parts.h"
#include "who/machine.h"

#include <stdio.h>

static void count_actor(void *ctx, const struct program *p)
{
	(void)p;
	++*(uint64_t *)ctx;
}

static void status_counters(struct core *c, struct link_status *out)
{
	struct gate_stats g;
	struct resolver_stats r;

	gate_stats(c->gate, &g);
	resolver_stats(c->resolver, &r);
	out->queries = g.queries;
	out->denied = g.denied;
	out->cached = g.cached;
	out->shared = r.shared;
	out->cache_misses = r.misses;
	out->cache_stale = r.stale;
	out->cache_prefetched = r.prefetched;
	out->cache_failures = r.failures;
	out->cache_entries = r.entries;
	out->cache_bytes = r.bytes;
	out->cache_bytes_max = r.bytes_max;
	out->kernel_failed = g.kernel_failed;
	out->unknown = g.unknown;
	out->outside = g.outside;
	out->flows = g.flows;
	out->refused = out->refusals = g.refused;
	out->grants = g.grants;
	out->events_lost = g.events_lost + (c->ct ? ct_lost(c->ct) : 0);
	out->core_restarts = c->held->restarts;
	if (c->held->who) {
		struct who_stats w;

		who_stats(c->held->who, &w);
		who_each_actor(c->held->who, count_actor, &out->actors);
		out->execs = w.execs;
		out->ring_lost = w.ring_lost;
		out->frames_refused = w.frames_refused;
	}
}

static void status_upstreams(struct core *c, struct link_status *out)
{
	struct upstream_state up[LINK_UPSTREAMS_MAX];
	size_t n = resolver_upstreams(c->resolver, up, LINK_UPSTREAMS_MAX);

	for (size_t i = 0; i < n; i++) {
		struct link_upstream *l = &out->upstreams[out->nupstreams++];
		char name[UPSTREAM_TEXT_MAX];

		text_copy(l->name, sizeof(l->name), upstream_text(&up[i].up, name));
		text_copy(l->why, sizeof(l->why), up[i].why);
		l->dead = up[i].dead;
		l->fallback = up[i].up.fallback;
		l->sent = up[i].sent;
		l->failed = up[i].failed;
		l->last_ok_ms = up[i].last_ok_ms;
	}
}

static uint64_t rss_kb(void)
{
	size_t rss = 0;

	return uv_resident_set_memory(&rss) == 0 ? rss / 1024 : 0;
}

void core_status(void *ctx, struct link_status *out)
{
	struct core *c = ctx;
	const struct held *h = c->held;
	const struct conf *conf = h->conf;
	char nss[MACHINE_TEXT_MAX];

	text_copy(out->version, sizeof(out->version), PACKAGE_VERSION);
	text_copy(out->instance, sizeof(out->instance), conf->instance);
	text_copy(out->mode, sizeof(out->mode), conf->watch ? "watch" : "enforce");
	out->filter = (uint8_t)filter_mode(c->filter);
	out->filter_until_s = filter_until_s(c->filter);
	text_copy(out->scope, sizeof(out->scope), conf->scope);
	text_copy(out->when_down, sizeof(out->when_down), conf->closed ? "closed" : "open");
	text_copy(out->default_out, sizeof(out->default_out),
		verdict_text(conf->default_out));
	text_copy(out->default_in, sizeof(out->default_in), verdict_text(conf->default_in));
	out->uptime_s = (clock_unix_ms() - h->started_ms) / 1000;
	out->identity = held_identity(h);
	text_copy(out->why, sizeof(out->why), h->why);
	out->table = c->nft && nft_present(&c->instance) > 0;
	out->persist = out->table && conf->closed && nft_persists(c->nft);
	text_copy(out->nss, sizeof(out->nss), machine_resolvers("", nss));
	text_copy(out->rule_errors, sizeof(out->rule_errors), book_errors(c->book));
	geo_file_text(atlas_geo(c->atlas), GEO_COUNTRY, out->geo_country,
		sizeof(out->geo_country));
	geo_file_text(atlas_geo(c->atlas), GEO_CITY, out->geo_city, sizeof(out->geo_city));
	geo_file_text(atlas_geo(c->atlas), GEO_ASN, out->geo_asn, sizeof(out->geo_asn));
	out->rss_kb = rss_kb();
	out->accounting = h->accounting;
	status_counters(c, out);
	status_upstreams(c, out);
	keeper_status(c->keeper, out);
}
