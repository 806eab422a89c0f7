/* SPDX-License-Identifier: GPL-2.0-or-later
 * local.h - names that are answered without asking anybody, in this order: localhost; records
 * and rewrites of the configuration; the hosts file; this machine's own name, _gateway and
 * _outbound; special use (RFC 6761, 6762, 7686, 8375, 9462, 9476); names of one label; and
 * reverse names of all of these. Pure. */
#ifndef RESOLVER_LOCAL_H
#define RESOLVER_LOCAL_H

#include "resolver/hosts.h"
#include "resolver/route.h"
#include "resolver/statics.h"
#include "resolver/wire.h"

enum { MACHINE_ADDRS_MAX = 64 };

/* what this machine is called, and where it stands; family 0: none */
struct machine {
	char host[HOST_MAX], label[HOST_MAX]; /* "a.example" and "a"; "": none */
	struct addr addrs[MACHINE_ADDRS_MAX];
	unsigned naddrs;
	struct addr gateway[2], outbound[2];  /* v4, v6 */
};

/* borrowed; all may be NULL or empty */
struct local {
	const struct hosts *hosts;
	const struct statics *statics;
	const struct machine *machine;
	const struct route *routes;
	size_t nroutes;
	bool public; /* the usual servers are not of this network */
};

/* The reply's length, 0 if the name is not local, -ENOSPC. A name that was rewritten to one
 * that is not local is not either. */
int local_answer(const struct local *l, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room);
/* are the machine's addresses needed to answer that? */
bool local_wants_machine(const struct local *l, const struct wire_query *q);
/* does it lead to this machine and nowhere else? */
bool local_is_own(const struct local *l, const char *name);

#endif
