/* SPDX-License-Identifier: GPL-2.0-or-later
 * maps.bpf.h - the tables of the kernel programs, and what the loader tells them. */
#ifndef WHO_MAPS_BPF_H
#define WHO_MAPS_BPF_H

#include "who/kernel.h"
#include "who/shared.h"

#include <bpf/bpf_helpers.h>

/* set before loading; constants to the verifier */
const volatile __u32 our_magic = 0x53;
const volatile __u64 our_netns = 0;
const volatile __u64 scope_id = 0;
const volatile __u32 uid_quota = WHO_NUMBERS / 2;
const volatile __u32 when_down_closed = 0;
const volatile __u32 guarded_ports[WHO_GUARDED_MAX] = { 53 };
const volatile __u32 bind_ports[WHO_GUARDED_MAX] = {};

/* which of its own descriptors user space asks about */
__u32 look_fd = 0;

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} scope SEC(".maps");

struct { /* tgid -> who it is since its exec */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, WHO_PROCS_MAX);
	__type(key, __u32);
	__type(value, struct who_proc);
} procs SEC(".maps");

struct { /* an all-zero process, to begin one with: too big for the stack */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct who_proc);
} blank SEC(".maps");

struct { /* where an iterator prepares a process, by its session */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WHO_SESSIONS);
	__type(key, __u32);
	__type(value, struct who_proc);
} scratch SEC(".maps");

struct { /* (executable, uid) -> number */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WHO_NUMBERS);
	__type(key, struct who_key);
	__type(value, __u32);
} actors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, WHO_NUMBERS);
	__type(value, __u32);
} free_numbers SEC(".maps");

struct { /* read once a program: not worth 7 MB of mapping */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WHO_NUMBERS);
	__type(key, __u32);
	__type(value, struct who_page);
} pages SEC(".maps");

struct { /* of the program that bears a number, 0: its page is not valid */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WHO_NUMBERS);
	__type(key, __u32);
	__type(value, __u64);
} serials SEC(".maps");

struct { /* by uid's bucket, how many numbers it has; user space gives back */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WHO_QUOTA_BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
} quotas SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct who_owner);
} owners SEC(".maps");

struct { /* daemons, by tgid */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WHO_SELVES_MAX);
	__type(key, __u32);
	__type(value, struct who_self);
} selves SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WHO_RECORDS);
	__type(key, __u32);
	__type(value, struct who_record);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct who_meta);
} meta SEC(".maps");

enum { /* as in who.h */
	WHO_WHOLE_PASS = 1,
	WHO_WHOLE_REFUSE = 2,
	WHO_WHOLE_DHCP = 4,
};

struct { /* WHO_WHOLE_*, by number */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WHO_NUMBERS);
	__type(key, __u32);
	__type(value, __u64);
} wholes SEC(".maps");

struct { /* what a look at an executable found out: by user space, for user space */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, WHO_IMAGES_MAX);
	__type(key, struct who_exe);
	__type(value, struct who_look);
} looks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} news SEC(".maps");

static __always_inline void count(enum who_stat which)
{
	__u32 zero = 0;
	struct who_meta *m = bpf_map_lookup_elem(&meta, &zero);

	if (m)
		__sync_fetch_and_add(&m->stats[which], 1);
}

/* a new serial; 0 only if the map is gone, which cannot be */
static __always_inline __u64 next_serial(void)
{
	__u32 zero = 0;
	struct who_meta *m = bpf_map_lookup_elem(&meta, &zero);

	return m ? __sync_fetch_and_add(&m->serial, 1) + 1 : 0;
}

#endif
