/* SPDX-License-Identifier: GPL-2.0-or-later
 * supervisor.h - opens what must outlive a crash, runs the core and scupper-web, and starts
 * them again when they die. */
#ifndef CLI_SUPERVISOR_H
#define CLI_SUPERVISOR_H

#include "cli/conf.h"

/* Runs until SIGTERM or SIGINT. ready_fd >= 0 gets one byte when the daemon serves.
 * Returns an exit status: 0, or 1 with the reason on stderr. */
int supervisor_run(const struct conf *conf, int ready_fd);
/* takes away what a daemon that is gone left in the kernel; -errno, why */
int supervisor_down(const struct conf *conf, char *why, size_t why_max);

#endif
