/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who/proc.h"
#include "base/macros.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { STAT_MAX = 4096, CMDLINE_MAX = 2048, CGROUP_MAX = 65536 };

int proc_open(int32_t pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* one file of the process, cut at max: a pseudo file is read whole at one go */
static int read_at(int dir, const char *name, size_t max, char **out, size_t *len)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	auto_free char *buf = NULL;
	size_t n = 0;

	if (fd < 0)
		return -errno;
	buf = malloc(max + 1);
	if (!buf)
		return -ENOMEM;
	while (n < max) {
		ssize_t r = read(fd, buf + n, max - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	buf[n] = '\0';
	*out = buf;
	*len = n;
	buf = NULL;
	return 0;
}

/* ----- the executable ----- */

static bool same_file(const char *path, const struct stat *st)
{
	struct stat there;

	return path[0] == '/' && stat(path, &there) == 0 && there.st_dev == st->st_dev &&
		there.st_ino == st->st_ino;
}

static void name_exe(struct proc_exe *x, char *link, const struct stat *st)
{
	static const char gone[] = " (deleted)", memfd[] = "/memfd:";
	size_t n = strlen(link), g = sizeof(gone) - 1;

	x->believed = same_file(link, st);
	/* a living file may be called so too: then the whole text names it */
	x->deleted = !x->believed && n > g && strcmp(link + n - g, gone) == 0;
	if (x->deleted && strncmp(link, memfd, sizeof(memfd) - 1) == 0) {
		link[n - g] = '\0';
		link++;
	}
	text_copy(x->path, sizeof(x->path), link);
}

int proc_exe(int dir, struct proc_exe *out)
{
	struct proc_exe x = { .dev = 0 };
	char link[4096 + 16];
	struct stat st;
	ssize_t n = readlinkat(dir, "exe", link, sizeof(link) - 1);

	if (n < 0)
		return -errno;
	link[n] = '\0';
	if (fstatat(dir, "exe", &st, 0) < 0)
		return -errno;
	x.dev = st.st_dev;
	x.ino = st.st_ino;
	name_exe(&x, link, &st);
	if ((size_t)n >= sizeof(x.path))
		x.believed = false; /* cut: no rule may be matched against a piece */
	*out = x;
	return 0;
}

/* ----- the process ----- */

static uint64_t tick_ns(void)
{
	long hz = sysconf(_SC_CLK_TCK);

	return 1000000000ull / (hz > 0 ? (uint64_t)hz : 100);
}

/* fills in pid, parent and start */
static int read_stat(int dir, struct process *p)
{
	auto_free char *text = NULL;
	uint64_t ticks;
	size_t len;
	int r = read_at(dir, "stat", STAT_MAX, &text, &len);

	if (r == 0)
		r = proc_parse_stat(text, &p->parent, &ticks);
	if (r < 0)
		return r;
	p->pid = (int32_t)atoi(text);
	p->start = ticks * tick_ns();
	return 0;
}

int proc_start(int dir, uint64_t *ns)
{
	struct process p;
	int r = read_stat(dir, &p);

	if (r == 0)
		*ns = p.start;
	return r;
}

bool proc_same_start(uint64_t a_ns, uint64_t b_ns)
{
	uint64_t tick = tick_ns();

	return a_ns / tick == b_ns / tick;
}

static void read_args(int dir, struct process *p)
{
	struct text t = text_into(p->args, sizeof(p->args));
	auto_free char *text = NULL;
	size_t len;

	if (read_at(dir, "cmdline", CMDLINE_MAX, &text, &len) < 0 || len == 0)
		return;
	for (size_t i = 0; i + 1 < len; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	text_add_safe(&t, text);
}

static int read_uid(int dir, uint32_t *uid)
{
	auto_free char *text = NULL;
	size_t len;
	int r = read_at(dir, "status", STAT_MAX, &text, &len);

	return r < 0 ? r : proc_parse_uid(text, uid);
}

int proc_read(int dir, struct process *out)
{
	struct process p = { .pid = 0 };
	auto_free char *text = NULL;
	struct proc_exe exe;
	size_t len;
	int r = read_stat(dir, &p);

	if (r == 0)
		r = read_uid(dir, &p.uid);
	if (r == 0)
		r = read_at(dir, "cgroup", CGROUP_MAX, &text, &len);
	if (r < 0)
		return r;
	proc_parse_cgroup(text, p.cgroup, sizeof(p.cgroup));
	if (proc_exe(dir, &exe) == 0)
		text_copy(p.path, sizeof(p.path), exe.path);
	read_args(dir, &p);
	*out = p;
	return 0;
}

/* ----- its sockets ----- */

struct proc_fds {
	DIR *d;
	unsigned seen;
};

int proc_fds_open(int dir, struct proc_fds **out)
{
	struct proc_fds *f = calloc(1, sizeof(*f));
	int fd, r;

	if (!f)
		return -ENOMEM;
	fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->d = fd < 0 ? NULL : fdopendir(fd);
	if (!f->d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		free(f);
		return r;
	}
	*out = f;
	return 0;
}

void proc_fds_close(struct proc_fds *f)
{
	if (f)
		closedir(f->d);
	free(f);
}

int proc_fds_next(struct proc_fds *f, int *fd, uint32_t *inode)
{
	struct dirent *e = f->seen < PROC_FDS_MAX ? readdir(f->d) : NULL;
	char link[64];
	ssize_t n;

	if (!e)
		return -1;
	if (e->d_name[0] == '.')
		return 0;
	f->seen++;
	n = readlinkat(dirfd(f->d), e->d_name, link, sizeof(link) - 1);
	if (n <= 0)
		return 0;
	link[n] = '\0';
	if (!proc_parse_socket(link, inode))
		return 0;
	*fd = atoi(e->d_name);
	return 1;
}

int proc_sockets(int dir, proc_socket each, void *ctx)
{
	struct proc_fds *f;
	uint32_t inode;
	int fd, r = proc_fds_open(dir, &f);

	if (r < 0)
		return r;
	do
		r = proc_fds_next(f, &fd, &inode);
	while (r >= 0 && (r == 0 || each(ctx, fd, inode)));
	proc_fds_close(f);
	return 0;
}
