/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/special.h"

#include "base/macros.h"

#include <string.h>

/* The name and all below it. near: the network's own server may know it, so it is asked, and
 * links may have routes for it; only a server on the internet is not. .test (RFC 6761 6.2)
 * is for whoever has test servers: it is asked unless the configuration says otherwise. */
static const struct {
	const char *name;
	enum special_use what;
	bool near;
} specials[] = {
	{ "invalid", SPECIAL_NXDOMAIN, false },                 /* RFC 6761 6.4 */
	{ "local", SPECIAL_NXDOMAIN, false },                   /* RFC 6762 22.1: mDNS's */
	{ "onion", SPECIAL_NXDOMAIN, false },                   /* RFC 7686 2 */
	{ "alt", SPECIAL_NXDOMAIN, false },                     /* RFC 9476 */
	{ "use-application-dns.net", SPECIAL_NXDOMAIN, false }, /* browsers: keep the system's */
	{ "resolver.arpa", SPECIAL_NODATA, false },             /* RFC 9462 6.4 */
	{ "home.arpa", SPECIAL_NXDOMAIN, true },                /* RFC 8375 4 */
	{ "10.in-addr.arpa", SPECIAL_NXDOMAIN, true },          /* RFC 6303 4 */
	{ "168.192.in-addr.arpa", SPECIAL_NXDOMAIN, true },
	{ "254.169.in-addr.arpa", SPECIAL_NXDOMAIN, true },
	{ "c.f.ip6.arpa", SPECIAL_NXDOMAIN, true },
	{ "d.f.ip6.arpa", SPECIAL_NXDOMAIN, true },
	{ "8.e.f.ip6.arpa", SPECIAL_NXDOMAIN, true },
	{ "9.e.f.ip6.arpa", SPECIAL_NXDOMAIN, true },
	{ "a.e.f.ip6.arpa", SPECIAL_NXDOMAIN, true },
	{ "b.e.f.ip6.arpa", SPECIAL_NXDOMAIN, true },
};

struct found {
	enum special_use what;
	unsigned labels;
	bool near, said; /* said: by the configuration */
};

/* 16.172.in-addr.arpa to 31 (RFC 6303 4.1) */
static bool in_172(const char *name)
{
	struct addr net = { 4, { 172, 16 } }, a;

	return host_covers("172.in-addr.arpa", name) && host_reverse_parse(name, &a) == 0 &&
		addr_in_prefix(&a, &net, 12);
}

static struct found find(const struct local *l, const char *name)
{
	struct found f = { .what = SPECIAL_ASK };
	unsigned labels;
	enum special_use said;

	for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
		if (!host_covers(specials[i].name, name))
			continue;
		f = (struct found){ specials[i].what, host_labels(specials[i].name),
			specials[i].near, false };
		break;
	}
	if (in_172(name))
		f = (struct found){ SPECIAL_NXDOMAIN, 4, true, false };
	said = l->statics ? statics_special(l->statics, name, &labels) : SPECIAL_UNSAID;
	if (said != SPECIAL_UNSAID && labels >= f.labels)
		f = (struct found){ said, labels, false, true };
	return f;
}

/* one label is a name of this network, if of anything: LLMNR's, or to be searched for */
static bool is_bare(const struct local *l, const char *name, uint16_t type)
{
	return *name && !strchr(name, '.') &&
		(type == TYPE_A || type == TYPE_AAAA || type == TYPE_HTTPS ||
			type == TYPE_SVCB) &&
		!(l->statics && statics_single_label(l->statics));
}

enum special_use special_of(const struct local *l, const char *name, uint16_t type)
{
	struct found f = find(l, name);
	const struct route *r = route_find(l->routes, l->nroutes, name);

	if (r && host_labels(r->domain) >= f.labels && (r->configured || f.near))
		return SPECIAL_ASK;
	if (f.near && !l->public)
		return SPECIAL_ASK;
	if (f.what == SPECIAL_ASK && !f.said && !r && is_bare(l, name, type))
		return SPECIAL_NXDOMAIN;
	return f.what;
}
