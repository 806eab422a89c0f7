/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "geo/geo.h"
#include "base/macros.h"
#include "base/text.h"
#include "geo/tag.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { FILE_BYTES_MAX = 512 << 20 };

/* what tells one file from another that took its name */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct source {
	char path[PATH_MAX]; /* "": none */
	struct stamp stamp;  /* of the last attempt, good or bad */
	int error;
	bool open;           /* db is */
	struct mmdb db;
};

struct geo {
	struct source files[GEO_KINDS];
};

struct geo_load {
	struct source files[GEO_KINDS];
	bool wanted[GEO_KINDS];
};

static int stamp_of(const char *path, struct stamp *out)
{
	struct stat st;

	*out = (struct stamp){ 0 };
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) /* a FIFO would hold us up */
		return -EINVAL;
	*out = (struct stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim };
	return 0;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
		a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* has the file changed since the last attempt, or come, or gone? */
static bool changed(const struct source *s)
{
	struct stamp now;
	int r;

	if (!s->path[0])
		return false;
	r = stamp_of(s->path, &now);
	return r < 0 ? s->error != r : !same_stamp(&now, &s->stamp);
}

static int read_file(const char *path, struct mmdb *out)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : mmdb_open(fd, FILE_BYTES_MAX, out);
}

static void source_read(struct source *s)
{
	s->error = stamp_of(s->path, &s->stamp);
	if (s->error == 0)
		s->error = read_file(s->path, &s->db);
	s->open = s->error == 0;
}

static void source_done(struct source *s)
{
	if (s->open)
		mmdb_close(&s->db);
	s->open = false;
}

struct geo_load *geo_load_new(const struct geo *g)
{
	struct geo_load *l = NULL;

	for (unsigned k = 0; k < GEO_KINDS; k++) {
		if (!changed(&g->files[k]))
			continue;
		if (!l)
			l = calloc(1, sizeof(*l));
		if (!l)
			return NULL;
		l->wanted[k] = true;
		text_copy(l->files[k].path, sizeof(l->files[k].path), g->files[k].path);
	}
	return l;
}

void geo_load_run(struct geo_load *l)
{
	for (unsigned k = 0; k < GEO_KINDS; k++)
		if (l->wanted[k])
			source_read(&l->files[k]);
}

bool geo_load_take(struct geo *g, struct geo_load *l)
{
	bool news = false;

	for (unsigned k = 0; k < GEO_KINDS; k++) {
		struct source *old = &g->files[k], *s = &l->files[k];

		if (!l->wanted[k])
			continue;
		news = news || s->open || s->error != old->error;
		old->stamp = s->stamp;
		old->error = s->error;
		if (!s->open)
			continue; /* what was read before still serves */
		source_done(old);
		*old = *s;
		s->open = false;
	}
	geo_load_free(l);
	return news;
}

void geo_load_free(struct geo_load *l)
{
	for (unsigned k = 0; l && k < GEO_KINDS; k++)
		source_done(&l->files[k]);
	free(l);
}

bool geo_check(struct geo *g)
{
	struct geo_load *l = geo_load_new(g);

	if (!l)
		return false;
	geo_load_run(l);
	return geo_load_take(g, l);
}

int geo_open(const struct geo_conf *conf, struct geo **out)
{
	const char *const paths[GEO_KINDS] = { conf->country, conf->city, conf->asn };
	struct geo *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	for (unsigned k = 0; k < GEO_KINDS; k++) {
		const char *path = paths[k] ? paths[k] : "";

		if (!text_copy(g->files[k].path, sizeof(g->files[k].path), path)) {
			geo_close(g);
			return -ENAMETOOLONG;
		}
		if (*path)
			source_read(&g->files[k]);
	}
	*out = g;
	return 0;
}

void geo_close(struct geo *g)
{
	for (unsigned k = 0; g && k < GEO_KINDS; k++)
		source_done(&g->files[k]);
	free(g);
}

int geo_find(const struct geo *g, const struct addr *a, struct geo_tag *out)
{
	struct geo_tag tag = { 0 };
	int r = -ENOENT;

	for (unsigned k = 0; g && k < GEO_KINDS; k++) {
		int e = g->files[k].open ? tag_read(&g->files[k].db, a, &tag) : -ENOENT;

		if (e == 0 || (e == -EBADMSG && r == -ENOENT))
			r = e;
	}
	if (tag.country[0] && !tag.continent[0])
		text_copy(tag.continent, sizeof(tag.continent), geo_continent(tag.country));
	if (r == 0)
		*out = tag;
	return r;
}

void geo_file(const struct geo *g, enum geo_kind kind, struct geo_file *out)
{
	const struct source *s = &g->files[kind];

	*out = (struct geo_file){ .path = s->path, .open = s->open,
		.type = s->open ? mmdb_type(&s->db) : "",
		.built_s = s->open ? mmdb_built_s(&s->db) : 0, .error = s->error };
}

void geo_file_text(const struct geo *g, enum geo_kind kind, char *out, size_t max)
{
	struct text t = text_into(out, max);
	struct geo_file f;
	time_t built;
	struct tm tm;

	if (!g)
		return;
	geo_file(g, kind, &f);
	if (!*f.path)
		return;
	text_add_safe(&t, f.path);
	built = (time_t)f.built_s;
	if (f.built_s && gmtime_r(&built, &tm))
		text_addf(&t, " (built %04d-%02d-%02d)", tm.tm_year + 1900, tm.tm_mon + 1,
			tm.tm_mday);
	if (f.error)
		text_addf(&t, ": %s%s",
			f.error == -EBADMSG ? "damaged or no MaxMind database"
					    : strerror(-f.error),
			g->files[kind].open ? "; what was read before still serves" : "");
}
