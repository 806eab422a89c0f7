/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/conf.h"
#include "base/io.h"
#include "base/text.h"
#include "resolver/statics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct reader {
	struct conf *c;
	struct conf_error *err;
	unsigned line;
	uint64_t seen; /* a bit per key of the table below */
	const char *key;
	struct statics *statics; /* what the names so far add up to */
	unsigned named_line, fallback_line; /* the first of each, 0: none */
};

typedef int (*key_read)(struct reader *r, const char *value);

struct key {
	const char *section, *name;
	bool repeats;
	key_read read;      /* NULL: a key of a later version */
	const char *expect; /* for the message */
};

static int fail(struct reader *r, const char *fmt, ...) format_printf(2, 3);

static int fail(struct reader *r, const char *fmt, ...)
{
	va_list args;

	r->err->line = r->line;
	va_start(args, fmt);
	vsnprintf(r->err->what, sizeof(r->err->what), fmt, args);
	va_end(args);
	return -EINVAL;
}

static int one_of(const char *value, const char *const *words, unsigned n, unsigned *out)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(value, words[i]) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_path(char to[static CONF_PATH_MAX], const char *value)
{
	if (*value != '/' || strlen(value) >= CONF_PATH_MAX)
		return -EINVAL;
	strcpy(to, value);
	return 0;
}

static int read_instance(struct reader *r, const char *value)
{
	size_t n = strlen(value);

	if (n == 0 || n >= sizeof(r->c->instance))
		return -EINVAL;
	for (const char *p = value; *p; p++)
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '-')
			return -EINVAL;
	strcpy(r->c->instance, value);
	return 0;
}

static int read_state_dir(struct reader *r, const char *value)
{
	return read_path(r->c->state_dir, value);
}

static int read_runtime_dir(struct reader *r, const char *value)
{
	return read_path(r->c->runtime_dir, value);
}

static int read_rules(struct reader *r, const char *value)
{
	return read_path(r->c->rules, value);
}

static int read_scope(struct reader *r, const char *value)
{
	if (strstr(value, "/../") || strstr(value, "//"))
		return -EINVAL;
	return read_path(r->c->scope, value);
}

static int read_mode(struct reader *r, const char *value)
{
	static const char *const words[] = { "enforce", "watch" };
	unsigned v;

	if (one_of(value, words, 2, &v) < 0)
		return -EINVAL;
	r->c->watch = v == 1;
	return 0;
}

static int read_verdict(struct reader *r, const char *value, enum verdict *out)
{
	static const char *const words[] = { "allow", "deny", "ask" };
	unsigned v;

	if (one_of(value, words, 3, &v) < 0)
		return -EINVAL;
	if (v == 2)
		return fail(r, "ask comes with a later version: use allow or deny");
	*out = v == 0 ? VERDICT_ALLOW : VERDICT_DENY;
	return 0;
}

static int read_default(struct reader *r, const char *value)
{
	return read_verdict(r, value, &r->c->default_out);
}

static int read_default_in(struct reader *r, const char *value)
{
	return read_verdict(r, value, &r->c->default_in);
}

static int read_when_down(struct reader *r, const char *value)
{
	static const char *const words[] = { "closed", "open" };
	unsigned v;

	if (one_of(value, words, 2, &v) < 0)
		return -EINVAL;
	r->c->closed = v == 0;
	return 0;
}

static int read_log(struct reader *r, const char *value)
{
	return log_level_parse(value, &r->c->log);
}

static int read_at(const char *value, uint16_t port, struct conf_at *list, unsigned max,
	unsigned *n)
{
	struct conf_at at = { .port = port };

	if (*n == max || addr_parse_port(value, &at.addr, &at.port) < 0)
		return -EINVAL;
	list[(*n)++] = at;
	return 0;
}

static int read_listen(struct reader *r, const char *value)
{
	int e;

	if (strcmp(value, "none") == 0) {
		r->c->listen_none = true;
		return 0;
	}
	e = read_at(value, 53, r->c->listen, CONF_LISTEN_MAX, &r->c->nlisten);
	if (e == 0 && addr_zone(&r->c->listen[r->c->nlisten - 1].addr) != ZONE_LOCALHOST)
		return fail(r, "listen=%s is not a loopback address: the resolver serves this "
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
			return fail(r, "a plain upstream beside an encrypted one would be told in "
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
		return fail(r, "who knows the upstream's address? write it behind a #, as in "
			       "tls://dns.example#192.0.2.1, or name a plain server in bootstrap=");
	}
	if (r->fallback_line && !has_upstream(r->c)) {
		r->line = r->fallback_line;
		return fail(r, "fallback= without an upstream= to fall back from");
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
	return read_path(r->c->tls_ca, value);
}

static int read_policy(struct reader *r, const char *value)
{
	static const char *const words[] = { "failover", "race" };
	unsigned v;

	if (one_of(value, words, 2, &v) < 0)
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
		return fail(r, "%s=%.60s: %s", r->key, value, why[0] ? why : strerror(-e));
	t = text_into(r->c->names + len, sizeof(r->c->names) - len);
	text_addf(&t, "%s %s\n", r->key, value);
	return t.cut ? fail(r, "over %d bytes about names", CONF_NAMES_MAX) : 0;
}

static int read_links(struct reader *r, const char *value)
{
	static const char *const words[] = { "auto", "yes", "no" };
	unsigned v;

	if (one_of(value, words, 3, &v) < 0)
		return -EINVAL;
	r->c->links = (enum conf_links)v;
	return 0;
}

static int read_refusal(struct reader *r, const char *value)
{
	static const char *const words[] = { "nxdomain", "zero", "refused" };
	unsigned v;

	if (one_of(value, words, 3, &v) < 0)
		return -EINVAL;
	r->c->refusal = (enum conf_refusal)v;
	return 0;
}

static int read_dnssec(struct reader *r, const char *value)
{
	static const char *const words[] = { "off", "trust-ad", "validate" };
	unsigned v;

	if (one_of(value, words, 3, &v) < 0)
		return -EINVAL;
	r->c->dnssec = (enum dnssec)v;
	return 0;
}

static int read_anchor(struct reader *r, const char *value)
{
	return read_path(r->c->anchor, value);
}

static int read_root_hints(struct reader *r, const char *value)
{
	return read_path(r->c->root_hints, value);
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

	if (one_of(value, words, 2, &v) < 0)
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

static int read_gate_port(struct reader *r, const char *value)
{
	char *end;
	unsigned long v = strtoul(value, &end, 10);

	if (*end || end == value || v >= 1024 || v == 53)
		return -EINVAL;
	r->c->gate_port = (uint16_t)v;
	return 0;
}

static int read_peek(struct reader *r, const char *value)
{
	char *end;
	unsigned long v = strtoul(value, &end, 10);

	if (end == value)
		return -EINVAL;
	if (strcmp(end, "s") == 0 && v <= 10)
		v *= 1000;
	else if (strcmp(end, "ms") != 0)
		return -EINVAL;
	if (v > 10000)
		return -EINVAL;
	r->c->peek_ms = (unsigned)v;
	return 0;
}

static int read_peek_ports(struct reader *r, const char *value)
{
	unsigned n = 0;

	for (;;) {
		char *end;
		unsigned long v = strtoul(value, &end, 10);

		if (end == value || v == 0 || v > 65535 || n == CONF_PEEK_PORTS_MAX)
			return -EINVAL;
		r->c->peek_ports[n++] = (uint16_t)v;
		if (*end == 0)
			break;
		if (*end != ',')
			return -EINVAL;
		value = end + 1;
	}
	r->c->npeek_ports = n;
	return 0;
}

static int read_country(struct reader *r, const char *value)
{
	return read_path(r->c->geo_country, value);
}

static int read_city(struct reader *r, const char *value)
{
	return read_path(r->c->geo_city, value);
}

static int read_asn(struct reader *r, const char *value)
{
	return read_path(r->c->geo_asn, value);
}

/* 0: no history at all */
static int read_keep(struct reader *r, const char *value)
{
	if (strcmp(value, "0") == 0) {
		r->c->history_keep_s = 0;
		return 0;
	}
	return text_duration_s(value, &r->c->history_keep_s) < 0 ||
		r->c->history_keep_s < 60 || r->c->history_keep_s > CONF_KEEP_MAX_S ? -EINVAL : 0;
}

static int read_max_size(struct reader *r, const char *value)
{
	uint64_t v;

	if (text_size(value, &v) < 0 || v < 1000000 || v > 1000000000000u)
		return -EINVAL;
	r->c->history_max = v;
	return 0;
}

static int read_queries(struct reader *r, const char *value)
{
	static const char *const words[] = { "refused", "all", "none" };
	unsigned v;

	if (one_of(value, words, 3, &v) < 0)
		return -EINVAL;
	r->c->history_queries = (enum conf_queries)v;
	return 0;
}

static int read_group(struct reader *r, const char *value)
{
	return *value && text_copy(r->c->group, sizeof(r->c->group), value) ? 0 : -EINVAL;
}

static int read_web_listen(struct reader *r, const char *value)
{
	struct conf_at *last;

	if (strcmp(value, "none") == 0) {
		r->c->web_none = true;
		return 0;
	}
	if (read_at(value, 7531, r->c->web, ARRAY_LEN(r->c->web), &r->c->nweb) < 0)
		return -EINVAL;
	last = &r->c->web[r->c->nweb - 1];
	if (addr_zone(&last->addr) != ZONE_LOCALHOST || last->port == 0)
		return fail(r, "listen=%s is not a loopback address: the dashboard serves this "
			       "machine only",
			value);
	return 0;
}

static int read_users(struct reader *r, const char *value)
{
	return text_copy(r->c->users, sizeof(r->c->users), value) ? 0 : -EINVAL;
}

static int read_readers(struct reader *r, const char *value)
{
	return text_copy(r->c->readers, sizeof(r->c->readers), value) ? 0 : -EINVAL;
}

static const struct key keys[] = {
	{ "daemon", "instance", false, read_instance, "a-z 0-9 - (31 at most)" },
	{ "daemon", "state-dir", false, read_state_dir, "an absolute path" },
	{ "daemon", "runtime-dir", false, read_runtime_dir, "an absolute path" },
	{ "daemon", "scope", false, read_scope, "a path below the cgroup2 mount, / for all" },
	{ "daemon", "mode", false, read_mode, "enforce or watch" },
	{ "daemon", "default", false, read_default, "allow, deny or ask" },
	{ "daemon", "default-in", false, read_default_in, "allow, deny or ask" },
	{ "daemon", "when-down", false, read_when_down, "closed or open" },
	{ "daemon", "rules", false, read_rules, "an absolute path" },
	{ "daemon", "log", false, read_log, "error, warning, notice, info or debug" },
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
	{ "gate", "port", false, read_gate_port, "1 to 1023, or 0 for a free one" },
	{ "gate", "peek", false, read_peek, "0ms to 10s" },
	{ "gate", "peek-ports", false, read_peek_ports, "ports with commas, 8 at most" },
	{ "gate", "held-net", false, NULL, "" },
	{ "gate", "held-net6", false, NULL, "" },
	{ "gate", "hold-dns", false, NULL, "" },
	{ "gate", "hold-connect", false, NULL, "" },
	{ "gate", "verify", false, NULL, "" },
	{ "geo", "country", false, read_country, "an absolute path" },
	{ "geo", "city", false, read_city, "an absolute path" },
	{ "geo", "asn", false, read_asn, "an absolute path" },
	{ "history", "keep", false, read_keep, "1m to 3650d, or 0 for no history" },
	{ "history", "max-size", false, read_max_size, "1MB to 1TB" },
	{ "history", "queries", false, read_queries, "refused, all or none" },
	{ "history", "export", false, NULL, "" },
	{ "web", "listen", true, read_web_listen, "a loopback address[:port], or none" },
	{ "web", "group", false, read_group, "a group's name" },
	{ "web", "users", false, read_users, "names of users" },
	{ "web", "readers", false, read_readers, "names of users, or *" },
};

void conf_default(struct conf *out)
{
	*out = (struct conf){
		.instance = "main",
		.state_dir = "/var/lib/scupper",
		.runtime_dir = "/run/scupper",
		.rules = "/etc/scupper/rules.d",
		.scope = "/",
		.closed = true,
		.default_out = VERDICT_ALLOW,
		.default_in = VERDICT_ALLOW,
		.log = LOG_INFO,
		.cache_size = 32000000,
		.anchor = "/usr/share/dns/root.key",
		.cache_max_ttl_s = 86400,
		.cache_max_negative_ttl_s = 3600,
		.serve_stale_s = 86400,
		.prefetch = true,
		.cache_persist = true,
		.peek_ms = 300,
		.peek_ports = { 80, 443, 8080, 8443 },
		.npeek_ports = 4,
		.history_keep_s = 90 * 86400,
		.history_max = 1000000000,
		.group = "scupper",
	};
}

static bool section_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i].section, name) == 0)
			return true;
	return false;
}

static int read_key(struct reader *r, const char *section, const char *name,
	const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct key *k = &keys[i];
		int e;

		if (strcmp(k->section, section) != 0 || strcmp(k->name, name) != 0)
			continue;
		if ((r->seen >> i & 1) && !k->repeats)
			return fail(r, "%s stands twice in [%s]", name, section);
		r->seen |= (uint64_t)1 << i;
		if (!k->read)
			return fail(r, "%s in [%s] comes with a later version", name, section);
		r->err->what[0] = '\0';
		r->key = name;
		e = k->read(r, value);
		if (e < 0 && !r->err->what[0])
			return fail(r, "bad value for %s: \"%.80s\": expected %s", name, value,
				k->expect);
		return e;
	}
	return fail(r, "unknown key \"%.60s\" in [%s]", name, section);
}

/* cuts blanks at both ends, in place */
static char *trim(char *s)
{
	char *end;

	while (*s == ' ' || *s == '\t')
		s++;
	end = s + strlen(s);
	while (end > s && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*end = '\0';
	return s;
}

static int read_line(struct reader *r, char *line, char *section, size_t section_max)
{
	char *s = trim(line), *equals;

	if (!*s || *s == '#' || *s == ';')
		return 0;
	if (*s == '[') {
		char *end = strchr(s, ']');

		if (!end || *trim(end + 1))
			return fail(r, "a section is written [name]");
		*end = '\0';
		if (!section_known(s + 1))
			return fail(r, "unknown section [%.60s]", s + 1);
		text_copy(section, section_max, s + 1);
		return 0;
	}
	equals = strchr(s, '=');
	if (!equals)
		return fail(r, "expected key=value or [section]: \"%.60s\"", s);
	if (!*section)
		return fail(r, "a key before the first [section]");
	*equals = '\0';
	return read_key(r, section, trim(s), trim(equals + 1));
}

static int read_lines(struct reader *r, const char *text, size_t len)
{
	char section[32] = "", line[CONF_LINE_MAX];
	const char *p = text, *end = text + len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);

		r->line++;
		if (n >= sizeof(line))
			return fail(r, "line of over %d bytes", CONF_LINE_MAX - 1);
		memcpy(line, p, n);
		line[n] = '\0';
		if (read_line(r, line, section, sizeof(section)) < 0)
			return -EINVAL;
		p += n + 1;
	}
	return 0;
}

int conf_parse(const char *text, size_t len, struct conf *out, struct conf_error *err)
{
	struct conf c = *out;
	struct reader r = { .c = &c, .err = err };
	int e;

	if (memchr(text, '\0', len)) {
		r.line = 1;
		return fail(&r, "a NUL byte: not a text file");
	}
	e = read_lines(&r, text, len);
	statics_free(r.statics);
	if (e == 0 && c.recursive && c.nupstreams)
		e = fail(&r, "upstream=recursive asks nobody: no other upstream beside it");
	if (e == 0)
		e = check_upstreams(&r);
	if (e == 0)
		*out = c;
	return e;
}

int conf_load(const char *path, struct conf *out, char *why, size_t why_max)
{
	auto_free char *text = NULL;
	struct conf_error err;
	size_t len;
	int r = io_read_file(path, CONF_TEXT_MAX, &text, &len);

	if (r < 0) {
		snprintf(why, why_max, "cannot read %s: %s", path, strerror(-r));
		return r;
	}
	conf_default(out);
	r = conf_parse(text, len, out, &err);
	if (r < 0)
		snprintf(why, why_max, "%s:%u: %s", path, err.line, err.what);
	return r;
}
