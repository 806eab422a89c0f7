/* SPDX-License-Identifier: GPL-2.0-or-later
 * mmdb.h - reading the MaxMind DB format, version 2, from memory. Pure.
 * https://maxmind.github.io/MaxMind-DB/
 *
 * Written out rather than taken from libmaxminddb: Debian 12's 1.7.1 recurses as deep as
 * a file nests and maps the file itself, so that a crafted file overflows the stack and
 * one that is written over in place ends the process by SIGBUS. Here every read is
 * bounded by the bytes given, every look-up by a count of values, and nothing recurses.
 *
 * Ownership: a database borrows its bytes.
 * Errors:    -EBADMSG for bytes that are no such file, or one that is cut or damaged;
 *            -ENOENT where nothing is known. On failure outputs are untouched. */
#ifndef GEO_MMDB_H
#define GEO_MMDB_H

#include "base/addr.h"

enum { MMDB_TYPE_MAX = 64 };

struct mmdb {
	const uint8_t *tree, *data;
	size_t data_len;
	uint32_t nodes;
	uint32_t root4;              /* where IPv4 begins: a record, not always a node */
	uint16_t record_bits, ip_version;
	int64_t built_s;
	char type[MMDB_TYPE_MAX];    /* as the file calls itself: "GeoLite2-Country" */
};

enum mmdb_kind { MMDB_TEXT, MMDB_NUMBER, MMDB_OTHER };

struct mmdb_value {
	enum mmdb_kind kind;
	const char *text;            /* borrowed, not terminated, any bytes */
	size_t len;
	uint64_t number;             /* of an unsigned integer of up to 64 bits */
};

int mmdb_init(const void *bytes, size_t len, struct mmdb *out);
/* the record of this address, for mmdb_get */
int mmdb_find(const struct mmdb *db, const struct addr *a, uint32_t *record);
/* the value that these keys lead to, one map below another; the path ends with a NULL */
int mmdb_get(const struct mmdb *db, uint32_t record, const char *const path[],
	struct mmdb_value *out);

#endif
