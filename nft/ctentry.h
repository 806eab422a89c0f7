/* SPDX-License-Identifier: GPL-2.0-or-later
 * ctentry.h - one conntrack entry as ctnetlink writes it
 * (linux/netfilter/nfnetlink_conntrack.h), and the requests that name one.
 * Read by hand with libmnl: a request to delete can then carry the entry's tuple back byte
 * for byte, zone included and whatever its protocol, which libnetfilter_conntrack's builder
 * cannot (it knows seven protocols). */
#ifndef NFT_CTENTRY_H
#define NFT_CTENTRY_H

#include "nft/ct.h"

struct nlmsghdr;
struct nlattr;

struct ct_tuple {
	struct addr src, dst;
	uint16_t sport, dport; /* ICMP: id and type */
	uint8_t proto;
	uint8_t code;          /* ICMP */
	uint16_t zone;         /* of this direction alone; 0 none */
};

struct ct_entry {
	struct ct_tuple orig, reply;
	uint32_t mark, status, id;
	uint16_t zone;         /* of both directions; 0 none */
	uint64_t orig_bytes, reply_bytes, orig_packets, reply_packets;
	bool counted;          /* these four were there */
	uint8_t tcp_state;     /* enum tcp_conntrack; 0 not known */
	const struct nlattr *tuple; /* CTA_TUPLE_ORIG, inside the message read */
	bool ended;            /* a DESTROY event */
};

/* -EBADMSG: not a whole conntrack message */
int ct_entry_read(const struct nlmsghdr *message, struct ct_entry *out);
/* as the instance sees it; false if the mark is not its own */
bool ct_entry_flow(const struct ct_entry *e, const struct instance *instance,
	struct ct_flow *out);

/* requests, in a buffer of ASK_REQUEST_MAX */
struct nlmsghdr *ct_entry_put_dump(void *buf);
struct nlmsghdr *ct_entry_put_delete(void *buf, const struct ct_entry *e);
/* a new entry, both ways seen, that no window is known of; without create only its mark is
 * written to the one that stands */
struct nlmsghdr *ct_tuple_put_entry(void *buf, const struct ct_tuple *t, uint32_t mark,
	bool create);
/* for the entry whose other direction is t's */
struct nlmsghdr *ct_tuple_put_get_reply(void *buf, const struct ct_tuple *t);
/* by tuple; id 0: whichever entry stands there */
struct nlmsghdr *ct_tuple_put_delete(void *buf, const struct ct_tuple *t, uint32_t id);

#endif
