/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the kernel says of its tunnels, in messages put together as linux/if_link.h,
 * if_tunnel.h, neighbour.h and wireguard.h describe them; and cut short at every byte. */
#include "nft/tunnelmsg.h"

#include "base/macros.h"
#include "nft/ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BUF = 1024, WIREGUARD = 29 };

static struct nlmsghdr *begin(void *buf, uint16_t type, size_t head)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);

	m->nlmsg_type = type;
	mnl_nlmsg_put_extra_header(m, head);
	return m;
}

struct link_case {
	const char *why, *kind;
	uint16_t at_attr;       /* of the remote address */
	const char *at;         /* NULL: none */
	uint16_t port_attr, port;
	uint16_t encap_attr, encap_port_attr, encap_port;
	bool down;
	int want;
	struct tunnel_link link;
};

static const struct link_case cases[] = {
	{ "vxlan over v4", "vxlan", IFLA_VXLAN_GROUP, "10.0.0.2", IFLA_VXLAN_PORT, 4789, 0, 0, 0,
		false, 0, { 7, TUNNEL_VXLAN, { 0 }, IPPROTO_UDP, 0, 4789 } },
	{ "vxlan over v6", "vxlan", IFLA_VXLAN_GROUP6, "fd00::2", IFLA_VXLAN_PORT, 8472, 0, 0, 0,
		false, 0, { 7, TUNNEL_VXLAN, { 0 }, IPPROTO_UDP, 0, 8472 } },
	{ "vxlan that learns", "vxlan", 0, NULL, IFLA_VXLAN_PORT, 4789, 0, 0, 0, false, 0,
		{ 7, TUNNEL_VXLAN, { 0 }, IPPROTO_UDP, 0, 4789 } },
	{ "any address is none", "vxlan", IFLA_VXLAN_GROUP, "0.0.0.0", IFLA_VXLAN_PORT, 4789, 0, 0,
		0, false, 0, { 7, TUNNEL_VXLAN, { 0 }, IPPROTO_UDP, 0, 4789 } },
	{ "geneve", "geneve", IFLA_GENEVE_REMOTE, "10.0.0.2", IFLA_GENEVE_PORT, 6081, 0, 0, 0,
		false, 0, { 7, TUNNEL_OTHER, { 0 }, IPPROTO_UDP, 0, 6081 } },
	{ "gre", "gre", IFLA_GRE_REMOTE, "10.0.0.2", 0, 0, 0, 0, 0, false, 0,
		{ 7, TUNNEL_OTHER, { 0 }, IPPROTO_GRE, 0, 0 } },
	{ "gre over v6", "ip6gretap", IFLA_GRE_REMOTE, "fd00::2", 0, 0, 0, 0, 0, false, 0,
		{ 7, TUNNEL_OTHER, { 0 }, IPPROTO_GRE, 0, 0 } },
	{ "gre inside udp", "gre", IFLA_GRE_REMOTE, "10.0.0.2", 0, 0, IFLA_GRE_ENCAP_TYPE,
		IFLA_GRE_ENCAP_DPORT, 5555, false, 0,
		{ 7, TUNNEL_OTHER, { 0 }, IPPROTO_UDP, 0, 5555 } },
	{ "ip in ip", "ipip", IFLA_IPTUN_REMOTE, "10.0.0.2", 0, 0, 0, 0, 0, false, 0,
		{ 7, TUNNEL_OTHER, { 0 }, IPPROTO_IPIP, IPPROTO_IPV6, 0 } },
	{ "sit inside udp", "sit", IFLA_IPTUN_REMOTE, "10.0.0.2", 0, 0, IFLA_IPTUN_ENCAP_TYPE,
		IFLA_IPTUN_ENCAP_DPORT, 5556, false, 0,
		{ 7, TUNNEL_OTHER, { 0 }, IPPROTO_UDP, 0, 5556 } },
	{ "wireguard", "wireguard", 0, NULL, 0, 0, 0, 0, 0, false, 0,
		{ 7, TUNNEL_WIREGUARD, { 0 }, IPPROTO_UDP, 0, 0 } },
	{ "down", "vxlan", IFLA_VXLAN_GROUP, "10.0.0.2", IFLA_VXLAN_PORT, 4789, 0, 0, 0, true,
		-ENOENT, { 0 } },
	{ "no tunnel", "veth", 0, NULL, 0, 0, 0, 0, 0, false, -ENOENT, { 0 } },
	{ "a longer name", "vxlanx", IFLA_VXLAN_GROUP, "10.0.0.2", 0, 0, 0, 0, 0, false, -ENOENT,
		{ 0 } },
	{ "a shorter name", "vx", IFLA_VXLAN_GROUP, "10.0.0.2", 0, 0, 0, 0, 0, false, -ENOENT,
		{ 0 } },
};

static void put_addr(struct nlmsghdr *m, uint16_t attr, const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	mnl_attr_put(m, attr, a.family == 4 ? 4 : 16, a.b);
}

static struct nlmsghdr *link_message(void *buf, const struct link_case *c)
{
	struct nlmsghdr *m = begin(buf, RTM_NEWLINK, sizeof(struct ifinfomsg));
	struct ifinfomsg *head = mnl_nlmsg_get_payload(m);
	struct nlattr *info, *data;

	head->ifi_index = 7;
	head->ifi_flags = c->down ? 0 : IFF_UP;
	mnl_attr_put_strz(m, IFLA_IFNAME, "t0");
	info = mnl_attr_nest_start(m, IFLA_LINKINFO);
	mnl_attr_put_strz(m, IFLA_INFO_KIND, c->kind);
	data = mnl_attr_nest_start(m, IFLA_INFO_DATA);
	if (c->at)
		put_addr(m, c->at_attr, c->at);
	if (c->port_attr)
		mnl_attr_put_u16(m, c->port_attr, htons(c->port));
	if (c->encap_attr) {
		mnl_attr_put_u16(m, c->encap_attr, TUNNEL_ENCAP_FOU);
		mnl_attr_put_u16(m, c->encap_port_attr, htons(c->encap_port));
	}
	mnl_attr_nest_end(m, data);
	mnl_attr_nest_end(m, info);
	return m;
}

static void links(void **state)
{
	_Alignas(struct nlmsghdr) char buf[BUF];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct link_case *c = &cases[i];
		struct tunnel_link got = { .ifindex = 99 };
		struct addr want = { 0 };

		print_message("%s\n", c->why);
		assert_int_equal(tunnel_link_read(link_message(buf, c), &got), c->want);
		if (c->want < 0) {
			assert_int_equal(got.ifindex, 99); /* untouched */
			continue;
		}
		if (c->at && strcmp(c->at, "0.0.0.0") != 0)
			assert_int_equal(addr_parse(c->at, &want), 0);
		assert_int_equal(addr_cmp(&got.remote, &want), 0);
		assert_int_equal(got.ifindex, c->link.ifindex);
		assert_int_equal(got.kind, c->link.kind);
		assert_int_equal(got.proto, c->link.proto);
		assert_int_equal(got.proto_too, c->link.proto_too);
		assert_int_equal(got.port, c->link.port);
	}
}

static void ways(void **state)
{
	_Alignas(struct nlmsghdr) char buf[BUF];
	struct nlmsghdr *m = begin(buf, RTM_NEWNEIGH, sizeof(struct ndmsg));
	struct ndmsg *head = mnl_nlmsg_get_payload(m);
	struct tunnel_way w;
	struct addr want;

	(void)state;
	head->ndm_family = AF_BRIDGE;
	head->ndm_ifindex = 7;
	assert_int_equal(tunnel_way_read(m, &w), -ENOENT);
	put_addr(m, NDA_DST, "fd00::9");
	assert_int_equal(tunnel_way_read(m, &w), 0);
	assert_int_equal(addr_parse("fd00::9", &want), 0);
	assert_int_equal(addr_cmp(&w.remote, &want), 0);
	assert_int_equal(w.ifindex, 7);
	assert_int_equal(w.port, 0);
	mnl_attr_put_u16(m, NDA_PORT, htons(9999));
	assert_int_equal(tunnel_way_read(m, &w), 0);
	assert_int_equal(w.port, 9999);
	head->ndm_family = AF_INET; /* of a neighbour on the wire: no way of ours */
	assert_int_equal(tunnel_way_read(m, &w), -ENOENT);
	m->nlmsg_type = RTM_DELNEIGH;
	assert_int_equal(tunnel_way_read(m, &w), -EBADMSG);
}

static void wireguard(void **state)
{
	_Alignas(struct nlmsghdr) char buf[BUF];
	struct nlmsghdr *m = begin(buf, GENL_ID_CTRL, GENL_HDRLEN);
	uint16_t family = 0, port = 1;
	struct nlattr *peers;

	(void)state;
	mnl_attr_put_strz(m, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	assert_int_equal(tunnel_family_read(m, &family), -ENOENT);
	mnl_attr_put_u16(m, CTRL_ATTR_FAMILY_ID, WIREGUARD);
	assert_int_equal(tunnel_family_read(m, &family), 0);
	assert_int_equal(family, WIREGUARD);

	m = begin(buf, WIREGUARD, GENL_HDRLEN);
	mnl_attr_put_strz(m, WGDEVICE_A_IFNAME, "wg0");
	peers = mnl_attr_nest_start(m, WGDEVICE_A_PEERS);
	mnl_attr_put_u16(m, WGDEVICE_A_LISTEN_PORT, 4); /* a peer's attribute of that number */
	mnl_attr_nest_end(m, peers);
	assert_int_equal(tunnel_port_read(m, WIREGUARD, &port), -ENOENT);
	mnl_attr_put_u16(m, WGDEVICE_A_LISTEN_PORT, 51820); /* in host order */
	assert_int_equal(tunnel_port_read(m, WIREGUARD + 1, &port), -EBADMSG);
	assert_int_equal(port, 1);
	assert_int_equal(tunnel_port_read(m, WIREGUARD, &port), 0);
	assert_int_equal(port, 51820);
}

/* what we ask is what a kernel would read */
static void requests(void **state)
{
	_Alignas(struct nlmsghdr) char buf[ASK_REQUEST_MAX];
	const struct nlmsghdr *m = tunnel_ask_port(buf, WIREGUARD, 7);
	const struct genlmsghdr *g = mnl_nlmsg_get_payload(m);
	const struct nlattr *a = mnl_nlmsg_get_payload_offset(m, GENL_HDRLEN);

	(void)state;
	assert_int_equal(m->nlmsg_type, WIREGUARD);
	assert_int_equal(g->cmd, WG_CMD_GET_DEVICE);
	assert_int_equal(g->version, WG_GENL_VERSION);
	assert_int_equal(mnl_attr_get_type(a), WGDEVICE_A_IFINDEX);
	assert_int_equal(mnl_attr_get_u32(a), 7);
	m = tunnel_ask_ways(buf);
	assert_int_equal(m->nlmsg_type, RTM_GETNEIGH);
	assert_int_equal(((const struct ndmsg *)mnl_nlmsg_get_payload(m))->ndm_family, AF_BRIDGE);
}

/* Each message ends anywhere: nothing behind its end (in steps of four, as a datagram's
 * buffer has them) is read. The sanitizers watch. */
static void cut_short(void **state)
{
	_Alignas(struct nlmsghdr) char buf[BUF];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct nlmsghdr *m = link_message(buf, &cases[i]);

		for (size_t n = sizeof(*m); n < m->nlmsg_len; n++) {
			struct nlmsghdr *cut = calloc(1, MNL_ALIGN(n));
			struct tunnel_link l;
			struct tunnel_way w;
			uint16_t v;

			assert_non_null(cut);
			memcpy(cut, m, n);
			cut->nlmsg_len = (uint32_t)n;
			tunnel_link_read(cut, &l);
			cut->nlmsg_type = RTM_NEWNEIGH;
			tunnel_way_read(cut, &w);
			cut->nlmsg_type = GENL_ID_CTRL;
			tunnel_family_read(cut, &v);
			tunnel_port_read(cut, GENL_ID_CTRL, &v);
			free(cut);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links),
		cmocka_unit_test(ways),
		cmocka_unit_test(wireguard),
		cmocka_unit_test(requests),
		cmocka_unit_test(cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
