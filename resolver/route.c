/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/route.h"

#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

/* the reverse zone of a's first `units` bytes (v4) or nibbles (v6) */
static void reverse_zone(const struct addr *a, unsigned units, char out[static HOST_MAX])
{
	struct text t = text_into(out, HOST_MAX);

	for (unsigned i = units; i-- > 0;) {
		if (a->family == 4)
			text_addf(&t, "%u.", a->b[i]);
		else
			text_addf(&t, "%x.", i % 2 ? a->b[i / 2] & 15 : a->b[i / 2] >> 4);
	}
	text_add(&t, a->family == 4 ? "in-addr.arpa" : "ip6.arpa");
}

/* A prefix that ends inside a label of the reverse tree is all of that label's values. */
static int network_zones(const struct addr *net, unsigned bits,
	char out[static ROUTE_ZONES_MAX][HOST_MAX])
{
	unsigned unit = net->family == 4 ? 8 : 4, whole = bits / unit, rest = bits % unit;
	unsigned n = rest ? 1u << (unit - rest) : 1;
	struct addr a = *net;

	if (n > ROUTE_ZONES_MAX)
		return -ERANGE;
	for (unsigned i = 0; i < n; i++) {
		unsigned low = unit == 4 && whole % 2 == 0 ? 4 : 0;

		if (rest)
			a.b[whole * unit / 8] = (uint8_t)(net->b[whole * unit / 8] | i << low);
		reverse_zone(&a, whole + (rest > 0), out[i]);
	}
	return (int)n;
}

static int parse_network(const char *text, struct addr *net, unsigned *bits)
{
	char buf[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : 0;
	uint32_t v;

	if (!slash || n >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (addr_parse(buf, net) < 0 || text_u32(slash + 1, addr_bits(net), &v) < 0 || v == 0)
		return -EINVAL;
	*bits = v;
	for (unsigned i = v; i < addr_bits(net); i++)
		if (net->b[i / 8] >> (7 - i % 8) & 1)
			return -EINVAL; /* 10.1.2.3/8: which was meant? */
	return 0;
}

int route_zones(const char *text, char out[static ROUTE_ZONES_MAX][HOST_MAX])
{
	struct addr net;
	unsigned bits;

	if (strchr(text, '/'))
		return parse_network(text, &net, &bits) < 0 ? -EINVAL
							    : network_zones(&net, bits, out);
	if (*text == '.')
		text++;
	return host_parse(text, out[0]) < 0 || !out[0][0] ? -EINVAL : 1;
}

const struct route *route_find(const struct route *list, size_t n, const char *name)
{
	const struct route *best = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len;

		if (!host_covers(list[i].domain, name))
			continue;
		len = strlen(list[i].domain) * 2 + list[i].configured;
		if (!best || len > longest) {
			best = &list[i];
			longest = len;
		}
	}
	return best;
}

bool route_equal(const struct route *a, const struct route *b)
{
	if (a->n != b->n || a->configured != b->configured ||
		strcmp(a->domain, b->domain) != 0)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!upstream_equal(&a->servers[i], &b->servers[i]))
			return false;
	return true;
}

bool route_is_near(const struct route *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (addr_zone(&r->servers[i].addr) == ZONE_INTERNET)
			return r->configured;
	return true;
}
