/* SPDX-License-Identifier: GPL-2.0-or-later
 * The requests of one plain HTTP connection, and an answer: however the bytes are cut, the
 * same hosts are heard and as much goes. */
#include "gate/httpstream.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

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

static void same(const struct seen *a, const struct seen *b)
{
	if (a->heads != b->heads || a->gone != b->gone || strcmp(a->last, b->last) != 0 ||
		(a->event == HTTP_BAD) != (b->event == HTTP_BAD))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const size_t most_cuts = 1000; /* each is a pass over a head's beginning */
	struct seen whole = stream(bytes, len, len), cut;
	int status = http_answer_status(bytes, len);

	cut = stream(bytes, len, len / 50 + 1);
	same(&whole, &cut);
	if (len <= most_cuts) {
		cut = stream(bytes, len, 1);
		same(&whole, &cut);
	}
	/* an answer whose status is told keeps it */
	for (size_t n = 0; n < len && n < most_cuts; n++) {
		int early = http_answer_status(bytes, n);

		if (early != 0 && early != status)
			abort();
	}
	return 0;
}
