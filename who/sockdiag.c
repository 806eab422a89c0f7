/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who/sockdiag.h"
#include "base/macros.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(sizeof(struct inet_diag_sockid) == sizeof(((struct sockdiag_id *)0)->bytes),
	"a socket's name is 48 bytes");

/* ----- replies ----- */

static bool take(struct cur *c, void *to, size_t n)
{
	const uint8_t *p = cur_take(c, n);

	if (p)
		memcpy(to, p, n);
	return p != NULL;
}

static struct addr addr_of(uint8_t family, const __be32 words[4])
{
	return family == AF_INET6 ? addr_v6(words) : addr_v4(words);
}

/* Fields are only ever added at the end: a short one is of an older kernel. Without bytes_sent
 * (before 4.19) what was acknowledged stands for it. */
bool sockdiag_traffic(const void *info, size_t len, uint8_t family, struct diag_traffic *out)
{
	enum { IP4 = 20, IP6 = 40, TCP = 20, TIMESTAMPS = 12 };
	struct tcp_info i = { 0 };
	uint64_t head;

	memcpy(&i, info, MIN(len, sizeof(i)));
	if (len < offsetof(struct tcp_info, tcpi_segs_in) + sizeof(i.tcpi_segs_in))
		return false;
	if (len < offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof(i.tcpi_bytes_sent))
		i.tcpi_bytes_sent = i.tcpi_bytes_acked;
	head = (family == 4 ? IP4 : IP6) + TCP +
		(i.tcpi_options & TCPI_OPT_TIMESTAMPS ? TIMESTAMPS : 0);
	*out = (struct diag_traffic){
		.rx = i.tcpi_bytes_received + i.tcpi_segs_in * head,
		.tx = i.tcpi_bytes_sent + i.tcpi_segs_out * head,
		.rx_packets = i.tcpi_segs_in,
		.tx_packets = i.tcpi_segs_out,
	};
	return true;
}

static void read_tcp_info(struct cur *value, struct sockdiag_reply *r)
{
	size_t n = cur_left(value);
	const uint8_t *info = cur_take(value, n);

	if (info && sockdiag_traffic(info, n, r->tuple.local.family, &r->traffic))
		r->has_traffic = true; /* and a second one that is broken takes nothing back */
}

static void read_attribute(struct cur *value, uint16_t type, struct sockdiag_reply *r)
{
	switch (type & NLA_TYPE_MASK) {
	case INET_DIAG_INFO:
		read_tcp_info(value, r);
		break;
	case INET_DIAG_MARK:
		r->socket.has_mark = take(value, &r->socket.mark, sizeof(uint32_t));
		break;
	case INET_DIAG_SKV6ONLY:
		r->v6only = cur_u8(value) != 0;
		break;
	}
}

/* An attribute says its length with its head, and the next starts at a multiple of four. */
static void read_attributes(struct cur *c, struct sockdiag_reply *r)
{
	while (cur_left(c) >= sizeof(struct nlattr)) {
		struct nlattr a;
		struct cur value;
		size_t len;

		take(c, &a, sizeof(a));
		if (a.nla_len < sizeof(a)) {
			c->bad = true;
			return;
		}
		len = a.nla_len - sizeof(a);
		value = cur_sub(c, len);
		read_attribute(&value, a.nla_type, r);
		c->bad |= value.bad;
		cur_take(c, MIN(NLA_ALIGN(len) - len, cur_left(c)));
	}
}

static void read_socket(struct cur *c, uint8_t proto, struct sockdiag_reply *r)
{
	struct inet_diag_msg m;

	if (!take(c, &m, sizeof(m)))
		return;
	if (m.idiag_family != AF_INET && m.idiag_family != AF_INET6) {
		r->kind = SOCKDIAG_OTHER;
		return;
	}
	r->kind = SOCKDIAG_SOCKET;
	r->tuple = (struct diag_tuple){
		.local = addr_of(m.idiag_family, m.id.idiag_src),
		.peer = addr_of(m.idiag_family, m.id.idiag_dst),
		.lport = ntohs(m.id.idiag_sport),
		.pport = ntohs(m.id.idiag_dport),
		.proto = proto,
		.ifindex = m.id.idiag_if,
	};
	r->socket = (struct diag_socket){
		.uid = m.idiag_uid,
		.inode = m.idiag_inode,
		.cookie = (uint64_t)m.id.idiag_cookie[1] << 32 | m.id.idiag_cookie[0],
		.state = m.idiag_state,
	};
	r->id.family = m.idiag_family;
	r->id.proto = proto;
	memcpy(r->id.bytes, &m.id, sizeof(r->id.bytes));
	read_attributes(c, r);
}

static void read_body(struct cur *c, uint16_t type, uint8_t proto, struct sockdiag_reply *r)
{
	int32_t error = 0;

	switch (type) {
	case SOCK_DIAG_BY_FAMILY:
		read_socket(c, proto, r);
		return;
	case NLMSG_ERROR:
		r->kind = SOCKDIAG_ERROR;
		take(c, &error, sizeof(error));
		break;
	case NLMSG_DONE: /* its number came late: an empty one is none */
		r->kind = SOCKDIAG_DONE;
		if (cur_left(c) >= sizeof(error))
			take(c, &error, sizeof(error));
		break;
	default:
		r->kind = SOCKDIAG_OTHER;
	}
	if (error > 0 || error < -4095) /* no errno: the kernel's MAX_ERRNO */
		c->bad = true;
	r->error = error;
}

int sockdiag_next(struct cur *c, uint8_t proto, struct sockdiag_reply *out)
{
	struct sockdiag_reply r = { .kind = SOCKDIAG_OTHER };
	struct nlmsghdr h;
	struct cur body;
	size_t len;

	if (!c->bad && cur_left(c) == 0)
		return 0;
	if (!take(c, &h, sizeof(h)) || h.nlmsg_len < sizeof(h))
		return -EBADMSG;
	len = h.nlmsg_len - sizeof(h);
	body = cur_sub(c, len);
	if (c->bad)
		return -EBADMSG;
	cur_take(c, MIN(NLMSG_ALIGN(len) - len, cur_left(c)));
	read_body(&body, h.nlmsg_type, proto, &r);
	if (body.bad)
		return -EBADMSG;
	r.seq = h.nlmsg_seq;
	*out = r;
	return 1;
}

/* ----- requests ----- */

static void put_request(struct out *o, uint32_t seq, uint16_t type, uint16_t flags,
	const struct inet_diag_req_v2 *q)
{
	struct nlmsghdr h = {
		.nlmsg_len = NLMSG_LENGTH(sizeof(*q)),
		.nlmsg_type = type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
		.nlmsg_seq = seq,
	};

	out_bytes(o, &h, sizeof(h));
	out_bytes(o, q, sizeof(*q));
}

static void put_addr(__be32 words[4], const struct addr *a)
{
	memcpy(words, a->b, a->family == 6 ? 16 : 4);
}

static int put_find(uint8_t *out, uint32_t seq, const struct diag_tuple *t, uint8_t more)
{
	struct out o = out_into(out, SOCKDIAG_REQUEST_MAX);
	struct inet_diag_req_v2 q = {
		.sdiag_family = t->local.family == 6 ? AF_INET6 : AF_INET,
		.sdiag_protocol = t->proto,
		.idiag_states = ~0u,
		.idiag_ext = more,
		.id = { .idiag_if = t->ifindex,
			.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
	};
	/* udp_dump_one() looks from the receiving side: a datagram from the peer to us */
	bool swap = t->proto == IPPROTO_UDP;

	if (t->local.family == 0 || t->local.family != t->peer.family)
		return -EINVAL;
	put_addr(swap ? q.id.idiag_dst : q.id.idiag_src, &t->local);
	put_addr(swap ? q.id.idiag_src : q.id.idiag_dst, &t->peer);
	q.id.idiag_sport = htons(swap ? t->pport : t->lport);
	q.id.idiag_dport = htons(swap ? t->lport : t->pport);
	put_request(&o, seq, SOCK_DIAG_BY_FAMILY, 0, &q);
	return (int)o.len;
}

int sockdiag_find(uint8_t out[static SOCKDIAG_REQUEST_MAX], uint32_t seq,
	const struct diag_tuple *t)
{
	return put_find(out, seq, t, 0);
}

int sockdiag_count(uint8_t out[static SOCKDIAG_REQUEST_MAX], uint32_t seq,
	const struct diag_tuple *t)
{
	return put_find(out, seq, t, 1 << (INET_DIAG_INFO - 1));
}

int sockdiag_name(struct sockdiag_id *out, const struct diag_tuple *t, uint64_t cookie)
{
	struct inet_diag_sockid id = {
		.idiag_sport = htons(t->lport),
		.idiag_dport = htons(t->pport),
		.idiag_if = t->ifindex,
		.idiag_cookie = { (uint32_t)cookie, (uint32_t)(cookie >> 32) },
	};

	if (t->local.family == 0 || t->local.family != t->peer.family)
		return -EINVAL;
	put_addr(id.idiag_src, &t->local);
	put_addr(id.idiag_dst, &t->peer);
	out->family = t->local.family == 6 ? AF_INET6 : AF_INET;
	out->proto = t->proto;
	memcpy(out->bytes, &id, sizeof(id));
	return 0;
}

/* Bytecode: one condition; yes goes on behind it (the end: a hit), no jumps beyond the end
 * (a miss is a jump to four bytes after the last instruction). */
static void put_mark_filter(struct out *o, uint32_t mark, uint32_t mask)
{
	struct inet_diag_bc_op op = { .code = INET_DIAG_BC_MARK_COND };
	struct inet_diag_markcond cond = { .mark = mark & mask, .mask = mask };
	struct nlattr a = { .nla_type = INET_DIAG_REQ_BYTECODE };

	op.yes = sizeof(op) + sizeof(cond);
	op.no = sizeof(op) + sizeof(cond) + 4;
	a.nla_len = NLA_HDRLEN + sizeof(op) + sizeof(cond);
	out_bytes(o, &a, sizeof(a));
	out_bytes(o, &op, sizeof(op));
	out_bytes(o, &cond, sizeof(cond));
}

int sockdiag_dump(uint8_t out[static SOCKDIAG_REQUEST_MAX], uint32_t seq,
	const struct sockdiag_filter *f)
{
	struct out o = out_into(out, SOCKDIAG_REQUEST_MAX);
	struct inet_diag_req_v2 q = {
		.sdiag_family = f->family,
		.sdiag_protocol = f->proto,
		.idiag_states = f->states,
		.id = { .idiag_sport = htons(f->lport), .idiag_dport = htons(f->pport) },
	};
	uint32_t len;

	put_request(&o, seq, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &q);
	if (f->by_mark)
		put_mark_filter(&o, f->mark, f->mask);
	len = (uint32_t)o.len;
	memcpy(out, &len, sizeof(len)); /* nlmsg_len comes first */
	return (int)o.len;
}

int sockdiag_destroy(uint8_t out[static SOCKDIAG_REQUEST_MAX], uint32_t seq,
	const struct sockdiag_id *id)
{
	struct out o = out_into(out, SOCKDIAG_REQUEST_MAX);
	struct inet_diag_req_v2 q = {
		.sdiag_family = id->family,
		.sdiag_protocol = id->proto,
		.idiag_states = ~0u,
	};

	memcpy(&q.id, id->bytes, sizeof(q.id));
	put_request(&o, seq, SOCK_DESTROY, NLM_F_ACK, &q);
	return (int)o.len;
}
