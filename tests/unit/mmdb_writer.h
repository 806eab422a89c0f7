/* SPDX-License-Identifier: GPL-2.0-or-later
 * mmdb_writer.h - a file in the MaxMind DB format, byte for byte: for tests alone, which
 * want every layout and record size, and values that no well-behaved writer makes.
 * Values are put one behind another into the data section, then ranges of addresses are
 * led to the place where one begins; a later range lies over an earlier one.
 * Errors: no memory makes the writer bad, and writer_finish says so. */
#ifndef TESTS_UNIT_MMDB_WRITER_H
#define TESTS_UNIT_MMDB_WRITER_H

#include "base/addr.h"

struct writer;

/* ip_version 4 or 6 (IPv4 then stands below 96 zero bits) */
struct writer *writer_new(unsigned ip_version);
void writer_free(struct writer *w); /* NULL is fine */

/* where the next value begins: what ranges and pointers lead to */
uint32_t writer_here(const struct writer *w);
void writer_map(struct writer *w, uint32_t pairs); /* then key, value, key, value ... */
void writer_text(struct writer *w, const char *s, size_t len);
void writer_u32(struct writer *w, uint32_t v);
void writer_double(struct writer *w, double v);
void writer_float(struct writer *w, float v);
void writer_pointer(struct writer *w, uint32_t to);
void writer_raw(struct writer *w, const void *bytes, size_t len);

/* -EINVAL: not of one family, the wrong way round, or IPv6 in an IPv4 file */
int writer_range(struct writer *w, const struct addr *lo, const struct addr *hi,
	uint32_t value);

struct writer_about {
	const char *type, *description;
	int64_t built_s;
	unsigned record_bits; /* 24, 28, 32; 0: the smallest that will do */
};
/* the caller frees *out; -ENOMEM, -EFBIG: too much for the record size */
int writer_finish(struct writer *w, const struct writer_about *about, uint8_t **out,
	size_t *len);

#endif
