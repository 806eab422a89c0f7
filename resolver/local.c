/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/local.h"

#include "base/macros.h"

#include <errno.h>

enum { LOCAL_TTL_S = 60 };

enum special { NOT_SPECIAL, LOCALHOST, NO_SUCH_NAME, NO_DATA };

/* the name and all below it */
static const struct {
	const char *name;
	enum special what;
} specials[] = {
	{ "localhost", LOCALHOST },                   /* RFC 6761 6.3 */
	{ "localhost.localdomain", LOCALHOST },
	{ "invalid", NO_SUCH_NAME },                  /* RFC 6761 6.4 */
	{ "local", NO_SUCH_NAME },                    /* RFC 6762 22.1: for mDNS */
	{ "onion", NO_SUCH_NAME },                    /* RFC 7686 2 */
	{ "alt", NO_SUCH_NAME },                      /* RFC 9476 */
	{ "use-application-dns.net", NO_SUCH_NAME },  /* browsers: keep the system's DNS */
	{ "resolver.arpa", NO_DATA },                 /* RFC 9462 6.4 */
};

static enum special special_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(specials); i++)
		if (host_covers(specials[i].name, name))
			return specials[i].what;
	return NOT_SPECIAL;
}

static bool asks_family(const struct wire_query *q, uint8_t family)
{
	return q->type == TYPE_ANY || q->type == (family == 4 ? TYPE_A : TYPE_AAAA);
}

static int localhost(const struct wire_query *q, const uint8_t *query, uint8_t *out,
	size_t room)
{
	static const struct addr four = { 4, { 127, 0, 0, 1 } };
	static const struct addr six = { 6, { [15] = 1 } };
	struct addr addrs[2];
	unsigned n = 0;

	if (asks_family(q, 4))
		addrs[n++] = four;
	if (asks_family(q, 6))
		addrs[n++] = six;
	return wire_local(q, query, addrs, n, LOCAL_TTL_S, out, room);
}

/* Other types of a name in the file are asked of the DNS; but HTTPS and SVCB could lead
 * elsewhere than the file says. */
static int from_hosts(const struct hosts *h, const struct wire_query *q,
	const uint8_t *query, uint8_t *out, size_t room)
{
	uint8_t family = q->type == TYPE_A ? 4 : q->type == TYPE_AAAA ? 6 : 0;
	struct addr addrs[HOSTS_ADDRS_MAX];
	unsigned n = 0;

	if (family || q->type == TYPE_ANY)
		n = hosts_addrs(h, q->name, family, addrs);
	else if (q->type != TYPE_HTTPS && q->type != TYPE_SVCB)
		return 0;
	return wire_local(q, query, addrs, n, LOCAL_TTL_S, out, room);
}

static int reverse(const struct hosts *h, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room)
{
	const char *name;
	struct addr a;

	if (q->type != TYPE_PTR || host_reverse_parse(q->name, &a) < 0)
		return 0;
	name = h ? hosts_name(h, &a) : NULL;
	if (!name && addr_zone(&a) == ZONE_LOCALHOST && (a.family == 6 ? a.b[15] == 1 :
		a.b[0] == 127))
		name = "localhost";
	return name ? wire_local_ptr(q, query, name, LOCAL_TTL_S, out, room) : 0;
}

int local_answer(const struct hosts *h, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room)
{
	size_t len = WIRE_HEAD + q->question_len;

	switch (special_of(q->name)) {
	case LOCALHOST:
		return localhost(q, query, out, room);
	case NO_SUCH_NAME:
		if (h && hosts_has(h, q->name))
			break; /* nas.local written down by somebody */
		return wire_error(q, query, len, RCODE_NXDOMAIN, EDE_NONE, NULL, out, room);
	case NO_DATA:
		return wire_local(q, query, NULL, 0, LOCAL_TTL_S, out, room);
	default:
		break;
	}
	if (h && hosts_has(h, q->name))
		return from_hosts(h, q, query, out, room);
	return reverse(h, q, query, out, room);
}
