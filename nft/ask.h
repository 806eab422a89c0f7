/* SPDX-License-Identifier: GPL-2.0-or-later
 * ask.h - one request to the kernel and its answer, by libmnl; blocking, five seconds at
 * most. For requests that are not batches: conntrack, NFLOG's set-up, rtnetlink.
 * Errors: 0 or -errno, the kernel's own where it answered. After a timeout close it: a
 * late answer would be taken for the next one's. */
#ifndef NFT_ASK_H
#define NFT_ASK_H

#include <stdint.h>

struct mnl_socket;
struct nlmsghdr;

struct ask {
	struct mnl_socket *nl;
	uint32_t seq;
};

enum { ASK_REQUEST_MAX = 1024 }; /* room for a request of ours */

int ask_open(int bus, struct ask *out); /* NETLINK_NETFILTER, NETLINK_ROUTE */
void ask_close(struct ask *a);          /* a zeroed one is fine */
/* sends it, asking for an acknowledgement, and waits for that */
int ask_ack(struct ask *a, struct nlmsghdr *request);
/* Sends a dump request; each gets every message of the answer and gives 0 or -errno,
 * which ends the dump. It may use another struct ask meanwhile, not this one. */
int ask_dump(struct ask *a, struct nlmsghdr *request,
	int (*each)(const struct nlmsghdr *message, void *ctx), void *ctx);

#endif
