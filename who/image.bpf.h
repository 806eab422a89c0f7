/* SPDX-License-Identifier: GPL-2.0-or-later
 * image.bpf.h - what a process was started from: the executable and its path.
 * bpf_d_path is refused in tracepoints, so the path is walked dentry by dentry, up through
 * every mount to the top of the mount tree (not to the process's own root). */
#ifndef WHO_IMAGE_BPF_H
#define WHO_IMAGE_BPF_H

#include "who/maps.bpf.h"

#include <bpf/bpf_core_read.h>

static __always_inline __u64 ctime_of(struct inode *inode)
{
	struct inode___split *split = (void *)inode;
	struct inode___hidden *hidden = (void *)inode;
	struct inode___plain *plain = (void *)inode;

	/* bit 31 of the nanoseconds says "somebody asked": no part of the time */
	if (bpf_core_field_exists(split->i_ctime_sec))
		return BPF_CORE_READ(split, i_ctime_sec) * 1000000000ull +
			(BPF_CORE_READ(split, i_ctime_nsec) & 0x7fffffff);
	if (bpf_core_field_exists(hidden->__i_ctime))
		return BPF_CORE_READ(hidden, __i_ctime.tv_sec) * 1000000000ull +
			(BPF_CORE_READ(hidden, __i_ctime.tv_nsec) & 0x7fffffff);
	return BPF_CORE_READ(plain, i_ctime.tv_sec) * 1000000000ull +
		(BPF_CORE_READ(plain, i_ctime.tv_nsec) & 0x7fffffff);
}

static __always_inline void exe_of(struct inode *inode, struct who_exe *out)
{
	out->ino = BPF_CORE_READ(inode, i_ino);
	out->ctime = ctime_of(inode);
	out->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	out->gen = BPF_CORE_READ(inode, i_generation);
}

static __always_inline void path_of(struct file *file, struct who_path *out)
{
	struct dentry *d = BPF_CORE_READ(file, f_path.dentry);
	void *mnt = BPF_CORE_READ(file, f_path.mnt);
	struct mount *m = mnt - bpf_core_field_offset(struct mount, mnt);
	__u32 len = 0;

	out->flags = BPF_CORE_READ(d, d_hash.pprev) ? 0 : WHO_PATH_DELETED;
	for (int i = 0; i < WHO_DEPTH_MAX; i++) {
		struct dentry *root = BPF_CORE_READ(m, mnt.mnt_root);
		struct dentry *up = BPF_CORE_READ(d, d_parent);
		bool pseudo = d == up && d != root;
		const unsigned char *name;
		long n;

		if (!pseudo && (d == root || d == up)) {
			struct mount *above = BPF_CORE_READ(m, mnt_parent);

			if (above == m) {
				out->len = len;
				return;
			}
			d = BPF_CORE_READ(m, mnt_mountpoint);
			m = above;
			continue;
		}
		if (len >= WHO_NAME_ROOM)
			break;
		name = BPF_CORE_READ(d, d_name.name);
		n = bpf_probe_read_kernel_str(out->names + len,
			WHO_NAMES_MAX - WHO_NAME_ROOM, name);
		if (n <= 0)
			break;
		len += n;
		if (pseudo) {
			out->flags = WHO_PATH_PSEUDO;
			out->len = len;
			return;
		}
		d = up;
	}
	out->flags |= WHO_PATH_LOST;
	out->len = len;
}

/* The place of a process in procs, begun if it is new: NULL only if the table is full. */
static __always_inline struct who_proc *proc_begin(__u32 tgid)
{
	struct who_proc *p = bpf_map_lookup_elem(&procs, &tgid);
	struct who_proc *zero;
	__u32 first = 0;

	if (p)
		return p;
	zero = bpf_map_lookup_elem(&blank, &first);
	if (!zero)
		return NULL;
	bpf_map_update_elem(&procs, &tgid, zero, BPF_NOEXIST);
	p = bpf_map_lookup_elem(&procs, &tgid);
	if (!p)
		count(WHO_PROCS_FULL);
	return p;
}

#endif
