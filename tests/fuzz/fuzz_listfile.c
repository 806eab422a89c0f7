/* SPDX-License-Identifier: GPL-2.0-or-later
 * a compiled list, damaged anyhow: refused, or whole. The sum is set right first, so that
 * what stands behind it is tried too. */
#include "rules/listfile.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void ask(struct list *l)
{
	struct list_entry e;
	struct addr a;

	list_find_name(l, "x.a.test", &e);
	list_find_name(l, "test", &e);
	addr_parse("192.0.2.1", &a);
	list_find_addr(l, &a, &e);
	addr_parse("2001:db8::1", &a);
	list_find_addr(l, &a, &e);
	list_unref(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct listfile_head h;
	struct list *l;

	if (!copy)
		return 0;
	if (len)
		memcpy(copy, bytes, len);
	if (list_open(copy, len, NULL, &l) == 0)
		ask(l);
	if (len >= sizeof(h)) {
		memcpy(&h, copy, sizeof(h));
		h.sum = 0;
		h.sum = listfile_sum(&h, sizeof(h)) * 31 +
			listfile_sum(copy + sizeof(h), len - sizeof(h));
		memcpy(copy, &h, sizeof(h));
		if (list_open(copy, len, NULL, &l) == 0)
			ask(l);
	}
	free(copy);
	return 0;
}
