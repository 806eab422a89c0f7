/* SPDX-License-Identifier: GPL-2.0-or-later
 * here.h - what is answered on this machine, kept fresh: the hosts file (looked at once a
 * second at most), the machine's name and addresses, and the configuration's own names. */
#ifndef RESOLVER_HERE_H
#define RESOLVER_HERE_H

#include "resolver/local.h"

struct here;

/* hosts: the file's path. statics: borrowed */
int here_open(const char *hosts, const struct statics *statics, struct here **out);
void here_close(struct here *h);
/* as it stands now; routes and public are the caller's to fill in. Good until the next call */
struct local *here_now(struct here *h);
void here_look_machine(struct here *h); /* its addresses too */

#endif
