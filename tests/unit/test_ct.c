/* SPDX-License-Identifier: GPL-2.0-or-later
 * Real sockets on lo of a namespace of its own; a small ruleset sets marks and zones as the
 * table does. A flow is one UDP datagram unless said otherwise. */
#include "base/macros.h"
#include "nft/ask.h"
#include "nft/ct.h"
#include "nft/ctentry.h"
#include "nft/route.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/ip_icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include <cmocka.h>

static const char ruleset[] =
	"table inet t {\n"
	" chain raw { type filter hook output priority raw;\n"
	"  meta mark 0x53000005 ct original zone set 5\n"
	"  meta mark 0x53000006 ct original zone set 6\n"
	"  meta mark 0x53000008 ct original zone set 8\n"
	"  meta mark 0x54000005 ct original zone set 8197\n"
	" }\n"
	" chain nat { type nat hook output priority -199;\n"
	"  meta mark 0x53000005 udp dport 5353 dnat ip to 127.0.0.153:9\n"
	"  meta mark 0x53000005 ip6 daddr ::1 udp dport 5353 dnat ip6 to [fd53:6375:7070:1::53]:9\n"
	"  meta mark 0x53000005 udp dport 5454 dnat ip to 127.0.0.2:9\n"
	" }\n"
	" chain out { type filter hook output priority filter;\n"
	"  meta mark 0x53000008 ct mark set 0x1234 accept\n" /* another table's mark */
	"  ct mark 0 meta mark & 0xfe000000 == 0x52000000 ct mark set meta mark\n"
	"  ct mark 0 meta mark & 0xff000000 == 0x54000000 ct mark set meta mark\n"
	"  ct mark 0x53000006 ct mark set 0x73000006\n" /* a stamped mark, restored */
	" }\n"
	" chain in { type filter hook input priority filter;\n"
	"  ct mark 0 udp dport 7777 ct mark set 0x53000007\n"
	" }\n"
	"}\n";

static const struct instance main_one = { .name = "main", .magic = INSTANCE_MAGIC_MAIN };
static const struct instance second = { .name = "b", .magic = INSTANCE_MAGIC_MAIN + 1 };

enum { NO_MARK = 0, FIVE = 0x53000005, SIX = 0x53000006, EIGHT = 0x53000008,
	OTHERS = 0x54000005, SEEN_MAX = 32, WAIT_MS = 20000, QUIET_MS = 60 };

struct seen {
	uv_loop_t loop;
	uv_timer_t timer;
	struct ct *ct;
	unsigned count, new;
	struct ct_flow flows[SEEN_MAX];
	bool late;
};

static void on_event(void *ctx, const struct ct_flow *f)
{
	struct seen *s = ctx;

	if (s->count < SEEN_MAX)
		s->flows[s->count] = *f;
	s->count++;
	s->new += !f->ended;
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
	assert_int_equal(ct_open(&s->loop, &main_one, on_event, s, &s->ct), 0);
}

/* until that many events have come, or not */
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
	ct_close(s->ct);
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
}

static int udp_to(uint32_t mark, const char *to, uint16_t port)
{
	struct sockaddr_storage at;
	struct addr a;
	socklen_t size;
	int fd;

	assert_int_equal(addr_parse(to, &a), 0);
	size = (socklen_t)addr_to_sockaddr(&a, port, &at);
	fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, size), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	return fd;
}

static void flow(uint32_t mark, const char *to, uint16_t port)
{
	close(udp_to(mark, to, port));
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage at;
	socklen_t size = sizeof(at);
	struct addr a;
	uint16_t port = 0;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&at, &a, &port), 0);
	return port;
}

static int every(const struct instance *i, uint32_t actor)
{
	return ct_delete(i, actor, NULL, 0, 0);
}

/* An empty table for each test: ports are the kernel's to choose, and may come again. */
static int none_left(void **state)
{
	_Alignas(struct nlmsghdr) char buf[ASK_REQUEST_MAX];
	struct nlmsghdr *all = ct_entry_put_dump(buf);
	struct ask a = { 0 };
	int r = ask_open(NETLINK_NETFILTER, &a);

	(void)state;
	if (r < 0)
		return r;
	all->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	all->nlmsg_flags = NLM_F_REQUEST;
	r = ask_ack(&a, all);
	ask_close(&a);
	return r;
}

static void new_has_mark(void **state)
{
	struct seen s;
	char text[ADDR_TEXT_MAX];
	int fd;

	(void)state;
	watch(&s);
	fd = udp_to(FIVE, "127.0.0.1", 4000);
	wait_for(&s, 1, WAIT_MS);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.flows[0].actor, 5);
	assert_string_equal(addr_text(&s.flows[0].dst, text), "127.0.0.1");
	assert_int_equal(s.flows[0].dport, 4000);
	assert_int_equal(s.flows[0].sport, port_of(fd));
	assert_int_equal(s.flows[0].proto, IPPROTO_UDP);
	assert_false(s.flows[0].inbound);
	assert_false(s.flows[0].ended);
	assert_false(s.flows[0].redirected);
	assert_int_not_equal(s.flows[0].id, 0);
	close(fd);
	unwatch(&s);
}

/* a real handshake over IPv6; the stamp in a restored ct mark does not hide the actor */
static void tcp_over_six(void **state)
{
	const uint32_t mark = SIX;
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t size = sizeof(at);
	int server = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct seen s;

	(void)state;
	watch(&s);
	assert_int_equal(bind(server, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&at, &size), 0);
	setsockopt(client, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	assert_int_equal(connect(client, (struct sockaddr *)&at, size), 0);
	wait_for(&s, 1, WAIT_MS);
	assert_int_equal(s.flows[0].actor, 6);
	assert_int_equal(s.flows[0].proto, IPPROTO_TCP);
	assert_int_equal(s.flows[0].dst.family, 6);
	assert_int_equal(s.flows[0].dport, ntohs(at.sin6_port));
	close(client);
	close(server);
	unwatch(&s);
}

static pid_t peer;

static int knock(const void *arg)
{
	(void)arg;
	flow(NO_MARK, "10.9.0.1", 7777);
	return 0;
}

static void inbound_is_the_listeners(void **state)
{
	struct seen s;

	(void)state;
	if (peer < 0) {
		print_message("needs the ip program and veth\n");
		skip();
	}
	watch(&s);
	assert_int_equal(scratch_in_peer(peer, knock, NULL), 0);
	wait_for(&s, 1, WAIT_MS);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.flows[0].actor, 7);
	assert_int_equal(s.flows[0].dport, 7777);
	assert_true(s.flows[0].inbound);
	unwatch(&s);
}

static void not_ours(void **state)
{
	struct seen s;

	(void)state;
	watch(&s);
	flow(NO_MARK, "127.0.0.1", 4000);
	flow(OTHERS, "127.0.0.1", 4000);
	flow(0x52000005, "127.0.0.1", 4000); /* somebody's, one bit from our magic */
	flow(FIVE, "127.0.0.1", 5353);       /* redirected to our listener */
	flow(FIVE, "::1", 5353);
	flow(FIVE, "127.0.0.1", 5454);       /* redirected elsewhere */
	wait_for(&s, 2, QUIET_MS);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.flows[0].dport, 5454);
	assert_true(s.flows[0].redirected);
	assert_int_equal(ct_lost(s.ct), 0);
	unwatch(&s);
}

static void deleted_and_made_again(void **state)
{
	struct seen s;
	int fd;

	(void)state;
	watch(&s);
	fd = udp_to(FIVE, "127.0.0.1", 4000);
	assert_int_equal(every(&main_one, 5), 1);
	assert_int_equal(every(&main_one, 5), 0);
	send(fd, "x", 1, 0); /* the refusal that came back before: the first try reports it */
	send(fd, "x", 1, 0);
	wait_for(&s, 3, WAIT_MS);
	assert_int_equal(s.count, 3);
	assert_false(s.flows[0].ended);
	assert_true(s.flows[1].ended);
	assert_int_equal(s.flows[1].id, s.flows[0].id);
	assert_false(s.flows[2].ended);
	assert_int_equal(s.flows[2].sport, s.flows[0].sport);
	assert_int_equal(every(&main_one, 5), 1);
	close(fd);
	unwatch(&s);
}

static void deletes_what_matches(void **state)
{
	static const struct {
		const char *why, *dst;
		uint32_t actor;
		uint8_t proto;
		uint16_t port;
		int want;
	} cases[] = {
		{ "all of an actor", NULL, 5, 0, 0, 4 },
		{ "an actor without any", NULL, 9, 0, 0, 0 },
		{ "stamped mark", NULL, 6, 0, 0, 1 },
		{ "by zone, the mark is another's", NULL, 8, 0, 0, 1 },
		{ "one address", "127.0.0.1", 5, 0, 0, 2 },
		{ "IPv6", "::1", 5, 0, 0, 1 },
		{ "address and port", "127.0.0.1", 5, 0, 4001, 1 },
		{ "protocol", "127.0.0.1", 5, IPPROTO_TCP, 4001, 0 },
		{ "all three", "127.0.0.1", 5, IPPROTO_UDP, 4001, 1 },
		{ "another address", "127.0.0.9", 5, 0, 0, 0 },
		{ "an inbound flow", NULL, 7, 0, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr dst;

		print_message("%s\n", cases[i].why);
		assert_int_equal(none_left(NULL), 0);
		flow(FIVE, "127.0.0.1", 4000);
		flow(FIVE, "127.0.0.1", 4001);
		flow(FIVE, "127.0.0.3", 4000);
		flow(FIVE, "::1", 4000);
		flow(SIX, "127.0.0.1", 4000);
		flow(EIGHT, "127.0.0.1", 4000);
		flow(OTHERS, "127.0.0.1", 4000);
		flow(NO_MARK, "127.0.0.1", 4000);
		flow(NO_MARK, "127.0.0.1", 7777);
		if (cases[i].dst)
			assert_int_equal(addr_parse(cases[i].dst, &dst), 0);
		assert_int_equal(ct_delete(&main_one, cases[i].actor,
					 cases[i].dst ? &dst : NULL, cases[i].proto,
					 cases[i].port),
			cases[i].want);
		assert_int_equal(every(&second, 5), 1); /* others' stay */
	}
}

/* two actors, one source port: the zone alone tells their entries apart */
static void exact_tuple(void **state)
{
	struct ct_flow f = { .proto = IPPROTO_UDP, .dport = 4000 };
	int fd = udp_to(FIVE, "127.0.0.1", 4000);
	const uint32_t mark = SIX;

	(void)state;
	f.sport = port_of(fd);
	addr_parse("127.0.0.1", &f.src);
	f.dst = f.src;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	send(fd, "x", 1, 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(ct_delete_tuple(&f, 0), -ENOENT);
	assert_int_equal(ct_delete_tuple(&f, 7), -ENOENT);
	f.id = 1;
	assert_int_equal(ct_delete_tuple(&f, 5), -ENOENT);
	f.id = 0;
	assert_int_equal(ct_delete_tuple(&f, 5), 0);
	assert_int_equal(ct_delete_tuple(&f, 5), -ENOENT);
	assert_int_equal(every(&main_one, 5), 0);
	assert_int_equal(every(&main_one, 6), 1);
	close(fd);
}

static void exact_by_event(void **state)
{
	struct seen s;

	(void)state;
	watch(&s);
	flow(FIVE, "::1", 4000);
	wait_for(&s, 1, WAIT_MS);
	assert_int_equal(ct_delete_tuple(&s.flows[0], instance_zone(&main_one, 5)), 0);
	wait_for(&s, 2, WAIT_MS);
	assert_true(s.flows[1].ended);
	unwatch(&s);
}

static void pings(void **state)
{
	const uint32_t mark = FIVE;
	const struct icmphdr echo = { .type = ICMP_ECHO, .checksum = htons(0xf7ff - 7),
		.un.echo = { .id = htons(7) } };
	const struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	struct seen s;

	(void)state;
	watch(&s);
	setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	assert_int_equal(sendto(fd, &echo, sizeof(echo), 0, (const struct sockaddr *)&to,
				 sizeof(to)),
		sizeof(echo));
	wait_for(&s, 1, WAIT_MS);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.flows[0].proto, IPPROTO_ICMP);
	assert_int_equal(s.flows[0].sport, 7);
	assert_int_equal(s.flows[0].dport, ICMP_ECHO);
	assert_int_equal(ct_delete_tuple(&s.flows[0], 5), 0);
	close(fd);
	unwatch(&s);
}

static void old_dns(void **state)
{
	(void)state;
	flow(NO_MARK, "127.0.0.1", 53);
	flow(NO_MARK, "::1", 53);
	flow(NO_MARK, "127.0.0.1", 54);
	flow(FIVE, "127.0.0.1", 53);
	flow(OTHERS, "127.0.0.1", 53);
	assert_int_equal(ct_delete_dns(), 2);
	assert_int_equal(ct_delete_dns(), 0);
	assert_int_equal(every(&main_one, 5), 1);
	assert_int_equal(every(&second, 5), 1);
}

static void lists_what_lives(void **state)
{
	struct ct_flow *flows = NULL;
	size_t n = 9;

	(void)state;
	assert_int_equal(ct_dump(&main_one, &flows, &n), 0);
	assert_int_equal(n, 0);
	assert_null(flows);
	for (uint16_t port = 4000; port < 4200; port++)
		flow(FIVE, "127.0.0.1", port);
	flow(SIX, "::1", 4000);
	flow(EIGHT, "127.0.0.1", 4000);
	flow(OTHERS, "127.0.0.1", 4000);
	flow(NO_MARK, "127.0.0.1", 4000);
	flow(FIVE, "127.0.0.1", 5353);
	flow(FIVE, "::1", 5353);
	assert_int_equal(ct_dump(&main_one, &flows, &n), 0);
	assert_int_equal(n, 201);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(flows[i].actor, flows[i].dst.family == 4 ? 5 : 6);
		assert_false(flows[i].ended);
		assert_int_equal(ct_delete_tuple(&flows[i], flows[i].actor), 0);
	}
	free(flows);
	assert_int_equal(every(&main_one, 6), 0);
	assert_int_equal(every(&main_one, 5), 2); /* the redirected */
	assert_int_equal(every(&main_one, ACTOR_NONE), -EINVAL);
}

/* the events socket's address: the one of this namespace with the groups NEW and DESTROY */
static uint32_t events_portid(void)
{
	FILE *f = fopen("/proc/thread-self/net/netlink", "re");
	unsigned bus, portid, groups;
	uint32_t found = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*x %u %u %x", &bus, &portid, &groups) == 3 &&
			bus == NETLINK_NETFILTER && groups == 5)
			found = portid;
	fclose(f);
	return found;
}

/* a guarded root can write to our socket; it must not pass for the kernel */
static void forged(void **state)
{
	struct seen s;
	struct ct_entry e = { .id = 1 };
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	_Alignas(struct nlmsghdr) char buf[ASK_REQUEST_MAX];
	struct nlmsghdr *message;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	(void)state;
	watch(&s);
	to.nl_pid = events_portid();
	assert_int_not_equal(to.nl_pid, 0);
	addr_parse("127.0.0.1", &e.orig.src);
	e.orig.dst = e.orig.src;
	e.orig.proto = IPPROTO_UDP;
	message = ct_tuple_put_delete(buf, &e.orig, e.id);
	mnl_attr_put_u32(message, CTA_MARK, htonl(FIVE));
	assert_int_equal(sendto(fd, message, message->nlmsg_len, 0, (struct sockaddr *)&to,
				 sizeof(to)),
		message->nlmsg_len);
	wait_for(&s, 1, QUIET_MS);
	assert_int_equal(s.count, 0);
	close(fd);
	unwatch(&s);
}

/* more than the buffer holds while nobody reads: every one is seen or counted */
static void lost_ones_are_counted(void **state)
{
	enum { MANY = 20000 };
	struct seen s;

	(void)state;
	watch(&s);
	for (uint16_t i = 0; i < MANY; i++)
		flow(FIVE, "127.0.0.1", 10000 + i);
	assert_int_equal(s.count, 0);
	wait_for(&s, MANY - (unsigned)ct_lost(s.ct), WAIT_MS);
	print_message("%u seen, %llu lost\n", s.new, (unsigned long long)ct_lost(s.ct));
	assert_true(ct_lost(s.ct) > 0);
	assert_int_equal(s.new + ct_lost(s.ct), MANY);
	/* and it goes on */
	s.count = 0;
	flow(SIX, "127.0.0.1", 4000);
	wait_for(&s, 1, WAIT_MS);
	assert_int_equal(s.flows[0].actor, 6);
	unwatch(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(new_has_mark, none_left),
		cmocka_unit_test_setup(tcp_over_six, none_left),
		cmocka_unit_test_setup(inbound_is_the_listeners, none_left),
		cmocka_unit_test_setup(not_ours, none_left),
		cmocka_unit_test_setup(deleted_and_made_again, none_left),
		cmocka_unit_test_setup(deletes_what_matches, none_left),
		cmocka_unit_test_setup(exact_tuple, none_left),
		cmocka_unit_test_setup(exact_by_event, none_left),
		cmocka_unit_test_setup(pings, none_left),
		cmocka_unit_test_setup(old_dns, none_left),
		cmocka_unit_test_setup(lists_what_lives, none_left),
		cmocka_unit_test_setup(forged, none_left),
		cmocka_unit_test_setup(lost_ones_are_counted, none_left),
	};
	const char *why = "no nft program to make a ruleset with";
	int r;

	if (!scratch_has("nft") || !scratch_net(&why)) {
		print_message("SKIP test_ct: %s\n", why);
		return SCRATCH_SKIPPED;
	}
	if (scratch_run("nft -f -", ruleset) != 0 || route_add(&main_one) < 0)
		return 1;
	peer = scratch_peer();
	r = cmocka_run_group_tests(tests, NULL, NULL);
	scratch_peer_end(peer);
	return r;
}
