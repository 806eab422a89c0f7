/* SPDX-License-Identifier: GPL-2.0-or-later
 * The listener's address answers on this machine and nowhere else, and an instance that
 * goes takes nothing from another. */
#include "base/macros.h"
#include "nft/route.h"
#include "scratch.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const struct instance main_one = { .name = "main", .magic = INSTANCE_MAGIC_MAIN };
static const struct instance last = { .name = "h", .magic = INSTANCE_MAGIC_LAST };
static pid_t peer;

enum { PORT = 5300, WAIT_MS = 10000, QUIET_MS = 200 };

static struct sockaddr_storage at(const struct addr *a, uint16_t port)
{
	struct sockaddr_storage s;

	addr_to_sockaddr(a, port, &s);
	return s;
}

/* a UDP socket on an address that no interface has */
static int listener(const struct instance *i)
{
	const struct addr a = instance_listener(i, 6);
	const struct sockaddr_storage s = at(&a, PORT);
	const int on = 1;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&s, sizeof(struct sockaddr_in6)), 0);
	return fd;
}

/* the neighbour's way to it: through us */
static int route_to(const void *arg)
{
	(void)arg;
	return scratch_run("ip -6 route add fd53:6375:7070::/48 via fd00:9::1", NULL);
}

/* arg: whose listener. 0 sent */
static int send_to(const void *arg)
{
	const struct addr a = instance_listener(arg, 6);
	const struct sockaddr_storage s = at(&a, PORT);
	auto_close int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return sendto(fd, "x", 1, 0, (const struct sockaddr *)&s,
		       sizeof(struct sockaddr_in6)) != 1;
}

/* from a number's address, as the redirect makes it, and back */
static int echoed(const struct instance *i, int server)
{
	const struct addr from = instance_source(i, 6, 5), to = instance_listener(i, 6);
	const struct sockaddr_storage a = at(&from, 0), b = at(&to, PORT);
	const socklen_t size = sizeof(struct sockaddr_in6);
	const int on = 1;
	auto_close int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd reply = { .fd = fd, .events = POLLIN };
	struct sockaddr_storage client;
	socklen_t len = sizeof(client);
	char byte;

	setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&a, size) < 0 ||
		connect(fd, (const struct sockaddr *)&b, size) < 0 ||
		send(fd, "x", 1, 0) != 1)
		return -errno;
	if (recvfrom(server, &byte, 1, MSG_DONTWAIT, (struct sockaddr *)&client, &len) != 1)
		return -errno;
	if (sendto(server, "y", 1, 0, (struct sockaddr *)&client, len) != 1)
		return -errno;
	return poll(&reply, 1, WAIT_MS) == 1 && recv(fd, &byte, 1, 0) == 1 ? 0 : -ETIMEDOUT;
}

static int gone(void **state)
{
	(void)state;
	return route_remove(&main_one) || route_remove(&last);
}

static void has_ipv6(void **state)
{
	(void)state;
	assert_true(route_ipv6());
	assert_int_equal(scratch_run("ip addr del ::1/128 dev lo", NULL), 0);
	assert_false(route_ipv6());
	assert_int_equal(scratch_run("ip addr add ::1/128 dev lo", NULL), 0);
}

static void answers_here(void **state)
{
	int server;

	(void)state;
	server = listener(&main_one);
	assert_true(echoed(&main_one, server) < 0);
	assert_int_equal(route_add(&main_one), 0);
	assert_int_equal(route_add(&main_one), 0);
	assert_int_equal(echoed(&main_one, server), 0);
	assert_int_equal(scratch_run("test $(ip -6 rule | grep -c 'iif lo') = 1", NULL), 0);
	close(server);
}

/* the neighbour has a route to the address by way of us, and we would answer for it */
static void not_for_the_neighbour(void **state)
{
	struct pollfd wait;
	char byte;

	(void)state;
	if (peer < 0) {
		print_message("needs the ip program and veth\n");
		skip();
	}
	wait.fd = listener(&main_one);
	wait.events = POLLIN;
	assert_int_equal(route_add(&main_one), 0);
	assert_int_equal(scratch_in_peer(peer, send_to, &main_one), 0);
	assert_int_equal(poll(&wait, 1, QUIET_MS), 0);
	/* the control: the same route in the main table lets it in */
	assert_int_equal(scratch_run("ip -6 route add local fd53:6375:7070:1::53 dev lo", NULL),
		0);
	assert_int_equal(scratch_in_peer(peer, send_to, &main_one), 0);
	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	assert_int_equal(recv(wait.fd, &byte, 1, 0), 1);
	assert_int_equal(scratch_run("ip -6 route del local fd53:6375:7070:1::53 dev lo", NULL),
		0);
	assert_int_equal(send_to(&main_one), 0);
	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	close(wait.fd);
}

static void instances_apart(void **state)
{
	int first, second;

	(void)state;
	assert_int_equal(route_add(&main_one), 0);
	assert_int_equal(route_add(&last), 0);
	first = listener(&main_one);
	second = listener(&last);
	assert_int_equal(echoed(&main_one, first), 0);
	assert_int_equal(echoed(&last, second), 0);
	assert_int_equal(route_remove(&main_one), 0);
	assert_int_equal(route_remove(&main_one), 0);
	assert_true(echoed(&main_one, first) < 0);
	assert_int_equal(echoed(&last, second), 0);
	close(first);
	close(second);
}

static void leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(route_add(&main_one), 0);
	assert_int_equal(route_remove(&main_one), 0);
	assert_int_equal(scratch_run("! ip -6 rule | grep -q 'iif lo'", NULL), 0);
	assert_int_equal(scratch_run("! ip -6 route show table all | grep -q fd53:", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(has_ipv6, gone),
		cmocka_unit_test_teardown(answers_here, gone),
		cmocka_unit_test_teardown(not_for_the_neighbour, gone),
		cmocka_unit_test_teardown(instances_apart, gone),
		cmocka_unit_test_teardown(leaves_nothing, gone),
	};
	const char *why = "no ip program";
	int r;

	if (!scratch_has("ip") || !scratch_net(&why)) {
		print_message("SKIP test_route: %s\n", why);
		return SCRATCH_SKIPPED;
	}
	if (!route_ipv6()) {
		print_message("SKIP test_route: no IPv6 here\n");
		return SCRATCH_SKIPPED;
	}
	peer = scratch_peer();
	if (peer > 0 && scratch_in_peer(peer, route_to, NULL) != 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	scratch_peer_end(peer);
	return r;
}
