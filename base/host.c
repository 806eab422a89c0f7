/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/host.h"
#include "base/addr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int digit3(const char *p)
{
	int v = 0;

	for (int i = 0; i < 3; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -EINVAL;
		v = v * 10 + (p[i] - '0');
	}
	return v > 255 ? -EINVAL : v;
}

/* one byte of a label, escaped or plain; *p moves behind it */
static int label_byte(const char **p)
{
	unsigned char c = (unsigned char)**p;
	int v;

	if (c == '\\') {
		v = digit3(*p + 1);
		if (v < 0)
			return v;
		*p += 4;
	} else {
		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c + 'a' - 'A');
		if (!plain(c))
			return -EINVAL;
		v = c;
		*p += 1;
	}
	return v >= 'A' && v <= 'Z' ? v + 'a' - 'A' : v;
}

int host_parse(const char *text, char out[static HOST_MAX])
{
	char buf[HOST_MAX];
	size_t n = 0, label = 0, wire = 1;

	if (strcmp(text, ".") == 0)
		text = "";
	while (*text) {
		size_t room;
		int c;

		if (*text == '.') {
			if (label == 0)
				return -EINVAL;
			if (!text[1])
				break;
			label = 0;
			text++;
			if (n + 1 >= sizeof(buf))
				return -ENAMETOOLONG;
			buf[n++] = '.';
			continue;
		}
		c = label_byte(&text);
		if (c < 0)
			return c;
		wire += label == 0 ? 2 : 1;
		room = plain((unsigned char)c) ? 1 : 4;
		if (++label > 63 || wire > HOST_WIRE_MAX || n + room >= sizeof(buf))
			return -ENAMETOOLONG;
		if (room == 1)
			buf[n++] = (char)c;
		else
			n += (size_t)snprintf(buf + n, 5, "\\%03d", c);
	}
	memcpy(out, buf, n);
	out[n] = '\0';
	return 0;
}

int host_to_wire(const char *host, uint8_t out[static HOST_WIRE_MAX])
{
	size_t at = 0, n = 1;

	if (!*host) {
		out[0] = 0;
		return 1;
	}
	for (const char *p = host;;) {
		int c;

		if (*p == '.' || !*p) {
			size_t len = n - at - 1;

			if (len == 0 || len > 63 || n >= HOST_WIRE_MAX)
				return -EINVAL;
			out[at] = (uint8_t)len;
			at = n++;
			if (!*p++)
				break;
			continue;
		}
		c = label_byte(&p);
		if (c < 0 || n >= HOST_WIRE_MAX)
			return -EINVAL;
		out[n++] = (uint8_t)c;
	}
	out[at] = 0;
	return (int)n;
}

bool host_covers(const char *domain, const char *host)
{
	size_t d = strlen(domain), h = strlen(host);

	if (d == 0)
		return true;
	if (h < d || strcmp(host + h - d, domain) != 0)
		return false;
	return h == d || host[h - d - 1] == '.';
}

unsigned host_labels(const char *host)
{
	unsigned n = *host ? 1 : 0;

	for (; *host; host++)
		n += *host == '.';
	return n;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int reverse6(const char *host, struct addr *out)
{
	uint8_t b[16] = { 0 };

	for (int i = 0; i < 32; i++) {
		int v = nibble(host[2 * i]);

		if (v < 0 || host[2 * i + 1] != '.')
			return -EINVAL;
		b[15 - i / 2] |= (uint8_t)(i % 2 ? v << 4 : v);
	}
	*out = addr_v6(b);
	return 0;
}

int host_reverse_parse(const char *host, struct addr *out)
{
	static const char four[] = ".in-addr.arpa", six[] = ".ip6.arpa";
	size_t n = strlen(host);

	if (n == 63 + sizeof(six) - 1 && strcmp(host + 63, six) == 0)
		return reverse6(host, out);
	if (n > sizeof(four) && strcmp(host + n - sizeof(four) + 1, four) == 0) {
		unsigned a, b, c, d;
		int used = 0;
		uint8_t v[4];

		if (sscanf(host, "%3u.%3u.%3u.%3u%n", &d, &c, &b, &a, &used) != 4)
			return -EINVAL;
		if ((size_t)used != n - sizeof(four) + 1 || (a | b | c | d) > 255)
			return -EINVAL;
		v[0] = (uint8_t)a;
		v[1] = (uint8_t)b;
		v[2] = (uint8_t)c;
		v[3] = (uint8_t)d;
		*out = addr_v4(v);
		return 0;
	}
	return -EINVAL;
}
