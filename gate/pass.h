/* SPDX-License-Identifier: GPL-2.0-or-later
 * pass.h - one query on its way through the gate. */
#ifndef GATE_PASS_H
#define GATE_PASS_H

#include "gate/internal.h"
#include "who/basic.h"

enum { LOCAL_REPLY_MAX = 1232 };

/* basic mode, where no identity table stands behind a number */
struct own_program {
	struct program program;
	struct process process;
};

struct pass {
	/* pass_clear() zeroes from here */
	struct gate *g;
	struct dns_query *q;
	struct list_node node;
	int64_t deadline_ms, came_us;
	uint64_t start;            /* of the process: f.pid alone may be another's by now */
	struct own_program *own;
	struct inner *inner;       /* asked by the gate itself for a program */
	uint32_t actor;
	uint64_t serial;
	uint64_t generation;       /* the rules it was judged by */
	enum gate_mode mode;       /* likewise */
	enum verdict at_name;
	struct decision decision;  /* what decided so far */
	struct decision would;     /* while nothing is refused: what would have been */
	bool local_name, outside, done, dead;
	int error;
	unsigned waiting;          /* callbacks still to come */
	void (*asked)(struct pass *p, bool ok); /* basic mode: whose it is was found out */
	struct asking *asking;
	const struct answer *answer; /* for the current turn */
	const struct answer *held;   /* counted */
	struct wire_answer local_read;
	size_t local_len;
	bool cut_hints;
	bool unsure_alias;         /* a name it leads over: by its address only */
	bool must_wait;            /* what it relies on is on its way to the kernel */
	unsigned ncut, nopen;
	uint64_t cut[CUT_WORDS];
	struct flow f;
	/* to here */
	struct addr open[OPEN_MAX]; /* what it was about to open; more in gate->open */
	uint8_t local[LOCAL_REPLY_MAX];
};

/* a question of our own for a program (gate_ask): a query without a socket */
enum { INNER_QUERY_MAX = 12 + HOST_WIRE_MAX + 4 + 11 };
struct inner {
	struct dns_query q;
	uint8_t msg[INNER_QUERY_MAX];
	void (*done)(void *ctx, bool ok, const struct addr *addrs, unsigned n); /* NULL: cancelled */
	/* or this, with what a DNS client over TCP would get; len 0: there is none */
	void (*replied)(void *ctx, const struct pass *p, const uint8_t *msg, size_t len);
	void *ctx;
};

/* A pass for such a question: its asker is to be named, then pass_go(), which may end it before
 * it returns. -ENOMEM, -ENOBUFS, -EINVAL */
int pass_inner(struct gate *g, const char *name, uint16_t type, struct pass **out);
void pass_go(struct pass *p);

void pass_clear(struct pass *p);
void pass_own(struct own_program *own, const struct program *who,
	const struct process *process);
void pass_forget_answer(struct pass *p);
void pass_decided(struct pass *p, const struct decision *d);

/* who (asker.c): fills actor, serial and the record's head */
void asker_is(struct pass *p, const struct program *who, enum how how);
void asker_process_is(struct pass *p);
/* nobody of the scope: shown, not judged */
void asker_outside(struct pass *p, uint32_t uid);
void asker_plain(struct pass *p);
void asker_basic(struct pass *p, void (*asked)(struct pass *p, bool ok));
/* by key: whose number is known, and which of its programs is found out */
void asker_by_key(struct pass *p, uint32_t actor, void (*asked)(struct pass *p, bool ok));
/* the program of this pass, for the current turn of the loop */
const struct program *asker_program(struct pass *p);

/* out (reply.c): the reply's length, or -errno */
int pass_reply(struct pass *p, uint8_t *out, size_t room);

/* Judges where the answer leads: sets verdict and reason, cut, and the addresses to open. */
void judge(struct pass *p, const struct program *who);
/* The changes the kernel needs for what was judged, or NULL if all of it stands already. */
struct batch *pass_open(struct pass *p, const struct program *who);
/* has what it relies on arrived? */
bool pass_open_holds(struct pass *p);
/* the kernel refused: the book forgets what it was about to say */
void pass_open_failed(struct pass *p);

#endif
