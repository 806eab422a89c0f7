/* SPDX-License-Identifier: GPL-2.0-or-later
 * geo.h - where an address is said to be: country, continent, city, network, from files in
 * the MaxMind format. A hint, not truth: one address may be served from many places, and
 * sources disagree on one in twenty.
 *
 * Up to three files; what one does not say another may (a city file has countries). Each
 * is copied whole, so that nobody who writes over it can harm us. Layouts:
 * GeoLite2's nested (country.iso_code), DB-IP's flat (country_code), IPinfo's (country,
 * asn "AS15169").
 *
 * A look-up in two files costs about a microsecond, most of it in the search tree; so there
 * is no cache before it (tests/bench/geo prints it).
 *
 * Ownership: a geo owns its files and copies every path given to it.
 * Threads:   one, but for geo_load_run, which may run anywhere beside the others.
 * Errors:    0 or -errno; on failure outputs are untouched. */
#ifndef GEO_GEO_H
#define GEO_GEO_H

#include "base/flow.h"

struct geo;
struct geo_load;

/* absolute paths; each may be NULL or "" */
struct geo_conf {
	const char *country, *city, *asn;
};

enum geo_kind { GEO_COUNTRY, GEO_CITY, GEO_ASN, GEO_KINDS };

struct geo_file {
	const char *path;    /* "" : none given; borrowed until the next geo_check */
	bool open;           /* a good one is in use */
	const char *type;    /* as the file calls itself */
	int64_t built_s;     /* Unix time */
	int error;           /* of the last attempt: 0 or -errno, -EBADMSG no such format.
			      * While open: a newer file is bad and the old one stays */
};

/* A file that is missing or bad is no error here: geo_file says so, and geo_check tries
 * again. -ENOMEM, -ENAMETOOLONG */
int geo_open(const struct geo_conf *conf, struct geo **out);
void geo_close(struct geo *g); /* NULL is fine */

/* what is known of an address, "" and 0 for the rest. 0; -ENOENT: nothing (or g is NULL);
 * -EBADMSG: a file turned out to be damaged there, and no other knew */
int geo_find(const struct geo *g, const struct addr *a, struct geo_tag *out);
void geo_file(const struct geo *g, enum geo_kind kind, struct geo_file *out);
/* "FILE (built 2026-06-01)", with what is wrong behind it, or "" without a file */
void geo_file_text(const struct geo *g, enum geo_kind kind, char *out, size_t max);

/* Files that changed are read anew, the new one before the old one goes; true if any was
 * taken, or found bad or missing for the first time. */
bool geo_check(struct geo *g);
/* The same in three steps, for a loop that must not wait for a disk: new (NULL: nothing
 * changed, or no memory), run (in a thread), then take, which frees it */
struct geo_load *geo_load_new(const struct geo *g);
void geo_load_run(struct geo_load *l);
bool geo_load_take(struct geo *g, struct geo_load *l);
void geo_load_free(struct geo_load *l); /* one that is not taken; NULL is fine */

/* the continent of a country (ISO 3166-1 alpha-2), or "" */
const char *geo_continent(const char *country);

#endif
