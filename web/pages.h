/* SPDX-License-Identifier: GPL-2.0-or-later
 * pages.h - the dashboard's files, read into memory while files can still be opened. */
#ifndef WEB_PAGES_H
#define WEB_PAGES_H

#include <stdbool.h>
#include <stddef.h>

enum { PAGES_MAX = 200, PAGES_BYTES_MAX = 8 << 20, PAGES_ETAG_MAX = 72 };

struct pages;
struct page {
	char path[200]; /* as asked for: "/", "/assets/x.js" */
	const char *type;
	char etag[PAGES_ETAG_MAX], packed_etag[PAGES_ETAG_MAX]; /* strong: other bytes, another tag */
	char *bytes, *packed; /* packed: gzip, or NULL */
	size_t len, packed_len;
	bool lasting;         /* its name changes with what it holds */
};

int pages_load(const char *dir, struct pages **out); /* -errno; too much: -E2BIG */
void pages_free(struct pages *p);                    /* NULL is fine */
const struct page *pages_find(const struct pages *p, const char *path); /* p may be NULL */

#endif
