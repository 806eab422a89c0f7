/* SPDX-License-Identifier: GPL-2.0-or-later
 * resolver.h - names to answers: cache, in-flight sharing, upstreams. It knows no programs:
 * who may know a name was decided before, what an answer opens is decided after. Everybody
 * who asks the same thing while it is under way gets the same answer (and is judged by the
 * caller one by one). Nothing is ever asked upstream but while somebody asks for it here:
 * what refreshes an answer is the query of one who may know the name. */
#ifndef RESOLVER_RESOLVER_H
#define RESOLVER_RESOLVER_H

#include "resolver/wire.h"

struct uv_loop_s;
struct resolver;
struct asking; /* one asker waiting */

/* A server and how it is asked. An encrypted one's certificate must be for its name, or,
 * where it has none, for its address; where it has no address, bootstrap servers say it. */
enum upstream_kind { UPSTREAM_PLAIN, UPSTREAM_TLS, UPSTREAM_HTTPS };
enum { UPSTREAM_PATH_MAX = 128, UPSTREAM_TEXT_MAX = 160, UPSTREAM_WHY_MAX = 128 };
struct upstream {
	struct addr addr;     /* family 0: found by name */
	uint16_t port;
	uint8_t kind;         /* enum upstream_kind */
	bool fallback;        /* asked only while none of the others can be reached */
	char name[HOST_MAX];  /* "" for plain ones, and where the address is the name */
	char path[UPSTREAM_PATH_MAX]; /* of HTTPS: "/dns-query" */
};

/* What of DNSSEC: nothing; the servers' word for it (AD); or our own proof, by libunbound */
enum dnssec { DNSSEC_OFF, DNSSEC_TRUST_AD, DNSSEC_VALIDATE };

/* in seconds; min is for answers with records only */
struct ttl_limits {
	uint32_t min, max, negative_max;
};

struct resolver_conf {
	const struct upstream *upstreams;
	size_t nupstreams;
	size_t cache_bytes;
	uint32_t mark;        /* SO_MARK of our own sockets, 0 for none */
	unsigned timeout_ms;  /* per try; 0 for the default */
	const char *hosts;    /* NULL: /etc/hosts */
	const char *names;    /* NULL, or lines for statics_parse() */
	enum dnssec dnssec;
	bool recursive;       /* from the root, not by the upstreams */
	const char *anchor;   /* the root's keys, for DNSSEC_VALIDATE */
	const char *root_hints; /* NULL: those libunbound knows */
	struct ttl_limits ttl; /* max 0: the defaults below */
	uint32_t stale_s;     /* how long past its end an answer may be given, 0: not at all */
	const char *cache_file; /* NULL: nothing is kept for the next process */
	const char *cache_owner; /* a text: another's file is not read; may be NULL */
	/* sentences for the log, of that file; may be NULL */
	void (*said)(void *ctx, const char *what);
	void *ctx;
	bool prefetch;        /* ask anew for what is asked often, before its end */
	const char *tls_ca;   /* file of certificates; NULL: the system's store. Borrowed for
			       * the resolver's life, as are: */
	const struct upstream *bootstrap; /* plain ones, to find upstreams known by name */
	size_t nbootstrap;
	bool race;            /* ask two servers at once, take the first answer */
};

enum { UPSTREAMS_MAX = 8 }; /* those behind are not used */

/* A shared, counted answer: borrow during the callback or answer_hold() it. cached, stale
 * and age_s are as of the last time it was given out, so never less than true. A reply made
 * from a stale one has ttl_max STALE_TTL_S and says so (RFC 8767 4, RFC 8914 4.4). */
enum { CACHE_TTL_MAX_S = 86400, CACHE_NEGATIVE_MAX_S = 3600, STALE_TTL_S = 30 };
struct answer {
	const uint8_t *msg;
	size_t len;
	const struct wire_answer *read; /* parsed once */
	bool cached;
	bool stale;           /* its TTL is over, and its servers do not answer */
	bool bogus;           /* SERVFAIL, because DNSSEC says it is not true: never stale */
	bool ripe;            /* asked often and near its end: for the resolver */
	uint32_t age_s;       /* how long it lay in the cache */
};

/* r 0 and an answer, or -ETIMEDOUT, -ECONNREFUSED, -EBADMSG, -ENOBUFS ... and NULL */
typedef void (*resolver_done)(void *ctx, int r, const struct answer *a);

int resolver_open(struct uv_loop_s *loop, const struct resolver_conf *conf,
	struct resolver **out);
/* Every asker is called once with -ECANCELED. NULL is fine; not from inside a callback.
 * The loop must turn once more before it is closed. */
void resolver_close(struct resolver *r);

/* May call done before it returns (a cache hit, *asking then untouched) or later, once.
 * dnssec_ok and CD are part of what is asked. -ENOBUFS: too many under way; what asking
 * came to a moment ago. done is not called then. */
int resolver_ask(struct resolver *r, const struct wire_query *q, resolver_done done,
	void *ctx, struct asking **asking);
void resolver_cancel(struct asking *a); /* done is not called any more */

const struct answer *answer_hold(const struct answer *a); /* -> answer_release */
void answer_release(const struct answer *a);

/* Forgets what is known of name (below: and of everything under it; "" is all names). done
 * is called from the loop when it is so. -EBUSY: too many at once; -ENOMEM */
int resolver_flush(struct resolver *r, const char *name, bool below,
	void (*done)(void *ctx), void *ctx);

/* hosts file and special names (RFC 6761: localhost, *.localhost; RFC 8375 etc.): answers
 * without asking. Returns the reply's length, 0 if the name is not local, or -errno */
int resolver_local(struct resolver *r, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room);
bool resolver_hosts_name(struct resolver *r, const char *name); /* in /etc/hosts? */
/* does it lead to this machine and nowhere else? localhost, the host's own name */
bool resolver_own_name(struct resolver *r, const char *name);
/* was it made a name of this network by the hosts file or the configuration? */
bool resolver_local_name(struct resolver *r, const char *name);

/* the name that is asked for instead, by a rewrite or a CNAME of the configuration, or NULL */
const char *resolver_alias(const struct resolver *r, const char *name);

/* How far an answer for a name must not lead (DNS rebinding): nowhere it must not; not to
 * this machine; not to this machine nor its network */
enum resolver_guard { GUARD_NONE, GUARD_LOOPBACK, GUARD_LAN };
enum resolver_guard resolver_guard(struct resolver *r, const char *name);

/* routes of links, beside the configured ones; copied. What was under way to servers that
 * are gone ends with -ENETUNREACH. -ENOMEM: not all of them */
struct route;
int resolver_links_set(struct resolver *r, const struct route *list, size_t n);
/* domains to search after the configured ones; copied */
void resolver_search_also(struct resolver *r, const char (*domains)[HOST_MAX], size_t n);
/* where to search names of one label; NULL behind the last */
const char *resolver_search(const struct resolver *r, unsigned i);

/* other servers: what the old ones said is forgotten */
void resolver_upstreams_set(struct resolver *r, const struct upstream *u, size_t n);
/* The system's own servers from resolv.conf text, never a loopback of ours (127.0.0.53 and
 * .54, 127.0.0.153 to .160, fd53:6375:7070::/48). How many were put into out. */
int upstream_parse_resolv_conf(const char *text, struct upstream *out, size_t max);
/* "9.9.9.9", "[::1]:5353"; "tls://HOST[:PORT]" and "https://HOST[:PORT][/PATH]", HOST an
 * address or a name; behind a '#' the other of the two. -EINVAL */
int upstream_parse(const char *text, struct upstream *out);
/* as upstream_parse() reads it, the port always written; cut where it is too long */
const char *upstream_text(const struct upstream *u, char out[static UPSTREAM_TEXT_MAX]);
bool upstream_equal(const struct upstream *a, const struct upstream *b);

struct resolver_stats {
	uint64_t hits, misses, upstream_sent, upstream_failed, shared, entries, bytes;
	uint64_t stale;      /* given out past their end */
	uint64_t prefetched; /* asked anew before it */
	uint64_t failures;   /* given out without asking, because it had just failed */
	uint64_t bytes_max;
};
void resolver_stats(const struct resolver *r, struct resolver_stats *out);

struct upstream_state {
	struct upstream up;
	uint64_t sent, failed;
	int64_t last_ok_ms;
	bool dead;                  /* left alone, but for probes */
	char why[UPSTREAM_WHY_MAX]; /* it failed last, "" when it answered */
};
size_t resolver_upstreams(const struct resolver *r, struct upstream_state *out, size_t max);

#endif
