/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "cli/learn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WHO(path) "'actor':{'path':'" path "','believed':true,'how':'kernel','uid':0}"
#define CURL WHO("/usr/bin/curl") ",'verdict':'allow','reason':'default'"
#define ASKED(name) "{'name':'" name "'," CURL "}"
#define WENT(name, address, port, proto)                                              \
	"{'name':" name ",'address':'" address "','port':" #port ",'proto':'" proto   \
	"','direction':'out'," CURL "}"

static json_t *items(const char *single_quoted)
{
	char text[4096];
	json_t *j;

	snprintf(text, sizeof(text), "[%s]", single_quoted);
	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	j = json_loads(text, 0, NULL);
	assert_non_null(j);
	return j;
}

/* freed by the caller */
static char *learned(const char *queries, const char *flows, bool wide)
{
	json_t *q = items(queries), *f = items(flows);
	struct learn *l;
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	assert_int_equal(learn_new(&l), 0);
	learn_add_queries(l, q);
	learn_add_flows(l, f);
	assert_int_equal(learn_write(l, wide, to), 0);
	fclose(to);
	learn_free(l);
	json_decref(q);
	json_decref(f);
	return text;
}

static const struct {
	const char *why, *queries, *flows;
	bool wide;
	const char *want;
} cases[] = {
	{ "nothing seen", "", "", false, "" },
	{ "a connection's rule is its name's too",
		ASKED("a.test") "," ASKED("a.test"), WENT("'a.test'", "192.0.2.1", 443, "tcp"),
		false, "allow /usr/bin/curl a.test:443/tcp\n" },
	{ "ports of one protocol share a rule, in order, each once", "",
		WENT("'a.test'", "192.0.2.1", 443, "tcp") ","
		WENT("'a.test'", "192.0.2.2", 80, "tcp") ","
		WENT("'a.test'", "192.0.2.1", 443, "tcp") ","
		WENT("'a.test'", "192.0.2.1", 443, "udp"), false,
		"allow /usr/bin/curl a.test:80,443/tcp\n"
		"allow /usr/bin/curl a.test:443/udp\n" },
	{ "asked only", ASKED("_http._tcp.a.test"), "", false,
		"allow /usr/bin/curl _http._tcp.a.test\n" },
	{ "by address, where no name explains it", "",
		WENT("null", "2001:db8::1", 443, "tcp") ","
		WENT("null", "192.0.2.1", 0, "icmp"), false,
		"allow /usr/bin/curl 192.0.2.1/icmp\n"
		"allow /usr/bin/curl [2001:db8::1]:443/tcp\n" },
	{ "what comes in goes by address, named or not", "",
		"{'name':'a.test','address':'192.0.2.9','port':22,'proto':'tcp',"
		"'direction':'in'," CURL "}", false,
		"allow /usr/bin/curl 192.0.2.9:22/tcp in\n" },
	{ "a path that needs quotes", "{'name':'a.test'," WHO("/opt/My App/app")
		",'verdict':'allow','reason':'default'}", "", false,
		"allow \"/opt/My App/app\" a.test\n" },
	{ "a user in a path is none", "{'name':'a.test'," WHO("/opt/g++/c+uid:0")
		",'verdict':'allow','reason':'default'}", "", false,
		"allow \"/opt/g++/c+uid:0\" a.test\n" },
	{ "a path that would be another rule", "{'name':'a.test'," WHO("/x\\nallow any any #")
		",'verdict':'allow','reason':'default'}", "", false,
		"# no rule can say this (control characters): "
		"allow \"/x\\x0aallow any any #\" a.test\n" },
	{ "a path that would be a glob", "{'name':'a.test'," WHO("/opt/*")
		",'verdict':'allow','reason':'default'}", "", false,
		"# no rule can say this (a * in a path stands for others): allow /opt/* a.test\n" },
	{ "one whose path is not believed", "{'name':'a.test','actor':{'path':'/x (deleted)',"
		"'believed':false,'how':'kernel'},'verdict':'allow','reason':'default'}", "",
		false, "allow unknown a.test\n" },
	{ "others', and what needs no rule", "{'name':'a.test','actor':{'how':'outside'},"
		"'verdict':'allow'},{'name':'localhost'," WHO("/usr/bin/curl")
		",'verdict':'allow','reason':'local'}", "", false, "" },
	{ "denied, once", "{'name':'b.test'," WHO("/usr/bin/curl") ",'verdict':'deny',"
		"'reason':'default'},{'name':'b.test'," WHO("/usr/bin/curl")
		",'verdict':'deny','reason':'default'}", "", false,
		"# denied: /usr/bin/curl b.test (default)\n" },
	{ "sisters stay apart", ASKED("a.x.test") "," ASKED("b.x.test"), "", false,
		"allow /usr/bin/curl a.x.test\nallow /usr/bin/curl b.x.test\n" },
	{ "unless wide is asked for, and not an only child",
		ASKED("a.x.test") "," ASKED("b.x.test") "," ASKED("a.y.test"),
		WENT("'a.x.test'", "192.0.2.1", 443, "tcp"), true,
		"allow /usr/bin/curl .x.test:443/tcp\nallow /usr/bin/curl a.y.test\n" },
	{ "an address is nobody's sister", "", WENT("null", "192.0.2.1", 80, "tcp") ","
		WENT("null", "198.51.2.1", 80, "tcp"), true,
		"allow /usr/bin/curl 192.0.2.1:80/tcp\nallow /usr/bin/curl 198.51.2.1:80/tcp\n" },
};

static void rules_of_what_was_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *got;

		print_message("%s\n", cases[i].why);
		got = learned(cases[i].queries, cases[i].flows, cases[i].wide);
		assert_string_equal(got, cases[i].want);
		free(got);
	}
}

static void the_order_of_events_is_nothing(void **state)
{
	char *one = learned(ASKED("a.test") "," ASKED("b.test"), "", false);
	char *other = learned(ASKED("b.test") "," ASKED("a.test"), "", false);

	(void)state;
	assert_string_equal(one, other);
	free(one);
	free(other);
}

static void more_ports_than_a_rule_has(void **state)
{
	char flows[4096] = "", *got, *second;

	(void)state;
	for (int port = 1; port <= 17; port++)
		snprintf(flows + strlen(flows), sizeof(flows) - strlen(flows),
			"%s{'name':'a.test','port':%d,'proto':'tcp'," CURL "}",
			port > 1 ? "," : "", port);
	got = learned("", flows, false);
	second = strchr(got, '\n') + 1;
	assert_string_equal(second, "allow /usr/bin/curl a.test:17/tcp\n");
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_of_what_was_seen),
		cmocka_unit_test(the_order_of_events_is_nothing),
		cmocka_unit_test(more_ports_than_a_rule_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
