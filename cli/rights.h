/* SPDX-License-Identifier: GPL-2.0-or-later
 * rights.h - what the core may do once it runs: the user `scupper` where there is one, six
 * capabilities, no new privileges, and no system call that starts another program. */
#ifndef CLI_RIGHTS_H
#define CLI_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct rights {
	uid_t uid;
	gid_t gid;
	bool own_user; /* the user scupper exists */
};

/* who the core will be; the group named in [web] for the control socket */
void rights_find(struct rights *out);
gid_t rights_group(const char *name); /* (gid_t)-1 if there is none */
/* the core drops everything else; -errno, why in a sentence */
int rights_drop(const struct rights *r, char *why, size_t why_max);

#endif
