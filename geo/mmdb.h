/* SPDX-License-Identifier: GPL-2.0-or-later
 * mmdb.h - one database in the MaxMind format, read by libmaxminddb from a copy that
 * nobody can cut under it. https://maxmind.github.io/MaxMind-DB/
 *
 * Ownership: a database owns its copy; texts are borrowed from it.
 * Threads:   reading changes nothing: any number may at once.
 * Errors:    -EBADMSG for bytes that are no such file, or one that is cut or damaged;
 *            -ENOENT where nothing is known. On failure outputs are untouched. */
#ifndef GEO_MMDB_H
#define GEO_MMDB_H

#include "base/addr.h"

#include <maxminddb.h>
#include <stddef.h>

struct mmdb {
	MMDB_s lib;
};

enum mmdb_kind { MMDB_NONE, MMDB_TEXT, MMDB_NUMBER, MMDB_MAP, MMDB_OTHER };

struct mmdb_value {
	enum mmdb_kind kind;
	const char *text;            /* borrowed, not terminated, any bytes */
	size_t len;
	uint64_t number;             /* of an unsigned integer of up to 64 bits */
	uint32_t map;                /* for mmdb_get */
};

/* copies what the file has from where it stands; -EFBIG: more than max, -EIO, -ENOMEM ... */
int mmdb_open(int fd, size_t max, struct mmdb *out);
void mmdb_close(struct mmdb *db);
const char *mmdb_type(const struct mmdb *db); /* as the file calls itself */
int64_t mmdb_built_s(const struct mmdb *db);

/* the record of this address */
int mmdb_find(const struct mmdb *db, const struct addr *a, uint32_t *record);
/* What the record's map has under each of these n keys, MMDB_NONE where it
 * has nothing; the first of a key counts. One pass, since most keys of most layouts are
 * not there. 0; -EBADMSG: damaged, and *out has what stood before that */
int mmdb_read(const struct mmdb *db, uint32_t record, const char *const keys[], size_t n,
	struct mmdb_value *out);
/* the value that these keys lead to, from a map on; the path ends with a NULL */
int mmdb_get(const struct mmdb *db, uint32_t map, const char *const path[],
	struct mmdb_value *out);

#endif
