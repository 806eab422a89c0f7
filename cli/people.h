/* SPDX-License-Identifier: GPL-2.0-or-later
 * people.h - which users may ask scupper-web what, by the configuration and the system's
 * lists of users and groups as they are at this moment. */
#ifndef CLI_PEOPLE_H
#define CLI_PEOPLE_H

#include <stdbool.h>
#include <stdint.h>

struct conf;

enum { PEOPLE_MAX = 256 };

struct people_list {
	uint32_t uids[PEOPLE_MAX];
	unsigned n;
};

struct people {
	struct people_list admins;  /* users= and the members of group= */
	struct people_list readers; /* readers= */
	bool all_read;              /* readers=* */
};

/* names that are no user's, and those beyond PEOPLE_MAX, are left out: a warning */
void people_find(const struct conf *c, struct people *out);

#endif
