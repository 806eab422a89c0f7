/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/confread.h"
#include "base/io.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int conf_fail(struct reader *r, const char *fmt, ...)
{
	va_list args;

	r->err->line = r->line;
	va_start(args, fmt);
	vsnprintf(r->err->what, sizeof(r->err->what), fmt, args);
	va_end(args);
	return -EINVAL;
}

int conf_one_of(const char *value, const char *const *words, unsigned n, unsigned *out)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(value, words[i]) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

int conf_path(char to[static CONF_PATH_MAX], const char *value)
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
	return conf_path(r->c->state_dir, value);
}

static int read_runtime_dir(struct reader *r, const char *value)
{
	return conf_path(r->c->runtime_dir, value);
}

static int read_rules(struct reader *r, const char *value)
{
	return conf_path(r->c->rules, value);
}

static int read_scope(struct reader *r, const char *value)
{
	if (strstr(value, "/../") || strstr(value, "//"))
		return -EINVAL;
	return conf_path(r->c->scope, value);
}

static int read_mode(struct reader *r, const char *value)
{
	static const char *const words[] = { "enforce", "watch" };
	unsigned v;

	if (conf_one_of(value, words, 2, &v) < 0)
		return -EINVAL;
	r->c->watch = v == 1;
	return 0;
}

static int read_verdict(struct reader *r, const char *value, enum verdict *out)
{
	static const char *const words[] = { "allow", "deny", "ask" };
	unsigned v;

	if (conf_one_of(value, words, 3, &v) < 0)
		return -EINVAL;
	if (v == 2)
		return conf_fail(r, "ask comes with a later version: use allow or deny");
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

	if (conf_one_of(value, words, 2, &v) < 0)
		return -EINVAL;
	r->c->closed = v == 0;
	return 0;
}

static int read_log(struct reader *r, const char *value)
{
	return log_level_parse(value, &r->c->log);
}

int conf_at(const char *value, uint16_t port, struct conf_at *list, unsigned max,
	unsigned *n)
{
	struct conf_at at = { .port = port };

	if (*n == max || addr_parse_port(value, &at.addr, &at.port) < 0)
		return -EINVAL;
	list[(*n)++] = at;
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
	return conf_path(r->c->geo_country, value);
}

static int read_city(struct reader *r, const char *value)
{
	return conf_path(r->c->geo_city, value);
}

static int read_asn(struct reader *r, const char *value)
{
	return conf_path(r->c->geo_asn, value);
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

	if (conf_one_of(value, words, 3, &v) < 0)
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
	if (conf_at(value, 7531, r->c->web, ARRAY_LEN(r->c->web), &r->c->nweb) < 0)
		return -EINVAL;
	last = &r->c->web[r->c->nweb - 1];
	if (addr_zone(&last->addr) != ZONE_LOCALHOST || last->port == 0)
		return conf_fail(r, "listen=%s is not a loopback address: the dashboard serves this "
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

/* the i-th of all keys, NULL behind the last */
static const struct key *key_at(size_t i)
{
	if (i < ARRAY_LEN(keys))
		return &keys[i];
	i -= ARRAY_LEN(keys);
	return i < conf_nresolver_keys ? &conf_resolver_keys[i] : NULL;
}

static bool section_known(const char *name)
{
	const struct key *k;

	for (size_t i = 0; (k = key_at(i)); i++)
		if (strcmp(k->section, name) == 0)
			return true;
	return false;
}

static int read_value(struct reader *r, const struct key *k, bool seen, const char *value)
{
	int e;

	if (seen && !k->repeats)
		return conf_fail(r, "%s stands twice in [%s]", k->name, k->section);
	if (!k->read)
		return conf_fail(r, "%s in [%s] comes with a later version", k->name, k->section);
	r->err->what[0] = '\0';
	r->key = k->name;
	e = k->read(r, value);
	if (e < 0 && !r->err->what[0])
		return conf_fail(r, "bad value for %s: \"%.80s\": expected %s", k->name, value,
			k->expect);
	return e;
}

static int read_key(struct reader *r, const char *section, const char *name,
	const char *value)
{
	const struct key *k;

	for (size_t i = 0; (k = key_at(i)); i++) {
		bool seen = r->seen[i / 64] >> i % 64 & 1;

		if (strcmp(k->section, section) != 0 || strcmp(k->name, name) != 0)
			continue;
		r->seen[i / 64] |= (uint64_t)1 << i % 64;
		return read_value(r, k, seen, value);
	}
	return conf_fail(r, "unknown key \"%.60s\" in [%s]", name, section);
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
			return conf_fail(r, "a section is written [name]");
		*end = '\0';
		if (!section_known(s + 1))
			return conf_fail(r, "unknown section [%.60s]", s + 1);
		text_copy(section, section_max, s + 1);
		return 0;
	}
	equals = strchr(s, '=');
	if (!equals)
		return conf_fail(r, "expected key=value or [section]: \"%.60s\"", s);
	if (!*section)
		return conf_fail(r, "a key before the first [section]");
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
			return conf_fail(r, "line of over %d bytes", CONF_LINE_MAX - 1);
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
		return conf_fail(&r, "a NUL byte: not a text file");
	}
	e = read_lines(&r, text, len);
	e = conf_resolver_end(&r, e);
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
