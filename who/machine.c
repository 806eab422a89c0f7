/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who/machine.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { NSSWITCH_MAX = 65536 };

/* one line: "hosts: files resolve [!UNAVAIL=return] dns # comment" */
static bool hosts_line_has(const char *line, size_t len, const char *service)
{
	size_t want = strlen(service), at = 0;
	const char *comment = memchr(line, '#', len);
	bool bracket = false;

	if (comment)
		len = (size_t)(comment - line);
	while (at < len) {
		size_t n = 0;

		while (at + n < len && !strchr(" \t[]", line[at + n]))
			n++;
		if (n == want && !bracket && memcmp(line + at, service, n) == 0)
			return true;
		at += n;
		if (at < len) {
			bracket = line[at] == '[' || (bracket && line[at] != ']');
			at++;
		}
	}
	return false;
}

bool machine_nsswitch_has(const char *text, const char *service)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		size_t blank = strspn(text, " \t");

		if (blank + 6 <= len && strncmp(text + blank, "hosts:", 6) == 0 &&
			hosts_line_has(text + blank + 6, len - blank - 6, service))
			return true;
		text += len;
		text += *text == '\n';
	}
	return false;
}

static bool nsswitch_has(const char *root, const char *service)
{
	auto_free char *text = NULL;
	char path[256];
	size_t len;

	snprintf(path, sizeof(path), "%s/etc/nsswitch.conf", root);
	if (io_read_file(path, NSSWITCH_MAX, &text, &len) < 0)
		return false;
	return machine_nsswitch_has(text, service);
}

/* does somebody listen there? A socket file without one is left over from a crash */
static bool answered(const char *root, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", root, path);

	if (fd < 0 || n < 0 || (size_t)n >= sizeof(a.sun_path))
		return false;
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno == EAGAIN ||
		errno == EACCES;
}

const char *machine_resolvers(const char *root, char out[static MACHINE_TEXT_MAX])
{
	struct text t = text_into(out, MACHINE_TEXT_MAX);
	bool resolved = nsswitch_has(root, "resolve") &&
		answered(root, "/run/systemd/resolve/io.systemd.Resolve");
	bool nscd = answered(root, "/run/nscd/socket") ||
		answered(root, "/var/run/nscd/socket");

	if (!resolved && !nscd)
		return out;
	text_addf(&t, "%s%s%s %s names for programs here: such queries cannot be told from "
		"each other, nor who asked",
		resolved ? "systemd-resolved (nss-resolve)" : "",
		resolved && nscd ? " and " : "", nscd ? "nscd" : "",
		resolved && nscd ? "look up" : "looks up");
	return out;
}
