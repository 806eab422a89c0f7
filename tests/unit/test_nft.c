/* SPDX-License-Identifier: GPL-2.0-or-later
 * The table's life and its elements, in a network namespace of the test's own: what the
 * kernel holds is read back by a dump. What the rules do to packets: test_nft_packets. */
#include "base/clock.h"
#include "base/macros.h"
#include "nft/set.h"
#include "nft_fixture.h"
#include "scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { LONG_MS = 300000, ACTOR = 7 };

static struct nft_element pass(const char *text, uint32_t timeout_ms)
{
	return (struct nft_element){ .set = NFT_PASS, .actor = ACTOR, .addr = addr_of(text),
		.timeout_ms = timeout_ms, .rule = 42, .name = "n1.shop.test" };
}

static bool same_key(const struct nft_element *a, const struct nft_element *b)
{
	return a->set == b->set && a->actor == b->actor && a->port == b->port &&
		a->proto == b->proto && a->factory == b->factory &&
		a->addr.family == b->addr.family && addr_cmp(&a->addr, &b->addr) == 0;
}

/* how many stand; *found is the one with the key of want, if that is not NULL */
static size_t standing(struct fixture *f, const struct nft_element *want,
	struct nft_element *found)
{
	struct nft_element *els = NULL;
	size_t n = 0;

	assert_int_equal(nft_dump(f->nft, &els, &n), 0);
	if (found)
		found->actor = 0;
	for (size_t i = 0; i < n && want; i++) {
		if (same_key(&els[i], want))
			*found = els[i];
	}
	free(els);
	return n;
}

static void elements(void **state)
{
	static const struct nft_element all[] = {
		{ .set = NFT_PASS_SVC, .actor = 1, .addr = { 4, { 192, 0, 2, 1 } }, .proto = 6,
			.port = 443, .timeout_ms = LONG_MS, .rule = 9, .name = "a.test" },
		{ .set = NFT_PASS_SVC, .actor = 1, .addr = { 4, { 192, 0, 2, 1 } }, .proto = 1,
			.timeout_ms = LONG_MS }, /* port 0: all of the protocol */
		{ .set = NFT_PASS, .actor = 2, .addr = { 6, { 0x20, 1, 0xd, 0xb8 } },
			.timeout_ms = LONG_MS },
		{ .set = NFT_REFUSE, .actor = 3, .addr = { 4, { 192, 0, 2, 2 } },
			.timeout_ms = LONG_MS, .rule = 0xffffffff },
		{ .set = NFT_REFUSE_SVC, .actor = 4, .addr = { 6, { 0x20, 1, 0xd, 0xb8 } },
			.proto = 17, .port = 65535, .timeout_ms = LONG_MS, .name = "b" },
		{ .set = NFT_ACTOR, .actor = 5, .accept = true, .rule = 3 },
		{ .set = NFT_ACTOR, .actor = 6, .accept = false },
		{ .set = NFT_INBOUND, .actor = 0x1ffd, .accept = true },
		{ .set = NFT_INBOUND_PORT, .actor = 7, .proto = 6, .port = 22, .accept = true },
		{ .set = NFT_INBOUND_PORT, .actor = 7, .proto = 17 },
		{ .set = NFT_INBOUND_MEET, .actor = 7, .proto = 6, .port = 80 },
		{ .set = NFT_INBOUND_PASS, .actor = 7, .addr = { 4, { 192, 0, 2, 7 } },
			.proto = 6, .port = 80, .timeout_ms = LONG_MS, .rule = 4 },
		{ .set = NFT_INBOUND_REFUSE, .actor = 7, .addr = { 6, { 0x20, 1, 0xd, 0xb8 } },
			.proto = 6, .port = 80, .timeout_ms = LONG_MS },
		{ .set = NFT_LOCAL_NO, .actor = 8 },
		{ .set = NFT_FACTORY, .actor = 9, .factory = NFT_FACTORY_MDNS },
		{ .set = NFT_EXEMPT_DNS, .actor = 10 },
	};
	struct fixture f;
	struct nft_element got;

	(void)state;
	fixture_begin(&f, &third);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	assert_int_equal(nft_present(&third), 1);
	assert_int_equal(nft_present(&main_one), 0);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(fixture_change(&f, NFT_PUT, &all[i]), 0);
		assert_int_equal(standing(&f, &all[i], &got), i + 1);
		assert_int_equal(got.actor, all[i].actor);
		assert_int_equal(got.rule, all[i].rule);
		assert_int_equal(got.accept, all[i].accept);
		assert_string_equal(got.name, all[i].name);
		assert_true(got.timeout_ms <= all[i].timeout_ms);
		assert_true(got.timeout_ms + 60000 >= all[i].timeout_ms);
	}
	for (size_t i = ARRAY_LEN(all); i-- > 0;) {
		assert_int_equal(fixture_change(&f, NFT_TAKE, &all[i]), 0);
		assert_int_equal(standing(&f, NULL, NULL), i);
	}
	fixture_end(&f, true);
	assert_int_equal(nft_present(&third), 0);
}

static void bad_elements(void **state)
{
	static const struct {
		const char *why;
		struct nft_element el;
	} cases[] = {
		{ "no actor", { .set = NFT_ACTOR } },
		{ "an actor of 14 bits", { .set = NFT_ACTOR, .actor = 0x2000 } },
		{ "no address", { .set = NFT_PASS, .actor = 1, .timeout_ms = 1 } },
		{ "no end", { .set = NFT_PASS, .actor = 1, .addr = { 4, { 1 } } } },
		{ "no protocol", { .set = NFT_PASS_SVC, .actor = 1, .addr = { 4, { 1 } },
					 .timeout_ms = 1, .port = 6 } },
		{ "no class", { .set = NFT_FACTORY, .actor = 1 } },
		{ "no such set", { .set = 99, .actor = 1 } },
	};
	struct fixture f;

	(void)state;
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(fixture_change(&f, NFT_PUT, &cases[i].el), -EINVAL);
	}
	assert_int_equal(standing(&f, NULL, NULL), 0);
	fixture_end(&f, true);
}

/* the verdict of an actor is changed by putting the other one */
static void verdict_changes(void **state)
{
	struct nft_element el = { .set = NFT_ACTOR, .actor = ACTOR, .accept = true }, got;
	struct fixture f;

	(void)state;
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), 0);
	el.accept = false;
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), 0);
	assert_int_equal(standing(&f, &el, &got), 1);
	assert_false(got.accept);
	el.accept = true;
	assert_int_equal(fixture_change(&f, NFT_TAKE, &el), 0);
	assert_int_equal(standing(&f, &el, &got), 0);
	fixture_end(&f, true);
}

static void name_is_cut(void **state)
{
	struct nft_element el = pass("192.0.2.1", LONG_MS), got;
	struct fixture f;

	(void)state;
	memset(el.name, 'n', HOST_MAX - 1);
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), 0);
	assert_int_equal(standing(&f, &el, &got), 1);
	assert_int_equal(strlen(got.name), SET_LABEL_MAX);
	assert_int_equal(got.rule, 42);
	fixture_end(&f, true);
}

/* a grant is extended, shortened, and taken back, whether it lives, is over or never was */
static void expiry(void **state)
{
	struct nft_element el = pass("192.0.2.1", 60000), got;
	struct fixture f;

	(void)state;
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	assert_int_equal(fixture_change(&f, NFT_TAKE, &el), 0); /* absent */
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), 0);
	el.timeout_ms = LONG_MS;
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), 0); /* live, longer */
	standing(&f, &el, &got);
	assert_true(got.timeout_ms > 60000);
	el.timeout_ms = 60; /* live, shorter */
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), 0);
	while (standing(&f, &el, &got) > 0)
		;
	el.timeout_ms = LONG_MS;
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), 0); /* over */
	assert_int_equal(standing(&f, &el, &got), 1);
	el.timeout_ms = 60;
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), 0);
	while (standing(&f, &el, &got) > 0)
		;
	assert_int_equal(fixture_change(&f, NFT_TAKE, &el), 0); /* over */
	fixture_end(&f, true);
}

enum { MANY = 5000 };

static void many_at_once(void **state)
{
	struct nft_change *c = calloc(MANY, sizeof(*c));
	struct nft_request q = { .n = MANY, .changes = c };
	struct nft_stats s;
	struct fixture f;
	int64_t start_us;

	(void)state;
	assert_non_null(c);
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	for (unsigned i = 0; i < MANY; i++) {
		c[i].el = pass("198.18.0.0", LONG_MS);
		c[i].el.addr.b[2] = (uint8_t)(i >> 8);
		c[i].el.addr.b[3] = (uint8_t)i;
	}
	start_us = clock_boot_us();
	fixture_give(&f, &q);
	fixture_wait(&f);
	print_message("%d elements in %lld us\n", MANY,
		(long long)(clock_boot_us() - start_us));
	assert_int_equal(q.job.result, 0);
	assert_int_equal(standing(&f, NULL, NULL), MANY);
	nft_stats(f.nft, &s);
	assert_int_equal(s.batches, 1);
	assert_int_equal(s.elements, MANY);
	fixture_end(&f, true);
	free(c);
}

static int called;

static int on_call(void *ctx)
{
	called = *(int *)ctx;
	return -EXDEV;
}

/* requests that wait together go together, and a bad one does not harm the others */
static void bad_one_among_many(void **state)
{
	enum { N = 40, BAD = 20, CALL = 30 };
	struct nft_change c[N];
	struct nft_request q[N];
	struct nft_stats s;
	struct fixture f;
	int mark = 5;

	(void)state;
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	memset(q, 0, sizeof(q));
	for (unsigned i = 0; i < N; i++) {
		c[i] = (struct nft_change){ .el = pass("198.18.0.0", LONG_MS) };
		c[i].el.addr.b[3] = (uint8_t)i;
		if (i == BAD)
			c[i].el.timeout_ms = 0;
		q[i].n = 1;
		q[i].changes = &c[i];
		if (i == CALL)
			q[i] = (struct nft_request){ .call = on_call, .ctx = &mark };
		fixture_give(&f, &q[i]);
	}
	fixture_wait(&f);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(q[i].job.result,
			i == BAD ? -EINVAL : i == CALL ? -EXDEV : 0);
	assert_int_equal(called, 5);
	assert_int_equal(standing(&f, NULL, NULL), N - 2);
	nft_stats(f.nft, &s);
	assert_int_equal(s.refused, 1);
	fixture_end(&f, true);
}

/* What the kernel itself refuses: one element too many. Requests that wait behind a slow one
 * are surely shared; only the one that asks too much fails. */
static int wait_for_all(void *ctx)
{
	while (!__atomic_load_n((bool *)ctx, __ATOMIC_ACQUIRE))
		;
	return 0;
}

static void full_set(void **state)
{
	enum { ROOM = 65536 };
	struct nft_element *fill = calloc(ROOM, sizeof(*fill));
	struct nft_change c[3];
	struct nft_request slow, q[3];
	struct fixture f;
	bool go = false;

	(void)state;
	assert_non_null(fill);
	for (unsigned i = 0; i < ROOM; i++) {
		fill[i] = pass("10.0.0.0", LONG_MS);
		fill[i].addr.b[2] = (uint8_t)(i >> 8);
		fill[i].addr.b[3] = (uint8_t)i;
	}
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, fill, ROOM), 0);
	slow = (struct nft_request){ .call = wait_for_all, .ctx = &go };
	memset(q, 0, sizeof(q));
	c[0] = (struct nft_change){ .el = fill[1] }; /* extended: it stands already */
	c[1] = (struct nft_change){ .el = pass("192.0.2.1", LONG_MS) };
	c[2] = c[1];
	c[2].el.set = NFT_REFUSE; /* another set */
	fixture_give(&f, &slow);
	for (unsigned i = 0; i < 3; i++) {
		q[i].n = 1;
		q[i].changes = &c[i];
		fixture_give(&f, &q[i]);
	}
	__atomic_store_n(&go, true, __ATOMIC_RELEASE);
	fixture_wait(&f);
	assert_int_equal(q[0].job.result, 0);
	assert_int_equal(q[1].job.result, -ENFILE);
	assert_int_equal(q[2].job.result, 0);
	assert_int_equal(standing(&f, NULL, NULL), ROOM + 1);
	assert_int_equal(fixture_change(&f, NFT_TAKE, &fill[2]), 0);
	assert_int_equal(fixture_change(&f, NFT_PUT, &c[1].el), 0);
	fixture_end(&f, true);
	free(fill);
}

/* the maker dies: its table stays, filters on, and is adopted with what stands in it */
static void adopted(void **state)
{
	struct nft_element el = pass("192.0.2.1", LONG_MS), got;
	struct fixture f;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		fixture_begin(&f, &main_one);
		f.conf.closed = true;
		if (fixture_open(&f, &el, 1) < 0)
			_exit(1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	fixture_begin(&f, &main_one);
	f.conf.closed = true;
	if (nft_present(&main_one) == 0 && scratch_run("nft list table inet scupper "
							 ">/dev/null 2>&1", NULL) != 0) {
		fixture_end(&f, false);
		print_message("skipped: this kernel has no persist flag\n");
		skip();
	}
	assert_int_equal(nft_present(&main_one), 0); /* an orphan is nobody's */
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	assert_int_equal(nft_present(&main_one), 1);
	assert_int_equal(standing(&f, &el, &got), 1);
	assert_string_equal(got.name, el.name);
	assert_int_equal(fixture_change(&f, NFT_TAKE, &el), 0);
	fixture_end(&f, true);
}

/* another default, another table: made in one transaction, grants are carried over */
static void other_conf(void **state)
{
	struct nft_element el = pass("192.0.2.1", LONG_MS), got;
	struct fixture f;

	(void)state;
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, &el, 1), 0);
	nft_close(f.nft);
	f.conf.default_allow = true;
	f.conf.closed = true;
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	assert_int_equal(standing(&f, &el, &got), 1);
	assert_int_equal(got.rule, el.rule);
	fixture_end(&f, true);
}

/* a core that comes back on the same socket finds the table as it was */
static void same_socket(void **state)
{
	struct nft_element el = { .set = NFT_ACTOR, .actor = ACTOR }, got;
	struct fixture f;

	(void)state;
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), 0);
	nft_close(f.nft);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	assert_int_equal(standing(&f, &el, &got), 1);
	fixture_end(&f, true);
}

static void second_creator(void **state)
{
	struct fixture f, g;

	(void)state;
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	fixture_begin(&g, &main_one);
	assert_int_equal(fixture_open(&g, NULL, 0), -EEXIST);
	assert_int_equal(nft_remove(&main_one, g.fd), -EPERM);
	fixture_end(&g, false);
	fixture_begin(&g, &third); /* another instance beside it */
	assert_int_equal(fixture_open(&g, NULL, 0), 0);
	fixture_end(&g, true);
	fixture_end(&f, true);
}

static void foreign_table(void **state)
{
	struct fixture f;

	(void)state;
	if (!scratch_has("nft")) {
		print_message("skipped: no nft command\n");
		skip();
	}
	assert_int_equal(scratch_run("nft -f -", "table inet scupper { }\n"), 0);
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), -EEXIST);
	assert_int_equal(nft_present(&main_one), 0);
	fixture_end(&f, false);
	assert_int_equal(scratch_run("nft delete table inet scupper", NULL), 0);
}

static void table_gone(void **state)
{
	struct nft_element el = pass("192.0.2.1", LONG_MS);
	struct nft_stats s;
	struct fixture f;

	(void)state;
	fixture_begin(&f, &main_one);
	assert_int_equal(fixture_open(&f, NULL, 0), 0);
	assert_int_equal(nft_remove(&main_one, f.fd), 0);
	assert_int_equal(nft_remove(&main_one, f.fd), 0); /* again is fine */
	assert_int_equal(fixture_change(&f, NFT_PUT, &el), -ESTALE);
	nft_stats(f.nft, &s);
	assert_int_equal(s.table_lost, 1);
	nft_close(f.nft);
	assert_int_equal(fixture_open(&f, &el, 1), 0); /* and it is made anew */
	assert_int_equal(standing(&f, NULL, NULL), 1);
	fixture_end(&f, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements),
		cmocka_unit_test(bad_elements),
		cmocka_unit_test(verdict_changes),
		cmocka_unit_test(name_is_cut),
		cmocka_unit_test(expiry),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(bad_one_among_many),
		cmocka_unit_test(full_set),
		cmocka_unit_test(adopted),
		cmocka_unit_test(other_conf),
		cmocka_unit_test(same_socket),
		cmocka_unit_test(second_creator),
		cmocka_unit_test(foreign_table),
		cmocka_unit_test(table_gone),
	};
	const char *why;

	if (!scratch_net(&why)) {
		printf("skipped: %s\n", why);
		return SCRATCH_SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
