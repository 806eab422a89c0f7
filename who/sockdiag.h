/* SPDX-License-Identifier: GPL-2.0-or-later
 * sockdiag.h - the messages of NETLINK_SOCK_DIAG as bytes (linux/inet_diag.h, rtnetlink(7)):
 * requests into the caller's buffer, replies out of the caller's bytes. No socket here.
 * Netlink speaks in host order; ports and addresses are in network order. */
#ifndef WHO_SOCKDIAG_H
#define WHO_SOCKDIAG_H

#include "base/cur.h"
#include "who/diag.h"

enum { SOCKDIAG_REQUEST_MAX = 256 };

/* TCP states as numbers (include/net/tcp_states.h), and as bits of a request's states */
enum {
	SOCKDIAG_ESTABLISHED = 1,
	SOCKDIAG_SYN_RECV = 3,
	SOCKDIAG_TIME_WAIT = 6,
	SOCKDIAG_CLOSE = 7,
	SOCKDIAG_LISTEN = 10,
	SOCKDIAG_NEW_SYN_RECV = 12,
};
#define SOCKDIAG_BIT(state) (1u << (state))

/* a socket as the kernel names it, to be handed back as it stands (struct inet_diag_sockid) */
struct sockdiag_id {
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t proto;
	uint8_t bytes[48];
};

/* the name of a socket whose addresses and cookie (SO_COOKIE) are known; -EINVAL */
int sockdiag_name(struct sockdiag_id *out, const struct diag_tuple *t, uint64_t cookie);

enum sockdiag_kind { SOCKDIAG_SOCKET, SOCKDIAG_ERROR, SOCKDIAG_DONE, SOCKDIAG_OTHER };

struct sockdiag_reply {
	enum sockdiag_kind kind;
	uint32_t seq;
	int error;               /* of ERROR (0: an acknowledgement) and DONE: 0 or -errno */
	struct diag_tuple tuple; /* of SOCKET, with proto as given to the reader */
	struct diag_socket socket;
	bool v6only;             /* of SOCKET: an IPv6 listener that takes no IPv4 */
	bool has_traffic;        /* of SOCKET, where it was asked for */
	struct diag_traffic traffic;
	struct sockdiag_id id;
};

/* The next message of a datagram: 1 and *out, 0 at the end, -EBADMSG for bytes that are no
 * such messages. proto is that of the request: replies do not say it. */
int sockdiag_next(struct cur *c, uint8_t proto, struct sockdiag_reply *out);

/* Requests: how many bytes were written, or -EINVAL for a tuple that mixes families. */
int sockdiag_find(uint8_t out[static SOCKDIAG_REQUEST_MAX], uint32_t seq,
	const struct diag_tuple *t);

/* the same with tcp_info */
int sockdiag_count(uint8_t out[static SOCKDIAG_REQUEST_MAX], uint32_t seq,
	const struct diag_tuple *t);

/* what a struct tcp_info of len bytes says; false: it is too old a kernel's */
bool sockdiag_traffic(const void *info, size_t len, uint8_t family, struct diag_traffic *out);

struct sockdiag_filter {
	uint8_t family, proto;
	uint32_t states;       /* bits */
	uint16_t lport, pport; /* 0: any */
	uint32_t mark, mask;
	bool by_mark;          /* let the kernel compare marks (CAP_NET_ADMIN, Linux 4.7) */
};
int sockdiag_dump(uint8_t out[static SOCKDIAG_REQUEST_MAX], uint32_t seq,
	const struct sockdiag_filter *f);
/* ends a socket; is acknowledged. (CONFIG_INET_DIAG_DESTROY, else EOPNOTSUPP) */
int sockdiag_destroy(uint8_t out[static SOCKDIAG_REQUEST_MAX], uint32_t seq,
	const struct sockdiag_id *id);

#endif
