/* SPDX-License-Identifier: GPL-2.0-or-later
 * internal.h - what the gate's own files share. */
#ifndef GATE_INTERNAL_H
#define GATE_INTERNAL_H

#include "base/list.h"
#include "gate/gate.h"
#include "gate/grant.h"
#include "gate/live.h"
#include "gate/memo.h"
#include "resolver/resolver.h"
#include "who/diag.h"

#include <uv.h>

enum {
	PASSES_MAX = 8192,
	SPARE_MAX = 256,           /* passes kept for the next query */
	OPEN_MAX = 64,             /* addresses of one answer; more are cut */
	PASS_DEADLINE_MS = 12000,  /* a query that is older is answered SERVFAIL */
	/* so is one whose element is this late; before a libc's stub asks again, after 5 s */
	KERNEL_DEADLINE_MS = 4000,
	EVENTS_BURST = 4000,       /* of one actor, then EVENTS_PER_S */
	EVENTS_PER_S = 200,
	SLICE_US = 1000,           /* a turn of the loop for long work; over by one step */
	EXPIRE_EACH_MS = 5000,
	/* half of the kernel's sets at most, and of one program a small part: refusals must not
	 * be in the way of grants */
	REFUSALS_MAX = 8000,
	REFUSALS_PER_ACTOR = 1000,
	REFUSAL_PORTS_MAX = 4,     /* at one address */
	IN_PORTS_MAX = 256,        /* of one program: more are decided when they are met */
	CUT_WORDS = WIRE_ITEMS_MAX / 64, /* a bit for each record of an answer */
};

/* what the kernel was told of one port of a program: ALLOW, DENY, or UNDECIDED: peers are
 * told apart; port 0: the whole protocol */
struct in_port {
	uint8_t proto, verdict;
	uint16_t port;
};

/* a first packet that was held, then refused */
struct held {
	struct addr peer;
	uint16_t sport, port;
	uint8_t proto;
};

/* what the gate keeps of each number */
struct actor_state {
	uint64_t serial;          /* 0: not met */
	struct whole whole;
	uint64_t generation;      /* of the rules that whole was computed from */
	uint8_t out, in, local;   /* what the kernel was told: enum verdict, NONE nothing */
	bool unsure;              /* of these, peek and factory: anything may stand there */
	bool peek;                /* likewise: NFT_PEEK */
	uint8_t factory;          /* bit per enum nft_factory */
	struct in_port *ports;    /* owned: what the kernel was told besides `in` */
	struct in_port *was;      /* owned: what it surely was told before */
	uint16_t nports, nwas;
	bool ports_unsure;        /* of ports: perhaps it was not */
	struct held held;         /* its latest */
	uint64_t told;            /* the batch that told it last */
	int64_t events_ms;        /* when tokens was right */
	uint32_t tokens;
};

/* an address of the answer that is being judged, and what it needs */
struct open_addr {
	struct addr addr;
	uint32_t ttl, rule;
	struct grant_shape shape;
};

/* The socket behind the latest query to the plain listener. One that the same receive call
 * brought from the same port need not be looked for again: it was here already then. */
struct asked_socket {
	const struct listener *listener;
	uint64_t batch;           /* 0: none */
	struct addr source;
	uint16_t port;
	bool found;
	struct diag_socket socket;
};

struct gate {
	uv_loop_t *loop;
	struct gate_conf conf;
	struct gate_parts parts;
	struct gate_calls calls;
	struct ruleset *rules;
	struct memo *memo;        /* what rules said lately (gate_at_name, gate_ports) */
	uint64_t generation;      /* of the rules: a pass that slept is judged again */
	enum gate_mode mode;
	bool switches_told;       /* the kernel's switches are as mode says */
	bool adopting;            /* so is NFT_ADOPTING */
	struct grant_book *book;
	struct grant_book *refusals; /* refusal.c */
	struct grant_book *peers; /* who may come in, where a rule tells peers apart */
	struct actor_state *actors; /* by number */
	struct list passes, spare; /* under way; kept for the next query */
	struct live_book *live;
	struct asked_socket asked;
	struct proxy *proxy;      /* NULL until gate_listen() */
	struct sink *sink;
	bool counting;            /* conntrack is being read for counters */
	struct slice *slices, **last_slice;
	uv_idle_t *idle;          /* runs while slices wait */
	uv_timer_t *sweep;
	int64_t expire_ms;        /* when the book is gone through next */
	uint64_t next_flow;
	uint64_t sent, acked;     /* batches given to the kernel's thread, and answered: they
				   * keep their order */
	bool table_lost;
	struct gate_stats stats;
	struct open_addr open[OPEN_MAX]; /* of the pass that is being judged */
	uint8_t reply[WIRE_MAX];
};

struct actor_state *actor_of(struct gate *g, const struct program *p);
/* computes the whole verdicts anew and adds to the batch what the kernel must be told */
struct batch;
void actor_tell(struct gate *g, const struct program *p, struct batch *b);
/* likewise of what holds for every program, those included that we have not met yet */
void everybody_tell(struct gate *g, struct batch *b);
/* the kernel did not take what it was told: it is told again at the next occasion */
void actor_untold(struct actor_state *a);

/* No BPF: a number is a cgroup and a user, and which program of theirs it is must be looked
 * up (bykey.c). Without nftables there are no numbers at all. */
static inline bool gate_by_key(const struct gate *g)
{
	return g->parts.who && g->parts.basic;
}
static inline bool gate_resolver_only(const struct gate *g)
{
	return !g->parts.who;
}

/* What the rules say of a query, from the memo where a program's serial stands for all that
 * rules ask of it. */
static inline void gate_at_name(struct gate *g, const struct program *who, const char *name,
	bool local_name, int64_t now_s, struct decision *out)
{
	if (g->parts.basic || !who->serial)
		ruleset_at_name(g->rules, who, name, local_name, now_s, out);
	else
		memo_at_name(g->memo, who, name, local_name, now_s, out);
}
static inline void gate_ports(struct gate *g, const struct program *who,
	const struct target *to, int64_t now_s, struct port_verdicts *out)
{
	if (g->parts.basic || !who->serial)
		ruleset_ports(g->rules, who, to, now_s, out);
	else
		memo_ports(g->memo, who, to, now_s, out);
}

/* by key: does a rule allow it to a program that was seen behind the number? */
bool key_allows(struct gate *g, uint32_t actor, const struct target *to, int64_t now_s,
	struct decision *d);
/* whose rules open most of an address: a number's own program in BPF mode */
const struct program *key_best(struct gate *g, uint32_t actor, const struct target *to,
	int64_t now_s, struct port_verdicts *v);
/* for whom what comes in is judged: p itself, but by key a program that no rule names */
const struct program *key_unnamed(const struct gate *g, const struct program *p,
	struct program *mild);
/* Looks for the program behind a packet that is held, then calls done once: who, of that
 * number, or NULL; f is a copy. -errno: nobody can be looked for */
struct conn;
int key_find(struct gate *g, const struct conn *c, const struct flow *f,
	void (*done)(struct gate *g, const struct program *who, struct flow *f));
/* what was computed for an unknown program, as it holds for all programs of a number */
void key_whole(struct gate *g, const struct program *p, int64_t now_s, struct whole *w);

/* Inbound (inbound.c). Tells of single ports what is not told yet; the verdict of all others
 * is returned. */
enum verdict inbound_tell(struct gate *g, const struct program *p, struct actor_state *a,
	unsigned classes, struct batch *b);
void inbound_forget(struct batch *b, uint32_t actor, struct actor_state *a);
/* found in the kernel by a new core */
void inbound_told(struct actor_state *a, const struct nft_element *el);
void inbound_element(uint32_t actor, const struct in_port *e, struct nft_element *out);
/* a judged contact that the kernel held: opened or shut; true: it is told as denied */
bool inbound_met(struct gate *g, const struct flow *f, uint16_t sport);
/* is this refusal only the next try of what was held and told of? */
bool inbound_again(struct gate *g, const struct flow *f, uint16_t sport);
void inbound_decide(struct gate *g, const struct flow *f, bool pass); /* of this one peer */
/* is it let in by the table's factory rules, as an answer to a broadcast or a group? */
bool inbound_answer(const struct gate *g, const struct ct_flow *c);
void inbound_review(struct gate *g, struct batch *b);
void inbound_review_of(struct gate *g, uint32_t actor, struct batch *b); /* it is known now */

/* everything is judged, nothing refused */
static inline bool gate_watches(const struct gate *g)
{
	return g->mode == GATE_WATCH || g->mode == GATE_PAUSED;
}

/* Where an address is said to be, in *tag, for struct target: only looked up if a rule goes
 * by that; NULL: not known */
const struct geo_tag *gate_where(const struct gate *g, const struct addr *a,
	struct geo_tag *tag);

/* a batch of changes for the kernel; NULL-safe: a batch that could not grow fails whole */
struct batch *batch_new(struct gate *g);
void batch_put(struct batch *b, const struct nft_element *el);
void batch_take(struct batch *b, const struct nft_element *el);
unsigned batch_count(const struct batch *b);
/* takes the batch; done is called once, on the loop, r 0 or -errno (at once if empty) */
void batch_send(struct batch *b, void (*done)(void *ctx, int r), void *ctx);
/* run in the kernel's thread after everything given before */
int kernel_call(struct gate *g, int (*call)(void *ctx), void *ctx,
	void (*done)(void *ctx, int r));

/* all elements of a grant that nobody shares */
void batch_take_grant(struct batch *b, struct gate *g, const struct grant *gr);
/* b must be the next batch that is sent */
void batch_put_grant(struct batch *b, struct gate *g, struct grant *gr, int64_t now_ms);

/* Records (record.c). Fills who, id and time */
void flow_begin(struct gate *g, struct flow *f, enum flow_kind kind,
	const struct program *p, enum how how);
/* the process f.pid in *out, if it is still the one that began at start; else NULL */
const struct process *flow_process(const struct gate *g, const struct flow *f, uint64_t start,
	struct process *out);
void flow_tell(struct gate *g, const struct flow *f, const struct program *p,
	const struct process *process);
/* told unless its program floods us: then false, and counted as lost */
bool flow_offer(struct gate *g, const struct flow *f, const struct program *p,
	const struct process *process);

/* connections (news.c): one that goes on was found, one has ended */
void conn_begins(struct gate *g, const struct ct_flow *c, const struct diag_traffic *socket);
/* what is known of it now; false: it waits, its program floods us */
bool conn_tell(struct gate *g, struct live *v);
void conn_over(struct gate *g, struct live *v); /* it is closed: told so; stays known */
void conn_ends(struct gate *g, struct live *v);
/* what conntrack and NFLOG say of one alike; the addresses are borrowed */
struct conn {
	uint32_t actor;
	const struct addr *src, *dst;
	uint16_t dport;
	uint8_t proto;
	bool inbound;
	bool goes; /* the kernel let it through */
	uint16_t sport; /* 0: not known */
};
/* a connection as the kernel tells of it, with who, whither and what the rules say */
void conn_fill(struct gate *g, struct flow *f, const struct conn *c, struct decision *d);
/* likewise of that program */
void conn_judge(struct gate *g, struct flow *f, const struct program *p, struct decision *d);
/* tells it as it is; false: its program floods us */
bool conn_told(struct gate *g, const struct flow *f);
bool gate_is_stale(struct gate *g, const struct ct_flow *c);

/* Long work of the loop, cut up (slice.c): step does a piece and says whether there is more;
 * the loop comes round between two. drop: the gate closes instead. */
struct slice {
	struct slice *next;
	bool (*step)(struct slice *s);
	void (*drop)(struct slice *s);
};
void slice_start(struct gate *g, struct slice *s); /* the first piece at once */
void slice_drop_all(struct gate *g);

/* What a rule allows of an address that was met is opened for the next try: all of it, or
 * the one port. */
void open_met(struct gate *g, const struct program *p, const struct flow *f);

/* Asks for a name as this program, all of gate.c's way: it is judged, put into the kernel's
 * sets and told like any query of its own. done is called once, perhaps before it returns:
 * ok, and the addresses that are open now. -ENOMEM, -ENOBUFS */
struct inner;
int gate_ask(struct gate *g, const struct program *who, const char *name, uint16_t type,
	void (*done)(void *ctx, bool ok, const struct addr *addrs, unsigned n), void *ctx,
	struct inner **out);
void gate_ask_cancel(struct inner *i); /* done is not called any more */

/* Denied by address (refusal.c): an element for ms, in a book of its own. Does one stand? */
void refusal_put(struct gate *g, const struct flow *f, uint32_t ms);
bool refusal_stands(const struct gate *g, const struct flow *f);
/* a grant is about to open that address */
void refusal_yield(struct gate *g, struct batch *b, const struct grant *to);
void refusal_review(struct gate *g, struct batch *b);

void review(struct gate *g);
/* the flow's socket on our side, if it still bears the actor's mark; in the kernel's thread */
void flow_end_socket(struct diag *d, const struct instance *instance, const struct ct_flow *f);

#endif
