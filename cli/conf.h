/* SPDX-License-Identifier: GPL-2.0-or-later
 * conf.h - the configuration file: INI, strict. An unknown section or key, a bad or
 * over-long value, or a key twice that may not repeat is an error with file:line.
 * Pure: text in, struct out; fixed sizes, nothing to free. */
#ifndef CLI_CONF_H
#define CLI_CONF_H

#include "base/addr.h"
#include "base/flow.h"
#include "base/instance.h"
#include "base/log.h"
#include "resolver/resolver.h"

enum {
	CONF_PATH_MAX = 256,
	CONF_SOCKET_MAX = 108, /* of a UNIX socket's path, with its NUL */
	CONF_LISTEN_MAX = 8,
	CONF_UPSTREAMS_MAX = UPSTREAMS_MAX,
	CONF_PEEK_PORTS_MAX = 8,
	CONF_LINE_MAX = 1024,
	CONF_NAMES_MAX = 64 << 10,
	CONF_TEXT_MAX = 1 << 20,
};

enum { CONF_KEEP_MAX_S = 3650 * 86400 };

/* which queries leave a row in the history */
enum conf_queries { QUERIES_REFUSED, QUERIES_ALL, QUERIES_NONE };

/* routes and domains of the machine's links; AUTO: where no upstream= is written */
enum conf_links { LINKS_AUTO, LINKS_YES, LINKS_NO };

enum conf_refusal { REFUSE_NXDOMAIN, REFUSE_ZERO, REFUSE_REFUSED };

struct conf_at {
	struct addr addr;
	uint16_t port;
};

struct conf {
	/* [daemon] */
	char instance[INSTANCE_NAME_MAX];
	char state_dir[CONF_PATH_MAX], runtime_dir[CONF_PATH_MAX], rules[CONF_PATH_MAX];
	char scope[CONF_PATH_MAX];
	bool watch, closed;
	enum verdict default_out, default_in;
	enum log_level log;
	/* [resolver] */
	struct conf_at listen[CONF_LISTEN_MAX];
	unsigned nlisten;
	bool listen_none;      /* listen=none: only what is redirected */
	struct upstream upstreams[CONF_UPSTREAMS_MAX];
	unsigned nupstreams;
	struct upstream bootstrap[CONF_UPSTREAMS_MAX]; /* plain; for those known by name */
	unsigned nbootstrap;
	bool race;             /* upstream-policy */
	char tls_ca[CONF_PATH_MAX]; /* "": the system's store */
	enum conf_refusal refusal;
	enum conf_links links;
	enum dnssec dnssec;
	bool recursive;        /* upstream=recursive: from the root */
	char anchor[CONF_PATH_MAX], root_hints[CONF_PATH_MAX]; /* "": the distribution's */
	uint64_t cache_size;
	uint32_t cache_min_ttl_s, cache_max_ttl_s, cache_max_negative_ttl_s;
	uint32_t serve_stale_s; /* 0: not */
	bool prefetch, cache_persist;
	char names[CONF_NAMES_MAX]; /* of records, routes and so on: lines for statics_parse() */
	char varlink[CONF_SOCKET_MAX]; /* "": none */
	/* [gate] */
	uint16_t gate_port;    /* 0: a free one below 1024 */
	unsigned peek_ms;
	uint16_t peek_ports[CONF_PEEK_PORTS_MAX];
	unsigned npeek_ports;
	/* [geo]: "": the usual places */
	char geo_country[CONF_PATH_MAX], geo_city[CONF_PATH_MAX], geo_asn[CONF_PATH_MAX];
	/* [history] */
	int64_t history_keep_s; /* 0: none */
	uint64_t history_max;
	enum conf_queries history_queries;
	/* [web] */
	char group[64];
	char users[512], readers[512]; /* names or numbers, by blanks or commas */
	struct conf_at web[4];
	unsigned nweb;         /* 0: 127.0.0.1:7531 and [::1]:7531 */
	bool web_none;
	/* of `run`, no key: what is in the scope ends before the table goes */
	bool scope_ends;
};

struct conf_error {
	unsigned line;
	char what[240];
};

void conf_default(struct conf *out);
/* -EINVAL and *err; *out keeps what it had */
int conf_parse(const char *text, size_t len, struct conf *out, struct conf_error *err);
/* reads and parses; the message has file and line */
int conf_load(const char *path, struct conf *out, char *why, size_t why_max);

#endif
