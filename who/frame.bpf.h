/* SPDX-License-Identifier: GPL-2.0-or-later
 * frame.bpf.h - frames of packet sockets (AF_PACKET), which pass no cgroup hook and no
 * output chain: met at the interface. Nothing in a frame can be trusted to say where it
 * goes, so it goes by its program: as a whole, or what a DHCP client must send before the
 * machine has an address.
 * The socket has no owner, since it was made where no hook is; but a frame comes here in its
 * sender's own system call, so the sender is who runs. */
#ifndef WHO_FRAME_BPF_H
#define WHO_FRAME_BPF_H

#include "who/number.bpf.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>

enum {
	FAMILY_PACKET = 17,
	FRAME_PASS = -1,   /* TC_ACT_UNSPEC: whoever is next decides */
	FRAME_DROP = 2,    /* TC_ACT_SHOT */
	FRAME_DEPTH = 16,
	AT_TYPE = 12, AT_IP = 14, /* of an Ethernet frame */
};

static __always_inline bool from_scope(struct __sk_buff *skb)
{
	for (int level = 0; level < FRAME_DEPTH; level++) {
		__u64 id = bpf_skb_ancestor_cgroup_id(skb, level);

		if (id == scope_id)
			return true;
		if (!id)
			return false;
	}
	return false;
}

/* a client asks a server, or whether an address is taken: RFC 2131, 5227 */
static __always_inline bool of_dhcp(struct __sk_buff *skb)
{
	__u16 type = 0, ports[2] = {};
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, AT_TYPE, &type, sizeof(type)))
		return false;
	if (type == bpf_htons(ETH_P_ARP))
		return true;
	if (type != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, AT_IP, &ip, sizeof(ip)))
		return false;
	if (ip.protocol != IPPROTO_UDP || ip.frag_off & bpf_htons(0x3fff) || ip.ihl < 5)
		return false;
	if (bpf_skb_load_bytes(skb, AT_IP + ip.ihl * 4, ports, sizeof(ports)))
		return false;
	return ports[0] == bpf_htons(68) && ports[1] == bpf_htons(67);
}

static __always_inline bool frame_may(struct __sk_buff *skb, __u32 number)
{
	__u64 what = whole_of(number);

	return what & WHO_WHOLE_PASS || (what & WHO_WHOLE_DHCP && of_dhcp(skb));
}

SEC("tc")
int on_frame(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct who_owner o = {};

	if (!sk)
		return FRAME_PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->family != FAMILY_PACKET || !from_scope(skb))
		return FRAME_PASS;
	owner_now(&o);
	if (frame_may(skb, o.actor))
		return FRAME_PASS;
	count(WHO_FRAMES_REFUSED);
	return FRAME_DROP;
}

#endif
