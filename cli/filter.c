/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The file is one line, "MODE UNTIL": written beside and renamed over the old one. The clock
 * may be set or the machine may sleep, so the timer looks at least once a minute. */
#include "cli/filter.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { FILE_TEXT_MAX = 64, LOOK_MS = 60000 };

static const char *const words[] = { [FILTER_ON] = "on", [FILTER_PAUSED] = "paused",
	[FILTER_BLOCK] = "blocked" };

struct filter {
	enum link_filter_mode mode;
	int64_t until_s;
	char path[PATH_MAX];
	uv_timer_t *timer;
	void (*changed)(void *ctx, enum link_filter_mode mode);
	void *ctx;
};

static bool over(const struct filter *f)
{
	return f->mode != FILTER_ON && f->until_s && f->until_s <= clock_unix_ms() / 1000;
}

static int parse(const char *text, struct filter *f)
{
	char word[16];
	int64_t until;

	if (sscanf(text, "%15s %" SCNd64, word, &until) != 2 || until < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], word) != 0)
			continue;
		f->mode = (enum link_filter_mode)i;
		f->until_s = until;
		return 0;
	}
	return -EINVAL;
}

static void load(struct filter *f)
{
	auto_free char *text = NULL;
	size_t len;
	int r = io_read_file(f->path, FILE_TEXT_MAX, &text, &len);

	if (r == -ENOENT)
		return;
	if (r == 0)
		r = parse(text, f);
	if (r < 0)
		log_error("%s cannot be read (%s): neither paused nor blocked", f->path,
			strerror(-r));
	if (over(f))
		f->mode = FILTER_ON;
}

static int keep(const struct filter *f, enum link_filter_mode mode, int64_t until_s)
{
	char part[PATH_MAX + 8], text[FILE_TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%s %" PRId64 "\n", words[mode], until_s);
	int fd, r;

	if (mode == FILTER_ON)
		return unlink(f->path) < 0 && errno != ENOENT ? -errno : 0;
	snprintf(part, sizeof(part), "%s.part", f->path);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text, (size_t)n);
	close(fd);
	if (r == 0 && rename(part, f->path) < 0)
		r = -errno;
	return r;
}

static void on_timer(uv_timer_t *t);

static void plan(struct filter *f)
{
	int64_t left_ms = f->until_s * 1000 - clock_unix_ms();

	if (f->mode == FILTER_ON || !f->until_s)
		uv_timer_stop(f->timer);
	else
		uv_timer_start(f->timer, on_timer, (uint64_t)MIN(MAX(left_ms, 1), LOOK_MS), 0);
}

static void on_timer(uv_timer_t *t)
{
	struct filter *f = t->data;

	if (over(f)) {
		log_notice("the time it was %s for is over", words[f->mode]);
		keep(f, FILTER_ON, 0);
		f->mode = FILTER_ON;
		f->until_s = 0;
		f->changed(f->ctx, FILTER_ON);
	}
	plan(f);
}

int filter_open(struct uv_loop_s *loop, const char *state_dir,
	void (*changed)(void *ctx, enum link_filter_mode mode), void *ctx,
	struct filter **out)
{
	struct filter *f = calloc(1, sizeof(*f));
	struct text t;

	if (!f)
		return -ENOMEM;
	f->timer = calloc(1, sizeof(*f->timer));
	if (!f->timer) {
		free(f);
		return -ENOMEM;
	}
	t = text_into(f->path, sizeof(f->path));
	text_addf(&t, "%s/filter", state_dir);
	f->changed = changed;
	f->ctx = ctx;
	uv_timer_init(loop, f->timer);
	f->timer->data = f;
	load(f);
	plan(f);
	*out = f;
	return 0;
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

void filter_close(struct filter *f)
{
	if (!f)
		return;
	uv_close((uv_handle_t *)f->timer, free_handle);
	free(f);
}

enum link_filter_mode filter_mode(const struct filter *f)
{
	return f->mode;
}

int64_t filter_until_s(const struct filter *f)
{
	return f->mode == FILTER_ON ? 0 : f->until_s;
}

int filter_set(struct filter *f, enum link_filter_mode mode, int64_t until_s)
{
	int r;

	if (until_s && until_s <= clock_unix_ms() / 1000)
		return -EINVAL;
	r = keep(f, mode, until_s);
	if (r < 0)
		return r;
	f->mode = mode;
	f->until_s = until_s;
	plan(f);
	f->changed(f->ctx, mode);
	return 0;
}
