/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/tunnelmsg.h"

#include "base/macros.h"

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
#include <string.h>

/* the attributes that say where a kind of link sends to; 0: it has none such */
struct kind {
	const char *name;
	enum tunnel_kind kind;
	uint8_t proto, proto_too;
	uint16_t remote4, remote6, port;
	uint16_t encap, encap_port; /* inside UDP instead (FOU, GUE) */
};

static const struct kind kinds[] = {
	{ "vxlan", TUNNEL_VXLAN, IPPROTO_UDP, 0, IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6,
		IFLA_VXLAN_PORT, 0, 0 },
	{ "geneve", TUNNEL_OTHER, IPPROTO_UDP, 0, IFLA_GENEVE_REMOTE, IFLA_GENEVE_REMOTE6,
		IFLA_GENEVE_PORT, 0, 0 },
	{ "wireguard", TUNNEL_WIREGUARD, IPPROTO_UDP, 0, 0, 0, 0, 0, 0 },
#define GRE(name) \
	{ name, TUNNEL_OTHER, IPPROTO_GRE, 0, IFLA_GRE_REMOTE, IFLA_GRE_REMOTE, 0, \
		IFLA_GRE_ENCAP_TYPE, IFLA_GRE_ENCAP_DPORT }
	GRE("gre"), GRE("gretap"), GRE("erspan"), GRE("ip6gre"), GRE("ip6gretap"),
	GRE("ip6erspan"),
#define IPIP(name) \
	{ name, TUNNEL_OTHER, IPPROTO_IPIP, IPPROTO_IPV6, IFLA_IPTUN_REMOTE, \
		IFLA_IPTUN_REMOTE, 0, IFLA_IPTUN_ENCAP_TYPE, IFLA_IPTUN_ENCAP_DPORT }
	IPIP("ipip"), IPIP("sit"), IPIP("ip6tnl"),
};

static const struct nlattr *attr_in(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest)
	{
		if (type && mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static const struct nlattr *attr_of(const struct nlmsghdr *m, size_t head, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, m, head)
	{
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static bool holds(const struct nlmsghdr *m, size_t head)
{
	return m->nlmsg_len >= MNL_NLMSG_HDRLEN + head;
}

/* false: no address, or the one that means any */
static bool read_addr(const struct nlattr *a, struct addr *out)
{
	static const uint8_t any[16];
	size_t n = a ? mnl_attr_get_payload_len(a) : 0;

	if ((n != 4 && n != 16) || memcmp(mnl_attr_get_payload(a), any, n) == 0)
		return false;
	*out = n == 4 ? addr_v4(mnl_attr_get_payload(a)) : addr_v6(mnl_attr_get_payload(a));
	return true;
}

static uint16_t read16(const struct nlattr *a)
{
	uint16_t v = 0;

	if (a && mnl_attr_get_payload_len(a) >= sizeof(v))
		memcpy(&v, mnl_attr_get_payload(a), sizeof(v));
	return v;
}

static const struct kind *kind_of(const struct nlattr *info)
{
	const struct nlattr *a = info ? attr_in(info, IFLA_INFO_KIND) : NULL;
	size_t n = a ? mnl_attr_get_payload_len(a) : 0;

	for (size_t i = 0; n && i < ARRAY_LEN(kinds); i++)
		if (strnlen(mnl_attr_get_payload(a), n) == strlen(kinds[i].name) &&
			memcmp(mnl_attr_get_payload(a), kinds[i].name,
				strlen(kinds[i].name)) == 0)
			return &kinds[i];
	return NULL;
}

static void read_data(const struct nlattr *data, const struct kind *k, struct tunnel_link *l)
{
	if (!read_addr(attr_in(data, k->remote4), &l->remote))
		read_addr(attr_in(data, k->remote6), &l->remote);
	if (k->port)
		l->port = ntohs(read16(attr_in(data, k->port)));
	if (read16(attr_in(data, k->encap))) {
		l->proto = IPPROTO_UDP;
		l->proto_too = 0;
		l->port = ntohs(read16(attr_in(data, k->encap_port)));
	}
}

int tunnel_link_read(const struct nlmsghdr *m, struct tunnel_link *out)
{
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(m);
	const struct nlattr *info, *data;
	const struct kind *k;
	struct tunnel_link l = { 0 };

	if (m->nlmsg_type != RTM_NEWLINK || !holds(m, sizeof(*head)))
		return -EBADMSG;
	info = attr_of(m, sizeof(*head), IFLA_LINKINFO);
	k = kind_of(info);
	if (!k || !(head->ifi_flags & IFF_UP))
		return -ENOENT;
	l.ifindex = (uint32_t)head->ifi_index;
	l.kind = k->kind;
	l.proto = k->proto;
	l.proto_too = k->proto_too;
	data = attr_in(info, IFLA_INFO_DATA);
	if (data)
		read_data(data, k, &l);
	*out = l;
	return 0;
}

int tunnel_way_read(const struct nlmsghdr *m, struct tunnel_way *out)
{
	const struct ndmsg *head = mnl_nlmsg_get_payload(m);
	struct tunnel_way w = { 0 };

	if (m->nlmsg_type != RTM_NEWNEIGH || !holds(m, sizeof(*head)))
		return -EBADMSG;
	if (head->ndm_family != AF_BRIDGE ||
		!read_addr(attr_of(m, sizeof(*head), NDA_DST), &w.remote))
		return -ENOENT;
	w.ifindex = (uint32_t)head->ndm_ifindex;
	w.port = ntohs(read16(attr_of(m, sizeof(*head), NDA_PORT)));
	*out = w;
	return 0;
}

int tunnel_family_read(const struct nlmsghdr *m, uint16_t *out)
{
	uint16_t family;

	if (m->nlmsg_type != GENL_ID_CTRL || !holds(m, GENL_HDRLEN))
		return -EBADMSG;
	family = read16(attr_of(m, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID));
	if (!family)
		return -ENOENT;
	*out = family;
	return 0;
}

/* the kernel gives peers in messages that follow: those have no port */
int tunnel_port_read(const struct nlmsghdr *m, uint16_t family, uint16_t *out)
{
	uint16_t port;

	if (m->nlmsg_type != family || !holds(m, GENL_HDRLEN))
		return -EBADMSG;
	port = read16(attr_of(m, GENL_HDRLEN, WGDEVICE_A_LISTEN_PORT));
	if (!port)
		return -ENOENT;
	*out = port;
	return 0;
}

static struct nlmsghdr *request(void *buf, uint16_t type, size_t head)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);

	m->nlmsg_type = type;
	mnl_nlmsg_put_extra_header(m, head);
	return m;
}

struct nlmsghdr *tunnel_ask_links(void *buf)
{
	return request(buf, RTM_GETLINK, sizeof(struct ifinfomsg));
}

struct nlmsghdr *tunnel_ask_ways(void *buf)
{
	struct nlmsghdr *m = request(buf, RTM_GETNEIGH, sizeof(struct ndmsg));

	((struct ndmsg *)mnl_nlmsg_get_payload(m))->ndm_family = AF_BRIDGE;
	return m;
}

static struct nlmsghdr *request_generic(void *buf, uint16_t family, uint8_t command)
{
	struct nlmsghdr *m = request(buf, family, GENL_HDRLEN);
	struct genlmsghdr *g = mnl_nlmsg_get_payload(m);

	g->cmd = command;
	g->version = 1;
	return m;
}

struct nlmsghdr *tunnel_ask_family(void *buf)
{
	struct nlmsghdr *m = request_generic(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);

	mnl_attr_put_strz(m, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	return m;
}

struct nlmsghdr *tunnel_ask_port(void *buf, uint16_t family, uint32_t ifindex)
{
	struct nlmsghdr *m = request_generic(buf, family, WG_CMD_GET_DEVICE);

	mnl_attr_put_u32(m, WGDEVICE_A_IFINDEX, ifindex);
	return m;
}
