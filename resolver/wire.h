/* SPDX-License-Identifier: GPL-2.0-or-later
 * wire.h - DNS messages (RFC 1035, EDNS RFC 6891, extended errors RFC 8914). Pure.
 * Names come out normalised (base/host.h); compression pointers only ever go backwards and
 * are followed a bounded number of times. Errors: 0 or -EBADMSG; outputs untouched on it. */
#ifndef RESOLVER_WIRE_H
#define RESOLVER_WIRE_H

#include "base/addr.h"
#include "base/cur.h"
#include "base/host.h"

enum {
	WIRE_HEAD = 12,
	WIRE_UDP_MIN = 512,
	WIRE_UDP_MAX = 1232, /* what we offer and send at most over UDP (DNS flag day 2020) */
	WIRE_MAX = 65535,
	WIRE_QR = 0x8000, WIRE_AA = 0x0400, WIRE_TC = 0x0200, WIRE_RD = 0x0100,
	WIRE_RA = 0x0080, WIRE_AD = 0x0020, WIRE_CD = 0x0010,
};

enum { TYPE_A = 1, TYPE_NS = 2, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_MX = 15,
	TYPE_TXT = 16, TYPE_AAAA = 28, TYPE_SRV = 33, TYPE_DNAME = 39, TYPE_OPT = 41,
	TYPE_SVCB = 64, TYPE_HTTPS = 65, TYPE_ANY = 255 };

enum rcode { RCODE_NOERROR, RCODE_FORMERR, RCODE_SERVFAIL, RCODE_NXDOMAIN, RCODE_NOTIMP,
	RCODE_REFUSED, RCODE_BADVERS = 16 };

/* RFC 8914 5.2 */
enum ede { EDE_NONE = -1, EDE_OTHER = 0, EDE_STALE = 3, EDE_INDETERMINATE = 5,
	EDE_BOGUS = 6, EDE_EXPIRED = 7, EDE_NOT_YET = 8, EDE_NO_KEY = 9, EDE_NO_RRSIG = 10,
	EDE_NO_NSEC = 12, EDE_BLOCKED = 15,
	EDE_STALE_NXDOMAIN = 19, EDE_NO_REACHABLE = 22, EDE_NETWORK = 23 };

/* id and flags are right whatever *rcode says; the rest where it could be read: a question
 * that could not has question_len 0. */
struct wire_query {
	uint16_t id, flags;
	char name[HOST_MAX];
	uint16_t type, klass;
	uint8_t opcode;
	bool edns, dnssec_ok;
	uint8_t edns_version;
	uint16_t udp_size;  /* what the asker can take over UDP: at least 512 */
	size_t question_len; /* bytes of the question as sent, from WIRE_HEAD on */
};

/* -EBADMSG: not even an id to answer to, or a response. Otherwise *rcode says with what to
 * refuse what we cannot take (FORMERR, NOTIMP, BADVERS) or is NOERROR. */
int wire_query_read(const uint8_t *msg, size_t len, struct wire_query *out,
	enum rcode *rcode);

/* One thing of an answer that leads somewhere: judged one by one. */
enum wire_lead { LEAD_ADDR, LEAD_CNAME, LEAD_HINT, LEAD_TARGET };
struct wire_answer_item {
	enum wire_lead lead;
	char owner[HOST_MAX];
	char name[HOST_MAX];  /* LEAD_CNAME, LEAD_TARGET (SVCB/HTTPS/SRV/MX target) */
	struct addr addr;     /* LEAD_ADDR, LEAD_HINT (ipv4hint, ipv6hint; RFC 9460) */
	uint32_t ttl;
	uint16_t rr;          /* index of its record, answer section first, 0.. */
};

struct wire_answer {
	uint16_t id, flags;
	uint16_t rcode;        /* with the EDNS extension bits */
	uint16_t qtype;
	char qname[HOST_MAX];
	uint32_t ttl;          /* least of the answer, or the negative TTL (RFC 2308), in s */
	bool negative;         /* NXDOMAIN, or NOERROR without what was asked */
	uint16_t nrr;          /* records in answer, authority, additional, OPT not counted */
	uint16_t nanswer;      /* the first of them: the answer section */
	uint16_t nitems;
	struct wire_answer_item *items; /* owned: wire_answer_done */
};

/* Bounded: at most WIRE_ITEMS_MAX items, and as many records, so that a bit per record
 * fits WIRE_ITEMS_MAX bits; more is -EBADMSG. -ENOMEM. Addresses and names of every
 * section are items; which section, rr and nanswer say. */
enum { WIRE_ITEMS_MAX = 1024 };
int wire_answer_read(const uint8_t *msg, size_t len, struct wire_answer *out);
void wire_answer_done(struct wire_answer *a);

/* A message that came in, written anew: the same, but names are pointed to only where a
 * name stands, of its OPT only the rcode, DO and extended error are left, and records
 * whose index has a bit in cut (or NULL) are left out. What wire_reply() is given must have
 * been through this, or be a reply written here. -EBADMSG, -ENOSPC */
int wire_canon(const uint8_t *msg, size_t len, const uint64_t *cut, uint8_t *out,
	size_t room);

/* Writers fill the caller's buffer and return the length, or -ENOSPC.
 * wire_reply: msg (an answer of the resolver's) as the reply to q: its id, its
 * question bytes as sent (0x20), RD and CD as asked, RA set, AD where msg has it, nothing
 * is cut out of it and q can take it, all TTLs lowered
 * by age_s, OPT only if q had one (ours), records whose index has a bit in cut left out
 * (RFC 9460 hints are cut out of their record where cut_hints is set), and over UDP cut to
 * max with TC set (no partial RRset). */
struct wire_edit {
	uint32_t age_s;
	uint32_t ttl_max;     /* no TTL over this; 0: as they are */
	const uint64_t *cut;  /* bit per record index, or NULL */
	bool cut_hints;
	size_t max;           /* query_room(); what does not fit: TC and whole RRsets */
	const char *alias;    /* wire_alias() alone: the question's name has this CNAME */
	uint32_t alias_ttl;
	enum ede ede;         /* EDE_NONE: what the upstream said goes through */
	const char *ede_text; /* or NULL */
};
int wire_reply(const struct wire_query *q, const uint8_t *query, const uint8_t *msg,
	size_t len, const struct wire_edit *e, uint8_t *out, size_t room);
/* an answer without records: refusals, SERVFAIL, FORMERR. Query bytes give the question. */
int wire_error(const struct wire_query *q, const uint8_t *query, size_t query_len,
	enum rcode rcode, enum ede ede, const char *ede_text, uint8_t *out, size_t room);
/* an A or AAAA record each for q->name (local answers), n 0: NODATA */
int wire_local(const struct wire_query *q, const uint8_t *query, const struct addr *addrs,
	unsigned n, uint32_t ttl, uint8_t *out, size_t room);
/* one PTR record for q->name; target is normalised */
int wire_local_ptr(const struct wire_query *q, const uint8_t *query, const char *target,
	uint32_t ttl, uint8_t *out, size_t room);
/* Records for q->name. Data in wire form, uncompressed. */
struct wire_record {
	const uint8_t *data;
	uint32_t ttl;
	uint16_t type, len;
};
int wire_local_records(const struct wire_query *q, const uint8_t *query,
	const struct wire_record *records, unsigned n, uint8_t *out, size_t room);
/* msg, an answer for the name alias, as one for the name of query's question (question_len
 * bytes behind the header), which is a CNAME of it. -EBADMSG, -ENOSPC */
int wire_alias(const uint8_t *query, size_t question_len, const char *alias,
	uint32_t alias_ttl, const uint8_t *msg, size_t len, uint8_t *out, size_t room);
/* the query we send upstream: RD, EDNS with WIRE_UDP_MAX, DO as given */
int wire_query_write(const char *name, uint16_t type, uint16_t id, bool dnssec_ok,
	uint8_t *out, size_t room);

const char *type_text(uint16_t type, char buf[static 12]); /* "A", "TYPE65280" */
const char *rcode_text(uint16_t rcode);

#endif
