/* SPDX-License-Identifier: GPL-2.0-or-later
 * a database from anybody: what opens answers or refuses, for every address */
#include "geo/tag.h"
#include "base/io.h"
#include "base/macros.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	auto_close int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct addr a = { .family = 4 };
	struct mmdb db;

	assert(fd >= 0 && io_write_all(fd, bytes, len) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	if (mmdb_open(fd, len, &db) < 0)
		return 0;
	for (unsigned i = 0; i < 64; i++) {
		struct geo_tag tag = { 0 };
		int r;

		/* addresses of the file's own bytes reach more of it than fixed ones */
		a.family = i % 2 ? 4 : 6;
		memset(a.b, 0, sizeof(a.b));
		memcpy(a.b, bytes + (i * len / 64), MIN((size_t)4, len - i * len / 64));
		r = tag_read(&db, &a, &tag);
		assert(r == 0 || r == -ENOENT || r == -EBADMSG);
		assert(!tag.country[0] || strlen(tag.country) == 2);
		assert(memchr(tag.as_name, '\0', sizeof(tag.as_name)));
	}
	mmdb_close(&db);
	return 0;
}
