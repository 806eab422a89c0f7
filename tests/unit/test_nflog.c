/* SPDX-License-Identifier: GPL-2.0-or-later
 * What a small ruleset refuses and logs in a namespace of its own is what we hear. */
#include "base/clock.h"
#include "base/macros.h"
#include "nft/nflog.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include <cmocka.h>

static const char ruleset[] =
	"table inet t {\n"
	" chain out { type filter hook output priority filter;\n"
	"  meta mark & 0xff000000 == 0x53000000 meta mark set meta mark | 0x20000000\n"
	"  meta l4proto { tcp, udp } th dport 4000 log prefix \"refuse\" group 5300 drop\n"
	"  udp dport 4001 log prefix \"default: and much more\" group 5300 drop\n"
	"  udp dport 4002 log group 5300 drop\n"
	"  udp dport 4003 log prefix \"elsewhere\" group 5301 drop\n"
	" }\n"
	" chain in { type filter hook input priority filter;\n"
	"  udp dport 4004 meta mark set 0x53000007 log prefix \"in\" group 5300 drop\n"
	" }\n"
	"}\n";

static const struct instance main_one = { .name = "main", .magic = INSTANCE_MAGIC_MAIN };

enum { FIVE = 0x53000005, DEVICE = 0x53002006, OTHERS = 0x54000005, SEEN_MAX = 32,
	WAIT_MS = 20000, QUIET_MS = 100 };

struct seen {
	uv_loop_t loop;
	uv_timer_t timer;
	struct nflog *log;
	unsigned count;
	struct nflog_packet packets[SEEN_MAX];
	bool late;
};

static void on_packet(void *ctx, const struct nflog_packet *p)
{
	struct seen *s = ctx;

	if (s->count < SEEN_MAX)
		s->packets[s->count] = *p;
	s->count++;
}

static void on_late(uv_timer_t *t)
{
	((struct seen *)t->data)->late = true;
}

static void watch(struct seen *s)
{
	memset(s, 0, sizeof(*s));
	assert_int_equal(uv_loop_init(&s->loop), 0);
	uv_timer_init(&s->loop, &s->timer);
	s->timer.data = s;
	assert_int_equal(nflog_open(&s->loop, &main_one, on_packet, s, &s->log), 0);
}

static void wait_for(struct seen *s, unsigned count, unsigned ms)
{
	s->late = false;
	uv_update_time(&s->loop);
	uv_timer_start(&s->timer, on_late, ms, 0);
	while (!s->late && s->count < count)
		uv_run(&s->loop, UV_RUN_ONCE);
}

static void unwatch(struct seen *s)
{
	nflog_close(s->log);
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
}

/* tries to send or to connect; what becomes of it is not the question */
static void attempt(int type, uint32_t mark, const char *to, uint16_t port)
{
	struct sockaddr_storage at;
	struct addr a;
	socklen_t size;
	int fd;

	assert_int_equal(addr_parse(to, &a), 0);
	size = (socklen_t)addr_to_sockaddr(&a, port, &at);
	fd = socket(at.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	if (connect(fd, (struct sockaddr *)&at, size) == 0)
		(void)!send(fd, "x", 1, 0);
	close(fd);
}

static void as_logged(void **state)
{
	static const struct {
		const char *why, *to;
		int type;
		uint32_t mark;
		uint16_t port;
		struct nflog_packet want;
	} cases[] = {
		{ "UDP, stamped", "127.0.0.1", SOCK_DGRAM, FIVE, 4000,
			{ .actor = 5, .proto = IPPROTO_UDP, .why = "refuse" } },
		{ "TCP over IPv6", "::1", SOCK_STREAM, FIVE, 4000,
			{ .actor = 5, .proto = IPPROTO_TCP, .why = "refuse" } },
		{ "bound to a device", "127.0.0.1", SOCK_DGRAM, DEVICE, 4000,
			{ .actor = 6, .proto = IPPROTO_UDP, .why = "refuse" } },
		{ "one word of the prefix", "127.0.0.1", SOCK_DGRAM, FIVE, 4001,
			{ .actor = 5, .proto = IPPROTO_UDP, .why = "default" } },
		{ "no prefix", "127.0.0.1", SOCK_DGRAM, FIVE, 4002,
			{ .actor = 5, .proto = IPPROTO_UDP, .why = "" } },
		{ "another instance's mark", "127.0.0.1", SOCK_DGRAM, OTHERS, 4000,
			{ .actor = ACTOR_NONE, .proto = IPPROTO_UDP, .why = "refuse" } },
		{ "inbound", "127.0.0.1", SOCK_DGRAM, 0, 4004,
			{ .actor = 7, .proto = IPPROTO_UDP, .inbound = true, .why = "in" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct nflog_packet *want = &cases[i].want, *got;
		char text[ADDR_TEXT_MAX];
		struct seen s;

		print_message("%s\n", cases[i].why);
		watch(&s);
		attempt(cases[i].type, cases[i].mark, cases[i].to, cases[i].port);
		wait_for(&s, 1, WAIT_MS);
		assert_int_equal(s.count, 1);
		got = &s.packets[0];
		assert_int_equal(got->actor, want->actor);
		assert_int_equal(got->proto, want->proto);
		assert_int_equal(got->inbound, want->inbound);
		assert_string_equal(got->why, want->why);
		assert_string_equal(addr_text(&got->dst, text), cases[i].to);
		assert_int_equal(got->dport, cases[i].port);
		assert_int_not_equal(got->sport, 0);
		unwatch(&s);
	}
}

static void not_for_us(void **state)
{
	struct seen s;

	(void)state;
	watch(&s);
	attempt(SOCK_DGRAM, FIVE, "127.0.0.1", 4003);
	wait_for(&s, 1, QUIET_MS);
	assert_int_equal(s.count, 0);
	unwatch(&s);
}

static void soon(void **state)
{
	struct seen s;
	int64_t best = INT64_MAX;

	(void)state;
	watch(&s);
	for (unsigned i = 1; i <= 10; i++) {
		const int64_t sent = clock_boot_ms();

		attempt(SOCK_DGRAM, FIVE, "127.0.0.1", 4000);
		wait_for(&s, i, WAIT_MS);
		assert_int_equal(s.count, i);
		best = MIN(best, clock_boot_ms() - sent);
	}
	print_message("after %d ms, at best\n", (int)best);
	assert_true(best < 500); /* the kernel's own: a second; ours: 20 ms */
	unwatch(&s);
}

static void one_group_one_reader(void **state)
{
	struct nflog *second = NULL;
	struct seen s;

	(void)state;
	watch(&s);
	assert_int_equal(nflog_open(&s.loop, &main_one, on_packet, &s, &second), -EPERM);
	assert_null(second);
	unwatch(&s);
	watch(&s); /* and it is free again */
	unwatch(&s);
}

/* more than the buffer holds while nobody reads; then it goes on */
static void overrun(void **state)
{
	enum { MANY = 30000 };
	struct seen s;

	(void)state;
	watch(&s);
	for (int i = 0; i < MANY; i++)
		attempt(SOCK_DGRAM, FIVE, "127.0.0.1", 4000);
	wait_for(&s, MANY, 200);
	print_message("%u seen, %d messages lost\n", s.count, (int)nflog_lost(s.log));
	assert_true(nflog_lost(s.log) > 0);
	s.count = 0;
	attempt(SOCK_DGRAM, FIVE, "127.0.0.1", 4001);
	wait_for(&s, 1, WAIT_MS);
	assert_int_equal(s.count, 1);
	assert_string_equal(s.packets[0].why, "default");
	unwatch(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_logged),
		cmocka_unit_test(not_for_us),
		cmocka_unit_test(soon),
		cmocka_unit_test(one_group_one_reader),
		cmocka_unit_test(overrun),
	};
	const char *why = "no nft program to make a ruleset with";

	if (!scratch_has("nft") || !scratch_net(&why)) {
		print_message("SKIP test_nflog: %s\n", why);
		return SCRATCH_SKIPPED;
	}
	if (scratch_run("nft -f -", ruleset) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
