/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/io.h"
#include "base/macros.h"
#include "who/machine.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

static void nsswitch(void **state)
{
	static const struct {
		const char *why, *text;
		bool want;
	} cases[] = {
		{ "plain", "passwd: files\nhosts: files resolve dns\n", true },
		{ "tabs, last word, no newline", "hosts:\tfiles\tresolve", true },
		{ "before an action", "hosts: resolve [!UNAVAIL=return] dns\n", true },
		{ "right at an action", "hosts: resolve[!UNAVAIL=return] dns\n", true },
		{ "blanks first", "  hosts: resolve\n", true },
		{ "another database", "passwd: resolve\nhosts: files dns\n", false },
		{ "part of a word", "hosts: files resolved myresolve dns\n", false },
		{ "in an action", "hosts: files [resolve=return] dns\n", false },
		{ "in a comment", "hosts: files dns # resolve\n", false },
		{ "a comment line", "#hosts: resolve\n", false },
		{ "empty", "", false },
		{ "an action without its end", "hosts: files [resolve", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(machine_nsswitch_has(cases[i].text, "resolve"),
			cases[i].want);
	}
}

static char root[64];

static void write_text(const char *path, const char *text)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_int_equal(io_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static int serve(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", root, path);
	unlink(a.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void resolvers(void **state)
{
	char out[MACHINE_TEXT_MAX] = "x", path[128];
	int resolved, nscd;

	(void)state;
	snprintf(root, sizeof(root), "/tmp/test_machine.XXXXXX");
	assert_non_null(mkdtemp(root));
	print_message("an empty machine\n");
	assert_string_equal(machine_resolvers(root, out), "");
	snprintf(path, sizeof(path), "%s/etc", root);
	io_mkdirs(path, 0755);
	snprintf(path, sizeof(path), "%s/run/systemd/resolve", root);
	io_mkdirs(path, 0755);
	snprintf(path, sizeof(path), "%s/run/nscd", root);
	io_mkdirs(path, 0755);
	resolved = serve("/run/systemd/resolve/io.systemd.Resolve");
	print_message("resolved runs, but glibc does not ask it so\n");
	write_text("/etc/nsswitch.conf", "hosts: files dns\n");
	assert_string_equal(machine_resolvers(root, out), "");
	write_text("/etc/nsswitch.conf", "hosts: files resolve dns\n");
	assert_non_null(strstr(machine_resolvers(root, out), "systemd-resolved"));
	print_message("and nscd\n");
	nscd = serve("/run/nscd/socket");
	assert_non_null(strstr(machine_resolvers(root, out), "and nscd look up"));
	close(resolved);
	print_message("a socket that nobody listens on any more\n");
	assert_null(strstr(machine_resolvers(root, out), "systemd-resolved"));
	assert_non_null(strstr(out, "nscd looks up"));
	close(nscd);
	assert_string_equal(machine_resolvers(root, out), "");
	snprintf(path, sizeof(path), "rm -r %s", root);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nsswitch),
		cmocka_unit_test(resolvers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
