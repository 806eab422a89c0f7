/* SPDX-License-Identifier: GPL-2.0-or-later
 * Where the list of upstreams comes from: configuration values and resolv.conf(5). Pure. */
#include "resolver/resolver.h"

#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

enum { DNS_PORT = 53, TLS_PORT = 853, HTTPS_PORT = 443 };

static const struct scheme {
	const char *text;
	uint16_t port;
} schemes[] = {
	[UPSTREAM_PLAIN] = { "", DNS_PORT },
	[UPSTREAM_TLS] = { "tls://", TLS_PORT },
	[UPSTREAM_HTTPS] = { "https://", HTTPS_PORT },
};

/* a name that cannot be taken for an address with a mistake in it */
static int name_parse(const char *text, char out[static HOST_MAX])
{
	const char *last;
	int r = host_parse(text, out);

	if (r < 0)
		return r;
	last = strrchr(out, '.');
	last = last ? last + 1 : out;
	return *last && last[strspn(last, "0123456789")] ? 0 : -EINVAL;
}

static int port_parse(const char *text, uint16_t *out)
{
	uint32_t v;
	int r = text_u32(text, 65535, &v);

	if (r < 0 || v == 0)
		return -EINVAL;
	*out = (uint16_t)v;
	return 0;
}

/* name[:port], cut up in place */
static int name_port_parse(char *text, struct upstream *u)
{
	char *colon = strchr(text, ':');

	if (colon) {
		*colon = '\0';
		if (port_parse(colon + 1, &u->port) < 0)
			return -EINVAL;
	}
	return name_parse(text, u->name) < 0 ? -EINVAL : 0;
}

static int path_parse(const char *text, char out[static UPSTREAM_PATH_MAX])
{
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return -EINVAL;
	return text_copy(out, UPSTREAM_PATH_MAX, text) ? 0 : -EINVAL;
}

/* what stands behind the '#' */
static int other_parse(const char *text, struct upstream *u)
{
	if (u->name[0])
		return addr_parse(text, &u->addr);
	return name_parse(text, u->name);
}

static int secure_parse(const char *text, struct upstream *u)
{
	char host[UPSTREAM_PATH_MAX + HOST_MAX + HOST_MAX], *path, *other;

	if (!text_copy(host, sizeof(host), text))
		return -EINVAL;
	other = strchr(host, '#');
	if (other)
		*other++ = '\0';
	path = strchr(host, '/');
	if (u->kind == UPSTREAM_HTTPS &&
		path_parse(path ? path : "/dns-query", u->path) < 0)
		return -EINVAL;
	if (path && u->kind != UPSTREAM_HTTPS)
		return -EINVAL;
	if (path)
		*path = '\0';
	if (addr_parse_port(host, &u->addr, &u->port) < 0 && name_port_parse(host, u) < 0)
		return -EINVAL;
	return other && other_parse(other, u) < 0 ? -EINVAL : 0;
}

int upstream_parse(const char *text, struct upstream *out)
{
	struct upstream u = { .kind = UPSTREAM_HTTPS };
	size_t n;
	int r;

	while (strncmp(text, schemes[u.kind].text, n = strlen(schemes[u.kind].text)) != 0)
		u.kind--;
	u.port = schemes[u.kind].port;
	r = u.kind == UPSTREAM_PLAIN ? addr_parse_port(text, &u.addr, &u.port)
		: secure_parse(text + n, &u);
	if (r < 0 || u.port == 0)
		return -EINVAL;
	*out = u;
	return 0;
}

const char *upstream_text(const struct upstream *u, char out[static UPSTREAM_TEXT_MAX])
{
	struct text t = text_into(out, UPSTREAM_TEXT_MAX);
	char addr[ADDR_TEXT_MAX];

	text_add(&t, schemes[u->kind].text);
	if (u->addr.family)
		text_addf(&t, u->addr.family == 6 ? "[%s]" : "%s", addr_text(&u->addr, addr));
	else
		text_add(&t, u->name);
	text_addf(&t, ":%u%s", u->port, u->path);
	if (u->addr.family && u->name[0])
		text_addf(&t, "#%s", u->name);
	return out;
}

bool upstream_equal(const struct upstream *a, const struct upstream *b)
{
	return a->port == b->port && a->kind == b->kind && a->fallback == b->fallback &&
		addr_cmp(&a->addr, &b->addr) == 0 && strcmp(a->name, b->name) == 0 &&
		strcmp(a->path, b->path) == 0;
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
