/* SPDX-License-Identifier: GPL-2.0-or-later
 * number.bpf.h - the number of the process that is running.
 * Order when it gets a new one: pop it, fill its page, then publish it, then tell. So
 * whoever meets a number finds its page, and the ring is news only. */
#ifndef WHO_NUMBER_BPF_H
#define WHO_NUMBER_BPF_H

#include "who/maps.bpf.h"

#include <bpf/bpf_core_read.h>

/* is it a daemon, and of which instance? its magic, or 0 */
static __always_inline __u32 daemon_magic(__u32 tgid, __u64 start)
{
	struct who_self *s = bpf_map_lookup_elem(&selves, &tgid);

	return s && s->start == start ? s->magic : 0;
}

/* root is exempt; bucket + 1 when charged, 0 exempt, -1 refused */
static __always_inline int quota_take(__u32 uid)
{
	__u32 bucket = who_quota_bucket(uid);
	__u64 *n;

	if (uid == 0)
		return 0;
	n = bpf_map_lookup_elem(&quotas, &bucket);
	if (!n)
		return -1;
	if (__sync_fetch_and_add(n, 1) >= uid_quota) {
		__sync_fetch_and_add(n, -1);
		return -1;
	}
	return bucket + 1;
}

static __always_inline void quota_give(int taken)
{
	__u32 bucket = taken - 1;
	__u64 *n;

	if (taken <= 0)
		return;
	n = bpf_map_lookup_elem(&quotas, &bucket);
	if (n)
		__sync_fetch_and_add(n, -1);
}

static __always_inline void tell_number(const struct who_owner *o, __u32 number)
{
	struct who_event *e = bpf_ringbuf_reserve(&news, sizeof(*e), 0);

	if (!e) {
		count(WHO_RING_LOST);
		return;
	}
	e->kind = WHO_EV_NUMBER;
	e->tgid = o->tgid;
	e->parent = 0;
	e->uid = o->uid;
	e->start = o->start;
	e->cgroup = 0;
	e->actor = number;
	e->nlink = 0;
	bpf_ringbuf_submit(e, 0);
}

static __always_inline bool page_fill(__u32 number, const struct who_proc *p,
	const struct who_owner *o, int quota)
{
	struct who_page *page = bpf_map_lookup_elem(&pages, &number);
	__u64 *serial = bpf_map_lookup_elem(&serials, &number);

	if (!page || !serial)
		return false;
	*serial = 0;
	page->exe = p->exe;
	page->start = p->start;
	page->uid = o->uid;
	page->tgid = o->tgid;
	page->quota = quota;
	bpf_probe_read_kernel(&page->path, sizeof(page->path), &p->path);
	/* an atomic with a result orders what is above before it, on every CPU */
	__sync_fetch_and_add(serial, next_serial());
	return true;
}

static __always_inline void number_return(__u32 number, int quota)
{
	__u64 *serial = bpf_map_lookup_elem(&serials, &number);

	if (serial)
		*serial = 0;
	quota_give(quota);
	bpf_map_push_elem(&free_numbers, &number, 0);
}

/* not found in actors: give it one */
static __always_inline __u32 number_new(const struct who_key *key, const struct who_proc *p,
	const struct who_owner *o)
{
	__u32 number = 0, *found;
	int quota = quota_take(o->uid);

	if (quota < 0) {
		count(WHO_QUOTA_REFUSED);
		return WHO_UNKNOWN;
	}
	if (bpf_map_pop_elem(&free_numbers, &number)) {
		quota_give(quota);
		count(WHO_NO_NUMBER);
		return WHO_UNKNOWN;
	}
	if (!page_fill(number, p, o, quota) ||
		bpf_map_update_elem(&actors, key, &number, BPF_NOEXIST)) {
		number_return(number, quota); /* another thread was first */
		found = bpf_map_lookup_elem(&actors, key);
		return found ? *found : WHO_UNKNOWN;
	}
	count(WHO_NUMBERS_GIVEN);
	tell_number(o, number);
	return number;
}

/* who is running: fills all of o but the network namespace */
static __always_inline void owner_now(struct who_owner *o)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct who_key key = {};
	struct who_proc *p;
	__u32 *found;

	o->tgid = task->tgid;
	o->uid = BPF_CORE_READ(task, cred, uid.val);
	o->start = task->group_leader->start_boottime;
	o->actor = WHO_UNKNOWN;
	if (daemon_magic(o->tgid, o->start) == our_magic) {
		o->actor = WHO_SELF;
		return;
	}
	p = bpf_map_lookup_elem(&procs, &o->tgid);
	if (!p || p->start != o->start)
		return;
	if (p->variant) {
		o->actor = p->variant;
		return;
	}
	key.exe = p->exe;
	key.uid = o->uid;
	found = bpf_map_lookup_elem(&actors, &key);
	o->actor = found ? *found : number_new(&key, p, o);
}

/* what is said of all that a number may do: WHO_WHOLE_* */
static __always_inline __u64 whole_of(__u32 number)
{
	__u32 zero = 0, self = WHO_SELF;
	__u64 *all = bpf_map_lookup_elem(&wholes, &zero);
	__u64 *own = bpf_map_lookup_elem(&wholes, &number);
	__u64 *others = bpf_map_lookup_elem(&wholes, &self);

	if (!all || !own || !others)
		return 0;
	if (*all)
		return *all;
	return *own & (WHO_WHOLE_PASS | WHO_WHOLE_REFUSE) ? *own : *own | *others;
}

#endif
