/* SPDX-License-Identifier: GPL-2.0-or-later
 * hosts.h - what a hosts file says (hosts(5)): names to addresses and back. Pure.
 * Bounded: HOSTS_MAX pairs, the rest of the file is left out. */
#ifndef RESOLVER_HOSTS_H
#define RESOLVER_HOSTS_H

#include "base/addr.h"
#include "base/host.h"

struct hosts;

enum { HOSTS_MAX = 65536, HOSTS_ADDRS_MAX = 16 };

int hosts_parse(const char *text, size_t len, struct hosts **out); /* -ENOMEM */
void hosts_free(struct hosts *h);                                  /* NULL is fine */
bool hosts_has(const struct hosts *h, const char *name);
/* addresses of name of that family (0: any), at most HOSTS_ADDRS_MAX; how many */
unsigned hosts_addrs(const struct hosts *h, const char *name, uint8_t family,
	struct addr out[static HOSTS_ADDRS_MAX]);
/* the first name written beside addr, or NULL */
const char *hosts_name(const struct hosts *h, const struct addr *addr);

#endif
