/* SPDX-License-Identifier: GPL-2.0-or-later
 * walk.bpf.h - iterators: programs that user space runs by reading.
 *   walk, birth           processes alive
 *   look                  a file of the reader's own
 *   bearers, borne        numbers in use */
#ifndef WHO_WALK_BPF_H
#define WHO_WALK_BPF_H

#include "who/image.bpf.h"

enum { CGROUP_DEPTH = 64 };

static __always_inline bool in_scope(struct task_struct *task)
{
	struct cgroup *cg = BPF_CORE_READ(task, cgroups, dfl_cgrp);

	for (int i = 0; i < CGROUP_DEPTH && cg; i++) {
		if (BPF_CORE_READ(cg, kn, id) == scope_id)
			return true;
		cg = BPF_CORE_READ(cg, self.parent, cgroup);
	}
	return false;
}

/* Processes that were there before the hooks: mm->exe_file is the best there is for
 * them. It is entered whole and only where nothing is: an exec meanwhile wins. */
static __always_inline struct who_proc *proc_adopt(struct task_struct *task, __u64 start,
	__u32 session)
{
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct who_proc *p = bpf_map_lookup_elem(&procs, &tgid);

	if (p || !file)
		return p && p->start == start ? p : NULL;
	session &= WHO_SESSIONS - 1;
	p = bpf_map_lookup_elem(&scratch, &session);
	if (!p)
		return NULL;
	exe_of(BPF_CORE_READ(file, f_inode), &p->exe);
	path_of(file, &p->path);
	p->nlink = BPF_CORE_READ(file, f_inode, i_nlink);
	p->parent = BPF_CORE_READ(task, real_parent, tgid);
	p->start = start;
	p->variant = 0;
	if (bpf_map_update_elem(&procs, &tgid, p, BPF_NOEXIST))
		return NULL;
	return p;
}

SEC("iter/task")
int walk(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct {
		struct who_event head;
		struct who_exe exe;
	} e = {};
	struct who_proc *p;

	if (!task || !in_scope(task))
		return 0;
	e.head.start = BPF_CORE_READ(task, group_leader, start_boottime);
	p = proc_adopt(task, e.head.start, ctx->meta->session_id);
	if (!p || BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return 0;
	e.head.kind = WHO_EV_WALK;
	e.head.tgid = BPF_CORE_READ(task, tgid);
	e.head.parent = BPF_CORE_READ(task, real_parent, tgid);
	e.head.uid = BPF_CORE_READ(task, cred, uid.val);
	e.head.cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	e.head.nlink = p->nlink;
	e.exe = p->exe;
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	bpf_seq_write(ctx->meta->seq, &p->path, sizeof(p->path));
	return 0;
}

/* when a process began, wherever it lives */
SEC("iter/task")
int birth(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct who_event e = {};

	if (!task)
		return 0;
	e.kind = WHO_EV_BIRTH;
	e.tgid = BPF_CORE_READ(task, tgid);
	e.parent = BPF_CORE_READ(task, real_parent, tgid);
	e.uid = BPF_CORE_READ(task, cred, uid.val);
	e.start = BPF_CORE_READ(task, group_leader, start_boottime);
	e.cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	e.actor = in_scope(task);
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

SEC("iter/task_file")
int look(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct who_exe exe = {};

	if (!ctx->task || !file || ctx->fd != look_fd)
		return 0;
	exe_of(BPF_CORE_READ(file, f_inode), &exe);
	bpf_seq_write(ctx->meta->seq, &exe, sizeof(exe));
	return 0;
}

/* the number every socket with an owner bears, and its owner's */
SEC("iter/bpf_sk_storage_map")
int bearers(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct who_owner *o = ctx->value;
	struct sock *sk = ctx->sk;
	__u32 pair[2] = {};

	if (!sk || !o)
		return 0;
	pair[0] = o->actor;
	if (sk->sk_mark >> 24 == our_magic)
		pair[1] = sk->sk_mark & 0x1fff;
	bpf_seq_write(ctx->meta->seq, pair, sizeof(pair));
	return 0;
}

/* the number every open socket of our network namespace bears, whatever daemon gave it */
SEC("iter/task_file")
int borne(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	__u32 mark;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = BPF_CORE_READ(socket, sk);
	mark = BPF_CORE_READ(sk, sk_mark);
	if (mark >> 24 != our_magic ||
		BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie) != our_netns)
		return 0;
	mark &= 0x1fff;
	bpf_seq_write(ctx->meta->seq, &mark, sizeof(mark));
	return 0;
}

#endif
