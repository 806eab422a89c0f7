/* SPDX-License-Identifier: GPL-2.0-or-later
 * rules.h - may this program do this? Pure: no clock, no I/O, no globals.
 *
 * Glossary. who: the program side of a rule. what: the target side. sure match: a rule that
 * matches a name whatever address and port it turns out to have; may-match: one that only
 * some addresses or ports would make match. whole verdict: the one answer for everything a
 * program may do without a name to explain it.
 *
 * Ownership: a ruleset owns its rules and copies every text given to it. It is built by
 *            adds and then only read; a change builds a new one.
 * Units:     ports in host order, 0 "not known yet"; now_s is Unix time; expiry 0 never.
 * Errors:    0 or -errno; on failure outputs are untouched and *err says line and column
 *            (both from 1; line only from a file). */
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
	uint32_t id;         /* RULE_OWN: from the store; else 0: made here from file and text */
	const char *file;    /* RULE_FILE */
	unsigned line;
	int64_t created_s;   /* `for 10m` counts from here; also "the newer wins" */
};

/* a rule as it is listed */
struct rule_info {
	uint32_t id;
	enum rule_source source;
	enum verdict action;
	bool enabled;        /* no `off`, not expired */
	const char *text;    /* canonical; borrowed from the ruleset */
	const char *file;    /* or NULL */
	unsigned line;
	int64_t created_s, expires_s;
	const char *note;    /* or NULL */
};

/* where something wants to go. At name time addr is NULL and port 0. */
struct target {
	const char *name;    /* normalised (base/host.h), or NULL: a literal address */
	const struct addr *addr;
	uint16_t port;       /* 0: not known */
	uint8_t proto;       /* IPPROTO_*, 0: not known */
	enum flow_dir dir;
	bool local_name;     /* hosts file, mDNS, a route's, or below no public suffix */
};

struct decision {
	enum verdict verdict; /* ALLOW DENY ASK, at name time also UNDECIDED */
	enum reason reason;   /* REASON_RULE or REASON_DEFAULT */
	uint32_t rule;        /* id, 0 for the default */
};

int ruleset_new(enum verdict default_out, enum verdict default_in, struct ruleset **out);
void ruleset_free(struct ruleset *rs); /* NULL is fine */

/* one rule; err may be NULL. A blank or comment line is -ENOENT and no error text */
int ruleset_add(struct ruleset *rs, const char *text, const struct rule_origin *from,
	struct rule_error *err);
/* a whole file's text (not its path): every rule or none */
int ruleset_add_text(struct ruleset *rs, const char *text, size_t len, const char *file,
	int64_t created_s, struct rule_error *err);
/* the factory rules a person sees and can switch off by `off` ids (may be NULL) */
int ruleset_add_factory(struct ruleset *rs);
/* call once after the last add: sorts by the total order */
int ruleset_ready(struct ruleset *rs);

/* does the text parse? canonical gets the rule as it will be stored (may be NULL) */
int rule_check(const char *text, int64_t now_s, struct text *canonical,
	struct rule_error *err);

size_t ruleset_count(const struct ruleset *rs);
void ruleset_info(const struct ruleset *rs, size_t at, struct rule_info *out); /* in order */
bool ruleset_find(const struct ruleset *rs, uint32_t id, struct rule_info *out);

/* name time: DESIGN.md 4 "three values" */
void ruleset_at_name(const struct ruleset *rs, const struct program *who, const char *name,
	bool local_name, int64_t now_s, struct decision *out);
/* everything known (port may be 0: then rules with ports do not match) */
void ruleset_decide(const struct ruleset *rs, const struct program *who,
	const struct target *to, int64_t now_s, struct decision *out);

/* What a grant for one address opens: the verdict of every port not listed, and the
 * stretches where the verdict differs. Proto 0 in a stretch: every protocol. */
enum { PORTS_MAX = 32 };
struct port_stretch {
	uint8_t proto;
	uint16_t lo, hi;
	struct decision decision;
};
struct port_verdicts {
	struct decision rest;
	uint8_t n;
	bool cut;            /* more stretches than PORTS_MAX: what is not listed is denied */
	struct port_stretch at[PORTS_MAX];
};
/* to->port and to->proto are ignored */
void ruleset_ports(const struct ruleset *rs, const struct program *who,
	const struct target *to, int64_t now_s, struct port_verdicts *out);

/* What can be told to the kernel once for all of a program's traffic in one direction to
 * (or from) other machines, names apart. ALLOW: no address or port without a name could be
 * denied or asked. DENY: nothing could be allowed or asked, by name neither. Else UNDECIDED.
 * local: the same for this machine's own addresses (the loopback factory rule). */
struct whole {
	struct decision out, in, local;
};
void ruleset_whole(const struct ruleset *rs, const struct program *who, int64_t now_s,
	struct whole *out);

/* the next moment (Unix s) at which a rule begins or ends to hold, or 0 */
int64_t ruleset_next_change(const struct ruleset *rs, int64_t now_s);

/* every rule that matches, in the order that decides, one line each, and what won and why */
void ruleset_explain(const struct ruleset *rs, const struct program *who,
	const struct target *to, int64_t now_s, struct text *out);

/* is the name below no public suffix (nas.lan, localhost, printer)? Needs the PSL. */
bool rules_local_name(const char *name);
/* A-labels from what a person typed, then host_parse; -EINVAL */
int rules_host(const char *typed, char out[static HOST_MAX]);

#endif
