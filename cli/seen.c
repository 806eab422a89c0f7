/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The file is appended to, eight bytes a program, and written anew only when it is full. */
#include "cli/seen.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 2 * SEEN_MAX };

struct seen {
	char path[PATH_MAX];
	int fd;                  /* -1: it cannot be kept, only remembered */
	size_t n;
	uint64_t order[SEEN_MAX]; /* as they came */
	uint64_t slots[SLOTS];    /* open addressing; 0 is free */
};

/* FNV-1a, never 0 */
static uint64_t hash(const char *path, uint32_t uid)
{
	uint64_t h = 14695981039346656037u ^ uid;

	for (; *path; path++)
		h = (h ^ (uint8_t)*path) * 1099511628211u;
	h = (h ^ uid) * 1099511628211u;
	return h ? h : 1;
}

/* the slot that holds it, or the free one where it would be */
static uint64_t *slot(struct seen *s, uint64_t h)
{
	size_t i = (h >> 20) % SLOTS;

	while (s->slots[i] && s->slots[i] != h)
		i = (i + 1) % SLOTS;
	return &s->slots[i];
}

static void take(struct seen *s, uint64_t h)
{
	uint64_t *at = slot(s, h);

	if (!h || *at || s->n == SEEN_MAX)
		return;
	*at = h;
	s->order[s->n++] = h;
}

static void keep_all(struct seen *s)
{
	if (s->fd < 0 || ftruncate(s->fd, 0) < 0)
		return;
	io_write_all(s->fd, s->order, s->n * sizeof(s->order[0]));
}

static void forget_half(struct seen *s)
{
	memmove(s->order, s->order + SEEN_MAX / 2, SEEN_MAX / 2 * sizeof(s->order[0]));
	s->n = SEEN_MAX / 2;
	memset(s->slots, 0, sizeof(s->slots));
	for (size_t i = 0; i < s->n; i++)
		*slot(s, s->order[i]) = s->order[i];
	keep_all(s);
}

static void load(struct seen *s)
{
	auto_free char *bytes = NULL;
	size_t len = 0;
	uint64_t h;

	if (io_read_file(s->path, SEEN_MAX * sizeof(h), &bytes, &len) < 0)
		return;
	for (size_t at = 0; at + sizeof(h) <= len; at += sizeof(h)) {
		memcpy(&h, bytes + at, sizeof(h));
		take(s, h);
	}
	if (len % sizeof(h)) /* cut in the middle of one: what follows would be askew */
		keep_all(s);
}

int seen_open(const char *path, struct seen **out)
{
	struct seen *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	text_copy(s->path, sizeof(s->path), path);
	s->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	load(s);
	*out = s;
	return 0;
}

void seen_close(struct seen *s)
{
	if (s && s->fd >= 0)
		close(s->fd);
	free(s);
}

bool seen_first(struct seen *s, const char *path, uint32_t uid)
{
	uint64_t h = hash(path, uid);

	if (*slot(s, h))
		return false;
	if (s->n == SEEN_MAX)
		forget_half(s);
	take(s, h);
	if (s->fd >= 0)
		io_write_all(s->fd, &h, sizeof(h));
	return true;
}
