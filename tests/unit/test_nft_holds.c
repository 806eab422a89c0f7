/* SPDX-License-Identifier: GPL-2.0-or-later
 * What no set admits waits: UDP is redirected to ourselves and dropped there, all else on its
 * way out. The log says so, and conntrack where it was to go. */
#include "nft_world.h"

#include "base/macros.h"
#include "nft/ct.h"
#include "nft/nflog.h"
#include "nft/route.h"
#include "scratch.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { GATE_PORT = 1021, HEARD_MAX = 8 };

struct heard {
	struct nflog *log;
	unsigned n;
	struct nflog_packet at[HEARD_MAX];
};

static struct heard heard; /* of the test that runs */

static void on_packet(void *ctx, const struct nflog_packet *p)
{
	struct heard *h = ctx;

	if (h->n < HEARD_MAX)
		h->at[h->n] = *p;
	h->n++;
}

static struct heard *begin(void)
{
	struct heard *h = &heard;

	*h = (struct heard){ 0 };
	world.conf.gate_port = GATE_PORT;
	world.conf.peek_ports[0] = OTHER_PORT;
	world.conf.npeek = 1;
	open_table();
	assert_int_equal(route_add(&main_one), 0);
	assert_int_equal(nflog_open(&world.loop, &main_one, on_packet, h, &h->log), 0);
	return h;
}

static int teardown(void **state)
{
	nflog_close(heard.log);
	route_remove(&main_one);
	return world_teardown(state);
}

static const struct nflog_packet *next(struct heard *h, unsigned n)
{
	while (h->n < n)
		uv_run(&world.loop, UV_RUN_ONCE);
	return &h->at[n - 1];
}

static int say(int fd)
{
	return send(fd, "hello", 5, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int bound(uint32_t mark, const char *to)
{
	int fd = sock(mark, addr_of(to).family, SOCK_DGRAM);

	assert_int_equal(connect_to(fd, to, ECHO_PORT), 0);
	return fd;
}

static struct nft_element exact(uint32_t actor, const char *to)
{
	struct nft_element el = pass(actor, to);

	el.set = NFT_PASS_SVC;
	el.proto = IPPROTO_UDP;
	el.port = ECHO_PORT;
	return el;
}

/* told by its source address, found by conntrack, and once its entry is gone let through */
static void udp_falls_into_the_sink(void **state)
{
	static const char *const to[] = { FAR4, FAR6 };
	struct heard *h;

	(void)state;
	h = begin();
	for (unsigned i = 0; i < ARRAY_LEN(to); i++) {
		struct nft_element el = exact(CURL, to[i]);
		int fd = bound(mark_of(CURL), to[i]);
		const struct nflog_packet *p;
		struct ct_flow seen, sent;
		struct addr far = addr_of(to[i]);

		assert_int_equal(say(fd), 0); /* no error */
		p = next(h, i + 1);
		assert_string_equal(p->why, "sink");
		assert_int_equal(instance_actor(&main_one, &p->src), CURL);
		assert_int_equal(p->dport, GATE_PORT);
		seen = (struct ct_flow){ .src = p->src, .dst = p->dst, .sport = p->sport,
			.dport = p->dport, .proto = p->proto };
		assert_int_equal(ct_find_sent(&main_one, &seen, &sent, 1), 0);
		assert_int_equal(sent.actor, CURL);
		assert_int_equal(sent.proto, IPPROTO_UDP);
		assert_int_equal(sent.dport, ECHO_PORT);
		assert_int_equal(addr_cmp(&sent.dst, &far), 0);
		put(&el);
		assert_int_equal(ct_delete_flows(&main_one, &sent, 1), 0);
		assert_int_equal(exchange(fd), 0);
		close(fd);
		assert_int_equal(ct_find_sent(&main_one, &seen, &sent, 1), 0);
		assert_int_equal(sent.proto, 0); /* nothing is there any more */
		seen.dst = far; /* a tuple of nobody's */
		assert_int_equal(ct_find_sent(&main_one, &seen, &sent, 1), 0);
		assert_int_equal(sent.proto, 0);
	}
}

static void bound_sockets_and_groups_wait_here(void **state)
{
	static const struct {
		uint32_t more;
		const char *to;
	} cases[] = { { MARK_DEVICE_BIT, FAR4 }, { MARK_DEVICE_BIT, FAR6 }, { 0, "239.1.1.1" },
		{ 0, "10.9.0.255" }, { 0, "ff05::1234" } };
	struct heard *h;

	(void)state;
	assert_int_equal(scratch_run("ip route replace 239.0.0.0/8 dev here", NULL), 0);
	h = begin();
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct nft_element el = exact(WGET, cases[i].to);
		struct addr to = addr_of(cases[i].to);
		int fd = sock(mark_of(WGET) | cases[i].more, to.family, SOCK_DGRAM), on = 1;
		const struct nflog_packet *p;

		print_message("%s\n", cases[i].to);
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
		assert_int_equal(connect_to(fd, cases[i].to, ECHO_PORT), 0);
		assert_int_equal(say(fd), -EPERM);
		p = next(h, i + 1);
		assert_string_equal(p->why, "held");
		assert_int_equal(p->actor, WGET);
		assert_int_equal(addr_cmp(&p->dst, &to), 0);
		assert_int_equal(p->dport, ECHO_PORT);
		put(&el);
		assert_int_equal(say(fd), 0);
		close(fd);
	}
	assert_int_equal(h->n, ARRAY_LEN(cases));
}

static bool meets_the_proxy(uint32_t actor, const char *to, uint16_t port)
{
	int proxy = sock(mark_of(ACTOR_SELF), 4, SOCK_STREAM);
	int fd = sock(mark_of(actor), 4, SOCK_STREAM), met;
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);

	assert_int_equal(bind_to(proxy, "127.0.0.153", GATE_PORT), 0);
	assert_int_equal(listen(proxy, 1), 0);
	assert_int_equal(connect_to(fd, to, port), 0);
	met = accept(proxy, (struct sockaddr *)&from, &n);
	if (met >= 0)
		close(met);
	close(fd);
	close(proxy);
	return met >= 0 && actor_of(&from) == actor;
}

/* what is decided does not wait: refused at once, or let through */
static void what_is_known_does_not_wait(void **state)
{
	struct nft_element el = exact(CURL, FAR4);
	struct nft_element all = { .set = NFT_ACTOR, .actor = WGET, .accept = true };
	struct heard *h;

	(void)state;
	h = begin();
	el.set = NFT_REFUSE_SVC;
	put(&el);
	assert_int_equal(talk(CURL, SOCK_DGRAM, FAR4, ECHO_PORT), -EPERM);
	assert_string_equal(next(h, 1)->why, "refuse");
	put(&all);
	assert_int_equal(talk(WGET, SOCK_DGRAM, FAR4, ECHO_PORT), 0);
	all.actor = ACTOR_SELF; /* everybody */
	put(&all);
	assert_int_equal(talk(SERVER, SOCK_DGRAM, FAR4, ECHO_PORT), 0);
	assert_int_equal(talk(SERVER, SOCK_STREAM, FAR6, ECHO_PORT), 0);
	assert_int_equal(talk(SERVER, SOCK_STREAM, FAR4, OTHER_PORT), 0);
	assert_int_equal(talk(CURL, SOCK_DGRAM, FAR4, ECHO_PORT), -EPERM); /* but who may not */
	all.set = NFT_PEEK;
	put(&all); /* what may carry a name meets the proxy */
	assert_int_equal(talk(SERVER, SOCK_STREAM, FAR4, ECHO_PORT), 0);
	assert_true(meets_the_proxy(SERVER, FAR4, OTHER_PORT));
	assert_int_equal(talk(SERVER, SOCK_DGRAM, FAR4, OTHER_PORT), 0);
}

/* over the cap nothing is logged, and nothing leaves for that */
static void a_flood_is_not_logged_whole(void **state)
{
	enum { FLOOD = 3000 };
	struct heard *h;
	int fd;

	(void)state;
	h = begin();
	fd = bound(mark_of(CURL) | MARK_DEVICE_BIT, FAR4);
	for (unsigned i = 0; i < FLOOD; i++)
		assert_int_equal(say(fd), -EPERM);
	close(fd);
	fd = bound(mark_of(WGET), FAR4); /* another's is heard as ever */
	assert_int_equal(say(fd), 0);
	close(fd);
	for (unsigned n = 0; n < h->n + 1; n = h->n)
		if (uv_run(&world.loop, UV_RUN_NOWAIT), h->n == n)
			break;
	assert_in_range(h->n, 500, FLOOD - 500);
}

#define HOLDS(name) cmocka_unit_test_setup_teardown(name, world_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOLDS(udp_falls_into_the_sink),
		HOLDS(bound_sockets_and_groups_wait_here),
		HOLDS(what_is_known_does_not_wait),
		HOLDS(a_flood_is_not_logged_whole),
	};

	return WORLD_RUN(tests);
}
