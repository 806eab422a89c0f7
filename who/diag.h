/* SPDX-License-Identifier: GPL-2.0-or-later
 * diag.h - whose is this connection? Exact NETLINK_SOCK_DIAG requests (linux/inet_diag.h)
 * and /proc; ending sockets (SOCK_DESTROY). For basic mode, for peers that were not
 * redirected, for the web process, and for "who holds port 53?". A struct diag is one
 * netlink socket; use it from one thread. Needs CAP_NET_ADMIN to see marks and to end. */
#ifndef WHO_DIAG_H
#define WHO_DIAG_H

#include "base/addr.h"

#include <stdbool.h>

struct diag;

struct diag_tuple { /* as the socket of the asked-for side sees it */
	struct addr local, peer;
	uint16_t lport, pport;
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	uint32_t ifindex; /* a socket bound to a device is found with that device only; 0 none */
};

struct diag_socket {
	uint32_t uid, inode, mark;
	uint64_t cookie;
	uint8_t state;  /* include/net/tcp_states.h; connected UDP is 1, unconnected 7 */
	bool has_mark;  /* the kernel told us the mark: needs CAP_NET_ADMIN */
};

/* what went through a TCP connection since it began (tcp_info): IP bytes as they cross a wire
 * whose packets hold one segment each, handshake and our repetitions included; what the other
 * side sent twice is in the packets and their headers alone */
struct diag_traffic {
	uint64_t rx, tx, rx_packets, tx_packets;
};

int diag_open(struct diag **out);
void diag_close(struct diag *d); /* NULL is fine */
/* -ENOENT: nobody's (other namespace, gone, closing). For UDP the kernel looks from the
 * receiving side: an unconnected sender is found by its local port. inode 0: no process
 * has it open (not accepted yet, or closed with data under way); uid says nothing then.
 * Waits for the kernel alone: microseconds. */
int diag_find(struct diag *d, const struct diag_tuple *t, struct diag_socket *out);
/* of a TCP connection, as diag_find; -ENODATA: the kernel does not say (before Linux 4.2) */
int diag_count(struct diag *d, const struct diag_tuple *t, struct diag_traffic *out);
/* of an own socket (TCP_INFO) */
int diag_count_own(int fd, uint8_t family, struct diag_traffic *out);
/* does anybody listen (TCP) where a connection to this address and port would end? */
bool diag_listens(struct diag *d, const struct addr *at, uint16_t port);
/* pid that has the socket inode open: tgid, or -ENOENT. prefer: looked at first, or 0.
 * cgroup: only below it (a cgroup2 directory), or NULL. The first that is found: several
 * may hold one. Walks /proc: milliseconds; never on the loop in BPF mode. */
int diag_inode_owner(uint32_t inode, int32_t prefer, const char *cgroup, int32_t *pid);
/* who listens there: "systemd-resolved (pid 411)" for a message; -ENOENT. Counts whoever
 * would be in the way of a bind: listeners of every address too, and if at is 0.0.0.0 or
 * :: listeners of any. */
int diag_listener(const struct addr *at, uint16_t port, uint8_t proto, char *out, size_t max);

/* end every TCP and connected UDP socket whose mark (masked) is mark and, if peer is not
 * NULL, whose peer it is, and if port is not 0, whose peer port it is. Returns how many, or
 * -errno if the first could not be (EOPNOTSUPP: a kernel without CONFIG_INET_DIAG_DESTROY).
 * Listeners and unconnected UDP sockets have no peer and stay. An MPTCP connection is ended
 * by its subflows. The owner sees ECONNABORTED, TCP's other side a reset. Walks the table of
 * connections: a millisecond or so in the kernel; for a thread that may wait. */
int diag_end(struct diag *d, uint32_t mark, uint32_t mask, const struct addr *peer,
	uint16_t port);
/* ends this one socket; -ENOENT or -ESTALE: it is gone, or another has its addresses */
int diag_end_one(struct diag *d, const struct diag_tuple *t, uint64_t cookie);

#endif
