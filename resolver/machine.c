/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/machine.h"

#include "base/macros.h"
#include "base/text.h"

#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

void machine_look_name(struct machine *m)
{
	char name[HOST_MAX] = "";

	m->host[0] = m->label[0] = '\0';
	if (gethostname(name, sizeof(name) - 1) < 0 || host_parse(name, m->host) < 0 ||
		host_covers("localhost", m->host)) {
		m->host[0] = '\0';
		return;
	}
	text_copy(m->label, sizeof(m->label), m->host);
	m->label[strcspn(m->label, ".")] = '\0';
}

static bool is_link_local6(const struct addr *a)
{
	return a->family == 6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static void addrs_read(struct machine *m)
{
	struct ifaddrs *all = NULL;

	m->naddrs = 0;
	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *i = all; i && m->naddrs < MACHINE_ADDRS_MAX; i = i->ifa_next) {
		struct addr a;
		uint16_t port;

		if (i->ifa_addr && !(i->ifa_flags & IFF_LOOPBACK) &&
			addr_from_sockaddr(i->ifa_addr, &a, &port) == 0 && !is_link_local6(&a) &&
			addr_zone(&a) != ZONE_LOCALHOST)
			m->addrs[m->naddrs++] = a;
	}
	freeifaddrs(all);
}

/* Which way a packet to the internet would take: one route, however many there are. The
 * addresses are of nobody: 192.0.2.1 (RFC 5737) and 2000::1. */
static ssize_t ask_route(int fd, int family, void *reply, size_t room)
{
	static const uint8_t to4[4] = { 192, 0, 2, 1 }, to6[16] = { 0x20, [15] = 1 };
	size_t len = family == AF_INET ? sizeof(to4) : sizeof(to6);
	struct {
		struct nlmsghdr head;
		struct rtmsg rt;
		struct rtattr attr;
		uint8_t to[16];
	} ask = { 0 };

	ask.attr.rta_type = RTA_DST;
	ask.attr.rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(ask.to, family == AF_INET ? to4 : to6, len);
	ask.head.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(ask.rt)) + ask.attr.rta_len);
	ask.head.nlmsg_type = RTM_GETROUTE;
	ask.head.nlmsg_flags = NLM_F_REQUEST;
	ask.rt.rtm_family = (uint8_t)family;
	ask.rt.rtm_dst_len = (uint8_t)(len * 8);
	if (send(fd, &ask, ask.head.nlmsg_len, 0) < 0)
		return -1;
	return recv(fd, reply, room, MSG_DONTWAIT); /* answered within send() */
}

static void addr_take(const struct rtattr *a, struct addr *out)
{
	size_t len = RTA_PAYLOAD(a);

	if (len == 4)
		*out = addr_v4(RTA_DATA(a));
	else if (len == 16)
		*out = addr_v6(RTA_DATA(a));
}

static void route_read(const struct nlmsghdr *h, struct addr *gateway, struct addr *outbound)
{
	const struct rtmsg *rt = NLMSG_DATA(h);
	const struct rtattr *a = RTM_RTA(rt);
	int left = (int)RTM_PAYLOAD(h);

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_GATEWAY)
			addr_take(a, gateway);
		else if (a->rta_type == RTA_PREFSRC)
			addr_take(a, outbound);
	}
}

static void way_out(int fd, int family, struct addr *gateway, struct addr *outbound)
{
	union {
		struct nlmsghdr head;
		uint8_t bytes[4096];
	} reply;
	ssize_t n = ask_route(fd, family, &reply, sizeof(reply));

	memset(gateway, 0, sizeof(*gateway));
	memset(outbound, 0, sizeof(*outbound));
	if (n > 0 && NLMSG_OK(&reply.head, (size_t)n) &&
		reply.head.nlmsg_type == RTM_NEWROUTE)
		route_read(&reply.head, gateway, outbound);
	if (is_link_local6(gateway)) /* without its interface it leads nowhere */
		memset(gateway, 0, sizeof(*gateway));
}

void machine_look_addrs(struct machine *m)
{
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	addrs_read(m);
	if (fd < 0)
		return;
	way_out(fd, AF_INET, &m->gateway[0], &m->outbound[0]);
	way_out(fd, AF_INET6, &m->gateway[1], &m->outbound[1]);
}
