/* SPDX-License-Identifier: GPL-2.0-or-later
 * proxy.h - the transparent proxy: TCP that no set admits, redirected here by the table. */
#ifndef GATE_PROXY_H
#define GATE_PROXY_H

#include "gate/gate.h"

struct proxy;

enum { PROXY_LISTENERS_MAX = 2 };

/* connections of a core before us are told as ended */
int proxy_open(struct gate *g, struct proxy **out);
/* a listening socket, non-blocking, which stays the caller's */
int proxy_listen(struct proxy *x, int fd);
void proxy_close(struct proxy *x); /* connections under way are reset; NULL is fine */
/* the rules changed: what they allow no more is reset. NULL is fine here and below */
void proxy_review(struct proxy *x);
/* Connections that moved since the last time, some at once, from the newest on: how many.
 * *below is UINT64_MAX at first, and 0 when that was all. */
unsigned proxy_counts(struct proxy *x, uint64_t *below,
	struct flow_count out[static GATE_COUNTS_MAX]);

#endif
