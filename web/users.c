/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/users.h"
#include "base/text.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

struct user {
	uint32_t uid;
	char name[USERS_NAME_MAX];
};

struct users {
	size_t n;
	struct user at[]; /* by uid; the first of several for one uid */
};

static int by_uid(const void *a, const void *b)
{
	const struct user *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

int users_load(const char *path, struct users **out)
{
	struct users *u = calloc(1, sizeof(*u) + USERS_MAX * sizeof(u->at[0])), *fit;
	FILE *f = fopen(path, "re");
	struct passwd *p;

	if (!u || !f) {
		int r = u ? -errno : -ENOMEM;

		free(u);
		if (f)
			fclose(f);
		return r;
	}
	while (u->n < USERS_MAX && (p = fgetpwent(f))) {
		u->at[u->n].uid = p->pw_uid;
		text_copy(u->at[u->n].name, USERS_NAME_MAX, p->pw_name);
		u->n++;
	}
	fclose(f);
	qsort(u->at, u->n, sizeof(u->at[0]), by_uid);
	fit = realloc(u, sizeof(*u) + u->n * sizeof(u->at[0]));
	*out = fit ? fit : u;
	return 0;
}

void users_free(struct users *u)
{
	free(u);
}

const char *users_name(const struct users *u, uint32_t uid)
{
	struct user key = { .uid = uid };
	const struct user *found;

	if (!u)
		return NULL;
	found = bsearch(&key, u->at, u->n, sizeof(u->at[0]), by_uid);
	return found ? found->name : NULL;
}
