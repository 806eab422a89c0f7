/* SPDX-License-Identifier: GPL-2.0-or-later
 * user.c - a user's number by name. The one file here that asks the system: it reads
 * /etc/passwd through NSS and may block, so a ruleset can be given another way
 * (ruleset_users). */
#include "rules/rules.h"

#include <errno.h>
#include <pwd.h>
#include <unistd.h>

int rules_system_user(const char *name, uint32_t *uid)
{
	char buf[4096];
	struct passwd pw, *found;
	int r = getpwnam_r(name, &pw, buf, sizeof(buf), &found);

	if (r)
		return -r;
	if (!found)
		return -ENOENT;
	*uid = pw.pw_uid;
	return 0;
}
