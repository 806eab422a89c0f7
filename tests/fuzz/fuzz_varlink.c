/* SPDX-License-Identifier: GPL-2.0-or-later
 * Messages of UNIX clients: JSON as it is read, the call in it, and what is written back. */
#include "base/macros.h"
#include "resolver/varjson.h"
#include "resolver/varcall.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(bool good)
{
	if (!good)
		abort();
}

/* whatever is written must be JSON again */
static void check_written(const struct text *t, const char *written)
{
	struct varjson again;

	if (!t->cut)
		check(varjson_open(written, strlen(written), &again) == 0);
}

static void try_call(const char *text, size_t len)
{
	static char out[1 << 16];
	const struct varlink_part none = { .error = -ETIMEDOUT };
	struct varlink_error err = { 0 };
	struct varlink_call call;
	struct text t = text_into(out, sizeof(out));
	int r = varlink_call_read(text, len, &call, &err);

	if (r == -EBADMSG)
		return;
	if (r == 1)
		varlink_error_write(&t, &err);
	else if (call.method == VARLINK_DESCRIPTION)
		varlink_description_write(&t, &call);
	else if (call.method == VARLINK_INFO)
		varlink_info_write(&t, "1");
	else
		varlink_answer_write(&t, &call, &none, 1);
	check_written(&t, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *exact = malloc(len ? len : 1);

	if (!exact)
		return 0;
	memcpy(exact, bytes, len);
	try_call(exact, len);
	free(exact);
	return 0;
}
