/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/assets.h"
#include "base/macros.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { HASH_LEN = 8 };

/* the weight of one coding: "gzip;q=0.5" is not zero */
static bool wanted(const char *coding, size_t len)
{
	const char *q = memchr(coding, ';', len);

	if (!q)
		return true;
	q += 1 + strspn(q + 1, " \t");
	if (strncasecmp(q, "q=0", 3) != 0)
		return true;
	q += 3;
	if (*q == '.')
		q++;
	q += strspn(q, "0");
	return isdigit((unsigned char)*q);
}

static bool is_coding(const char *s, size_t len, const char *name)
{
	size_t n = strcspn(s, "; \t,");

	return n <= len && n == strlen(name) && strncasecmp(s, name, n) == 0;
}

bool assets_takes_gzip(const char *accept)
{
	bool any = false;

	while (accept && *accept) {
		size_t len;

		accept += strspn(accept, ", \t");
		len = strcspn(accept, ",");
		if (is_coding(accept, len, "gzip") || is_coding(accept, len, "x-gzip"))
			return wanted(accept, len);
		if (is_coding(accept, len, "*"))
			any = wanted(accept, len);
		accept += len;
	}
	return any;
}

bool assets_has(const char *none_match, const char *etag)
{
	size_t want = strlen(etag);

	while (none_match && *none_match) {
		size_t len;

		none_match += strspn(none_match, ", \t");
		if (*none_match == '*')
			return true;
		if (strncmp(none_match, "W/", 2) == 0)
			none_match += 2;
		len = strcspn(none_match, ", \t");
		if (len == want && strncmp(none_match, etag, len) == 0)
			return true;
		none_match += len;
	}
	return false;
}

bool assets_lasting(const char *path)
{
	static const char folder[] = "/assets/";
	const char *dot = strrchr(path, '.');
	size_t len = dot ? (size_t)(dot - path) : 0;

	if (strncmp(path, folder, strlen(folder)) != 0 || len < strlen(folder) + HASH_LEN + 2 ||
		dot[-HASH_LEN - 1] != '-')
		return false;
	for (const char *c = dot - HASH_LEN; c < dot; c++) {
		if (!isupper((unsigned char)*c) && !isdigit((unsigned char)*c))
			return false;
	}
	return true;
}
