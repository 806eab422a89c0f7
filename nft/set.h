/* SPDX-License-Identifier: GPL-2.0-or-later
 * set.h - the sets of our table and their elements as netlink messages, both ways.
 *
 * What a map from actor to verdict would say stands in two sets, one per verdict: a map's
 * element cannot be replaced by "add, delete, add", as the first add of another verdict
 * fails. Hash sets only: an insert into an interval set takes milliseconds.
 * Values only, nothing is allocated. */
#ifndef NFT_SET_H
#define NFT_SET_H

#include "nft/nft.h"

struct batch;
struct nlmsghdr;

enum {
	SET_KEY_MAX = 28,       /* mark, IPv6 address, protocol, port: four-byte steps */
	SET_USERDATA_MAX = 256, /* the kernel's limit */
	SET_LABEL_MAX = 240,    /* of the name in it */
};

enum set_id {
	SET_PASS4, SET_PASS6, SET_PASS4_SVC, SET_PASS6_SVC,
	SET_REFUSE4, SET_REFUSE6, SET_REFUSE4_SVC, SET_REFUSE6_SVC,
	SET_ACTOR_PASS, SET_ACTOR_REFUSE, SET_INBOUND_PASS, SET_INBOUND_REFUSE,
	SET_IN_PORT_PASS, SET_IN_PORT_REFUSE, SET_IN_PORT_MEET,
	SET_IN_PASS4, SET_IN_PASS6, SET_IN_REFUSE4, SET_IN_REFUSE6,
	SET_ACTOR_PEEK, SET_LOCAL_NO, SET_FACTORY, SET_EXEMPT_DNS, SET_NUMBERS, SET_PAUSED,
	SET_BLOCKED, SET_ADOPTING, SET_TUNNEL4_SVC, SET_TUNNEL6_SVC, SET_TUNNEL_FROM,
	SET_ELEMENTS, /* up to here hold struct nft_element */
	SET_PAIRS = SET_ELEMENTS,
	SET_KIN,      /* basic mode: cgroup . actor of it, by the packets themselves */
	SET_FLOWS,    /* the cap on new flows: filled by the packets themselves */
	SET_LOGS,     /* the cap on log lines, likewise */
	SET_HOLDS,    /* the cap on packets that wait for a decision, likewise */
	SET_KNOCKS,   /* and on those that came in: strangers must not use up the other */
	SET_COUNT,
};

struct set_def {
	const char *name;
	enum nft_set what;   /* below SET_ELEMENTS */
	uint8_t family;      /* 4, 6; 0: the key has no address */
	bool service;        /* the key has protocol and port */
	bool timed;
	bool accept;         /* of two sets that make a map */
	bool peer;           /* the address is where a packet comes from */
	uint32_t flags;      /* NFT_SET_*, besides the timeout */
	uint32_t size;
	uint32_t key_type;   /* as nft's list command reads it */
	uint32_t key_len;
};

extern const struct set_def set_defs[SET_COUNT];

bool set_is_tunnel(enum set_id id);
/* the set an element belongs to; -EINVAL: no such element can be */
int set_of(const struct nft_element *el, enum set_id *out);
/* the other half of a map, or -1 */
int set_twin(enum set_id id);
/* the key's bytes as registers hold them; returns their number */
size_t set_key(const struct instance *i, enum set_id id, const struct nft_element *el,
	uint8_t out[static SET_KEY_MAX]);
/* rule and name for the next core: types and lengths as nft's own (type 0 is a comment, so
 * that `nft list` shows the name) */
size_t set_userdata(const struct nft_element *el, uint8_t out[static SET_USERDATA_MAX]);
void set_userdata_read(const uint8_t *bytes, size_t len, struct nft_element *el);

/* appends the messages for one change; -EINVAL or the batch's error */
int set_change(struct batch *b, const struct instance *i, const struct nft_change *c);
/* adds many at once, as into a new table; an element that cannot be is -EINVAL */
int set_fill(struct batch *b, const struct instance *i, const struct nft_element *els,
	size_t n);
/* Basic mode: in a table that is made anew for these numbers, the run of free ones that it
 * may give from then on */
void set_free_run(const struct nft_element *els, size_t n, uint32_t *first, uint32_t *last);
/* and whose flows a cgroup may be answered in */
void set_fill_kin(struct batch *b, const struct instance *i, const struct nft_element *els,
	size_t n);
/* one equal pair for every number there can be */
void set_fill_pairs(struct batch *b, const struct instance *i);

/* a dump's message; -EBADMSG if it is none, else how many elements it held that are ours */
int set_read(const struct nlmsghdr *m, const struct instance *i, enum set_id id,
	int (*each)(void *ctx, const struct nft_element *el), void *ctx);

#endif
