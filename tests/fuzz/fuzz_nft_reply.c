/* SPDX-License-Identifier: GPL-2.0-or-later
 * What nf_tables answers: any bytes. The first byte chooses the set that is dumped. Host
 * order, so the corpus is of little-endian machines; elsewhere it is other garbage. */
#include "base/macros.h"
#include "nft/net.h"
#include "nft/owner.h"
#include "nft/set.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct instance instance = { .name = "main", .magic = INSTANCE_MAGIC_MAIN };

/* what was read may be written again */
static int on_element(void *ctx, const struct nft_element *el)
{
	uint8_t key[SET_KEY_MAX], data[SET_USERDATA_MAX];
	enum set_id id = *(enum set_id *)ctx, again;

	assert(set_of(el, &again) == 0 && again == id);
	assert(set_key(&instance, id, el, key) == set_defs[id].key_len);
	assert(set_userdata(el, data) <= sizeof(data));
	assert(memchr(el->name, 0, sizeof(el->name)));
	return 0;
}

static void read_messages(const void *bytes, size_t len, enum set_id id)
{
	const struct nlmsghdr *m;
	size_t at = 0;

	while ((m = reply_next(bytes, len, &at))) {
		struct table_state t = { 0 };

		if (owner_read(m, &t) == 0)
			assert(memchr(t.comment, 0, sizeof(t.comment)));
		set_read(m, &instance, id, on_element, &id);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct reply reply = { .first = 0xfffffff0, .last = 5 }; /* numbers wrap around */
	auto_free uint8_t *aligned = NULL;

	if (len == 0)
		return 0;
	aligned = malloc(len); /* a receive buffer is */
	if (!aligned)
		return 0;
	memcpy(aligned, bytes + 1, len - 1);
	reply_read(&reply, aligned, len - 1);
	assert(reply.error <= 0);
	read_messages(aligned, len - 1, bytes[0] % SET_ELEMENTS);
	return 0;
}
