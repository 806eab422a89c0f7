/* SPDX-License-Identifier: GPL-2.0-or-later
 * diag.h - whose is this connection? Exact NETLINK_SOCK_DIAG requests (linux/inet_diag.h)
 * and /proc; ending sockets (SOCK_DESTROY). For basic mode, for peers that were not
 * redirected, for the web process, and for "who holds port 53?". A struct diag is one
 * netlink socket; use it from one thread. Needs CAP_NET_ADMIN to see marks and to end. */
#ifndef WHO_DIAG_H
#define WHO_DIAG_H

#include "base/addr.h"

struct diag;

struct diag_tuple { /* as the socket of the asked-for side sees it */
	struct addr local, peer;
	uint16_t lport, pport;
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
};

struct diag_socket {
	uint32_t uid, inode, mark;
	uint64_t cookie;
	uint8_t state;
};

int diag_open(struct diag **out);
void diag_close(struct diag *d);
/* -ENOENT: nobody's (other namespace, gone). For UDP the kernel looks from the receiving
 * side: an unconnected sender is found by its local port. */
int diag_find(struct diag *d, const struct diag_tuple *t, struct diag_socket *out);
/* pid that has the socket inode open: tgid, or -ENOENT. prefer: looked at first, or 0.
 * cgroup: only below it, or NULL. Walks /proc: milliseconds; never on the loop in BPF mode. */
int diag_inode_owner(uint32_t inode, int32_t prefer, const char *cgroup, int32_t *pid);
/* who listens there: "systemd-resolved (pid 411)" for a message; -ENOENT */
int diag_listener(const struct addr *at, uint16_t port, uint8_t proto, char *out, size_t max);

/* end every TCP and connected UDP socket whose mark (masked) is mark and, if peer is not
 * NULL, whose peer it is, and if port is not 0, whose peer port it is. Returns how many. */
int diag_end(struct diag *d, uint32_t mark, uint32_t mask, const struct addr *peer,
	uint16_t port);

#endif
