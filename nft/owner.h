/* SPDX-License-Identifier: GPL-2.0-or-later
 * owner.h - whose the table is: making it, adopting it, taking it away. Blocking.
 *
 * The owner flag keeps others' hands off while our netlink socket is open in any process.
 * With the persist flag (Linux 6.9) the table then stays as an orphan that a new socket
 * adopts by the same flags; flags are for life, so everything else is delete and create,
 * in one transaction. */
#ifndef NFT_OWNER_H
#define NFT_OWNER_H

#include "nft/table.h"

struct nlmsghdr;
struct text;

struct table_state {
	bool there, owned, persists;
	uint32_t owner; /* netlink port number */
	char comment[TABLE_COMMENT_MAX];
};

/* the kernel's message about a table; -EBADMSG */
int owner_read(const struct nlmsghdr *m, struct table_state *out);
/* 0 (there says whether it is), or -errno */
int owner_look(int fd, const struct instance *i, struct table_state *out);
/* The table is ours and as conf says. A new one gets the prefill; one that stood as conf
 * says keeps what is in it; one that has to change gets its old grants as well. seq counts
 * on. On failure why says what to do. */
int owner_take(int fd, uint32_t *seq, const struct nft_conf *conf,
	const struct nft_element *prefill, size_t n, struct text *why);
int owner_drop(int fd, uint32_t seq, const struct instance *i);

#endif
