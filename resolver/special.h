/* SPDX-License-Identifier: GPL-2.0-or-later
 * special.h - special-use names and names of one label: which of them are not asked of the
 * usual servers (RFC 6761, 6762, 6303, 7686, 8375, 9462, 9476). Pure. */
#ifndef RESOLVER_SPECIAL_H
#define RESOLVER_SPECIAL_H

#include "resolver/local.h"

/* SPECIAL_NXDOMAIN, SPECIAL_NODATA, or SPECIAL_ASK */
enum special_use special_of(const struct local *l, const char *name, uint16_t type);

#endif
