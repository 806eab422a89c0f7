/* SPDX-License-Identifier: GPL-2.0-or-later
 * Each instance has a routing table and a rule of its own, so that one that goes takes
 * nothing from another:
 *
 *   ip -6 rule add iif lo lookup 5300+n priority 53+n
 *   ip -6 route add local LISTENER/128 dev lo table 5300+n
 *   ip -6 route add local SOURCES/115 dev lo table 5300+n     (8192 numbers)
 *
 * `iif lo` is what this machine sends itself; a packet from the LAN finds no such route.
 * Rule and routes say "kernel" as their maker: systemd-networkd clears away others'.
 * Needs CAP_NET_ADMIN. */
#include "nft/route.h"

#include "base/macros.h"
#include "nft/ask.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
	TABLE_BASE = 5300,
	PRIORITY_BASE = 53, /* behind `local` (0), before whatever a VPN adds */
	SOURCE_BITS = 128 - ACTOR_BITS,
};

static struct nlmsghdr *put_route(void *buf, const struct instance *instance,
	const struct addr *to, uint8_t bits)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->rtm_family = AF_INET6;
	m->rtm_dst_len = bits;
	m->rtm_table = RT_TABLE_UNSPEC; /* it does not fit here: RTA_TABLE */
	m->rtm_protocol = RTPROT_KERNEL;
	m->rtm_scope = RT_SCOPE_HOST;
	m->rtm_type = RTN_LOCAL;
	mnl_attr_put(h, RTA_DST, 16, to->b);
	mnl_attr_put_u32(h, RTA_OIF, if_nametoindex("lo"));
	mnl_attr_put_u32(h, RTA_TABLE, TABLE_BASE + instance_n(instance));
	return h;
}

static struct nlmsghdr *put_rule(void *buf, const struct instance *instance)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct fib_rule_hdr *r = mnl_nlmsg_put_extra_header(h, sizeof(*r));

	r->family = AF_INET6;
	r->table = RT_TABLE_UNSPEC;
	r->action = FR_ACT_TO_TBL;
	mnl_attr_put_strz(h, FRA_IIFNAME, "lo");
	mnl_attr_put_u32(h, FRA_PRIORITY, PRIORITY_BASE + instance_n(instance));
	mnl_attr_put_u32(h, FRA_TABLE, TABLE_BASE + instance_n(instance));
	mnl_attr_put_u8(h, FRA_PROTOCOL, RTPROT_KERNEL);
	return h;
}

static int send_as(struct ask *a, struct nlmsghdr *h, uint16_t type, uint16_t flags)
{
	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	return ask_ack(a, h);
}

/* what there is to add or to remove: two routes and a rule */
enum part { PART_LISTENER, PART_SOURCES, PART_RULE, PARTS };

static struct nlmsghdr *put_part(void *buf, const struct instance *instance, enum part part)
{
	const struct addr listener = instance_listener(instance, 6);
	const struct addr sources = instance_source(instance, 6, 0);

	switch (part) {
	case PART_LISTENER:
		return put_route(buf, instance, &listener, 128);
	case PART_SOURCES:
		return put_route(buf, instance, &sources, SOURCE_BITS);
	default:
		return put_rule(buf, instance);
	}
}

int route_add(const struct instance *instance)
{
	struct ask a = { 0 };
	char buf[ASK_REQUEST_MAX];
	int r = ask_open(NETLINK_ROUTE, &a);

	for (int i = 0; r == 0 && i < PARTS; i++) {
		r = send_as(&a, put_part(buf, instance, (enum part)i),
			i == PART_RULE ? RTM_NEWRULE : RTM_NEWROUTE,
			NLM_F_CREATE | NLM_F_EXCL);
		if (r == -EEXIST)
			r = 0;
	}
	ask_close(&a);
	return r;
}

static bool absent(int r)
{
	return r == -ENOENT || r == -ESRCH || r == -EAFNOSUPPORT || r == -EOPNOTSUPP;
}

int route_remove(const struct instance *instance)
{
	struct ask a = { 0 };
	char buf[ASK_REQUEST_MAX];
	int first = 0, r = ask_open(NETLINK_ROUTE, &a);

	if (r < 0)
		return r;
	for (int i = PARTS; i-- > 0;) {
		r = send_as(&a, put_part(buf, instance, (enum part)i),
			i == PART_RULE ? RTM_DELRULE : RTM_DELROUTE, 0);
		if (r < 0 && !absent(r) && first == 0)
			first = r;
	}
	ask_close(&a);
	return first;
}

bool route_ipv6(void)
{
	const struct sockaddr_in6 one = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	auto_close int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (const struct sockaddr *)&one, sizeof(one)) == 0;
}
