/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the kernel is told of a program as a whole, and again after it took a batch not: with
 * a kernel made here, to which the batches below go. */
#include "base/macros.h"
#include "gate/internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ACTOR = 7, MAX = 64 };

/* ----- the kernel, and its thread ----- */

static struct {
	struct nft_element at[MAX];
	unsigned n;
} kernel;

static struct nft_request *waiting;
static int result; /* of what is given: refused whole, or taken whole */
static unsigned freed;

/* of a map a put replaces the other verdict, and a take takes whichever stands */
static bool same(const struct nft_element *a, const struct nft_element *b)
{
	return a->set == b->set && a->actor == b->actor && a->proto == b->proto &&
		a->port == b->port && a->factory == b->factory;
}

static void change(enum nft_op op, const struct nft_element *el)
{
	unsigned i = 0;

	while (i < kernel.n && !same(&kernel.at[i], el))
		i++;
	if (i < kernel.n)
		kernel.at[i] = kernel.at[--kernel.n];
	if (op == NFT_PUT) {
		assert_true(kernel.n < MAX);
		kernel.at[kernel.n++] = *el;
	}
}

int __wrap_nft_give(struct nft *n, struct nft_request *req);
int __wrap_nft_give(struct nft *n, struct nft_request *req)
{
	(void)n;
	assert_null(waiting);
	waiting = req;
	return 0;
}

void __wrap_who_actor_free(struct who *w, uint32_t actor);
void __wrap_who_actor_free(struct who *w, uint32_t actor)
{
	(void)w;
	assert_int_equal(actor, ACTOR);
	freed++;
}

/* a call is about conntrack: there is none here */
static void settle(void)
{
	struct nft_request *r;

	while ((r = waiting)) {
		waiting = NULL;
		for (unsigned i = 0; result == 0 && i < r->n; i++)
			change(r->changes[i].op, &r->changes[i].el);
		r->job.result = result;
		r->job.done(&r->job);
	}
}

/* ----- */

static struct program program = { .actor = ACTOR, .serial = 1, .known = true,
	.path = "/usr/bin/one", .paths = { program.path }, .npaths = 1 };
static struct actor_state actors[ACTOR_MASK + 1];
static char nft; /* only that there is one counts */
static struct gate gate = { .actors = actors, .mode = GATE_ENFORCE,
	.parts = { .nft = (struct nft *)&nft } };

static void rules(const char *text)
{
	struct ruleset *rs;
	struct rule_error e;

	assert_int_equal(ruleset_new(VERDICT_DENY, VERDICT_DENY, &rs), 0);
	assert_int_equal(ruleset_add_text(rs, text, strlen(text), "t.rules", 1, &e), 0);
	assert_int_equal(ruleset_ready(rs), 0);
	ruleset_free(gate.rules);
	gate.rules = rs;
	gate.generation++;
}

/* told by these rules; the kernel says r */
static void tell(const char *text, int r)
{
	rules(text);
	result = r;
	gate_actor_new(&gate, &program);
	settle();
}

static void start(void)
{
	memset(&kernel, 0, sizeof(kernel));
	for (uint32_t n = 0; n <= ACTOR_MASK; n++) {
		free(actors[n].ports);
		free(actors[n].was);
	}
	memset(actors, 0, sizeof(actors));
	grant_book_free(gate.book);
	grant_book_free(gate.refusals);
	grant_book_free(gate.peers);
	assert_int_equal(grant_book_new(16, 16, &gate.book), 0);
	assert_int_equal(grant_book_new(16, 16, &gate.refusals), 0);
	assert_int_equal(grant_book_new(16, 16, &gate.peers), 0);
	freed = 0;
}

static const struct {
	const char *why, *before, *after;
} changes[] = {
	{ "a whole program that may, then is decided by name", "allow /usr/bin/one any",
		"allow /usr/bin/one .example.org" },
	{ "one that may not, then is decided by name", "deny /usr/bin/one any\n"
		"allow any .example.org", "allow /usr/bin/one .example.org" },
	{ "the other verdict", "allow /usr/bin/one any", "deny /usr/bin/one any" },
	{ "names that narrow, then none", "allow /usr/bin/one any\ndeny any .ads.example",
		"allow /usr/bin/one any" },
	{ "no local places, then any", "deny /usr/bin/one any\ndeny /usr/bin/one localhost",
		"allow /usr/bin/one .example.org" },
	{ "a port to come in by, then another", "allow /usr/bin/one any:80/tcp in",
		"allow /usr/bin/one any:443/tcp in" },
	{ "a port to come in by, then none", "allow /usr/bin/one any:80/tcp in",
		"allow /usr/bin/one .example.org" },
	{ "whoever comes in, then nobody", "allow /usr/bin/one any in",
		"allow /usr/bin/one .example.org" },
};

static bool stands(const struct nft_element *el)
{
	for (unsigned i = 0; i < kernel.n; i++)
		if (same(&kernel.at[i], el) && kernel.at[i].accept == el->accept)
			return true;
	return false;
}

static void after_refusals(unsigned refused)
{
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct nft_element want[MAX];
		unsigned n;

		print_message("%s\n", changes[i].why);
		start();
		tell(changes[i].after, 0);
		n = kernel.n;
		memcpy(want, kernel.at, sizeof(want));
		start();
		tell(changes[i].before, 0);
		for (unsigned k = 0; k < refused; k++)
			tell(changes[i].after, -ENOMEM);
		tell(changes[i].after, 0);
		assert_int_equal(kernel.n, n);
		for (unsigned k = 0; k < n; k++)
			assert_true(stands(&want[k]));
	}
}

static void what_was_refused_is_told_again(void **state)
{
	(void)state;
	for (unsigned refused = 0; refused < 3; refused++)
		after_refusals(refused);
}

/* whoever gets the number next must find nothing */
static void an_idle_number_leaves_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		print_message("%s\n", changes[i].why);
		start();
		tell(changes[i].before, 0);
		tell(changes[i].after, -ENOMEM);
		result = 0;
		gate_actor_idle(&gate, &program);
		settle();
		assert_int_equal(kernel.n, 0);
		assert_int_equal(freed, 1);
	}
}

static void nothing_is_relied_on_meanwhile(void **state)
{
	(void)state;
	start();
	tell("allow /usr/bin/one any", 0);
	assert_int_equal(actors[ACTOR].out, VERDICT_ALLOW);
	tell("deny /usr/bin/one any", -ENOMEM);
	assert_int_equal(actors[ACTOR].out, VERDICT_NONE);
	start();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_refused_is_told_again),
		cmocka_unit_test(an_idle_number_leaves_nothing),
		cmocka_unit_test(nothing_is_relied_on_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
