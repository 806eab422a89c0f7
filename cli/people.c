/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/people.h"
#include "base/log.h"
#include "cli/conf.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_uid(struct people_list *to, uint32_t uid)
{
	if (to->n < PEOPLE_MAX)
		to->uids[to->n++] = uid;
	else
		log_warning("more than %d users for the dashboard: uid %u is left out",
			PEOPLE_MAX, uid);
}

static void add_name(struct people_list *to, const char *key, const char *name)
{
	const struct passwd *pw = getpwnam(name);
	char *end;
	unsigned long v = strtoul(name, &end, 10);

	if (pw)
		add_uid(to, pw->pw_uid);
	else if (*end || end == name || v >= UINT32_MAX)
		log_warning("%s in [web]: there is no user %s", key, name);
	else
		add_uid(to, (uint32_t)v);
}

static void add_list(struct people_list *to, const char *key, const char *names, bool *all)
{
	char list[512], *save = NULL;

	snprintf(list, sizeof(list), "%s", names);
	for (char *u = strtok_r(list, " ,", &save); u; u = strtok_r(NULL, " ,", &save)) {
		if (all && strcmp(u, "*") == 0)
			*all = true;
		else
			add_name(to, key, u);
	}
}

static void add_members(struct people_list *to, const char *name)
{
	const struct group *g = getgrnam(name);
	gid_t gid = g ? g->gr_gid : 0;
	struct passwd *pw;
	FILE *f;

	for (char **m = g ? g->gr_mem : NULL; m && *m; m++)
		add_name(to, "group=", *m);
	f = g ? fopen("/etc/passwd", "re") : NULL;
	while (f && (pw = fgetpwent(f)))
		if (pw->pw_gid == gid)
			add_uid(to, pw->pw_uid);
	if (f)
		fclose(f);
}

void people_find(const struct conf *c, struct people *out)
{
	memset(out, 0, sizeof(*out));
	add_members(&out->admins, c->group);
	add_list(&out->admins, "users=", c->users, NULL);
	add_list(&out->readers, "readers=", c->readers, &out->all_read);
}
