/* SPDX-License-Identifier: GPL-2.0-or-later
 * rule text from anybody: what parses has one spelling, which parses to itself, and can be
 * put into a ruleset and asked */
#include "rules/rule.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int any_user(const char *name, uint32_t *uid)
{
	*uid = (uint32_t)strlen(name);
	return 0;
}

static void spell_twice(const char *line)
{
	char one[RULE_LINE_MAX], two[RULE_LINE_MAX];
	struct text t = text_into(one, sizeof(one));
	struct rule_error err = { 0 };
	int r = rule_check(line, 0, &t, &err);

	if (r < 0) {
		assert(r != -EINVAL || (err.column && *err.what));
		return;
	}
	/* a line near the limit may be longer in its one spelling */
	if (t.cut || t.len > RULE_LINE_MAX - 2)
		return;
	t = text_into(two, sizeof(two));
	r = rule_check(one, 0, &t, &err);
	assert(r == 0);
	assert(strcmp(one, two) == 0);
}

static void ask(const struct ruleset *rs)
{
	struct program p = { .known = true, .npaths = 1, .paths = { "/usr/bin/curl" } };
	struct addr a = { .family = 4, .b = { 192, 0, 2, 1 } };
	struct target to = { .name = "www.example.org", .addr = &a, .port = 443, .proto = 6 };
	struct port_verdicts ports;
	struct decision d;
	struct whole w;
	char buf[4096];
	struct text t = text_into(buf, sizeof(buf));

	ruleset_at_name(rs, &p, to.name, false, 1, &d);
	assert(d.verdict != VERDICT_NONE);
	ruleset_decide(rs, &p, &to, 1, &d);
	assert(d.verdict == VERDICT_ALLOW || d.verdict == VERDICT_DENY ||
		d.verdict == VERDICT_ASK);
	ruleset_ports(rs, &p, &to, 1, &ports);
	ruleset_whole(rs, &p, 1, &w);
	ruleset_inbound(rs, &p, 1, &ports);
	p.known = false;
	ruleset_explain(rs, &p, &to, 1, &t);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	auto_free char *text = malloc(len + 1);
	struct ruleset *rs;
	char name[HOST_MAX];
	struct addr addr;
	struct target to;

	if (!text || len > 1 << 16)
		return 0;
	memcpy(text, bytes, len);
	text[len] = '\0';
	if (ruleset_new(VERDICT_DENY, VERDICT_ALLOW, &rs) < 0)
		return 0;
	ruleset_users(rs, any_user);
	if (ruleset_add_text(rs, text, len, "f", 0, NULL) == 0 && ruleset_ready(rs) == 0)
		ask(rs);
	ruleset_free(rs);
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		spell_twice(line);
		rules_target(line, name, &addr, &to, NULL);
	}
	return 0;
}
