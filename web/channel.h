/* SPDX-License-Identifier: GPL-2.0-or-later
 * channel.h - web's end of the link: calls to the core, and what it tells by itself.
 * A call is the caller's record and must live until done was called; done is called once,
 * with NULL when the core did not answer within CHANNEL_WAIT_MS (it is being restarted).
 * The other end stays open while a core is replaced: an end of file means that the daemon
 * is gone. */
#ifndef WEB_CHANNEL_H
#define WEB_CHANNEL_H

#include "web/link.h"

struct uv_loop_s;
struct channel;

enum { CHANNEL_WAIT_MS = 2000, CHANNEL_CALLS_MAX = 64 };

struct channel_call {
	struct channel_call *next; /* the core's: in the order asked, so of deadline too */
	uint32_t seq;
	int64_t deadline_ms;
	/* a LINK_RULE, LINK_TEXT or LINK_STATUS */
	void (*got)(struct channel_call *call, const struct link_any *m);
	void (*done)(struct channel_call *call, const struct link_done *d);
};

struct channel_news {
	void *ctx;
	void (*hello)(void *ctx, uint64_t boot);
	void (*program)(void *ctx, const struct link_program *p);
	void (*flow)(void *ctx, const struct link_flow *f);
	void (*counts)(void *ctx, const struct link_bytes *b);
	void (*changed)(void *ctx, const struct link_changed *c);
	void (*history)(void *ctx, const struct link_history *h);
	void (*gone)(void *ctx); /* nothing can be asked any more */
};

/* takes fd when it succeeds; says hello */
int channel_open(struct uv_loop_s *loop, int fd, const struct channel_news *news,
	struct channel **out);
void channel_close(struct channel *c); /* NULL is fine; calls under way are told NULL */
/* body: what belongs to the type, or NULL. -EAGAIN: the core takes nothing now, -ENOBUFS:
 * too many calls wait; then done is not called */
int channel_ask(struct channel *c, enum link_type type, const void *body,
	struct channel_call *call);
/* says something that has no answer; -EAGAIN: the core takes nothing now */
int channel_tell(struct channel *c, enum link_type type, const void *body);
uint64_t channel_bad(const struct channel *c); /* messages dropped as malformed */

#endif
