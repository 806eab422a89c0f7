/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * struct who without BPF. A number stands for a cgroup and a user; the packets themselves
 * draw it, in the table, and whoever made the table tells us what it drew (who_keys_put).
 * What such a key may do as a whole is judged as of an unknown program of that user. The
 * programs that run there are its members: those living when the key is met, and whoever is
 * found behind a query or connection later. */
#include "who/state.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "who/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
	MEMBERS_MAX = 16, /* the one that was not met for longest leaves */
	LOOKED_MAX = 64,  /* processes of a cgroup that are looked at */
	HANDLE_KERNFS = 0xfe, /* FILEID_KERNFS */
};

struct key {
	uint64_t cgroup;
	uint32_t uid;
	unsigned nmembers;
	struct program *members[MEMBERS_MAX]; /* newest first */
};

bool who_by_key(const struct who *w)
{
	return w->by_key;
}

int who_open_keys(const struct who_conf *conf, struct who **out)
{
	struct who *w = calloc(1, sizeof(*w));
	struct stat st;

	if (!w)
		return -ENOMEM;
	w->by_key = true;
	w->instance = *conf->instance;
	w->scope_fd = open(conf->scope, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->scope_fd < 0 || fstat(w->scope_fd, &st) < 0 ||
		!text_copy(w->scope, sizeof(w->scope), conf->scope)) {
		who_close(w, false);
		return -EINVAL;
	}
	w->scope_id = st.st_ino;
	*out = w;
	return 0;
}

/* The directory of a cgroup by its id, wherever it is: "" if it is gone. Needs
 * CAP_DAC_READ_SEARCH. */
static void cgroup_dir(const struct who *w, uint64_t id, char *out, size_t max)
{
	struct {
		struct file_handle head;
		uint64_t id;
	} h = { .head = { .handle_bytes = sizeof(id), .handle_type = HANDLE_KERNFS } };
	char link[64];
	ssize_t n;
	int fd;

	memcpy(h.head.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(w->scope_fd, &h.head, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	out[0] = '\0';
	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, max - 1);
	out[n > 0 ? n : 0] = '\0';
	close(fd);
}

void keys_forget(struct slot *s)
{
	for (unsigned i = 0; s->key && i < s->key->nmembers; i++)
		free(s->key->members[i]);
	free(s->key);
}

const struct program *who_member(struct who *w, uint32_t actor, unsigned i)
{
	const struct key *k;

	if (!who_by_key(w))
		return i == 0 ? who_actor(w, actor) : NULL;
	k = actor < WHO_NUMBERS && w->slots[actor] ? w->slots[actor]->key : NULL;
	if (i == 0)
		return who_actor(w, actor);
	return k && i <= k->nmembers ? k->members[i - 1] : NULL;
}

void who_member_add(struct who *w, uint32_t actor, const struct program *p)
{
	struct key *k = actor < WHO_NUMBERS && w->slots[actor] ? w->slots[actor]->key : NULL;
	struct program *m = NULL;
	unsigned i = 0;

	if (!k || !p->believed)
		return;
	while (i < k->nmembers && strcmp(k->members[i]->path, p->path) != 0)
		i++;
	if (i < k->nmembers) {
		m = k->members[i];
	} else if (i == MEMBERS_MAX) {
		m = k->members[--i];
	} else {
		m = malloc(sizeof(*m));
		if (!m)
			return;
		k->nmembers++;
	}
	memmove(&k->members[1], &k->members[0], i * sizeof(m));
	k->members[0] = m;
	*m = *p;
	m->actor = actor;
	m->paths[0] = m->path;
	m->npaths = 1;
}

static void look_at(struct who *w, uint32_t actor, int32_t pid)
{
	const struct slot *s = w->slots[actor];
	struct proc_exe exe;
	struct process process;
	struct program p = { .actor = actor, .known = true, .believed = true };
	int dir = proc_open(pid);

	if (dir < 0)
		return;
	if (proc_exe(dir, &exe) == 0 && exe.believed && proc_read(dir, &process) == 0 &&
		process.uid == s->program->uid) {
		p.uid = process.uid;
		p.serial = s->program->serial;
		text_copy(p.path, sizeof(p.path), exe.path);
		who_member_add(w, actor, &p);
	}
	close(dir);
}

static void look_around(struct who *w, uint32_t actor, const char *dir)
{
	char path[PATH_MAX];
	FILE *f;
	int32_t pid;

	if (!dir[0] || snprintf(path, sizeof(path), "%s/cgroup.procs", dir) >= (int)sizeof(path))
		return;
	f = fopen(path, "re");
	if (!f)
		return;
	for (int i = 0; i < LOOKED_MAX && fscanf(f, "%d", &pid) == 1; i++)
		look_at(w, actor, pid);
	fclose(f);
}

static struct slot *slot_make(const struct who_given *key, const char *dir)
{
	struct slot *s = calloc(1, sizeof(*s));
	char below[PATH_MAX] = "";

	if (s) {
		s->program = calloc(1, sizeof(*s->program));
		s->key = calloc(1, sizeof(*s->key));
	}
	if (!s || !s->program || !s->key) {
		if (s) {
			free(s->program);
			free(s->key);
		}
		free(s);
		return NULL;
	}
	s->key->cgroup = key->cgroup;
	s->key->uid = key->uid;
	s->state = SLOT_LIVE;
	/* the same key has the same serial in every core: its flows go on */
	s->serial = (uint64_t)key->actor << 40 | (key->cgroup & 0xffffff) << 16 |
		((key->uid + 4) & 0xffff);
	s->program->actor = key->actor;
	s->program->serial = s->serial;
	s->program->uid = key->uid;
	if (!dir[0] || proc_cgroup_below(dir, below, sizeof(below)) < 0)
		text_copy(below, sizeof(below), "a cgroup that is gone");
	snprintf(s->program->path, sizeof(s->program->path), "cgroup %.700s", below);
	return s;
}

void who_keys_put(struct who *w, const struct who_given *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct who_given *k = &keys[i];
		char dir[PATH_MAX];
		struct slot *s;

		if (k->actor == ACTOR_NONE || k->actor > ACTOR_MAX)
			continue;
		s = w->slots[k->actor];
		if (s && s->key->cgroup == k->cgroup && s->key->uid == k->uid)
			continue;
		identity_forget(w, k->actor);
		cgroup_dir(w, k->cgroup, dir, sizeof(dir));
		s = slot_make(k, dir);
		if (!s)
			continue;
		w->slots[k->actor] = s;
		if (k->uid != UINT32_MAX)
			look_around(w, k->actor, dir);
		if (w->calls.actor_new)
			w->calls.actor_new(w->calls.ctx, s->program);
	}
}

/* a number that a packet brought and nobody told us of yet */
struct slot *keys_meet(struct who *w, uint32_t n)
{
	if (n > ACTOR_MAX || n == ACTOR_NONE)
		return NULL;
	if (!w->slots[n] && w->calls.look)
		w->calls.look(w->calls.ctx);
	return w->slots[n];
}

/* what the table must hold again when it is made anew: how many were written */
size_t who_keys(const struct who *w, struct who_given *out, size_t max)
{
	size_t n = 0;

	for (uint32_t a = 1; who_by_key(w) && a <= ACTOR_MAX && n < max; a++)
		if (w->slots[a])
			out[n++] = (struct who_given){ a, w->slots[a]->key->uid,
				w->slots[a]->key->cgroup };
	return n;
}
