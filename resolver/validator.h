/* SPDX-License-Identifier: GPL-2.0-or-later
 * validator.h - answers whose signatures were checked (RFC 4033 to 4035), and names found from
 * the root itself: both by libunbound on our loop. What is bogus comes back as SERVFAIL with
 * its extended error (RFC 8914); what is proven has AD set; DNSSEC's records are in the
 * answer only where they were asked for. */
#ifndef RESOLVER_VALIDATOR_H
#define RESOLVER_VALIDATOR_H

#include "resolver/upstream.h"

struct validator;

struct validator_conf {
	struct upstreams *upstreams; /* NULL: recursive, from the root */
	bool validate;
	const char *anchor;          /* file of the root's keys, if validate */
	const char *hints;           /* root.hints; NULL: those built in */
	uint32_t mark;
};

/* 0 and a whole answer, borrowed; -EIO: not even that. Never before validator_ask returned. */
typedef void (*validator_done)(void *ctx, int r, const uint8_t *msg, size_t len);

/* one query, of class IN */
struct validator_ask {
	const char *name;
	uint16_t type;
	bool dnssec_ok;         /* with the records that prove it */
	bool checking_disabled; /* what is bogus too */
	validator_done done;
	void *ctx;
};

/* -ENOENT: no such anchor or hints; -EINVAL: libunbound refuses a setting */
int validator_open(struct uv_loop_s *loop, const struct validator_conf *conf,
	struct validator **out);
/* done of what is under way is not called; NULL is fine */
void validator_close(struct validator *v);
/* A query cannot be taken back: its end comes, but for validator_close(). -ENOMEM, -EIO */
int validator_ask(struct validator *v, const struct validator_ask *ask);

#endif
