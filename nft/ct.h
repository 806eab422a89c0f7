/* SPDX-License-Identifier: GPL-2.0-or-later
 * ct.h - conntrack: new flows of ours as events, and deleting entries (take-back).
 * Through libmnl. Needs CAP_NET_ADMIN. Errors: -errno. */
#ifndef NFT_CT_H
#define NFT_CT_H

#include "base/instance.h"

#include <stddef.h>

struct uv_loop_s;
struct ct;

struct ct_flow {
	uint32_t actor;
	struct addr src, dst;       /* original direction, before translation */
	uint16_t sport, dport;      /* ICMP: id and type */
	uint8_t proto;
	uint16_t zone;              /* it began in; 0 none (in basic mode not its actor's) */
	bool inbound;               /* dst is this machine's, the mark the listener's */
	bool ended;                 /* NEW or DESTROY */
	bool local;                 /* inbound: from this machine itself */
	bool adopted;               /* older than the daemon, let on by ct_adopt() */
	bool over;                  /* TCP: closed by both sides; the entry stays for a while */
	bool redirected;            /* dst was translated, by whoever did it */
	uint32_t id;                /* the kernel's, of this entry; 0 not known */
	bool counted;               /* since it was made; false: the four are 0, as in NEW */
	uint64_t rx, tx;            /* bytes */
	uint64_t rx_packets, tx_packets;
};

/* On the loop; only flows whose ct mark has our magic (it is there by NEW: the kernel sends
 * that when the first packet has passed every chain), without those redirected to our own
 * listeners: the resolver knows these, and a flood of queries is a flood of entries. */
int ct_open(struct uv_loop_s *loop, const struct instance *instance,
	void (*event)(void *ctx, const struct ct_flow *f), void *ctx, struct ct **out);
void ct_close(struct ct *c); /* NULL is fine */
uint64_t ct_lost(const struct ct *c); /* events the kernel could not deliver */

/* Blocking; for nft's thread. Deletes entries of this actor, returns how many. dst NULL: all
 * of them, by mark and by zone, inbound too; otherwise those the actor sent to dst (before
 * translation). proto 0, port 0: every one. The kernel walks its whole table: 9 ms for each
 * 262,144 buckets, empty or not, twice with dst NULL. Many at once: ct_dump, then
 * ct_delete_tuple for each. */
int ct_delete(const struct instance *instance, uint32_t actor, const struct addr *dst,
	uint8_t proto, uint16_t port);
/* Blocking. Every live entry whose ct mark has our magic, as it stands, but those redirected
 * to our own listeners; the caller frees *out (NULL if there is none). -ENOSPC over
 * CT_DUMP_MAX, rather than a list that is silently short. */
enum { CT_DUMP_MAX = 1 << 18 };
int ct_dump(const struct instance *instance, struct ct_flow **out, size_t *n);
/* One exact entry by original tuple, in that zone (0: none). -ENOENT: there is none, or
 * f->id is another's. */
int ct_delete_tuple(const struct ct_flow *f, uint32_t zone);
/* Many of an instance's, each in the zone it stands in; what is gone already is fine. */
int ct_delete_flows(const struct instance *instance, const struct ct_flow *f, size_t n);
/* Of packets that were redirected to us, as they arrived (src, sport, dst, dport, proto): the
 * flow as it was sent, of the actor that its mark says; proto 0 where there is none. */
int ct_find_sent(const struct instance *instance, const struct ct_flow *seen,
	struct ct_flow *sent, size_t n);
/* A connection from before becomes f->actor's: its entry stands in no zone and has no mark,
 * so its next packet would be refused. One that was made here (f as the program's side sees
 * it) gets a new entry in the actor's zone; one that came in (f->inbound, f->src is the
 * peer) keeps its entry and gets the mark. Do it before the socket is marked. */
int ct_adopt(const struct instance *instance, const struct ct_flow *f);
/* At start, where no table of ours stands: every entry that bears the instance's magic or
 * stands in a zone of its numbers. Returns how many. The kernel hangs a new table's chains up
 * before their rules count: a packet of such a flow would be in no zone for that moment, and
 * get another source port, as the reply to its own is taken. */
int ct_delete_all(const struct instance *instance);
/* At start: entries to port 53 of anybody that bear no instance's mark and stand in no zone
 * of their own, so that none keeps its old server. Returns how many. */
int ct_delete_dns(void);

#endif
