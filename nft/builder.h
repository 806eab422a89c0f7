/* SPDX-License-Identifier: GPL-2.0-or-later
 * builder.h - rules as expressions, one helper for each thing a rule can say.
 *
 * Glossary. if_: goes on with the rule only if it holds. do_: acts. A rule is RULE(b, ...)
 * with its conditions and actions in order, in the chain that chain() named last. "sock" is
 * the mark of the packet's own socket (nothing where there is none: the rule ends there);
 * "actor" is that mark through MARK_ACTOR_BITS; "ours" means that it bears our magic. In
 * basic mode "sock" is the packet's mark, which number.c writes at the head of each chain.
 * ct marks are read through CTMARK_BITS, as other tables save and restore stamped marks.
 * A failure sticks in the batch. */
#ifndef NFT_BUILDER_H
#define NFT_BUILDER_H

#include "nft/net.h"
#include "nft/nft.h"
#include "nft/set.h"

struct nftnl_rule;

enum { BUILDER_RULES_MAX = 800 };

struct builder {
	struct batch *batch;
	const struct nft_conf *conf;
	uint32_t mark;      /* magic << 24 */
	uint32_t zone;      /* 8192 n */
	uint32_t first, last; /* basic mode: the numbers it may give */
	char table[INSTANCE_TABLE_MAX];
	const char *chain;
	struct nftnl_rule *rule;
	/* whose message is which: a refusal of the kernel's can be named */
	unsigned nrules;
	struct { uint32_t seq; const char *chain; } rules[BUILDER_RULES_MAX];
};

struct hook {
	const char *type; /* "filter", "nat" */
	uint32_t at;      /* NF_INET_* */
	int32_t priority;
};

/* names must be literals: they are kept */
void chain(struct builder *b, const char *name, const struct hook *hook); /* NULL: none */
void chain_at(struct builder *b, const char *name); /* rules that follow belong there */
void rule_begin(struct builder *b);
void rule_end(struct builder *b);
#define RULE(b, ...) \
	do { \
		rule_begin(b); \
		__VA_ARGS__; \
		rule_end(b); \
	} while (0)

/* socket */
void if_sock_any(struct builder *b);  /* the packet has one */
void if_sock_ours(struct builder *b);
void if_sock_actor(struct builder *b, uint32_t actor);
void if_sock_not_actor(struct builder *b, uint32_t actor); /* has one, and it is another's */
void if_sock_device(struct builder *b); /* MARK_DEVICE_BIT */
/* packet's mark */
void if_mark_ours(struct builder *b); /* stamped or not */
void if_mark_stamped(struct builder *b); /* it has been through our postrouting */
void if_mark_not_ours(struct builder *b);
void if_mark_nobodys(struct builder *b); /* no instance's either */
void do_stamp_from_sock(struct builder *b);
void do_stamp_from_ct(struct builder *b);
/* conntrack */
void if_ct_ours(struct builder *b);
void if_ct_self(struct builder *b); /* the daemon's own mark */
void if_ct_mark_zero(struct builder *b);
void if_ct_status(struct builder *b, uint32_t mask, uint32_t value);
void if_ct_invalid(struct builder *b);
void if_ct_new(struct builder *b); /* the flow's very first packet, not yet confirmed */
void if_ct_related(struct builder *b); /* an error about a flow's packet; an expected flow */
void if_zone_none(struct builder *b); /* conntrack has it, in no actor's zone */
void if_ct_original(struct builder *b);
void if_ct_reply(struct builder *b);
void if_ct_answers_from(struct builder *b, const struct addr *a); /* the flow's true answerer */
void do_ct_mark_actor(struct builder *b); /* ct mark := actor */
void do_ct_mark_local(struct builder *b); /* with CTMARK_LOCAL */
void do_zone_from_sock(struct builder *b);
void do_zone_from_mark(struct builder *b);
/* where */
void if_v4(struct builder *b);
void if_v6(struct builder *b);
void if_in_none(struct builder *b); /* made on this machine: in output */
void if_in_lo(struct builder *b);
void if_out_lo(struct builder *b);
void if_out_not_lo(struct builder *b);
void if_to(struct builder *b, const struct addr *a, unsigned bits); /* checks the family */
void if_from(struct builder *b, const struct addr *a, unsigned bits);
void if_to_text(struct builder *b, const char *addr, unsigned bits);
void if_to_type(struct builder *b, uint32_t type); /* RTN_* of the destination */
void if_from_type(struct builder *b, uint32_t type); /* ... of the source */
/* what */
void if_proto(struct builder *b, uint8_t proto);
void if_to_port(struct builder *b, uint16_t port);
void if_from_port(struct builder *b, uint16_t port);
void if_icmp(struct builder *b, uint8_t first, uint8_t last); /* type; checks the protocol */
void if_icmp6(struct builder *b, uint8_t first, uint8_t last);
void if_hoplimit(struct builder *b, uint8_t hops);
void if_syn(struct builder *b); /* the first of a TCP connection; checks the protocol */
void if_rst(struct builder *b);
/* sets: the key is put together from the packet as the set's definition says */
void if_in_set(struct builder *b, enum set_id id);
/* the element with port 0: every port of the protocol, or a protocol without ports */
void if_in_set_any_port(struct builder *b, enum set_id id);
void if_not_in_set(struct builder *b, enum set_id id);
void if_on(struct builder *b, enum set_id id); /* a switch: SET_PAUSED .. SET_ADOPTING */
void if_on_for_all(struct builder *b, enum set_id id); /* likewise, whosever packet it is */
void if_factory(struct builder *b, enum nft_factory class);
void if_not_pair(struct builder *b);
void if_pair(struct builder *b); /* actor and ct mark are one */
/* over (or within) so many a second for this actor, counted in a set */
void if_over(struct builder *b, enum set_id id, uint32_t per_s, uint32_t burst);
void if_within(struct builder *b, enum set_id id, uint32_t per_s, uint32_t burst);
/* basic mode (number.c): packet's mark := whose it is, at the head of an output chain by
 * cgroup and user; where there is no user (zones, input) by cgroup alone */
void number_chains(struct builder *b); /* names them, before any rule */
void number_rules(struct builder *b);
/* accepts a reply that is for, or from, the cgroup whose flow it is */
void number_kin(struct builder *b);
void do_number(struct builder *b);
void do_number_cgroup(struct builder *b);
/* ends */
void do_accept(struct builder *b);
void do_drop(struct builder *b);
void do_return(struct builder *b);
void do_jump(struct builder *b, const char *to);
void do_goto(struct builder *b, const char *to);
void do_reset(struct builder *b);  /* tcp reset */
void do_reject(struct builder *b); /* icmpx admin-prohibited */
void do_log(struct builder *b, const char *word);
void do_redirect(struct builder *b, const struct addr *to, uint16_t port);
/* source := prefix, ct mark's number in its low bits */
void do_source4(struct builder *b);
void do_source6(struct builder *b);

#endif
