/* SPDX-License-Identifier: GPL-2.0-or-later
 * listener.h - what listen.c, udp.c and tcp.c share: the inside of a listener.
 * A box holds one query from its bytes to its reply. Boxes go round: socket, taker, free
 * list. A listener lives until its handles are closed and every box is back. */
#ifndef RESOLVER_LISTENER_H
#define RESOLVER_LISTENER_H

#include "resolver/listen.h"

#include "base/macros.h" /* before uv.h, whose headers have a MIN of their own */

#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

enum {
	UDP_BATCH = 64,
	QUERY_MAX = WIRE_UDP_MAX, /* bytes of a query: what we offer by EDNS */
	BOXES_KEPT = 1024,        /* on the free list; more are given back */
};

union peer {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct conn;

struct box {
	struct dns_query pub;
	struct box *next;        /* on the free list */
	struct conn *conn;       /* TCP */
	union peer peer;         /* UDP */
	socklen_t peer_len;
	uint8_t bytes[QUERY_MAX];
};

struct udp {
	uv_poll_t poll;
	uv_prepare_t flush;
	int fd;
	struct box *in[UDP_BATCH]; /* always full: the kernel writes into them */
	struct mmsghdr msgs[UDP_BATCH]; /* as recvmmsg wants them, in step with in */
	struct iovec iov[UDP_BATCH];
	uint64_t batch;            /* receive calls so far */
	unsigned nout;
	struct udp_out *out;       /* UDP_BATCH of them */
};

struct tcp {
	uv_poll_t poll;
	uv_timer_t tick;
	int fd;
	unsigned nconns;
	int64_t idle_ms;              /* how long a connection may do nothing */
	struct conn *newest, *oldest; /* by last use */
};

struct listener {
	struct uv_loop_s *loop;
	listener_take take;
	void *ctx;
	struct addr at;
	size_t max_waiting, waiting;
	struct box *free;
	size_t nfree;
	unsigned handles;          /* not yet closed */
	bool closed;
	struct udp udp;
	struct tcp tcp;
	struct listener_stats stats;
};

struct box *box_get(struct listener *l);         /* NULL: out of memory, or too many */
void box_put(struct listener *l, struct box *b); /* NULL is fine */
/* Reads the query in b and gives it away: true. Else b is still the caller's, and reply,
 * if *len is not 0, is to be sent for it. */
bool box_take(struct listener *l, struct box *b, uint8_t reply[static WIRE_UDP_MIN],
	size_t *len);
void listener_handle(struct listener *l, uv_handle_t *h); /* counts it, ties it to l */
void listener_handle_close(uv_handle_t *h);
void listener_handle_gone(struct listener *l);       /* one that l only counted */

int udp_open(struct listener *l, int fd);
void udp_close(struct listener *l);
void udp_reply(struct listener *l, const struct box *b, const uint8_t *msg, size_t len);

int tcp_open(struct listener *l, int fd);
void tcp_close(struct listener *l);
void tcp_reply(struct box *b, const uint8_t *msg, size_t len);
void tcp_ended(struct box *b); /* b, answered or not, leaves its connection */

#endif
