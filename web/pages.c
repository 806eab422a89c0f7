/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/pages.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/sha256.h"
#include "web/assets.h"
#include "web/session.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pages {
	unsigned n;
	size_t bytes;
	struct page at[PAGES_MAX];
};

static const char *type_of(const char *name)
{
	static const char *const types[][2] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".json", "application/json" },
		{ ".webmanifest", "application/manifest+json" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" },
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(types); i++) {
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	}
	return "application/octet-stream";
}

static int read_bytes(struct pages *p, const char *path, char **out, size_t *len)
{
	int r = io_read_file(path, PAGES_BYTES_MAX - p->bytes, out, len);

	if (r == 0)
		p->bytes += *len;
	return r;
}

static int make_etag(const char *bytes, size_t len, char out[static PAGES_ETAG_MAX])
{
	uint8_t hash[SHA256_LEN];
	char text[SESSION_TEXT];
	int r = sha256(bytes, len, hash);

	if (r < 0)
		return r;
	session_text(hash, text);
	snprintf(out, PAGES_ETAG_MAX, "\"%s\"", text);
	return 0;
}

static int load_file(struct pages *p, const char *dir, const char *below, const char *name)
{
	char file[600], packed[610];
	struct page *page = &p->at[p->n];
	int r;

	if (p->n == PAGES_MAX)
		return -E2BIG;
	if (snprintf(file, sizeof(file), "%s%s/%s", dir, below, name) >= (int)sizeof(file) ||
		snprintf(page->path, sizeof(page->path), "%s/%s", below, name) >=
			(int)sizeof(page->path))
		return -ENAMETOOLONG;
	r = read_bytes(p, file, &page->bytes, &page->len);
	if (r < 0)
		return r;
	p->n++;
	snprintf(packed, sizeof(packed), "%s.gz", file);
	if (read_bytes(p, packed, &page->packed, &page->packed_len) < 0)
		page->packed = NULL;
	if (strcmp(page->path, "/index.html") == 0)
		strcpy(page->path, "/");
	page->type = type_of(name);
	page->lasting = assets_lasting(page->path);
	r = make_etag(page->bytes, page->len, page->etag);
	if (r == 0 && page->packed)
		r = make_etag(page->packed, page->packed_len, page->packed_etag);
	return r;
}

/* one folder; what is packed comes with its plain file */
static int load_folder(struct pages *p, const char *dir, const char *below)
{
	char path[600];
	struct dirent *e;
	DIR *d;
	int r = 0;

	snprintf(path, sizeof(path), "%s%s", dir, below);
	d = opendir(path);
	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');

		if (e->d_type == DT_REG && e->d_name[0] != '.' && dot &&
			strcmp(dot, ".gz") != 0)
			r = load_file(p, dir, below, e->d_name);
	}
	closedir(d);
	return r;
}

int pages_load(const char *dir, struct pages **out)
{
	struct pages *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = load_folder(p, dir, "");
	if (r == 0) {
		r = load_folder(p, dir, "/assets");
		if (r == -ENOENT)
			r = 0;
	}
	if (r < 0) {
		pages_free(p);
		return r;
	}
	*out = p;
	return 0;
}

void pages_free(struct pages *p)
{
	for (unsigned i = 0; p && i < p->n; i++) {
		free(p->at[i].bytes);
		free(p->at[i].packed);
	}
	free(p);
}

const struct page *pages_find(const struct pages *p, const char *path)
{
	for (unsigned i = 0; p && i < p->n; i++) {
		if (strcmp(p->at[i].path, path) == 0)
			return &p->at[i];
	}
	return NULL;
}
