/* SPDX-License-Identifier: GPL-2.0-or-later
 * acct.h - conntrack counts bytes only where nf_conntrack_acct says so. It is one switch for
 * the whole network namespace, so the daemons that guard it share it: the first sets it, the
 * last puts it back as the first found it. Who they are stands in a file below /run. Needs
 * root. */
#ifndef CLI_ACCT_H
#define CLI_ACCT_H

#include "base/instance.h"

/* true: it counts from now on */
bool acct_start(const struct instance *i);
/* also for a daemon that is gone; does nothing if it never started */
void acct_stop(const struct instance *i);

#endif
