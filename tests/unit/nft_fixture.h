/* SPDX-License-Identifier: GPL-2.0-or-later
 * nft_fixture.h - a table on a loop of its own, changed one request at a time. */
#ifndef TESTS_NFT_FIXTURE_H
#define TESTS_NFT_FIXTURE_H

#include "nft/nft.h"

#include <uv.h>

extern const struct instance main_one, third;

struct fixture {
	uv_loop_t loop;
	struct nft_conf conf;
	int fd;
	struct nft *nft;
	unsigned waiting;
};

/* a socket and a configuration: default deny both ways */
void fixture_begin(struct fixture *f, const struct instance *i);
int fixture_open(struct fixture *f, const struct nft_element *prefill, size_t n);
void fixture_end(struct fixture *f, bool remove);
void fixture_give(struct fixture *f, struct nft_request *q);
void fixture_wait(struct fixture *f);
int fixture_change(struct fixture *f, enum nft_op op, const struct nft_element *el);
struct addr addr_of(const char *text);

#endif
