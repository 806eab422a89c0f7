/* SPDX-License-Identifier: GPL-2.0-or-later
 * The keys of [resolver]. */
#include "cli/confread.h"

#include "base/text.h"
#include "resolver/statics.h"

#include <errno.h>
#include <string.h>

static int read_listen(struct reader *r, const char *value)
{
	int e;

	if (strcmp(value, "none") == 0) {
		r->c->listen_none = true;
		return 0;
	}
	e = conf_at(value, 53, r->c->listen, CONF_LISTEN_MAX, &r->c->nlisten);
	if (e == 0 && addr_zone(&r->c->listen[r->c->nlisten - 1].addr) != ZONE_LOCALHOST)
		return conf_fail(r, "listen=%s is not a loopback address: the resolver serves this "
			       "machine only",
			value);
	return e;
}

static int add_upstream(struct reader *r, const char *value, bool fallback)
{
	struct upstream *u = &r->c->upstreams[r->c->nupstreams];

	if (r->c->nupstreams == CONF_UPSTREAMS_MAX || upstream_parse(value, u) < 0)
		return -EINVAL;
	u->fallback = fallback;
	if (u->addr.family == 0 && !r->named_line)
		r->named_line = r->line;
	if (fallback && !r->fallback_line)
		r->fallback_line = r->line;
	r->c->nupstreams++;
	return 0;
}

/* the last one and those before */
static int check_mix(struct reader *r)
{
	const struct upstream *all = r->c->upstreams, *last = &all[r->c->nupstreams - 1];

	for (const struct upstream *u = all; u < last; u++)
		if (!u->fallback && (u->kind == UPSTREAM_PLAIN) != (last->kind == UPSTREAM_PLAIN))
			return conf_fail(r, "a plain upstream beside an encrypted one would be told in "
				       "clear what is asked: write it as fallback=, for when "
				       "the others cannot be reached");
	return 0;
}

static bool has_upstream(const struct conf *c)
{
	for (unsigned i = 0; i < c->nupstreams; i++)
		if (!c->upstreams[i].fallback)
			return true;
	return false;
}

/* what no single line says */
static int check_upstreams(struct reader *r)
{
	if (r->named_line && r->c->nbootstrap == 0) {
		r->line = r->named_line;
		return conf_fail(r, "who knows the upstream's address? write it behind a #, as in "
			       "tls://dns.example#192.0.2.1, or name a plain server in bootstrap=");
	}
	if (r->fallback_line && !has_upstream(r->c)) {
		r->line = r->fallback_line;
		return conf_fail(r, "fallback= without an upstream= to fall back from");
	}
	return 0;
}

static int read_upstream(struct reader *r, const char *value)
{
	if (strcmp(value, "recursive") == 0) {
		r->c->recursive = true;
		return 0;
	}
	if (add_upstream(r, value, false) < 0)
		return -EINVAL;
	return check_mix(r);
}

static int read_fallback(struct reader *r, const char *value)
{
	return add_upstream(r, value, true);
}

static int read_bootstrap(struct reader *r, const char *value)
{
	struct upstream u;

	if (r->c->nbootstrap == CONF_UPSTREAMS_MAX || upstream_parse(value, &u) < 0 ||
		u.kind != UPSTREAM_PLAIN)
		return -EINVAL;
	r->c->bootstrap[r->c->nbootstrap++] = u;
	return 0;
}

static int read_tls_ca(struct reader *r, const char *value)
{
	return conf_path(r->c->tls_ca, value);
}

static int read_policy(struct reader *r, const char *value)
{
	static const char *const words[] = { "failover", "race" };
	unsigned v;

	if (conf_one_of(value, words, 2, &v) < 0)
		return -EINVAL;
	r->c->race = v == 1;
	return 0;
}

/* What is said of names is checked as a whole and kept as lines. */
static int read_names(struct reader *r, const char *value)
{
	char why[STATICS_WHY_MAX] = "";
	size_t len = strlen(r->c->names);
	struct text t;
	int e = r->statics ? 0 : statics_new(&r->statics);

	if (e == 0)
		e = statics_add(r->statics, r->key, value, why);
	if (e < 0)
		return conf_fail(r, "%s=%.60s: %s", r->key, value, why[0] ? why : strerror(-e));
	t = text_into(r->c->names + len, sizeof(r->c->names) - len);
	text_addf(&t, "%s %s\n", r->key, value);
	return t.cut ? conf_fail(r, "over %d bytes about names", CONF_NAMES_MAX) : 0;
}

static int read_links(struct reader *r, const char *value)
{
	static const char *const words[] = { "auto", "yes", "no" };
	unsigned v;

	if (conf_one_of(value, words, 3, &v) < 0)
		return -EINVAL;
	r->c->links = (enum conf_links)v;
	return 0;
}

static int read_refusal(struct reader *r, const char *value)
{
	static const char *const words[] = { "nxdomain", "zero", "refused" };
	unsigned v;

	if (conf_one_of(value, words, 3, &v) < 0)
		return -EINVAL;
	r->c->refusal = (enum conf_refusal)v;
	return 0;
}

static int read_dnssec(struct reader *r, const char *value)
{
	static const char *const words[] = { "off", "trust-ad", "validate" };
	unsigned v;

	if (conf_one_of(value, words, 3, &v) < 0)
		return -EINVAL;
	r->c->dnssec = (enum dnssec)v;
	return 0;
}

static int read_anchor(struct reader *r, const char *value)
{
	return conf_path(r->c->anchor, value);
}

static int read_root_hints(struct reader *r, const char *value)
{
	return conf_path(r->c->root_hints, value);
}

static int read_cache_size(struct reader *r, const char *value)
{
	uint64_t v;

	if (text_size(value, &v) < 0 || v < 65536 || v > 4000000000u)
		return -EINVAL;
	r->c->cache_size = v;
	return 0;
}

/* a duration, or 0 */
static int read_seconds(const char *value, uint32_t least, uint32_t most, uint32_t *out)
{
	int64_t v = 0;

	if (strcmp(value, "0") != 0 && text_duration_s(value, &v) < 0)
		return -EINVAL;
	if (v < (int64_t)least || v > (int64_t)most)
		return -EINVAL;
	*out = (uint32_t)v;
	return 0;
}

static int read_min_ttl(struct reader *r, const char *value)
{
	return read_seconds(value, 0, 3600, &r->c->cache_min_ttl_s);
}

static int read_max_ttl(struct reader *r, const char *value)
{
	return read_seconds(value, 1, 7 * 86400, &r->c->cache_max_ttl_s);
}

static int read_max_negative_ttl(struct reader *r, const char *value)
{
	return read_seconds(value, 1, 86400, &r->c->cache_max_negative_ttl_s);
}

static int read_serve_stale(struct reader *r, const char *value)
{
	return read_seconds(value, 0, 7 * 86400, &r->c->serve_stale_s);
}

static int read_yes(const char *value, bool *out)
{
	static const char *const words[] = { "no", "yes" };
	unsigned v;

	if (conf_one_of(value, words, 2, &v) < 0)
		return -EINVAL;
	*out = v == 1;
	return 0;
}

static int read_prefetch(struct reader *r, const char *value)
{
	return read_yes(value, &r->c->prefetch);
}

static int read_cache_persist(struct reader *r, const char *value)
{
	return read_yes(value, &r->c->cache_persist);
}

static int read_varlink(struct reader *r, const char *value)
{
	if (*value != '/' || strlen(value) >= sizeof(r->c->varlink))
		return -EINVAL;
	strcpy(r->c->varlink, value);
	return 0;
}

const struct key conf_resolver_keys[] = {
	{ "resolver", "listen", true, read_listen, "a loopback address[:port], or none" },
	{ "resolver", "upstream", true, read_upstream, "an address[:port], tls://HOST[:port] or "
		"https://HOST/PATH (8 at most), or recursive" },
	{ "resolver", "fallback", true, read_fallback, "a server as for upstream, 8 at most "
		"with those" },
	{ "resolver", "bootstrap", true, read_bootstrap, "an address[:port], 8 at most" },
	{ "resolver", "upstream-policy", false, read_policy, "failover or race" },
	{ "resolver", "tls-ca", false, read_tls_ca, "an absolute path" },
	{ "resolver", "refusal", false, read_refusal, "nxdomain, zero or refused" },
	{ "resolver", "cache-size", false, read_cache_size, "64KB to 4GB" },
	{ "resolver", "cache-min-ttl", false, read_min_ttl, "0 to 1h" },
	{ "resolver", "cache-max-ttl", false, read_max_ttl, "1s to 7d" },
	{ "resolver", "cache-max-negative-ttl", false, read_max_negative_ttl, "1s to 1d" },
	{ "resolver", "serve-stale", false, read_serve_stale, "0 to 7d" },
	{ "resolver", "prefetch", false, read_prefetch, "yes or no" },
	{ "resolver", "cache-persist", false, read_cache_persist, "yes or no" },
	{ "resolver", "route", true, read_names, "" },
	{ "resolver", "search", true, read_names, "" },
	{ "resolver", "links", false, read_links, "auto, yes or no" },
	{ "resolver", "record", true, read_names, "" },
	{ "resolver", "rewrite", true, read_names, "" },
	{ "resolver", "special", true, read_names, "" },
	{ "resolver", "rebind-allow", true, read_names, "" },
	{ "resolver", "single-label", false, read_names, "" },
	{ "resolver", "dnssec", false, read_dnssec, "off, trust-ad or validate" },
	{ "resolver", "trust-anchor", false, read_anchor, "an absolute path" },
	{ "resolver", "root-hints", false, read_root_hints, "an absolute path" },
	{ "resolver", "varlink", false, read_varlink, "an absolute path of at most 107 bytes" },
};
const size_t conf_nresolver_keys = ARRAY_LEN(conf_resolver_keys);

int conf_resolver_end(struct reader *reader, int r)
{
	statics_free(reader->statics);
	if (r < 0)
		return r;
	if (reader->c->recursive && reader->c->nupstreams)
		return conf_fail(reader,
			"upstream=recursive asks nobody: no other upstream beside it");
	return check_upstreams(reader);
}
