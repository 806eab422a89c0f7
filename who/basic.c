/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. A find is a job for the worker's thread. There the kernel is asked
 * for the socket (sock_diag: inode and the user who made it), and then whoever has that
 * inode open is looked for in /proc, for all finds of a batch in one walk: first below the
 * guarded cgroup, then, for what is left, in the rest of the machine. The walk is never cut
 * short at the first holder: a socket may be open in several processes, and if these run
 * different executables nobody can say which of them sent. Nothing about processes is kept
 * from one batch to the next: an exec changes a program, but neither its pid nor its start
 * time. Back on the loop an executable and user are given their number and serial.
 * Needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH to see descriptors of others.
 */
#include "who/basic.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/macros.h"
#include "base/table.h"
#include "base/text.h"
#include "who/proc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FINDS_MAX = 256, PROGRAMS_MAX = 1024 };

struct basic {
	struct worker *worker;
	struct diag *diag; /* the thread's */
	char *scope;       /* NULL: everything */
	char below[256];   /* the same as processes name it */
	struct table programs;
	uint64_t next_serial;
	uint32_t next_actor;
	bool closing;
};

struct find {
	struct job job;
	struct basic *b;
	struct diag_tuple tuple;
	void (*done)(void *ctx, const struct basic_found *found);
	void *ctx;
	/* found on the thread */
	struct diag_socket socket;
	struct proc_exe exe;
	struct process process;
	bool wanted, held, ambiguous, in_scope;
};

struct known_program {
	struct table_node node;
	uint64_t dev, ino, serial;
	uint32_t uid, actor;
	char path[PROGRAM_PATH_MAX];
};

/* ----- on the thread: who has it open ----- */

struct visit {
	struct job *batch;
	struct basic *b;
	int dir;
};

/* an exec between reading descriptors and reading the executable closes what is close-on-
 * exec: then the descriptor is gone now */
static bool still_open(int dir, int fd, uint32_t inode)
{
	char name[32], link[64];
	uint32_t now;
	ssize_t n;

	snprintf(name, sizeof(name), "fd/%d", fd);
	n = readlinkat(dir, name, link, sizeof(link) - 1);
	if (n <= 0)
		return false;
	link[n] = '\0';
	return proc_parse_socket(link, &now) && now == inode;
}

static void take_holder(struct find *f, int dir, int fd)
{
	struct process p;
	struct proc_exe exe;

	if (proc_exe(dir, &exe) < 0)
		return;
	if (f->held) {
		f->ambiguous |= exe.dev != f->exe.dev || exe.ino != f->exe.ino;
		return;
	}
	if (proc_read(dir, &p) < 0 || !still_open(dir, fd, f->socket.inode))
		return;
	f->exe = exe;
	f->process = p;
	f->in_scope = !f->b->scope || proc_cgroup_in(p.cgroup, f->b->below);
	f->held = true;
}

static bool visit_socket(void *ctx, int fd, uint32_t inode)
{
	struct visit *v = ctx;

	for (struct job *j = v->batch; j; j = j->next) {
		struct find *f = container_of(j, struct find, job);

		if (f->wanted && f->socket.inode == inode)
			take_holder(f, v->dir, fd);
	}
	return true;
}

/* those found in an earlier walk are not looked for again */
static bool still_wanted(struct job *batch)
{
	bool any = false;

	for (struct job *j = batch; j; j = j->next) {
		struct find *f = container_of(j, struct find, job);

		f->wanted = f->wanted && !f->held;
		any |= f->wanted;
	}
	return any;
}

static void walk(struct basic *b, struct job *batch, const char *cgroup)
{
	struct visit v = { .batch = batch, .b = b };
	struct proc_walk *w;
	int32_t pid;

	if (!still_wanted(batch) || proc_walk_open(cgroup, &w) < 0)
		return;
	while (proc_walk_next(w, &pid)) {
		v.dir = proc_open(pid);
		if (v.dir < 0)
			continue;
		proc_sockets(v.dir, visit_socket, &v);
		close(v.dir);
	}
	proc_walk_close(w);
}

static void run(void *ctx, struct job *batch)
{
	struct basic *b = ctx;

	for (struct job *j = batch; j; j = j->next) {
		struct find *f = container_of(j, struct find, job);

		j->result = diag_find(b->diag, &f->tuple, &f->socket);
		f->wanted = j->result == 0 && f->socket.inode != 0;
	}
	if (b->scope)
		walk(b, batch, b->scope);
	if (!b->scope || strcmp(b->below, "/") != 0)
		walk(b, batch, NULL);
}

/* ----- on the loop: numbers and serials ----- */

static bool same_program(const struct table_node *n, const void *key)
{
	const struct known_program *k = container_of(n, const struct known_program, node);
	const struct find *f = key;

	return k->dev == f->exe.dev && k->ino == f->exe.ino && k->uid == f->socket.uid &&
		strcmp(k->path, f->exe.path) == 0;
}

/* a new record, or the one that was not met for longest: its number goes to the new one */
static struct known_program *make_room(struct basic *b)
{
	struct known_program *k;

	if (b->programs.count < PROGRAMS_MAX) {
		k = calloc(1, sizeof(*k));
		if (k)
			k->actor = b->next_actor++;
		return k;
	}
	k = container_of(table_oldest(&b->programs), struct known_program, node);
	table_remove(&b->programs, &k->node);
	return k;
}

static struct known_program *program_of(struct basic *b, const struct find *f)
{
	uint64_t hash = table_hash(&b->programs, &f->exe.ino, sizeof(f->exe.ino));
	struct table_node *n = table_find(&b->programs, hash, same_program, f);
	struct known_program *k;

	if (n) {
		table_use(&b->programs, n);
		return container_of(n, struct known_program, node);
	}
	k = make_room(b);
	if (!k)
		return NULL;
	k->dev = f->exe.dev;
	k->ino = f->exe.ino;
	k->uid = f->socket.uid;
	k->serial = b->next_serial++;
	text_copy(k->path, sizeof(k->path), f->exe.path);
	if (table_add(&b->programs, &k->node, hash) < 0) {
		free(k);
		return NULL;
	}
	return k;
}

static void answer(struct find *f, const struct known_program *k)
{
	struct basic_found found = { .process = f->process, .in_scope = f->in_scope };
	struct program *p = &found.program;

	p->actor = k->actor;
	p->serial = k->serial;
	p->uid = k->uid;
	p->known = true;
	p->believed = f->exe.believed;
	text_copy(p->path, sizeof(p->path), k->path);
	if (p->believed)
		p->paths[p->npaths++] = p->path;
	f->done(f->ctx, &found);
}

static void on_done(struct job *job)
{
	struct find *f = container_of(job, struct find, job);
	const struct known_program *k = NULL;

	if (job->result == 0 && f->held && !f->ambiguous)
		k = program_of(f->b, f);
	if (k)
		answer(f, k);
	else
		f->done(f->ctx, NULL);
	free(f);
}

int basic_find(struct basic *b, const struct diag_tuple *t,
	void (*done)(void *ctx, const struct basic_found *found), void *ctx)
{
	struct find *f;
	int r;

	if (b->closing)
		return -ECANCELED;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->job.done = on_done;
	f->b = b;
	f->tuple = *t;
	f->done = done;
	f->ctx = ctx;
	r = worker_give(b->worker, &f->job);
	if (r < 0)
		free(f);
	return r;
}

/* ----- opening and closing ----- */

int basic_open(struct uv_loop_s *loop, const char *scope, struct basic **out)
{
	struct basic *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->next_actor = 1;
	/* unique over restarts too, and below 2^53: readers of JSON have no more */
	b->next_serial = (uint64_t)clock_unix_ms() << 10;
	r = table_init(&b->programs, PROGRAMS_MAX);
	if (r == 0 && scope) {
		b->scope = strdup(scope);
		r = b->scope ? proc_cgroup_below(scope, b->below, sizeof(b->below)) : -ENOMEM;
	}
	if (r == 0)
		r = diag_open(&b->diag);
	if (r == 0)
		r = worker_open(loop, "basic", FINDS_MAX, run, b, &b->worker);
	if (r < 0) {
		basic_close(b);
		return r;
	}
	*out = b;
	return 0;
}

void basic_close(struct basic *b)
{
	struct table_node *n;

	if (!b)
		return;
	b->closing = true;
	worker_close(b->worker);
	while (b->programs.buckets && (n = table_oldest(&b->programs))) {
		table_remove(&b->programs, n);
		free(container_of(n, struct known_program, node));
	}
	table_done(&b->programs);
	diag_close(b->diag);
	free(b->scope);
	free(b);
}
