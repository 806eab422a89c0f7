/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reading BPF iterators: a link says what is walked, every descriptor made from it is one
 * walk, and a read gives what fits, which may end in the middle of a record. */
#include "who/state.h"

#include "base/macros.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { ITER_BUFFER = 32768 };

struct iter {
	int fd;
	size_t record, have;
	char bytes[ITER_BUFFER];
};

int iter_link(const struct who *w, enum iter_kind kind, struct iter_about about,
	struct bpf_link **out)
{
	union bpf_iter_link_info info = { 0 };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info,
		.link_info_len = sizeof(info));
	struct bpf_link *l;

	if (about.map_fd >= 0)
		info.map.map_fd = (uint32_t)about.map_fd;
	else
		info.task.tid = (uint32_t)about.tid;
	l = bpf_program__attach_iter(program_of(w, kind), &opts);
	if (!l)
		return -errno;
	*out = l;
	return 0;
}

int iter_open(struct bpf_link *link, size_t record, struct iter **out)
{
	struct iter *it = malloc(sizeof(*it));

	if (!it)
		return -ENOMEM;
	it->record = record;
	it->have = 0;
	it->fd = bpf_iter_create(bpf_link__fd(link));
	if (it->fd < 0) {
		int r = -errno;

		free(it);
		return r;
	}
	*out = it;
	return 0;
}

int iter_step(struct iter *it, iter_each each, void *ctx)
{
	ssize_t n = read(it->fd, it->bytes + it->have, sizeof(it->bytes) - it->have);
	size_t at = 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;
	if (n == 0)
		return 0;
	it->have += (size_t)n;
	for (; it->have - at >= it->record; at += it->record) {
		_Alignas(8) char record[ITER_RECORD_MAX];

		memcpy(record, it->bytes + at, it->record);
		each(ctx, record);
	}
	it->have -= at;
	memmove(it->bytes, it->bytes + at, it->have);
	return 1;
}

void iter_close(struct iter *it)
{
	if (!it)
		return;
	close(it->fd);
	free(it);
}

int iter_run(const struct who *w, enum iter_kind kind, struct iter_about about,
	size_t record, iter_each each, void *ctx)
{
	struct bpf_link *l = NULL;
	struct iter *it = NULL;
	int r = iter_link(w, kind, about, &l);

	if (r == 0)
		r = iter_open(l, record, &it);
	if (r == 0)
		do {
			r = iter_step(it, each, ctx);
		} while (r > 0);
	iter_close(it);
	bpf_link__destroy(l);
	return r;
}

struct one { /* the record that was asked for */
	void *to;
	size_t size;
	bool found;
};

static void one_copy(void *ctx, const void *record)
{
	struct one *o = ctx;

	memcpy(o->to, record, o->size);
	o->found = true;
}

static int one_run(const struct who *w, enum iter_kind kind, int32_t tgid, void *out,
	size_t size)
{
	struct iter_about about = { .tid = tgid, .map_fd = -1 };
	struct one one = { .to = out, .size = size };
	int r;

	if (tgid <= 0)
		return -ESRCH;
	r = iter_run(w, kind, about, size, one_copy, &one);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	return one.found ? 0 : -ESRCH;
}

int iter_birth(const struct who *w, int32_t tgid, struct who_event *out)
{
	struct who_event e;
	int r = one_run(w, ITER_BIRTH, tgid, &e, sizeof(e));

	if (r == 0)
		*out = e;
	return r;
}

int iter_process(const struct who *w, int32_t tgid, struct who_walk *out)
{
	struct who_walk e;
	int r = one_run(w, ITER_WALK, tgid, &e, sizeof(e));

	if (r == 0)
		*out = e;
	return r;
}
