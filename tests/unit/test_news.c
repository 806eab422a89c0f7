/* SPDX-License-Identifier: GPL-2.0-or-later
 * The real table's marks, zones and words are what conntrack's events, take-back and NFLOG
 * tell them by. Sockets are marked by the test itself; a second namespace is the world. */
#include "base/macros.h"
#include "nft/ct.h"
#include "nft/nflog.h"
#include "nft/nft.h"
#include "nft/route.h"
#include "scratch.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include <cmocka.h>

static const struct instance instances[] = {
	{ .name = "main", .magic = INSTANCE_MAGIC_MAIN },
	{ .name = "third", .magic = INSTANCE_MAGIC_MAIN + 2 },
};

enum { ALLOWED = 5, DENIED = 6, OPEN = 7, SHUT = 8, PORT = 4000, SEEN_MAX = 16,
	WAIT_MS = 20000, QUIET_MS = 80, LONG_MS = 300000 };

struct news {
	const struct instance *instance;
	uv_loop_t loop;
	uv_timer_t timer;
	int fd;
	struct nft *nft;
	struct ct *ct;
	struct nflog *log;
	unsigned nflows, npackets;
	struct ct_flow flows[SEEN_MAX];
	struct nflog_packet packets[SEEN_MAX];
	bool late;
};

static pid_t peer;

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void on_flow(void *ctx, const struct ct_flow *f)
{
	struct news *n = ctx;

	n->flows[MIN(n->nflows, SEEN_MAX - 1)] = *f;
	n->nflows++;
}

static void on_packet(void *ctx, const struct nflog_packet *p)
{
	struct news *n = ctx;

	n->packets[MIN(n->npackets, SEEN_MAX - 1)] = *p;
	n->npackets++;
}

static void on_late(uv_timer_t *t)
{
	((struct news *)t->data)->late = true;
}

static void begin(struct news *n, const struct instance *i)
{
	const struct nft_conf conf = { .instance = i, .default_in_allow = true, .ipv6 = true,
		.dns_port = 53, .log_refused = true };
	const struct nft_element prefill[] = {
		{ .set = NFT_PASS, .actor = ALLOWED, .addr = addr_of("10.9.0.2"),
			.timeout_ms = LONG_MS },
		{ .set = NFT_PASS, .actor = ALLOWED, .addr = addr_of("fd00:9::2"),
			.timeout_ms = LONG_MS },
		{ .set = NFT_INBOUND, .actor = SHUT },
	};
	char why[512] = "";

	memset(n, 0, sizeof(*n));
	n->instance = i;
	assert_int_equal(uv_loop_init(&n->loop), 0);
	uv_timer_init(&n->loop, &n->timer);
	n->timer.data = n;
	n->fd = nft_socket(why, sizeof(why));
	assert_true(n->fd >= 0);
	assert_int_equal(nft_open(&n->loop, &conf, n->fd, prefill, ARRAY_LEN(prefill), why,
				 sizeof(why), &n->nft),
		0);
	assert_int_equal(route_add(i), 0);
	assert_int_equal(ct_open(&n->loop, i, on_flow, n, &n->ct), 0);
	assert_int_equal(nflog_open(&n->loop, i, on_packet, n, &n->log), 0);
}

static void end(struct news *n)
{
	ct_close(n->ct);
	nflog_close(n->log);
	nft_close(n->nft);
	uv_close((uv_handle_t *)&n->timer, NULL);
	uv_run(&n->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&n->loop), 0);
	assert_int_equal(nft_remove(n->instance, n->fd), 0);
	assert_int_equal(route_remove(n->instance), 0);
	close(n->fd);
}

/* until so many flows and packets are in, or not */
static void wait_for(struct news *n, unsigned nflows, unsigned npackets, unsigned ms)
{
	n->late = false;
	uv_update_time(&n->loop);
	uv_timer_start(&n->timer, on_late, ms, 0);
	while (!n->late && (n->nflows < nflows || n->npackets < npackets))
		uv_run(&n->loop, UV_RUN_ONCE);
}

static int udp(uint32_t mark)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	return fd;
}

static int try_to_send(int fd, const char *to, uint16_t port)
{
	struct sockaddr_storage at;
	struct addr a = addr_of(to);
	socklen_t size = (socklen_t)addr_to_sockaddr(&a, port, &at);

	return sendto(fd, "x", 1, 0, (struct sockaddr *)&at, size) < 0 ? -errno : 0;
}

static int bound(uint32_t mark, const char *to, uint16_t port)
{
	struct sockaddr_storage at;
	struct addr a = addr_of(to);
	socklen_t size = (socklen_t)addr_to_sockaddr(&a, port, &at);
	int fd = udp(mark);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
	return fd;
}

static int knock(const void *arg)
{
	(void)arg;
	return -try_to_send(udp(0), "10.9.0.1", PORT);
}

static void passed(struct news *n)
{
	struct ct_flow *f = n->flows;
	int fd = udp(instance_mark(n->instance, ALLOWED));

	assert_int_equal(try_to_send(fd, "10.9.0.2", PORT), 0);
	wait_for(n, 1, 0, WAIT_MS);
	assert_int_equal(n->nflows, 1);
	assert_int_equal(f->actor, ALLOWED);
	assert_int_equal(f->dport, PORT);
	assert_false(f->inbound || f->redirected || f->ended);
	assert_int_equal(ct_delete_tuple(f, 0), -ENOENT); /* it stands in its actor's zone */
	assert_int_equal(ct_delete_tuple(f, instance_zone(n->instance, ALLOWED)), 0);
	assert_int_equal(try_to_send(fd, "10.9.0.2", PORT), 0);
	assert_int_equal(ct_delete(n->instance, ALLOWED, &f->dst, IPPROTO_UDP, PORT), 1);
	wait_for(n, 4, 0, WAIT_MS);
	assert_int_equal(n->nflows, 4);
	assert_true(n->flows[3].ended);
	close(fd);
}

static void refused(struct news *n)
{
	struct nflog_packet *p = n->packets;
	int fd = udp(instance_mark(n->instance, DENIED));

	assert_int_not_equal(try_to_send(fd, "10.9.0.2", PORT), 0);
	wait_for(n, 0, 1, WAIT_MS);
	assert_int_equal(n->npackets, 1);
	assert_int_equal(p->actor, DENIED);
	assert_int_equal(p->dport, PORT);
	assert_string_equal(p->why, "default");
	assert_false(p->inbound);
	close(fd);
}

static void came_in(struct news *n)
{
	int fd = bound(instance_mark(n->instance, OPEN), "10.9.0.1", PORT);

	assert_int_equal(scratch_in_peer(peer, knock, NULL), 0);
	wait_for(n, 1, 0, WAIT_MS);
	assert_int_equal(n->nflows, 1);
	assert_int_equal(n->flows[0].actor, OPEN);
	assert_true(n->flows[0].inbound);
	assert_int_equal(ct_delete(n->instance, OPEN, NULL, 0, 0), 1);
	close(fd);
}

static void kept_out(struct news *n)
{
	int fd = bound(instance_mark(n->instance, SHUT), "10.9.0.1", PORT);

	assert_int_equal(scratch_in_peer(peer, knock, NULL), 0);
	wait_for(n, 0, 1, WAIT_MS);
	assert_int_equal(n->npackets, 1);
	assert_int_equal(n->packets[0].actor, SHUT);
	assert_true(n->packets[0].inbound);
	assert_string_equal(n->packets[0].why, "inbound");
	close(fd);
}

/* a query is no news, and its entry is the asker's */
static void asked(struct news *n)
{
	const struct addr listener = instance_listener(n->instance, 4);
	char text[ADDR_TEXT_MAX], byte;
	int server = bound(instance_mark(n->instance, ACTOR_SELF), addr_text(&listener, text),
		53);
	struct pollfd wait = { .fd = server, .events = POLLIN };
	int fd = udp(instance_mark(n->instance, ALLOWED));
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	struct addr source;
	uint16_t port;

	assert_int_equal(try_to_send(fd, "10.9.0.2", 53), 0);
	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	assert_int_equal(recvfrom(server, &byte, 1, 0, (struct sockaddr *)&from, &size), 1);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&from, &source, &port), 0);
	assert_int_equal(instance_actor(n->instance, &source), ALLOWED);
	assert_int_equal(sendto(server, "y", 1, 0, (struct sockaddr *)&from, size), 1);
	wait.fd = fd;
	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	wait_for(n, 1, 0, QUIET_MS);
	assert_int_equal(n->nflows, 0);
	assert_int_equal(ct_delete_dns(), 0);
	assert_int_equal(ct_delete(n->instance, ALLOWED, NULL, 0, 0), 1);
	close(fd);
	close(server);
}

static void each_instance(void (*story)(struct news *n))
{
	for (size_t i = 0; i < ARRAY_LEN(instances); i++) {
		struct news n;

		print_message("instance %s\n", instances[i].name);
		begin(&n, &instances[i]);
		story(&n);
		end(&n);
	}
}

#define STORY(name) \
	static void test_##name(void **state) \
	{ \
		(void)state; \
		each_instance(name); \
	}

STORY(passed)
STORY(refused)
STORY(came_in)
STORY(kept_out)
STORY(asked)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passed),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_came_in),
		cmocka_unit_test(test_kept_out),
		cmocka_unit_test(test_asked),
	};
	const char *why = "no network namespace";
	int r;

	if (!scratch_net(&why) || (peer = scratch_peer()) < 0) {
		print_message("SKIP test_news: %s\n", peer < 0 ? "no ip program or veth" : why);
		return SCRATCH_SKIPPED;
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	scratch_peer_end(peer);
	return r;
}
