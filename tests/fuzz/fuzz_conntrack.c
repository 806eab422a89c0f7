/* SPDX-License-Identifier: GPL-2.0-or-later
 * The kernel's conntrack and NFLOG messages, one after another as in one datagram; each
 * entry read is turned into a request to delete it, as take-back does. */
#include "nft/ask.h"
#include "nft/ctentry.h"
#include "nft/nflogmsg.h"

#include <assert.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct instance main_one = { .name = "main", .magic = INSTANCE_MAGIC_MAIN };

static int on_message(const struct nlmsghdr *message, void *data)
{
	_Alignas(struct nlmsghdr) char request[ASK_REQUEST_MAX];
	struct nflog_packet packet;
	struct ct_entry entry;
	struct ct_flow flow;

	(void)data;
	if (ct_entry_read(message, &entry) == 0) {
		assert(ct_entry_put_delete(request, &entry)->nlmsg_len <= sizeof(request));
		if (ct_entry_flow(&entry, &main_one, &flow))
			assert(flow.actor <= ACTOR_MASK);
	}
	if (nflog_read(message, &main_one, &packet) == 0)
		assert(memchr(packet.why, '\0', sizeof(packet.why)));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	void *aligned = malloc(len ? len : 1); /* as a receive buffer is */

	if (!aligned)
		return 0;
	memcpy(aligned, bytes, len);
	ask_walk(aligned, len, on_message, NULL);
	free(aligned);
	return 0;
}
