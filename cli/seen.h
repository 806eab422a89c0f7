/* SPDX-License-Identifier: GPL-2.0-or-later
 * seen.h - which programs (path and user) were met before, over restarts: a file of hashes
 * in the state directory, the newest last. At most SEEN_MAX; when it is full the older half
 * is forgotten. A hash that two programs share costs one of them its notice. */
#ifndef CLI_SEEN_H
#define CLI_SEEN_H

#include <stdbool.h>
#include <stdint.h>

enum { SEEN_MAX = 32768 };

struct seen;

/* -ENOMEM; an unreadable file is an empty one */
int seen_open(const char *path, struct seen **out);
void seen_close(struct seen *s); /* NULL is fine */
/* true: never met before; it is from now on */
bool seen_first(struct seen *s, const char *path, uint32_t uid);

#endif
