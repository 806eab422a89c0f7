/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/nflogmsg.h"

#include "base/macros.h"
#include "nft/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>
#include <sys/socket.h>

enum {
	COPY_BYTES = 128,      /* IPv6, two extension headers, ports */
	SEND_BUFFER = 16384,   /* one message holds some sixty packets */
	SEND_AT_PACKETS = 32,
	SEND_AFTER_10MS = 2,
};

struct nlmsghdr *nflog_put_bind(void *buf, uint16_t group)
{
	const struct nfulnl_msg_config_cmd bind = { .command = NFULNL_CFG_CMD_BIND };
	const struct nfulnl_msg_config_mode mode = { .copy_mode = NFULNL_COPY_PACKET,
		.copy_range = htonl(COPY_BYTES) };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	g->res_id = htons(group);
	mnl_attr_put(h, NFULA_CFG_CMD, sizeof(bind), &bind);
	mnl_attr_put(h, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(h, NFULA_CFG_NLBUFSIZ, htonl(SEND_BUFFER));
	mnl_attr_put_u32(h, NFULA_CFG_QTHRESH, htonl(SEND_AT_PACKETS));
	mnl_attr_put_u32(h, NFULA_CFG_TIMEOUT, htonl(SEND_AFTER_10MS));
	return h;
}

/* what the message says beside the packet's bytes */
struct said {
	uint32_t mark;
	uint8_t hook;
	const struct nlattr *payload, *prefix;
};

static void read_attr(const struct nlattr *a, struct said *s)
{
	size_t len = mnl_attr_get_payload_len(a);

	switch (mnl_attr_get_type(a)) {
	case NFULA_PACKET_HDR:
		if (len >= sizeof(struct nfulnl_msg_packet_hdr)) {
			const struct nfulnl_msg_packet_hdr *h = mnl_attr_get_payload(a);

			s->hook = h->hook;
		}
		break;
	case NFULA_MARK:
		if (len >= sizeof(s->mark))
			s->mark = ntohl(mnl_attr_get_u32(a));
		break;
	case NFULA_PAYLOAD:
		s->payload = a;
		break;
	case NFULA_PREFIX:
		s->prefix = a;
		break;
	}
}

/* the prefix's first word */
static void read_why(const struct nlattr *prefix, char *out, size_t max)
{
	const char *s = mnl_attr_get_payload(prefix);
	size_t len = MIN(mnl_attr_get_payload_len(prefix), max - 1), n;

	for (n = 0; n < len && s[n] > ' ' && s[n] < 0x7f && s[n] != ':'; n++)
		out[n] = s[n];
	out[n] = '\0';
}

int nflog_read(const struct nlmsghdr *message, const struct instance *instance,
	struct nflog_packet *out)
{
	const uint32_t magic = (uint32_t)instance->magic << 24;
	struct nflog_packet p = { .actor = ACTOR_NONE };
	struct said s = { .hook = NF_INET_LOCAL_OUT };
	const struct nlattr *a;
	struct packet head;

	if (message->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg) ||
		NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_ULOG ||
		NFNL_MSG_TYPE(message->nlmsg_type) != NFULNL_MSG_PACKET)
		return -EBADMSG;
	mnl_attr_for_each(a, message, sizeof(struct nfgenmsg))
		read_attr(a, &s);
	if (!s.payload || packet_read(mnl_attr_get_payload(s.payload),
				  mnl_attr_get_payload_len(s.payload), &head) < 0)
		return -EBADMSG;
	if ((s.mark & CTMARK_BITS & ~(uint32_t)ACTOR_MASK) == magic)
		p.actor = s.mark & ACTOR_MASK;
	p.src = head.src;
	p.dst = head.dst;
	p.sport = head.sport;
	p.dport = head.dport;
	p.first = head.first;
	p.proto = head.proto;
	p.inbound = s.hook == NF_INET_PRE_ROUTING || s.hook == NF_INET_LOCAL_IN;
	if (s.prefix)
		read_why(s.prefix, p.why, sizeof(p.why));
	*out = p;
	return 0;
}
