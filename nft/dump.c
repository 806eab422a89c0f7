/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/dump.h"

#include "base/macros.h"
#include "nft/net.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

enum {
	TRIES = 8,
	ELEMENTS_MAX = 1 << 20, /* the sets' own sizes together are below this */
};

struct dump {
	const struct instance *instance;
	enum set_id id;
	struct nft_element *els;
	size_t n, room;
};

static int keep(void *ctx, const struct nft_element *el)
{
	struct dump *d = ctx;

	if (d->n == d->room) {
		size_t room = d->room ? d->room * 2 : 256;
		struct nft_element *els = room <= ELEMENTS_MAX ?
			realloc(d->els, room * sizeof(*els)) : NULL;

		if (!els)
			return -ENOMEM;
		d->els = els;
		d->room = room;
	}
	d->els[d->n++] = *el;
	return 0;
}

static int on_message(const struct nlmsghdr *m, void *ctx)
{
	struct dump *d = ctx;

	return set_read(m, d->instance, d->id, keep, d);
}

static int dump_set(int fd, struct dump *d)
{
	_Alignas(struct nlmsghdr) char bytes[256];
	char table[INSTANCE_TABLE_MAX];
	size_t before = d->n;
	int r = -EAGAIN;

	instance_table(d->instance, table);
	for (unsigned i = 0; i < TRIES && r == -EAGAIN; i++) {
		struct nlmsghdr *m = nftnl_nlmsg_build_hdr(bytes, NFT_MSG_GETSETELEM,
			NFPROTO_INET, NLM_F_REQUEST | NLM_F_DUMP, i + 1);

		mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, table);
		mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set_defs[d->id].name);
		d->n = before; /* what an interrupted dump gave is not whole */
		r = net_ask(fd, m, on_message, d);
	}
	return r;
}

static int dump_sets(int fd, const struct instance *i, bool timed_only,
	struct nft_element **out, size_t *n)
{
	struct dump d = { .instance = i };
	int r = 0;

	for (unsigned id = 0; id < SET_ELEMENTS && r == 0; id++) {
		d.id = id;
		if (!timed_only || set_defs[id].timed || id == SET_NUMBERS)
			r = dump_set(fd, &d);
	}
	if (r < 0) {
		free(d.els);
		return r;
	}
	*out = d.els;
	*n = d.n;
	return 0;
}

int dump_timed(int fd, const struct instance *i, struct nft_element **out, size_t *n)
{
	return dump_sets(fd, i, true, out, n);
}

int dump_all(int fd, const struct instance *i, struct nft_element **out, size_t *n)
{
	return dump_sets(fd, i, false, out, n);
}

int dump_numbers(int fd, const struct instance *i, struct nft_element **out, size_t *n)
{
	struct dump d = { .instance = i, .id = SET_NUMBERS };
	int r = dump_set(fd, &d);

	if (r < 0) {
		free(d.els);
		return r;
	}
	*out = d.els;
	*n = d.n;
	return 0;
}
