/* SPDX-License-Identifier: GPL-2.0-or-later
 * cgroup.h - where cgroup2 is mounted, and making and ending a cgroup of our own. */
#ifndef CLI_CGROUP_H
#define CLI_CGROUP_H

#include <stddef.h>

/* the cgroup2 mount: /sys/fs/cgroup, or .../unified on hybrid systems. -ENOENT */
int cgroup_mount(char *out, size_t max);
/* the directory of the cgroup we are in */
int cgroup_own(char *out, size_t max);
/* absolute path of a scope as the configuration names it */
int cgroup_path(const char *scope, char *out, size_t max);
int cgroup_make(const char *path);                 /* absolute; -errno */
int cgroup_join(const char *path, int pid);        /* 0: ourselves */
/* ends every process in it (SIGKILL), then removes it; bounded in time */
int cgroup_end(const char *path);

#endif
