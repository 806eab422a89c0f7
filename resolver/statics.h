/* SPDX-License-Identifier: GPL-2.0-or-later
 * statics.h - what the configuration says of names: records and rewrites of one's own, routes,
 * special-use names, search domains, and whose answers may lead into the local network.
 * Pure. Bounded: STATICS_MAX values in all. Everything is copied. */
#ifndef RESOLVER_STATICS_H
#define RESOLVER_STATICS_H

#include "resolver/route.h"

struct statics;

enum { STATICS_MAX = 1024, STATICS_TTL_S = 60, STATICS_WHY_MAX = 200, SEARCH_MAX = 16 };

/* one record of a name of ours; data in wire form, names in it not compressed */
struct static_record {
	struct static_record *next;
	uint32_t ttl;
	uint16_t type, len;
	uint8_t data[];
};

enum special_use { SPECIAL_UNSAID, SPECIAL_ASK, SPECIAL_NXDOMAIN, SPECIAL_NODATA };

int statics_new(struct statics **out); /* -ENOMEM */
void statics_free(struct statics *s);  /* NULL is fine */
/* One value of the key "record", "rewrite", "route", "search", "special", "rebind-allow" or
 * "single-label". -EINVAL and why it cannot be; -ENOMEM */
int statics_add(struct statics *s, const char *key, const char *value,
	char why[static STATICS_WHY_MAX]);
/* lines "KEY VALUE" that statics_add() took before */
int statics_parse(const char *text, struct statics **out);

/* Does it stand there, itself or by a wildcard? *records: what it has */
bool statics_find(const struct statics *s, const char *name,
	const struct static_record **records);
/* the name that stands for this one, or NULL; *ttl of that */
const char *statics_alias(const struct statics *s, const char *name, uint32_t *ttl);
/* the first name whose record has that address, or NULL */
const char *statics_name(const struct statics *s, const struct addr *addr);
/* of the longest suffix that something is said of; *labels how many it has */
enum special_use statics_special(const struct statics *s, const char *name,
	unsigned *labels);
bool statics_may_rebind(const struct statics *s, const char *name);
bool statics_single_label(const struct statics *s); /* ask servers for these too */
const struct route *statics_routes(const struct statics *s, size_t *n);
const char *statics_search(const struct statics *s, unsigned i); /* NULL behind the last */

#endif
