/* SPDX-License-Identifier: GPL-2.0-or-later
 * link.h - what the core and scupper-web say to each other over their socketpair.
 * SOCK_SEQPACKET: one message a packet, fixed-size structs of plain types (both ends are
 * forks of one binary). A message of another length than its type's, of an unknown type, or
 * with a string that is not NUL-terminated is dropped and counted: link_check() says so.
 * The core never trusts web: what it gets here is judged like a stranger's request.
 *
 * Web asks with a seq of its own; the core answers with the same seq: any number of
 * LINK_RULE or LINK_TEXT and then exactly one LINK_DONE. Events bear seq 0. On LINK_HELLO
 * from either side the core sends every program and the flows it still has, then goes on. */
#ifndef WEB_LINK_H
#define WEB_LINK_H

#include "base/flow.h"
#include "base/instance.h"

enum link_type {
	LINK_HELLO = 1,   /* both: struct link_hello */
	/* web to core */
	LINK_GET_STATUS,  /* no body */
	LINK_GET_RULES,   /* no body */
	LINK_RULE_ADD,    /* struct link_rule_add */
	LINK_RULE_REMOVE, /* struct link_rule_remove */
	LINK_EXPLAIN,     /* struct link_explain */
	LINK_RULE_CHANGE, /* struct link_rule_change: another text for an own rule */
	LINK_FILTER,      /* struct link_filter: pause, resume, block */
	LINK_WATCHERS,    /* struct link_watchers: how many listen to live traffic now */
	LINK_CACHE_FLUSH, /* struct link_cache_flush: forget answers */
	/* core to web */
	LINK_STATUS,      /* struct link_status */
	LINK_RULE,        /* struct link_rule */
	LINK_TEXT,        /* struct link_text: a piece of explain's answer */
	LINK_DONE,        /* struct link_done */
	LINK_PROGRAM,     /* struct link_program: before the first flow that names it */
	LINK_FLOW,        /* struct link_flow: new, or again with the same id when it changed */
	LINK_BYTES,       /* struct link_bytes: counters of live flows, once a second while
			   * somebody watches */
	LINK_HISTORY,     /* struct link_history: the file it is in now is another one */
	LINK_CHANGED,     /* struct link_changed: whoever did it, a file or the clock too */
};

enum { LINK_RULE_TEXT_MAX = 1024, LINK_WHO_MAX = 800, LINK_BODY_MAX = 8192 };

struct link_head {
	uint16_t type;
	uint16_t pad;
	uint32_t seq;
};

struct link_hello {
	uint64_t boot; /* of the core: changes when it was restarted */
};

struct link_rule_add {
	int64_t created_s; /* a rule that was there before: its time goes on; 0: now */
	char text[LINK_RULE_TEXT_MAX];
	uint32_t uid; /* who asked, for the log */
};

struct link_rule_remove {
	uint32_t id;
	uint32_t uid;
};

struct link_explain {
	char who[LINK_WHO_MAX];  /* path[+uid:N], "unknown" */
	char what[512];          /* host or address, [:port[/proto]] */
};

struct link_rule_change {
	uint32_t id;
	uint32_t uid;
	char text[LINK_RULE_TEXT_MAX];
};

enum link_filter_mode { FILTER_ON, FILTER_PAUSED, FILTER_BLOCK };
struct link_filter {
	uint8_t mode;      /* enum link_filter_mode */
	uint8_t pad[3];
	uint32_t uid;
	int64_t until_s;   /* Unix time at which it is ON again; 0: until told */
};

struct link_watchers {
	uint32_t n;
};

struct link_cache_flush {
	uint32_t uid;
	uint8_t below;   /* and everything under it */
	uint8_t pad[3];
	char name[256];  /* normalised; "" with below: all */
};

enum { LINK_BYTES_MAX = 100 };
struct link_bytes {
	uint32_t n;
	uint32_t more; /* 1: others of this round follow, 0: every live flow is counted */
	struct flow_count at[LINK_BYTES_MAX];
};

struct link_history {
	uint64_t dev, ino; /* as stat(2) has them */
};

/* what must be asked for again */
struct link_changed {
	uint8_t rules, filter;
	uint8_t pad[6];
};

struct link_text {
	char text[4096];
};

struct link_done {
	int32_t r;        /* 0 or -errno */
	uint32_t id;      /* of the rule that was added */
	char error[512];  /* for a person, when r < 0 */
};

struct link_rule {
	uint32_t id;
	uint8_t source;   /* enum rule_source */
	uint8_t action;   /* enum verdict */
	uint8_t enabled;
	uint8_t pad;
	uint32_t line;
	int64_t created_s, expires_s, changed_s, last_used_s;
	uint64_t hits;
	char text[LINK_RULE_TEXT_MAX];
	char file[512];
};

struct link_program {
	uint64_t serial;
	uint32_t actor, uid;
	uint8_t known, believed;
	char path[PROGRAM_PATH_MAX];
	int32_t parent_pid;
	char parent[PROGRAM_PATH_MAX]; /* of the process that first bore the number, or "" */
	char cgroup[256];
};

struct link_flow {
	struct flow flow;
	char rule_text[256]; /* of flow.rule, cut; "" for the default */
	char process[256];   /* argv of flow.pid where known */
	char parents[512];   /* argv of its parents in the scope, the nearest first, each with a
			      * newline behind it; of what was denied */
};

struct link_upstream {
	char name[160];
	char why[128];        /* it failed last, "" when it answered */
	uint64_t sent, failed;
	int64_t last_ok_ms;
	uint8_t dead;         /* it is left alone for a while */
	uint8_t fallback;
};

enum { LINK_UPSTREAMS_MAX = 8 };

/* how programs are recognised, and what that cannot do, in a sentence (NULL for BPF) */
enum link_identity { LINK_RESOLVER_ONLY, LINK_BASIC, LINK_BPF };
const char *link_identity_limits(enum link_identity i);

struct link_status {
	char version[32], instance[INSTANCE_NAME_MAX], mode[16], scope[512], when_down[16];
	char default_out[8], default_in[8];
	int64_t uptime_s;
	uint8_t identity;        /* enum link_identity */
	char why[512];           /* why not better, or what bpf mode cannot do here */
	uint8_t table;           /* the nft table stands */
	uint8_t persist;         /* and outlives the supervisor */
	char nss[256];           /* other resolvers on the machine whose clients are not seen */
	uint32_t nupstreams;
	struct link_upstream upstreams[LINK_UPSTREAMS_MAX];
	/* sets */
	uint64_t grants, actors, refusals;
	/* counters */
	uint64_t queries, denied, cached, shared, kernel_failed, unknown, outside, flows,
		refused, frames_refused, execs, ring_lost, events_lost, core_restarts, rss_kb;
	/* the answers kept; bytes_max is what they may take */
	uint64_t cache_misses, cache_stale, cache_prefetched, cache_failures, cache_entries,
		cache_bytes, cache_bytes_max;
	char rule_errors[1024];  /* of rule files: file:line:column: what */
	uint8_t filter;          /* enum link_filter_mode */
	uint8_t accounting;      /* bytes are counted */
	int64_t filter_until_s;
	char geo_country[256], geo_city[256], geo_asn[256]; /* file and build date, or "" */
	char history[256];       /* what is wrong with it, or "" */
	uint64_t history_bytes, history_lost;
};

struct link_any {
	struct link_head head;
	union {
		struct link_hello hello;
		struct link_rule_add rule_add;
		struct link_rule_remove rule_remove;
		struct link_explain explain;
		struct link_rule_change rule_change;
		struct link_filter filter;
		struct link_watchers watchers;
		struct link_cache_flush cache_flush;
		struct link_bytes bytes;
		struct link_history history;
		struct link_changed changed;
		struct link_text text;
		struct link_done done;
		struct link_rule rule;
		struct link_program program;
		struct link_flow flow;
		struct link_status status;
	} u;
};

/* the exact length of a message of this type, head included; 0 for an unknown type */
size_t link_size(uint16_t type);
/* bytes from the other side: right length, known type, terminated strings, enums in range.
 * from_core says which direction is right. 0 or -EBADMSG */
int link_check(const void *bytes, size_t len, bool from_core);

#endif
