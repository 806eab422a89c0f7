/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "cli/show.h"
#include "cli/why.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char rules[] =
	"[{'id':3,'text':'deny any .ads.example','source':'own'},"
	" {'id':4,'text':'deny any x.test high','source':'own'},"
	" {'id':5,'text':'deny any y.test high','source':'file'},"
	" {'id':6,'text':'deny /usr/bin/highway z.test','source':'own'}]";

#define CURL "'actor':{'path':'/usr/bin/curl','believed':true,'how':'kernel','uid':0}"

static json_t *json(const char *single_quoted)
{
	char text[2048];
	json_t *j;

	snprintf(text, sizeof(text), "%s", single_quoted);
	for (char *p = text; *p; p++) {
		if (*p == '\'')
			*p = '"';
	}
	j = json_loads(text, 0, NULL);
	assert_non_null(j);
	return j;
}

static void the_line_that_allows_it(void **state)
{
	static const struct {
		const char *why, *query, *want; /* want NULL: none can */
	} cases[] = {
		{ "default", "{" CURL ",'name':'a.test','reason':'default','rule':null}",
			"scupper rule add allow /usr/bin/curl a.test" },
		{ "a rule", "{" CURL ",'name':'x.ads.example','reason':'rule','rule':{'id':3}}",
			"scupper rule add allow /usr/bin/curl x.ads.example high" },
		{ "an own rule that is high: it must go",
			"{" CURL ",'name':'x.test','reason':'rule','rule':{'id':4}}",
			"scupper rule rm 4" },
		{ "a file's rule that is high",
			"{" CURL ",'name':'y.test','reason':'rule','rule':{'id':5}}", NULL },
		{ "a word with high in it is no option",
			"{" CURL ",'name':'z.test','reason':'rule','rule':{'id':6}}",
			"scupper rule add allow /usr/bin/curl z.test high" },
		{ "where the name led",
			"{" CURL ",'name':'a.test','cname':'t.test','reason':'cname'}",
			"scupper rule add allow /usr/bin/curl t.test" },
		{ "every address denied",
			"{" CURL ",'name':'a.test','reason':'address','rule':null}",
			"scupper rule add allow /usr/bin/curl a.test high" },
		{ "rebinding", "{" CURL ",'name':'a.test','reason':'rebinding'}", NULL },
		{ "an address", "{" CURL ",'name':null,'address':'198.18.0.1','port':443,"
			"'proto':'tcp','reason':'default'}",
			"scupper rule add allow /usr/bin/curl 198.18.0.1:443/tcp" },
		{ "IPv6 takes brackets", "{" CURL ",'address':'2001:db8::1','port':53,"
			"'proto':'udp','reason':'default'}",
			"scupper rule add allow /usr/bin/curl '[2001:db8::1]:53/udp'" },
		{ "inbound", "{" CURL ",'address':'198.18.0.1','direction':'in',"
			"'reason':'default'}",
			"scupper rule add allow /usr/bin/curl 198.18.0.1 in" },
		{ "nobody known", "{'actor':{'path':null,'how':'unknown'},'name':'a.test',"
			"'reason':'default'}", "scupper rule add allow unknown a.test" },
		{ "a path that is not believed", "{'actor':{'path':'/x (deleted)','believed':"
			"false,'how':'kernel','uid':7},'name':'a.test','reason':'default'}",
			"scupper rule add allow any+uid:7 a.test" },
		{ "blanks", "{'actor':{'path':'/opt/My App/app','believed':true,'how':"
			"'kernel'},'name':'a.test','reason':'default'}",
			"scupper rule add allow '\"/opt/My App/app\"' a.test" },
		{ "a quote in the path", "{'actor':{'path':'/x\\\"y','believed':true,'how':"
			"'kernel','uid':7},'name':'a.test','reason':'default'}",
			"scupper rule add allow any+uid:7 a.test" },
		{ "a C++ compiler", "{'actor':{'path':'/usr/bin/g++','believed':true,'how':"
			"'kernel'},'name':'a.test','reason':'default'}",
			"scupper rule add allow /usr/bin/g++ a.test" },
		{ "what a shell would run", "{'actor':{'path':'/tmp/$(id)','believed':true,"
			"'how':'kernel'},'name':'a.test','reason':'default'}",
			"scupper rule add allow '/tmp/$(id)' a.test" },
	};
	json_t *all = json(rules);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *list = json_array(), *groups, *g;

		print_message("%s\n", cases[i].why);
		json_array_append_new(list, json(cases[i].query));
		groups = why_group(list, NULL, all);
		assert_int_equal(json_array_size(groups), 1);
		g = json_array_get(groups, 0);
		if (cases[i].want)
			assert_string_equal(show_text(g, "fix"), cases[i].want);
		else
			assert_true(json_is_null(json_object_get(g, "fix")) &&
				show_text(g, "note"));
		json_decref(groups);
		json_decref(list);
	}
	json_decref(all);
}

static void alike_are_one(void **state)
{
	json_t *queries = json("[{" CURL ",'name':'a.test','reason':'default','time':'2026-01-0"
			       "1T00:00:02.000Z'},{" CURL ",'name':'a.test','reason':'default',"
			       "'time':'2026-01-01T00:00:03.000Z'},{" CURL ",'name':'b.test',"
			       "'reason':'default','time':'2026-01-01T00:00:01.000Z'}]");
	json_t *flows = json("[{" CURL ",'address':'198.18.0.1','reason':'default',"
			     "'start':'2026-01-01T00:00:09.000Z'}]");
	json_t *groups = why_group(queries, flows, NULL), *g;

	(void)state;
	assert_int_equal(json_array_size(groups), 3);
	g = json_array_get(groups, 0);
	assert_string_equal(show_text(g, "address"), "198.18.0.1");
	g = json_array_get(groups, 1);
	assert_string_equal(show_text(g, "name"), "a.test");
	assert_int_equal(show_number(g, "count"), 2);
	assert_string_equal(show_text(g, "last"), "2026-01-01T00:00:03.000Z");
	json_decref(groups);
	json_decref(queries);
	json_decref(flows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_that_allows_it),
		cmocka_unit_test(alike_are_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
