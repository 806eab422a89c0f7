/* SPDX-License-Identifier: GPL-2.0-or-later
 * meet.h - one connection that no set admitted, met by the proxy. */
#ifndef GATE_MEET_H
#define GATE_MEET_H

#include "base/list.h"
#include "gate/hello.h"
#include "gate/httpstream.h"
#include "gate/internal.h"
#include "gate/ledger.h"
#include "gate/relay.h"

enum {
	MEETS_MAX = LEDGER_MAX,
	MEET_WHO_MS = 2000,      /* to look through /proc */
	MEET_HELLO_MS = 10000,   /* a client that began to speak may take this long */
	MEET_CONNECT_MS = 130000, /* the kernel's own patience (tcp_syn_retries) and a bit */
	MEET_TICK_MS = 50,
};

enum meet_state {
	MEET_WHO,      /* basic mode: which program is it? */
	MEET_PEEK,     /* what does the client say? */
	MEET_ASK,      /* the claimed name is being looked up */
	MEET_CONNECT,
	MEET_RUN,
};

/* what meetings share */
struct meets {
	struct list all;
	struct ledger *ledger;
	struct relay_pool *pool;
};

struct meet {
	struct gate *g;
	struct list_node node;
	struct meets *meets;
	int line;             /* of the ledger */
	struct relay *relay;
	enum meet_state state;
	int64_t came_ms, deadline_ms; /* the second of MEET_PEEK and MEET_CONNECT */
	uint32_t actor;
	uint64_t serial, generation;
	uint64_t start;       /* of process f.pid */
	struct meet_finding *finding;
	struct own_program *own; /* basic mode: who it was found to be */
	struct addr addr;     /* dialled; or of the name it claimed, where that is elsewhere */
	uint16_t port;
	bool heard;           /* hello is final */
	bool http;            /* requests are followed */
	bool back_open;       /* the server's side is not looked at */
	bool refused;
	struct hello hello;
	struct http_stream stream;
	struct inner *asking; /* a name that is looked up */
	char asked[HOST_MAX], good[HOST_MAX]; /* that name; the last that may go here */
	struct dial *dial;    /* of the server */
	struct decision decision;
	struct flow f;
};

struct sockaddr_storage;

/* Begins to hear what was accepted on fd, and puts it among the others, whom it leaves at its
 * end by itself; -errno leaves the descriptor the caller's. */
int meet_open(struct gate *g, struct meets *meets, int fd, const struct sockaddr_storage *peer);
void meet_abort(struct meet *m); /* both sides are reset; m is gone */
/* does its time matter? It may end here, as in the next. */
bool meet_waits(struct meet *m, int64_t now_ms);
void meet_review(struct meet *m); /* the rules changed */
/* Counts anew what crossed the wire for it; false if nothing moved */
bool meet_counts(struct meet *m);

/* bykey.c: looks for the program behind it, then calls meet_begin(); both go with m */
struct who_tuple;
int meet_find(struct meet *m, const struct who_tuple *t);
void meet_find_cancel(struct meet *m);
void meet_begin(struct meet *m); /* it is known who it is */

/* claim.c */
enum claim {
	CLAIM_ALLOW, /* to the address that was dialled */
	CLAIM_DENY,
	CLAIM_ASK,   /* only if the address is truly that name's: look it up */
};
/* What the rules say of this program, this address and a name it claims ("" for none); the
 * decision says why. verified gets the name if the address is known to be its. */
enum claim claim_judge(struct meet *m, const char *name, struct decision *d,
	char verified[static HOST_MAX]);
/* May later connections of this kind pass without being met? */
bool claim_is_plain(struct meet *m);

/* the program of this meeting, for the current turn of the loop */
const struct program *meet_program(const struct meet *m);

#endif
