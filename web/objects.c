/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/objects.h"
#include "base/macros.h"
#include "base/text.h"
#include "db/read.h"
#include "rules/rules.h"
#include "web/stats.h"
#include "web/users.h"
#include "web/window.h"

#include <stdio.h>
#include <string.h>

/* json_object_set_new() with a NULL value (no memory) leaves the member out */
static void set(json_t *o, const char *key, json_t *value)
{
	json_object_set_new(o, key, value);
}

static void set_text(json_t *o, const char *key, const char *s)
{
	set(o, key, s && *s ? object_text(s) : json_null());
}

static void set_number(json_t *o, const char *key, uint64_t n)
{
	set(o, key, json_integer((json_int_t)n));
}

/* null: not counted, which is another thing than nothing */
static void set_count(json_t *o, const char *key, bool counted, uint64_t n)
{
	set(o, key, counted ? json_integer((json_int_t)n) : json_null());
}

json_t *object_text(const char *s)
{
	json_t *j = json_string(s);
	char shown[4096 * 4];
	struct text t;

	if (j)
		return j;
	t = text_into(shown, sizeof(shown));
	text_add_safe(&t, s);
	return json_string(shown);
}

json_t *object_time(int64_t unix_ms)
{
	char text[TEXT_TIME_MAX];

	return unix_ms ? json_string(text_time(unix_ms, text)) : json_null();
}

/* one a line */
static json_t *lines_of(const char *text)
{
	json_t *list = json_array();
	char line[512];

	while (*text) {
		size_t n = strcspn(text, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		json_array_append_new(list, object_text(line));
		text += n + (text[n] == '\n');
	}
	return list;
}

static json_t *actor_of(struct window *w, const struct link_flow *f)
{
	struct window_program p = { 0 };
	bool found = window_program(w, f->flow.serial, &p);
	json_t *o = json_object();

	set_number(o, "id", f->flow.serial);
	set_text(o, "path", found ? p.told.path : NULL);
	set(o, "pid", f->flow.pid ? json_integer(f->flow.pid) : json_null());
	set_number(o, "uid", f->flow.uid);
	set(o, "how", json_string(how_text((enum how)f->flow.how)));
	set(o, "believed", json_boolean(found && p.told.known && p.told.believed));
	set_text(o, "process", f->process);
	set(o, "parents", lines_of(f->parents));
	return o;
}

static json_t *rule_of(const struct link_flow *f)
{
	json_t *o;

	if (!f->flow.rule)
		return json_null();
	o = json_object();
	set_number(o, "id", f->flow.rule);
	set(o, "text", object_text(f->rule_text));
	return o;
}

/* the numbers of RFC 1035, 3596, 2782, 4034, 6698, 9460 and the like that one meets */
static const struct {
	uint16_t type;
	const char *name;
} types[] = {
	{ 1, "A" }, { 2, "NS" }, { 5, "CNAME" }, { 6, "SOA" }, { 12, "PTR" }, { 13, "HINFO" },
	{ 15, "MX" }, { 16, "TXT" }, { 28, "AAAA" }, { 29, "LOC" }, { 33, "SRV" },
	{ 35, "NAPTR" }, { 39, "DNAME" }, { 41, "OPT" }, { 43, "DS" }, { 44, "SSHFP" },
	{ 46, "RRSIG" }, { 47, "NSEC" }, { 48, "DNSKEY" }, { 50, "NSEC3" }, { 52, "TLSA" },
	{ 64, "SVCB" }, { 65, "HTTPS" }, { 99, "SPF" }, { 251, "IXFR" }, { 252, "AXFR" },
	{ 255, "ANY" }, { 256, "URI" }, { 257, "CAA" },
};

static json_t *type_of(uint16_t type)
{
	char other[16];

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].type == type)
			return json_string(types[i].name);
	}
	snprintf(other, sizeof(other), "TYPE%u", type); /* RFC 3597 5 */
	return json_string(other);
}

static json_t *rcode_of(uint16_t rcode)
{
	static const char *const names[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
		"NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE" };
	char other[16];

	if (rcode < ARRAY_LEN(names))
		return json_string(names[rcode]);
	snprintf(other, sizeof(other), "RCODE%u", rcode);
	return json_string(other);
}

static json_t *address_of(const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	return a->family ? json_string(addr_text(a, text)) : json_null();
}

static json_t *answers_of(const struct flow *f)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < f->nanswers && i < FLOW_ANSWERS_MAX; i++)
		json_array_append_new(list, address_of(&f->answers[i]));
	return list;
}

static void set_decided(json_t *o, const struct link_flow *f)
{
	set(o, "verdict", json_string(verdict_text((enum verdict)f->flow.verdict)));
	set(o, "rule", rule_of(f));
	set(o, "reason", json_string(reason_text((enum reason)f->flow.reason)));
	set(o, "watched", json_boolean(f->flow.watched));
	set(o, "first", json_boolean(f->flow.first));
}

/* name's registrable domain, or name itself where it has none */
static void set_domain(json_t *o, const char *name)
{
	const char *domain = rules_registrable(name);

	set_text(o, "domain", domain ? domain : name);
}

json_t *object_query(struct window *w, const struct link_flow *f)
{
	json_t *o = json_object();

	set_number(o, "id", f->flow.id);
	set(o, "time", object_time(f->flow.start_ms));
	set(o, "actor", actor_of(w, f));
	set(o, "name", object_text(f->flow.name));
	set_domain(o, f->flow.name);
	set(o, "type", type_of(f->flow.qtype));
	set_decided(o, f);
	set_text(o, "cname", f->flow.other);
	set(o, "rcode", rcode_of(f->flow.rcode));
	set(o, "answers", answers_of(&f->flow));
	set(o, "ms", json_real(f->flow.took_us / 1000.0));
	set(o, "cached", json_boolean(f->flow.cached));
	return o;
}

static const char *state_of(const struct flow *f, bool old_boot)
{
	if (old_boot && (f->state == FLOW_NEW || f->state == FLOW_LIVE))
		return "unknown";
	return flow_state_text((enum flow_state)f->state);
}

static json_t *as_of(const struct geo_tag *g)
{
	json_t *o;

	if (!g->asn)
		return json_null();
	o = json_object();
	set_number(o, "number", g->asn);
	set_text(o, "name", g->as_name);
	return o;
}

/* takes actor */
static json_t *flow_object(json_t *actor, const struct link_flow *f, bool old_boot)
{
	json_t *o = json_object();
	char proto[4];

	set_number(o, "id", f->flow.id);
	set(o, "start", object_time(f->flow.start_ms));
	set(o, "end", object_time(f->flow.end_ms));
	set(o, "state", json_string(state_of(&f->flow, old_boot)));
	set(o, "actor", actor);
	set_text(o, "name", f->flow.name);
	set_domain(o, f->flow.name);
	set(o, "address", address_of(&f->flow.addr));
	set(o, "port", f->flow.port ? json_integer(f->flow.port) : json_null());
	set(o, "proto", json_string(proto_text(f->flow.proto, proto)));
	set(o, "direction", json_string(f->flow.dir == FLOW_IN ? "in" : "out"));
	set_decided(o, f);
	set_text(o, "country", f->flow.geo.country);
	set(o, "as", as_of(&f->flow.geo));
	set_count(o, "rx", f->flow.counted, f->flow.rx);
	set_count(o, "tx", f->flow.counted, f->flow.tx);
	return o;
}

json_t *object_flow(struct window *w, const struct link_flow *f, bool old_boot)
{
	return flow_object(actor_of(w, f), f, old_boot);
}

static json_t *past_actor(const struct read_row *row, const struct users *users)
{
	json_t *o = json_object();

	set(o, "id", json_null());
	set_text(o, "path", row->path);
	set(o, "pid", row->flow.pid ? json_integer(row->flow.pid) : json_null());
	set_number(o, "uid", row->flow.uid);
	set_text(o, "user", users_name(users, row->flow.uid));
	set(o, "how", json_string(how_text((enum how)row->flow.how)));
	return o;
}

json_t *object_past(const struct read_row *row, const struct users *users)
{
	struct link_flow f = { .flow = row->flow };
	json_t *o;

	f.flow.id = (uint64_t)row->id;
	f.flow.start_ms = row->start_ms;
	f.flow.end_ms = row->end_ms;
	text_copy(f.flow.name, sizeof(f.flow.name), row->name);
	text_copy(f.rule_text, sizeof(f.rule_text), row->rule_text);
	text_copy(f.flow.geo.country, sizeof(f.flow.geo.country), row->country);
	text_copy(f.flow.geo.as_name, sizeof(f.flow.geo.as_name), row->as_name);
	o = flow_object(past_actor(row, users), &f, row->unknown);
	set(o, "kind", json_string(f.flow.kind == FLOW_QUERY ? "query" : "flow"));
	set(o, "type", f.flow.kind == FLOW_QUERY ? type_of(f.flow.qtype) : json_null());
	set_text(o, "city", row->city);
	return o;
}

json_t *object_past_app(const struct read_sum *sum, const struct users *users)
{
	struct window_program p = { .denied = sum->denied, .rx = sum->rx, .tx = sum->tx,
		.last_ms = sum->last_ms };
	json_t *o;

	p.told.uid = sum->uid;
	text_copy(p.told.path, sizeof(p.told.path), sum->path);
	o = object_app(&p, users);
	set(o, "id", json_null());
	set(o, "believed", json_null());
	set_number(o, "rx", sum->rx);
	set_number(o, "tx", sum->tx);
	set_number(o, "flows", sum->connections);
	return o;
}

json_t *object_country(const struct read_sum *sum)
{
	json_t *o = json_object();

	set_text(o, "country", sum->country);
	set_number(o, "rx", sum->rx);
	set_number(o, "tx", sum->tx);
	set_number(o, "flows", sum->connections);
	set_number(o, "denied", sum->denied);
	set(o, "last", object_time(sum->last_ms));
	return o;
}

/* the innermost systemd unit of a cgroup path: what ends in .service or .scope */
static json_t *unit_of(const char *cgroup)
{
	char unit[256] = "", part[256];
	const char *p = cgroup;

	while (*p) {
		size_t n = strcspn(p, "/");
		const char *dot;

		snprintf(part, sizeof(part), "%.*s", (int)n, p);
		dot = strrchr(part, '.');
		if (dot && (strcmp(dot, ".service") == 0 || strcmp(dot, ".scope") == 0))
			text_copy(unit, sizeof(unit), part);
		p += n + (p[n] == '/');
	}
	return *unit ? object_text(unit) : json_null();
}

json_t *object_app(const struct window_program *p, const struct users *users)
{
	const char *last = strrchr(p->told.path, '/');
	const char *user = users_name(users, p->told.uid);
	json_t *o = json_object(), *parents = json_array();

	if (p->told.parent[0])
		json_array_append_new(parents, object_text(p->told.parent));
	set_number(o, "id", p->told.serial);
	set_text(o, "path", p->told.path);
	set(o, "script", json_null());
	set(o, "app", json_null());
	set_text(o, "name", last ? last + 1 : p->told.path);
	set_number(o, "uid", p->told.uid);
	set_text(o, "user", user);
	set(o, "parents", parents);
	set(o, "unit", unit_of(p->told.cgroup));
	set(o, "package", json_null());
	set(o, "sha256", json_null());
	set_count(o, "rx", p->counted, p->rx);
	set_count(o, "tx", p->counted, p->tx);
	set_number(o, "denied", p->denied);
	set(o, "last", object_time(p->last_ms));
	set(o, "believed", json_boolean(p->told.known && p->told.believed));
	return o;
}

json_t *object_point(const struct stats_point *p)
{
	json_t *o = json_object();

	set(o, "time", object_time(p->time_s * 1000));
	set_number(o, "down", p->down);
	set_number(o, "up", p->up);
	set_number(o, "flows", p->flows);
	set_number(o, "denied", p->denied);
	return o;
}

/* FNV-1a of the text: changes with it, and with nothing else */
static const char *object_etag(const struct link_rule *r, char out[static 32])
{
	uint64_t h = 14695981039346656037u;

	for (const char *p = r->text; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211u;
	snprintf(out, 32, "\"%u-%llx\"", r->id, (unsigned long long)h);
	return out;
}

json_t *object_rule(const struct link_rule *r)
{
	static const char *const sources[] = { [RULE_OWN] = "own", [RULE_FILE] = "file",
		[RULE_FACTORY] = "factory" };
	json_t *o = json_object();
	char etag[32];

	set_number(o, "id", r->id);
	set(o, "text", object_text(r->text));
	set(o, "action", json_string(verdict_text((enum verdict)r->action)));
	set(o, "enabled", json_boolean(r->enabled));
	set_text(o, "etag", object_etag(r, etag));
	set(o, "source", json_string(sources[r->source]));
	set_text(o, "file", r->file);
	set(o, "line", r->line ? json_integer(r->line) : json_null());
	set(o, "created", object_time(r->created_s * 1000));
	set(o, "changed", object_time(r->changed_s * 1000));
	set(o, "last_used", object_time(r->last_used_s * 1000));
	set_number(o, "hits", r->hits);
	set(o, "expires", object_time(r->expires_s * 1000));
	return o;
}

static json_t *upstreams_of(const struct link_status *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->nupstreams && i < LINK_UPSTREAMS_MAX; i++) {
		const struct link_upstream *u = &s->upstreams[i];
		json_t *o = json_object();

		set_text(o, "name", u->name);
		set_number(o, "sent", u->sent);
		set_number(o, "failed", u->failed);
		set(o, "last_ok", object_time(u->last_ok_ms));
		set(o, "dead", json_boolean(u->dead));
		set(o, "fallback", json_boolean(u->fallback));
		set(o, "why", u->why[0] ? json_string(u->why) : json_null());
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *counters_of(const struct link_status *s)
{
	const struct {
		const char *name;
		uint64_t n;
	} all[] = {
		{ "queries", s->queries }, { "denied", s->denied }, { "cached", s->cached },
		{ "shared", s->shared }, { "kernel_failed", s->kernel_failed },
		{ "unknown", s->unknown }, { "outside", s->outside }, { "flows", s->flows },
		{ "refused", s->refused }, { "execs", s->execs },
		{ "frames_refused", s->frames_refused },
		{ "ring_lost", s->ring_lost }, { "events_lost", s->events_lost },
		{ "core_restarts", s->core_restarts }, { "rss_kb", s->rss_kb },
		{ "cache_misses", s->cache_misses }, { "cache_stale", s->cache_stale },
		{ "cache_prefetched", s->cache_prefetched },
		{ "cache_failures", s->cache_failures },
		{ "cache_entries", s->cache_entries }, { "cache_bytes", s->cache_bytes },
		{ "cache_bytes_max", s->cache_bytes_max },
	};
	json_t *o = json_object();

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		set_number(o, all[i].name, all[i].n);
	return o;
}

static json_t *identity_of(const struct link_status *s)
{
	static const char *const modes[] = { [LINK_RESOLVER_ONLY] = "resolver",
		[LINK_BASIC] = "basic", [LINK_BPF] = "bpf" };
	const char *limits = link_identity_limits(s->identity);
	json_t *o = json_object();

	set(o, "mode", json_string(modes[s->identity]));
	set_text(o, "limits", limits ? limits : "");
	set_text(o, "why", s->why);
	set_text(o, "not_attributed", s->nss);
	return o;
}

/* each file with its date, and what is wrong with it */
static json_t *geo_of(const struct link_status *s)
{
	json_t *o = json_object();

	set_text(o, "country", s->geo_country);
	set_text(o, "city", s->geo_city);
	set_text(o, "asn", s->geo_asn);
	return o;
}

/* what keeps it from being written, and from being read */
static json_t *history_of(const struct link_status *s, const struct object_link *link)
{
	json_t *o = json_object();

	set_text(o, "error", s->history);
	set_text(o, "unread", link->unread);
	set_number(o, "bytes", s->history_bytes);
	set_number(o, "lost", s->history_lost);
	return o;
}

static json_t *sets_of(const struct link_status *s)
{
	json_t *o = json_object();

	set(o, "table", json_boolean(s->table));
	set(o, "persist", json_boolean(s->persist));
	set_number(o, "grants", s->grants);
	set_number(o, "actors", s->actors);
	set_number(o, "refusals", s->refusals);
	return o;
}

json_t *object_filter(const struct link_status *s)
{
	static const char *const words[] = { [FILTER_ON] = "on", [FILTER_PAUSED] = "paused",
		[FILTER_BLOCK] = "blocked" };
	json_t *o = json_object();

	set(o, "mode", json_string(words[s->filter]));
	set(o, "enabled", json_boolean(s->filter != FILTER_PAUSED));
	set(o, "until", object_time(s->filter_until_s * 1000));
	return o;
}

static json_t *web_of(const struct object_web *w)
{
	json_t *o = json_object(), *listens = json_array();

	set_text(o, "address", w->address);
	for (unsigned i = 0; i < w->nlistens; i++)
		json_array_append_new(listens, json_string(w->listens[i]));
	set(o, "listens", listens);
	set_number(o, "sessions", w->sessions);
	set_number(o, "streams", w->streams);
	set_number(o, "connections", w->connections);
	return o;
}

json_t *object_status(const struct link_status *s, const struct object_link *link,
	const struct object_web *web)
{
	json_t *o = json_object();
	char id[24];

	snprintf(id, sizeof(id), "%llx", (unsigned long long)link->boot);
	set_text(o, "version", s ? s->version : PACKAGE_VERSION);
	set(o, "core", json_string(link->running ? "running" : "restarting"));
	set_text(o, "boot", id);
	set_text(o, "instance", s ? s->instance : NULL);
	set_text(o, "mode", s ? s->mode : NULL);
	set(o, "filter", s ? object_filter(s) : json_null());
	set_text(o, "default", s ? s->default_out : NULL);
	set_text(o, "default_in", s ? s->default_in : NULL);
	set_text(o, "scope", s ? s->scope : NULL);
	set_text(o, "when_down", s ? s->when_down : NULL);
	set(o, "uptime_s", s ? json_integer(s->uptime_s) : json_null());
	set(o, "identity", s ? identity_of(s) : json_null());
	set(o, "upstreams", s ? upstreams_of(s) : json_array());
	set(o, "sets", s ? sets_of(s) : json_null());
	set(o, "counters", s ? counters_of(s) : json_null());
	set(o, "accounting", s ? json_boolean(s->accounting) : json_null());
	set(o, "geo", s ? geo_of(s) : json_null());
	set(o, "history", s ? history_of(s, link) : json_null());
	set(o, "web", web_of(web));
	set_text(o, "rule_errors", s ? s->rule_errors : NULL);
	set_number(o, "link_errors", link->bad);
	return o;
}
