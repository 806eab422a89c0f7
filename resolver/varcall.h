/* SPDX-License-Identifier: GPL-2.0-or-later
 * varcall.h - messages of io.systemd.Resolve, the interface that nss-resolve speaks with
 * systemd-resolved over a UNIX socket (varlink: JSON objects, a NUL behind each). Pure.
 *   call    one request, read and checked
 *   part    one DNS reply that a call led to: a host name takes two, A and AAAA
 * Numbers of flags are systemd's own (SD_RESOLVED_*). */
#ifndef RESOLVER_VARCALL_H
#define RESOLVER_VARCALL_H

#include "base/addr.h"
#include "base/text.h"

enum { VARLINK_NAME_MAX = 1025, VARLINK_ID_MAX = 128, VARLINK_PARTS_MAX = 2 };

enum varlink_method { VARLINK_HOSTNAME, VARLINK_ADDRESS, VARLINK_RECORD, VARLINK_INFO,
	VARLINK_DESCRIPTION };

enum {
	RESOLVED_DNS = 1 << 0,
	RESOLVED_PROTOCOLS = 0x1f, /* DNS, LLMNR and mDNS over IPv4 and IPv6 */
	RESOLVED_NO_CNAME = 1 << 5,
	RESOLVED_NO_SEARCH = 1 << 8,
	RESOLVED_AUTHENTICATED = 1 << 9,
	RESOLVED_NO_VALIDATE = 1 << 10,
	RESOLVED_NO_ZONE = 1 << 13,
	RESOLVED_NO_TRUST_ANCHOR = 1 << 14,
	RESOLVED_CONFIDENTIAL = 1 << 18,
	RESOLVED_SYNTHETIC = 1 << 19,
	RESOLVED_FROM_CACHE = 1 << 20,
	RESOLVED_FROM_NETWORK = 1 << 23,
	RESOLVED_NO_STALE = 1 << 24,
	RESOLVED_RELAX_SINGLE_LABEL = 1 << 25,
};

struct varlink_call {
	enum varlink_method method;
	bool oneway;                 /* nobody waits for a reply */
	char name[VARLINK_NAME_MAX]; /* UTF-8, as it was written */
	uint8_t family;              /* 4, 6, or 0 for both */
	struct addr addr;            /* VARLINK_ADDRESS */
	uint8_t addr_bytes;          /* as many were given: a mapped address is one of IPv4 */
	uint16_t type, klass;        /* VARLINK_RECORD */
	uint32_t ifindex;            /* 0: any */
	uint64_t flags;
};

/* what is wrong with one: an error's name, and its one parameter if it has any */
struct varlink_error {
	const char *id;
	const char *key;
	char value[VARLINK_ID_MAX];
};

/* The message without its NUL. 1: *err is the answer (and out->oneway holds). -EBADMSG: it
 * is no call of anything; nothing is to be said to whoever sends such. */
int varlink_call_read(const char *text, size_t len, struct varlink_call *out,
	struct varlink_error *err);

/* A literal address, of host name calls, with a zone behind it perhaps: "fe80::1%eth0".
 * *zone borrows name ("" none). -EINVAL: a name */
int varlink_literal(const char *name, struct addr *out, const char **zone);

/* one DNS reply; msg is what a DNS client with EDNS would get, NULL: there is none */
struct varlink_part {
	const uint8_t *msg;
	size_t len;
	int error;   /* of the upstreams, where it is why: -ETIMEDOUT ... */
	bool local;  /* answered here */
	bool cached;
};

/* Replies, whole messages without the NUL. t->cut: there was not room for all. */
void varlink_error_write(struct text *t, const struct varlink_error *err);
void varlink_error_named(struct text *t, const char *id); /* without parameters */
void varlink_info_write(struct text *t, const char *version);
/* of call.name; an error if that is no interface of ours */
void varlink_description_write(struct text *t, const struct varlink_call *call);
void varlink_literal_write(struct text *t, const struct varlink_call *call,
	const struct addr *a, uint32_t ifindex);
void varlink_answer_write(struct text *t, const struct varlink_call *call,
	const struct varlink_part *parts, unsigned n);

#endif
