/* SPDX-License-Identifier: GPL-2.0-or-later
 * relay.h - bytes between two TCP sockets, both ways, as if they were one connection: an end
 * of one side's stream is passed on (half-close), a reset too, and who does not read makes
 * the other wait. Bytes are looked at first where somebody wants to, then moved inside the
 * kernel (splice(2)).
 *
 * Ownership: the relay takes both descriptors. One thread, the loop's. */
#ifndef GATE_RELAY_H
#define GATE_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct uv_loop_s;
struct relay;
struct relay_pool; /* pipes that are empty, for the next who needs one */

enum relay_side { RELAY_CLIENT, RELAY_SERVER };

/* what relay_calls.look says instead of a number of bytes */
enum {
	RELAY_ABORT = -1, /* both sides are reset; over() follows */
	RELAY_OPEN = -2,  /* everything may go, nobody looks any more */
};

enum { RELAY_BUFFER = 20480 };

struct relay_calls {
	void *ctx;
	/* Bytes from that side that were not let through yet, and whether they are its last:
	 * how many of the first may go (0: wait), or one of the above. Asked again when more
	 * came, when some went, and on relay_look(). What fills RELAY_BUFFER must be decided. */
	ssize_t (*look)(void *ctx, enum relay_side from, const uint8_t *bytes, size_t len,
		bool end);
	/* once: both streams ended (0), or one broke (-errno; the other is reset). The
	 * descriptors are still there, and closed when it returns */
	void (*over)(void *ctx, int r);
};

int relay_pool_new(struct relay_pool **out);
void relay_pool_free(struct relay_pool *p); /* NULL is fine */

/* Begins to read from the client, everything looked at; -errno leaves the descriptor the
 * caller's */
int relay_open(struct uv_loop_s *loop, struct relay_pool *pool, int client,
	const struct relay_calls *calls, struct relay **out);
/* the other side, connected; look_back: its bytes are looked at too. relay_look() then */
int relay_join(struct relay *r, int server, bool look_back);
/* what look() would say has changed; from inside it too. over() may come of it at once */
void relay_look(struct relay *r, enum relay_side from);
/* Ends it without over(); reset: by resets, else by closing. Never from inside look(). */
void relay_close(struct relay *r, bool reset);
int relay_fd(const struct relay *r, enum relay_side side); /* to ask it things; -1: none */

#endif
