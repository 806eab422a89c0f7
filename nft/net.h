/* SPDX-License-Identifier: GPL-2.0-or-later
 * net.h - nf_tables netlink under the table: a transaction's bytes, sending it, its verdict.
 *
 * A transaction is begin, messages, end. Only the last message asks for an ack: the kernel
 * reports every message that failed anyway, and thousands of acks would overrun the
 * receive buffer. The kernel works inside send(), so when that returns all replies wait.
 * Ownership: a batch owns its bytes. Errors: 0 or -errno. */
#ifndef NFT_NET_H
#define NFT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

enum {
	BATCH_MAX = 32 << 20,      /* a longer transaction is -E2BIG */
	BATCH_MESSAGE_MAX = 32768, /* room that is there for one message */
};

struct batch {
	uint8_t *bytes;
	size_t len, room;
	size_t last;     /* where the last message starts; 0: none yet */
	uint32_t begin;  /* sequence number of the first message (the begin) */
	uint32_t next;   /* of the one to come */
	int error;       /* sticks: -ENOMEM, -E2BIG */
};

void batch_begin(struct batch *b, uint32_t seq);
void batch_done(struct batch *b); /* frees; a zeroed batch is fine */
/* Starts a message (type NFT_MSG_*, flags NLM_F_*) of family inet; NULL once b->error is
 * set. The caller fills it with at most BATCH_MESSAGE_MAX bytes, then batch_add(). */
struct nlmsghdr *batch_message(struct batch *b, uint16_t type, uint16_t flags);
void batch_add(struct batch *b, const struct nlmsghdr *m);
bool batch_empty(const struct batch *b);

/* what the kernel said about the messages numbered first to last */
struct reply {
	uint32_t first, last;
	bool ended;          /* nothing more will come for them */
	int error;           /* 0, or the first failure */
	uint32_t error_seq;  /* of that message; first: the transaction as a whole */
};

/* Takes the bytes of one recv(). Pure; what is not about first..last is passed over. */
void reply_read(struct reply *r, const void *bytes, size_t len);

/* The message at *at in the bytes of one recv(), which must be aligned; *at moves behind
 * it. NULL: no whole one is left. (libmnl 1.0.4 takes a length above INT_MAX for valid.) */
const struct nlmsghdr *reply_next(const void *bytes, size_t len, size_t *at);
/* Is it a message of this type (NFT_MSG_*) whose attributes may be walked? */
bool reply_is(const struct nlmsghdr *m, uint16_t type);

/* Opened, bound, buffers set; the socket owns what tables it makes. */
int net_open(int *fd);
uint32_t net_port(int fd); /* its netlink port number, 0 on failure */
/* throws away replies to somebody who died */
void net_drain(int fd);
/* Sends the batch and waits for its verdict; where (may be NULL) is the failed message. */
int net_commit(int fd, struct batch *b, uint32_t *where);
/* One message outside a transaction (m is built by the caller, NLM_F_REQUEST set); each
 * data message of the answer goes to each(), which may stop it by a negative number. */
int net_ask(int fd, struct nlmsghdr *m, int (*each)(const struct nlmsghdr *m, void *ctx),
	void *ctx);

#endif
