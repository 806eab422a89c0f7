/* SPDX-License-Identifier: GPL-2.0-or-later
 * ask.h - one request to the kernel and its answer, by libmnl; blocking, five seconds at
 * most. For requests that are not batches: conntrack, NFLOG's set-up, rtnetlink. And the
 * reading of a netlink socket, for those who listen.
 * Errors: 0 or -errno, the kernel's own where it answered. */
#ifndef NFT_ASK_H
#define NFT_ASK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mnl_socket;
struct nlmsghdr;

struct ask {
	struct mnl_socket *nl;
	uint32_t seq;
};

enum { ASK_REQUEST_MAX = 1024 }; /* room for a request of ours */

/* gives 0 to go on; anything else ends the walk and is its result */
typedef int (*ask_message)(const struct nlmsghdr *message, void *ctx);

int ask_open(int bus, struct ask *out); /* NETLINK_NETFILTER, NETLINK_ROUTE */
void ask_close(struct ask *a);          /* a zeroed one is fine */
/* sends it, asking for an acknowledgement, and waits for that */
int ask_ack(struct ask *a, struct nlmsghdr *request);
/* likewise; each gets what comes before it */
int ask_get(struct ask *a, struct nlmsghdr *request, ask_message each, void *ctx);
/* Sends a request that is no dump; each gets what comes before the acknowledgement. */
int ask_one(struct ask *a, struct nlmsghdr *request, ask_message each, void *ctx);
/* Sends a dump request; each gets every message of the answer, and -errno from it ends the
 * dump (then close a). It may use another struct ask meanwhile, not this one. */
int ask_dump(struct ask *a, struct nlmsghdr *request, ask_message each, void *ctx);

/* One datagram from the kernel: its bytes, or -errno. What another process sent, as one
 * with CAP_NET_ADMIN may, is thrown away. */
ssize_t ask_receive(struct mnl_socket *nl, void *buf, size_t max);
/* Every whole message of a datagram (buf aligned as a message is). libmnl's own walk takes
 * a length of 2^31 or more for a short one. */
int ask_walk(const void *buf, size_t len, ask_message each, void *ctx);

#endif
