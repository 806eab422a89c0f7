/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cgroup.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { END_TRIES = 200, END_STEP_MS = 10 };

int cgroup_mount(char *out, size_t max)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	const struct mntent *m;
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r < 0 && (m = getmntent(f))) {
		if (strcmp(m->mnt_type, "cgroup2") != 0)
			continue;
		r = snprintf(out, max, "%s", m->mnt_dir) < (int)max ? 0 : -ENAMETOOLONG;
	}
	endmntent(f);
	return r;
}

int cgroup_path(const char *scope, char *out, size_t max)
{
	char mount[PATH_MAX];
	struct stat st;
	int r = cgroup_mount(mount, sizeof(mount));

	if (r < 0)
		return r;
	if (snprintf(out, max, "%s%s", mount, strcmp(scope, "/") == 0 ? "" : scope) >=
		(int)max)
		return -ENAMETOOLONG;
	return stat(out, &st) < 0 ? -errno : 0;
}

int cgroup_own(char *out, size_t max)
{
	char mount[PATH_MAX], line[PATH_MAX];
	FILE *f = fopen("/proc/self/cgroup", "re");
	int r = f ? -ENOENT : -errno;

	while (r == -ENOENT && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::", 3) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		r = cgroup_mount(mount, sizeof(mount));
		if (r == 0 && snprintf(out, max, "%s%s", mount, line + 3) >= (int)max)
			r = -ENAMETOOLONG;
		break;
	}
	if (f)
		fclose(f);
	return r;
}

int cgroup_make(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int cgroup_join(const char *path, int pid)
{
	char file[PATH_MAX], text[16];
	int fd, n = snprintf(text, sizeof(text), "%d", pid);
	ssize_t w;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	w = write(fd, text, (size_t)n);
	n = w < 0 ? -errno : 0;
	close(fd);
	return n;
}

static int write_one(const char *path, const char *file)
{
	char name[PATH_MAX];
	int fd, r;

	snprintf(name, sizeof(name), "%s/%s", path, file);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, "1", 1) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void kill_procs(const char *path)
{
	char file[PATH_MAX];
	FILE *f;
	int pid;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	f = fopen(file, "re");
	if (!f)
		return;
	while (fscanf(f, "%d", &pid) == 1)
		if (pid > 0 && pid != getpid())
			kill(pid, SIGKILL);
	fclose(f);
}

/* deepest first: what the command made below its cgroup goes with it */
static int end_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DP) {
		kill_procs(path); /* before Linux 5.14 there is no cgroup.kill */
		rmdir(path);
	}
	return 0;
}

int cgroup_end(const char *path)
{
	const struct timespec step = { .tv_nsec = END_STEP_MS * 1000000L };

	for (int i = 0; i < END_TRIES; i++) {
		write_one(path, "cgroup.kill");
		nftw(path, end_one, 16, FTW_DEPTH | FTW_PHYS);
		if (access(path, F_OK) < 0)
			return 0;
		nanosleep(&step, NULL);
	}
	return -EBUSY;
}
