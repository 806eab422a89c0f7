/* SPDX-License-Identifier: GPL-2.0-or-later
 * serve.h - the core's end of the link to scupper-web: tells what happens, answers what is
 * asked. Never waits: what does not fit into the socket waits in a bounded queue, events
 * that do not fit there are dropped and counted. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "web/link.h"

struct text;
struct uv_loop_s;
struct serve;
struct ruleset;

struct serve_calls {
	void *ctx;
	void (*status)(void *ctx, struct link_status *out);
	const struct ruleset *(*rules)(void *ctx);
	/* done(token, r, id, error) once, now or later */
	void (*rule_add)(void *ctx, const char *text, int64_t created_s, uint32_t seq);
	void (*rule_remove)(void *ctx, uint32_t id, uint32_t seq);
	void (*rule_change)(void *ctx, uint32_t id, const char *text, uint32_t seq);
	void (*cache_flush)(void *ctx, const char *name, bool below, uint32_t seq);
	void (*filter)(void *ctx, enum link_filter_mode mode, int64_t until_s, uint32_t seq);
	/* adds a line for each parent of a process, the nearest first; may be NULL */
	void (*parents)(void *ctx, const struct process *process, struct text *out);
	/* what is known of an address, for explain; may be NULL */
	bool (*where)(void *ctx, const struct addr *a, struct geo_tag *out);
};

int serve_open(struct uv_loop_s *loop, int fd, const struct serve_calls *calls,
	struct serve **out);
void serve_close(struct serve *s); /* NULL is fine; the fd stays the caller's */
void serve_flow(struct serve *s, const struct flow *f, const struct program *p,
	const struct process *process);
/* at most LINK_BYTES_MAX; more: others of this round follow */
void serve_counts(struct serve *s, const struct flow_count *c, unsigned n, bool more);
uint32_t serve_watchers(const struct serve *s); /* how many look at live traffic */
void serve_done(struct serve *s, uint32_t seq, int r, uint32_t id, const char *error);
void serve_changed(struct serve *s, bool rules, bool filter);
/* the file the history is in now */
void serve_history(struct serve *s, uint64_t dev, uint64_t ino);
uint64_t serve_lost(const struct serve *s);

#endif
