/* SPDX-License-Identifier: GPL-2.0-or-later
 * The core's half of struct who: tables, ring, sweep. Made in the core, from what it
 * inherited; a core that comes after another finds everything in the kernel again. */
#include "who/state.h"

#include "base/macros.h"

#include <errno.h>

int who_start(struct who *w, struct uv_loop_s *loop, const struct who_calls *calls)
{
	int r;

	w->loop = loop;
	w->calls = *calls;
	r = identity_init(w);
	if (who_by_key(w))
		return r;
	if (r == 0)
		r = images_init(w);
	if (r == 0)
		r = processes_init(&w->processes);
	if (r == 0)
		r = sweep_init(w);
	if (r == 0)
		r = news_start(w);
	if (r == 0)
		r = frames_watch(w);
	if (r < 0)
		who_stop(w);
	return r;
}

struct adopt **who_adopting(struct who *w)
{
	return &w->adopting;
}

void who_stop(struct who *w)
{
	adopt_stop(w->adopting);
	w->adopting = NULL;
	frames_unwatch(w);
	news_stop(w);
	sweep_done(w);
	identity_done(w);
	images_done(w);
	processes_done(w->processes);
	w->processes = NULL;
	w->loop = NULL;
}
