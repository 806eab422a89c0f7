/* SPDX-License-Identifier: GPL-2.0-or-later
 * persist.h - the cache's file: read at start and written now and then by a thread, and at
 * the end by the loop's own, so that a restart begins with what was known. Mode 0600: it
 * says what was asked for. A file of other servers, another version or a damaged one is said
 * and left alone until it is written over. */
#ifndef RESOLVER_PERSIST_H
#define RESOLVER_PERSIST_H

#include "resolver/cache.h"

struct uv_loop_s;
struct persist;

struct persist_conf {
	const char *path;         /* copied */
	uint64_t owner;           /* 0: there are no servers yet */
	struct ttl_limits ttl;
	void (*said)(void *ctx, const char *what); /* a sentence for the log; may be NULL */
	void *ctx;
};

int persist_open(struct uv_loop_s *loop, struct cache *cache, const struct persist_conf *conf,
	struct persist **out); /* -ENOMEM */
void persist_close(struct persist *p); /* NULL is fine */
/* the file was looked at, and what is in it is in the cache */
bool persist_settled(const struct persist *p);
/* Other servers: nothing of the cache or the file is true of them; what is read or written
 * now is dropped. The first ones there are may have a file. */
void persist_owner(struct persist *p, uint64_t owner);
/* Something was taken out of the cache on purpose: the file goes until the next is written. */
void persist_flushed(struct persist *p);

#endif
