/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "gate/grant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static const struct decision yes = { .verdict = VERDICT_ALLOW }, no = {
	.verdict = VERDICT_DENY };

static void shapes(void **state)
{
	static const struct {
		const char *why;
		bool rest, cut;
		uint8_t n;
		struct { uint8_t proto; uint16_t lo, hi; bool allow; } at[2];
		bool any;
		uint8_t want;
		enum nft_set first;
	} cases[] = {
		{ "all", true, false, 0, { { 0 } }, true, 1, NFT_PASS },
		{ "nothing", false, false, 0, { { 0 } }, false, 0, 0 },
		{ "one tcp port", false, false, 1, { { 6, 443, 443, true } }, true, 1,
			NFT_PASS_SVC },
		{ "one port of both", false, false, 1, { { 0, 443, 443, true } }, true, 2,
			NFT_PASS_SVC },
		{ "all but one", true, false, 1, { { 6, 25, 25, false } }, true, 2, NFT_PASS },
		{ "all but every port of udp", true, false, 1, { { 17, 0, 65535, false } }, true,
			2, NFT_PASS },
		{ "every port of tcp is one element", false, false, 1, { { 6, 0, 65535, true } },
			true, 1, NFT_PASS_SVC },
		{ "all but one port: shut for every protocol", true, false, 1,
			{ { 0, 25, 25, false } }, true, 6, NFT_PASS },
		{ "all but too many to name: nothing", true, false, 1,
			{ { 0, 1, 1024, false } }, false, 0, 0 },
		{ "more ports than fit open when they are met", false, false, 2,
			{ { 6, 1000, 2000, true }, { 6, 443, 443, true } }, true, 1,
			NFT_PASS_SVC },
		{ "cut short: what is not listed is shut", true, true, 0, { { 0 } }, false, 0,
			0 },
		{ "a denied stretch within denied", false, false, 2,
			{ { 6, 22, 22, false }, { 6, 443, 443, true } }, true, 1,
			NFT_PASS_SVC },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct port_verdicts v = { .rest = cases[i].rest ? yes : no,
			.cut = cases[i].cut, .n = cases[i].n };
		struct grant_shape g = { 0 };

		print_message("%s\n", cases[i].why);
		for (unsigned k = 0; k < v.n; k++)
			v.at[k] = (struct port_stretch){ cases[i].at[k].proto,
				cases[i].at[k].lo, cases[i].at[k].hi,
				cases[i].at[k].allow ? yes : no };
		assert_int_equal(grant_shape(&g, &v), cases[i].any);
		if (!cases[i].any)
			continue;
		assert_int_equal(g.n, cases[i].want);
		assert_int_equal(g.at[0].set, cases[i].first);
	}
}

static struct grant *make(struct grant_book *b, uint32_t actor, const char *where,
	const char *name, int64_t expires_ms)
{
	struct addr a = addr(where);
	struct port_verdicts v = { .rest = yes };
	struct grant *evicted, *g = grant_get(b, actor, &a, name, &evicted);

	assert_non_null(g);
	assert_null(evicted);
	assert_true(grant_shape(&g->shape, &v));
	g->in_kernel = true;
	g->expires_ms = expires_ms;
	return g;
}

static void shared_elements(void **state)
{
	struct grant_book *b;
	struct grant *one, *two, *other;
	struct nft_element el;

	(void)state;
	assert_int_equal(grant_book_new(GRANTS_MAX, GRANTS_PER_ACTOR, &b), 0);
	one = make(b, 7, "198.18.0.1", "a.test", 400000);
	two = make(b, 7, "198.18.0.1", "b.test", 900000);
	other = make(b, 8, "198.18.0.1", "a.test", 999000);
	assert_true(grant_shared(b, one, 0));
	assert_false(grant_shared(b, other, 0)); /* another program's is another element */
	grant_element(b, one, 0, 100000, &el);
	assert_int_equal(el.timeout_ms, 800000); /* the largest of those that share it */
	assert_string_equal(el.name, "a.test");
	grant_remove(b, two);
	grant_discard(two);
	assert_false(grant_shared(b, one, 0));
	assert_ptr_equal(grant_by_addr(b, 7, &one->addr), one);
	grant_expire(b, 400000, GRANT_REMEMBER_MS);
	assert_int_equal(grant_count(b, 400000), 1);
	assert_false(one->in_kernel);
	assert_ptr_equal(grant_by_addr(b, 7, &one->addr), one); /* its name is remembered */
	grant_expire(b, 400000 + GRANT_REMEMBER_MS, GRANT_REMEMBER_MS);
	assert_null(grant_by_addr(b, 7, &other->addr));
	grant_book_free(b);
}

static void own_oldest_leaves(void **state)
{
	struct grant_book *b;
	struct grant *evicted, *first;
	struct addr a = addr("10.0.0.1"), first_addr = a;

	(void)state;
	assert_int_equal(grant_book_new(GRANTS_MAX, GRANTS_PER_ACTOR, &b), 0);
	make(b, 9, "10.9.9.9", "theirs.test", 1);
	first = grant_get(b, 7, &a, "n", &evicted);
	assert_non_null(first);
	for (unsigned i = 1; i < GRANTS_PER_ACTOR; i++) {
		a.b[1] = (uint8_t)(i >> 16);
		a.b[2] = (uint8_t)(i >> 8);
		a.b[3] = (uint8_t)i;
		a.b[0] = 11;
		assert_non_null(grant_get(b, 7, &a, "n", &evicted));
		assert_null(evicted);
	}
	a.b[0] = 12;
	assert_non_null(grant_get(b, 7, &a, "n", &evicted));
	assert_ptr_equal(evicted, first);
	grant_discard(evicted);
	assert_null(grant_find(b, 7, &first_addr, "n"));
	a = addr("10.9.9.9");
	assert_non_null(grant_find(b, 9, &a, "theirs.test"));
	grant_book_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
		cmocka_unit_test(shared_elements),
		cmocka_unit_test(own_oldest_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
