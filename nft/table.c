/* SPDX-License-Identifier: GPL-2.0-or-later
 * Theory of operation.
 *
 * A packet of a guarded program bears a mark: magic and the program's number (its actor).
 * In the chains of `output` only the mark of the packet's own socket counts: it is fresh on
 * the very packet, and deaf to other tables that write packet marks. It yields nothing for
 * packets the kernel makes, so every rule is written positively: what has no mark of ours
 * is not ours to judge.
 *
 * raw:         each actor has a conntrack zone of its own, so that no flow can be mistaken
 *              for another program's that drew the same ports.
 * nat output:  queries to port 53 go to our private listener, whatever server they meant;
 *              TCP that no set admits goes to the proxy, UDP into the sink: it is dropped in
 *              input and logged with where it was to go. (Dropped in output, its sender
 *              would see an error that many take for final.)
 * output:      stamp; guards of the listeners; `ours` decides.
 * nat post:    what goes to our listener gets a source address that says whose it is.
 * postrouting: nothing of our inner addresses leaves the machine; the stamp again, as other
 *              tables may have written marks in between.
 * input:       replies, then the listening program's inbound verdict.
 *
 * An admitted flow carries its actor in its ct mark. A later packet passes because (actor,
 * ct mark) is a pair, not because the flow is established: else a denied program could
 * answer on, or reuse, what others opened. */
#include "nft/table.h"

#include "base/macros.h"
#include "nft/chains.h"

#include <errno.h>
#include <libnftnl/set.h>
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

enum {
	TYPE_MARK = 19, /* nft's number, for its list command */
	RAW = -300,
	NAT = -199,  /* first of all nat chains: a foreign masquerade would win over later ones */
	FILTER = 0,
	LAST = 10000,
	/* One socket could fill the connection table of the whole machine in a second. What a
	 * busy program needs is far below; unanswered UDP entries stay 30 s. */
	FLOWS_PER_S = 2000,
	FLOWS_BURST = 20000,
	LOGS_PER_S = 20,
	LOGS_BURST = 100,
};

/* every word a refusal can be logged with has a chain of its own */
static const struct {
	const char *word, *chain;
} refusals[] = {
	{ "rate", "no_rate" },         /* new flows over the cap */
	{ "listener", "no_listener" }, /* our inner addresses, not by redirect */
	{ "dns", "no_dns" },           /* port 53 that could not be redirected */
	{ "block", "no_block" },       /* everything is blocked for now */
	{ "refuse", "no_refuse" },     /* a refuse set: denied by a rule, lately */
	{ "local", "no_local" },       /* this machine's own addresses */
	{ "actor", "no_actor" },       /* the whole program is refused */
	{ "default", "no_default" },   /* nothing admitted it */
	{ "inbound", "no_inbound" },   /* the listening program may not be reached */
	{ "reply", "no_reply" },       /* in answer to another program's flow */
};

static void set_make(struct builder *b, enum set_id id)
{
	const struct set_def *d = &set_defs[id];
	struct nlmsghdr *m = batch_message(b->batch, NFT_MSG_NEWSET,
		NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
	struct nftnl_set *s = m ? nftnl_set_alloc() : NULL;

	if (!s) {
		if (m)
			b->batch->error = -ENOMEM;
		return;
	}
	nftnl_set_set_str(s, NFTNL_SET_TABLE, b->table);
	nftnl_set_set_str(s, NFTNL_SET_NAME, d->name);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(s, NFTNL_SET_ID, (uint32_t)id + 1);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, d->flags | (d->timed ? NFT_SET_TIMEOUT : 0));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, d->key_type);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, d->key_len);
	nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, d->size);
	if (d->flags & NFT_SET_MAP) {
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, TYPE_MARK);
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, sizeof(uint32_t));
	}
	nftnl_set_nlmsg_build_payload(m, s);
	nftnl_set_free(s);
	batch_add(b->batch, m);
}

struct addr builder_listener(const struct builder *b, uint8_t family)
{
	return instance_listener(b->conf->instance, family);
}

void do_admit(struct builder *b)
{
	do_goto(b, "admit");
}

void in_sets(struct builder *b, enum set_id first, void (*end)(struct builder *b))
{
	RULE(b, if_in_set(b, first), end(b));         /* v4 */
	RULE(b, if_in_set(b, first + 1), end(b));     /* v6 */
	RULE(b, if_in_set(b, first + 2), end(b));     /* v4 with protocol and port */
	RULE(b, if_in_set(b, first + 3), end(b));     /* v6 likewise */
	RULE(b, if_in_set_any_port(b, first + 2), end(b)); /* every port of it */
	RULE(b, if_in_set_any_port(b, first + 3), end(b));
}

/* In basic mode nobody's packet has a number yet where tunnels are looked for. */
static void if_guarded(struct builder *b)
{
	if (!b->conf->basic)
		if_sock_ours(b);
}

/* A tunnel's outer packet is still that of the program's socket, and would be judged again.
 * It is known by its destination and by the stamp from its inner packet's way through here,
 * which no program can put there without CAP_NET_RAW; WireGuard, which clears the mark, by
 * its source port, which is the kernel's own. */
static void to_tunnel(struct builder *b)
{
	RULE(b, if_guarded(b), if_mark_stamped(b), do_jump(b, "tunnel"));
	RULE(b, if_guarded(b), if_mark_not_ours(b), do_jump(b, "tunnel_from"));
}

/* Further on other tables may have written the mark: but it is in no actor's zone. (In a zone
 * its source port might have to be another.) */
void to_tunnel_by_zone(struct builder *b)
{
	RULE(b, if_guarded(b), if_zone_none(b), do_jump(b, "tunnel"));
	RULE(b, if_guarded(b), if_zone_none(b), do_jump(b, "tunnel_from"));
}

/* basic: no hook looks for a stamp */
static void do_let_out(struct builder *b)
{
	if (!b->conf->basic)
		do_stamp_from_sock(b);
	do_accept(b);
}

static void chains_tunnel(struct builder *b)
{
	static const enum set_id to[] = { SET_TUNNEL4_SVC, SET_TUNNEL6_SVC };

	chain_at(b, "tunnel");
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		RULE(b, if_in_set(b, to[i]), do_let_out(b));
		RULE(b, if_in_set_any_port(b, to[i]), do_let_out(b));
	}
	RULE(b, do_goto(b, "tunnel_from"));
	chain_at(b, "tunnel_from");
	RULE(b, if_proto(b, IPPROTO_UDP), if_in_set(b, SET_TUNNEL_FROM), do_let_out(b));
}

/* Each actor its own zone. The first that sets a zone wins: the socket's mark is the true
 * one, the packet's counts for what the kernel sends in a program's name. */
static void chain_raw(struct builder *b)
{
	chain_at(b, "raw_out");
	if (b->conf->basic) {
		to_tunnel(b);
		RULE(b, do_number_cgroup(b));
	}
	for (unsigned i = 0; i < b->conf->nweb; i++) {
		uint16_t port = b->conf->web_ports[i];

		RULE(b, if_to_text(b, "127.0.0.0", 8), if_proto(b, IPPROTO_TCP),
			if_to_port(b, port), do_accept(b));
		RULE(b, if_to_text(b, "::1", 128), if_proto(b, IPPROTO_TCP),
			if_to_port(b, port), do_accept(b));
	}
	if (!b->conf->basic)
		to_tunnel(b);
	RULE(b, if_sock_ours(b), do_zone_from_sock(b));
	RULE(b, if_mark_ours(b), do_zone_from_mark(b));
}

/* What leaves from a listener's address: by us, and in answer to a client's flow. */
static void guard_from(struct builder *b, uint8_t family)
{
	struct addr at = builder_listener(b, family);

	RULE(b, if_from(b, &at, addr_bits(&at)), if_sock_not_actor(b, ACTOR_SELF), do_drop(b));
	RULE(b, if_from(b, &at, addr_bits(&at)), if_ct_original(b), do_drop(b));
	RULE(b, if_from(b, &at, addr_bits(&at)), if_ct_invalid(b), do_drop(b));
}

/* A reset or error that the kernel makes for a packet it found no flow for escapes address
 * translation: it would tell the server a program chose of our answer, name and all. It
 * has no mark, but for one that another table gave it. */
static void guard_kernel_errors(struct builder *b)
{
	RULE(b, if_rst(b), if_ct_invalid(b), do_drop(b));
	RULE(b, if_icmp(b, 3, 3), if_ct_invalid(b), do_drop(b));
	RULE(b, if_icmp(b, 11, 12), if_ct_invalid(b), do_drop(b));
	RULE(b, if_icmp6(b, 1, 4), if_ct_invalid(b), do_drop(b));
}

/* Sent to a listener by a socket that is not ours: only what a flow of ours brings (the
 * last ack of a closed socket bears no mark). */
static void guard_to(struct builder *b, uint8_t family)
{
	struct addr at = builder_listener(b, family);

	RULE(b, if_to(b, &at, addr_bits(&at)), if_ct_ours(b),
		if_ct_status(b, IPS_DST_NAT, IPS_DST_NAT), do_accept(b));
	RULE(b, if_to(b, &at, addr_bits(&at)), do_goto(b, "no_listener"));
}

static void out_stamp(struct builder *b)
{
	to_tunnel(b); /* another table's notrack may leave it without a zone */
	to_tunnel_by_zone(b);
	RULE(b, if_sock_ours(b), do_stamp_from_sock(b));
}

static void chain_out(struct builder *b)
{
	chain_at(b, "out");
	if (b->conf->basic) {
		to_tunnel_by_zone(b);
		RULE(b, do_number(b)); /* no hook looks for a stamp, and the mark is ours */
	} else {
		out_stamp(b);
	}
	guard_from(b, 4);
	guard_from(b, 6);
	RULE(b, if_sock_ours(b), do_jump(b, "ours"));
	guard_kernel_errors(b);
	guard_to(b, 4);
	guard_to(b, 6);
}

static void redirected(struct builder *b, uint8_t family)
{
	struct addr to = builder_listener(b, family);

	/* users of one cgroup share a zone, and may draw each other's flow there */
	if (b->conf->basic)
		RULE(b, if_to(b, &to, addr_bits(&to)), if_ct_ours(b), if_not_pair(b),
			do_goto(b, "no_listener"));
	RULE(b, if_to(b, &to, addr_bits(&to)), if_ct_status(b, IPS_DST_NAT, IPS_DST_NAT),
		if_to_port(b, b->conf->dns_port), do_goto(b, "mine"));
	if (!b->conf->gate_port)
		return;
	RULE(b, if_to(b, &to, addr_bits(&to)), if_ct_status(b, IPS_DST_NAT, IPS_DST_NAT),
		if_proto(b, IPPROTO_TCP), if_to_port(b, b->conf->gate_port),
		do_goto(b, "mine"));
	RULE(b, if_to(b, &to, addr_bits(&to)), if_ct_status(b, IPS_DST_NAT, IPS_DST_NAT),
		if_proto(b, IPPROTO_UDP), if_to_port(b, b->conf->gate_port),
		if_within(b, SET_HOLDS, HOLDS_PER_S, HOLDS_BURST), do_goto(b, "mine"));
	RULE(b, if_to(b, &to, addr_bits(&to)), if_ct_status(b, IPS_DST_NAT, IPS_DST_NAT),
		if_proto(b, IPPROTO_UDP), if_to_port(b, b->conf->gate_port), do_drop(b));
}

/* our listeners and the numbers' addresses, of every instance */
static void ours_inner(struct builder *b)
{
	struct addr v4 = instance_source(b->conf->instance, 4, 0);
	struct addr v6 = builder_listener(b, 6), at = builder_listener(b, 4);

	RULE(b, if_to(b, &at, 32), do_goto(b, "no_listener"));
	RULE(b, if_to(b, &v4, 16), do_goto(b, "no_listener"));
	RULE(b, if_to(b, &v6, 48), do_goto(b, "no_listener"));
}

static void go_refuse(struct builder *b)
{
	do_goto(b, "no_refuse");
}

/* what could not be redirected */
static void refuse_dns(struct builder *b, uint8_t proto)
{
	RULE(b, if_proto(b, proto), if_to_port(b, DNS), if_not_in_set(b, SET_EXEMPT_DNS),
		do_goto(b, "no_dns"));
	for (unsigned i = 0; i < b->conf->ndns_at; i++) {
		const struct nft_at *at = &b->conf->dns_at[i];

		RULE(b, if_to(b, &at->addr, addr_bits(&at->addr)), if_proto(b, proto),
			if_to_port(b, at->port), if_not_in_set(b, SET_EXEMPT_DNS),
			do_goto(b, "no_dns"));
	}
}

static void chain_ours(struct builder *b)
{
	chain_at(b, "ours");
	RULE(b, if_sock_actor(b, ACTOR_SELF), do_goto(b, "self"));
	RULE(b, if_ct_new(b), if_over(b, SET_FLOWS, FLOWS_PER_S, FLOWS_BURST),
		do_goto(b, "no_rate"));
	redirected(b, 4);
	redirected(b, 6);
	ours_inner(b);
	RULE(b, if_on(b, SET_BLOCKED), do_jump(b, "blocked"));
	RULE(b, if_pair(b), do_accept(b));
	number_kin(b);
	/* a guarded server answers a guarded client: the ct mark is the client's */
	RULE(b, if_ct_reply(b), if_ct_ours(b), if_to_type(b, RTN_LOCAL), do_accept(b));
	RULE(b, if_on(b, SET_PAUSED), do_goto(b, "admit"));
	/* held addresses are refused from here on */
	refuse_dns(b, IPPROTO_UDP);
	refuse_dns(b, IPPROTO_TCP);
	in_sets(b, SET_REFUSE4, go_refuse);
	RULE(b, if_to_type(b, RTN_LOCAL), if_in_set(b, SET_LOCAL_NO), do_goto(b, "no_local"));
	/* not what a raw socket sends itself in another's name: to answer that would leave */
	RULE(b, if_to_type(b, RTN_LOCAL), if_from_type(b, RTN_LOCAL), do_goto(b, "admit"));
	RULE(b, if_in_set(b, SET_ACTOR_REFUSE), do_goto(b, "no_actor"));
	RULE(b, if_in_set(b, SET_ACTOR_PASS), do_goto(b, "admit"));
	RULE(b, if_on(b, SET_ACTOR_PASS), do_goto(b, "admit"));
	in_sets(b, SET_PASS4, do_admit);
	RULE(b, do_jump(b, "factory"));
	if (b->conf->gate_port)
		RULE(b, do_goto(b, "held"));
	else
		RULE(b, do_goto(b, b->conf->default_allow ? "admit" : "no_default"));
}

/* What can be neither redirected nor answered yet: sockets bound to a device, other
 * protocols, groups, connections that are older than their entries. The log asks for a
 * decision; the next try meets its element. */
static void chain_held(struct builder *b)
{
	chain_at(b, "held");
	RULE(b, if_within(b, SET_HOLDS, HOLDS_PER_S, HOLDS_BURST), do_log(b, "held"));
	RULE(b, do_drop(b));
}

/* Before the pairs: what runs already stops too. In input nothing is said to the peer. */
static void chains_blocked(struct builder *b)
{
	chain_at(b, "blocked");
	RULE(b, if_to_type(b, RTN_LOCAL), do_return(b));
	RULE(b, do_goto(b, "no_block"));
	chain_at(b, "in_blocked");
	RULE(b, if_in_lo(b), do_return(b));
	RULE(b, do_drop(b));
}

/* The listener answers in a client's flow, which keeps the client's mark. */
static void chain_self(struct builder *b)
{
	chain_at(b, "self");
	RULE(b, if_ct_mark_zero(b), do_ct_mark_actor(b));
	RULE(b, do_accept(b));
}

/* zones make it this actor's flow, whatever mark somebody restored to it */
static void chain_mine(struct builder *b)
{
	chain_at(b, "mine");
	RULE(b, do_ct_mark_actor(b));
	RULE(b, do_accept(b));
}

/* a foreign ct mark stays as it is */
static void chain_admit(struct builder *b)
{
	chain_at(b, "admit");
	RULE(b, if_ct_mark_zero(b), do_ct_mark_actor(b));
	RULE(b, if_ct_ours(b), do_ct_mark_actor(b));
	RULE(b, do_accept(b));
}

/* In input the packet's mark is nobody's: the log shows the listening program's. */
static void chains_no(struct builder *b)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		chain_at(b, refusals[i].chain);
		RULE(b, if_on(b, SET_ADOPTING), do_jump(b, "no_yet"));
		if (b->conf->log_refused) {
			RULE(b, do_stamp_from_sock(b));
			RULE(b, if_within(b, SET_LOGS, LOGS_PER_S, LOGS_BURST),
				do_log(b, refusals[i].word));
		}
		RULE(b, do_goto(b, "no"));
	}
	/* Of a socket that is not yet judged: it bears no mark, a dead daemon's, or one that its
	 * entry has not yet or not any more. A reset would end it on either side; what vanishes is
	 * sent again. */
	chain_at(b, "no_yet");
	RULE(b, if_syn(b), do_return(b));
	RULE(b, do_drop(b));
	/* a raw socket's packet in another's name: the answer would leave, and quote it */
	chain_at(b, "no");
	RULE(b, if_from_type(b, RTN_LOCAL), do_goto(b, "say_no"));
	RULE(b, if_in_none(b), do_drop(b));
	RULE(b, do_goto(b, "say_no"));
	chain_at(b, "say_no");
	RULE(b, do_reset(b));
	RULE(b, do_reject(b));
}

static void chain_post(struct builder *b)
{
	struct addr number4 = instance_source(b->conf->instance, 4, 0);
	struct addr number6 = instance_source(b->conf->instance, 6, 0);

	chain_at(b, "post");
	RULE(b, if_out_not_lo(b), if_ct_ours(b), if_to_text(b, "127.0.0.0", 8), do_drop(b));
	RULE(b, if_out_not_lo(b), if_ct_ours(b), if_to_text(b, "::1", 128), do_drop(b));
	RULE(b, if_out_not_lo(b), if_to(b, &number6, 48), do_drop(b));
	RULE(b, if_out_not_lo(b), if_from(b, &number4, 16), do_drop(b));
	RULE(b, if_out_not_lo(b), if_from(b, &number6, 48), do_drop(b));
	RULE(b, if_ct_ours(b), do_stamp_from_ct(b));
	/* Its entry is the program's already, its socket not yet: picked up anew, with another
	 * source port as its own is taken. What another instance translates bears its mark. */
	RULE(b, if_in_none(b), if_mark_nobodys(b), if_ct_new(b),
		if_ct_status(b, IPS_SRC_NAT, IPS_SRC_NAT), if_on_for_all(b, SET_ADOPTING),
		do_jump(b, "no_yet"));
}

static void chains_make(struct builder *b)
{
	static const struct {
		const char *name;
		struct hook hook;
	} hooked[] = {
		{ "nat_out", { "nat", NF_INET_LOCAL_OUT, NAT } },
		{ "out", { "filter", NF_INET_LOCAL_OUT, FILTER } },
		{ "post_nat", { "nat", NF_INET_POST_ROUTING, NAT } },
		{ "post", { "filter", NF_INET_POST_ROUTING, LAST } },
		{ "in", { "filter", NF_INET_LOCAL_IN, FILTER } },
		/* The last to be hung up, so the last to be taken down, one by one, when the table's
		 * owner dies: with nat and without zones a running flow would get another port. */
		{ "raw_out", { "filter", NF_INET_LOCAL_OUT, RAW } },
	};
	static const char *const plain[] = {
		"tunnel", "tunnel_from", "lost", "nat_ours", "nat_sink", "nat_gate",
		"nat_peek", "nat_met", "ours", "held", "sunk", "self", "mine", "admit",
		"factory", "no_yet", "no", "say_no", "back", "in_listener", "in_ours", "in_peer",
		"in_admit", "blocked", "in_blocked",
	};

	for (size_t i = 0; i < ARRAY_LEN(hooked); i++)
		chain(b, hooked[i].name, &hooked[i].hook);
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		chain(b, plain[i], NULL);
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		chain(b, refusals[i].chain, NULL);
	if (b->conf->basic)
		number_chains(b);
}

/* FNV-1a, 32 bits */
static uint32_t digest_add(uint32_t digest, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len--)
		digest = (digest ^ *at++) * 16777619u;
	return digest;
}

static uint32_t digest(const struct nft_conf *c)
{
	uint32_t d = 2166136261u;

	for (unsigned i = 0; i < c->ndns_at; i++) {
		d = digest_add(d, &c->dns_at[i].addr, sizeof(c->dns_at[i].addr));
		d = digest_add(d, &c->dns_at[i].port, sizeof(c->dns_at[i].port));
	}
	return digest_add(d, c->web_ports, c->nweb * sizeof(c->web_ports[0]));
}

void table_comment(const struct nft_conf *c, char out[static TABLE_COMMENT_MAX])
{
	snprintf(out, TABLE_COMMENT_MAX,
		"scupper layout %d default %s in %s ipv6 %d dns %u gate %u log %d closed %d at %08x",
		TABLE_LAYOUT, c->default_allow ? "allow" : "deny",
		c->default_in_allow ? "allow" : "deny", c->ipv6, c->dns_port, c->gate_port,
		c->log_refused, c->closed, digest(c));
	for (unsigned i = 0; i < c->npeek; i++) {
		size_t n = strlen(out);

		snprintf(out + n, TABLE_COMMENT_MAX - n, " %u", c->peek_ports[i]);
	}
	if (c->basic)
		snprintf(out + strlen(out), TABLE_COMMENT_MAX - strlen(out),
			" basic %llu %u %llu %u", (unsigned long long)c->basic->id,
			c->basic->level, (unsigned long long)c->basic->self_id,
			c->basic->self_level);
}

void table_build(struct builder *b, struct batch *batch, const struct nft_conf *conf,
	uint32_t first, uint32_t last)
{
	*b = (struct builder){
		.batch = batch,
		.conf = conf,
		.mark = (uint32_t)conf->instance->magic << 24,
		.zone = instance_zone(conf->instance, 0),
		.first = first,
		.last = last,
	};
	instance_table(conf->instance, b->table);
	for (unsigned id = 0; id < SET_COUNT; id++)
		set_make(b, id);
	set_fill_pairs(batch, conf->instance);
	chains_make(b);
	if (conf->basic)
		number_rules(b);
	chain_raw(b);
	chains_tunnel(b);
	chains_redirect(b);
	chain_out(b);
	chain_ours(b);
	chain_held(b);
	chain_self(b);
	chain_mine(b);
	chain_admit(b);
	chains_factory(b);
	chains_no(b);
	chain_post(b);
	chains_inbound(b);
	chains_blocked(b);
}
