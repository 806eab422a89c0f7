/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const struct instance main_one = { .name = "main", .magic = INSTANCE_MAGIC_MAIN };
const struct instance third = { .name = "third", .magic = INSTANCE_MAGIC_MAIN + 2 };

void fixture_begin(struct fixture *f, const struct instance *i)
{
	char why[256] = "";

	memset(f, 0, sizeof(*f));
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->conf = (struct nft_conf){ .instance = i, .ipv6 = true, .dns_port = 53,
		.log_refused = true };
	f->fd = nft_socket(why, sizeof(why));
	if (f->fd < 0)
		print_message("%s\n", why);
	assert_true(f->fd >= 0);
}

int fixture_open(struct fixture *f, const struct nft_element *prefill, size_t n)
{
	char why[512] = "";
	int r = nft_open(&f->loop, &f->conf, f->fd, prefill, n, why, sizeof(why), &f->nft);

	if (r < 0)
		print_message("%s\n", why);
	return r;
}

void fixture_end(struct fixture *f, bool remove)
{
	nft_close(f->nft);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	if (remove)
		assert_int_equal(nft_remove(f->conf.instance, f->fd), 0);
	close(f->fd);
}

static struct fixture *now; /* whose requests are under way */

static void on_done(struct job *j)
{
	(void)j;
	now->waiting--;
}

void fixture_give(struct fixture *f, struct nft_request *q)
{
	now = f;
	q->job.done = on_done;
	assert_int_equal(nft_give(f->nft, q), 0);
	f->waiting++;
}

void fixture_wait(struct fixture *f)
{
	while (f->waiting)
		uv_run(&f->loop, UV_RUN_ONCE);
}

int fixture_change(struct fixture *f, enum nft_op op, const struct nft_element *el)
{
	struct nft_change c = { .op = op, .el = *el };
	struct nft_request q = { .n = 1, .changes = &c };

	fixture_give(f, &q);
	fixture_wait(f);
	return q.job.result;
}

struct addr addr_of(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}
