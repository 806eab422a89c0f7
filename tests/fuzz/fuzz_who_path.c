/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the kernel programs hand over of a program's own choosing: file names, arguments,
 * and the loader's log. Input: flags, length (little-endian), then the bytes. */
#include "who/state.h"

#include "base/macros.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void path(const uint8_t *data, size_t size)
{
	struct who_path p = { 0 };
	char out[PROGRAM_PATH_MAX], small[5];

	p.flags = data[0];
	p.len = (uint32_t)(data[1] | data[2] << 8); /* not the length of what follows */
	memcpy(p.names, data + 3, MIN(size - 3, sizeof(p.names)));
	path_build(&p, out, sizeof(out));
	assert(strlen(out) < sizeof(out) && (out[0] == '\0' || out[0] == '/'));
	path_show(&p, p.flags >> 7, out, sizeof(out));
	assert(out[0]);
	path_show(&p, true, small, sizeof(small));
	assert(strlen(small) < sizeof(small));
}

static void args(const uint8_t *data, size_t size)
{
	size_t len = MIN(size, (size_t)WHO_ARGS_MAX);
	char *exact = malloc(len + !len), out[WHO_ARGS_MAX]; /* so that a read beyond is seen */

	if (!exact)
		return;
	memcpy(exact, data, len);
	path_args(exact, len, out, sizeof(out));
	for (const char *c = out; *c; c++)
		assert((unsigned char)*c >= 0x20);
	free(exact);
}

static void reason(const uint8_t *data, size_t size)
{
	char *log = malloc(size + 1), out[64];

	if (!log)
		return;
	memcpy(log, data, size);
	log[size] = '\0';
	path_load_reason(log, out, sizeof(out));
	assert(strlen(out) < sizeof(out));
	free(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	path(data, size);
	args(data, size);
	reason(data, size);
	return 0;
}
