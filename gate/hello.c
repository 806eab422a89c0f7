/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/hello.h"

#include "base/addr.h"
#include "base/cur.h"
#include "base/macros.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

enum {
	RECORD_HANDSHAKE = 22,    /* RFC 8446 5.1 */
	RECORD_HEAD = 5,
	CLIENT_HELLO = 1,         /* 4 */
	EXT_SERVER_NAME = 0,      /* RFC 6066 3 */
	EXT_ECH = 0xfe0d,         /* RFC 9849 5 */
	NAME_HOST = 0,
	METHOD_MAX = 24,          /* the longest registered one has 17 */
};

/* a host as it was said, perhaps with a port: what is no name becomes "" */
static void host_only(const char *text, size_t len, char out[static HOST_MAX])
{
	char buf[HOST_MAX + 8];
	struct addr a;
	char *colon;

	out[0] = 0;
	if (len == 0 || len >= sizeof(buf) || text[0] == '[' || memchr(text, 0, len))
		return;
	memcpy(buf, text, len);
	buf[len] = 0;
	colon = strrchr(buf, ':');
	if (colon)
		*colon = 0;
	if (addr_parse(buf, &a) == 0 || host_parse(buf, out) < 0)
		out[0] = 0;
}

/* --- TLS ---------------------------------------------------------------------------------- */

/* The hello may be cut over records as it likes: put together in buf. -EAGAIN: its end is
 * not here yet; -EBADMSG: no hello. */
static int hello_join(const uint8_t *bytes, size_t len, uint8_t buf[static HELLO_MAX],
	size_t *n)
{
	struct cur c = cur_over(bytes, len);
	size_t want = 4;

	*n = 0;
	while (*n < want) {
		uint8_t type = cur_u8(&c);
		uint16_t version = cur_u16(&c), size = cur_u16(&c);
		size_t take;
		const uint8_t *p;

		if (c.bad)
			return -EAGAIN;
		if (type != RECORD_HANDSHAKE || version >> 8 != 3 || size == 0)
			return -EBADMSG;
		take = MIN((size_t)size, cur_left(&c));
		if (*n + take > HELLO_MAX)
			return -EBADMSG;
		p = cur_take(&c, take);
		memcpy(buf + *n, p, take);
		*n += take;
		if (*n >= 4) {
			want = 4 + ((size_t)buf[1] << 16 | (size_t)buf[2] << 8 | buf[3]);
			if (buf[0] != CLIENT_HELLO || want > HELLO_MAX)
				return -EBADMSG;
		}
		if (*n < want && take < size)
			return -EAGAIN;
	}
	*n = want;
	return 0;
}

static void server_name(struct cur ext, struct hello *out)
{
	struct cur list = cur_over(NULL, 0);
	uint16_t len = cur_u16(&ext);
	const uint8_t *p = cur_take(&ext, len);

	if (p)
		list = cur_over(p, len);
	while (cur_left(&list)) {
		uint8_t type = cur_u8(&list);
		uint16_t n = cur_u16(&list);
		const uint8_t *name = cur_take(&list, n);

		if (!name)
			return;
		if (type == NAME_HOST) {
			host_only((const char *)name, n, out->name);
			return;
		}
	}
}

static void hello_fields(const uint8_t *bytes, size_t len, struct hello *out)
{
	struct cur c = cur_over(bytes, len);
	struct cur all;
	size_t n;

	cur_take(&c, 4 + 2 + 32); /* handshake head, version, random */
	cur_take(&c, cur_u8(&c)); /* session id */
	cur_take(&c, cur_u16(&c)); /* cipher suites */
	cur_take(&c, cur_u8(&c)); /* compression */
	n = cur_u16(&c);
	if (c.bad || n > cur_left(&c))
		return;
	all = cur_sub(&c, n);
	while (cur_left(&all)) {
		uint16_t type = cur_u16(&all), size = cur_u16(&all);
		const uint8_t *p = cur_take(&all, size);

		if (!p)
			return;
		if (type == EXT_SERVER_NAME && !out->name[0])
			server_name(cur_over(p, size), out);
		if (type == EXT_ECH)
			out->ech = true;
	}
}

static int hello_tls(const uint8_t *bytes, size_t len, struct hello *out)
{
	uint8_t buf[HELLO_MAX];
	size_t n;
	int r = hello_join(bytes, len, buf, &n);

	if (r == -EAGAIN && len < HELLO_MAX)
		return -EAGAIN;
	*out = (struct hello){ .kind = r == 0 ? HELLO_TLS : HELLO_OTHER };
	if (r == 0)
		hello_fields(buf, n, out);
	return 0;
}

/* --- HTTP --------------------------------------------------------------------------------- */

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool token_byte(uint8_t b)
{
	return isalnum(b) || (b && strchr("!#$%&'*+-.^_`|~", b)); /* RFC 9110 5.6.2 */
}

/* what stands between :// and the path: no user part, which only fools people */
static int absolute_host(const char *target, size_t len, char out[static HOST_MAX])
{
	const char *scheme = memmem(target, len, "://", 3), *end;
	size_t n;

	if (!scheme)
		return -ENOENT;
	scheme += 3;
	n = len - (size_t)(scheme - target);
	for (end = scheme; (size_t)(end - scheme) < n && !strchr("/?#", *end); end++)
		;
	if (memchr(scheme, '@', (size_t)(end - scheme)))
		return -EINVAL;
	host_only(scheme, (size_t)(end - scheme), out);
	return 0;
}

/* the request line: its host in out, if it names one. 1: it does, 0: it does not */
static int request_line(const char *line, size_t len, char out[static HOST_MAX])
{
	const char *method_end = memchr(line, ' ', len), *target, *target_end;
	size_t left, n;
	int r;

	if (!method_end || method_end == line)
		return -ENOENT;
	target = method_end + 1;
	left = len - (size_t)(target - line);
	target_end = memchr(target, ' ', left);
	if (!target_end || target_end == target)
		return -ENOENT;
	n = (size_t)(target_end - target);
	left -= n + 1;
	if (left != 8 || memcmp(target_end + 1, "HTTP/1.", 7) != 0)
		return -ENOENT;
	if (method_end - line == 7 && memcmp(line, "CONNECT", 7) == 0) {
		host_only(target, n, out);
		return 1;
	}
	if (target[0] == '/' || (n == 1 && target[0] == '*'))
		return 0;
	r = absolute_host(target, n, out);
	return r < 0 ? -EINVAL : 1;
}

/* a line's length without its end; -EINVAL for a CR that ends no line */
static ssize_t line_length(const char *at, size_t left, size_t *next)
{
	const char *nl = memchr(at, '\n', left);
	size_t n;

	if (!nl)
		return -EINVAL;
	n = (size_t)(nl - at);
	*next = n + 1;
	if (n && at[n - 1] == '\r')
		n--;
	return memchr(at, '\r', n) || memchr(at, 0, n) ? -EINVAL : (ssize_t)n;
}

bool hello_http_field(const uint8_t *head, size_t len, size_t *at, struct hello_field *out)
{
	const char *line, *colon;
	size_t next = 0;
	ssize_t n;

	if (*at == 0) {
		n = line_length((const char *)head, len, &next);
		if (n < 0)
			return false;
		*at = next;
	}
	line = (const char *)head + *at;
	n = line_length(line, len - *at, &next);
	colon = n > 0 ? memchr(line, ':', (size_t)n) : NULL;
	if (!colon || colon == line)
		return false;
	out->name = line;
	out->name_len = (size_t)(colon - line);
	for (size_t i = 0; i < out->name_len; i++)
		if (!token_byte((uint8_t)line[i]))
			return false; /* a folded line, or blanks that servers differ about */
	out->value = colon + 1;
	out->value_len = (size_t)n - out->name_len - 1;
	for (; out->value_len && blank(*out->value); out->value++)
		out->value_len--;
	for (; out->value_len && blank(out->value[out->value_len - 1]); out->value_len--)
		;
	*at += next;
	return true;
}

bool hello_field_is(const struct hello_field *f, const char *name)
{
	return f->name_len == strlen(name) && strncasecmp(f->name, name, f->name_len) == 0;
}

static int host_field(const struct hello_field *f, char out[static HOST_MAX])
{
	if (memchr(f->value, ',', f->value_len) || memchr(f->value, ' ', f->value_len))
		return -EINVAL;
	host_only(f->value, f->value_len, out);
	return 0;
}

int hello_http_host(const uint8_t *head, size_t len, char host[static HOST_MAX])
{
	char field[HOST_MAX] = "";
	struct hello_field f;
	unsigned hosts = 0;
	size_t next, at = 0;
	ssize_t n = line_length((const char *)head, len, &next);
	int named;

	host[0] = 0;
	named = n < 0 ? -ENOENT : request_line((const char *)head, (size_t)n, host);
	if (named < 0)
		return named;
	while (hello_http_field(head, len, &at, &f))
		if (hello_field_is(&f, "Host") && (hosts++ || host_field(&f, field) < 0))
			return -EINVAL;
	if (line_length((const char *)head + at, len - at, &next) != 0)
		return -EINVAL; /* stopped before the empty line */
	if (!named)
		memcpy(host, field, sizeof(field));
	else if (field[0] && host[0] && strcmp(field, host) != 0)
		return -EINVAL; /* servers differ about which of the two counts */
	return 0;
}

size_t hello_http_end(const uint8_t *bytes, size_t len)
{
	const uint8_t *nl = bytes, *end = bytes + len;

	while ((nl = memchr(nl, '\n', (size_t)(end - nl)))) {
		nl++;
		if (nl < end && *nl == '\n')
			return (size_t)(nl - bytes) + 1;
		if (end - nl >= 2 && nl[0] == '\r' && nl[1] == '\n')
			return (size_t)(nl - bytes) + 2;
	}
	return 0;
}

static bool no_http_line(const uint8_t *bytes, size_t len)
{
	char host[HOST_MAX];
	size_t next;
	ssize_t n;

	if (!memchr(bytes, '\n', len))
		return false;
	n = line_length((const char *)bytes, len, &next);
	return n >= 0 && request_line((const char *)bytes, (size_t)n, host) == -ENOENT;
}

/* A method and a blank are enough to guess, the first line's end to know. */
static int hello_http(const uint8_t *bytes, size_t len, struct hello *out)
{
	size_t n = 0;
	int r;

	while (n < len && n < METHOD_MAX && token_byte(bytes[n]))
		n++;
	*out = (struct hello){ .kind = HELLO_OTHER };
	if (n == 0 || n == METHOD_MAX || (n < len && bytes[n] != ' '))
		return 0;
	if (no_http_line(bytes, len))
		return 0;
	n = hello_http_end(bytes, len);
	if (n == 0)
		return len < HELLO_MAX ? -EAGAIN : 0;
	r = hello_http_host(bytes, n, out->name);
	if (r != -ENOENT)
		out->kind = r == 0 ? HELLO_HTTP : HELLO_BAD;
	return 0;
}

int hello_read(const uint8_t *bytes, size_t len, struct hello *out)
{
	if (len == 0)
		return -EAGAIN;
	return bytes[0] == RECORD_HANDSHAKE ? hello_tls(bytes, len, out)
					    : hello_http(bytes, len, out);
}
