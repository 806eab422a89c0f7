/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *ident = "scupper";
static enum log_level max_level = LOG_INFO;

static const char *const names[] = { "error", "warning", "notice", "info", "debug" };

void log_init(const char *name, enum log_level max)
{
	ident = name;
	max_level = max;
}

int log_level_parse(const char *text, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char said[1024], line[2300];
	struct text t = text_into(line, sizeof(line) - 1);
	va_list args;
	ssize_t n;

	if (level > max_level)
		return;
	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
	text_addf(&t, "%s: ", ident);
	if (level <= LOG_WARNING)
		text_addf(&t, "%s: ", names[level]);
	text_add_safe(&t, said);
	line[t.len] = '\n';
	n = write(STDERR_FILENO, line, t.len + 1);
	(void)n; /* nowhere left to say so */
}
