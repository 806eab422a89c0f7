/* SPDX-License-Identifier: GPL-2.0-or-later
 * text.h - building, cutting and reading text.
 * struct text fills a fixed buffer of the caller's, always NUL-terminated; what does not
 * fit is cut and cut is set. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *s;
	size_t max, len; /* max counts the NUL */
	bool cut;
};

struct text text_into(char *buf, size_t max);
void text_add(struct text *t, const char *s);
void text_addn(struct text *t, const char *s, size_t n);
void text_addf(struct text *t, const char *fmt, ...) format_printf(2, 3);
/* control, bidi and invalid UTF-8 bytes come out as \xNN: for names from outside */
void text_add_safe(struct text *t, const char *s);

/* copies at most max - 1 bytes and the NUL; returns whether all of s fitted */
bool text_copy(char *to, size_t max, const char *s);

int text_u32(const char *s, uint32_t max, uint32_t *out);      /* decimal; -EINVAL, -ERANGE */
int text_duration_s(const char *s, int64_t *out);              /* 90s 10m 2h 7d; -EINVAL */
int text_duration_ms(const char *s, int64_t *out);             /* also 300ms; -EINVAL */
int text_size(const char *s, uint64_t *out);                   /* 32MB 1GB 4096; -EINVAL */
/* RFC 3339 in UTC with milliseconds: 2026-11-24T13:11:25.000Z */
enum { TEXT_TIME_MAX = 32 };
const char *text_time(int64_t unix_ms, char out[static TEXT_TIME_MAX]);
/* RFC 3339 with "Z" or an offset, seconds with or without a fraction; -EINVAL */
int text_time_read(const char *s, int64_t *unix_ms);

#endif
