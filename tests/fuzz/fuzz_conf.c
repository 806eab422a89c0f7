/* SPDX-License-Identifier: GPL-2.0-or-later
 * the configuration reader: any bytes, and on failure the struct stays as it was */
#include "cli/conf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct conf before, after;
	struct conf_error err;

	conf_default(&before);
	after = before;
	if (conf_parse((const char *)bytes, len, &after, &err) < 0) {
		if (memcmp(&before, &after, sizeof(before)) != 0 || err.line == 0)
			abort();
	} else if (after.nlisten > CONF_LISTEN_MAX || after.nupstreams > CONF_UPSTREAMS_MAX) {
		abort();
	}
	return 0;
}
