/* SPDX-License-Identifier: GPL-2.0-or-later
 * The HTTP side as a client sees it: raw requests over control.sock, a played core. */
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "fake_core.h"
#include "web/api.h"
#include "web/events.h"
#include "web/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { ANSWER_MAX = 4 << 20, WAIT_MS = 20000 };

static struct fake_core core;
static int slow_fd;           /* opened first, trickles: must be cut meanwhile */
static int64_t slow_since_ms;

static int connect_to_web(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	text_copy(at.sun_path, sizeof(at.sun_path), core.socket);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void send_all(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* it hung up: the answer tells */
		p += n;
		len -= (size_t)n;
	}
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

struct answer {
	int status; /* 0: hung up without one */
	char *text, *head, *body;
	json_t *json;
};

static void answer_done(struct answer *a)
{
	json_decref(a->json);
	free(a->text);
}

static struct answer read_answer(int fd)
{
	struct answer a = { .text = calloc(1, ANSWER_MAX + 1) };
	size_t len = 0;
	ssize_t n;

	while (len < ANSWER_MAX && readable(fd, WAIT_MS) &&
		(n = read(fd, a.text + len, ANSWER_MAX - len)) > 0)
		len += (size_t)n;
	sscanf(a.text, "HTTP/1.1 %d", &a.status);
	a.head = a.text;
	a.body = strstr(a.text, "\r\n\r\n");
	if (a.body) {
		*a.body = '\0';
		a.body += 4;
		a.json = json_loads(a.body, 0, NULL);
	}
	return a;
}

static struct answer request(const char *text, size_t len)
{
	int fd = connect_to_web();
	struct answer a;

	send_all(fd, text, len);
	a = read_answer(fd);
	close(fd);
	return a;
}

static struct answer call(const char *method, const char *path, const char *body)
{
	char text[8192];
	int n;

	if (body)
		n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: "
			"close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
			"%s", method, path, strlen(body), body);
	else
		n = snprintf(text, sizeof(text),
			"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
	return request(text, (size_t)n);
}

static json_t *get(const char *path)
{
	struct answer a = call("GET", path, NULL);
	json_t *j = json_incref(a.json);

	if (a.status != 200)
		print_message("%s: %d %s\n", path, a.status, a.body);
	assert_int_equal(a.status, 200);
	answer_done(&a);
	return j;
}

static const char *str(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "(none)";
}

static void send_flow(const struct link_flow *f)
{
	fake_core_send(&core, LINK_FLOW, 0, f);
}

/* news and requests come on two sockets: wait until the window has it */
static json_t *wait_for(const char *path, size_t n)
{
	int64_t until = clock_boot_ms() + WAIT_MS;

	for (;;) {
		json_t *j = get(path);

		if (json_array_size(json_object_get(j, "items")) >= n)
			return j;
		json_decref(j);
		assert_true(clock_boot_ms() < until);
	}
}

static int start(void **state)
{
	(void)state;
	if (fake_core_start(&core) < 0)
		return -1;
	fake_core_program(&core, 1, "/usr/bin/curl");
	slow_fd = connect_to_web();
	slow_since_ms = clock_boot_ms();
	send_all(slow_fd, "GET /api", 8);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(slow_fd);
	fake_core_stop(&core);
	return 0;
}

static void the_status(void **state)
{
	json_t *j = get("/api/v1/status"), *identity = json_object_get(j, "identity");

	(void)state;
	assert_string_equal(str(j, "core"), "running");
	assert_string_equal(str(j, "boot"), "b001");
	assert_string_equal(str(j, "mode"), "enforce");
	assert_string_equal(str(j, "default"), "deny");
	assert_string_equal(str(identity, "mode"), "bpf");
	assert_true(json_is_null(json_object_get(identity, "why")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "counters"),
		"queries")), 12);
	json_decref(j);
}

static void a_query_and_a_connection(void **state)
{
	struct link_flow q = fake_core_flow(FLOW_QUERY, 1, 1, "a.test", VERDICT_ALLOW);
	struct link_flow c = fake_core_flow(FLOW_CONN, 2, 1, "a.test", VERDICT_DENY);
	json_t *j, *o;

	(void)state;
	send_flow(&q);
	send_flow(&c);
	j = wait_for("/api/v1/queries?name=a.test", 1);
	o = json_array_get(json_object_get(j, "items"), 0);
	assert_string_equal(str(o, "time"), "2023-11-14T22:13:20.123Z");
	assert_string_equal(str(o, "name"), "a.test");
	assert_string_equal(str(o, "type"), "A");
	assert_string_equal(str(o, "verdict"), "allow");
	assert_string_equal(str(json_object_get(o, "rule"), "text"), "allow any .test");
	assert_string_equal(str(json_object_get(o, "actor"), "path"), "/usr/bin/curl");
	assert_string_equal(str(json_object_get(o, "actor"), "how"), "kernel");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "actor"),
		"pid")), 4711);
	json_decref(j);
	j = wait_for("/api/v1/flows?program=curl&verdict=deny", 1);
	o = json_array_get(json_object_get(j, "items"), 0);
	assert_string_equal(str(o, "address"), "198.18.0.1");
	assert_string_equal(str(o, "proto"), "tcp");
	assert_string_equal(str(o, "state"), "refused");
	assert_string_equal(str(o, "direction"), "out");
	assert_true(json_is_null(json_object_get(o, "rule")));
	assert_true(json_is_null(json_object_get(o, "country")));
	assert_true(json_is_null(json_object_get(o, "rx")));
	json_decref(j);
	j = wait_for("/api/v1/apps", 1);
	o = json_array_get(json_object_get(j, "items"), 0);
	assert_string_equal(str(o, "name"), "curl");
	assert_string_equal(str(o, "user"), "root");
	assert_string_equal(str(o, "unit"), "test.service");
	assert_int_equal(json_integer_value(json_object_get(o, "denied")), 1);
	json_decref(j);
}

static void names_that_are_no_utf8(void **state)
{
	struct link_flow q = fake_core_flow(FLOW_QUERY, 10, 7, "\xff\xfe.bad.test",
		VERDICT_DENY);
	json_t *j, *o;

	(void)state;
	fake_core_program(&core, 7, "/tmp/\xc3\x28/\xe2\x80\xae" "evil\n");
	text_copy(q.process, sizeof(q.process), "\x80\x81\"\\");
	send_flow(&q);
	j = wait_for("/api/v1/queries?name=*.bad.test", 1);
	o = json_array_get(json_object_get(j, "items"), 0);
	assert_string_equal(str(o, "name"), "\\xff\\xfe.bad.test");
	assert_non_null(strstr(str(json_object_get(o, "actor"), "path"), "\\xc3(/"));
	json_decref(j);
}

static void pages(void **state)
{
	char path[128] = "/api/v1/queries?name=p.test&limit=20";
	unsigned n = 0, npages = 0;

	(void)state;
	for (uint64_t i = 0; i < 50; i++) {
		struct link_flow q = fake_core_flow(FLOW_QUERY, 100 + i, 1, "p.test",
			VERDICT_ALLOW);

		send_flow(&q);
	}
	json_decref(wait_for("/api/v1/queries?name=p.test", 50));
	for (;;) {
		json_t *j = get(path), *items = json_object_get(j, "items");
		const char *next = json_string_value(json_object_get(j, "next"));
		bool more = next != NULL;

		for (size_t i = 0; i < json_array_size(items); i++, n++) {
			json_t *o = json_array_get(items, i);

			assert_int_equal(json_integer_value(json_object_get(o, "id")),
				149 - n);
		}
		if (more)
			snprintf(path, sizeof(path),
				"/api/v1/queries?name=p.test&limit=20&cursor=%s", next);
		json_decref(j);
		npages++;
		if (!more)
			break;
	}
	assert_int_equal(n, 50);
	assert_int_equal(npages, 3);
}

static void rules_come_and_go(void **state)
{
	struct answer a = call("POST", "/api/v1/rules",
		"{\"text\":\"allow /usr/bin/curl .shop.test\"}");
	char path[64];
	json_t *j;

	(void)state;
	assert_int_equal(a.status, 201);
	assert_string_equal(str(a.json, "text"), "allow /usr/bin/curl .shop.test");
	assert_string_equal(str(a.json, "source"), "own");
	assert_int_equal(core.asked_uid, geteuid());
	snprintf(path, sizeof(path), "/api/v1/rules/%lld",
		(long long)json_integer_value(json_object_get(a.json, "id")));
	answer_done(&a);
	j = get("/api/v1/rules");
	assert_int_equal(json_array_size(json_object_get(j, "items")), 2);
	json_decref(j);
	a = call("DELETE", path, NULL);
	assert_int_equal(a.status, 204);
	answer_done(&a);
	a = call("DELETE", path, NULL);
	assert_int_equal(a.status, 404);
	assert_string_equal(str(a.json, "detail"), "no own rule has this number");
	answer_done(&a);
}

static json_int_t undo_of(const struct answer *a)
{
	const char *n = strstr(a->head, "Scupper-Undo: ");

	assert_non_null(n);
	return atoll(n + strlen("Scupper-Undo: "));
}

static void changes_are_undone(void **state)
{
	struct answer a = call("POST", "/api/v1/rules", "{\"text\":\"deny any .a.test\"}");
	char path[64], undo[64];
	json_int_t added = undo_of(&a);

	(void)state;
	snprintf(path, sizeof(path), "/api/v1/rules/%lld",
		(long long)json_integer_value(json_object_get(a.json, "id")));
	answer_done(&a);
	a = call("PATCH", path, "{\"enabled\":false}");
	assert_int_equal(a.status, 200);
	assert_string_equal(str(a.json, "text"), "deny any .a.test off");
	assert_true(json_is_false(json_object_get(a.json, "enabled")));
	assert_int_equal(undo_of(&a), added + 1);
	answer_done(&a);
	a = call("PATCH", path, "{\"text\":\"deny any .b.test\"}");
	assert_string_equal(str(a.json, "text"), "deny any .b.test");
	snprintf(undo, sizeof(undo), "/api/v1/undo/%lld", (long long)undo_of(&a));
	answer_done(&a);
	a = call("POST", undo, "{}");
	assert_int_equal(a.status, 200);
	assert_string_equal(str(a.json, "text"), "deny any .a.test off");
	answer_done(&a);
	a = call("POST", undo, "{}");
	assert_int_equal(a.status, 404); /* undone already */
	answer_done(&a);
	snprintf(undo, sizeof(undo), "/api/v1/undo/%lld", (long long)added);
	a = call("POST", undo, "{}");
	assert_int_equal(a.status, 204);
	snprintf(undo, sizeof(undo), "/api/v1/undo/%lld", (long long)undo_of(&a));
	answer_done(&a);
	a = call("POST", undo, "{}"); /* to undo is a change too */
	assert_int_equal(a.status, 201);
	snprintf(path, sizeof(path), "/api/v1/rules/%lld",
		(long long)json_integer_value(json_object_get(a.json, "id")));
	answer_done(&a);
	a = call("DELETE", path, NULL);
	assert_int_equal(a.status, 204);
	answer_done(&a);
}

static void filter(void **state)
{
	static const struct {
		const char *body, *mode;
		bool enabled;
	} cases[] = {
		{ "{\"enabled\":false}", "paused", false },
		{ "{\"enabled\":false,\"until\":\"2030-01-02T03:04:05.678Z\"}", "paused", false },
		{ "{\"block\":true}", "blocked", true },
		{ "{\"enabled\":true}", "on", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct answer a = call("PUT", "/api/v1/filter", cases[i].body);
		json_t *j = get("/api/v1/filter");

		print_message("%s\n", cases[i].body);
		assert_int_equal(a.status, 200);
		assert_string_equal(str(a.json, "mode"), cases[i].mode);
		assert_true(json_equal(a.json, j));
		assert_int_equal(json_is_true(json_object_get(j, "enabled")), cases[i].enabled);
		if (i == 1)
			assert_string_equal(str(j, "until"), "2030-01-02T03:04:05.000Z");
		json_decref(j);
		answer_done(&a);
	}
}

static void explanations(void **state)
{
	json_t *j = get("/api/v1/explain?who=/usr/bin/curl&what=a.test:443/tcp");
	struct answer a;

	(void)state;
	assert_string_equal(str(j, "text"),
		"1. allow /usr/bin/curl a.test:443/tcp\nallow: rule 1 wins\n");
	json_decref(j);
	a = call("POST", "/api/v1/explain", "{\"who\":\"unknown\",\"what\":\"a.test\"}");
	assert_int_equal(a.status, 200);
	assert_string_equal(str(a.json, "who"), "unknown");
	answer_done(&a);
}

static void a_flush_is_of_a_name_or_all(void **state)
{
	static const struct {
		const char *body, *name;
		bool below;
	} cases[] = {
		{ "{\"name\":\"A.Test.\"}", "a.test", false },
		{ "{\"name\":\".test\"}", "test", true },
		{ "{\"name\":\".\"}", "", true },
		{ "{}", "", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct answer a = call("POST", "/api/v1/cache/flush", cases[i].body);

		assert_int_equal(a.status, 200);
		assert_string_equal(str(a.json, "name"), cases[i].name);
		assert_int_equal(json_is_true(json_object_get(a.json, "below")),
			cases[i].below);
		answer_done(&a);
	}
}

static void every_route_is_described(void **state)
{
	json_t *j = get("/api/v1/openapi.json"), *paths = json_object_get(j, "paths");
	json_t *methods;
	const char *path, *method;
	size_t described = 0;
	json_t *operation;

	(void)state;
	for (size_t i = 0; i < api_routes_count; i++) {
		const struct route *r = &api_routes[i];
		size_t n = strlen(r->path), ninputs = 0;
		char name[128], lower[16] = "";
		json_t *parameters, *p;
		size_t at;

		snprintf(name, sizeof(name), "%s%s", r->path,
			r->path[n - 1] == '/' ? "{id}" : "");
		for (size_t k = 0; r->method[k]; k++)
			lower[k] = (char)(r->method[k] | 0x20);
		operation = json_object_get(json_object_get(paths, name), lower);
		print_message("%s %s\n", r->method, name);
		assert_non_null(operation);
		assert_int_equal(strcmp(str(operation, "x-role"), "admin") == 0,
			r->kind == ROUTE_ADMINS);
		parameters = json_object_get(operation, "parameters");
		json_array_foreach(parameters, at, p) {
			if (strcmp(str(p, "in"), "query") != 0)
				continue;
			assert_string_equal(str(p, "name"), r->arguments[ninputs]);
			ninputs++;
		}
		assert_null(r->arguments[ninputs]);
	}
	json_object_foreach(paths, path, methods) {
		json_object_foreach(methods, method, operation)
			described++;
	}
	assert_int_equal(described, api_routes_count);
	json_decref(j);
}

/* every key that an answer has is described, and the other way round */
static void check_shape(json_t *schemas, const char *name, json_t *o)
{
	json_t *properties = json_object_get(json_object_get(schemas, name), "properties");
	const char *key;
	json_t *v;

	print_message("%s\n", name);
	assert_non_null(o);
	json_object_foreach(o, key, v) {
		if (!json_object_get(properties, key))
			print_message("not described: %s\n", key);
		assert_non_null(json_object_get(properties, key));
	}
	json_object_foreach(properties, key, v) {
		if (!json_object_get(o, key))
			print_message("not given: %s\n", key);
		assert_non_null(json_object_get(o, key));
	}
}

static void objects_are_as_described(void **state)
{
	static const char *const lists[][2] = { { "query", "/api/v1/queries" },
		{ "flow", "/api/v1/flows" }, { "app", "/api/v1/apps" },
		{ "rule", "/api/v1/rules" } };
	json_t *doc = get("/api/v1/openapi.json");
	json_t *schemas = json_object_get(json_object_get(doc, "components"), "schemas");
	json_t *j;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		json_t *o;

		j = wait_for(lists[i][1], 1);
		o = json_array_get(json_object_get(j, "items"), 0);
		check_shape(schemas, lists[i][0], o);
		if (json_object_get(o, "actor"))
			check_shape(schemas, "actor", json_object_get(o, "actor"));
		json_decref(j);
	}
	j = get("/api/v1/status");
	check_shape(schemas, "status", j);
	json_decref(j);
	json_decref(doc);
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *method, *path, *body;
		int want;
	} cases[] = {
		{ "GET", "/", NULL, 404 },
		{ "GET", "/api/v1/", NULL, 404 },
		{ "GET", "/api/v1/status/", NULL, 404 },
		{ "GET", "/api/v1/../v1/status", NULL, 404 },
		{ "GET", "/api/v1/STATUS", NULL, 404 },
		{ "GET", "/api/v2/status", NULL, 404 },
		{ "GET", "/metrics", NULL, 404 },
		{ "POST", "/api/v1/status", "{}", 405 },
		{ "PUT", "/api/v1/rules", "{}", 405 },
		{ "DELETE", "/api/v1/rules", NULL, 405 },
		{ "GET", "/api/v1/rules/1", NULL, 405 },
		{ "OPTIONS", "/api/v1/rules", NULL, 405 },
		{ "TRACE", "/api/v1/rules", NULL, 405 },
		{ "HEAD", "/api/v1/status", NULL, 405 },
		{ "BREW", "/api/v1/status", NULL, 405 },
		{ "DELETE", "/api/v1/rules/", NULL, 404 },
		{ "DELETE", "/api/v1/rules/0", NULL, 404 },
		{ "DELETE", "/api/v1/rules/-1", NULL, 404 },
		{ "DELETE", "/api/v1/rules/1/2", NULL, 404 },
		{ "DELETE", "/api/v1/rules/99999999999", NULL, 404 },
		{ "DELETE", "/api/v1/rules/1073741825", NULL, 409 },
		{ "GET", "/api/v1/queries?limit=0", NULL, 400 },
		{ "GET", "/api/v1/queries?limit=1001", NULL, 400 },
		{ "GET", "/api/v1/queries?limit=-1", NULL, 400 },
		{ "GET", "/api/v1/queries?limit=1x", NULL, 400 },
		{ "GET", "/api/v1/queries?limit=", NULL, 400 },
		{ "GET", "/api/v1/queries?cursor=x", NULL, 400 },
		{ "GET", "/api/v1/queries?verdict=maybe", NULL, 400 },
		{ "GET", "/api/v1/queries?what=ever", NULL, 400 },
		{ "GET", "/api/v1/status?limit=1", NULL, 400 },
		{ "GET", "/api/v1/events?topics=all", NULL, 400 },
		{ "GET", "/api/v1/events?topics=", NULL, 400 },
		{ "GET", "/api/v1/events?last=1001", NULL, 400 },
		{ "GET", "/api/v1/explain", NULL, 400 },
		{ "GET", "/api/v1/explain?who=a", NULL, 400 },
		{ "GET", "/api/v1/explain?who=nobody&what=a.test", NULL, 422 },
		{ "POST", "/api/v1/explain", "{\"who\":\"a\"}", 400 },
		{ "POST", "/api/v1/cache/flush", "[]", 400 },
		{ "POST", "/api/v1/cache/flush", "{\"name\":\"\"}", 400 },
		{ "POST", "/api/v1/cache/flush", "{\"name\":\"a..b\"}", 400 },
		{ "POST", "/api/v1/cache/flush", "{\"name\":\"a.b\",\"x\":1}", 400 },
		{ "PUT", "/api/v1/filter", "{}", 400 },
		{ "PUT", "/api/v1/filter", "{\"enabled\":true,\"block\":true}", 400 },
		{ "PUT", "/api/v1/filter", "{\"enabled\":false,\"until\":\"soon\"}", 400 },
		{ "PUT", "/api/v1/filter", "{\"block\":false}", 400 },
		{ "PUT", "/api/v1/filter", "[]", 400 },
		{ "PATCH", "/api/v1/rules/1", "{}", 400 },
		{ "PATCH", "/api/v1/rules/1", "{\"enabled\":1}", 400 },
		{ "PATCH", "/api/v1/rules/1", "{\"enabled\":true,\"text\":\"\"}", 400 },
		{ "PATCH", "/api/v1/rules/4000000", "{\"enabled\":true}", 404 },
		{ "PATCH", "/api/v1/rules/x", "{\"enabled\":true}", 404 },
		{ "POST", "/api/v1/undo/0", "{}", 404 },
		{ "POST", "/api/v1/undo/4000000", "{}", 404 },
		{ "POST", "/api/v1/rules/test", "{}", 400 },
		{ "POST", "/api/v1/rules", "", 400 },
		{ "POST", "/api/v1/rules", "{", 400 },
		{ "POST", "/api/v1/rules", "[]", 400 },
		{ "POST", "/api/v1/rules", "{}", 400 },
		{ "POST", "/api/v1/rules", "{\"text\":1}", 400 },
		{ "POST", "/api/v1/rules", "{\"text\":\"allow any any\",\"x\":1}", 400 },
		{ "POST", "/api/v1/rules", "{\"text\":\"a\",\"text\":\"b\"}", 400 },
		{ "POST", "/api/v1/rules", "{\"text\":\"allow any any\\nallow any any\"}", 400 },
		{ "POST", "/api/v1/rules", "{\"text\":\"allow any \\u0000\"}", 400 },
		{ "POST", "/api/v1/rules", "{\"text\":\"allow any \xff\"}", 400 },
		{ "POST", "/api/v1/rules", "{\"text\":\"permit any any\"}", 422 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct answer a = call(cases[i].method, cases[i].path, cases[i].body);

		print_message("%s %s %s: %d\n", cases[i].method, cases[i].path,
			cases[i].body ? cases[i].body : "", a.status);
		assert_int_equal(a.status, cases[i].want);
		assert_true((cases[i].want == 405) == (strstr(a.head, "\r\nAllow: ") != NULL));
		if (strcmp(cases[i].method, "HEAD") != 0) {
			assert_non_null(strstr(a.head, "application/problem+json"));
			assert_int_equal(json_integer_value(json_object_get(a.json,
				"status")), cases[i].want);
			assert_true(json_string_length(json_object_get(a.json, "detail")) > 0);
		}
		answer_done(&a);
	}
}

static void headers_that_are_refused(void **state)
{
	static const struct {
		const char *why, *text;
		int want;
	} cases[] = {
		{ "a web page's", "GET /api/v1/status HTTP/1.1\r\nHost: x\r\nOrigin: null\r\n"
			"Connection: close\r\n\r\n", 403 },
		{ "a browser's", "GET /api/v1/status HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: "
			"none\r\nConnection: close\r\n\r\n", 403 },
		{ "a form", "POST /api/v1/rules HTTP/1.1\r\nHost: x\r\nContent-Type: "
			"application/x-www-form-urlencoded\r\nContent-Length: 2\r\n"
			"Connection: close\r\n\r\n{}", 415 },
		{ "no type", "POST /api/v1/rules HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
			"Connection: close\r\n\r\n{}", 415 },
		{ "long body", "POST /api/v1/rules HTTP/1.1\r\nHost: x\r\nContent-Type: "
			"application/json\r\nContent-Length: 65537\r\nConnection: close\r\n\r\n",
			413 },
		{ "no host", "GET /api/v1/status HTTP/1.1\r\nConnection: close\r\n\r\n", 400 },
		{ "no HTTP", "hello\r\n\r\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct answer a = request(cases[i].text, strlen(cases[i].text));

		print_message("%s: %d\n", cases[i].why, a.status);
		if (cases[i].want)
			assert_int_equal(a.status, cases[i].want);
		else
			assert_int_not_equal(a.status, 200);
		answer_done(&a);
	}
}

/* a body in chunks of 16 KB, n of them; no length was told */
static struct answer post_chunks(unsigned n)
{
	static const char head[] = "POST /api/v1/rules HTTP/1.1\r\nHost: x\r\nContent-Type: "
		"application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
	static char chunk[6 + 16384 + 2];
	int fd = connect_to_web();
	struct answer a;

	memset(chunk, 'a', sizeof(chunk));
	memcpy(chunk, "4000\r\n", 6);
	memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
	send_all(fd, head, sizeof(head) - 1);
	for (unsigned i = 0; i < n; i++)
		send_all(fd, chunk, sizeof(chunk));
	send_all(fd, "0\r\n\r\n", 5);
	a = read_answer(fd);
	close(fd);
	return a;
}

static void oversized(void **state)
{
	static char big[60000];
	struct answer a;
	int n;

	(void)state;
	n = snprintf(big, sizeof(big), "GET /api/v1/status HTTP/1.1\r\nHost: x\r\nX: ");
	memset(big + n, 'a', sizeof(big) - (size_t)n);
	a = request(big, sizeof(big));
	assert_int_not_equal(a.status, 200);
	print_message("60 KB of headers: %d\n", a.status);
	answer_done(&a);
	a = post_chunks(8);
	assert_int_equal(a.status, 413);
	answer_done(&a);
	a = post_chunks(200);
	assert_true(a.status == 0 || a.status == 413);
	answer_done(&a);
	json_decref(get("/api/v1/status"));
}

static void two_hundred_idle(void **state)
{
	int fds[200];
	int64_t before;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = connect_to_web();
		if (i % 2)
			send_all(fds[i], "GET /api/v1/sta", 15);
	}
	before = clock_boot_ms();
	for (int i = 0; i < 5; i++)
		json_decref(get("/api/v1/status"));
	print_message("5 requests took %lld ms\n", (long long)(clock_boot_ms() - before));
	assert_true(clock_boot_ms() - before < HTTP_REQUEST_MS); /* none of them is cut yet */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static int listen_events(const char *arguments)
{
	char text[512];
	int fd = connect_to_web();
	int n = snprintf(text, sizeof(text), "GET /api/v1/events%s HTTP/1.1\r\nHost: x\r\n"
		"Connection: close\r\n\r\n", arguments);

	send_all(fd, text, (size_t)n);
	return fd;
}

/* reads until wanted has come; what came is in buf */
static bool came(int fd, char *buf, size_t max, const char *wanted)
{
	size_t len = 0;
	ssize_t n;

	buf[0] = '\0';
	while (len < max - 1 && !strstr(buf, wanted) && readable(fd, WAIT_MS) &&
		(n = read(fd, buf + len, max - 1 - len)) > 0) {
		len += (size_t)n;
		buf[len] = '\0';
	}
	return strstr(buf, wanted) != NULL;
}

static void traffic_by_steps(void **state)
{
	static const char *const wrong[] = { "?step=0", "?step=x", "?from=yesterday",
		"?to=2026-01-01", "?from=2026-01-01T00:00:00Z&step=60", "?since=1" };
	struct link_flow f = fake_core_flow(FLOW_CONN, 550, 1, "bytes.test", VERDICT_ALLOW);
	struct link_bytes bytes = { .n = 1, .at = { { .id = 550, .rx = 7000, .tx = 70 } } };
	json_int_t down = 0, up = 0, flows = 0;
	json_t *j, *p;
	size_t i;

	(void)state;
	f.flow.start_ms = clock_unix_ms();
	f.flow.counted = 1;
	send_flow(&f);
	fake_core_send(&core, LINK_BYTES, 0, &bytes);
	f = fake_core_flow(FLOW_CONN, 551, 1, "behind.test", VERDICT_DENY);
	send_flow(&f);
	json_decref(wait_for("/api/v1/flows?name=behind.test", 1));
	j = get("/api/v1/stats");
	json_array_foreach(json_object_get(j, "items"), i, p) {
		down += json_integer_value(json_object_get(p, "down"));
		up += json_integer_value(json_object_get(p, "up"));
		flows += json_integer_value(json_object_get(p, "flows"));
	}
	assert_int_equal(down, 7000);
	assert_int_equal(up, 70);
	assert_int_equal(flows, 1);
	json_decref(j);
	j = get("/api/v1/stats?step=600");
	assert_in_range(json_array_size(json_object_get(j, "items")), 1, 2);
	json_decref(j);
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		char path[128];
		struct answer a;

		print_message("%s\n", wrong[i]);
		snprintf(path, sizeof(path), "/api/v1/stats%s", wrong[i]);
		a = call("GET", path, NULL);
		assert_int_equal(a.status, 400);
		answer_done(&a);
	}
}

/* how many items; what they must say first */
static void expect_items(const char *path, size_t want, const char *name)
{
	json_t *j = get(path), *o = json_array_get(json_object_get(j, "items"), 0);

	print_message("%s\n", path);
	assert_int_equal(json_array_size(json_object_get(j, "items")), want);
	if (name)
		assert_string_equal(str(o, "name"), name);
	json_decref(j);
}

static void what_was_is_read_from_the_file(void **state)
{
	static const struct {
		const char *path;
		size_t want;
		const char *name;
	} cases[] = {
		{ "/api/v1/history", 2, "his.past.test" },
		{ "/api/v1/history?limit=1", 1, "his.past.test" },
		{ "/api/v1/history?program=curl", 1, "root.past.test" },
		{ "/api/v1/history?program=/usr/bin/wget", 1, "his.past.test" },
		{ "/api/v1/history?name=.past.test", 2, "his.past.test" },
		{ "/api/v1/history?name=root.past.test", 1, "root.past.test" },
		{ "/api/v1/history?address=198.18.0.1", 1, "root.past.test" },
		{ "/api/v1/history?country=nl", 1, "root.past.test" },
		{ "/api/v1/history?country=DE", 0, NULL },
		{ "/api/v1/history?verdict=deny", 1, "his.past.test" },
		{ "/api/v1/history?from=2001-01-01T00:00:00Z&to=2002-01-01T00:00:00Z", 0, NULL },
		{ "/api/v1/history?from=2001-01-01T00:00:00%2B01:00", 2, "his.past.test" },
		{ "/api/v1/countries", 2, NULL },
		{ "/api/v1/countries?country=NL", 1, NULL },
		{ "/api/v1/countries?to=2002-01-01T00:00:00Z", 0, NULL },
		{ "/api/v1/apps?from=2001-01-01T00:00:00Z", 2, "curl" },
		{ "/api/v1/apps?from=2001-01-01T00:00:00Z&verdict=deny", 1, "wget" },
	};
	static const char *const wrong[] = { "history?from=yesterday", "history?to=2001",
		"history?from=2002-01-01T00:00:00Z&to=2001-01-01T00:00:00Z", "history?limit=0",
		"history?country=Nowhere", "history?address=a.test", "history?verdict=maybe",
		"history?program=", "history?uid=0", "countries?from=x", "apps?to=x",
		"countries?limit=5" };
	struct answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_items(cases[i].path, cases[i].want, cases[i].name);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char path[200];

		print_message("%s\n", wrong[i]);
		snprintf(path, sizeof(path), "/api/v1/%s", wrong[i]);
		a = call("GET", path, NULL);
		assert_int_equal(a.status, 400);
		answer_done(&a);
	}
}

static void pages_of_the_past(void **state)
{
	json_t *j = get("/api/v1/history?limit=1"), *o;
	char path[200];

	(void)state;
	assert_non_null(str(j, "next"));
	snprintf(path, sizeof(path), "/api/v1/history?cursor=%s", str(j, "next"));
	json_decref(j);
	j = get(path);
	assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
	o = json_array_get(json_object_get(j, "items"), 0);
	assert_string_equal(str(o, "name"), "root.past.test");
	assert_string_equal(str(o, "kind"), "flow");
	assert_string_equal(str(o, "state"), "done");
	assert_string_equal(str(json_object_get(o, "actor"), "path"), "/usr/bin/curl");
	assert_string_equal(str(json_object_get(o, "rule"), "text"), "allow any .test");
	assert_int_equal(json_integer_value(json_object_get(o, "rx")), 1000);
	assert_true(json_is_null(json_object_get(j, "next")));
	json_decref(j);
}

/* each of them holds a connection and asks for more than the thread is given at once */
static void many_ask_about_the_past(void **state)
{
	static const char text[] = "GET /api/v1/history HTTP/1.1\r\nHost: x\r\n"
		"Connection: close\r\n\r\n";
	int fds[12], answered = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = connect_to_web();
		send_all(fds[i], text, sizeof(text) - 1);
	}
	close(fds[1]); /* hung up before the answer */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		struct answer a;

		if (i == 1)
			continue;
		a = read_answer(fds[i]);
		assert_true(a.status == 200 || a.status == 503);
		answered += a.status == 200;
		answer_done(&a);
		close(fds[i]);
	}
	assert_true(answered >= 1);
	expect_items("/api/v1/history", 2, "his.past.test");
}

static void events_come_live(void **state)
{
	struct link_flow q = fake_core_flow(FLOW_QUERY, 500, 1, "live.test", VERDICT_DENY);
	struct link_flow other = fake_core_flow(FLOW_QUERY, 501, 1, "live.test",
		VERDICT_ALLOW);
	struct answer a;
	char buf[16384];
	int fd = listen_events("?topics=queries,rules&verdict=deny&name=live.test");

	(void)state;
	assert_true(came(fd, buf, sizeof(buf), "event: hello"));
	assert_non_null(strstr(buf, "text/event-stream"));
	send_flow(&other);
	send_flow(&q);
	assert_true(came(fd, buf, sizeof(buf), "\"id\":500"));
	assert_null(strstr(buf, "\"id\":501"));
	a = call("POST", "/api/v1/rules", "{\"text\":\"allow any live.test\"}");
	assert_int_equal(a.status, 201);
	answer_done(&a);
	assert_true(came(fd, buf, sizeof(buf), "event: rules"));
	close(fd);
	/* every second, whether anything happened or not */
	fd = listen_events("?topics=stats");
	assert_true(came(fd, buf, sizeof(buf), "event: stats"));
	assert_true(came(fd, buf, sizeof(buf), "\"denied\":"));
	close(fd);
	/* the past first, then live */
	fd = listen_events("?topics=queries&last=2&name=live.test");
	assert_true(came(fd, buf, sizeof(buf), "\"id\":500"));
	assert_non_null(strstr(buf, "\"id\":501"));
	close(fd);
}

static void streams_are_bounded(void **state)
{
	int fds[16], more;
	char buf[4096];
	int64_t until = clock_boot_ms() + WAIT_MS;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		/* those of the test before are noticed when something is written to them */
		do {
			struct link_flow q = fake_core_flow(FLOW_QUERY, 600, 1, "live.test",
				VERDICT_DENY);

			send_flow(&q);
			fds[i] = listen_events("");
			assert_true(clock_boot_ms() < until);
		} while (!came(fds[i], buf, sizeof(buf), "event: hello") &&
			close(fds[i]) == 0);
	}
	more = listen_events("");
	assert_true(came(more, buf, sizeof(buf), "503"));
	close(more);
	json_decref(get("/api/v1/status"));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static int open_stream_again(const char *arguments)
{
	int64_t until = clock_boot_ms() + WAIT_MS;

	for (;;) {
		struct link_flow q = fake_core_flow(FLOW_QUERY, 600, 1, "x.test",
			VERDICT_DENY);
		char buf[4096];
		int fd = listen_events(arguments);

		if (came(fd, buf, sizeof(buf), "event: hello"))
			return fd;
		close(fd);
		send_flow(&q);
		assert_true(clock_boot_ms() < until);
	}
}

/* --- what a listener missed --------------------------------------------------------------- */

/* the last id that is in what came */
static void last_id(const char *buf, char out[static 64])
{
	const char *at = buf, *next;

	out[0] = '\0';
	while ((next = strstr(at, "\nid: "))) {
		at = next + 5;
		snprintf(out, 64, "%.*s", (int)strcspn(at, "\r\n"), at);
	}
	assert_true(*out);
}

/* and not a byte more */
static bool head_came(int fd, char *buf, size_t max)
{
	size_t n = 0;

	while (n < max - 1 && readable(fd, WAIT_MS) && read(fd, buf + n, 1) == 1) {
		buf[++n] = '\0';
		if (strstr(buf, "\r\n\r\n"))
			return true;
	}
	return false;
}

static int listen_since(const char *arguments, const char *id)
{
	int64_t until = clock_boot_ms() + WAIT_MS;
	char text[512], buf[512];

	/* those of tests before are noticed when something is written to them */
	for (;;) {
		struct link_flow q = fake_core_flow(FLOW_QUERY, 600, 1, "x.test", VERDICT_DENY);
		int fd = connect_to_web();
		int n = snprintf(text, sizeof(text), "GET /api/v1/events%s HTTP/1.1\r\nHost: x"
			"\r\nConnection: close\r\n%s%s\r\n\r\n", arguments,
			*id ? "Last-Event-ID: " : "X: ", id);

		send_all(fd, text, (size_t)n);
		if (head_came(fd, buf, sizeof(buf)) && strstr(buf, " 200 "))
			return fd;
		close(fd);
		send_flow(&q);
		assert_true(clock_boot_ms() < until);
	}
}

/* all that comes until a query of this name, which is sent now */
static void until_mark(int fd, char *buf, size_t max, uint64_t id)
{
	struct link_flow mark = fake_core_flow(FLOW_QUERY, id, 1, "mark.test", VERDICT_DENY);

	send_flow(&mark);
	assert_true(came(fd, buf, max, "mark.test"));
}

static unsigned times(const char *buf, const char *what)
{
	unsigned n = 0;

	while ((buf = strstr(buf, what))) {
		n++;
		buf += strlen(what);
	}
	return n;
}

static void what_was_missed_is_told_again(void **state)
{
	static char buf[1 << 20];
	struct link_flow q = fake_core_flow(FLOW_QUERY, 800, 1, "missed.test", VERDICT_DENY);
	struct link_flow c = fake_core_flow(FLOW_CONN, 801, 1, "missed.test", VERDICT_ALLOW);
	struct link_bytes bytes = { .n = 1, .at = { { .id = 801, .rx = 4242, .tx = 7 } } };
	char before[64], id[64];
	struct answer a;
	int fd = listen_since("", "");

	(void)state;
	assert_true(came(fd, buf, sizeof(buf), "data: "));
	last_id(buf, before);
	close(fd);

	q.flow.first = true;
	send_flow(&q);
	send_flow(&c);
	c.flow.state = FLOW_DONE;
	send_flow(&c); /* changed twice: told once, as it is now */
	fake_core_send(&core, LINK_BYTES, 0, &bytes);
	a = call("POST", "/api/v1/rules", "{\"text\":\"deny any missed.test\"}");
	assert_int_equal(a.status, 201);
	answer_done(&a);
	json_decref(wait_for("/api/v1/flows?name=missed.test", 1));

	fd = listen_since("", before);
	until_mark(fd, buf, sizeof(buf), 812);
	assert_null(strstr(buf, "event: resync"));
	assert_non_null(strstr(buf, "event: notice"));
	assert_int_equal(times(buf, "event: rules"), 1);
	assert_int_equal(times(buf, "\"id\":801"), 1);
	assert_non_null(strstr(buf, "\"rx\":4242"));
	assert_non_null(strstr(buf, "\"state\":\"done\""));
	assert_true(strstr(buf, "\"id\":800") < strstr(buf, "\"id\":801"));
	last_id(buf, id);
	close(fd);

	/* nothing was missed since */
	fd = listen_since("?topics=flows,rules,notices", id);
	assert_true(came(fd, buf, sizeof(buf), "\n\n"));
	q.flow.id = 820;
	send_flow(&q);
	assert_true(came(fd, buf, sizeof(buf), "820"));
	assert_int_equal(times(buf, "event: "), 1);
	close(fd);
}

static void ids_that_are_not_ours_are_told_to_read_again(void **state)
{
	static const char *const ids[] = { "b001-1", "b001-99999999999999999", "b001", "x",
		"b002-5", "b001--1", "b001-1x" };
	char buf[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		int fd = listen_since("", ids[i]);

		print_message("%s\n", ids[i]);
		assert_true(came(fd, buf, sizeof(buf), "event: resync"));
		close(fd);
	}
}

static void more_than_is_kept_is_told_to_read_again(void **state)
{
	struct link_flow q = fake_core_flow(FLOW_QUERY, 0, 1, "many.test", VERDICT_DENY);
	char buf[16384], id[64];
	int fd = listen_since("?topics=queries", "");

	(void)state;
	assert_true(came(fd, buf, sizeof(buf), "data: "));
	close(fd);
	last_id(buf, id);
	for (uint64_t i = 0; i < EVENTS_REPLAY_MAX + 1; i++) {
		q.flow.id = 900000 + i;
		send_flow(&q);
	}
	q.flow.id++;
	text_copy(q.flow.name, sizeof(q.flow.name), "many-end.test");
	send_flow(&q);
	json_decref(wait_for("/api/v1/queries?name=many-end.test", 1));
	fd = listen_since("?topics=queries", id);
	assert_true(came(fd, buf, sizeof(buf), "event: resync"));
	assert_null(strstr(buf, "many.test"));
	close(fd);
	/* who asks for other things has missed nothing */
	fd = listen_since("?topics=flows,rules", id);
	assert_true(came(fd, buf, sizeof(buf), "\n\nid: "));
	assert_null(strstr(buf, "event: resync"));
	close(fd);
}

static void a_slow_listener_is_told_to_read_again(void **state)
{
	struct link_flow q = fake_core_flow(FLOW_QUERY, 0, 1, "flood.test", VERDICT_DENY);
	int fd = open_stream_again("?name=flood.test"), found = 0;
	char *buf = malloc(ANSWER_MAX);

	(void)state;
	memset(q.process, 'p', sizeof(q.process) - 1);
	for (uint64_t i = 0; i < 8000; i++) {
		q.flow.id = 10000 + i;
		send_flow(&q);
	}
	found = came(fd, buf, ANSWER_MAX, "event: resync");
	assert_true(found);
	assert_true(strlen(buf) < 3 << 20);
	free(buf);
	close(fd);
	json_decref(get("/api/v1/status"));
}

static void bad_messages_of_the_core(void **state)
{
	static const char rubbish[9000];
	struct link_any m = { .head.type = LINK_FLOW };
	json_t *j;

	(void)state;
	send(core.fd, rubbish, 1, 0);
	send(core.fd, rubbish, sizeof(rubbish), 0);
	send(core.fd, &m, link_size(LINK_FLOW) - 1, 0);
	m.u.flow.flow.nanswers = 200;
	send(core.fd, &m, link_size(LINK_FLOW), 0);
	fake_core_send(&core, LINK_GET_STATUS, 0, NULL);
	m.head.type = LINK_DONE;
	m.head.seq = 77777; /* answers nothing that was asked */
	send(core.fd, &m, link_size(LINK_DONE), 0);
	j = get("/api/v1/status");
	assert_int_equal(json_integer_value(json_object_get(j, "link_errors")), 5);
	json_decref(j);
}

static void the_core_is_restarted(void **state)
{
	struct link_flow c = fake_core_flow(FLOW_CONN, 900, 1, "old.test", VERDICT_ALLOW);
	struct answer a;
	json_t *j, *o;
	int64_t before;

	(void)state;
	send_flow(&c);
	j = wait_for("/api/v1/flows?name=old.test", 1);
	o = json_array_get(json_object_get(j, "items"), 0);
	assert_string_equal(str(o, "state"), "live");
	json_decref(j);
	json_decref(get("/api/v1/rules"));

	fake_core_silent(&core, true);
	before = clock_boot_ms();
	j = get("/api/v1/status");
	print_message("status after %lld ms\n", (long long)(clock_boot_ms() - before));
	assert_true(clock_boot_ms() - before >= CHANNEL_WAIT_MS - 50);
	assert_string_equal(str(j, "core"), "restarting");
	assert_string_equal(str(j, "mode"), "enforce"); /* as it was told last */
	json_decref(j);
	json_decref(wait_for("/api/v1/flows?name=old.test", 1)); /* at once */
	json_decref(wait_for("/api/v1/rules", 1));
	a = call("POST", "/api/v1/rules", "{\"text\":\"allow any restart.test\"}");
	assert_int_equal(a.status, 503);
	print_message("%s\n", str(a.json, "detail"));
	answer_done(&a);
	a = call("GET", "/api/v1/explain?who=unknown&what=a.test", NULL);
	assert_int_equal(a.status, 503);
	assert_non_null(strstr(a.head, "Retry-After"));
	answer_done(&a);

	fake_core_hello(&core, 0xb002);
	fake_core_silent(&core, false);
	j = get("/api/v1/status");
	assert_string_equal(str(j, "core"), "running");
	assert_string_equal(str(j, "boot"), "b002");
	json_decref(j);
	j = wait_for("/api/v1/flows?name=old.test", 1);
	o = json_array_get(json_object_get(j, "items"), 0);
	assert_string_equal(str(o, "state"), "unknown");
	json_decref(j);
}

struct person {
	uid_t uid;
	gid_t gid, extra;
};

/* what check says in a process of this person; -1: it did not come to that */
static int go[2]; /* who checks says here that it has begun */

static int as_person_then(struct person p, int (*check)(const void *ctx), const void *ctx,
	void (*meanwhile)(void))
{
	int st;
	char c;
	pid_t pid;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(go[0]);
		if (setgroups(1, &p.extra) < 0 || setgid(p.gid) < 0 || setuid(p.uid) < 0)
			_exit(255);
		_exit(check(ctx));
	}
	close(go[1]);
	if (meanwhile && read(go[0], &c, 1) == 1)
		meanwhile();
	waitpid(pid, &st, 0);
	close(go[0]);
	return WIFEXITED(st) && WEXITSTATUS(st) != 255 ? WEXITSTATUS(st) : -1;
}

static int as_person(struct person p, int (*check)(const void *ctx), const void *ctx)
{
	return as_person_then(p, check, ctx, NULL);
}

static int get_status(const void *ctx)
{
	(void)ctx;
	return call("GET", "/api/v1/status", NULL).status - 200;
}

static int status_as(uid_t uid, gid_t gid, gid_t extra)
{
	return as_person((struct person){ uid, gid, extra }, get_status, NULL) + 200;
}

static void who_may_come_in(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* needs root to come as others */
	assert_int_equal(status_as(0, 0, 0), 200);
	assert_int_equal(status_as(12345, 12345, 12345), 403);
	assert_int_equal(status_as(12345, FAKE_GROUP, 12345), 200);
	assert_int_equal(status_as(12345, 12345, FAKE_GROUP), 200);
	assert_int_equal(status_as(FAKE_READER, 12345, 12345), 200);
	assert_int_equal(status_as(FAKE_ADMIN, 12345, 12345), 200);
}

static const struct person reader = { FAKE_READER, 12345, 12345 };

/* each route for administrators refuses a reader, each other one answers */
static int refuses_a_reader(const void *ctx)
{
	const struct route *r = ctx;
	size_t n = strlen(r->path);
	int fd = connect_to_web(), status = 0;
	char text[512];

	n = (size_t)snprintf(text, sizeof(text), "%s %s%s HTTP/1.1\r\nHost: x\r\nConnection: "
		"close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		r->method, r->path, r->path[n - 1] == '/' ? "1" : "");
	send_all(fd, text, n);
	if (!came(fd, text, sizeof(text), "\n") ||
		sscanf(text, "HTTP/1.1 %d", &status) != 1)
		return 2;
	return (status == 403) == (r->kind == ROUTE_ADMINS) ? 0 : 1;
}

static int sees_his_own(const void *ctx)
{
	json_t *j = get(ctx), *items = json_object_get(j, "items");

	return json_array_size(items) == 1 ? 0 : 1;
}

static int is_a_reader(const void *ctx)
{
	(void)ctx;
	return strcmp(str(get("/api/v1/me"), "role"), "reader") == 0 ? 0 : 1;
}

/* the live stream: another's query, then his own; only that one may come */
static int hears_his_own(const void *ctx)
{
	char buf[16384];
	int fd = listen_events("?topics=queries,flows,notices");

	(void)ctx;
	if (!came(fd, buf, sizeof(buf), "event: hello") || write(go[1], "", 1) != 1)
		return 2;
	if (!came(fd, buf, sizeof(buf), "his-own.test"))
		return 3;
	return strstr(buf, "another.test") ? 1 : 0;
}

static void send_both(void)
{
	struct link_flow q = fake_core_flow(FLOW_QUERY, 700, 1, "another.test", VERDICT_DENY);

	q.flow.first = true;
	send_flow(&q);
	q = fake_core_flow(FLOW_QUERY, 701, 70, "his-own.test", VERDICT_DENY);
	q.flow.uid = FAKE_READER;
	send_flow(&q);
}

static void readers_see_their_own_and_change_nothing(void **state)
{
	struct link_flow f = fake_core_flow(FLOW_CONN, 702, 70, "his-own.test", VERDICT_ALLOW);
	struct link_program p = { .serial = 70, .actor = 70, .uid = FAKE_READER, .known = 1,
		.path = "/usr/bin/wget" };

	(void)state;
	if (geteuid() != 0)
		skip(); /* needs root to come as others */
	fake_core_send(&core, LINK_PROGRAM, 0, &p);
	f.flow.uid = FAKE_READER;
	send_flow(&f);
	json_decref(wait_for("/api/v1/flows?name=his-own.test", 1));
	for (size_t i = 0; i < api_routes_count; i++) {
		print_message("%s %s\n", api_routes[i].method, api_routes[i].path);
		assert_int_equal(as_person(reader, refuses_a_reader, &api_routes[i]), 0);
	}
	assert_int_equal(as_person_then(reader, hears_his_own, NULL, send_both), 0);
	json_decref(wait_for("/api/v1/queries?name=another.test", 1));
	assert_int_equal(as_person(reader, sees_his_own, "/api/v1/flows"), 0);
	assert_int_equal(as_person(reader, sees_his_own, "/api/v1/queries"), 0);
	assert_int_equal(as_person(reader, sees_his_own, "/api/v1/apps"), 0);
	assert_int_equal(as_person(reader, sees_his_own, "/api/v1/history"), 0);
	assert_int_equal(as_person(reader, sees_his_own, "/api/v1/countries"), 0);
	assert_int_equal(as_person(reader, sees_his_own,
		"/api/v1/apps?from=2001-01-01T00:00:00Z"), 0);
	assert_int_equal(as_person(reader, is_a_reader, NULL), 0);
}

static void read_line(const char *file, const char *key, char *out, size_t max)
{
	FILE *f = fopen(file, "r");
	char line[256];

	out[0] = '\0';
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0)
			text_copy(out, max, line + strlen(key));
	}
	fclose(f);
	out[strcspn(out, "\n")] = '\0';
}

static void the_process_has_no_rights(void **state)
{
	static const struct {
		const char *key, *want;
	} cases[] = {
		{ "Name:\t", "scupper-web" },
		{ "Uid:\t", "65534\t65534\t65534\t65534" },
		{ "Gid:\t", "65534\t65534\t65534\t65534" },
		{ "Groups:\t", " " },
		{ "CapEff:\t", "0000000000000000" },
		{ "CapPrm:\t", "0000000000000000" },
		{ "CapBnd:\t", "0000000000000000" },
		{ "NoNewPrivs:\t", "1" },
		{ "Seccomp:\t", "2" },
	};
	char file[64], got[128];

	(void)state;
	if (geteuid() != 0)
		skip(); /* needs root: there is nothing to give up without */
	snprintf(file, sizeof(file), "/proc/%d/status", core.web);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s%s\n", cases[i].key, cases[i].want);
		read_line(file, cases[i].key, got, sizeof(got));
		assert_string_equal(got, cases[i].want);
	}
}

/* what the child says about itself once it has no rights */
static int try_without_rights(int (*try)(void))
{
	int st;
	pid_t pid = fork();

	if (pid == 0) {
		if (sandbox_enter((uid_t)-1, (gid_t)-1) < 0)
			_exit(100);
		_exit(try());
	}
	waitpid(pid, &st, 0);
	return WIFSIGNALED(st) ? 1000 + WTERMSIG(st) : WEXITSTATUS(st);
}

static int try_open(void)
{
	return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
}

static int try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int try_fork(void)
{
	return fork() < 0 ? errno : 0;
}

static int try_exec(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static int try_memory(void)
{
	char *p = malloc(1 << 20);

	return p && memset(p, 1, 1 << 20) ? 0 : ENOMEM;
}

static void system_calls_are_few(void **state)
{
	(void)state;
	assert_int_equal(try_without_rights(try_memory), 0);
	assert_int_equal(try_without_rights(try_open), EPERM);
	assert_int_equal(try_without_rights(try_socket), EPERM);
	assert_int_equal(try_without_rights(try_fork), EPERM);
	assert_int_equal(try_without_rights(try_exec), 1000 + SIGSYS);
}

static void a_trickled_request_was_cut(void **state)
{
	char buf[16];

	(void)state;
	while (!readable(slow_fd, 500)) {
		send_all(slow_fd, "/", 1);
		assert_true(clock_boot_ms() - slow_since_ms < HTTP_REQUEST_MS + 60000);
	}
	assert_int_equal(read(slow_fd, buf, sizeof(buf)), 0);
	print_message("cut after at most %lld ms\n",
		(long long)(clock_boot_ms() - slow_since_ms));
}

static void it_ends_with_the_link(void **state)
{
	int st;

	(void)state;
	shutdown(core.fd, SHUT_RDWR);
	assert_int_equal(waitpid(core.web, &st, 0), core.web);
	core.web = 0;
	assert_true(WIFEXITED(st));
	assert_int_equal(WEXITSTATUS(st), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status),
		cmocka_unit_test(a_query_and_a_connection),
		cmocka_unit_test(names_that_are_no_utf8),
		cmocka_unit_test(pages),
		cmocka_unit_test(rules_come_and_go),
		cmocka_unit_test(changes_are_undone),
		cmocka_unit_test(filter),
		cmocka_unit_test(explanations),
		cmocka_unit_test(a_flush_is_of_a_name_or_all),
		cmocka_unit_test(every_route_is_described),
		cmocka_unit_test(objects_are_as_described),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(headers_that_are_refused),
		cmocka_unit_test(oversized),
		cmocka_unit_test(traffic_by_steps),
		cmocka_unit_test(what_was_is_read_from_the_file),
		cmocka_unit_test(pages_of_the_past),
		cmocka_unit_test(many_ask_about_the_past),
		cmocka_unit_test(events_come_live),
		cmocka_unit_test(streams_are_bounded),
		cmocka_unit_test(what_was_missed_is_told_again),
		cmocka_unit_test(ids_that_are_not_ours_are_told_to_read_again),
		cmocka_unit_test(more_than_is_kept_is_told_to_read_again),
		cmocka_unit_test(a_slow_listener_is_told_to_read_again),
		cmocka_unit_test(bad_messages_of_the_core),
		cmocka_unit_test(the_core_is_restarted),
		cmocka_unit_test(who_may_come_in),
		cmocka_unit_test(readers_see_their_own_and_change_nothing),
		cmocka_unit_test(the_process_has_no_rights),
		cmocka_unit_test(system_calls_are_few),
		cmocka_unit_test(a_trickled_request_was_cut),
		cmocka_unit_test(two_hundred_idle),
		cmocka_unit_test(it_ends_with_the_link),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
