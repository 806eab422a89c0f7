/* SPDX-License-Identifier: GPL-2.0-or-later
 * tag.h - what one record of a database says, in whichever layout. Pure. */
#ifndef GEO_TAG_H
#define GEO_TAG_H

#include "base/flow.h"
#include "geo/mmdb.h"

/* Fills what is still empty in *tag. 0: something was known, -ENOENT: nothing, -EBADMSG */
int tag_read(const struct mmdb *db, const struct addr *a, struct geo_tag *tag);

#endif
