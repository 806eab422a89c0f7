/* SPDX-License-Identifier: GPL-2.0-or-later
 * held.h - what the supervisor opens and holds, so that it outlives a fall of the core:
 * listeners, the netlink socket that owns the table, BPF, the link to scupper-web. */
#ifndef CLI_HELD_H
#define CLI_HELD_H

#include "base/instance.h"
#include "cli/conf.h"
#include "cli/rights.h"
#include "nft/nft.h"
#include "web/link.h"
#include "who/who.h"

#include <limits.h>

enum { HELD_WHY_MAX = 512 };

struct sessions;

struct held {
	const struct conf *conf;
	const char *version;
	struct instance instance;
	char scope[PATH_MAX];      /* absolute */
	char pins[PATH_MAX];       /* below bpffs, or "" */
	struct who *who;           /* NULL: no nftables either, only the resolver */
	bool basic;                /* who is by cgroup and user: BPF cannot be had */
	struct nft_scope key;      /* then: what the table goes by */
	char why[HELD_WHY_MAX];    /* why basic, or what is missing in BPF mode */
	bool ipv6, after_fall;
	bool accounting;           /* conntrack counts */
	int past;                  /* memory that outlives the core (gate.h), -1: none */
	int nft;                   /* -1: only the resolver */
	int private4[2], private6[2];
	uint16_t gate_port;        /* of the proxy, at the private listeners' addresses */
	int gate[2];               /* its listeners, IPv4 and IPv6; -1 none */
	int plain[CONF_LISTEN_MAX][2];
	unsigned nplain;
	int varlink;               /* -1: none */
	int link_core, link_web;
	int control;
	int web[4];                /* the dashboard's listeners */
	unsigned nweb;
	uint16_t web_ports[4];     /* where it was to be */
	unsigned nweb_ports;
	char origin[64];           /* of links to it, or "" */
	struct sessions *sessions; /* who is signed in there; shared with its process */
	int ready[2];              /* the core writes a byte when it serves */
	struct rights rights;
	uint32_t restarts;
	bool adopted;              /* by a core before: sockets older than us are judged */
	int64_t started_ms;
};

/* opens all; -errno, why in a sentence. What was opened is closed by held_close. */
int held_open(struct held *h, const struct conf *conf, char *why, size_t why_max);
/* down: take table, links and routes away (else they stay where the kernel can keep them) */
void held_close(struct held *h, bool down);

enum link_identity held_identity(const struct held *h);

/* the core: runs until told to stop; the exit status of its process */
int core_main(struct held *h);

#endif
