/* SPDX-License-Identifier: GPL-2.0-or-later
 * Executables, and which paths name them. A path is believed only if, in our own mount
 * namespace, it names that very file: it is opened O_PATH and our own descriptor is then
 * read by an iterator, since stat can show neither generation nor superblock. The finding
 * is kept in a pinned map, so that an upgrade later does not undo it.
 * Needs CAP_DAC_READ_SEARCH. */
#include "who/state.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { REFUSED_MS = 1000 }; /* how long a path that failed is not looked at again */

static bool image_equal(const struct table_node *n, const void *key)
{
	const struct image *i = container_of(n, struct image, node);

	return memcmp(&i->exe, key, sizeof(i->exe)) == 0;
}

int images_init(struct who *w)
{
	return table_init(&w->images, WHO_IMAGES_MAX);
}

static void image_free(struct who *w, struct image *i)
{
	table_remove(&w->images, &i->node);
	for (unsigned k = 0; k < i->npaths; k++)
		free(i->paths[k]);
	free(i);
}

void images_done(struct who *w)
{
	struct table_node *n;

	while (w->images.buckets && (n = table_oldest(&w->images)))
		image_free(w, container_of(n, struct image, node));
	table_done(&w->images);
	bpf_link__destroy(w->look_link);
	w->look_link = NULL;
}

/* the one that was of no use for the longest time and that no number stands for */
static bool make_room(struct who *w)
{
	for (struct table_node *n = table_oldest(&w->images); n; n = n->newer) {
		struct image *i = container_of(n, struct image, node);

		if (i->programs)
			continue;
		bpf_map_delete_elem(map_fd(w, MAP_LOOKS), &i->exe);
		image_free(w, i);
		return true;
	}
	return false;
}

/* what an earlier daemon found */
static void image_recall(struct who *w, struct image *i)
{
	struct who_look look;
	size_t at = 0;

	if (bpf_map_lookup_elem(map_fd(w, MAP_LOOKS), &i->exe, &look) < 0)
		return;
	look.len = MIN(look.len, (uint32_t)WHO_LOOK_MAX);
	while (at < look.len && i->npaths < PROGRAM_PATHS_MAX) {
		size_t n = strnlen(look.paths + at, look.len - at);
		char *path = n && at + n < look.len ? strdup(look.paths + at) : NULL;

		if (!path)
			return;
		i->paths[i->npaths++] = path;
		at += n + 1;
	}
}

static void image_keep(struct who *w, const struct image *i)
{
	struct who_look look = { 0 };

	for (unsigned k = 0; k < i->npaths; k++) {
		size_t n = strlen(i->paths[k]) + 1;

		if (look.len + n > WHO_LOOK_MAX)
			break;
		memcpy(look.paths + look.len, i->paths[k], n);
		look.len += (uint32_t)n;
		look.npaths++;
	}
	bpf_map_update_elem(map_fd(w, MAP_LOOKS), &i->exe, &look, BPF_ANY);
}

struct image *image_get(struct who *w, const struct who_exe *exe)
{
	uint64_t hash = table_hash(&w->images, exe, sizeof(*exe));
	struct table_node *n = table_find(&w->images, hash, image_equal, exe);
	struct image *i;

	if (n) {
		table_use(&w->images, n);
		return container_of(n, struct image, node);
	}
	if (w->images.count >= w->images.max && !make_room(w))
		return NULL;
	i = calloc(1, sizeof(*i));
	if (!i)
		return NULL;
	i->exe = *exe;
	table_add(&w->images, &i->node, hash);
	image_recall(w, i);
	return i;
}

/* The iterator is told to walk this thread's descriptors: after a fork, another's. */
static int look_link_ready(struct who *w)
{
	struct iter_about us = { .tid = (int32_t)syscall(SYS_gettid), .map_fd = -1 };

	if (w->look_link && w->look_tid == us.tid)
		return 0;
	bpf_link__destroy(w->look_link);
	w->look_link = NULL;
	w->look_tid = us.tid;
	return iter_link(w, ITER_LOOK, us, &w->look_link);
}

static void on_look(void *ctx, const void *record)
{
	memcpy(ctx, record, sizeof(struct who_exe));
}

/* No symbolic links: what was walked dentry by dentry holds none. RESOLVE_CACHED does not
 * wait for a disk or a server; the file has just been run, so it nearly always does. */
static int path_open(const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_CACHED,
	};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0 && errno == EAGAIN) {
		how.resolve = RESOLVE_NO_SYMLINKS;
		fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	}
	return fd < 0 ? -errno : (int)fd;
}

static bool path_names(struct who *w, const char *path, const struct who_exe *exe)
{
	auto_close int fd = path_open(path);
	struct who_exe found = { 0 };
	struct iter *it = NULL;
	int r;

	if (fd < 0 || look_link_ready(w) < 0)
		return false;
	look_fd_set(w, fd);
	if (iter_open(w->look_link, sizeof(found), &it) < 0)
		return false;
	do {
		r = iter_step(it, on_look, &found);
	} while (r > 0);
	iter_close(it);
	return r == 0 && memcmp(&found, exe, sizeof(found)) == 0;
}

static bool path_known(const struct image *i, const char *path)
{
	for (unsigned k = 0; k < i->npaths; k++)
		if (strcmp(i->paths[k], path) == 0)
			return true;
	return false;
}

bool image_look(struct who *w, struct image *i, const char *path, bool *news)
{
	uint64_t hash = table_hash(&w->images, path, strlen(path));
	int64_t now = clock_boot_ms();
	char *copy;

	if (path_known(i, path))
		return true;
	if (i->refused_hash == hash && now - i->refused_ms < REFUSED_MS)
		return false;
	if (!path_names(w, path, &i->exe)) {
		i->refused_hash = hash;
		i->refused_ms = now;
		return false;
	}
	copy = i->npaths < PROGRAM_PATHS_MAX ? strdup(path) : NULL;
	if (!copy)
		return false;
	i->paths[i->npaths++] = copy;
	image_keep(w, i);
	*news = true;
	return true;
}
