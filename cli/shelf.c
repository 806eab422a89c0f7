/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/shelf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct kept {
	char name[LIST_NAME_MAX];
	struct list *list;     /* a reference */
	ino_t ino;             /* of the file it is of */
	struct timespec changed;
	char error[120];
	char update[200];      /* why the last one failed */
};

struct shelf {
	char dir[PATH_MAX];
	struct kept kept[SHELF_MAX];
	size_t n;
};

bool shelf_path(const char *dir, const char *name, const char *end, char *out, size_t max)
{
	struct text t = text_into(out, max);

	text_addf(&t, "%s/%s%s", dir, name, end);
	return !t.cut;
}

static void unmap(void *bytes, size_t len)
{
	munmap(bytes, len);
}

int shelf_map(const char *path, struct list **out)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	void *bytes;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return -EBADMSG;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	r = list_open(bytes, (size_t)st.st_size, unmap, out);
	if (r < 0)
		munmap(bytes, (size_t)st.st_size);
	else /* what the check touched and no lookup does is not ours to keep in memory */
		madvise(bytes, (size_t)st.st_size, MADV_DONTNEED);
	return r;
}

static bool name_of_file(const char *file, char name[static LIST_NAME_MAX])
{
	size_t n = strlen(file);

	if (n <= 5 || n - 5 >= LIST_NAME_MAX || strcmp(file + n - 5, ".list") != 0)
		return false;
	memcpy(name, file, n - 5);
	name[n - 5] = '\0';
	return list_name_ok(name);
}

static struct kept *find(struct kept *kept, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(kept[i].name, name) == 0)
			return &kept[i];
	return NULL;
}

/* the one that was in force, or the one before it on the disk */
static void fall_back(const struct shelf *s, struct kept *k, const struct kept *before, int r)
{
	char path[PATH_MAX];
	const char *with = "nothing stands for it";

	if (before && before->list) {
		k->list = list_ref(before->list);
		with = "its last good content stays in force";
	} else if (shelf_path(s->dir, k->name, ".old", path, sizeof(path)) &&
		shelf_map(path, &k->list) == 0) {
		with = "its content before that is in force";
	}
	snprintf(k->error, sizeof(k->error), "%s; %s",
		r == -EBADMSG ? "its compiled file is damaged" : strerror(-r), with);
	if (!before || strcmp(before->error, k->error) != 0)
		log_error("list %s: %s: run scupper list update %s", k->name, k->error,
			k->name);
}

static void read_one(struct shelf *s, struct kept *k, const struct kept *before)
{
	char path[PATH_MAX];
	struct stat st;
	int r;

	if (!shelf_path(s->dir, k->name, ".list", path, sizeof(path)) || stat(path, &st) < 0)
		return;
	k->ino = st.st_ino;
	k->changed = st.st_ctim;
	if (before && before->list && !before->error[0] && before->ino == k->ino &&
		memcmp(&before->changed, &k->changed, sizeof(k->changed)) == 0) {
		k->list = list_ref(before->list);
		return;
	}
	r = shelf_map(path, &k->list);
	if (r < 0)
		fall_back(s, k, before, r);
}

static void read_failure(const struct shelf *s, struct kept *k)
{
	auto_free char *why = NULL;
	char path[PATH_MAX];
	struct text t = text_into(k->update, sizeof(k->update));
	size_t len;

	if (shelf_path(s->dir, k->name, ".failed", path, sizeof(path)) &&
		io_read_file(path, 1000, &why, &len) == 0)
		text_add_safe(&t, why);
}

static void let_go(struct kept *kept, size_t n)
{
	for (size_t i = 0; i < n; i++)
		list_unref(kept[i].list);
}

void shelf_read(struct shelf *s)
{
	static struct kept now[SHELF_MAX]; /* the core has one thread */
	DIR *d = opendir(s->dir);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		char name[LIST_NAME_MAX];

		if (!name_of_file(e->d_name, name))
			continue;
		if (n == SHELF_MAX) {
			log_error("%s holds more than %d lists: the rest is not read", s->dir,
				SHELF_MAX);
			break;
		}
		now[n] = (struct kept){ 0 };
		text_copy(now[n].name, sizeof(now[n].name), name);
		read_one(s, &now[n], find(s->kept, s->n, name));
		read_failure(s, &now[n]);
		n++;
	}
	if (d)
		closedir(d);
	let_go(s->kept, s->n);
	memcpy(s->kept, now, n * sizeof(now[0]));
	s->n = n;
}

struct list *shelf_find(void *shelf, const char *name)
{
	struct shelf *s = shelf;
	struct kept *k = s ? find(s->kept, s->n, name) : NULL;

	return k ? k->list : NULL;
}

void shelf_errors(const struct shelf *s, struct text *errors)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct kept *k = &s->kept[i];

		if (k->error[0])
			text_addf(errors, "%slist %s: %s", errors->len ? "; " : "", k->name,
				k->error);
		if (k->update[0])
			text_addf(errors, "%slist %s: its last update failed: %s",
				errors->len ? "; " : "", k->name, k->update);
	}
}

int shelf_open(const char *dir, struct shelf **out)
{
	struct shelf *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	text_copy(s->dir, sizeof(s->dir), dir);
	if (io_mkdirs(dir, 0755) < 0)
		log_warning("the folder for lists, %s, cannot be made", dir);
	*out = s;
	return 0;
}

void shelf_close(struct shelf *s)
{
	if (!s)
		return;
	let_go(s->kept, s->n);
	free(s);
}
