/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who/proc.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* what follows the prefix on the first line that starts with it, or NULL */
static const char *line_with(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	while (text) {
		if (strncmp(text, prefix, n) == 0)
			return text + n;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return NULL;
}

static int number(const char **s, unsigned long long *out)
{
	char *end;
	unsigned long long v;

	if (**s < '0' || **s > '9')
		return -EBADMSG;
	errno = 0;
	v = strtoull(*s, &end, 10);
	if (errno)
		return -EBADMSG;
	*s = end;
	*out = v;
	return 0;
}

/* "PID (comm) S PPID ..."; comm may hold blanks, newlines and ')': the last one counts */
int proc_parse_stat(const char *text, int32_t *parent, uint64_t *start_ticks)
{
	const char *at = strrchr(text, ')');
	unsigned long long ppid = 0, start = 0;

	for (int field = 2; field < 22; field++) {
		at = at ? strchr(at, ' ') : NULL;
		if (!at)
			return -EBADMSG;
		at++;
		if (field == 3 && number(&at, &ppid) < 0)
			return -EBADMSG;
	}
	if (number(&at, &start) < 0 || ppid > INT32_MAX)
		return -EBADMSG;
	*parent = (int32_t)ppid;
	*start_ticks = start;
	return 0;
}

int proc_parse_uid(const char *status, uint32_t *uid)
{
	const char *at = line_with(status, "Uid:");
	unsigned long long v;

	if (!at)
		return -EBADMSG;
	at += strspn(at, " \t");
	if (number(&at, &v) < 0 || v > UINT32_MAX)
		return -EBADMSG;
	*uid = (uint32_t)v;
	return 0;
}

int proc_parse_cgroup(const char *text, char *out, size_t max)
{
	static const char gone[] = " (deleted)";
	const char *at = line_with(text, "0::");
	struct text t = text_into(out, max);
	size_t n;

	if (!at)
		return -ENOENT;
	n = strcspn(at, "\n");
	if (n >= sizeof(gone) && strncmp(at + n - (sizeof(gone) - 1), gone,
		sizeof(gone) - 1) == 0)
		n -= sizeof(gone) - 1;
	text_addn(&t, at, n);
	return 0;
}

bool proc_parse_socket(const char *link, uint32_t *inode)
{
	unsigned long long v;

	if (strncmp(link, "socket:[", 8) != 0)
		return false;
	link += 8;
	if (number(&link, &v) < 0 || strcmp(link, "]") != 0 || v > UINT32_MAX)
		return false;
	*inode = (uint32_t)v;
	return true;
}

bool proc_cgroup_in(const char *p, const char *scope)
{
	size_t n = strlen(scope);

	while (n && scope[n - 1] == '/')
		n--;
	return strncmp(p, scope, n) == 0 && (p[n] == '\0' || p[n] == '/');
}
