/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "who/proc.h"
#include "who/sockdiag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* ----- replies made as the kernel makes them ----- */

static size_t put_head(uint8_t *at, uint16_t type, uint32_t seq, size_t body)
{
	struct nlmsghdr h = { .nlmsg_len = (uint32_t)(sizeof(h) + body), .nlmsg_type = type,
		.nlmsg_seq = seq };

	memcpy(at, &h, sizeof(h));
	return sizeof(h);
}

static size_t put_attribute(uint8_t *at, uint16_t type, const void *v, uint16_t len)
{
	struct nlattr a = { .nla_len = (uint16_t)(sizeof(a) + len), .nla_type = type };

	memset(at, 0, NLA_ALIGN(a.nla_len));
	memcpy(at, &a, sizeof(a));
	memcpy(at + sizeof(a), v, len);
	return NLA_ALIGN(a.nla_len);
}

static size_t put_socket(uint8_t *at, uint32_t seq, uint8_t family, uint32_t mark)
{
	struct inet_diag_msg m = { .idiag_family = family, .idiag_state = 1, .idiag_uid = 1000,
		.idiag_inode = 4711 };
	uint8_t six = 1;
	size_t n = sizeof(struct nlmsghdr);

	m.id.idiag_sport = htons(40000);
	m.id.idiag_dport = htons(53);
	m.id.idiag_src[0] = htonl(0x7f000001);
	m.id.idiag_dst[0] = htonl(0x7f000035);
	m.id.idiag_cookie[0] = 2;
	m.id.idiag_cookie[1] = 1;
	memcpy(at + n, &m, sizeof(m));
	n += sizeof(m);
	n += put_attribute(at + n, INET_DIAG_SHUTDOWN, "\1", 1);
	n += put_attribute(at + n, INET_DIAG_SKV6ONLY, &six, 1);
	n += put_attribute(at + n, INET_DIAG_MARK, &mark, sizeof(mark));
	put_head(at, SOCK_DIAG_BY_FAMILY, seq, n - sizeof(struct nlmsghdr));
	return n;
}

static size_t put_error(uint8_t *at, uint16_t type, uint32_t seq, int32_t error)
{
	size_t n = put_head(at, type, seq, sizeof(error));

	memcpy(at + n, &error, sizeof(error));
	return n + sizeof(error);
}

static void a_socket(void **state)
{
	uint8_t bytes[512];
	size_t n = put_socket(bytes, 7, AF_INET, 0x53000012);
	struct cur c = cur_over(bytes, n);
	struct sockdiag_reply r;
	struct addr client, server;

	(void)state;
	addr_parse("127.0.0.1", &client);
	addr_parse("127.0.0.53", &server);
	assert_int_equal(sockdiag_next(&c, IPPROTO_UDP, &r), 1);
	assert_int_equal(r.kind, SOCKDIAG_SOCKET);
	assert_int_equal(r.seq, 7);
	assert_int_equal(addr_cmp(&r.tuple.local, &client), 0);
	assert_int_equal(addr_cmp(&r.tuple.peer, &server), 0);
	assert_int_equal(r.tuple.lport, 40000);
	assert_int_equal(r.tuple.pport, 53);
	assert_int_equal(r.tuple.proto, IPPROTO_UDP);
	assert_int_equal(r.socket.uid, 1000);
	assert_int_equal(r.socket.inode, 4711);
	assert_int_equal(r.socket.cookie, 0x100000002);
	assert_true(r.socket.has_mark);
	assert_int_equal(r.socket.mark, 0x53000012);
	assert_true(r.v6only);
	assert_int_equal(sockdiag_next(&c, IPPROTO_UDP, &r), 0);
}

static void what_went_through(void **state)
{
	static const struct {
		const char *why;
		uint8_t family, options;
		size_t has; /* of struct tcp_info */
		bool known;
		uint64_t rx, tx;
	} cases[] = {
		{ "IPv4", AF_INET, 0, sizeof(struct tcp_info), true, 1000 + 3 * 40, 550 + 4 * 40 },
		{ "IPv6", AF_INET6, 0, sizeof(struct tcp_info), true, 1000 + 3 * 60,
			550 + 4 * 60 },
		{ "timestamps", AF_INET, TCPI_OPT_TIMESTAMPS, sizeof(struct tcp_info), true,
			1000 + 3 * 52, 550 + 4 * 52 },
		{ "before 4.19: without repetitions", AF_INET, 0,
			offsetof(struct tcp_info, tcpi_bytes_sent), true, 1000 + 3 * 40,
			500 + 4 * 40 },
		{ "before 4.2", AF_INET, 0, offsetof(struct tcp_info, tcpi_segs_in), false, 0, 0 },
		{ "longer than we know", AF_INET, 0, sizeof(struct tcp_info) + 64, true,
			1000 + 3 * 40, 550 + 4 * 40 },
	};
	struct {
		struct tcp_info i;
		uint8_t more[64];
	} info = { .i = { .tcpi_bytes_received = 1000, .tcpi_segs_in = 3,
		.tcpi_bytes_acked = 500, .tcpi_bytes_sent = 550, .tcpi_segs_out = 4 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[1024];
		size_t n = put_socket(bytes, 7, cases[i].family, 0);
		struct sockdiag_reply r;
		struct cur c;

		print_message("%s\n", cases[i].why);
		info.i.tcpi_options = cases[i].options;
		if (cases[i].family == AF_INET6) /* not one that is mapped */
			bytes[sizeof(struct nlmsghdr) + offsetof(struct inet_diag_msg,
				id.idiag_src)] = 0x20;
		n += put_attribute(bytes + n, INET_DIAG_INFO, &info, (uint16_t)cases[i].has);
		put_head(bytes, SOCK_DIAG_BY_FAMILY, 7, n - sizeof(struct nlmsghdr));
		c = cur_over(bytes, n);
		assert_int_equal(sockdiag_next(&c, IPPROTO_TCP, &r), 1);
		assert_int_equal(r.has_traffic, cases[i].known);
		assert_int_equal(r.traffic.rx, cases[i].rx);
		assert_int_equal(r.traffic.tx, cases[i].tx);
		assert_int_equal(r.traffic.tx_packets, cases[i].known ? 4 : 0);
	}
}

static void several_in_one_datagram(void **state)
{
	uint8_t bytes[1024];
	size_t n = put_socket(bytes, 1, AF_INET, 1);
	struct sockdiag_reply r;
	struct cur c;

	(void)state;
	n += put_socket(bytes + n, 1, AF_INET6, 2);
	n += put_error(bytes + n, NLMSG_DONE, 1, 0);
	c = cur_over(bytes, n);
	assert_int_equal(sockdiag_next(&c, IPPROTO_TCP, &r), 1);
	assert_int_equal(r.socket.mark, 1);
	assert_int_equal(sockdiag_next(&c, IPPROTO_TCP, &r), 1);
	assert_int_equal(r.socket.mark, 2);
	assert_int_equal(r.tuple.local.family, 6);
	assert_int_equal(sockdiag_next(&c, IPPROTO_TCP, &r), 1);
	assert_int_equal(r.kind, SOCKDIAG_DONE);
	assert_int_equal(sockdiag_next(&c, IPPROTO_TCP, &r), 0);
}

static void errors(void **state)
{
	static const struct {
		const char *why;
		uint16_t type;
		int32_t error;
		int got, kind;
	} cases[] = {
		{ "not found", NLMSG_ERROR, -ENOENT, 1, SOCKDIAG_ERROR },
		{ "an acknowledgement", NLMSG_ERROR, 0, 1, SOCKDIAG_ERROR },
		{ "the end of a dump that failed", NLMSG_DONE, -EBUSY, 1, SOCKDIAG_DONE },
		{ "a positive one is none", NLMSG_ERROR, 5, -EBADMSG, 0 },
		{ "nor is one out of range", NLMSG_ERROR, INT32_MIN, -EBADMSG, 0 },
		{ "another type is passed over", NLMSG_NOOP, 0, 1, SOCKDIAG_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[64];
		struct cur c = cur_over(bytes,
			put_error(bytes, cases[i].type, 3, cases[i].error));
		struct sockdiag_reply r;

		print_message("%s\n", cases[i].why);
		assert_int_equal(sockdiag_next(&c, IPPROTO_TCP, &r), cases[i].got);
		if (cases[i].got == 1) {
			assert_int_equal(r.kind, cases[i].kind);
			assert_int_equal(r.error, cases[i].error);
		}
	}
}

/* cut anywhere: a message is read whole or not at all, and nothing beyond is touched */
static void truncated(void **state)
{
	uint8_t whole[512];
	size_t n = put_socket(whole, 7, AF_INET, 1);

	(void)state;
	for (size_t cut = 1; cut < n; cut++) {
		uint8_t *bytes = malloc(cut); /* exact: a sanitizer sees one byte more */
		struct cur c = cur_over(bytes, cut);
		struct sockdiag_reply r;

		memcpy(bytes, whole, cut);
		assert_int_equal(sockdiag_next(&c, IPPROTO_TCP, &r), -EBADMSG);
		free(bytes);
	}
}

static void garbled_lengths(void **state)
{
	static const struct {
		const char *why;
		size_t at;
		uint8_t value[2];
		int want;
	} cases[] = {
		{ "message length zero", 0, { 0, 0 }, -EBADMSG },
		{ "message shorter than its head", 0, { 15, 0 }, -EBADMSG },
		{ "message longer than what came", 0, { 255, 255 }, -EBADMSG },
		{ "message without its body", 0, { 16, 0 }, -EBADMSG },
		{ "attribute of length zero", 16 + 72, { 0, 0 }, -EBADMSG },
		{ "attribute shorter than its head", 16 + 72, { 3, 0 }, -EBADMSG },
		{ "attribute beyond the end", 16 + 72, { 255, 0 }, -EBADMSG },
		{ "mark of one byte", 16 + 72 + 16, { 5, 0 }, -EBADMSG },
		{ "family unknown: passed over", 16, { 99, 1 }, 1 },
	};

	(void)state;
	assert_int_equal(sizeof(struct inet_diag_msg), 72);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[512];
		size_t n = put_socket(bytes, 7, AF_INET, 1);
		struct cur c = cur_over(bytes, n);
		struct sockdiag_reply r = { .seq = 99 };

		print_message("%s\n", cases[i].why);
		memcpy(bytes + cases[i].at, cases[i].value, 2);
		assert_int_equal(sockdiag_next(&c, IPPROTO_TCP, &r), cases[i].want);
		if (cases[i].want < 0)
			assert_int_equal(r.seq, 99);
		else
			assert_int_equal(r.kind, SOCKDIAG_OTHER);
	}
}

/* ----- requests ----- */

static void find_requests(void **state)
{
	struct diag_tuple t = { .lport = 40000, .pport = 53, .proto = IPPROTO_UDP };
	uint8_t bytes[SOCKDIAG_REQUEST_MAX];
	struct inet_diag_req_v2 q;

	(void)state;
	addr_parse("10.0.0.1", &t.local);
	addr_parse("10.0.0.2", &t.peer);
	assert_int_equal(sockdiag_find(bytes, 1, &t), 16 + sizeof(q));
	memcpy(&q, bytes + 16, sizeof(q));
	/* UDP from the receiving side: the server is the source */
	assert_int_equal(ntohs(q.id.idiag_sport), 53);
	assert_int_equal(ntohl(q.id.idiag_src[0]), 0x0a000002);
	t.proto = IPPROTO_TCP;
	assert_int_equal(sockdiag_find(bytes, 1, &t), 16 + sizeof(q));
	memcpy(&q, bytes + 16, sizeof(q));
	assert_int_equal(ntohs(q.id.idiag_sport), 40000);
	assert_int_equal(ntohl(q.id.idiag_src[0]), 0x0a000001);
	addr_parse("::1", &t.peer);
	assert_int_equal(sockdiag_find(bytes, 1, &t), -EINVAL);
}

/* ----- /proc's texts ----- */

static void stat_lines(void **state)
{
	static const struct {
		const char *why, *text;
		int want;
		int parent;
		unsigned start;
	} cases[] = {
		{ "plain", "7 (sh) S 3 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 9900 1 2", 0, 3, 9900 },
		{ "a name with blanks and brackets",
			"7 (a) R 1 (b) S 3 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 9900 1", 0, 3, 9900 },
		{ "cut", "7 (sh) S 3 7 7 0", -EBADMSG, 0, 0 },
		{ "no brackets", "7 sh S 3 7 7 0", -EBADMSG, 0, 0 },
		{ "empty", "", -EBADMSG, 0, 0 },
		{ "a start that is no number",
			"7 (sh) S 3 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 x 1", -EBADMSG, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int32_t parent = 0;
		uint64_t start = 0;

		print_message("%s\n", cases[i].why);
		assert_int_equal(proc_parse_stat(cases[i].text, &parent, &start), cases[i].want);
		assert_int_equal(parent, cases[i].parent);
		assert_int_equal(start, cases[i].start);
	}
}

static void cgroup_lines(void **state)
{
	char out[32];

	(void)state;
	assert_int_equal(proc_parse_cgroup("9:name=systemd:/x\n0::/a/b\n", out, 32), 0);
	assert_string_equal(out, "/a/b");
	assert_int_equal(proc_parse_cgroup("0::/a (deleted)\n", out, 32), 0);
	assert_string_equal(out, "/a");
	assert_int_equal(proc_parse_cgroup("10::/a\n", out, 32), -ENOENT);
	assert_true(proc_cgroup_in("/a/b", "/a"));
	assert_true(proc_cgroup_in("/a", "/a/"));
	assert_true(proc_cgroup_in("/anything", "/"));
	assert_false(proc_cgroup_in("/ab", "/a"));
}

static void socket_links(void **state)
{
	uint32_t inode = 0;

	(void)state;
	assert_true(proc_parse_socket("socket:[123]", &inode));
	assert_int_equal(inode, 123);
	assert_false(proc_parse_socket("socket:[123", &inode));
	assert_false(proc_parse_socket("socket:[]", &inode));
	assert_false(proc_parse_socket("socket:[99999999999]", &inode));
	assert_false(proc_parse_socket("pipe:[123]", &inode));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket),
		cmocka_unit_test(what_went_through),
		cmocka_unit_test(several_in_one_datagram),
		cmocka_unit_test(errors),
		cmocka_unit_test(truncated),
		cmocka_unit_test(garbled_lengths),
		cmocka_unit_test(find_requests),
		cmocka_unit_test(stat_lines),
		cmocka_unit_test(cgroup_lines),
		cmocka_unit_test(socket_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
