/* SPDX-License-Identifier: GPL-2.0-or-later
 * Numbers from user space: the free ones at the start, one for a process whose socket is
 * older than the hooks, and the way back. The same order as in number.bpf.h: pop, page,
 * serial, publish; and backwards: unpublish, clear, push. */
#include "who/state.h"

#include "base/macros.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

struct borne {
	uint8_t of[WHO_NUMBERS];
};

static void on_borne(void *ctx, const void *record)
{
	struct borne *b = ctx;
	uint32_t n;

	memcpy(&n, record, sizeof(n));
	b->of[n & ACTOR_MASK] = 1;
}

/* Sockets may bear numbers of a daemon whose maps are gone: what those stood for nobody
 * knows any more, so they stay out of use until nothing bears them (sweep.c). */
int numbers_fill(struct who *w)
{
	struct iter_about all = { .map_fd = -1 };
	struct borne *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	r = iter_run(w, ITER_BORNE, all, sizeof(uint32_t), on_borne, b);
	for (uint32_t n = 1; n <= w->numbers && r == 0; n++) {
		if (b->of[n])
			w->serials[n] = WHO_SERIAL_RESERVED;
		else if (bpf_map_update_elem(map_fd(w, MAP_FREE), NULL, &n, BPF_ANY) < 0)
			r = -errno;
	}
	free(b);
	return r;
}

int number_page(const struct who *w, uint32_t n, struct who_page *out, uint64_t *serial)
{
	struct who_page page;
	uint64_t before;

	if (n == 0 || n > ACTOR_MAX)
		return -ENOENT;
	before = atomic_load(&w->serials[n]);
	if (before <= WHO_SERIAL_RESERVED)
		return -ENOENT;
	if (bpf_map_lookup_elem(map_fd(w, MAP_PAGES), &n, &page) < 0)
		return -errno;
	if (atomic_load(&w->serials[n]) != before)
		return -EAGAIN; /* it is changing hands */
	page.path.len = MIN(page.path.len, (uint32_t)WHO_NAMES_MAX);
	*out = page;
	*serial = before;
	return 0;
}

static int pop(struct who *w, uint32_t *n)
{
	if (bpf_map_lookup_and_delete_elem(map_fd(w, MAP_FREE), NULL, n) < 0)
		return -errno;
	return 0;
}

static uint32_t quota_take(struct who *w, uint32_t uid)
{
	uint32_t bucket = who_quota_bucket(uid);

	if (uid == 0)
		return 0;
	atomic_fetch_add(&w->quotas[bucket], 1);
	return bucket + 1;
}

static int page_write(struct who *w, uint32_t n, const struct who_walk *p,
	struct who_page *page)
{
	*page = (struct who_page){ .exe = p->exe, .start = p->head.start, .uid = p->head.uid,
		.tgid = p->head.tgid, .quota = quota_take(w, p->head.uid), .path = p->path };
	who_whole(w, n, 0);
	atomic_store(&w->serials[n], 0);
	if (bpf_map_update_elem(map_fd(w, MAP_PAGES), &n, page, BPF_ANY) < 0)
		return -errno;
	atomic_store(&w->serials[n],
		__atomic_add_fetch(&w->meta->serial, 1, __ATOMIC_SEQ_CST));
	return 0;
}

void number_give_back(struct who *w, uint32_t n, const struct who_page *page)
{
	if (page && page->quota)
		atomic_fetch_sub(&w->quotas[(page->quota - 1) % WHO_QUOTA_BUCKETS], 1);
	atomic_store(&w->serials[n], 0);
	bpf_map_update_elem(map_fd(w, MAP_FREE), NULL, &n, BPF_ANY);
}

void who_whole(struct who *w, uint32_t number, uint32_t what)
{
	if (w && w->wholes && number < WHO_NUMBERS)
		atomic_store(&w->wholes[number], what);
}

uint32_t number_find(const struct who *w, const struct who_exe *exe, uint32_t uid)
{
	struct who_key key = { .exe = *exe, .uid = uid };
	uint32_t n;

	return bpf_map_lookup_elem(map_fd(w, MAP_ACTORS), &key, &n) == 0 ? n : ACTOR_NONE;
}

bool number_published(const struct who *w, const struct who_page *page, uint32_t n)
{
	return number_find(w, &page->exe, page->uid) == n;
}

void number_unpublish(struct who *w, const struct who_page *page, uint32_t n)
{
	struct who_key key = { .exe = page->exe, .uid = page->uid };

	if (number_published(w, page, n))
		bpf_map_delete_elem(map_fd(w, MAP_ACTORS), &key);
}

uint32_t who_number_of(struct who *w, int32_t tgid)
{
	struct who_key key = { 0 };
	struct who_page page;
	struct who_walk p;
	uint32_t n;

	if (iter_process(w, tgid, &p) < 0)
		return ACTOR_UNKNOWN;
	n = number_find(w, &p.exe, p.head.uid);
	if (n)
		return n;
	if (pop(w, &n) < 0)
		return ACTOR_UNKNOWN;
	key.exe = p.exe;
	key.uid = p.head.uid;
	if (page_write(w, n, &p, &page) == 0 &&
		bpf_map_update_elem(map_fd(w, MAP_ACTORS), &key, &n, BPF_NOEXIST) == 0)
		return n;
	number_give_back(w, n, &page); /* a hook was first */
	n = number_find(w, &p.exe, p.head.uid);
	return n ? n : ACTOR_UNKNOWN;
}

int who_own_socket(struct who *w, int fd, int32_t tgid, uint32_t actor)
{
	struct who_owner o = { .tgid = (uint32_t)tgid, .actor = actor, .netns = w->netns };
	struct who_event e;
	int r = iter_birth(w, tgid, &e);

	if (r < 0)
		return r;
	o.uid = e.uid;
	o.start = e.start;
	return bpf_map_update_elem(map_fd(w, MAP_OWNERS), &fd, &o, BPF_ANY) < 0 ? -errno : 0;
}

uint32_t who_socket_number(struct who *w, int fd)
{
	struct who_owner o;

	if (bpf_map_lookup_elem(map_fd(w, MAP_OWNERS), &fd, &o) < 0)
		return ACTOR_NONE;
	return o.actor;
}

bool who_in_scope(struct who *w, int32_t tgid)
{
	struct who_event e;

	return iter_birth(w, tgid, &e) == 0 && e.actor;
}
