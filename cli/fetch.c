/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/fetch.h"
#include "base/macros.h"
#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_S = 20, WHOLE_S = 300, REDIRECTS = 5 };

struct got {
	char *text;
	size_t len, room, max;
	struct list_info *about; /* of the last answer */
};

static size_t on_bytes(char *bytes, size_t one, size_t n, void *ctx)
{
	struct got *g = ctx;

	(void)one;
	if (n > g->max - g->len)
		return 0; /* curl ends with CURLE_WRITE_ERROR */
	if (g->len + n + 1 > g->room) {
		size_t room = MAX(2 * g->room, g->len + n + 1);
		char *text = realloc(g->text, room);

		if (!text)
			return 0;
		g->text = text;
		g->room = room;
	}
	memcpy(g->text + g->len, bytes, n);
	g->len += n;
	return n;
}

/* a tag that does not fit is none */
static void take(const char *line, size_t n, const char *name, char out[static LIST_TAG_MAX])
{
	size_t skip = strlen(name);

	if (n < skip || strncasecmp(line, name, skip) != 0)
		return;
	while (skip < n && (line[skip] == ' ' || line[skip] == '\t'))
		skip++;
	while (n > skip && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	out[0] = '\0';
	if (n - skip >= LIST_TAG_MAX)
		return;
	memcpy(out, line + skip, n - skip);
	out[n - skip] = '\0';
}

static size_t on_header(char *line, size_t one, size_t n, void *ctx)
{
	struct got *g = ctx;

	(void)one;
	if (n > 5 && strncmp(line, "HTTP/", 5) == 0)
		g->about->etag[0] = g->about->modified[0] = '\0';
	take(line, n, "etag:", g->about->etag);
	take(line, n, "last-modified:", g->about->modified);
	return n;
}

static struct curl_slist *conditions(const struct list_info *about)
{
	char line[LIST_TAG_MAX + 32];
	struct curl_slist *all = NULL;

	if (about->etag[0]) {
		snprintf(line, sizeof(line), "If-None-Match: %s", about->etag);
		all = curl_slist_append(all, line);
	}
	if (about->modified[0]) {
		snprintf(line, sizeof(line), "If-Modified-Since: %s", about->modified);
		all = curl_slist_append(all, line);
	}
	return all;
}

static void set_up(CURL *c, const char *url, struct got *g, char *error)
{
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)WHOLE_S);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(c, CURLOPT_USERAGENT, "scupper/" PACKAGE_VERSION);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, g);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, g);
}

static int judge(CURL *c, CURLcode code, const struct got *g, const char *error, char *why,
	size_t why_max)
{
	long status = 0;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_WRITE_ERROR) {
		snprintf(why, why_max, "it is larger than %zu bytes (see --max-size)", g->max);
		return -EFBIG;
	}
	if (code != CURLE_OK) {
		snprintf(why, why_max, "%s", error[0] ? error : curl_easy_strerror(code));
		return -EIO;
	}
	if (status == 200 || status == 304)
		return status == 304;
	snprintf(why, why_max, "the server answered %ld", status);
	return -EIO;
}

int fetch_url(const char *url, size_t max, struct list_info *about, struct fetched *out,
	char *why, size_t why_max)
{
	char error[CURL_ERROR_SIZE] = "";
	struct list_info told = *about;
	struct got g = { .max = max, .about = &told };
	struct curl_slist *lines = conditions(about);
	CURL *c = curl_easy_init();
	int r = -ENOMEM;

	if (c) {
		set_up(c, url, &g, error);
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, lines);
		r = judge(c, curl_easy_perform(c), &g, error, why, why_max);
	}
	curl_slist_free_all(lines);
	curl_easy_cleanup(c);
	if (r < 0) {
		free(g.text);
		return r;
	}
	if (r == 0)
		*about = told;
	*out = (struct fetched){ .text = g.text, .len = g.len, .unchanged = r == 1 };
	return 0;
}
