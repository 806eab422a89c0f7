/* SPDX-License-Identifier: GPL-2.0-or-later
 * assets.h - what a browser says of the copies it has and the codings it takes
 * (RFC 9110 12.5.3, 13.1.2), and the choice made by it. Pure. */
#ifndef WEB_ASSETS_H
#define WEB_ASSETS_H

#include <stdbool.h>

/* Accept-Encoding, or NULL: may it be gzip? */
bool assets_takes_gzip(const char *accept);
/* If-None-Match, or NULL: is this one of them? etag with its quotes */
bool assets_has(const char *none_match, const char *etag);
/* does the name change with what it holds: main-5H5KM2MR.js? */
bool assets_lasting(const char *path);

#endif
