/* SPDX-License-Identifier: GPL-2.0-or-later
 * cachefile.h - what the cache knows as bytes, for the next process. Pure.
 * Layout, in network order: 8 bytes magic with the version, 8 of the owner, 8 when it was
 * written, 4 how many entries; then each entry: 8 when it was stored, 1 flags, 2 length, the
 * message; last 32 bytes SHA-256 of all before. Times are Unix time in ms: a machine's boot
 * does not outlive it. What cannot be is refused as a whole, with a reason for people. */
#ifndef RESOLVER_CACHEFILE_H
#define RESOLVER_CACHEFILE_H

#include "resolver/cache.h"

enum { CACHEFILE_ENTRIES_MAX = 10000, CACHEFILE_MAX = 16 << 20 };

/* who may believe it, and what time it is */
struct cachefile_now {
	uint64_t owner;           /* the servers it came from, and whose cache it is */
	int64_t unix_ms, boot_ms;
};

/* list as cache_kept() gives it. Stops before CACHEFILE_MAX. *out is the caller's to free;
 * -ENOMEM, -EIO. Threads: any, while the answers are held. */
int cachefile_write(const struct cache_kept *list, size_t n, const struct cachefile_now *now,
	uint8_t **out, size_t *len);
/* The list in the order in which it was used, the latest last; stored_ms is boot time again.
 * Each answer is the caller's to release. -EBADMSG, -ESTALE (another owner's), -ENOMEM, with
 * *why. Entries that cannot be (stored in the future, no answer) are left out. */
int cachefile_read(const uint8_t *bytes, size_t len, const struct cachefile_now *now,
	const struct ttl_limits *limits, struct cache_kept **out, size_t *n,
	const char **why);
void cachefile_free(struct cache_kept *list, size_t n); /* and releases the answers */

#endif
