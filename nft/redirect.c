/* SPDX-License-Identifier: GPL-2.0-or-later
 * redirect.c - what goes to our listeners instead: DNS, and what nothing decided yet. */

#include "nft/chains.h"

#include <linux/rtnetlink.h>
#include <netinet/in.h>

static void redirect(struct builder *b, uint8_t family, uint8_t proto)
{
	struct addr to = builder_listener(b, family);

	RULE(b, family == 4 ? if_v4(b) : if_v6(b), if_proto(b, proto), if_to_port(b, DNS),
		do_ct_mark_actor(b), do_redirect(b, &to, b->conf->dns_port));
}

static void redirect_at(struct builder *b, const struct nft_at *at, uint8_t proto)
{
	struct addr to = builder_listener(b, at->addr.family);

	if (at->addr.family == 6 && !b->conf->ipv6)
		return;
	RULE(b, if_to(b, &at->addr, addr_bits(&at->addr)), if_proto(b, proto),
		if_to_port(b, at->port), do_ct_mark_actor(b),
		do_redirect(b, &to, b->conf->dns_port));
}

/* A first packet only. Bound to a device, a loopback destination would go on the wire. */
static void chain_nat(struct builder *b)
{
	chain_at(b, "nat_out");
	to_tunnel_by_zone(b);
	if (b->conf->basic)
		RULE(b, do_number(b));
	RULE(b, if_sock_ours(b), do_jump(b, "nat_ours"));
	chain_at(b, "nat_ours");
	RULE(b, if_sock_actor(b, ACTOR_SELF), do_accept(b));
	RULE(b, if_in_set(b, SET_EXEMPT_DNS), do_accept(b));
	RULE(b, if_sock_device(b), do_accept(b));
	/* held addresses go to the gate from here, before any port is looked at */
	redirect(b, 4, IPPROTO_UDP);
	redirect(b, 4, IPPROTO_TCP);
	if (b->conf->ipv6) {
		redirect(b, 6, IPPROTO_UDP);
		redirect(b, 6, IPPROTO_TCP);
	}
	for (unsigned i = 0; i < b->conf->ndns_at; i++) {
		redirect_at(b, &b->conf->dns_at[i], IPPROTO_UDP);
		redirect_at(b, &b->conf->dns_at[i], IPPROTO_TCP);
	}
	if (!b->conf->gate_port)
		return;
	RULE(b, if_syn(b), do_goto(b, "nat_gate"));
	RULE(b, if_proto(b, IPPROTO_UDP), do_goto(b, "nat_sink"));
}

static void to_gate(struct builder *b, uint8_t family)
{
	struct addr to = builder_listener(b, family);

	RULE(b, family == 4 ? if_v4(b) : if_v6(b), do_ct_mark_actor(b),
		do_redirect(b, &to, b->conf->gate_port));
}

/* A redirected datagram to many would be one to us alone: these wait in `ours`. */
static void chain_nat_sink(struct builder *b)
{
	chain_at(b, "nat_sink");
	RULE(b, if_to_text(b, "224.0.0.0", 4), do_return(b));
	RULE(b, if_to_text(b, "ff00::", 8), do_return(b));
	RULE(b, if_to_type(b, RTN_BROADCAST), do_return(b));
	factory_dhcp(b, do_return);
	factory_ntp(b, do_return);
	RULE(b, do_goto(b, "nat_gate"));
}

/* What `ours` would neither accept nor refuse for sure is met. What returns from here is
 * left to `ours`. An element of our own number in a map speaks of everybody. */
static void chains_nat_gate(struct builder *b)
{
	chain_at(b, "nat_gate");
	in_sets(b, SET_PASS4, do_return);
	RULE(b, if_on(b, SET_PAUSED), do_return(b));
	RULE(b, if_on(b, SET_BLOCKED), do_return(b));
	RULE(b, if_to_type(b, RTN_LOCAL), do_return(b));
	in_sets(b, SET_REFUSE4, do_return);
	RULE(b, if_in_set(b, SET_ACTOR_REFUSE), do_return(b));
	RULE(b, if_in_set(b, SET_ACTOR_PEEK), do_jump(b, "nat_peek"));
	RULE(b, if_on(b, SET_ACTOR_PEEK), do_jump(b, "nat_peek"));
	RULE(b, if_in_set(b, SET_ACTOR_PASS), do_return(b));
	RULE(b, if_on(b, SET_ACTOR_PASS), do_return(b));
	RULE(b, do_goto(b, "nat_met"));
	chain_at(b, "nat_peek");
	for (unsigned i = 0; i < b->conf->npeek; i++)
		RULE(b, if_proto(b, IPPROTO_TCP), if_to_port(b, b->conf->peek_ports[i]),
			do_goto(b, "nat_met"));
	chain_at(b, "nat_met");
	to_gate(b, 4);
	if (b->conf->ipv6)
		to_gate(b, 6);
}

/* the flow's source becomes its actor's address, for our listener to read */
static void chain_post_nat(struct builder *b)
{
	struct addr v4 = builder_listener(b, 4), v6 = builder_listener(b, 6);

	chain_at(b, "post_nat");
	RULE(b, if_out_lo(b), if_ct_ours(b), if_to(b, &v4, 32), do_source4(b));
	RULE(b, if_out_lo(b), if_ct_ours(b), if_to(b, &v6, 128), do_source6(b));
}

void chains_redirect(struct builder *b)
{
	chain_nat(b);
	if (b->conf->gate_port) {
		chain_nat_sink(b);
		chains_nat_gate(b);
	}
	chain_post_nat(b);
}
