/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the kernel programs write, as text. Pure: every byte here may be of a program's
 * choosing (file names, arguments), and no length is trusted. */
#include "who/state.h"

#include "base/macros.h"
#include "base/text.h"

#include <string.h>

void path_build(const struct who_path *p, char *out, size_t max)
{
	size_t end = MIN(p->len, (uint32_t)WHO_NAMES_MAX);
	struct text t = text_into(out, max);

	/* names stand leaf first: take them from the end */
	while (end > 0) {
		size_t from = end - 1; /* at the NUL of the last name */

		while (from > 0 && p->names[from - 1])
			from--;
		text_add(&t, "/");
		text_addn(&t, p->names + from, end - 1 - from);
		end = from;
	}
}

bool path_lookable(const struct who_path *p)
{
	return p->len > 0 && p->len <= WHO_NAMES_MAX && p->flags == 0;
}

void path_show(const struct who_path *p, bool believed, char *out, size_t max)
{
	char plain[PROGRAM_PATH_MAX];
	struct text t = text_into(out, max);

	path_build(p, plain, sizeof(plain));
	if (p->flags & WHO_PATH_PSEUDO) {
		/* memfd:x, not /memfd:x */
		text_add(&t, plain[0] && plain[1] ? plain + 1 : "(no name)");
		return;
	}
	if (p->flags & WHO_PATH_LOST)
		text_add(&t, "...");
	text_add(&t, plain[0] ? plain : "(no name)");
	if (p->flags & WHO_PATH_DELETED)
		text_add(&t, " (deleted)");
	else if (!believed)
		text_add(&t, " (elsewhere)"); /* what has this path here is another file */
}

void path_args(const char *args, size_t len, char *out, size_t max)
{
	struct text t = text_into(out, max);
	char one[WHO_ARGS_MAX + 1];

	for (size_t at = 0; at < len;) {
		size_t n = strnlen(args + at, len - at);

		n = MIN(n, sizeof(one) - 1);
		memcpy(one, args + at, n);
		one[n] = '\0';
		if (at)
			text_add(&t, " ");
		text_add_safe(&t, one);
		at += n + 1;
	}
}

/* libbpf hands a verifier's log over whole, between two marker lines; its last line before
 * the statistics is the complaint. Everything else it says is a line of its own. */
void path_load_reason(const char *log, char *out, size_t max)
{
	const char *mark = strstr(log, "-- BEGIN PROG LOAD LOG --");
	const char *end = mark ? strstr(mark, "-- END PROG LOAD LOG --") : NULL;
	struct text t = text_into(out, max);
	const char *line, *last = NULL;
	size_t last_len = 0;

	if (strncmp(log, "libbpf: ", 8) == 0)
		log += 8;
	if (!mark || !end) {
		text_addn(&t, log, strcspn(log, "\n"));
		return;
	}
	for (line = strchr(mark, '\n'); line && line + 1 < end; line = strchr(line, '\n')) {
		size_t n = strcspn(++line, "\n");

		if (n == 0 || line >= end || strncmp(line, "processed ", 10) == 0)
			continue;
		last = line;
		last_len = n;
	}
	text_addn(&t, log, strcspn(log, ":"));
	text_add(&t, ": ");
	if (last)
		text_addn(&t, last, last_len);
}
