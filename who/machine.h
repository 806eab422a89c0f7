/* SPDX-License-Identifier: GPL-2.0-or-later
 * machine.h - facts about this machine that status and doctor tell. Reads a few files. */
#ifndef WHO_MACHINE_H
#define WHO_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

enum { MACHINE_TEXT_MAX = 512 };

/* Which other resolvers take queries of programs here, so that their programs cannot be
 * told: one sentence, or "" if there are none. A resolver counts if its socket is answered
 * (systemd-resolved: and /etc/nsswitch.conf sends names to it). root is put before every
 * path: "" for this machine. Returns out. */
const char *machine_resolvers(const char *root, char out[static MACHINE_TEXT_MAX]);

/* does the text of an nsswitch.conf name this service for hosts? (nsswitch.conf(5)) */
bool machine_nsswitch_has(const char *text, const char *service);

#endif
