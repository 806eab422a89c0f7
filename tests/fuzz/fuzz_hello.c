/* SPDX-License-Identifier: GPL-2.0-or-later
 * What a client says first, and the requests that follow: however the bytes are cut, the
 * same is heard and the same goes. */
#include "gate/httpstream.h"

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

struct seen {
	size_t gone;
	unsigned heads;
	char last[HOST_MAX];
	enum http_event event;
};

static struct seen stream(const uint8_t *bytes, size_t len, size_t each)
{
	struct http_stream s = { 0 };
	struct seen out = { .event = HTTP_MORE };
	size_t at = 0;

	for (;;) {
		size_t n = http_stream_read(&s, bytes + out.gone, at - out.gone, &out.event);

		if (n > at - out.gone)
			abort();
		out.gone += n;
		if (out.event == HTTP_HEAD) {
			out.heads++;
			memcpy(out.last, s.host, sizeof(out.last));
			http_stream_pass(&s);
		} else if (out.event == HTTP_SWITCH) {
			http_stream_go_on(&s);
		} else if (out.event == HTTP_BAD || at == len) {
			return out;
		} else {
			at = at + each > len ? len : at + each;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct seen whole, cut;

	names(bytes, len);
	http_answer_status(bytes, len);
	whole = stream(bytes, len, len);
	cut = stream(bytes, len, len / 50 + 1);
	if (whole.heads != cut.heads || strcmp(whole.last, cut.last) != 0 ||
		(whole.event == HTTP_BAD) != (cut.event == HTTP_BAD))
		abort();
	return 0;
}
