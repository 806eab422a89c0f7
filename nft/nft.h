/* SPDX-License-Identifier: GPL-2.0-or-later
 * nft.h - our table, written from a thread of its own; every batch atomic, acknowledged.
 *
 * The netlink socket that owns the table is opened by the supervisor (nft_socket) and
 * inherited; the core opens a writer on it. Batches in flight when a core died are drained
 * first; sequence numbers start random. Needs CAP_NET_ADMIN. */
#ifndef NFT_NFT_H
#define NFT_NFT_H

#include "base/host.h"
#include "base/instance.h"
#include "base/loop.h"

struct nft;

enum { NFT_PEEK_MAX = 8, NFT_DNS_AT_MAX = 32, NFT_WEB_MAX = 4 };

struct nft_at {
	struct addr addr;
	uint16_t port;
};

/* Basic mode: no BPF marks sockets, so the table gives numbers itself, to (cgroup, user). */
struct nft_scope {
	uint64_t id;          /* of the cgroup that is guarded, as its inode says */
	uint64_t self_id;     /* of the one the daemon made its sockets in */
	uint8_t level, self_level; /* 0: the root of the mount, that of everybody */
};
/* In place of a user: the cgroup as a whole. What comes in is known by cgroup alone, and so
 * are conntrack zones, as the user of a closed socket cannot be told any more. */
#define NFT_ANY_USER UINT32_MAX

struct nft_conf {
	const struct instance *instance;
	const struct nft_scope *basic; /* NULL: sockets are marked by BPF */
	bool default_allow;   /* without a gate, what no set admits: accepted (allow) or refused */
	bool default_in_allow; /* likewise what comes in for a program that nothing was said of */
	bool closed;          /* when-down=closed: persist flag, where the kernel has it */
	bool ipv6;            /* listeners and redirects for IPv6 too */
	uint16_t dns_port;    /* of the private listeners */
	uint16_t gate_port;   /* likewise, of the proxy; 0: there is no gate, and what no set
			       * admits is as default_allow says */
	uint16_t peek_ports[NFT_PEEK_MAX]; /* of what NFT_PEEK sends there */
	unsigned npeek;
	/* our upstreams at other ports than 53: what programs send there is DNS too */
	struct nft_at dns_at[NFT_DNS_AT_MAX];
	unsigned ndns_at;
	/* The dashboard's, on loopback: no zones there. A zone may have to give a connection
	 * another source port, and scupper-web knows it by its port. */
	uint16_t web_ports[NFT_WEB_MAX];
	unsigned nweb;
	/* NFLOG to instance_log_group. Always, for a gate to decide: held (dropped on its way out),
	 * knock (on its way in) and sink (redirected UDP, dropped in input: where it was to go is in its conntrack
	 * entry, which is to be deleted). And refusals, prefix one of: rate (too many new flows), listener, dns,
	 * block, refuse, local, actor, default, inbound, reply (to another's flow). The packet's mark
	 * says whose, in input too (the listening program's). At most 20 a second per actor. */
	bool log_refused;
};

/* A netlink socket for the supervisor to hold. -errno, why says what is missing */
int nft_socket(char *why, size_t why_max);
/* takes the table away (down, when-down=open at the end); 0 if there was none */
int nft_remove(const struct instance *instance, int fd);
/* is our table there, and ours (made on this socket or adopted)? */
int nft_present(const struct instance *instance);

/* elements */
enum nft_set {
	NFT_PASS,        /* actor . addr */
	NFT_PASS_SVC,    /* actor . addr . proto . port; port 0: every port of it */
	NFT_REFUSE,
	NFT_REFUSE_SVC,
	NFT_ACTOR,       /* actor : accept or refuse, everything going out (not local). Accept for
			  * ACTOR_SELF: everybody's that is not refused. NFT_PEEK likewise */
	NFT_INBOUND,     /* actor : accept or refuse; of ACTOR_SELF as above. In both a put replaces
			  * the other verdict, and a take takes whichever stands */
	NFT_INBOUND_PORT, /* actor . proto . its port (0: every port of it) : accept or refuse, as
			  * above; before NFT_INBOUND */
	NFT_INBOUND_MEET, /* actor . proto . its port: neither; each peer is decided */
	NFT_INBOUND_PASS, /* actor . peer . proto . its port: one that was decided */
	NFT_INBOUND_REFUSE,
	NFT_PEEK,        /* actor: its TCP to peek_ports meets the proxy before NFT_ACTOR counts */
	NFT_LOCAL_NO,    /* actor: no local destinations */
	NFT_FACTORY,     /* actor . class: which factory rules it may use (enum nft_factory) */
	NFT_EXEMPT_DNS,  /* actor: its DNS is not redirected */
	NFT_NUMBER,      /* basic mode: cgroup . uid : actor, given by the packets themselves */
	/* switches over everything above: one element, of ACTOR_SELF, is on */
	NFT_PAUSED,      /* nothing is refused; flows are marked and DNS redirected as ever */
	NFT_BLOCKED,     /* nothing goes out or in but this machine's own; stands over PAUSED */
	NFT_ADOPTING,    /* sockets from before are judged and marked: until then what is refused,
			  * but for first packets, vanishes: an answer would end what may go on */
	/* of ACTOR_SELF too: where this machine's tunnels send to, and WireGuard from */
	NFT_TUNNEL,      /* addr . proto . port; port 0: a protocol without ports */
	NFT_TUNNEL_FROM, /* proto . source port */
};

enum nft_factory { NFT_FACTORY_DHCP = 1, NFT_FACTORY_NTP, NFT_FACTORY_MDNS, NFT_FACTORY_ND };

struct nft_element {
	enum nft_set set;
	uint32_t actor;
	struct addr addr;
	uint16_t port;
	uint8_t proto;
	bool accept;          /* maps */
	uint8_t factory;
	uint32_t timeout_ms;  /* 0 only for maps and actor sets: they have none; in a put of
			       * any other it is -EINVAL, in a take it is not looked at */
	uint64_t cgroup;      /* NFT_NUMBER */
	uint32_t uid;         /* likewise; NFT_ANY_USER: its inbound side */
	uint32_t rule;        /* userdata: for the next core */
	char name[HOST_MAX];  /* userdata, cut at 240 bytes */
};

enum nft_op { NFT_PUT, NFT_TAKE };

struct nft_change {
	enum nft_op op;
	struct nft_element el;
};

/* One request: all its changes or none, in one transaction (with others' perhaps; if the
 * kernel refuses a shared transaction each request is tried alone). done on the loop. */
struct nft_request {
	struct job job;       /* .done and .result */
	unsigned n;
	struct nft_change *changes; /* the caller's, until done */
	/* or a function to run in this thread in its turn (take-back: end sockets, conntrack) */
	int (*call)(void *ctx);
	void *ctx;
};

/* Makes the table if absent, adopts it if it is ours. Prefill (grants known from before)
 * goes into the same transaction as a new table. A table that stands as conf says keeps what
 * is in it, and the prefill is not looked at; one of another conf or layout is replaced in
 * one transaction and its grants are carried over (NFT_PASS to NFT_REFUSE_SVC, not the
 * maps): so dump after open. -EEXIST: another process's, or no table of ours. Blocking:
 * before the loop runs. */
int nft_open(struct uv_loop_s *loop, const struct nft_conf *conf, int fd,
	const struct nft_element *prefill, size_t n, char *why, size_t why_max,
	struct nft **out);
/* -ENOBUFS: too many wait. Results: -EINVAL no such element can be; -ENFILE its set is full;
 * -ESTALE the table is gone (nft_close, then nft_open makes it anew with a prefill). */
int nft_give(struct nft *n, struct nft_request *req);
void nft_close(struct nft *n);

/* does the table outlive the last holder of its socket? (persist flag, Linux 6.9) */
bool nft_persists(const struct nft *n);

/* every element that stands, for a new core: timeout_ms is what is left. Blocking. */
int nft_dump(struct nft *n, struct nft_element **out, size_t *count);
/* NFT_NUMBER alone; quick: the kernel takes no lock for it */
int nft_dump_numbers(struct nft *n, struct nft_element **out, size_t *count);

struct nft_stats {
	uint64_t batches, elements, refused, table_lost;
};
void nft_stats(const struct nft *n, struct nft_stats *out);

#endif
