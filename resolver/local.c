/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/local.h"
#include "resolver/special.h"

#include "base/macros.h"

#include <errno.h>
#include <string.h>

enum { LOCAL_TTL_S = 60, RECORDS_MAX = 64, ALIAS_ROOM = 8192 };

static bool is_localhost(const char *name)
{
	return host_covers("localhost", name) ||          /* RFC 6761 6.3 */
		host_covers("localhost.localdomain", name);
}

static bool asks_family(const struct wire_query *q, uint8_t family)
{
	return q->type == TYPE_ANY || q->type == (family == 4 ? TYPE_A : TYPE_AAAA);
}

/* those of list that are asked for; family 0 stands for none */
static int addresses(const struct wire_query *q, const uint8_t *query,
	const struct addr *list, unsigned nlist, uint8_t *out, size_t room)
{
	struct addr addrs[MACHINE_ADDRS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < nlist && n < MACHINE_ADDRS_MAX; i++)
		if (list[i].family && asks_family(q, list[i].family))
			addrs[n++] = list[i];
	return wire_local(q, query, addrs, n, LOCAL_TTL_S, out, room);
}

static int localhost(const struct wire_query *q, const uint8_t *query, uint8_t *out,
	size_t room)
{
	static const struct addr both[] = { { 4, { 127, 0, 0, 1 } }, { 6, { [15] = 1 } } };

	return addresses(q, query, both, 2, out, room);
}

/* Names that stand for addresses are asked of the DNS for other types; but HTTPS and SVCB
 * could lead elsewhere. */
static bool is_for_dns(uint16_t type)
{
	return type != TYPE_A && type != TYPE_AAAA && type != TYPE_ANY && type != TYPE_HTTPS &&
		type != TYPE_SVCB;
}

static int from_hosts(const struct hosts *h, const struct wire_query *q,
	const uint8_t *query, uint8_t *out, size_t room)
{
	struct addr addrs[HOSTS_ADDRS_MAX];
	uint8_t family = q->type == TYPE_A ? 4 : q->type == TYPE_AAAA ? 6 : 0;
	unsigned n = 0;

	if (is_for_dns(q->type))
		return 0;
	if (family || q->type == TYPE_ANY)
		n = hosts_addrs(h, q->name, family, addrs);
	return wire_local(q, query, addrs, n, LOCAL_TTL_S, out, room);
}

static int from_statics(const struct static_record *r, const struct wire_query *q,
	const uint8_t *query, uint8_t *out, size_t room)
{
	struct wire_record records[RECORDS_MAX];
	unsigned n = 0;

	for (; r && n < RECORDS_MAX; r = r->next)
		if (q->type == TYPE_ANY || q->type == r->type)
			records[n++] = (struct wire_record){ r->data, r->ttl, r->type, r->len };
	return wire_local_records(q, query, records, n, out, room);
}

/* "a", "a.example" where that is the host's name, and mDNS's "a.local" */
static bool is_machine(const struct machine *m, const char *name)
{
	size_t n = strlen(m->label);

	if (n == 0)
		return false;
	return strcmp(name, m->host) == 0 || strcmp(name, m->label) == 0 ||
		(strncmp(name, m->label, n) == 0 && strcmp(name + n, ".local") == 0);
}

static int from_machine(const struct machine *m, const struct wire_query *q,
	const uint8_t *query, uint8_t *out, size_t room)
{
	/* nss-myhostname's, where the machine has no address */
	static const struct addr alone[] = { { 4, { 127, 0, 0, 2 } }, { 6, { [15] = 1 } } };

	if (strcmp(q->name, "_gateway") == 0)
		return addresses(q, query, m->gateway, 2, out, room);
	if (strcmp(q->name, "_outbound") == 0)
		return addresses(q, query, m->outbound, 2, out, room);
	if (!is_machine(m, q->name) ||
		(is_for_dns(q->type) && strchr(q->name, '.') && !host_covers("local", q->name)))
		return 0;
	return m->naddrs ? addresses(q, query, m->addrs, m->naddrs, out, room)
			 : addresses(q, query, alone, 2, out, room);
}

static const char *machine_name(const struct machine *m, const struct addr *a)
{
	for (unsigned i = 0; i < 2; i++)
		if (m->gateway[i].family && addr_cmp(&m->gateway[i], a) == 0)
			return "_gateway";
	for (unsigned i = 0; i < m->naddrs && m->host[0]; i++)
		if (addr_cmp(&m->addrs[i], a) == 0)
			return m->host;
	return NULL;
}

static int reverse(const struct local *l, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room)
{
	const char *name = NULL;
	struct addr a;

	if (q->type != TYPE_PTR || host_reverse_parse(q->name, &a) < 0)
		return 0;
	if (l->statics)
		name = statics_name(l->statics, &a);
	if (!name && l->hosts)
		name = hosts_name(l->hosts, &a);
	if (!name && addr_zone(&a) == ZONE_LOCALHOST && (a.family == 6 ? a.b[15] == 1 :
		a.b[0] == 127))
		name = "localhost";
	if (!name && l->machine)
		name = machine_name(l->machine, &a);
	return name ? wire_local_ptr(q, query, name, LOCAL_TTL_S, out, room) : 0;
}

/* a name that is no alias */
static int answer_one(const struct local *l, const struct wire_query *q,
	const uint8_t *query, uint8_t *out, size_t room)
{
	const struct static_record *records;
	int n;

	if (is_localhost(q->name))
		return localhost(q, query, out, room);
	if (l->statics && statics_find(l->statics, q->name, &records))
		return from_statics(records, q, query, out, room);
	if (l->hosts && hosts_has(l->hosts, q->name))
		return from_hosts(l->hosts, q, query, out, room);
	n = l->machine ? from_machine(l->machine, q, query, out, room) : 0;
	if (n == 0)
		n = reverse(l, q, query, out, room);
	if (n != 0)
		return n;
	switch (special_of(l, q->name, q->type)) {
	case SPECIAL_NXDOMAIN:
		return wire_error(q, query, WIRE_HEAD + q->question_len, RCODE_NXDOMAIN, EDE_NONE,
			NULL, out, room);
	case SPECIAL_NODATA:
		return wire_local(q, query, NULL, 0, LOCAL_TTL_S, out, room);
	default:
		return 0;
	}
}

/* the alias's own answer, with its name in front */
static int answer_alias(const struct local *l, const struct wire_query *q,
	const uint8_t *query, const char *alias, uint32_t ttl, uint8_t *out, size_t room)
{
	uint8_t asked[WIRE_HEAD + HOST_WIRE_MAX + 32], said[ALIAS_ROOM];
	struct wire_query of;
	enum rcode rcode;
	int n = wire_query_write(alias, q->type, q->id, q->dnssec_ok, asked, sizeof(asked));

	if (n < 0 || wire_query_read(asked, (size_t)n, &of, &rcode) < 0)
		return -ENOSPC;
	of.edns = q->edns;
	n = answer_one(l, &of, asked, said, sizeof(said));
	if (n <= 0)
		return n;
	return wire_alias(query, q->question_len, alias, ttl, said, (size_t)n, out, room);
}

int local_answer(const struct local *l, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room)
{
	const struct static_record *records;
	const char *alias = NULL;
	uint32_t ttl;

	if (l->statics && !is_localhost(q->name))
		alias = statics_alias(l->statics, q->name, &ttl);
	if (!alias)
		return answer_one(l, q, query, out, room);
	if (q->type != TYPE_CNAME && q->type != TYPE_ANY)
		return answer_alias(l, q, query, alias, ttl, out, room);
	statics_find(l->statics, q->name, &records);
	return from_statics(records, q, query, out, room);
}

bool local_wants_machine(const struct local *l, const struct wire_query *q)
{
	const char *name = q->name, *alias;
	uint32_t ttl;

	if (q->type == TYPE_PTR)
		return true;
	alias = l->statics ? statics_alias(l->statics, name, &ttl) : NULL;
	if (alias)
		name = alias;
	return name[0] == '_' || (l->machine && is_machine(l->machine, name));
}

bool local_is_own(const struct local *l, const char *name)
{
	uint32_t ttl;

	if (is_localhost(name))
		return true;
	return l->machine && is_machine(l->machine, name) &&
		!(l->statics && statics_alias(l->statics, name, &ttl));
}
