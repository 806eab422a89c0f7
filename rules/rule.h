/* SPDX-License-Identifier: GPL-2.0-or-later
 * rule.h - one rule, taken apart: what the files of this folder share. Everybody else
 * includes rules.h.
 *
 * Kinds are numbered by rank: a lower number is more specific (order.c). The kinds that
 * later versions bring (script, unit, ...) take their place between.
 */
#ifndef RULES_RULE_H
#define RULES_RULE_H

#include "base/macros.h"
#include "base/table.h"
#include "base/text.h"
#include "rules/rules.h"

enum {
	RULE_LINE_MAX = 4096,  /* bytes of a line, canonical ones too */
	RULE_NOTE_MAX = 256,
	RULE_USER_MAX = 65,
	RULE_PORTS_MAX = 16,   /* ports and stretches of ports in one rule */
	RULES_MAX = 200000,
	RULE_ID_FILE = 0x40000000,
	RULE_ID_MASK = 0x3fffffff,
};
#define RULE_ID_FACTORY 0x80000000u

enum who_kind { WHO_PATH, WHO_GLOB, WHO_UNKNOWN, WHO_ANY };
enum what_kind {
	WHAT_NET,
	WHAT_HOST,
	WHAT_DOMAIN,
	WHAT_GLOB,
	WHAT_LIST,
	WHAT_AS,
	WHAT_COUNTRY,
	WHAT_CONTINENT,
	WHAT_ZONE,
	WHAT_ANY
};
enum { DIR_OUT = 1 << FLOW_OUT, DIR_IN = 1 << FLOW_IN };

struct who {
	enum who_kind kind;
	const char *path;      /* PATH, GLOB */
	const char *user;      /* as written, or NULL: no +uid: */
	uint32_t uid;          /* known once a ruleset took the rule */
};

struct port_range {
	uint16_t lo, hi;
};

struct what {
	enum what_kind kind;
	const char *name;      /* HOST, DOMAIN, GLOB, LIST */
	struct list *list;     /* LIST: a reference; NULL: there is none of that name */
	uint8_t labels;        /* of a DOMAIN */
	bool below_only;       /* "*.x": not x itself */
	enum zone zone;        /* ZONE */
	uint32_t asn;          /* AS */
	char code[3];          /* COUNTRY, CONTINENT */
	struct addr lo, hi;    /* NET: both ends belong to it */
	uint8_t size[16];      /* NET: hi - lo, big-endian */
	uint8_t proto;         /* 0: every one; IPPROTO_ICMP stands for ICMPv6 too */
	uint8_t nports;        /* 0: every port */
	struct port_range ports[RULE_PORTS_MAX]; /* ascending, apart */
};

struct rule {
	enum verdict action;
	struct who who;
	struct what what;
	uint8_t dirs;          /* DIR_OUT | DIR_IN */
	bool high, off;
	int64_t for_s;         /* 0: none */
	int64_t until_s;       /* 0: none */
	const char *until;     /* as written: local time stays local time */
	const char *note;
	/* filled when a ruleset takes it */
	uint32_t id, seq;
	enum rule_source source;
	const char *file, *text;
	unsigned line;
	int64_t created_s, expires_s;
	/* what it could match while address, port or name are not known (match.c) */
	uint8_t may, sure; /* zones (1 << enum zone) it can touch; it covers whole */
	bool named;            /* matches only what has a name */
	bool not_at_name;      /* a factory rule for `any` */
};

enum { ZONES_ALL = 1 << ZONE_LOCALHOST | 1 << ZONE_LAN | 1 << ZONE_INTERNET |
	1 << ZONE_MULTICAST };

/* where a parsed rule's strings are until a ruleset copies it */
struct parsed {
	struct rule rule;
	char path[PROGRAM_PATH_MAX], user[RULE_USER_MAX], name[HOST_MAX];
	char note[RULE_NOTE_MAX], until[20];
	unsigned user_column;
};

struct index;

struct ruleset {
	enum verdict fallback[2]; /* by enum flow_dir */
	rules_user user;
	rules_list list;
	void *list_ctx;
	struct rule **rules;   /* owned; in the order that decides, once ready */
	struct rule **by_id;
	size_t n, max;
	size_t inbound;        /* how many of them speak of what comes in */
	bool asks_where;       /* a rule goes by country, continent or AS */
	struct index *index;   /* NULL: every lookup walks all rules */
};

/* parse.c, target.c: errors as rules.h says; line is only copied into them */
int rule_parse(const char *text, size_t len, unsigned line, struct parsed *out,
	struct rule_error *err);
/* canon.c */
void rule_text(const struct rule *r, struct text *out);
void what_text(const struct what *w, struct text *out);
/* a single label that would be read as a word, or taken for a slip of one */
bool what_word_like(const char *name);

/* match.c. A mask of ports and protocols is ignored where `to` does not know them. */
bool rule_holds(const struct rule *r, int64_t now_s);
bool who_matches(const struct rule *r, const struct program *p);
bool what_matches_place(const struct what *w, const char *name, const struct addr *addr,
	const struct geo_tag *geo);
bool what_matches_name(const struct what *w, const char *name);
bool what_matches_service(const struct what *w, uint8_t proto, uint16_t port);
bool what_any_service(const struct what *w);
bool what_whole_zones(const struct what *w); /* every address of the zones it touches */
bool path_glob_matches(const char *glob, const char *path);
bool host_glob_matches(const char *glob, const char *host);
void rule_reach(struct rule *r); /* fills may, sure, named, not_at_name */
unsigned net_bits(const struct what *w); /* prefix length, or 255: no prefix */
bool proto_is(uint8_t of_rule, uint8_t proto);

/* can it match what has no name? */
bool what_takes_nameless(const struct what *w);
bool what_is_where(const struct what *w); /* as:, country:, continent: */

/* order.c: below 0, a goes before b; order_why: by which step */
int order_cmp(const struct rule *a, const struct rule *b);
const char *order_why(const struct rule *a, const struct rule *b);

/* index.c. parts: which rules are wanted; what is visited may hold more, never less */
enum index_part {
	PART_NAME = 1,   /* hosts and domains: those that match the name */
	PART_GLOB = 2,
	PART_NET = 4,    /* prefixes: those that hold the address */
	PART_REST = 8,   /* odd ranges, zones, any */
	PART_CLASS = 16, /* of each class of rules alike (reach, action) the first */
};
typedef void (*index_visit)(void *ctx, const uint32_t *ranks, size_t n); /* ascending */
struct place {
	const char *name;
	const struct addr *addr;
};
int index_new(const struct ruleset *rs, struct index **out);
void index_free(struct index *x);
void index_each(const struct ruleset *rs, const struct program *who, struct place at,
	unsigned parts, index_visit fn, void *ctx);

/* decide.c */
bool rule_concerns(const struct rule *r, const struct program *who, enum flow_dir dir,
	int64_t now_s);
bool rule_counts_at_name(const struct rule *r, const struct program *who,
	const struct target *to, int64_t now_s);
/* what comes in has an address only: a name would be its peer's word */
const char *target_name(const struct target *to);
bool rule_matches(const struct rule *r, const struct program *who,
	const struct target *to, int64_t now_s);
struct decision decision_of(const struct rule *r);
void decide_default(const struct ruleset *rs, const struct program *who,
	enum flow_dir dir, int64_t now_s, struct decision *out);

/* words.c */
struct word_list {
	const char *const *words;
	size_t n;
};
bool word_in(const char *word, struct word_list list);
/* the nearest within that many slips, or NULL */
const char *word_near(const char *word, struct word_list list, unsigned slips);

/* factory.c */
uint8_t factory_class(uint32_t id); /* enum rules_class, or 0 */
int factory_rules(int (*add)(void *ctx, uint32_t id, const char *text), void *ctx);

#endif
