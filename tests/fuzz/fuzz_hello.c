/* SPDX-License-Identifier: GPL-2.0-or-later
 * What a client says first: however the bytes are cut, the same is heard. */
#include "gate/hello.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void names(const uint8_t *bytes, size_t len)
{
	struct hello first, again;
	size_t step = len / 64 + 1;
	bool heard = false;

	for (size_t n = 0; n <= len; n += n + step > len && n < len ? len - n : step) {
		if (hello_read(bytes, n, heard ? &again : &first) < 0) {
			if (heard)
				abort(); /* it was final */
			continue;
		}
		if (heard && (first.kind != again.kind || strcmp(first.name, again.name) != 0))
			abort();
		heard = true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	names(bytes, len);
	return 0;
}
