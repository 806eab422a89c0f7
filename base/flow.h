/* SPDX-License-Identifier: GPL-2.0-or-later
 * flow.h - the one record: what was asked, by whom, how we know, where it goes, what was
 * decided, and why. Fixed size, no pointers: it crosses threads and processes as it is.
 * Each stage fills its part; when the answer is out it is the event that history stores
 * and the dashboard shows. Strings of the program live once in the identity table.
 * Units: _ms Unix time in milliseconds, _us microseconds; ports in host order. */
#ifndef BASE_FLOW_H
#define BASE_FLOW_H

#include "base/addr.h"
#include "base/host.h"
#include "base/program.h"

#include <stdbool.h>
#include <stdint.h>

enum flow_kind { FLOW_QUERY, FLOW_CONN };

enum flow_dir { FLOW_OUT, FLOW_IN };

enum verdict { VERDICT_NONE, VERDICT_ALLOW, VERDICT_DENY, VERDICT_ASK, VERDICT_UNDECIDED };

enum reason {
	REASON_NONE,
	REASON_RULE,      /* a rule matched: .rule says which */
	REASON_DEFAULT,   /* no rule matched */
	REASON_CNAME,     /* a name the answer leads to is denied */
	REASON_ADDRESS,   /* every address of the answer is denied */
	REASON_REBIND,    /* a public name with a local address */
	REASON_OUTSIDE,   /* not in the scope: not judged */
	REASON_SELF,      /* the daemon's own */
	REASON_KERNEL,    /* allowed, but the kernel did not take the element */
	REASON_UPSTREAM,  /* allowed, but no server answered */
	REASON_LOCAL,     /* answered here: localhost, hosts, special names */
	REASON_NO_GRANT,  /* no approved answer opened this address */
	REASON_BAD,       /* malformed or unsupported request */
	REASON_FACTORY,   /* a factory rule of the table */
	REASON_GONE,      /* the rule that had opened it was removed */
	REASON_BLOCKED,   /* everything is blocked for now */
	REASON_CLAIM,     /* it named a host whose address this is not */
};

enum flow_state { FLOW_NEW, FLOW_LIVE, FLOW_DONE, FLOW_REFUSED };

enum { FLOW_ANSWERS_MAX = 8 };

/* where an address is said to be (geo/): "" and 0 where nobody knows */
struct geo_tag {
	char country[3];   /* ISO 3166-1 alpha-2, upper case */
	char continent[3]; /* AF AN AS EU NA OC SA */
	uint32_t asn;
	char as_name[64];
	char city[48];
};

struct flow {
	uint64_t id;      /* counts up from the daemon's start */
	int64_t start_ms, end_ms;
	/* who */
	uint64_t serial;  /* struct program .serial */
	uint32_t actor;
	uint32_t uid;
	int32_t pid;      /* 0: the process is not known */
	uint8_t how;      /* enum how */
	/* what */
	uint8_t kind;     /* enum flow_kind */
	uint8_t dir;      /* enum flow_dir */
	uint8_t state;    /* enum flow_state */
	uint8_t proto;    /* IPPROTO_: of the query's transport, or of the connection */
	uint8_t cached;
	uint16_t qtype;
	uint16_t rcode;
	uint16_t port;
	struct addr addr; /* where a connection goes; for a query, the server it was sent to */
	/* decided */
	uint8_t verdict;  /* enum verdict */
	uint8_t reason;   /* enum reason */
	uint32_t rule;    /* rule id, 0 none */
	uint32_t took_us;
	uint8_t nanswers;
	struct addr answers[FLOW_ANSWERS_MAX];
	uint8_t watched;  /* mode=watch: the verdict is what it would have been */
	uint8_t first;    /* the first contact of a program that was never seen before */
	uint8_t counted;  /* rx and tx are known: not so of a flow that nobody counts */
	uint64_t rx, tx;  /* bytes to and from the program, IP headers and all */
	uint64_t rx_packets, tx_packets;
	struct geo_tag geo; /* of addr; a hint, not truth */
	char name[HOST_MAX];
	char other[HOST_MAX]; /* the denied CNAME target, where reason is REASON_CNAME */
};

/* what was counted of a live flow since it began */
struct flow_count {
	uint64_t id, rx, tx, rx_packets, tx_packets;
};

const char *verdict_text(enum verdict v);
const char *reason_text(enum reason r);
const char *how_text(enum how h);
const char *flow_state_text(enum flow_state s);
/* "tcp", "udp", "icmp" (ICMPv6 too) or the number; buf holds a number's text */
const char *proto_text(uint8_t proto, char buf[static 4]);

#endif
