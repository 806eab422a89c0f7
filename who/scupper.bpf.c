/* SPDX-License-Identifier: GPL-2.0-or-later
 * scupper.bpf.c - the kernel's half of who/: processes, sockets, packets, and what user
 * space walks through. Every program here loads on Linux 6.1: no kprobes, no LSM, no
 * task storage, no bpf_d_path, the network namespace of a packet from its socket's owner.
 *
 *   exec, fork, exit      who a process is: taken at exec and nowhere else
 *   create                a socket gets its number and its owner
 *   connect, sendmsg      ... and again, since it may be in other hands by now
 *   setsockopt, bind      what guarded programs may not do to marks and to our ports
 *   egress                the record of a packet to us; refuses what no table stamped
 * frame.bpf.h: packet sockets; walk.bpf.h: what user space walks through. */
#include "who/frame.bpf.h"
#include "who/image.bpf.h"
#include "who/number.bpf.h"
#include "who/walk.bpf.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

enum {
	ALLOW = 1,
	REFUSE = 0,
	SOCKET_LEVEL = 1,  /* SOL_SOCKET and options, of asm-generic/socket.h */
	OPT_BINDTODEVICE = 25,
	OPT_MARK = 36,
	OPT_BINDTOIFINDEX = 62,
	PACKET_LEVEL = 263,
	OPT_QDISC_BYPASS = 20,
	OPT_ADD_MEMBERSHIP = 35, OPT_ADD_SOURCE = 39, /* linux/in.h */
	OPT_MCAST_JOIN = 42, OPT_MCAST_JOIN_SOURCE = 46,
	OPT_JOIN_GROUP6 = 20, OPT_JOIN_ANYCAST = 27, /* linux/in6.h */
	OPTLEN_PAGE = 4096,
	DEVICE_BIT = 0x2000,
	STAMP = 0x20,      /* in the top byte */
	MAGIC_FIRST = 0x53,
	MAGIC_LAST = 0x5a,
	LOOPBACK = 1,      /* lo has this index in every network namespace */
};

/* ---- processes ---- */

static __always_inline void tell_exec(struct task_struct *task, const struct who_proc *p,
	__u64 start)
{
	struct who_exec *e = bpf_ringbuf_reserve(&news, sizeof(*e), 0);
	struct mm_struct *mm = task->mm;
	__u64 from, len;

	if (!e) {
		count(WHO_RING_LOST);
		return;
	}
	e->what.head.kind = WHO_EV_EXEC;
	e->what.head.tgid = task->tgid;
	e->what.head.parent = p->parent;
	e->what.head.uid = bpf_get_current_uid_gid();
	e->what.head.start = start;
	e->what.head.cgroup = bpf_get_current_cgroup_id();
	e->what.head.actor = 0;
	e->what.head.nlink = p->nlink;
	e->what.exe = p->exe;
	bpf_probe_read_kernel(&e->what.path, sizeof(e->what.path), &p->path);
	e->args_len = 0;
	e->pad = 0;
	if (mm) {
		from = mm->arg_start;
		len = mm->arg_end - from;
		if (len > WHO_ARGS_MAX)
			len = WHO_ARGS_MAX;
		if (!bpf_probe_read_user(e->args, len, (void *)from))
			e->args_len = len;
	}
	bpf_ringbuf_submit(e, 0);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	__u32 tgid = task->tgid;
	struct who_proc *p;
	__u64 start;

	if (bpf_current_task_under_cgroup(&scope, 0) != 1) {
		bpf_map_delete_elem(&procs, &tgid);
		return 0;
	}
	p = proc_begin(tgid);
	if (!p)
		return 0;
	start = task->group_leader->start_boottime;
	p->start = 0; /* nobody's while it is written */
	exe_of(bprm->file->f_inode, &p->exe);
	path_of(bprm->file, &p->path);
	p->nlink = bprm->file->f_inode->i_nlink;
	p->parent = task->real_parent->tgid;
	p->variant = 0;
	__sync_fetch_and_add(&p->start, start);
	count(WHO_EXECS);
	tell_exec(task, p, start);
	return 0;
}

static __always_inline void tell_life(enum who_event_kind kind, __u32 tgid, __u32 parent,
	__u64 start)
{
	struct who_event *e = bpf_ringbuf_reserve(&news, sizeof(*e), 0);

	if (!e) {
		count(WHO_RING_LOST);
		return;
	}
	e->kind = kind;
	e->tgid = tgid;
	e->parent = parent;
	e->uid = bpf_get_current_uid_gid();
	e->start = start;
	e->cgroup = bpf_get_current_cgroup_id();
	e->actor = 0;
	e->nlink = 0;
	bpf_ringbuf_submit(e, 0);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 from = parent->tgid, to = child->tgid;
	struct who_proc *p, *c;
	__u64 start;

	if (from == to)
		return 0; /* a thread */
	p = bpf_map_lookup_elem(&procs, &from);
	if (!p || p->start != parent->group_leader->start_boottime) {
		bpf_map_delete_elem(&procs, &to); /* left by an exit we did not see */
		return 0;
	}
	/* the child does not run yet, and until its start is written it is nobody */
	if (bpf_map_update_elem(&procs, &to, p, BPF_ANY)) {
		count(WHO_PROCS_FULL);
		return 0;
	}
	c = bpf_map_lookup_elem(&procs, &to);
	if (!c)
		return 0;
	start = child->start_boottime;
	c->parent = from;
	c->start = start;
	count(WHO_FORKS);
	tell_life(WHO_EV_FORK, to, from, start);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	__u32 tgid = task->tgid;
	__u64 start;

	if (task->signal->live.counter != 0)
		return 0; /* other threads go on */
	start = task->group_leader->start_boottime;
	if (daemon_magic(tgid, start))
		bpf_map_delete_elem(&selves, &tgid);
	if (bpf_map_delete_elem(&procs, &tgid))
		return 0;
	count(WHO_EXITS);
	tell_life(WHO_EV_EXIT, tgid, 0, start);
	return 0;
}

/* ---- sockets ---- */

static __always_inline bool foreign(__u32 mark)
{
	return mark && mark >> 24 != our_magic;
}

static __always_inline bool of_other_instance(__u32 mark)
{
	__u32 magic = mark >> 24;

	return magic >= MAGIC_FIRST && magic <= MAGIC_LAST && magic != our_magic;
}

SEC("cgroup/sock_create")
int on_create(struct bpf_sock *sk)
{
	struct who_owner o = {};

	o.netns = bpf_get_netns_cookie(sk);
	if (o.netns != our_netns || of_other_instance(sk->mark))
		return ALLOW;
	owner_now(&o);
	/* without an owner nobody could tell that the number is in use */
	if (!bpf_sk_storage_get(&owners, sk, &o, BPF_SK_STORAGE_GET_F_CREATE))
		o.actor = WHO_UNKNOWN;
	if (o.actor == WHO_UNKNOWN)
		count(WHO_UNKNOWN_SOCKETS);
	sk->mark = our_magic << 24 | o.actor;
	return ALLOW;
}

static __always_inline int mark_is(struct bpf_sock_addr *ctx, struct bpf_sock *sk, __u32 mark)
{
	if (sk->mark == mark)
		return ALLOW;
	return bpf_setsockopt(ctx, SOCKET_LEVEL, OPT_MARK, &mark, sizeof(mark)) ? REFUSE : ALLOW;
}

/* A later subflow of MPTCP is connected by a kernel thread: its owner is that of the
 * connection. Other kernel threads keep the mark that is there. */
static __always_inline int subflow_mark(struct bpf_sock_addr *ctx, struct bpf_sock *sk)
{
	struct mptcp_sock *whole = bpf_skc_to_mptcp_sock(sk);
	struct who_owner *o;

	if (!whole)
		return ALLOW;
	o = bpf_sk_storage_get(&owners, whole, 0, 0);
	return o ? mark_is(ctx, sk, our_magic << 24 | o->actor) : ALLOW;
}

static __always_inline int socket_goes(struct bpf_sock_addr *ctx, bool link_local)
{
	struct bpf_sock *sk = ctx->sk;
	struct who_owner o = {}, *kept;
	__u32 mark;

	if (!sk || foreign(sk->mark))
		return ALLOW;
	o.netns = bpf_get_netns_cookie(ctx);
	if (o.netns != our_netns)
		return ALLOW;
	if (bpf_get_current_task_btf()->flags & PF_KTHREAD)
		return subflow_mark(ctx, sk);
	owner_now(&o);
	kept = bpf_sk_storage_get(&owners, sk, &o, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		o.actor = WHO_UNKNOWN;
	else if (kept->tgid != o.tgid || kept->actor != o.actor || kept->start != o.start)
		*kept = o;
	mark = our_magic << 24 | o.actor;
	if (link_local || sk->bound_dev_if)
		mark |= DEVICE_BIT;
	return mark_is(ctx, sk, mark);
}

static __always_inline bool link_local6(struct bpf_sock_addr *ctx)
{
	return (ctx->user_ip6[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	return socket_goes(ctx, false);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	return socket_goes(ctx, link_local6(ctx));
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	return socket_goes(ctx, false);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	return socket_goes(ctx, link_local6(ctx));
}

static __always_inline __u32 running_daemon(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return daemon_magic(bpf_get_current_pid_tgid() >> 32,
		task->group_leader->start_boottime);
}

/* The kernel tells the link which group it was: a word of the program's choice. */
static __always_inline bool joins_group(int level, int name)
{
	if (level == IPPROTO_IP && (name == OPT_ADD_MEMBERSHIP || name == OPT_ADD_SOURCE))
		return true;
	if (level == IPPROTO_IPV6 && (name == OPT_JOIN_GROUP6 || name == OPT_JOIN_ANYCAST))
		return true;
	return (level == IPPROTO_IP || level == IPPROTO_IPV6) &&
		(name == OPT_MCAST_JOIN || name == OPT_MCAST_JOIN_SOURCE);
}

SEC("cgroup/setsockopt")
int on_setsockopt(struct bpf_sockopt *ctx)
{
	int level = ctx->level, name = ctx->optname;
	struct bpf_sock *sk = ctx->sk;
	struct who_owner o = {};
	__u32 mark;

	if (ctx->optlen > OPTLEN_PAGE)
		ctx->optlen = 0; /* the kernel then takes the caller's own bytes */
	if (level == PACKET_LEVEL && name == OPT_QDISC_BYPASS) {
		count(WHO_MARKS_REFUSED);
		return REFUSE;
	}
	if (joins_group(level, name)) {
		owner_now(&o);
		if (!(whole_of(o.actor) & WHO_WHOLE_REFUSE))
			return ALLOW;
		count(WHO_JOINS_REFUSED);
		return REFUSE;
	}
	if (level != SOCKET_LEVEL)
		return ALLOW;
	if (name == OPT_MARK && !running_daemon()) {
		count(WHO_MARKS_REFUSED);
		return REFUSE;
	}
	if ((name != OPT_BINDTODEVICE && name != OPT_BINDTOIFINDEX) || !sk)
		return ALLOW;
	mark = sk->mark;
	if (mark >> 24 != our_magic || mark & DEVICE_BIT)
		return ALLOW;
	/* if the call then fails, the next connect or sendmsg puts it right */
	mark |= DEVICE_BIT;
	return bpf_setsockopt(sk, SOCKET_LEVEL, OPT_MARK, &mark, sizeof(mark)) ? REFUSE : ALLOW;
}

static __always_inline bool port_guarded(__u32 port)
{
	for (int i = 0; i < WHO_GUARDED_MAX; i++)
		if (guarded_ports[i] && guarded_ports[i] == port)
			return true;
	return false;
}

static __always_inline bool port_ours(__u32 port)
{
	for (int i = 0; i < WHO_GUARDED_MAX; i++)
		if (bind_ports[i] && bind_ports[i] == port)
			return true;
	return port_guarded(port);
}

/* may this port be bound, on a place where our listeners are? */
static __always_inline int bind_guard(struct bpf_sock_addr *ctx, bool ours)
{
	if (!ours || !port_ours(bpf_ntohs(ctx->user_port)))
		return ALLOW;
	if (bpf_get_netns_cookie(ctx) != our_netns || running_daemon())
		return ALLOW;
	count(WHO_BINDS_REFUSED);
	return REFUSE;
}

static __always_inline bool loopback4_or_any(__u32 ip_be)
{
	return ip_be == 0 || (ip_be & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *ctx)
{
	return bind_guard(ctx, loopback4_or_any(ctx->user_ip4));
}

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *ctx)
{
	__u32 a = ctx->user_ip6[0], b = ctx->user_ip6[1];
	__u32 c = ctx->user_ip6[2], d = ctx->user_ip6[3];
	bool ours = false;

	if (a == 0 && b == 0 && c == 0)
		ours = d == 0 || d == bpf_htonl(1);
	else if (a == 0 && b == 0 && c == bpf_htonl(0xffff))
		ours = loopback4_or_any(d);
	else if (a == bpf_htonl(0xfd536375))
		ours = (b & bpf_htonl(0xffff0000)) == bpf_htonl(0x70700000);
	return bind_guard(ctx, ours);
}

/* ---- packets ---- */

struct packet {
	__u32 at;    /* of the transport header */
	__u8 proto, family;
	__u16 sport, dport;
};

static __always_inline bool packet_parse(struct __sk_buff *skb, struct packet *out)
{
	__u16 ports[2];

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return false;
		if (ip.ihl < 5 || ip.frag_off & bpf_htons(0x1fff))
			return false;
		out->at = ip.ihl * 4;
		out->proto = ip.protocol;
		out->family = 4;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return false;
		out->at = sizeof(ip);
		out->proto = ip.nexthdr;
		out->family = 6;
	} else {
		return false;
	}
	if (out->proto != IPPROTO_TCP && out->proto != IPPROTO_UDP)
		return false;
	if (bpf_skb_load_bytes(skb, out->at, ports, sizeof(ports)))
		return false;
	out->sport = bpf_ntohs(ports[0]);
	out->dport = bpf_ntohs(ports[1]);
	return true;
}

/* of TCP only what opens a connection */
static __always_inline bool packet_opens(struct __sk_buff *skb, const struct packet *p)
{
	__u8 flags = 0;

	if (p->proto == IPPROTO_UDP)
		return true;
	return !bpf_skb_load_bytes(skb, p->at + 13, &flags, 1) && (flags & 0x17) == 0x02;
}

static __always_inline void record_write(struct __sk_buff *skb, const struct packet *p,
	const struct who_owner *owner)
{
	__u8 src[16] = {}, dst[16] = {};
	struct who_record *r;
	__u16 id = 0;
	__u32 slot;
	__u64 seq;

	if (p->family == 4) {
		bpf_skb_load_bytes(skb, 12, src, 4);
		bpf_skb_load_bytes(skb, 16, dst, 4);
	} else {
		bpf_skb_load_bytes(skb, 8, src, 16);
		bpf_skb_load_bytes(skb, 24, dst, 16);
	}
	if (p->proto == IPPROTO_UDP)
		bpf_skb_load_bytes(skb, p->at + 8, &id, sizeof(id));
	slot = who_record_slot(*(__u32 *)(src + (p->family == 4 ? 0 : 12)), p->sport, p->dport,
		id, p->proto);
	r = bpf_map_lookup_elem(&records, &slot);
	if (!r)
		return;
	seq = r->seq;
	if (seq & 1 || __sync_val_compare_and_swap(&r->seq, seq, seq + 1) != seq) {
		count(WHO_RECORDS_LOST); /* another CPU writes there */
		return;
	}
	r->when = bpf_ktime_get_boot_ns();
	__builtin_memcpy(r->src, src, 16);
	__builtin_memcpy(r->dst, dst, 16);
	r->sport = p->sport;
	r->dport = p->dport;
	r->dns_id = id;
	r->proto = p->proto;
	r->family = p->family;
	r->owner = *owner;
	__sync_fetch_and_add(&r->seq, 1);
	count(WHO_RECORDS_MADE);
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct who_owner *owner;
	struct packet p = {};

	if (!sk)
		return ALLOW;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return ALLOW;
	if (skb->ifindex != LOOPBACK) {
		if (!when_down_closed || sk->mark >> 24 != our_magic)
			return ALLOW;
		if (skb->mark >> 24 == (our_magic | STAMP))
			return ALLOW;
		count(WHO_STAMPS_MISSING);
		return REFUSE;
	}
	if (!packet_parse(skb, &p) || !port_guarded(p.dport) || !packet_opens(skb, &p))
		return ALLOW;
	owner = bpf_sk_storage_get(&owners, sk, 0, 0);
	if (owner)
		record_write(skb, &p, owner);
	return ALLOW;
}
