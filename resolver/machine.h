/* SPDX-License-Identifier: GPL-2.0-or-later
 * machine.h - this machine's name, addresses and way out, asked of the kernel: what
 * nss-myhostname knows. Nothing here waits for anybody. */
#ifndef RESOLVER_MACHINE_H
#define RESOLVER_MACHINE_H

#include "resolver/local.h"

void machine_look_name(struct machine *m);
/* addresses without loopback and IPv6 link-local ones; gateway and source of the way to
 * the internet (rtnetlink) */
void machine_look_addrs(struct machine *m);

#endif
