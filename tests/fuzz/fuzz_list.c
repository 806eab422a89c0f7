/* SPDX-License-Identifier: GPL-2.0-or-later
 * a list's text from anybody, in each format: what compiles is a file that opens, and no
 * name is in it that was not given */
#include "rules/listfile.h"
#include "rules/listmake.h"
#include "rules/listread.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int on_word(void *ctx, const struct list_word *w)
{
	char again[HOST_MAX];

	assert(w->says && !(w->says & (unsigned)~LIST_SAYS));
	if (w->name[0]) {
		assert(host_parse(w->name, again) == 0 && strcmp(again, w->name) == 0);
		if (w->says & LIST_SELF)
			*(bool *)ctx = true;
	} else {
		assert(addr_cmp(&w->lo, &w->hi) <= 0 && w->lo.family == w->hi.family);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	for (unsigned f = LIST_AUTO; f <= LIST_CIDR; f++) {
		struct list_info about = { .format = f };
		struct list_seen seen;
		bool self = false;
		struct list *l;
		void *file;
		size_t n;

		assert(list_read((const char *)bytes, len, (enum list_format)f, on_word, &self,
			&seen) == 0);
		if (list_make((const char *)bytes, len, 12345, &about, &file, &n) < 0) {
			assert(!self);
			continue;
		}
		assert(list_open(file, n, NULL, &l) == 0);
		list_find_name(l, "a.test", NULL);
		list_unref(l);
		free(file);
	}
	return 0;
}
