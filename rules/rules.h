/* SPDX-License-Identifier: GPL-2.0-or-later
 * rules.h - may this program do this? Pure: no clock, no I/O, no globals.
 *
 * Glossary. who: the program side of a rule. what: the target side. sure match: a rule
 * that matches a name whatever address and port it turns out to have; may-match: one
 * that only some addresses or ports would make match. whole verdict: the one answer for
 * everything a program may do without a name to explain it.
 *
 * Ownership: a ruleset owns its rules and copies every text given to it. It is built by
 *            adds and then only read; a change builds a new one.
 * Units:     ports in host order, 0 "not known yet"; now_s is Unix time; expiry 0
 * never. Errors:    0 or -errno; on failure outputs are untouched and *err says line
 * and column (both from 1; line only from a file). */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include "base/flow.h"

#include <stdio.h>

struct ruleset;
struct text;

enum rule_source { RULE_OWN, RULE_FILE, RULE_FACTORY };

struct rule_error {
	unsigned line, column;
	char what[200];
};

/* where a rule comes from; strings are copied */
struct rule_origin {
	enum rule_source source;
	uint32_t id;         /* RULE_OWN: from the store; else 0: made here */
	const char *file;    /* RULE_FILE */
	unsigned line;
	int64_t created_s;   /* `for 10m` counts from here; also "the newer wins" */
};

/* a rule as it is listed */
struct rule_info {
	uint32_t id;
	enum rule_source source;
	enum verdict action;
	bool enabled;        /* no `off`; whether it has expired, expires_s says */
	const char *text;    /* canonical; borrowed from the ruleset */
	const char *file;    /* or NULL */
	unsigned line;
	int64_t created_s, expires_s;
	const char *note;    /* or NULL */
};

/* where something wants to go. At name time addr is NULL and port 0. */
struct target {
	/* normalised (base/host.h), or NULL: a literal address. What comes in (dir) is
	 * judged by its address, named or not */
	const char *name;
	const struct addr *addr;
	const struct geo_tag *geo; /* where addr is said to be; NULL: not known */
	uint16_t port;       /* 0: not known */
	uint8_t proto;       /* IPPROTO_*, 0: not known */
	enum flow_dir dir;
	bool local_name;     /* hosts file, a route's, or below no public suffix */
};

struct decision {
	enum verdict verdict; /* ALLOW DENY ASK, at name time also UNDECIDED */
	enum reason reason;   /* REASON_RULE or REASON_DEFAULT */
	uint32_t rule;        /* id, 0 for the default */
};

int ruleset_new(enum verdict default_out, enum verdict default_in,
	struct ruleset **out);
void ruleset_free(struct ruleset *rs); /* NULL is fine */
/* How +uid:NAME becomes a number: 0 or -errno (-ENOENT: no such user). The default asks
 * the system (NSS, may block); a process that may not do that gives its own before it
 * adds. */
typedef int (*rules_user)(const char *name, uint32_t *uid);
int rules_system_user(const char *name, uint32_t *uid);
void ruleset_users(struct ruleset *rs, rules_user fn);

/* What list:NAME stands for: a list, or NULL if there is none; the ruleset takes a reference
 * of its own. Give it before the first add; without it there are none. A rule whose list is
 * not there matches nothing: ruleset_lists says which, for whoever can tell a person. */
struct list;
typedef struct list *(*rules_list)(void *ctx, const char *name);
void ruleset_list_by(struct ruleset *rs, rules_list fn, void *ctx);
/* each list that an enabled rule names, once for each such rule */
void ruleset_lists(const struct ruleset *rs,
	void (*fn)(void *ctx, const char *name, const struct list *l), void *ctx);
/* the list that a rule's text names, into name, or "" */
void rule_list_name(const char *text, char *name, size_t max);

/* one rule; err may be NULL. A blank or comment line is -ENOENT and no error text */
int ruleset_add(struct ruleset *rs, const char *text, const struct rule_origin *from,
	struct rule_error *err);
/* a whole file's text (not its path): every rule or none */
int ruleset_add_text(struct ruleset *rs, const char *text, size_t len, const char *file,
	int64_t created_s, struct rule_error *err);
/* the factory rules, which a person sees. An own rule or a file's with the same program
 * and target goes before them: that is how one is switched off */
int ruleset_add_factory(struct ruleset *rs);
/* call once after the last add: sorts by the total order, gives ids to rules of files;
 * -EEXIST: two own rules have one id */
int ruleset_ready(struct ruleset *rs);

/* Does the text parse? canonical gets the rule as it will be stored (may be NULL).
 * Users' names are not looked up here. An `until` that has passed is -EINVAL. */
int rule_check(const char *text, int64_t now_s, struct text *canonical,
	struct rule_error *err);

/* does any rule go by country, continent or network? Else target.geo need not be filled */
bool ruleset_asks_where(const struct ruleset *rs);

size_t ruleset_count(const struct ruleset *rs);
/* at counts in the order that decides */
void ruleset_info(const struct ruleset *rs, size_t at, struct rule_info *out);
bool ruleset_find(const struct ruleset *rs, uint32_t id, struct rule_info *out);

/* Name time, before anything is asked upstream. Rules that match this name whatever its
 * address and port turn out to be decide, unless one that outranks them only may match
 * and says otherwise: then UNDECIDED, and .rule is the one that may. Factory rules for
 * `any` do not count, and rules of local ranges only for local names. */
void ruleset_at_name(const struct ruleset *rs, const struct program *who,
	const char *name, bool local_name, int64_t now_s, struct decision *out);
/* everything known (port may be 0: then rules with ports do not match) */
void ruleset_decide(const struct ruleset *rs, const struct program *who,
	const struct target *to, int64_t now_s, struct decision *out);

/* What a grant for one address opens: the verdict of every port not listed, and the
 * stretches where the verdict differs from it; no two stretches overlap. */
enum { PORTS_MAX = 32 };
struct port_stretch {
	uint8_t proto;       /* 0: every protocol that has ports */
	uint16_t lo, hi;     /* 0 to 65535: the whole protocol, ports or none */
	struct decision decision;
};
struct port_verdicts {
	struct decision rest;
	uint8_t n;
	bool cut;            /* more than PORTS_MAX: rest says deny, whatever it was */
	struct port_stretch at[PORTS_MAX];
};
/* to->port and to->proto are ignored */
void ruleset_ports(const struct ruleset *rs, const struct program *who,
	const struct target *to, int64_t now_s, struct port_verdicts *out);

/* The same of what comes in from other machines, for every peer at once: a verdict holds
 * for all of them, or it is UNDECIDED and each address is judged when it is met. Stretches
 * are of protocols with ports, the ports the program's own. */
void ruleset_inbound(const struct ruleset *rs, const struct program *who, int64_t now_s,
	struct port_verdicts *out);

/* What can be told to the kernel once for all of a program's traffic to other machines,
 * names apart. ALLOW: no address or port without a name
 * could be denied or asked. DENY: nothing could be allowed or asked, by name neither.
 * Else UNDECIDED. local: the same for this machine's own addresses (the loopback
 * factory rule). narrows: some name is denied or asked, so what a connection says of
 * itself is worth hearing, whatever out says. */
struct whole {
	struct decision out, local;
	bool narrows;
};
void ruleset_whole(const struct ruleset *rs, const struct program *who, int64_t now_s,
	struct whole *out);

/* Is there nothing by which anybody could be denied or asked for another machine's address
 * that no name explains? narrows then says whether somebody could be for a name. */
bool ruleset_lets_all(const struct ruleset *rs, int64_t now_s, bool *narrows);
/* Could nobody be denied or asked what comes in, from whomever? */
bool ruleset_lets_all_in(const struct ruleset *rs, int64_t now_s);

bool proto_has_ports(uint8_t proto);

/* Which classes of the table's factory rules this program may use: a mask of 1 <<
 * class, numbered like enum nft_factory. A class is off where a rule that outranks it
 * denies or asks its zone or everything; single denied addresses do not switch it off
 * (the table's refusals come first). */
enum rules_class { RULES_DHCP = 1, RULES_NTP, RULES_MDNS, RULES_ND };
unsigned ruleset_classes(const struct ruleset *rs, const struct program *who,
	int64_t now_s);

/* the next moment (Unix s) at which a rule begins or ends to hold, or 0 */
int64_t ruleset_next_change(const struct ruleset *rs, int64_t now_s);

/* The WHAT of `explain WHO WHAT`: a host or an address, with one port and a protocol if
 * wanted. out borrows name and addr. What is a pattern or a range is -EINVAL. */
int rules_target(const char *text, char name[static HOST_MAX], struct addr *addr,
	struct target *out, struct rule_error *err);
/* every rule that matches, in the order that decides, one line each, and what won and
 * why; without an address it explains the decision at name time */
void ruleset_explain(const struct ruleset *rs, const struct program *who,
	const struct target *to, int64_t now_s, struct text *out);

/* is the name below no public suffix (nas.lan, localhost, printer)? Needs the PSL. */
bool rules_local_name(const char *name);
/* the part of name that somebody registered (example.co.uk of a.b.example.co.uk), inside
 * name; NULL where there is none (a public suffix itself). A name below no suffix that is
 * listed gives its last two labels. The first call reads the list's file. */
const char *rules_registrable(const char *name);
/* A-labels from what a person typed, then host_parse; -EINVAL */
int rules_host(const char *typed, char out[static HOST_MAX]);

#endif
