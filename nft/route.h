/* SPDX-License-Identifier: GPL-2.0-or-later
 * route.h - the local routes of our IPv6 prefixes, in a routing table of their own with a
 * rule `iif lo` (in the main table the LAN would reach the listener). rtnetlink by libmnl,
 * blocking, for the supervisor. Needs CAP_NET_ADMIN. */
#ifndef NFT_ROUTE_H
#define NFT_ROUTE_H

#include "base/instance.h"

/* lo must be up. Each instance has its own table and rule: others' stay as they are. */
int route_add(const struct instance *instance);    /* again is fine */
int route_remove(const struct instance *instance); /* absent is fine */
bool route_ipv6(void); /* does this namespace have IPv6 at all: is ::1 here? */

#endif
