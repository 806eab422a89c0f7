/* SPDX-License-Identifier: GPL-2.0-or-later
 * coretable.c - the nft table of the core: at start, and anew when somebody took it away. */

#include "base/log.h"
#include "cli/parts.h"
#include "resolver/statics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* what others speak with an encrypted server is no DNS that we could read */
static void place_add(struct nft_conf *conf, const struct upstream *u)
{
	if (u->kind != UPSTREAM_PLAIN || u->port == conf->dns_port)
		return;
	for (unsigned i = 0; i < conf->ndns_at; i++)
		if (conf->dns_at[i].port == u->port &&
			addr_cmp(&conf->dns_at[i].addr, &u->addr) == 0)
			return;
	if (conf->ndns_at < NFT_DNS_AT_MAX)
		conf->dns_at[conf->ndns_at++] = (struct nft_at){ u->addr, u->port };
}

/* the servers of configured routes */
static void places_of_routes(const struct held *h, struct nft_conf *conf)
{
	struct statics *s;
	const struct route *routes;
	size_t n;

	if (statics_parse(h->conf->names, &s) < 0)
		return;
	routes = statics_routes(s, &n);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < routes[i].n; k++)
			place_add(conf, &routes[i].servers[k]);
	statics_free(s);
}

/* ports and addresses that the table must know by heart */
static void table_places(const struct held *h, struct nft_conf *conf)
{
	conf->npeek = h->conf->npeek_ports;
	for (unsigned i = 0; i < conf->npeek; i++)
		conf->peek_ports[i] = h->conf->peek_ports[i];
	for (unsigned i = 0; i < h->conf->nupstreams; i++)
		place_add(conf, &h->conf->upstreams[i]);
	places_of_routes(h, conf);
	conf->nweb = h->nweb_ports;
	memcpy(conf->web_ports, h->web_ports, sizeof(conf->web_ports));
}

int core_open_table(struct core *c, const struct nft_element *prefill, size_t n)
{
	const struct held *h = c->held;
	struct nft_conf conf = {
		.instance = &c->instance,
		.basic = h->basic ? &h->key : NULL,
		.default_allow = h->conf->watch || h->conf->default_out == VERDICT_ALLOW,
		.default_in_allow = h->conf->watch || h->conf->default_in == VERDICT_ALLOW,
		.closed = h->conf->closed,
		.ipv6 = h->ipv6,
		.dns_port = 53,
		.gate_port = h->gate_port,
		.log_refused = true,
	};
	char why[HELD_WHY_MAX] = "";
	int r;

	table_places(h, &conf);
	r = nft_open(&c->loop, &conf, h->nft, prefill, n, why, sizeof(why), &c->nft);

	if (r < 0)
		log_error("the nft table cannot be set up: %s", why);
	return r;
}

/* and what a new table must know of it */
static int add_numbers(const struct core *c, struct nft_element **els, size_t *n)
{
	struct who_given *keys = calloc(ACTOR_MAX, sizeof(*keys));
	size_t count = keys ? who_keys(c->held->who, keys, ACTOR_MAX) : 0;
	struct nft_element *more = keys ? realloc(*els, (*n + count + 1) * sizeof(*more)) : NULL;

	if (more)
		*els = more;
	for (size_t i = 0; more && i < count; i++)
		more[(*n)++] = (struct nft_element){ .set = NFT_NUMBER, .actor = keys[i].actor,
			.cgroup = keys[i].cgroup, .uid = keys[i].uid };
	free(keys);
	return more ? 0 : -ENOMEM;
}

/* Somebody deleted our table: everything comes back in one transaction. */
static void on_rebuild(uv_timer_t *t)
{
	struct core *c = t->data;
	struct nft_element *els = NULL;
	size_t n = 0;
	int r = gate_elements(c->gate, &els, &n);

	if (r == 0 && c->held->basic)
		r = add_numbers(c, &els, &n);
	log_error("our nft table was taken away: setting it up again");
	gate_table_gone(c->gate);
	nft_close(c->nft); /* what was under way fails: its answers are SERVFAIL */
	c->nft = NULL;
	if (r < 0 || core_open_table(c, els, n) < 0) {
		log_error("it did not come back: starting anew");
		abort();
	}
	free(els);
	gate_table_back(c->gate, c->nft);
	tunnels_table(c->tunnels, c->nft);
}

/* told from within the writer that is to be closed: not now, but next */
void core_table_lost(void *ctx)
{
	struct core *c = ctx;

	uv_timer_start(&c->rebuild, on_rebuild, 0, 0);
}
