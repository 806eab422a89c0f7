/* SPDX-License-Identifier: GPL-2.0-or-later
 * The process behind a packet to one of our listeners, from the record that the egress
 * hook left. Believed only if everything about it fits; else the process is "not known",
 * while the program is (the packet's source address says it). */
#include "who/state.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { READ_TRIES = 8 };
/* a query may wait in the listener's socket while the core is started again */
static const uint64_t fresh_ns = 10ull * 1000000000;

static uint32_t last_four(const struct addr *a)
{
	uint32_t four;

	memcpy(&four, a->b + (a->family == 4 ? 0 : 12), sizeof(four));
	return four;
}

/* a copy that no writer was in the middle of */
static int record_copy(const struct who_record *from, struct who_record *out)
{
	const _Atomic __u64 *seq = (const _Atomic __u64 *)&from->seq;

	for (int i = 0; i < READ_TRIES; i++) {
		uint64_t before = atomic_load(seq);

		if (before & 1)
			continue;
		memcpy(out, from, sizeof(*out));
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load(seq) == before) {
			out->seq = before;
			return 0;
		}
	}
	return -ENOENT;
}

static bool record_fits(const struct who_record *r, const struct who_tuple *t,
	uint32_t actor, uint64_t netns, uint64_t now_ns)
{
	size_t len = t->src.family == 4 ? 4 : 16;

	return r->seq && r->used != r->seq && r->family == t->src.family &&
		r->proto == t->proto && r->sport == t->sport && r->dport == t->dport &&
		r->dns_id == htons(t->dns_id) && memcmp(r->src, t->src.b, len) == 0 &&
		memcmp(r->dst, t->dst.b, len) == 0 && r->owner.actor == actor &&
		r->owner.netns == netns && r->when <= now_ns + fresh_ns &&
		now_ns <= r->when + fresh_ns;
}

int who_record(struct who *w, const struct who_tuple *t, uint32_t actor,
	struct process *out)
{
	uint32_t slot = who_record_slot(last_four(&t->src), t->sport, t->dport,
		htons(t->dns_id), t->proto);
	uint64_t now_ns = (uint64_t)clock_boot_us() * 1000;
	struct who_record *at = w->records + slot, r;
	struct process p = { 0 };

	if (!w->records || record_copy(at, &r) < 0 || !record_fits(&r, t, actor, w->netns, now_ns))
		return -ENOENT;
	/* used once. Not by claiming it: a core killed in between would hold it for ever */
	atomic_store((_Atomic __u64 *)&at->used, r.seq);
	if (processes_find(w->processes, (int32_t)r.owner.tgid, r.owner.start, &p) < 0) {
		/* its news has not come yet, or was lost: its program's path is true of it */
		p.pid = (int32_t)r.owner.tgid;
		p.start = r.owner.start;
		text_copy(p.path, sizeof(p.path), who_actor(w, actor)->path);
	}
	p.uid = r.owner.uid;
	*out = p;
	return 0;
}

int who_process(struct who *w, int32_t tgid, struct process *out)
{
	return w->processes ? processes_find(w->processes, tgid, 0, out) : -ENOENT;
}
