/* SPDX-License-Identifier: GPL-2.0-or-later
 * inbound.c - what comes in: our answers, our listeners, guarded programs.
 * The socket is the receiver's here. */

#include "nft/chains.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>

enum { KNOCKS_BURST = 1000 /* at HOLDS_PER_S */ };

/* Our answer to a socket that is gone, met before the stack can bounce it to the server
 * the program had chosen, or give it to another program that has the port by now. */
static void chain_back(struct builder *b)
{
	chain_at(b, "back");
	if (b->conf->basic) /* which program's socket it is cannot be told here */
		RULE(b, if_sock_any(b), do_accept(b));
	else
		RULE(b, if_pair(b), do_accept(b));
	/* another table saves packets' marks: that of our answer on its way here */
	RULE(b, if_ct_self(b), if_sock_any(b), do_accept(b));
	RULE(b, do_reset(b));
	RULE(b, do_drop(b));
}

/* The same where another table has written over the ct mark. */
static void chain_lost(struct builder *b)
{
	chain_at(b, "lost");
	RULE(b, if_sock_any(b), do_return(b));
	RULE(b, do_drop(b));
}

/* only what we translated ourselves, both ways, and what belongs to it */
static void chain_in_listener(struct builder *b)
{
	const uint32_t both = IPS_SRC_NAT | IPS_DST_NAT;

	chain_at(b, "in_listener");
	if (b->conf->gate_port)
		RULE(b, if_proto(b, IPPROTO_UDP), if_to_port(b, b->conf->gate_port),
			do_goto(b, "sunk"));
	RULE(b, if_in_lo(b), if_ct_ours(b), if_ct_status(b, both, both), do_return(b));
	RULE(b, do_drop(b));
	chain_at(b, "sunk");
	RULE(b, if_in_lo(b), if_ct_ours(b), if_ct_original(b), if_ct_status(b, both, both),
		do_log(b, "sink"));
	RULE(b, do_drop(b));
}

static void chain_in(struct builder *b)
{
	struct addr v4 = builder_listener(b, 4), v6 = builder_listener(b, 6);

	chain_at(b, "in");
	if (b->conf->basic)
		RULE(b, do_number_cgroup(b));
	RULE(b, if_in_lo(b), if_ct_reply(b), if_ct_status(b, IPS_DST_NAT, IPS_DST_NAT),
		if_ct_ours(b), do_jump(b, "back"));
	RULE(b, if_in_lo(b), if_v4(b), if_ct_reply(b), if_ct_answers_from(b, &v4),
		do_jump(b, "lost"));
	RULE(b, if_in_lo(b), if_v6(b), if_ct_reply(b), if_ct_answers_from(b, &v6),
		do_jump(b, "lost"));
	RULE(b, if_to(b, &v4, 32), do_jump(b, "in_listener"));
	RULE(b, if_to(b, &v6, 128), do_jump(b, "in_listener"));
	RULE(b, if_sock_ours(b), do_jump(b, "in_ours"));
}

/* what is known of a port whoever the peer is */
static void inbound_port(struct builder *b, void (*in_set)(struct builder *, enum set_id))
{
	RULE(b, in_set(b, SET_IN_PORT_REFUSE), do_goto(b, "no_inbound"));
	RULE(b, in_set(b, SET_IN_PORT_PASS), do_goto(b, "in_admit"));
	RULE(b, in_set(b, SET_IN_PORT_MEET), do_goto(b, "in_peer"));
}

/* The socket here is the receiver's. A reply with another actor's mark is not for it: that
 * program may have taken over the port of one that is gone. */
static void chain_in_ours(struct builder *b)
{
	chain_at(b, "in_ours");
	RULE(b, if_sock_actor(b, ACTOR_SELF), do_accept(b));
	RULE(b, if_on(b, SET_BLOCKED), do_jump(b, "in_blocked"));
	RULE(b, if_pair(b), do_accept(b));
	number_kin(b);
	RULE(b, if_ct_reply(b), if_ct_ours(b), do_goto(b, "no_reply"));
	RULE(b, if_ct_reply(b), do_accept(b));
	/* what the kernel says of a refusal comes over lo, whoever the flow's other end is */
	RULE(b, if_proto(b, IPPROTO_ICMP), if_ct_related(b), do_accept(b));
	RULE(b, if_proto(b, IPPROTO_ICMPV6), if_ct_related(b), do_accept(b));
	RULE(b, if_in_lo(b), if_rst(b), do_accept(b));
	RULE(b, if_in_lo(b), if_ct_mark_zero(b), do_ct_mark_local(b));
	RULE(b, if_in_lo(b), do_goto(b, "in_admit"));
	RULE(b, if_on(b, SET_PAUSED), do_goto(b, "in_admit"));
	inbound_port(b, if_in_set);
	inbound_port(b, if_in_set_any_port);
	RULE(b, if_in_set(b, SET_INBOUND_REFUSE), do_goto(b, "no_inbound"));
	RULE(b, if_in_set(b, SET_INBOUND_PASS), do_goto(b, "in_admit"));
	RULE(b, do_goto(b, "in_peer"));
	chain_at(b, "in_admit");
	RULE(b, if_ct_mark_zero(b), do_ct_mark_actor(b));
	RULE(b, do_accept(b));
}

/* It depends on who the peer is. One that nobody has decided yet is held: its packet is
 * dropped and shown, and its sender's next try meets the element. A program that nothing was
 * said of is new: unless nobody could be denied, it waits likewise. */
static void chain_in_peer(struct builder *b)
{
	chain_at(b, "in_peer");
	RULE(b, if_in_set(b, SET_IN_REFUSE4), do_goto(b, "no_inbound"));
	RULE(b, if_in_set(b, SET_IN_REFUSE6), do_goto(b, "no_inbound"));
	RULE(b, if_in_set(b, SET_IN_PASS4), do_goto(b, "in_admit"));
	RULE(b, if_in_set(b, SET_IN_PASS6), do_goto(b, "in_admit"));
	/* answers to a broadcast or a group are no replies to conntrack */
	RULE(b, if_proto(b, IPPROTO_UDP), if_to_port(b, 68), if_from_port(b, 67),
		if_factory(b, NFT_FACTORY_DHCP), do_goto(b, "in_admit"));
	RULE(b, if_proto(b, IPPROTO_UDP), if_to_port(b, 546), if_from_port(b, 547),
		if_factory(b, NFT_FACTORY_DHCP), do_goto(b, "in_admit"));
	RULE(b, if_proto(b, IPPROTO_UDP), if_to_port(b, 5353), if_factory(b, NFT_FACTORY_MDNS),
		do_goto(b, "in_admit"));
	RULE(b, if_on(b, SET_INBOUND_PASS), do_goto(b, "in_admit"));
	if (!b->conf->gate_port)
		RULE(b, do_goto(b, b->conf->default_in_allow ? "in_admit" : "no_inbound"));
	RULE(b, do_stamp_from_sock(b));
	RULE(b, if_within(b, SET_KNOCKS, HOLDS_PER_S, KNOCKS_BURST), do_log(b, "knock"));
	RULE(b, do_drop(b));
}

void chains_inbound(struct builder *b)
{
	chain_back(b);
	chain_lost(b);
	chain_in(b);
	chain_in_listener(b);
	chain_in_ours(b);
	chain_in_peer(b);
}
