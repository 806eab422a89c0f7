/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct text text_into(char *buf, size_t max)
{
	if (max)
		buf[0] = '\0';
	return (struct text){ .s = buf, .max = max, .cut = max == 0 };
}

void text_addn(struct text *t, const char *s, size_t n)
{
	size_t room = t->max ? t->max - t->len - 1 : 0;

	if (n > room) {
		n = room;
		t->cut = true;
	}
	if (!t->max)
		return;
	memcpy(t->s + t->len, s, n);
	t->len += n;
	t->s[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
	text_addn(t, s, strlen(s));
}

void text_addf(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	if (!t->max) {
		t->cut = true;
		return;
	}
	va_start(args, fmt);
	n = vsnprintf(t->s + t->len, t->max - t->len, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= t->max - t->len) {
		t->cut = true;
		t->len = t->max - 1;
	} else {
		t->len += (size_t)n;
	}
}

static unsigned utf8_want(unsigned char c)
{
	if (c >= 0xc2 && c <= 0xdf)
		return 1;
	if (c >= 0xe0 && c <= 0xef)
		return 2;
	return c >= 0xf0 && c <= 0xf4 ? 3 : 0;
}

/* length of a valid, shortest-form UTF-8 sequence at s (RFC 3629), or 0 */
static unsigned utf8_len(const char *s, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned char c = (unsigned char)s[0];
	unsigned want = utf8_want(c);
	uint32_t v;

	if (c < 0x80) {
		*code = c;
		return 1;
	}
	if (want == 0)
		return 0;
	v = c & (0x3fu >> want);
	for (unsigned i = 1; i <= want; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (v < least[want] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*code = v;
	return want + 1;
}

static bool shown(uint32_t code)
{
	if (code < 0x20 || (code >= 0x7f && code < 0xa0))
		return false;
	if (code >= 0x200b && code <= 0x200f) /* zero width, direction marks */
		return false;
	if ((code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069))
		return false;
	return code != 0x061c && code != 0xfeff;
}

void text_add_safe(struct text *t, const char *s)
{
	while (*s) {
		uint32_t code = 0;
		unsigned n = utf8_len(s, &code);

		if (n && shown(code)) {
			text_addn(t, s, n);
		} else {
			n = n ? n : 1;
			for (unsigned i = 0; i < n; i++)
				text_addf(t, "\\x%02x", (unsigned char)s[i]);
		}
		s += n;
	}
}

bool text_copy(char *to, size_t max, const char *s)
{
	struct text t = text_into(to, max);

	text_add(&t, s);
	return !t.cut;
}

int text_u32(const char *s, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > max)
			return -ERANGE;
	}
	*out = (uint32_t)v;
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static int with_unit(const char *s, const struct unit *units, size_t n, uint64_t *out)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > UINT32_MAX)
			return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(s, units[i].name) == 0) {
			*out = v * units[i].factor;
			return 0;
		}
	}
	return -EINVAL;
}

int text_duration_s(const char *s, int64_t *out)
{
	static const struct unit units[] = { { "s", 1 }, { "m", 60 }, { "h", 3600 },
		{ "d", 86400 } };
	uint64_t v;

	if (with_unit(s, units, ARRAY_LEN(units), &v) < 0 || v == 0)
		return -EINVAL;
	*out = (int64_t)v;
	return 0;
}

int text_duration_ms(const char *s, int64_t *out)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
		{ "h", 3600000 }, { "d", 86400000 } };
	uint64_t v;

	if (with_unit(s, units, ARRAY_LEN(units), &v) < 0)
		return -EINVAL;
	*out = (int64_t)v;
	return 0;
}

int text_size(const char *s, uint64_t *out)
{
	static const struct unit units[] = { { "", 1 }, { "KB", 1000 }, { "MB", 1000000 },
		{ "GB", 1000000000 } };

	return with_unit(s, units, ARRAY_LEN(units), out);
}

const char *text_time(int64_t unix_ms, char out[static TEXT_TIME_MAX])
{
	time_t s = (time_t)(unix_ms / 1000);
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(out, TEXT_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + 19, TEXT_TIME_MAX - 19, ".%03dZ", (int)(unix_ms % 1000));
	return out;
}

/* "Z", "+01:00" or "-05:30" in seconds east of Greenwich; NULL: something else */
static const char *read_zone(const char *s, int64_t *out)
{
	static const char shape[] = "+dd:dd";

	*out = 0;
	if (*s == 'Z' || *s == 'z')
		return s + 1;
	if (*s != '+' && *s != '-')
		return NULL;
	for (int i = 1; i < 6; i++) {
		if (shape[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i])
			return NULL;
	}
	*out = ((s[1] - '0') * 10 + s[2] - '0') * 3600 +
		((s[4] - '0') * 10 + s[5] - '0') * 60;
	if (*s == '-')
		*out = -*out;
	return s + 6;
}

int text_time_read(const char *s, int64_t *unix_ms)
{
	struct tm tm = { 0 };
	const char *at = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ms = 0, zone, unit = 100;

	if (!at)
		return -EINVAL;
	if (*at == '.') {
		if (*++at < '0' || *at > '9')
			return -EINVAL;
		for (; *at >= '0' && *at <= '9'; at++, unit /= 10)
			ms += (*at - '0') * unit;
	}
	at = read_zone(at, &zone);
	if (!at || *at)
		return -EINVAL;
	*unix_ms = ((int64_t)timegm(&tm) - zone) * 1000 + ms;
	return 0;
}
