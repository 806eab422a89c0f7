/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/who_lab.h"

#include "base/io.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static const char *cgroup2(void)
{
	static const char *const at[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_LEN(at); i++)
		if (statfs(at[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return at[i];
	return NULL;
}

/* our own network, so that a socket of ours is seen by nobody, and our own mounts */
static const char *apart(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return "no new namespaces";
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return "mounts cannot be made private";
	if (mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0)
		return "no bpffs";
	if (system("ip link set lo up && ip link add v0 type veth peer name v1 && "
		"ip addr add 10.9.0.1/24 dev v0 && ip link set v0 up && "
		"ip link set v1 up && ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev v0"))
		return "no veth pair";
	return NULL;
}

const char *lab_open(struct lab *l)
{
	const char *group = cgroup2(), *why;

	memset(l, 0, sizeof(*l));
	if (geteuid() != 0)
		return "not root";
	if (!group)
		return "no cgroup2";
	why = apart();
	if (why)
		return why;
	snprintf(l->dir, sizeof(l->dir), "/var/tmp/who-test-%d", getpid());
	snprintf(l->cgroup, sizeof(l->cgroup), "%s/who-test-%d", group, getpid());
	snprintf(l->pins, sizeof(l->pins), "/sys/fs/bpf/scupper/who-test");
	if (mkdir(l->dir, 0755) < 0 || mkdir(l->cgroup, 0755) < 0)
		return "no cgroup or directory can be made";
	strcpy(l->instance.name, "who-test");
	l->instance.magic = INSTANCE_MAGIC_MAIN;
	return NULL;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* children of a test that failed */
static void children_end(const struct lab *l)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.kill", l->cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "1", 1) != 1)
		perror(path);
	if (fd >= 0)
		close(fd);
}

void lab_close(struct lab *l)
{
	lab_who_close(l, true);
	if (l->cgroup[0])
		children_end(l);
	if (l->dir[0])
		nftw(l->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	/* the last of it may still be on its way out */
	for (int i = 0; l->cgroup[0] && rmdir(l->cgroup) < 0 && errno == EBUSY && i < 3000; i++)
		usleep(10000);
}

void lab_who_open(struct lab *l, const char *pins, bool closed, uint32_t numbers)
{
	struct who_conf conf = { .instance = &l->instance, .scope = l->cgroup, .pins = pins,
		.closed = closed, .numbers = numbers };
	char why[512];
	int r;

	lab_who_close(l, true); /* of a test that failed */
	r = who_open(&conf, why, sizeof(why), &l->who);
	if (r < 0)
		fail_msg("who_open: %d %s", r, why);
}

void lab_start(struct lab *l, const struct who_calls *calls)
{
	l->loop = malloc(sizeof(*l->loop));
	assert_int_equal(uv_loop_init(l->loop), 0);
	assert_int_equal(who_start(l->who, l->loop, calls), 0);
}

void lab_turn(struct lab *l)
{
	for (int i = 0; i < 20; i++)
		uv_run(l->loop, UV_RUN_NOWAIT);
}

void lab_who_close(struct lab *l, bool unpin)
{
	who_close(l->who, unpin);
	l->who = NULL;
	if (l->loop) {
		uv_run(l->loop, UV_RUN_DEFAULT);
		assert_int_equal(uv_loop_close(l->loop), 0);
		free(l->loop);
		l->loop = NULL;
	}
}

const char *lab_copy(struct lab *l, const char *name)
{
	static char path[512];
	auto_free char *bytes = NULL;
	size_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", l->dir, name);
	assert_int_equal(io_read_file("/proc/self/exe", 64 << 20, &bytes, &len), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, bytes, len), 0);
	close(fd);
	return path;
}

static void child_exec(const struct lab *l, const char *path, const char *ops, uint32_t uid)
{
	char procs[300], words[1024], *argv[64] = { (char *)(uintptr_t)path, (char *)"child" };
	int n = 2, fd;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", l->cgroup);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	if (write(fd, "0", 1) != 1)
		_exit(93);
	if (uid && setresuid(uid, uid, uid) < 0)
		_exit(92);
	snprintf(words, sizeof(words), "%s", ops);
	for (char *w = strtok(words, " "); w && n < 63; w = strtok(NULL, " "))
		argv[n++] = w;
	execv(path, argv);
	_exit(91);
}

struct child lab_spawn(struct lab *l, const char *path, const char *ops, uint32_t uid)
{
	struct child c;
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	c.pid = fork();
	if (c.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		child_exec(l, path, ops, uid);
	}
	close(in[0]);
	close(out[1]);
	c.in = in[1];
	c.out = out[0];
	return c;
}

int64_t lab_read(struct child *c)
{
	char line[64];
	size_t n = 0;

	while (n < sizeof(line) - 1 && read(c->out, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	if (!n)
		fail_msg("the child ended early");
	return line[0] == '-' ? strtol(line + 1, NULL, 10) : strtol(line, NULL, 16);
}

void lab_go(struct child *c)
{
	assert_int_equal(write(c->in, "g", 1), 1);
}

void lab_reap(struct child *c)
{
	int status = 0;

	close(c->in);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(c->out);
	assert_int_equal(status, 0);
}

int64_t lab_run_as(struct lab *l, const char *path, const char *ops, uint32_t uid)
{
	struct child c = lab_spawn(l, path, ops, uid);
	int64_t v = -1;
	char line[64];
	size_t n = 0;

	while (n < sizeof(line) - 1 && read(c.out, line + n, 1) == 1) {
		if (line[n++] != '\n')
			continue;
		line[n] = '\0';
		v = line[0] == '-' ? strtol(line + 1, NULL, 10) : strtol(line, NULL, 16);
		n = 0;
	}
	lab_reap(&c);
	return v;
}

int64_t lab_run(struct lab *l, const char *path, const char *ops)
{
	return lab_run_as(l, path, ops, 0);
}
