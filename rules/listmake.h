/* SPDX-License-Identifier: GPL-2.0-or-later
 * listmake.h - a list's text compiled into its file. Pure; never in the core: a big list
 * takes a second and a hundred megabytes.
 * Errors: 0 or -errno. -ENODATA: not one name or address in it; -E2BIG: too many. */
#ifndef RULES_LISTMAKE_H
#define RULES_LISTMAKE_H

#include "rules/list.h"

/* point: 61 random bits, new ones for each file. about: source, etag, modified, made_s and
 * format are taken from it. *out is the caller's to free */
int list_make(const char *text, size_t len, uint64_t point, const struct list_info *about,
	void **out, size_t *out_len);

#endif
