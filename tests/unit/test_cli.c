/* SPDX-License-Identifier: GPL-2.0-or-later
 * The command against a played core: what it says, and how it ends. */
#include "base/macros.h"
#include "base/text.h"
#include "fake_core.h"

#include <fcntl.h>
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
#include <sys/wait.h>

#include <cmocka.h>

enum { OUT_MAX = 1 << 20, ARGS_MAX = 16, WAIT_MS = 20000 };

static struct fake_core core;

struct ran {
	int status;
	char out[OUT_MAX], err[8192];
};
static struct ran ran; /* the last one */

static pid_t spawn(char *const *args, int out, int err)
{
	const char *program = getenv("SCUPPER") ? getenv("SCUPPER") : "./scupper";
	pid_t pid = fork();

	if (pid == 0) {
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		execv(program, args);
		_exit(127);
	}
	return pid;
}

static void slurp(int fd, char *to, size_t max)
{
	size_t len = 0;
	ssize_t n;

	while (len < max - 1 && (n = read(fd, to + len, max - 1 - len)) > 0)
		len += (size_t)n;
	to[len] = '\0';
	close(fd);
}

/* words: the arguments, parted by '|' */
static void split(const char *socket, const char *words, char *buf, size_t max, char **args)
{
	int n = 0;

	text_copy(buf, max, words);
	args[n++] = (char *)(uintptr_t)"scupper";
	if (socket) {
		args[n++] = (char *)(uintptr_t)"--socket";
		args[n++] = (char *)(uintptr_t)socket;
	}
	for (char *p = *buf ? buf : NULL; p && n < ARGS_MAX - 1;) {
		char *bar = strchr(p, '|');

		if (bar)
			*bar++ = '\0';
		args[n++] = p;
		p = bar;
	}
	args[n] = NULL;
}

static int scupper_at(const char *socket, const char *words)
{
	char buf[2048], *args[ARGS_MAX];
	int out[2], err[2], st;
	pid_t pid;

	split(socket, words, buf, sizeof(buf), args);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	pid = spawn(args, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	slurp(out[0], ran.out, sizeof(ran.out));
	slurp(err[0], ran.err, sizeof(ran.err));
	waitpid(pid, &st, 0);
	ran.status = WIFEXITED(st) ? WEXITSTATUS(st) : -WTERMSIG(st);
	return ran.status;
}

static int scupper(const char *words)
{
	return scupper_at(core.socket, words);
}

static void expect_one_line_of_error(void)
{
	char *end = strchr(ran.err, '\n');

	assert_int_equal(strncmp(ran.err, "scupper: ", 9), 0);
	assert_non_null(end);
	assert_int_equal(end[1], '\0');
}

static void expect_in(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		print_message("not found: %s\nin: %s\n", wanted, text);
	assert_non_null(strstr(text, wanted));
}

static int start(void **state)
{
	struct link_flow q, c;

	(void)state;
	if (fake_core_start(&core) < 0)
		return -1;
	fake_core_program(&core, 1, "/usr/bin/curl");
	fake_core_program(&core, 2, "/tmp/ev\x1b[31mil");
	q = fake_core_flow(FLOW_QUERY, 1, 1, "a.test", VERDICT_ALLOW);
	fake_core_send(&core, LINK_FLOW, 0, &q);
	q = fake_core_flow(FLOW_QUERY, 2, 1, "denied.test", VERDICT_DENY);
	q.flow.rcode = 3;
	fake_core_send(&core, LINK_FLOW, 0, &q);
	q = fake_core_flow(FLOW_QUERY, 3, 2, "x\xff.test", VERDICT_DENY);
	fake_core_send(&core, LINK_FLOW, 0, &q);
	c = fake_core_flow(FLOW_CONN, 5, 1, "a.test", VERDICT_ALLOW);
	c.flow.counted = 1;
	c.flow.rx = 1234567;
	fake_core_send(&core, LINK_FLOW, 0, &c);
	c = fake_core_flow(FLOW_CONN, 4, 1, "", VERDICT_DENY);
	fake_core_send(&core, LINK_FLOW, 0, &c);
	/* the last thing told is there: so all is */
	do {
		scupper("--json|flows");
	} while (ran.status == 0 && !strstr(ran.out, "refused"));
	return ran.status;
}

static int stop(void **state)
{
	(void)state;
	fake_core_stop(&core);
	return 0;
}

static void usage(void **state)
{
	static const struct {
		const char *words;
		int status;
		const char *says;
	} cases[] = {
		{ "", 2, "no command" },
		{ "--help", 0, NULL },
		{ "--version", 0, NULL },
		{ "help", 0, NULL },
		{ "frobnicate", 2, "unknown command frobnicate" },
		{ "--frob", 2, "unknown option --frob" },
		{ "status|--frob", 2, "unknown option --frob" },
		{ "status|extra", 2, "usage: scupper status" },
		{ "status|--follow", 2, "unknown option --follow" },
		{ "queries|--limit", 2, "value" },
		{ "queries|--limit|0", 2, "value" },
		{ "queries|--limit|many", 2, "value" },
		{ "rule", 2, "rule add" },
		{ "rule|add", 2, "rule add" },
		{ "rule|rm", 2, "rule rm" },
		{ "rule|rm|x", 2, "number" },
		{ "explain|/usr/bin/curl", 2, "explain WHO WHAT" },
		{ "rule|import", 2, "rule import comes with a later version" },
		{ "ask", 2, "ask comes with a later version" },
		{ "list|add|x", 2, "usage: scupper list" },
		{ "list|frob", 2, "usage: scupper list" },
		{ "pause|soon", 2, "duration" },
		{ "pause|1h|2h", 2, "usage" },
		{ "resume|1h", 2, "usage" },
		{ "ask", 2, "later version" },
		{ "up", 2, "later version" },
		{ "doctor", 2, "later version" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("scupper %s\n", cases[i].words);
		assert_int_equal(scupper_at(NULL, cases[i].words), cases[i].status);
		if (!cases[i].says) {
			assert_string_equal(ran.err, "");
			assert_true(strlen(ran.out) > 5);
			continue;
		}
		expect_in(ran.err, cases[i].says);
		expect_one_line_of_error();
	}
}

static void nobody_there(void **state)
{
	(void)state;
	assert_int_equal(scupper_at("/tmp/scupper-none/control.sock", "status"), 3);
	expect_one_line_of_error();
	expect_in(ran.err, "/tmp/scupper-none/control.sock");
	expect_in(ran.err, "is scupperd running?");
	assert_int_equal(scupper_at("/tmp/scupper-none/control.sock", "queries|--follow"), 3);
	expect_one_line_of_error();
}

static json_t *printed_json(void)
{
	json_t *j = json_loads(ran.out, 0, NULL);

	assert_non_null(j);
	assert_ptr_equal(strchr(ran.out, '\n'), ran.out + strlen(ran.out) - 1);
	return j;
}

static void shows(void **state)
{
	static const struct {
		const char *words, *wanted[4];
	} cases[] = {
		{ "status", { "enforce, default deny", "identity   bpf", "10.53.0.1: 5 sent",
			"up 1m 1s" } },
		{ "queries", { "VERDICT", "a.test", "/usr/bin/curl[4711]", "allow any .test" } },
		{ "queries|--verdict|deny", { "denied.test", "NXDOMAIN", "default",
			"/tmp/ev\\x1b[31mil" } },
		{ "flows", { "198.18.0.1:443", "refused", "tcp", "default" } },
		{ "flows|--verdict|allow", { "DOWN", "1.2 MB", "0 B", "a.test 198" } },
		{ "apps", { "/usr/bin/curl", "root", "1.2 MB", "2 " } },
		{ "rule|list", { "deny any .ads.example", "/etc/scupper/rules.d/a.rules:3",
			"1073741825", "HITS" } },
		{ "explain|/usr/bin/curl|a.test:443", { "allow: rule 1 wins\n",
			"1. allow /usr/bin/curl a.test:443\n" } },
		{ "why", { "/usr/bin/curl -> denied.test", "denied 1 time, last",
			"to allow it: scupper rule add allow /usr/bin/curl denied.test\n",
			"198.18.0.1:443/tcp" } },
		{ "why|curl", { "/usr/bin/curl -> denied.test" } },
		{ "why|/usr/bin/none", { "nothing was denied" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("scupper %s\n", cases[i].words);
		assert_int_equal(scupper(cases[i].words), 0);
		assert_string_equal(ran.err, "");
		for (size_t k = 0; k < 4 && cases[i].wanted[k]; k++)
			expect_in(ran.out, cases[i].wanted[k]);
		assert_null(strchr(ran.out, '\x1b'));
	}
	assert_int_equal(scupper("queries|--verdict=deny"), 0);
	assert_null(strstr(ran.out, "a.test "));
	assert_int_equal(scupper("why|curl"), 0);
	assert_null(strstr(ran.out, "evil"));
}

static void json_documents(void **state)
{
	static const char *const collections[] = { "queries", "flows", "apps", "rule|list",
		"why" };
	json_t *j;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(collections); i++) {
		char words[64];

		snprintf(words, sizeof(words), "--json|%s", collections[i]);
		print_message("scupper %s\n", words);
		assert_int_equal(scupper(words), 0);
		j = printed_json();
		assert_true(json_array_size(json_object_get(j, "items")) > 0);
		assert_non_null(json_object_get(j, "next"));
		json_decref(j);
	}
	assert_int_equal(scupper("status|--json"), 0); /* behind the command, too */
	j = printed_json();
	assert_string_equal(json_string_value(json_object_get(j, "core")), "running");
	json_decref(j);
	assert_int_equal(scupper("--json|queries|--limit|1"), 0);
	j = printed_json();
	assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
	assert_true(json_is_string(json_object_get(j, "next")));
	json_decref(j);
	assert_int_equal(scupper("--json|explain|unknown|a.test"), 0);
	j = printed_json();
	assert_non_null(json_object_get(j, "text"));
	json_decref(j);
}

static void rules(void **state)
{
	char words[64];
	json_t *j;

	(void)state;
	/* what the shell has taken the quotes from */
	assert_int_equal(scupper("rule|add|allow|/opt/My App/app|a.test|note|release build"),
		0);
	expect_in(ran.out, "allow \"/opt/My App/app\" a.test note \"release build\"");
	assert_int_equal(scupper("--json|rule|add|deny any b.test"), 0);
	j = printed_json();
	assert_string_equal(json_string_value(json_object_get(j, "text")), "deny any b.test");
	snprintf(words, sizeof(words), "rule|rm|%lld",
		(long long)json_integer_value(json_object_get(j, "id")));
	json_decref(j);
	assert_int_equal(scupper(words), 0);
	assert_int_equal(scupper(words), 1);
	expect_in(ran.err, "no own rule has this number");
	expect_one_line_of_error();
	assert_int_equal(scupper("rule|rm|1073741825"), 1);
	expect_in(ran.err, "/etc/scupper/rules.d/a.rules");
	assert_int_equal(scupper("rule|add|permit any b.test"), 1);
	expect_in(ran.err, "column 1");
	expect_one_line_of_error();
	assert_int_equal(scupper("explain|nobody|a.test"), 1);
	expect_in(ran.err, "expected a path");
}

/* reads from fd until it has seen n lines */
static void read_lines(int fd, char *to, size_t max, unsigned n)
{
	size_t len = 0, lines = 0;

	to[0] = '\0';
	while (lines < n && len < max - 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(read(fd, to + len, 1), 1);
		lines += to[len++] == '\n';
	}
	to[len] = '\0';
}

static void follows(void **state)
{
	struct link_flow q = fake_core_flow(FLOW_QUERY, 50, 1, "later.test", VERDICT_DENY);
	char buf[256], *args[ARGS_MAX], line[8192];
	int out[2], st;
	pid_t pid;
	json_t *j;

	(void)state;
	split(core.socket, "--json|queries|--follow|--name|.test", buf, sizeof(buf), args);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = spawn(args, out[1], STDERR_FILENO);
	close(out[1]);
	read_lines(out[0], line, sizeof(line), 2); /* what was before: two are below .test */
	fake_core_send(&core, LINK_FLOW, 0, &q);
	do {
		read_lines(out[0], line, sizeof(line), 1);
		j = json_loads(line, 0, NULL);
		assert_non_null(j);
		st = strcmp(json_string_value(json_object_get(j, "name")), "later.test");
		json_decref(j);
	} while (st != 0);
	kill(pid, SIGTERM);
	waitpid(pid, &st, 0);
	close(out[0]);
}

static void the_core_is_away(void **state)
{
	(void)state;
	fake_core_silent(&core, true);
	assert_int_equal(scupper("status"), 0);
	expect_in(ran.out, "being restarted");
	assert_int_equal(scupper("queries"), 0);
	assert_int_equal(scupper("rule|add|allow any c.test"), 3);
	expect_in(ran.err, "restarted");
	fake_core_silent(&core, false);
	assert_int_equal(scupper("rule|list"), 0);
}

static void the_daemon_goes(void **state)
{
	char buf[256], *args[ARGS_MAX], line[8192];
	int out[2], st;
	pid_t pid;

	(void)state;
	split(core.socket, "queries|--follow", buf, sizeof(buf), args);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = spawn(args, out[1], open("/dev/null", O_WRONLY | O_CLOEXEC));
	close(out[1]);
	read_lines(out[0], line, sizeof(line), 2);
	kill(core.web, SIGKILL);
	waitpid(core.web, NULL, 0);
	core.web = 0;
	waitpid(pid, &st, 0);
	close(out[0]);
	assert_true(WIFEXITED(st));
	assert_int_equal(WEXITSTATUS(st), 3);
	assert_int_equal(scupper("status"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(shows),
		cmocka_unit_test(json_documents),
		cmocka_unit_test(rules),
		cmocka_unit_test(follows),
		cmocka_unit_test(the_core_is_away),
		cmocka_unit_test(the_daemon_goes),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
