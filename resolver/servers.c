/* SPDX-License-Identifier: GPL-2.0-or-later
 * Where the list of upstreams comes from: configuration values and resolv.conf(5). Pure. */
#include "resolver/resolver.h"

#include "base/macros.h"

#include <errno.h>

enum { DNS_PORT = 53 };

int upstream_parse(const char *text, struct upstream *out)
{
	struct upstream u = { .port = DNS_PORT };
	int r = addr_parse_port(text, &u.addr, &u.port);

	if (r == 0)
		*out = u;
	return r;
}

/* systemd-resolved's stubs' addresses, where its or our listener is, and our own: to ask
 * there would be to ask ourselves */
static bool is_ours(const struct addr *a)
{
	static const uint8_t v6[6] = { 0xfd, 0x53, 0x63, 0x75, 0x70, 0x70 };

	if (a->family == 6)
		return memcmp(a->b, v6, sizeof(v6)) == 0;
	if (a->b[0] != 127 || a->b[1] != 0 || a->b[2] != 0)
		return false;
	return a->b[3] == 53 || a->b[3] == 54 || (a->b[3] >= 153 && a->b[3] <= 160);
}

/* the address of a nameserver line, or false */
static bool nameserver(const char *line, const char *end, char out[static ADDR_TEXT_MAX])
{
	static const char word[] = "nameserver";
	size_t n = sizeof(word) - 1, len = 0;
	const char *p = line;

	if ((size_t)(end - p) <= n || memcmp(p, word, n) != 0)
		return false;
	p += n;
	if (*p != ' ' && *p != '\t')
		return false;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (p < end && *p > ' ' && len < ADDR_TEXT_MAX - 1)
		out[len++] = *p++;
	out[len] = '\0';
	return len > 0;
}

int upstream_parse_resolv_conf(const char *text, struct upstream *out, size_t max)
{
	size_t n = 0;

	while (*text && n < max) {
		const char *end = strchrnul(text, '\n');
		char addr[ADDR_TEXT_MAX];
		struct upstream u = { .port = DNS_PORT };

		if (nameserver(text, end, addr) && addr_parse(addr, &u.addr) == 0 &&
			!is_ours(&u.addr))
			out[n++] = u;
		text = *end ? end + 1 : end;
	}
	return (int)n;
}
