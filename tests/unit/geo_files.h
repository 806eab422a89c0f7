/* SPDX-License-Identifier: GPL-2.0-or-later
 * geo_files.h - small databases in the layouts that are met, for tests. */
#ifndef TESTS_UNIT_GEO_FILES_H
#define TESTS_UNIT_GEO_FILES_H

#include "mmdb_writer.h"

/* keys by dots, values: text, or "#" and a number; "country.iso_code=NL asn=#13335" */
void geo_value(struct writer *w, const char *facts);
/* the file with these facts for each range "FIRST-LAST"; the caller frees */
uint8_t *geo_file_bytes(unsigned ip_version, unsigned record_bits,
	const char *const ranges[][2], size_t n, size_t *len);
/* a file without a name that has these bytes, to be read from its beginning */
int geo_file_fd(const void *bytes, size_t len);

#endif
