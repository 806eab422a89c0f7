/* SPDX-License-Identifier: GPL-2.0-or-later
 * Replies of NETLINK_SOCK_DIAG: any bytes. Host order, so the corpus is of little-endian
 * machines; elsewhere it is just other garbage. */
#include "who/sockdiag.h"

#include <assert.h>
#include <netinet/in.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct cur c = cur_over(bytes, len);
	struct sockdiag_reply r;
	size_t messages = 0;

	while (sockdiag_next(&c, IPPROTO_TCP, &r) > 0) {
		uint8_t request[SOCKDIAG_REQUEST_MAX];

		messages++;
		assert(r.error <= 0);
		if (r.kind != SOCKDIAG_SOCKET)
			continue;
		/* what came in may be asked for and ended again */
		assert(sockdiag_destroy(request, 1, &r.id) <= SOCKDIAG_REQUEST_MAX);
		assert(sockdiag_find(request, 1, &r.tuple) <= SOCKDIAG_REQUEST_MAX);
		assert(r.has_traffic || (r.traffic.rx == 0 && r.traffic.tx == 0));
	}
	assert(messages <= len / 16);
	return 0;
}
