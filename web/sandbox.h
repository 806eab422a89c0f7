/* SPDX-License-Identifier: GPL-2.0-or-later
 * sandbox.h - what the process that reads HTTP may do: nothing but talk over what it has. */
#ifndef WEB_SANDBOX_H
#define WEB_SANDBOX_H

#include <sys/types.h>

/* Keeps the n descriptors of keep (they become 3, 4, ...; *keep[i] is changed) and stderr;
 * 0 and 1 become /dev/null; all others are closed. 0 or -errno */
int sandbox_close_others(int *const keep[], int n);
/* Last of all, before the loop: other user ((uid_t)-1: the same), no groups, no
 * capabilities, no new privileges, not dumpable, seccomp. What is not on its list gives
 * EPERM, starting a program ends the process. 0 or -errno */
int sandbox_enter(uid_t uid, gid_t gid);

#endif
