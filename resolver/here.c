/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/here.h"
#include "resolver/machine.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	HOSTS_FILE_MAX = 4 << 20,
	LOOK_MS = 1000,
};

struct here {
	const char *path;
	struct hosts *hosts; /* NULL: none, or unreadable */
	struct stat seen;
	int64_t looked_ms, looked_machine_ms;
	struct machine machine;
	struct local local;
};

static bool changed(const struct here *h, const struct stat *st)
{
	return st->st_mtim.tv_sec != h->seen.st_mtim.tv_sec ||
		st->st_mtim.tv_nsec != h->seen.st_mtim.tv_nsec ||
		st->st_ino != h->seen.st_ino || st->st_size != h->seen.st_size;
}

static void hosts_read(struct here *h)
{
	auto_free char *text = NULL;
	struct hosts *read = NULL;
	size_t len;

	if (io_read_file(h->path, HOSTS_FILE_MAX, &text, &len) == 0)
		hosts_parse(text, len, &read);
	hosts_free(h->hosts);
	h->hosts = read;
}

static void look(struct here *h)
{
	struct stat st;

	machine_look_name(&h->machine);
	if (stat(h->path, &st) < 0)
		memset(&st, 0, sizeof(st));
	if (changed(h, &st)) {
		h->seen = st;
		hosts_read(h);
	}
	h->local.hosts = h->hosts;
}

struct local *here_now(struct here *h)
{
	int64_t now_ms = clock_boot_ms();

	if (!h->looked_ms || now_ms - h->looked_ms >= LOOK_MS) {
		h->looked_ms = now_ms;
		look(h);
	}
	return &h->local;
}

void here_look_machine(struct here *h)
{
	int64_t now_ms = clock_boot_ms();

	if (h->looked_machine_ms && now_ms - h->looked_machine_ms < LOOK_MS)
		return;
	h->looked_machine_ms = now_ms;
	machine_look_addrs(&h->machine);
}

int here_open(const char *hosts, const struct statics *statics, struct here **out)
{
	struct here *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->path = hosts;
	h->local.statics = statics;
	h->local.machine = &h->machine;
	*out = h;
	return 0;
}

void here_close(struct here *h)
{
	if (!h)
		return;
	hosts_free(h->hosts);
	free(h);
}
