/* SPDX-License-Identifier: GPL-2.0-or-later
 * filter.h - on, paused or blocked, and until when. Kept in a file of the state directory,
 * so that a restart, of the core or of the whole daemon, does not open what a person
 * blocked; what was paused for a time that is over is on again. */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include "web/link.h"

struct uv_loop_s;
struct filter;

/* changed is called on the loop when the time of a pause or block is over. -ENOMEM; an
 * unreadable file is logged and means on. */
int filter_open(struct uv_loop_s *loop, const char *state_dir,
	void (*changed)(void *ctx, enum link_filter_mode mode), void *ctx,
	struct filter **out);
void filter_close(struct filter *f); /* NULL is fine */
enum link_filter_mode filter_mode(const struct filter *f);
int64_t filter_until_s(const struct filter *f); /* Unix time, 0: until told otherwise */
/* -EINVAL: until_s is over already; -errno: it could not be kept, and nothing changed */
int filter_set(struct filter *f, enum link_filter_mode mode, int64_t until_s);

#endif
