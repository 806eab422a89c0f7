/* SPDX-License-Identifier: GPL-2.0-or-later
 * gate.h - let them or not: the only place where names, programs, rules and the kernel's
 * sets meet. gate.c has the one natural way of a query, a stage a line.
 *
 * Glossary. pass: one query on its way through. grant: what an approved answer opened.
 * whole verdict: what the kernel is told once for all of a program's traffic. review: going
 * over everything that stands open after the rules changed.
 *
 * One thread, the loop's. Parts are borrowed and must outlive the gate. */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include "base/flow.h"
#include "base/instance.h"
#include "geo/geo.h"
#include "nft/ct.h"
#include "nft/nflog.h"
#include "nft/nft.h"
#include "resolver/listen.h"
#include "rules/rules.h"
#include "who/who.h"

struct uv_loop_s;
struct gate;
struct resolver;
struct basic;
struct diag;
struct varlink_calls;

/* enforce: as the rules say. watch and paused: judged, told with the verdict it would have
 * had (flow.watched), nothing refused; watch is for good and writes no grants. blocked:
 * nothing goes out or in but on this machine. */
enum gate_mode { GATE_ENFORCE, GATE_WATCH, GATE_PAUSED, GATE_BLOCKED };

enum { GATE_COUNTS_MAX = 100, GATE_PAST_SIZE = 20 << 20,
	GATE_PAST_LAYOUT = 1 /* counts up whenever what is kept there changes */ };

enum gate_refusal { GATE_NXDOMAIN, GATE_ZERO, GATE_REFUSED };

struct gate_conf {
	const struct instance *instance;
	enum verdict default_out, default_in;
	enum gate_refusal refusal;
	bool counting;        /* conntrack counts bytes */
	void *past;           /* GATE_PAST_SIZE bytes that outlive this core, zeroed at the very
			       * first: connections keep their ids and names by it, and those that the
			       * proxy passed on are told as ended; NULL: they do not */
	bool first_start;     /* what only the default would deny may go on */
	unsigned peek_ms;     /* how long a met connection's client may stay silent before its
			       * address decides */
};

struct gate_parts {
	struct resolver *resolver;
	struct who *who;      /* NULL without nftables: then there is only the resolver */
	struct basic *basic;  /* NULL in BPF mode */
	struct nft *nft;      /* NULL likewise */
	struct diag *diag;    /* for queries that were not redirected */
	const struct geo *geo; /* may be NULL: no address is anywhere */
	const char *scope;    /* cgroup path as programs show it, for basic mode */
};

struct gate_calls {
	void *ctx;
	/* a query or a connection, decided; again with the same id when it changed.
	 * process is NULL where it is not known. All borrowed. */
	void (*flow)(void *ctx, const struct flow *f, const struct program *p,
		const struct process *process);
	/* counters of live flows that changed since the last time, GATE_COUNTS_MAX at most;
	 * more: others of this round follow. A round ends even if nothing moved. */
	void (*counts)(void *ctx, const struct flow_count *c, unsigned n, bool more);
	/* somebody took our table away: open it anew and call gate_table_back() */
	void (*table_lost)(void *ctx);
};

int gate_open(struct uv_loop_s *loop, const struct gate_conf *conf,
	const struct gate_parts *parts, const struct gate_calls *calls, struct gate **out);
void gate_close(struct gate *g); /* NULL is fine */

/* The gate takes the ruleset (and frees the one before), then reviews: elements are put and
 * taken, and live flows that no rule covers any more are ended. */
void gate_rules_set(struct gate *g, struct ruleset *rs);
const struct ruleset *gate_rules(const struct gate *g);
/* Before the first gate_rules_set it is what the gate begins with; later everything that
 * stands open is reviewed, and flows that may not be any more are ended. */
void gate_mode_set(struct gate *g, enum gate_mode mode);
/* done when the kernel has taken everything given to it so far: what was decided holds */
void gate_after(struct gate *g, void (*done)(void *ctx, int r), void *ctx);

/* listener_take for both listeners: redirected (private) and plain */
void gate_take_redirected(void *gate, struct dns_query *q);
void gate_take_plain(void *gate, struct dns_query *q);

/* What serves varlink clients (resolver/varlink.h), attributed by the kernel's word of who
 * connected; only where numbers are programs' (BPF mode). ctx is the gate: it must be closed
 * after them. */
void gate_varlink(struct gate *g, struct varlink_calls *out);

/* a listening socket to which the table redirects TCP that no set admits (gate/proxy.c);
 * it stays the caller's */
int gate_listen(struct gate *g, int fd);

/* news of the other parts, to be called by whoever opened them */
void gate_actor_new(void *gate, const struct program *p);
void gate_actor_idle(void *gate, const struct program *p);
void gate_conntrack(void *gate, const struct ct_flow *f);
/* flows that bear our marks though this instance begins now: another's of before */
void gate_stale(struct gate *g, const struct ct_flow *flows, size_t n);
/* reads the counters of all live flows, in the kernel's thread; finds those of a core before
 * us. Asked again before the answer is there, it does nothing. */
void gate_count(struct gate *g);
void gate_refused(void *gate, const struct nflog_packet *p);

/* elements found in the kernel by a new core; call before the first gate_rules_set, which
 * then judges them by today's rules */
void gate_restore(struct gate *g, const struct nft_element *els, size_t n);
/* everything that must stand in a new table; the caller frees *out */
int gate_elements(struct gate *g, struct nft_element **out, size_t *n);
/* from here to gate_table_back() nothing is given to the kernel: answers that need it fail */
void gate_table_gone(struct gate *g);
void gate_table_back(struct gate *g, struct nft *nft);

/* judge sockets that existed before us; done at the end */
int gate_adopt(struct gate *g, void (*done)(void *ctx, unsigned found), void *ctx);

struct gate_stats {
	uint64_t queries, denied, cached, kernel_failed, unknown, outside, flows, refused,
		events_lost, grants, actors;
};
void gate_stats(const struct gate *g, struct gate_stats *out);

#endif
