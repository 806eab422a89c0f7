/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/link.h"
#include "base/macros.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { FROM_WEB, FROM_CORE, FROM_BOTH };

static const struct {
	const char *why;
	uint16_t type;
	int from;
} types[] = {
	{ "hello", LINK_HELLO, FROM_BOTH },
	{ "get status", LINK_GET_STATUS, FROM_WEB },
	{ "get rules", LINK_GET_RULES, FROM_WEB },
	{ "rule add", LINK_RULE_ADD, FROM_WEB },
	{ "rule remove", LINK_RULE_REMOVE, FROM_WEB },
	{ "explain", LINK_EXPLAIN, FROM_WEB },
	{ "status", LINK_STATUS, FROM_CORE },
	{ "rule", LINK_RULE, FROM_CORE },
	{ "text", LINK_TEXT, FROM_CORE },
	{ "done", LINK_DONE, FROM_CORE },
	{ "program", LINK_PROGRAM, FROM_CORE },
	{ "flow", LINK_FLOW, FROM_CORE },
	{ "bytes", LINK_BYTES, FROM_CORE },
	{ "history", LINK_HISTORY, FROM_CORE },
	{ "changed", LINK_CHANGED, FROM_CORE },
	{ "rule change", LINK_RULE_CHANGE, FROM_WEB },
	{ "filter", LINK_FILTER, FROM_WEB },
	{ "watchers", LINK_WATCHERS, FROM_WEB },
	{ "cache flush", LINK_CACHE_FLUSH, FROM_WEB },
};

static int check(const struct link_any *m, size_t len, bool from_core)
{
	/* one byte off any alignment: a message may stand anywhere in a buffer */
	char bytes[sizeof(*m) + 1];

	memcpy(bytes + 1, m, sizeof(*m));
	return link_check(bytes + 1, len, from_core);
}

static void lengths_and_directions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct link_any m = { .head.type = types[i].type };
		size_t len = link_size(types[i].type);
		bool web = types[i].from != FROM_CORE, core = types[i].from != FROM_WEB;

		print_message("%s\n", types[i].why);
		assert_true(len >= sizeof(struct link_head) && len <= sizeof(m));
		assert_int_equal(check(&m, len, false), web ? 0 : -EBADMSG);
		assert_int_equal(check(&m, len, true), core ? 0 : -EBADMSG);
		assert_int_equal(check(&m, len - 1, core), -EBADMSG);
		assert_int_equal(check(&m, len + 1, core), -EBADMSG);
	}
}

static void unknown_types(void **state)
{
	struct link_any m = { .head.type = LINK_CHANGED + 1 };

	(void)state;
	assert_int_equal(link_size(0), 0);
	assert_int_equal(link_size(LINK_CHANGED + 1), 0);
	assert_int_equal(link_size(UINT16_MAX), 0);
	assert_int_equal(check(&m, sizeof(struct link_head), true), -EBADMSG);
	assert_int_equal(link_check("", 0, true), -EBADMSG);
	assert_int_equal(link_check("abc", 3, true), -EBADMSG);
}

#define FIELD(type, member) \
	type, offsetof(struct link_any, u.member), sizeof(((struct link_any *)0)->u.member)

static void unterminated_strings(void **state)
{
	static const struct {
		const char *why;
		uint16_t type;
		size_t at, len;
	} cases[] = {
		{ "rule to add", FIELD(LINK_RULE_ADD, rule_add.text) },
		{ "explain who", FIELD(LINK_EXPLAIN, explain.who) },
		{ "explain what", FIELD(LINK_EXPLAIN, explain.what) },
		{ "version", FIELD(LINK_STATUS, status.version) },
		{ "instance", FIELD(LINK_STATUS, status.instance) },
		{ "mode", FIELD(LINK_STATUS, status.mode) },
		{ "scope", FIELD(LINK_STATUS, status.scope) },
		{ "when down", FIELD(LINK_STATUS, status.when_down) },
		{ "default out", FIELD(LINK_STATUS, status.default_out) },
		{ "default in", FIELD(LINK_STATUS, status.default_in) },
		{ "why", FIELD(LINK_STATUS, status.why) },
		{ "nss", FIELD(LINK_STATUS, status.nss) },
		{ "rule errors", FIELD(LINK_STATUS, status.rule_errors) },
		{ "upstream", FIELD(LINK_STATUS, status.upstreams[0].name) },
		{ "rule text", FIELD(LINK_RULE, rule.text) },
		{ "rule file", FIELD(LINK_RULE, rule.file) },
		{ "explain text", FIELD(LINK_TEXT, text.text) },
		{ "error", FIELD(LINK_DONE, done.error) },
		{ "path", FIELD(LINK_PROGRAM, program.path) },
		{ "parent", FIELD(LINK_PROGRAM, program.parent) },
		{ "cgroup", FIELD(LINK_PROGRAM, program.cgroup) },
		{ "name", FIELD(LINK_FLOW, flow.flow.name) },
		{ "cname", FIELD(LINK_FLOW, flow.flow.other) },
		{ "flow's rule", FIELD(LINK_FLOW, flow.rule_text) },
		{ "argv", FIELD(LINK_FLOW, flow.process) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct link_any m = { .head.type = cases[i].type };
		bool from_core = cases[i].type >= LINK_STATUS;
		size_t len = link_size(cases[i].type);

		print_message("%s\n", cases[i].why);
		if (cases[i].type == LINK_STATUS)
			m.u.status.nupstreams = 1;
		memset((char *)&m + cases[i].at, 'a', cases[i].len - 1);
		assert_int_equal(check(&m, len, from_core), 0);
		memset((char *)&m + cases[i].at, 'a', cases[i].len);
		assert_int_equal(check(&m, len, from_core), -EBADMSG);
	}
}

#define AT(type, member) type, offsetof(struct link_any, u.member)

static void bytes_out_of_range(void **state)
{
	static const struct {
		const char *why;
		uint16_t type;
		size_t at;
		uint8_t last_good;
	} cases[] = {
		{ "how", AT(LINK_FLOW, flow.flow.how), HOW_SELF },
		{ "kind", AT(LINK_FLOW, flow.flow.kind), FLOW_CONN },
		{ "direction", AT(LINK_FLOW, flow.flow.dir), FLOW_IN },
		{ "state", AT(LINK_FLOW, flow.flow.state), FLOW_REFUSED },
		{ "verdict", AT(LINK_FLOW, flow.flow.verdict), VERDICT_UNDECIDED },
		{ "reason", AT(LINK_FLOW, flow.flow.reason), REASON_CLAIM },
		{ "cached", AT(LINK_FLOW, flow.flow.cached), 1 },
		{ "answers", AT(LINK_FLOW, flow.flow.nanswers), FLOW_ANSWERS_MAX },
		{ "address", AT(LINK_FLOW, flow.flow.addr.family), 0 },
		{ "source", AT(LINK_RULE, rule.source), 2 },
		{ "action", AT(LINK_RULE, rule.action), VERDICT_UNDECIDED },
		{ "enabled", AT(LINK_RULE, rule.enabled), 1 },
		{ "known", AT(LINK_PROGRAM, program.known), 1 },
		{ "believed", AT(LINK_PROGRAM, program.believed), 1 },
		{ "identity", AT(LINK_STATUS, status.identity), LINK_BPF },
		{ "table", AT(LINK_STATUS, status.table), 1 },
		{ "persist", AT(LINK_STATUS, status.persist), 1 },
		{ "upstreams", AT(LINK_STATUS, status.nupstreams), LINK_UPSTREAMS_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct link_any m = { .head.type = cases[i].type };
		size_t len = link_size(cases[i].type);

		print_message("%s\n", cases[i].why);
		((uint8_t *)&m)[cases[i].at] = cases[i].last_good;
		assert_int_equal(check(&m, len, true), 0);
		((uint8_t *)&m)[cases[i].at] = (uint8_t)(cases[i].last_good + 1);
		assert_int_equal(check(&m, len, true), -EBADMSG);
	}
}

static void done_is_no_success_over_zero(void **state)
{
	struct link_any m = { .head.type = LINK_DONE, .u.done.r = -EINVAL };

	(void)state;
	assert_int_equal(check(&m, link_size(LINK_DONE), true), 0);
	m.u.done.r = 1;
	assert_int_equal(check(&m, link_size(LINK_DONE), true), -EBADMSG);
}

static void an_answer_of_a_strange_family(void **state)
{
	struct link_any m = { .head.type = LINK_FLOW };

	(void)state;
	m.u.flow.flow.answers[1].family = 9;
	m.u.flow.flow.nanswers = 1; /* what is not counted is not looked at */
	assert_int_equal(check(&m, link_size(LINK_FLOW), true), 0);
	m.u.flow.flow.nanswers = 2;
	assert_int_equal(check(&m, link_size(LINK_FLOW), true), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_and_directions),
		cmocka_unit_test(unknown_types),
		cmocka_unit_test(unterminated_strings),
		cmocka_unit_test(bytes_out_of_range),
		cmocka_unit_test(done_is_no_success_over_zero),
		cmocka_unit_test(an_answer_of_a_strange_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
