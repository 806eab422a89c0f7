/* SPDX-License-Identifier: GPL-2.0-or-later
 * How it is, and what is told it: status, rules, pausing, explaining. */
#include "base/clock.h"
#include "base/host.h"
#include "base/text.h"
#include "cli/call.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

enum { RULE_MAX = 1024 };

int command_status(struct command_line *c)
{
	return call_show(c, "GET", "/api/v1/status", NULL, show_status);
}

/* rules */

static void show_rules_document(const json_t *o)
{
	show_rules(json_object_get(o, "items"));
}

int command_rule_list(struct command_line *c)
{
	return call_show(c, "GET", "/api/v1/rules", NULL, show_rules_document);
}

/* RULE as one argument or several: what the shell took the quotes from gets them again */
static bool rule_text(struct command_line *c, char *out, size_t max)
{
	struct text t = text_into(out, max);

	for (int i = 0; i < c->nargs; i++) {
		const char *arg = c->args[i];
		bool quote = c->nargs > 1 && (!*arg || strpbrk(arg, " \t#")) &&
			!strchr(arg, '"');

		text_addf(&t, "%s%s%s%s", i ? " " : "", quote ? "\"" : "", arg,
			quote ? "\"" : "");
	}
	return !t.cut;
}

static void show_added(const json_t *o)
{
	printf("rule %lld: ", (long long)show_number(o, "id"));
	show_lines(show_text(o, "text"));
}

int command_rule_add(struct command_line *c)
{
	char text[RULE_MAX];
	json_t *body;

	if (!rule_text(c, text, sizeof(text)))
		return command_fail(REFUSED, "a rule is at most %d bytes", RULE_MAX - 1);
	body = json_object();
	if (json_object_set_new(body, "text", json_string(text)) < 0) {
		json_decref(body);
		return command_fail(REFUSED, "the rule is not valid UTF-8");
	}
	return call_show(c, "POST", "/api/v1/rules", body, show_added);
}

int command_rule_rm(struct command_line *c)
{
	char path[64];
	struct reply r;
	uint32_t id;
	int status;

	if (text_u32(c->args[0], UINT32_MAX, &id) < 0)
		return command_fail(USAGE, "rule rm takes a rule's number, see: scupper "
			"rule list");
	snprintf(path, sizeof(path), "/api/v1/rules/%u", id);
	status = call_daemon(c, "DELETE", path, NULL, &r);
	if (status != DONE)
		return status;
	reply_done(&r);
	if (!c->json)
		printf("rule %u is gone\n", id);
	return DONE;
}

/* pausing */

static int set_filter(struct command_line *c, json_t *body)
{
	return call_show(c, "PUT", "/api/v1/filter", body, show_filter);
}

int command_pause(struct command_line *c)
{
	json_t *body = json_pack("{s:b}", "enabled", false);
	char until[TEXT_TIME_MAX];
	int64_t s;

	if (c->nargs && (text_duration_s(c->args[0], &s) < 0 || s <= 0)) {
		json_decref(body);
		return command_fail(USAGE, "pause takes a duration: 90s, 10m, 2h, 7d");
	}
	if (c->nargs)
		json_object_set_new(body, "until",
			json_string(text_time(clock_unix_ms() + s * 1000 + 999, until)));
	return set_filter(c, body);
}

int command_resume(struct command_line *c)
{
	return set_filter(c, json_pack("{s:b}", "enabled", true));
}

int command_block(struct command_line *c)
{
	return set_filter(c, json_pack("{s:b}", "block", true));
}

/* the cache */

static void show_flushed(const json_t *o)
{
	const char *name = show_text(o, "name");

	if (!name || !*name)
		printf("the cache is empty\n");
	else
		printf("%s%s is forgotten\n", name,
			json_is_true(json_object_get(o, "below")) ? " and everything below it" : "");
}

int command_cache_flush(struct command_line *c)
{
	const char *name = c->nargs ? c->args[0] : NULL;
	json_t *body = json_object();
	char host[HOST_MAX];

	if (name && (!*name || host_parse(name + (*name == '.'), host) < 0)) {
		json_decref(body);
		return command_fail(USAGE, "cache flush takes a name, or .name for everything "
			"below it too");
	}
	if (name)
		json_object_set_new(body, "name", json_string(name));
	return call_show(c, "POST", "/api/v1/cache/flush", body, show_flushed);
}

/* explaining */

static void show_explanation(const json_t *o)
{
	show_lines(show_text(o, "text"));
}

int command_explain(struct command_line *c)
{
	json_t *what = c->nargs == 3 ? json_sprintf("%s %s", c->args[1], c->args[2])
				     : json_string(c->args[1]);
	json_t *body = json_object();

	if (json_object_set_new(body, "who", json_string(c->args[0])) < 0 ||
		json_object_set_new(body, "what", what) < 0) {
		json_decref(body);
		return command_fail(REFUSED, "that is not valid UTF-8");
	}
	return call_show(c, "POST", "/api/v1/explain", body, show_explanation);
}
