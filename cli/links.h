/* SPDX-License-Identifier: GPL-2.0-or-later
 * links.h - what systemd-networkd, systemd-resolved and NetworkManager say of DNS, per link:
 * servers, the domains that are asked of them, and domains to search. Read from their files
 * below /run; nothing is asked of them. Bounded: what is over a maximum is left out. */
#ifndef CLI_LINKS_H
#define CLI_LINKS_H

#include "resolver/statics.h"

enum { LINKS_MAX = 64 };

struct links {
	struct route *routes;                   /* owned */
	size_t nroutes;
	struct upstream usual[UPSTREAMS_MAX];   /* of links with the domain "~." */
	size_t nusual;
	struct upstream aside[LINKS_MAX];       /* only for their own domains */
	size_t naside;
	char search[SEARCH_MAX][HOST_MAX];
	size_t nsearch;
};

/* everything read anew from below root ("" but in tests); links_done() when done. -ENOMEM */
int links_read(const char *root, struct links *out);
void links_done(struct links *l);
/* changes whenever one of the files does */
uint64_t links_stamp(const char *root);

#endif
