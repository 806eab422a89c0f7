/* SPDX-License-Identifier: GPL-2.0-or-later
 * dial.h - a TCP connection outwards while it is being made, under our own mark: our own
 * packets need no element. */
#ifndef GATE_DIAL_H
#define GATE_DIAL_H

#include "base/addr.h"

struct uv_loop_s;
struct dial;

/* done is called once, never before this returns: a connected descriptor, which is the
 * callee's, or -errno. The dial is gone then. */
int dial_open(struct uv_loop_s *loop, uint32_t mark, const struct addr *to, uint16_t port,
	void (*done)(void *ctx, int fd), void *ctx, struct dial **out);
void dial_close(struct dial *d); /* done is not called any more; NULL is fine */

#endif
