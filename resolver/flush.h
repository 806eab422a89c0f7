/* SPDX-License-Identifier: GPL-2.0-or-later
 * flush.h - taking names out of the cache without holding up the loop: a part of the table
 * each turn, one flush after another. */
#ifndef RESOLVER_FLUSH_H
#define RESOLVER_FLUSH_H

#include "resolver/cache.h"

struct uv_loop_s;
struct flushes;

int flushes_open(struct uv_loop_s *loop, struct cache *c, struct flushes **out); /* -ENOMEM */
void flushes_close(struct flushes *f); /* NULL is fine; done is not called any more */
/* see resolver_flush(); done may be NULL */
int flush_ask(struct flushes *f, const char *name, bool below, void (*done)(void *ctx),
	void *ctx);
/* everything, whatever else is waiting */
void flush_all(struct flushes *f);

#endif
