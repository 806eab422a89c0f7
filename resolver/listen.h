/* SPDX-License-Identifier: GPL-2.0-or-later
 * listen.h - DNS in: UDP and TCP sockets that were opened elsewhere (by the supervisor) and
 * outlive this process. UDP is read by recvmmsg and answered by sendmmsg, flushed once per
 * turn of the loop; TCP is RFC 7766 (pipelined, idle time-out, bounded in number). */
#ifndef RESOLVER_LISTEN_H
#define RESOLVER_LISTEN_H

#include "resolver/wire.h"

struct uv_loop_s;
struct listener;

/* One query under way. Owned by the listener until it was answered or dropped; what points
 * into it lives as long. user is the taker's. */
struct dns_query {
	struct listener *listener;
	void *user;
	struct wire_query q;
	struct addr source;   /* the peer as the socket shows it */
	uint16_t source_port;
	bool tcp;
	int64_t came_us;      /* clock_boot_us */
	/* UDP: counts the listener's receive calls; what one of them brought was here before
	 * anything was done about any of it. TCP: 0 */
	uint64_t batch;
	const uint8_t *msg;
	size_t len;
};

/* Takes every well-formed query; malformed ones were answered or dropped already.
 * Must end in exactly one query_reply() or query_drop(), now or later. */
typedef void (*listener_take)(void *ctx, struct dns_query *query);

/* Opens (bind, listen) for the supervisor: -EADDRINUSE names no culprit, see diag.h.
 * UDP without SO_REUSEADDR; IPv6 with IPV6_FREEBIND and V6ONLY; buffers 16 MB; mark is put
 * on the sockets by SO_MARK where not 0. out[0] UDP, out[1] TCP. */
int listener_sockets(const struct addr *at, uint16_t port, uint32_t mark, int out[static 2]);

/* fds stay the caller's; max_waiting bounds queries under way (more are dropped, counted) */
int listener_open(struct uv_loop_s *loop, const int fds[static 2], size_t max_waiting,
	listener_take take, void *ctx, struct listener **out);
/* NULL is fine. Nothing is taken or sent any more. What was taken and not ended yet is
 * still its taker's to end by query_reply() or query_drop(), which then only free it. */
void listener_close(struct listener *l);
struct addr listener_addr(const struct listener *l);

struct listener_stats {
	uint64_t queries, tcp;     /* taken; of them over TCP */
	uint64_t malformed;        /* answered FORMERR and the like, or no DNS at all */
	uint64_t dropped;          /* too many under way, or their taker dropped them */
	uint64_t unsent;           /* replies the kernel did not take */
	uint64_t waiting, conns;   /* now */
};
void listener_stats(const struct listener *l, struct listener_stats *out);

/* query is gone after either; msg is copied. len is at most query_room(). */
void query_reply(struct dns_query *query, const uint8_t *msg, size_t len);
void query_drop(struct dns_query *query);
/* the most bytes a reply to this query may have */
size_t query_room(const struct dns_query *query);

#endif
