/* SPDX-License-Identifier: GPL-2.0-or-later
 * varlink.h - io.systemd.Resolve on a UNIX socket that was opened elsewhere (by the
 * supervisor) and outlives this process: clients, their messages, and the replies. Whose they
 * are is the taker's business: it is given the socket, and told if others than its maker
 * wrote to it.
 *
 * Bounds: VARLINK_CLIENTS_MAX, of one user VARLINK_PER_USER; a message VARLINK_MESSAGE_MAX;
 * one call of a client at a time, those behind it wait in its socket. Who is beyond that, who
 * does not read, sends half a message, or nothing for long, is let go. */
#ifndef RESOLVER_VARLINK_H
#define RESOLVER_VARLINK_H

#include "resolver/varcall.h"

#include <sys/types.h>

enum {
	VARLINK_CLIENTS_MAX = 1024,
	VARLINK_PER_USER = 256,
	VARLINK_MESSAGE_MAX = 4096,
};

struct uv_loop_s;
struct varlink;

/* One call under way, until varlink_reply() or the taker's cancel(). */
struct varlink_request {
	const struct varlink_call *call; /* borrowed as long */
	void *client;  /* what came() gave */
	bool shared;   /* others than the one who connected have written to this socket */
	void *user;    /* the taker's */
};

struct varlink_calls {
	void *ctx;
	/* Somebody connected; fd is borrowed. What the taker keeps of it, not NULL; NULL: it is
	 * let go */
	void *(*came)(void *ctx, int fd);
	void (*left)(void *ctx, void *client);
	/* a call that needs an answer by names; its reply may come from inside */
	void (*take)(void *ctx, struct varlink_request *r);
	void (*cancel)(void *ctx, struct varlink_request *r); /* no reply is wanted any more */
};

/* Opens (bind, listen) for the supervisor, mode 0666. A socket that nobody serves is taken
 * away first. -EADDRINUSE: somebody does, why names who. -errno, why in a sentence. */
int varlink_socket(const char *path, char *why, size_t why_max, int *out);

/* fd stays the caller's */
int varlink_open(struct uv_loop_s *loop, int fd, const char *version,
	const struct varlink_calls *calls, struct varlink **out);
/* cancels what is under way; NULL is fine. The loop must turn once more. */
void varlink_close(struct varlink *v);

/* message is copied. The request is gone */
void varlink_reply(struct varlink_request *r, const char *message, size_t len);

#endif
