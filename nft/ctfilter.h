/* SPDX-License-Identifier: GPL-2.0-or-later
 * ctfilter.h - which conntrack events reach our socket at all: those of entries that bear
 * the instance's magic, but for flows redirected to its own listeners (a query is a flow of
 * its own; a flood of them is known to the resolver already). A classic socket filter. */
#ifndef NFT_CTFILTER_H
#define NFT_CTFILTER_H

#include "base/instance.h"

int ct_filter_attach(int fd, const struct instance *instance);

#endif
