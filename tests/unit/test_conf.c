/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "cli/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void good(void **state)
{
	static const char text[] =
		"# comment\n[daemon]\ninstance=run-12\nscope=/a.slice/b\ndefault=deny\n"
		"when-down=open\nlog=debug\n[resolver]\nlisten=127.0.0.5:5300\n"
		"listen=[::1]\nupstream = 9.9.9.9 \nrefusal=zero\ncache-size=1MB\n"
		"cache-min-ttl=1m\ncache-max-ttl=2h\ncache-max-negative-ttl=30s\n"
		"serve-stale=0\nprefetch=no\ncache-persist=no\n";
	struct conf c;
	struct conf_error err;

	(void)state;
	conf_default(&c);
	assert_true(c.closed);
	assert_int_equal(c.default_out, VERDICT_ALLOW);
	assert_int_equal(conf_parse(text, sizeof(text) - 1, &c, &err), 0);
	assert_string_equal(c.instance, "run-12");
	assert_string_equal(c.scope, "/a.slice/b");
	assert_int_equal(c.default_out, VERDICT_DENY);
	assert_int_equal(c.default_in, VERDICT_ALLOW);
	assert_false(c.closed);
	assert_int_equal(c.log, LOG_DEBUG);
	assert_int_equal(c.nlisten, 2);
	assert_int_equal(c.listen[0].port, 5300);
	assert_int_equal(c.listen[1].port, 53);
	assert_int_equal(c.nupstreams, 1);
	assert_int_equal(c.refusal, REFUSE_ZERO);
	assert_int_equal(c.cache_size, 1000000);
	assert_int_equal(c.cache_min_ttl_s, 60);
	assert_int_equal(c.cache_max_ttl_s, 7200);
	assert_int_equal(c.cache_max_negative_ttl_s, 30);
	assert_int_equal(c.serve_stale_s, 0);
	assert_false(c.prefetch);
	assert_false(c.cache_persist);
}

static void names(void **state)
{
	static const char text[] = "[resolver]\nroute=corp.test=10.0.0.1\n"
		"record=a.test A 10.0.0.2\nroute=10.0.0.0/8=10.0.0.1\n";
	struct conf_error err;
	struct conf c;

	(void)state;
	conf_default(&c);
	assert_int_equal(conf_parse(text, sizeof(text) - 1, &c, &err), 0);
	assert_string_equal(c.names, "route corp.test=10.0.0.1\n"
		"record a.test A 10.0.0.2\nroute 10.0.0.0/8=10.0.0.1\n");
}

static void bad(void **state)
{
	static const struct {
		const char *why, *text;
		unsigned line;
		const char *says;
	} cases[] = {
		{ "record of a type", "[resolver]\nrecord=a.test LOC x\n", 2, "expected A, AAAA" },
		{ "rewrites in a circle", "[resolver]\nrewrite=a.test=b.test\n"
			"rewrite=b.test=a.test\n", 3, "itself rewritten" },
		{ "route to nowhere", "[resolver]\nroute=corp.test\n", 2, "expected DOMAIN=" },
		{ "unknown section", "[daemon]\n[geos]\n", 2, "unknown section [geos]" },
		{ "unknown key", "[daemon]\nfoo=1\n", 2, "unknown key \"foo\" in [daemon]" },
		{ "key of another section", "[resolver]\nscope=/\n", 2, "unknown key" },
		{ "key twice", "[daemon]\nlog=info\nlog=debug\n", 3, "stands twice" },
		{ "no section", "log=info\n", 1, "before the first" },
		{ "no equals", "[daemon]\nlog\n", 2, "expected key=value" },
		{ "bad word", "[daemon]\n\ndefault=maybe\n", 3, "expected allow, deny or ask" },
		{ "ask is later", "[daemon]\ndefault=ask\n", 2, "later version" },
		{ "relative path", "[daemon]\nrules=rules.d\n", 2, "an absolute path" },
		{ "scope climbs", "[daemon]\nscope=/../x\n", 2, "bad value for scope" },
		{ "instance with a slash", "[daemon]\ninstance=a/b\n", 2, "bad value" },
		{ "listen to the world", "[resolver]\nlisten=0.0.0.1:53\nlisten=10.1.1.1\n", 3,
			"not a loopback" },
		{ "later key", "[history]\nexport=x\n", 2, "later version" },
		{ "history for ever", "[history]\nkeep=4000d\n", 2, "bad value for keep" },
		{ "no room for it", "[history]\nmax-size=1KB\n", 2, "bad value for max-size" },
		{ "relative database", "[geo]\nasn=x.mmdb\n", 2, "an absolute path" },
		{ "plain beside encrypted", "[resolver]\nupstream=tls://9.9.9.9\nupstream=1.1.1.1\n", 3,
			"fallback=" },
		{ "who knows its address", "[resolver]\nupstream=tls://a.example\nprefetch=yes\n", 2,
			"bootstrap=" },
		{ "nothing to fall back from", "[resolver]\nfallback=9.9.9.9\n", 2, "without" },
		{ "encrypted bootstrap", "[resolver]\nbootstrap=tls://9.9.9.9\n", 2, "an address" },
		{ "size too small", "[resolver]\ncache-size=1\n", 2, "64KB to 4GB" },
		{ "TTLs kept too long", "[resolver]\ncache-min-ttl=2h\n", 2, "0 to 1h" },
		{ "nothing kept", "[resolver]\ncache-max-ttl=0\n", 2, "1s to 7d" },
		{ "stale for ever", "[resolver]\nserve-stale=30d\n", 2, "0 to 7d" },
		{ "neither yes nor no", "[resolver]\nprefetch=true\n", 2, "yes or no" },
		{ "text behind section", "[daemon] x\n", 1, "a section is written" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf c, before;
		struct conf_error err = { 0 };

		print_message("%s\n", cases[i].why);
		conf_default(&c);
		before = c;
		assert_true(conf_parse(cases[i].text, strlen(cases[i].text), &c, &err) < 0);
		assert_int_equal(err.line, cases[i].line);
		assert_non_null(strstr(err.what, cases[i].says));
		assert_memory_equal(&c, &before, sizeof(c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(names),
		cmocka_unit_test(bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
