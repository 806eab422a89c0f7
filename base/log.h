/* SPDX-License-Identifier: GPL-2.0-or-later
 * log.h - lines for the operator, on stderr: "scupperd: warning: what, where, what to do".
 * Callable from every thread; a line is one write. Control characters are escaped. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/macros.h"

#include <stdarg.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

/* ident is borrowed for ever: a literal, or argv[0] */
void log_init(const char *ident, enum log_level max);
int log_level_parse(const char *text, enum log_level *out); /* -EINVAL */
void log_write(enum log_level level, const char *fmt, ...) format_printf(2, 3);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif
