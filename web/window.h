/* SPDX-License-Identifier: GPL-2.0-or-later
 * window.h - the last queries and connections, and the programs they are of. Pure.
 *
 * Bounds: WINDOW_FLOWS_MAX of each kind, the oldest leaves first; WINDOW_PROGRAMS_MAX
 *         programs, the one not used for longest leaves first. Records are packed: about
 *         400 bytes each.
 * Order:  a record has a place (counting up from 1 in its kind) and keeps it when the core
 *         tells it again, also the next core of a connection that outlived the one before.
 * Memory: copies everything given to it. */
#ifndef WEB_WINDOW_H
#define WEB_WINDOW_H

#include "web/link.h"

struct stats;

enum { WINDOW_FLOWS_MAX = 10000, WINDOW_PROGRAMS_MAX = 32768 };

struct window;

struct window_program {
	struct link_program told;
	uint64_t denied, rx, tx; /* of what the window has seen of it */
	bool counted;            /* rx and tx are known */
	int64_t last_ms;         /* 0: nothing yet */
};

/* which records to give; NULL and 0 mean "whatever" */
struct window_filter {
	const char *program;     /* a path, or without '/' the last part of one */
	const char *name;        /* a host; ".x" and "*.x" cover what is below */
	bool by_verdict, by_uid;
	enum verdict verdict;
	uint32_t uid;
};

int window_new(struct window **out); /* -ENOMEM */
void window_free(struct window *w);  /* NULL is fine */

/* from now on what happens is added up there too; borrowed */
void window_stats(struct window *w, struct stats *s);
/* the core's boot; when it changes, what was open before is of unknown state from then on */
void window_boot(struct window *w, uint64_t boot);
/* both -ENOMEM: not taken */
int window_program_told(struct window *w, const struct link_program *p);
int window_flow_told(struct window *w, const struct link_flow *f);
/* A core that took over from one that fell knows neither what was asked for a connection that
 * stood already, nor by which process: adds what is known here of this very connection */
void window_recall(struct window *w, struct link_flow *f);
/* counters of a flow of this boot; false if it is not known (any more) */
bool window_counted(struct window *w, const struct flow_count *c);

/* the newest record with a place below before (0: from the newest) that the filter lets
 * through. Returns its place, or 0: no more. old_boot: the core that told it is gone. */
uint64_t window_older(struct window *w, enum flow_kind kind, uint64_t before,
	const struct window_filter *filter, struct link_flow *out, bool *old_boot);
/* the uid whose connection of this boot has this id; false: not known (any more) */
bool window_flow_uid(struct window *w, uint64_t id, uint32_t *out);
/* the connection of this id as it stands; it is noted as changed now. false: as above */
bool window_again(struct window *w, uint64_t id, struct link_flow *out);
/* this record, if it is still here and the filter lets it through */
bool window_at(struct window *w, enum flow_kind kind, uint64_t place,
	const struct window_filter *filter, struct link_flow *out, bool *old_boot);

/* What is told from now on is noted as changed at this number (they grow). */
void window_number(struct window *w, uint64_t number);
struct window_change {
	uint64_t number, place;
	uint64_t born; /* the number at which it was new */
	enum flow_kind kind;
};
/* what changed after this number of these kinds (bits, 1 << kind), in order; how many, or
 * -ENOENT: some of it has left the window, -E2BIG: more than max */
int window_changes(const struct window *w, unsigned kinds, uint64_t after,
	struct window_change *out, unsigned max);
bool window_passes(struct window *w, const struct window_filter *filter,
	const struct link_flow *f);
/* false: not known (any more) */
bool window_program(struct window *w, uint64_t serial, struct window_program *out);
/* the same in order of last use: from NULL on; the cursor is good until the next change */
const void *window_next_program(struct window *w, const void *after,
	struct window_program *out);

#endif
