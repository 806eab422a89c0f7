/* SPDX-License-Identifier: GPL-2.0-or-later
 * Processes by tgid, as the events told them. Full: the one that was of no use for the
 * longest time leaves. What a program is (path, arguments, cgroup) is shared by all its
 * forks. The dead stay for a while: a query is often read after its asker has gone. */
#include "who/state.h"

#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

struct about { /* since an exec */
	unsigned refs;
	char *path, *args, *cgroup; /* within text */
	char text[];
};

struct entry {
	struct table_node node;
	struct entry *dead_next, *dead_prev;
	struct about *about;
	int64_t dead_ms; /* 0: alive */
	uint64_t start;
	int32_t pid, parent;
	uint32_t uid;
};

struct processes {
	struct table table;
	struct entry dead; /* ring: next is the one that died first */
};

static bool entry_equal(const struct table_node *n, const void *key)
{
	return container_of(n, struct entry, node)->pid == *(const int32_t *)key;
}

static struct entry *find(struct processes *t, int32_t pid)
{
	uint64_t hash = table_hash(&t->table, &pid, sizeof(pid));
	struct table_node *n = table_find(&t->table, hash, entry_equal, &pid);

	return n ? container_of(n, struct entry, node) : NULL;
}

static void about_drop(struct about *a)
{
	if (a && --a->refs == 0)
		free(a);
}

static struct about *about_new(const struct process *p)
{
	size_t path = strlen(p->path) + 1, args = strlen(p->args) + 1;
	size_t cgroup = strlen(p->cgroup) + 1;
	struct about *a = malloc(sizeof(*a) + path + args + cgroup);

	if (!a)
		return NULL;
	a->refs = 1;
	a->path = memcpy(a->text, p->path, path);
	a->args = memcpy(a->path + path, p->args, args);
	a->cgroup = memcpy(a->args + args, p->cgroup, cgroup);
	return a;
}

static void bury(struct processes *t, struct entry *e, int64_t now_ms)
{
	if (e->dead_ms)
		return;
	e->dead_ms = now_ms;
	e->dead_next = &t->dead;
	e->dead_prev = t->dead.dead_prev;
	e->dead_prev->dead_next = e;
	t->dead.dead_prev = e;
}

static void raise_again(struct entry *e)
{
	if (!e->dead_ms)
		return;
	e->dead_prev->dead_next = e->dead_next;
	e->dead_next->dead_prev = e->dead_prev;
	e->dead_ms = 0;
}

static void entry_free(struct processes *t, struct entry *e)
{
	raise_again(e);
	table_remove(&t->table, &e->node);
	about_drop(e->about);
	free(e);
}

int processes_init(struct processes **out)
{
	struct processes *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	r = table_init(&t->table, WHO_PROCS_MAX);
	if (r < 0) {
		free(t);
		return r;
	}
	t->dead.dead_next = t->dead.dead_prev = &t->dead;
	*out = t;
	return 0;
}

void processes_done(struct processes *t)
{
	struct table_node *n;

	if (!t)
		return;
	while ((n = table_oldest(&t->table)))
		entry_free(t, container_of(n, struct entry, node));
	table_done(&t->table);
	free(t);
}

/* the entry of a pid, made if there is none; whoever had the number before is gone */
static struct entry *entry_of(struct processes *t, int32_t pid)
{
	struct entry *e = find(t, pid);

	if (e) {
		raise_again(e);
		table_use(&t->table, &e->node);
		return e;
	}
	if (t->table.count >= t->table.max)
		entry_free(t, container_of(table_oldest(&t->table), struct entry, node));
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->pid = pid;
	table_add(&t->table, &e->node, table_hash(&t->table, &pid, sizeof(pid)));
	return e;
}

int processes_exec(struct processes *t, const struct process *p)
{
	struct about *a = about_new(p);
	struct entry *e = a ? entry_of(t, p->pid) : NULL;

	if (!e) {
		about_drop(a);
		return -ENOMEM;
	}
	about_drop(e->about);
	e->about = a;
	e->start = p->start;
	e->parent = p->parent;
	e->uid = p->uid;
	return 0;
}

int processes_fork(struct processes *t, int32_t pid, uint64_t start, int32_t parent,
	uint32_t uid)
{
	struct entry *from = find(t, parent), *e;
	struct about *a = from ? from->about : NULL;

	if (a)
		a->refs++; /* before room is made: that may be the parent's */
	e = entry_of(t, pid);
	if (!e) {
		about_drop(a);
		return -ENOMEM;
	}
	about_drop(e->about);
	e->about = a;
	e->start = start;
	e->parent = parent;
	e->uid = uid;
	return 0;
}

void processes_exit(struct processes *t, int32_t pid, uint64_t start, int64_t now_ms)
{
	struct entry *e = find(t, pid);

	if (e && e->start == start)
		bury(t, e, now_ms);
}

void processes_expire(struct processes *t, int64_t now_ms)
{
	while (t->dead.dead_next != &t->dead &&
		t->dead.dead_next->dead_ms + PROCESS_DEAD_MS <= now_ms)
		entry_free(t, t->dead.dead_next);
}

int processes_find(struct processes *t, int32_t pid, uint64_t start, struct process *out)
{
	struct entry *e = find(t, pid);

	if (!e || (start && e->start != start))
		return -ENOENT;
	table_use(&t->table, &e->node);
	memset(out, 0, sizeof(*out));
	out->pid = pid;
	out->start = e->start;
	out->parent = e->parent;
	out->uid = e->uid;
	if (e->about) {
		text_copy(out->path, sizeof(out->path), e->about->path);
		text_copy(out->args, sizeof(out->args), e->about->args);
		text_copy(out->cgroup, sizeof(out->cgroup), e->about->cgroup);
	}
	return 0;
}

size_t processes_count(const struct processes *t)
{
	return t->table.count;
}
