/* SPDX-License-Identifier: GPL-2.0-or-later
 * listfile.h - the compiled file's layout: for list.c, which reads, and listmake.c, which
 * writes. Numbers are this machine's: the file is not carried to another. */
#ifndef RULES_LISTFILE_H
#define RULES_LISTFILE_H

#include "rules/list.h"

#include <endian.h>
#include <string.h>

#define LISTFILE_MAGIC 0x0a3174736c637573u /* "suclst1\n", and the byte order with it */

enum { LISTFILE_VERSION = 2, LISTFILE_ENTRIES_MAX = 20000000 };

/* what an entry says, the low bits of its fingerprint's word */
enum {
	LIST_SELF = 1,
	LIST_BELOW = 2,
	LIST_NOT_SELF = 4,   /* exceptions */
	LIST_NOT_BELOW = 8,
	LIST_SAYS = 15,
};

/* flags of the head */
enum { LISTFILE_NEAREST = 1 }; /* the longest entry decides (RPZ), else any exception */

struct listfile_range4 {
	uint32_t lo, hi; /* host order; both belong to it */
};

struct listfile_range6 {
	uint8_t lo[16], hi[16];
};

/* Behind it, each 8-byte aligned: filter (1 << filter_bits words of 64 bits), slots (words
 * of 64 bits: fingerprint and what the entry says, or 0), lines (numbers of 32 bits, one for
 * each slot), ranges4, ranges6. Fingerprints ascend, none before its home; what finds its
 * home taken stands in the next free slot. */
struct listfile_head {
	uint64_t magic;
	uint32_t version, flags;
	uint64_t length;       /* of all, head and all */
	uint64_t sum;          /* of all but this field */
	uint64_t point;        /* where the polynomial is evaluated */
	uint32_t filter_bits;
	uint32_t homes, slots; /* slots: those behind the last home too */
	uint32_t ranges4, ranges6, zero;
	struct list_info info; /* info.names entries */
};

struct listfile_parts {
	size_t filter, slots, lines, ranges4, ranges6, end;
};

/* where the parts are; false: the numbers cannot be */
bool listfile_layout(const struct listfile_head *h, struct listfile_parts *out);
uint64_t listfile_sum(const void *bytes, size_t len);

/* --- the hash, one label after the other from the right --- */
#define LISTFILE_PRIME (((uint64_t)1 << 61) - 1)

static inline uint64_t listfile_step(uint64_t h, uint64_t point, uint64_t word)
{
	unsigned __int128 v = (unsigned __int128)h * point + word;
	uint64_t r = (uint64_t)(v & LISTFILE_PRIME) + (uint64_t)(v >> 61);

	return r >= LISTFILE_PRIME ? r - LISTFILE_PRIME : r;
}

enum { LISTFILE_SLACK = 8 }; /* bytes that may be read behind a name */

/* its length, then seven bytes at a time: no two rows of labels give the same words. Eight
 * bytes are read at a time: they must be there */
static inline uint64_t listfile_label(uint64_t h, uint64_t point, const char *s, size_t n)
{
	uint64_t word;

	h = listfile_step(h, point, n + 1);
	for (; n > 7; n -= 7, s += 7) {
		memcpy(&word, s, 8);
		h = listfile_step(h, point, (le64toh(word) & ~(uint64_t)0 >> 8) + 1);
	}
	memcpy(&word, s, 8);
	return listfile_step(h, point, (le64toh(word) & (((uint64_t)1 << 8 * n) - 1)) + 1);
}

/* spread over 64 bits without losing any */
static inline uint64_t listfile_spread(uint64_t h)
{
	h *= 0x9e3779b97f4a7c15u;
	h ^= h >> 32;
	return h * 0xd6e8feb86659fd93u;
}

/* three bits of one word */
static inline uint64_t listfile_filter_mask(uint64_t print)
{
	return (uint64_t)1 << (print >> 4 & 63) | (uint64_t)1 << (print >> 10 & 63) |
		(uint64_t)1 << (print >> 16 & 63);
}

static inline size_t listfile_home(uint64_t print, uint32_t homes)
{
	return (size_t)((print >> 32) * homes >> 32);
}

static inline size_t listfile_top(uint64_t print, unsigned bits)
{
	return bits ? (size_t)(print >> (64 - bits)) : 0;
}

#endif
