/* SPDX-License-Identifier: GPL-2.0-or-later
 * The cache's file, which anybody may have put there: as it is, and with its sum made right,
 * so that what is behind it is read too. What is read is written again. */
#include "base/macros.h"
#include "base/sha256.h"
#include "resolver/cachefile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(bool good)
{
	if (!good)
		abort();
}

static void read_it(const uint8_t *bytes, size_t len)
{
	const struct cachefile_now now = { 7, 1000000, 5000 };
	const struct ttl_limits limits = { 5, 86400, 3600 };
	struct cache_kept *list;
	uint8_t *again;
	const char *why;
	size_t n, size;

	if (cachefile_read(bytes, len, &now, &limits, &list, &n, &why) < 0) {
		check(why != NULL);
		return;
	}
	for (size_t i = 0; i < n; i++)
		check(list[i].stored_ms <= now.boot_ms);
	check(cachefile_write(list, n, &now, &again, &size) == 0 && size <= CACHEFILE_MAX);
	free(again);
	cachefile_free(list, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	auto_free uint8_t *sealed = malloc(len + SHA256_LEN);

	read_it(bytes, len);
	check(sealed != NULL);
	memcpy(sealed, bytes, len);
	check(sha256(sealed, len, sealed + len) == 0);
	read_it(sealed, len + SHA256_LEN);
	return 0;
}
