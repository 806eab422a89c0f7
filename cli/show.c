/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/show.h"
#include "base/macros.h"
#include "base/text.h"
#include "cli/units.h"

#include <string.h>
#include <time.h>

const char *show_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

json_int_t show_number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static bool flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

const char *show_time(const char *rfc3339, char out[static SHOW_TIME_MAX])
{
	time_t now = time(NULL), then;
	struct tm tm, today;
	int64_t ms;

	out[0] = '\0';
	if (!rfc3339 || text_time_read(rfc3339, &ms) < 0)
		return out;
	then = (time_t)(ms / 1000);
	localtime_r(&now, &today);
	localtime_r(&then, &tm);
	strftime(out, SHOW_TIME_MAX, tm.tm_yday == today.tm_yday &&
			tm.tm_year == today.tm_year ? "%H:%M:%S" : "%F %H:%M:%S", &tm);
	return out;
}

static void show_line(const char *s, size_t n)
{
	char raw[4096], shown[4 * sizeof(raw)];
	struct text t = text_into(shown, sizeof(shown));

	snprintf(raw, sizeof(raw), "%.*s", (int)MIN(n, sizeof(raw) - 1), s);
	text_add_safe(&t, raw);
	puts(shown);
}

void show_lines(const char *text)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n");

		show_line(text, n);
		text += n + (text[n] == '\n');
	}
}

static void show_label(const char *label, const char *what)
{
	char shown[4096];
	struct text t = text_into(shown, sizeof(shown));

	if (!what || !*what)
		return;
	text_add_safe(&t, what);
	printf("%-11s%s\n", label, shown);
}

static const char *duration(json_int_t s, char out[static 32])
{
	if (s >= 86400)
		snprintf(out, 32, "%lldd %lldh", (long long)(s / 86400),
			(long long)(s % 86400 / 3600));
	else if (s >= 3600)
		snprintf(out, 32, "%lldh %lldm", (long long)(s / 3600),
			(long long)(s % 3600 / 60));
	else
		snprintf(out, 32, "%lldm %llds", (long long)(s / 60), (long long)(s % 60));
	return out;
}

static void show_core(const json_t *o, const json_t *counters)
{
	char up[32], line[256];
	const char *core = show_text(o, "core");

	if (core && strcmp(core, "running") != 0) {
		show_label("core", "being restarted; what follows is what was known last");
		return;
	}
	snprintf(line, sizeof(line), "running, up %s, %lld restarts, %lld MB",
		duration(show_number(o, "uptime_s"), up),
		(long long)show_number(counters, "core_restarts"),
		(long long)show_number(counters, "rss_kb") / 1024);
	show_label("core", line);
}

static void show_kernel(const json_t *sets)
{
	char line[256];

	if (!sets)
		return;
	snprintf(line, sizeof(line), "%s%s; %lld grants, %lld programs, %lld refusals",
		flag(sets, "table") ? "the table stands" : "the table is MISSING",
		flag(sets, "persist") ? " and outlives the daemon" : "",
		(long long)show_number(sets, "grants"), (long long)show_number(sets, "actors"),
		(long long)show_number(sets, "refusals"));
	show_label("kernel", line);
}

static void show_upstream(const json_t *u)
{
	char line[512], when[SHOW_TIME_MAX];
	const char *why = show_text(u, "why");

	snprintf(line, sizeof(line), "%s%s: %lld sent, %lld failed, last good answer %s%s%s",
		show_text(u, "name") ? show_text(u, "name") : "?",
		flag(u, "fallback") ? " (fallback)" : "",
		(long long)show_number(u, "sent"), (long long)show_number(u, "failed"),
		*show_time(show_text(u, "last_ok"), when) ? when : "none yet",
		why ? "; failed last: " : "", why ? why : "");
	show_label("upstream", line);
}

static void show_counters(const json_t *c)
{
	char line[512];

	if (!c)
		return;
	snprintf(line, sizeof(line), "%lld: %lld denied, %lld from the cache, %lld shared an "
		"answer, %lld of unknown programs, %lld from outside the scope",
		(long long)show_number(c, "queries"), (long long)show_number(c, "denied"),
		(long long)show_number(c, "cached"), (long long)show_number(c, "shared"),
		(long long)show_number(c, "unknown"), (long long)show_number(c, "outside"));
	show_label("queries", line);
	snprintf(line, sizeof(line), "%lld answers, %.1f of %.1f MB; %lld given past their end, "
		"%lld asked anew before it, %lld failures not tried again",
		(long long)show_number(c, "cache_entries"),
		(double)show_number(c, "cache_bytes") / 1e6,
		(double)show_number(c, "cache_bytes_max") / 1e6,
		(long long)show_number(c, "cache_stale"),
		(long long)show_number(c, "cache_prefetched"),
		(long long)show_number(c, "cache_failures"));
	show_label("cache", line);
	snprintf(line, sizeof(line), "%lld seen, %lld refused",
		(long long)show_number(c, "flows"), (long long)show_number(c, "refused"));
	show_label("flows", line);
	if (show_number(c, "ring_lost") || show_number(c, "events_lost") ||
		show_number(c, "kernel_failed")) {
		snprintf(line, sizeof(line), "%lld program events, %lld events for this view; "
			"%lld grants the kernel refused",
			(long long)show_number(c, "ring_lost"),
			(long long)show_number(c, "events_lost"),
			(long long)show_number(c, "kernel_failed"));
		show_label("lost", line);
	}
}

void show_filter(const json_t *o)
{
	const char *mode = show_text(o, "mode");
	char when[SHOW_TIME_MAX], line[256];

	if (!mode)
		return;
	if (strcmp(mode, "on") == 0)
		snprintf(line, sizeof(line), "on: the rules count");
	else
		snprintf(line, sizeof(line), "%s%s%s: %s", strcmp(mode, "paused") == 0 ? "PAUSED"
			: "BLOCKED", *show_time(show_text(o, "until"), when) ? " until " : "",
			when, strcmp(mode, "paused") == 0
				? "nothing is refused (scupper resume)"
				: "nothing goes out or in (scupper resume)");
	show_label("filter", line);
}

static void show_accounting(const json_t *accounting)
{
	if (json_is_false(accounting))
		show_label("bytes", "are not counted: conntrack cannot, or this is basic mode");
}

static void show_geo(const json_t *geo)
{
	show_label("country", show_text(geo, "country"));
	show_label("city", show_text(geo, "city"));
	show_label("network", show_text(geo, "asn"));
}

static void show_history(const json_t *h)
{
	char line[1024];
	const char *error = show_text(h, "error"), *unread = show_text(h, "unread");

	if (!json_is_object(h))
		return;
	if (error) {
		snprintf(line, sizeof(line), "NOT WRITTEN, what happens waits in memory: %s",
			error);
		show_label("history", line);
	} else if (show_number(h, "bytes")) {
		snprintf(line, sizeof(line), "%.1f MB", (double)show_number(h, "bytes") / 1e6);
		show_label("history", line);
	}
	if (unread) {
		snprintf(line, sizeof(line), "CANNOT BE READ: %s", unread);
		show_label("history", line);
	}
	if (show_number(h, "lost")) {
		snprintf(line, sizeof(line), "%lld events were dropped while it could not be "
			"written", (long long)show_number(h, "lost"));
		show_label("history", line);
	}
}

static void show_web(const json_t *web)
{
	const char *address = show_text(web, "address");
	char line[256];

	if (!web)
		return;
	if (address)
		snprintf(line, sizeof(line), "%s (sign in: scupper open); %lld signed in, "
			"%lld live streams", address, (long long)show_number(web, "sessions"),
			(long long)show_number(web, "streams"));
	else
		snprintf(line, sizeof(line), "not served");
	show_label("dashboard", line);
}

void show_status(const json_t *o)
{
	const json_t *counters = json_object_get(o, "counters"), *u;
	const json_t *identity = json_object_get(o, "identity");
	const char *mode = show_text(o, "mode"), *version = show_text(o, "version");
	char line[1024];
	size_t i;

	if (mode)
		snprintf(line, sizeof(line), "%s, instance %s: %s, default %s (inbound %s), "
			"when down %s, guards %s", version ? version : "?",
			show_text(o, "instance"), mode, show_text(o, "default"),
			show_text(o, "default_in"), show_text(o, "when_down"),
			show_text(o, "scope"));
	else
		snprintf(line, sizeof(line), "%s", version ? version : "?");
	show_label("scupper", line);
	if (mode && strcmp(mode, "watch") == 0)
		show_label("", "watching: every verdict is what it would be, nothing is "
			"refused");
	if (mode)
		show_filter(json_object_get(o, "filter"));
	show_core(o, json_is_object(counters) ? counters : NULL);
	show_label("identity", show_text(identity, "mode"));
	show_label("", show_text(identity, "limits"));
	show_label("", show_text(identity, "why"));
	show_label("not seen", show_text(identity, "not_attributed"));
	show_kernel(json_object_get(o, "sets"));
	json_array_foreach(json_object_get(o, "upstreams"), i, u)
		show_upstream(u);
	show_counters(json_is_object(counters) ? counters : NULL);
	show_accounting(json_object_get(o, "accounting"));
	show_geo(json_object_get(o, "geo"));
	show_history(json_object_get(o, "history"));
	show_web(json_object_get(o, "web"));
	show_label("rule files", show_text(o, "rule_errors"));
}

/* "/usr/bin/curl[4711]"; a program nobody knows is "unknown" */
static const char *program_of(const json_t *o, char *out, size_t max)
{
	const json_t *actor = json_object_get(o, "actor");
	const char *path = show_text(actor, "path"), *how = show_text(actor, "how");
	json_int_t pid = show_number(actor, "pid");
	struct text t = text_into(out, max);

	if (path)
		text_add(&t, path);
	else
		text_add(&t, how && strcmp(how, "outside") == 0 ? "outside" : "unknown");
	if (pid)
		text_addf(&t, "[%lld]", (long long)pid);
	return out;
}

const char *show_why(const json_t *o)
{
	const char *rule = show_text(json_object_get(o, "rule"), "text");

	return rule && *rule ? rule : show_text(o, "reason");
}

const char *show_verdict(const json_t *o)
{
	const char *verdict = show_text(o, "verdict");

	return verdict && strcmp(verdict, "deny") == 0 && flag(o, "watched") ? "would deny"
									     : verdict;
}

void show_notice(const json_t *o)
{
	char program[1024], line[2048];
	const char *name = show_text(o, "name"), *address = show_text(o, "address");
	struct text t = text_into(line, sizeof(line));

	text_addf(&t, "NEW      %s: its first contact ever, %s",
		program_of(o, program, sizeof(program)), name ? name : address ? address : "?");
	show_line(line, t.len);
	fflush(stdout);
}

void show_query_columns(struct columns *c)
{
	static const char *const heads[] = { "TIME", "VERDICT", "TYPE", "NAME", "PROGRAM",
		"ANSWER", "WHY" };
	static const size_t widths[] = { 8, 7, 5, 30, 24, 15 };

	columns_init(c, ARRAY_LEN(heads), heads);
	memcpy(c->width, widths, sizeof(widths));
}

void show_query(struct columns *c, const json_t *o)
{
	char when[SHOW_TIME_MAX], program[1024], answer[128];
	const json_t *answers = json_object_get(o, "answers");
	size_t n = json_array_size(answers);
	const char *first = json_string_value(json_array_get(answers, 0));

	snprintf(answer, sizeof(answer), "%s", first ? first : show_text(o, "rcode"));
	if (n > 1)
		snprintf(answer, sizeof(answer), "%s +%zu", first, n - 1);
	columns_add(c, (const char *const[]){ show_time(show_text(o, "time"), when),
		show_verdict(o), show_text(o, "type"), show_text(o, "name"),
		program_of(o, program, sizeof(program)), answer, show_why(o) });
}

void show_flow_columns(struct columns *c)
{
	static const char *const heads[] = { "TIME", "VERDICT", "STATE", "PROTO",
		"DESTINATION", "WHERE", "DOWN", "UP", "PROGRAM", "WHY" };
	static const size_t widths[] = { 8, 7, 7, 5, 34, 10, 7, 7, 24 };

	columns_init(c, ARRAY_LEN(heads), heads);
	memcpy(c->width, widths, sizeof(widths));
}

/* "NL AS1136": a hint, as everything that goes by addresses */
static const char *place_of(const json_t *o, char *out, size_t max)
{
	const char *country = show_text(o, "country");
	json_int_t as = show_number(json_object_get(o, "as"), "number");
	struct text t = text_into(out, max);

	if (country)
		text_add(&t, country);
	if (as)
		text_addf(&t, "%sAS%lld", country ? " " : "", (long long)as);
	return out;
}

/* "1.2 MB"; "" where nobody counts */
static const char *bytes_of(const json_t *o, const char *key, char out[static UNITS_MAX])
{
	const json_t *n = json_object_get(o, key);

	*out = '\0';
	return json_is_integer(n) ? units_bytes((uint64_t)json_integer_value(n), out) : out;
}

void show_flow(struct columns *c, const json_t *o)
{
	char when[SHOW_TIME_MAX], program[1024], where[512], place[64];
	char down[UNITS_MAX], up[UNITS_MAX];
	const char *name = show_text(o, "name"), *address = show_text(o, "address");
	const char *dir = show_text(o, "direction");
	struct text t = text_into(where, sizeof(where));

	if (dir && strcmp(dir, "in") == 0)
		text_add(&t, "from ");
	if (name)
		text_addf(&t, "%s ", name);
	if (address)
		text_addf(&t, strchr(address, ':') ? "[%s]" : "%s", address);
	if (show_number(o, "port"))
		text_addf(&t, ":%lld", (long long)show_number(o, "port"));
	columns_add(c, (const char *const[]){ show_time(show_text(o, "start"), when),
		show_verdict(o), show_text(o, "state"), show_text(o, "proto"), where,
		place_of(o, place, sizeof(place)), bytes_of(o, "rx", down),
		bytes_of(o, "tx", up), program_of(o, program, sizeof(program)), show_why(o) });
}

void show_apps(const json_t *items)
{
	static const char *const heads[] = { "LAST", "DENIED", "DOWN", "UP", "USER", "UNIT",
		"PROGRAM" };
	struct columns c;
	const json_t *o;
	size_t i;

	columns_init(&c, ARRAY_LEN(heads), heads);
	json_array_foreach(items, i, o) {
		char when[SHOW_TIME_MAX], denied[24], uid[24];
		char down[UNITS_MAX], up[UNITS_MAX];

		snprintf(denied, sizeof(denied), "%lld", (long long)show_number(o, "denied"));
		snprintf(uid, sizeof(uid), "%lld", (long long)show_number(o, "uid"));
		columns_add(&c, (const char *const[]){ show_time(show_text(o, "last"), when),
			denied, bytes_of(o, "rx", down), bytes_of(o, "tx", up),
			show_text(o, "user") ? show_text(o, "user") : uid,
			show_text(o, "unit"),
			show_text(o, "path") ? show_text(o, "path") : "unknown" });
	}
	columns_print(&c, stdout);
	columns_done(&c);
}

/* "own", "factory", "/etc/scupper/rules.d/a.rules:3" */
static const char *source_of(const json_t *o, char *out, size_t max)
{
	const char *file = show_text(o, "file");

	if (!file)
		return show_text(o, "source");
	snprintf(out, max, "%s:%lld", file, (long long)show_number(o, "line"));
	return out;
}

void show_rules(const json_t *items)
{
	static const char *const heads[] = { "ID", "HITS", "LAST USED", "RULE", "FROM" };
	struct columns c;
	const json_t *o;
	size_t i;

	columns_init(&c, ARRAY_LEN(heads), heads);
	json_array_foreach(items, i, o) {
		char id[24], hits[24], when[SHOW_TIME_MAX], source[600], text[1200];

		snprintf(id, sizeof(id), "%lld", (long long)show_number(o, "id"));
		snprintf(hits, sizeof(hits), "%lld", (long long)show_number(o, "hits"));
		snprintf(text, sizeof(text), "%s%s", show_text(o, "text"),
			flag(o, "enabled") ? "" : " (not in force)");
		columns_add(&c, (const char *const[]){ id, hits,
			show_time(show_text(o, "last_used"), when), text,
			source_of(o, source, sizeof(source)) });
	}
	columns_print(&c, stdout);
	columns_done(&c);
}
