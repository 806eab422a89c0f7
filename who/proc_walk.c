/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who/proc.h"
#include "base/macros.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A stack of open directories: of a cgroup tree the way down to where we are, of the
 * machine just /proc. procs is the cgroup.procs of the topmost, until it is read. */
struct proc_walk {
	DIR *dirs[PROC_WALK_DEEP];
	unsigned depth;
	FILE *procs;
	bool machine;
};

/* takes fd; leaves the stack alone if it is full or the directory has just gone */
static int push(struct proc_walk *w, int fd)
{
	int procs;
	DIR *d = NULL;

	if (fd < 0)
		return -errno;
	if (w->depth < PROC_WALK_DEEP)
		d = fdopendir(fd);
	if (!d) {
		close(fd);
		return w->depth < PROC_WALK_DEEP ? -errno : -E2BIG;
	}
	w->dirs[w->depth++] = d;
	procs = w->machine ? -1 : openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	if (procs >= 0) {
		w->procs = fdopen(procs, "re");
		if (!w->procs)
			close(procs);
	}
	return 0;
}

int proc_walk_open(const char *cgroup, struct proc_walk **out)
{
	struct proc_walk *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->machine = !cgroup;
	r = push(w, open(cgroup ? cgroup : "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (r < 0) {
		proc_walk_close(w);
		return r;
	}
	*out = w;
	return 0;
}

void proc_walk_close(struct proc_walk *w)
{
	if (!w)
		return;
	if (w->procs)
		fclose(w->procs);
	while (w->depth)
		closedir(w->dirs[--w->depth]);
	free(w);
}

static bool pid_of(const char *s, int32_t *pid)
{
	uint32_t v;

	if (text_u32(s, INT32_MAX, &v) < 0 || v == 0)
		return false;
	*pid = (int32_t)v;
	return true;
}

static bool from_procs(struct proc_walk *w, int32_t *pid)
{
	char line[32];

	while (w->procs && fgets(line, sizeof(line), w->procs)) {
		line[strcspn(line, "\n")] = '\0';
		if (pid_of(line, pid)) /* 0: a process of another pid namespace */
			return true;
	}
	if (w->procs)
		fclose(w->procs);
	w->procs = NULL;
	return false;
}

bool proc_walk_next(struct proc_walk *w, int32_t *pid)
{
	while (w->depth) {
		DIR *top = w->dirs[w->depth - 1];
		struct dirent *e;

		if (from_procs(w, pid))
			return true;
		e = readdir(top);
		if (!e) {
			closedir(top);
			w->depth--;
		} else if (w->machine) {
			if (pid_of(e->d_name, pid))
				return true;
		} else if (e->d_type == DT_DIR && e->d_name[0] != '.') {
			push(w, openat(dirfd(top), e->d_name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		}
	}
	return false;
}

/* ----- where cgroup2 is mounted ----- */

/* mountinfo writes blank, tab, newline and backslash as \ooo (proc_pid_mountinfo(5)) */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* "ID PARENT MAJ:MIN ROOT MOUNT OPTIONS ... - TYPE ..." */
static bool cgroup2_mount(char *line, char **root, char **at)
{
	char *dash = strstr(line, " - "), *save = NULL, *field = NULL;

	if (!dash || strncmp(dash, " - cgroup2 ", 11) != 0)
		return false;
	for (int i = 0; i < 5; i++) {
		field = strtok_r(i ? NULL : line, " ", &save);
		if (!field)
			return false;
		if (i == 3)
			*root = field;
	}
	*at = field;
	unescape(*root);
	unescape(*at);
	return true;
}

int proc_cgroup_below(const char *dir, char *out, size_t max)
{
	char real[PATH_MAX];
	auto_free char *line = NULL;
	FILE *f;
	size_t room = 0;
	int r = -ENOENT;

	if (!realpath(dir, real))
		return -errno;
	f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return -errno;
	while (r == -ENOENT && getline(&line, &room, f) > 0) {
		char *root = NULL, *at = NULL;
		struct text t;

		if (!cgroup2_mount(line, &root, &at) || !proc_cgroup_in(real, at))
			continue;
		t = text_into(out, max);
		text_add(&t, strcmp(root, "/") == 0 ? "" : root);
		text_add(&t, real + (strcmp(at, "/") == 0 ? 0 : strlen(at)));
		if (t.len == 0)
			text_add(&t, "/");
		r = t.cut ? -ENAMETOOLONG : 0;
	}
	fclose(f);
	return r;
}
