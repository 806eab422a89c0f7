/* SPDX-License-Identifier: GPL-2.0-or-later
 * atlas.h - the files that geo/ reads: where they are, and taking new ones as they come.
 * On the loop; files are read at open, and later ones by a thread of libuv's. */
#ifndef CLI_ATLAS_H
#define CLI_ATLAS_H

#include "cli/conf.h"
#include "geo/geo.h"

struct uv_loop_s;
struct atlas;

/* changed: what addresses are said to be may be different from now on */
int atlas_open(struct uv_loop_s *loop, const struct conf *conf,
	void (*changed)(void *ctx), void *ctx, struct atlas **out);
void atlas_close(struct atlas *a); /* NULL is fine; memory goes with the loop's next turns */
const struct geo *atlas_geo(const struct atlas *a); /* NULL for NULL; stays the same */
void atlas_check(struct atlas *a); /* now, not in up to a minute; NULL is fine */
bool atlas_empty(const struct atlas *a); /* no file is open */

/* Where a file is: as configured, else the user's own GeoLite2, else what was installed
 * with us, else what was built (beside the executable). "" if nowhere. root is put before
 * each place, for tests; "" for the machine's own. */
void atlas_find(enum geo_kind kind, const char *configured, const char *root,
	char out[static CONF_PATH_MAX]);

#endif
