/* SPDX-License-Identifier: GPL-2.0-or-later
 * match.c - does one rule speak of this program, this place, this port? And, ahead of
 * that, what could it match at all (its traits)? */
#include "rules/rule.h"
#include "rules/list.h"

#include <netinet/in.h>
#include <string.h>

bool rule_holds(const struct rule *r, int64_t now_s)
{
	return !r->off && (r->expires_s == 0 || now_s < r->expires_s);
}

/* '*' any bytes but '/', "**" any bytes. Steps back are taken to the last star of each
 * kind only: what a later star matched first, an earlier one need not try again. */
bool path_glob_matches(const char *glob, const char *path)
{
	const char *one = NULL, *one_at = NULL, *two = NULL, *two_at = NULL;

	for (;;) {
		if (glob[0] == '*' && glob[1] == '*') {
			two = glob += 2;
			two_at = path;
			one = NULL;
		} else if (glob[0] == '*') {
			one = ++glob;
			one_at = path;
		} else if (*glob == *path) {
			if (!*glob)
				return true;
			glob++;
			path++;
		} else if (one && *one_at && *one_at != '/') {
			glob = one;
			path = ++one_at;
		} else if (two && *two_at) {
			glob = two;
			path = ++two_at;
			one = NULL;
		} else {
			return false;
		}
	}
}

/* '*' any bytes of one label */
bool host_glob_matches(const char *glob, const char *host)
{
	const char *star = NULL, *star_at = NULL;

	for (;;) {
		if (*glob == '*') {
			star = ++glob;
			star_at = host;
		} else if (*glob == *host) {
			if (!*glob)
				return true;
			glob++;
			host++;
		} else if (star && *star_at && *star_at != '.') {
			glob = star;
			host = ++star_at;
		} else {
			return false;
		}
	}
}

static bool paths_match(const struct who *w, const struct program *p)
{
	for (uint8_t i = 0; i < p->npaths; i++) {
		if (w->kind == WHO_PATH ? strcmp(w->path, p->paths[i]) == 0
					: path_glob_matches(w->path, p->paths[i]))
			return true;
	}
	return false;
}

bool who_matches(const struct rule *r, const struct program *p)
{
	const struct who *w = &r->who;

	/* who is not known is judged as the worst it could be: whatever denies anybody
	 * denies it, and only what speaks of everybody or of the unknown lets it */
	if (!p->known)
		return r->action == VERDICT_DENY || w->kind == WHO_UNKNOWN ||
			(w->kind == WHO_ANY && !w->user);
	if (w->user && w->uid != p->uid)
		return false;
	switch (w->kind) {
	case WHO_ANY:
		return true;
	case WHO_UNKNOWN:
		return false;
	case WHO_PATH:
	case WHO_GLOB:
		return paths_match(w, p);
	}
	return false;
}

bool what_matches_name(const struct what *w, const char *name)
{
	switch (w->kind) {
	case WHAT_HOST:
		return strcmp(w->name, name) == 0;
	case WHAT_DOMAIN:
		return host_covers(w->name, name) &&
			!(w->below_only && strcmp(w->name, name) == 0);
	case WHAT_GLOB:
		return host_glob_matches(w->name, name);
	case WHAT_LIST:
		return w->list && list_find_name(w->list, name, NULL);
	case WHAT_NET:
	case WHAT_AS:
	case WHAT_COUNTRY:
	case WHAT_CONTINENT:
	case WHAT_ZONE:
	case WHAT_ANY:
		break;
	}
	return false;
}

bool what_is_where(const struct what *w)
{
	return w->kind == WHAT_AS || w->kind == WHAT_COUNTRY ||
		w->kind == WHAT_CONTINENT;
}

/* private and local addresses are nowhere on the map, whatever a file says */
static bool what_matches_where(
	const struct what *w, const struct addr *addr, const struct geo_tag *geo)
{
	if (!addr || !geo || addr_zone(addr) != ZONE_INTERNET)
		return false;
	if (w->kind == WHAT_AS)
		return geo->asn == w->asn;
	return strcmp(w->kind == WHAT_COUNTRY ? geo->country : geo->continent, w->code) ==
		0;
}

bool what_matches_place(const struct what *w, const char *name, const struct addr *addr,
	const struct geo_tag *geo)
{
	switch (w->kind) {
	case WHAT_ANY:
		return true;
	case WHAT_ZONE:
		return addr && addr_zone(addr) == w->zone;
	case WHAT_NET:
		return addr && addr_in_range(addr, &w->lo, &w->hi);
	case WHAT_AS:
	case WHAT_COUNTRY:
	case WHAT_CONTINENT:
		return what_matches_where(w, addr, geo);
	case WHAT_LIST:
		if (addr && w->list && list_find_addr(w->list, addr, NULL))
			return true;
		break;
	case WHAT_HOST:
	case WHAT_DOMAIN:
	case WHAT_GLOB:
		break;
	}
	return name && what_matches_name(w, name);
}

bool proto_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_DCCP ||
		proto == IPPROTO_SCTP || proto == IPPROTO_UDPLITE;
}

bool proto_is(uint8_t of_rule, uint8_t proto)
{
	return of_rule == proto ||
		(of_rule == IPPROTO_ICMP && proto == IPPROTO_ICMPV6);
}

bool what_any_service(const struct what *w)
{
	return !w->nports && !w->proto;
}

bool what_matches_service(const struct what *w, uint8_t proto, uint16_t port)
{
	if (w->proto && !proto_is(w->proto, proto))
		return false;
	if (!w->nports)
		return true;
	/* ports begin at 1: one that is not known is in none */
	for (uint8_t i = 0; i < w->nports; i++)
		if (port >= w->ports[i].lo && port <= w->ports[i].hi)
			return true;
	return false;
}

/* the blocks that addr_zone does not call internet */
static const struct block {
	const char *net;
	uint8_t bits;
	enum zone zone;
} blocks[] = {
	{ "127.0.0.0", 8, ZONE_LOCALHOST },
	{ "0.0.0.0", 8, ZONE_LOCALHOST },
	{ "10.0.0.0", 8, ZONE_LAN },
	{ "172.16.0.0", 12, ZONE_LAN },
	{ "192.168.0.0", 16, ZONE_LAN },
	{ "169.254.0.0", 16, ZONE_LAN },
	{ "100.64.0.0", 10, ZONE_LAN },
	{ "224.0.0.0", 4, ZONE_MULTICAST },
	{ "255.255.255.255", 32, ZONE_MULTICAST },
	{ "::", 128, ZONE_LOCALHOST },
	{ "::1", 128, ZONE_LOCALHOST },
	{ "fc00::", 7, ZONE_LAN },
	{ "fe80::", 10, ZONE_LAN },
	{ "ff00::", 8, ZONE_MULTICAST },
	/* RFC 6052: the IPv4 blocks again */
	{ "64:ff9b::7f00:0", 104, ZONE_LOCALHOST },
	{ "64:ff9b::", 104, ZONE_LOCALHOST },
	{ "64:ff9b::a00:0", 104, ZONE_LAN },
	{ "64:ff9b::ac10:0", 108, ZONE_LAN },
	{ "64:ff9b::c0a8:0", 112, ZONE_LAN },
	{ "64:ff9b::a9fe:0", 112, ZONE_LAN },
	{ "64:ff9b::6440:0", 106, ZONE_LAN },
	{ "64:ff9b::e000:0", 100, ZONE_MULTICAST },
	{ "64:ff9b::ffff:ffff", 128, ZONE_MULTICAST },
};

static uint8_t net_zones(const struct what *w)
{
	uint8_t zones = 1 << ZONE_INTERNET;

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		const struct block *b = &blocks[i];
		struct addr net;
		bool lo, hi;

		if (addr_parse(b->net, &net) < 0 || net.family != w->lo.family)
			continue;
		lo = addr_in_prefix(&w->lo, &net, b->bits);
		hi = addr_in_prefix(&w->hi, &net, b->bits);
		if (lo && hi)
			return (uint8_t)(1 << b->zone);
		if (lo || hi || addr_in_range(&net, &w->lo, &w->hi))
			zones |= (uint8_t)(1 << b->zone);
	}
	return zones;
}

bool what_whole_zones(const struct what *w)
{
	return w->kind != WHAT_NET && !what_is_where(w) &&
		(w->kind != WHAT_LIST || !what_takes_nameless(w));
}

bool what_takes_nameless(const struct what *w)
{
	return !w->name || (w->kind == WHAT_LIST && w->list && list_has_ranges(w->list));
}

void rule_reach(struct rule *r)
{
	const struct what *w = &r->what;
	bool where = what_is_where(w);

	r->named = !what_takes_nameless(w);
	r->not_at_name = r->source == RULE_FACTORY && r->who.kind == WHO_ANY;
	if (w->kind == WHAT_NET)
		r->may = net_zones(w);
	else if (where)
		r->may = 1 << ZONE_INTERNET;
	else if (w->kind == WHAT_ZONE)
		r->may = (uint8_t)(1 << w->zone);
	else
		r->may = ZONES_ALL;
	r->sure = what_whole_zones(w) && what_any_service(w) ? r->may : 0;
}
