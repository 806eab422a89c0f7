/* SPDX-License-Identifier: GPL-2.0-or-later
 * users.h - names of uids, read once from /etc/passwd before the process gives up the right
 * to open files. Users of other sources, and those made later, have no name here. */
#ifndef WEB_USERS_H
#define WEB_USERS_H

#include <stdint.h>

enum { USERS_MAX = 4096, USERS_NAME_MAX = 40 };

struct users;

int users_load(const char *path, struct users **out); /* -errno */
void users_free(struct users *u);                     /* NULL is fine */
const char *users_name(const struct users *u, uint32_t uid); /* or NULL; u may be NULL */

#endif
