/* SPDX-License-Identifier: GPL-2.0-or-later
 * fetch.h - a list's text, from a file or an URL. For a process that has no rights left. */
#ifndef CLI_FETCH_H
#define CLI_FETCH_H

#include "rules/list.h"

struct fetched {
	char *text;            /* owned; NULL where unchanged */
	size_t len;
	bool unchanged;        /* the server says that what we have is still it */
};

/* http and https only, redirects too; about's etag and modified say what we have and are
 * set to what came. 0, or -errno with a sentence in why */
int fetch_url(const char *url, size_t max, struct list_info *about, struct fetched *out,
	char *why, size_t why_max);

#endif
