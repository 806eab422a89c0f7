/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/macros.h"
#include "nft/packet.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define V4(proto) "\x45\0\0\x28\0\0\0\0\x40" proto "\0\0\x0a\x01\x02\x03\x08\x08\x04\x04"
#define V4_FRAGMENT "\x45\0\0\x28\0\0\x20\x10\x40\x11\0\0\x0a\x01\x02\x03\x08\x08\x04\x04"
#define V4_OPTIONS \
	"\x46\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\x01\x02\x03\x08\x08\x04\x04\x01\x01\x01\0"
#define SIX_A "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
#define SIX_B "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define V6(next) "\x60\0\0\0\0\x08" next "\x40" SIX_A SIX_B
#define PORTS "\xc3\x50\x01\xbb" /* 50000, 443 */

static void heads(void **state)
{
	static const struct {
		const char *why, *bytes;
		size_t len;
		const char *dst; /* NULL: refused */
		uint8_t proto;
		uint16_t sport, dport;
	} cases[] = {
#define BYTES(s) s, sizeof(s) - 1
		{ "TCP", BYTES(V4("\x06") PORTS), "8.8.4.4", IPPROTO_TCP, 50000, 443 },
		{ "UDP", BYTES(V4("\x11") PORTS), "8.8.4.4", IPPROTO_UDP, 50000, 443 },
		{ "ICMP", BYTES(V4("\x01") "\x08\0"), "8.8.4.4", IPPROTO_ICMP, 0, 8 },
		{ "GRE has no ports", BYTES(V4("\x2f") PORTS), "8.8.4.4", IPPROTO_GRE, 0, 0 },
		{ "ports cut off", BYTES(V4("\x06") "\xc3\x50\x01"), "8.8.4.4", IPPROTO_TCP, 0,
			0 },
		{ "options", BYTES(V4_OPTIONS PORTS), "8.8.4.4", IPPROTO_TCP, 50000, 443 },
		{ "options cut off", BYTES("\x4f" "\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\x01\x02\x03"
			"\x08\x08\x04\x04" PORTS), "8.8.4.4", IPPROTO_TCP, 0, 0 },
		{ "a later fragment", BYTES(V4_FRAGMENT PORTS), "8.8.4.4", IPPROTO_UDP, 0, 0 },
		{ "v6 TCP", BYTES(V6("\x06") PORTS), "2001:db8::2", IPPROTO_TCP, 50000, 443 },
		{ "ICMPv6", BYTES(V6("\x3a") "\x80\0"), "2001:db8::2", IPPROTO_ICMPV6, 0, 128 },
		{ "hop by hop, then UDP", BYTES(V6("\0") "\x11\0\0\0\0\0\0\0" PORTS),
			"2001:db8::2", IPPROTO_UDP, 50000, 443 },
		{ "a long option", BYTES(V6("\x3c") "\x11\x01" "12345678901234" PORTS),
			"2001:db8::2", IPPROTO_UDP, 50000, 443 },
		{ "AH counts in words", BYTES(V6("\x33") "\x06\x04" "1234567890123456789012"
			PORTS), "2001:db8::2", IPPROTO_TCP, 50000, 443 },
		{ "first fragment", BYTES(V6("\x2c") "\x11\0\0\x01\0\0\0\x07" PORTS),
			"2001:db8::2", IPPROTO_UDP, 50000, 443 },
		{ "later fragment", BYTES(V6("\x2c") "\x11\0\0\x09\0\0\0\x07" PORTS),
			"2001:db8::2", IPPROTO_UDP, 0, 0 },
		{ "extension cut off", BYTES(V6("\0") "\x11\x01\0\0"), "2001:db8::2",
			IPPROTO_HOPOPTS, 0, 0 },
		{ "no next header", BYTES(V6("\x3b") PORTS), "2001:db8::2", IPPROTO_NONE, 0, 0 },
		{ "v4 head cut off", BYTES("\x45\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\x01\x02\x03"
			"\x08\x08\x04"), NULL, 0, 0, 0 },
		{ "v4 head too short", BYTES("\x44\0\0\x28\0\0\0\0\x40\x06\0\0\x0a\x01\x02\x03"
			"\x08\x08\x04\x04" PORTS), NULL, 0, 0, 0 },
		{ "v6 head cut off", BYTES("\x60\0\0\0\0\x08\x06\x40" SIX_A), NULL, 0, 0, 0 },
		{ "neither", BYTES("\x50\0\0\0"), NULL, 0, 0, 0 },
		{ "nothing", "", 0, NULL, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[ADDR_TEXT_MAX];
		struct packet p;
		int r = packet_read(cases[i].bytes, cases[i].len, &p);

		print_message("%s\n", cases[i].why);
		assert_int_equal(r == 0, cases[i].dst != NULL);
		if (r < 0)
			continue;
		assert_string_equal(addr_text(&p.dst, text), cases[i].dst);
		assert_int_equal(p.proto, cases[i].proto);
		assert_int_equal(p.sport, cases[i].sport);
		assert_int_equal(p.dport, cases[i].dport);
	}
}

static void datagrams_begin_with(void **state)
{
	static const struct {
		const char *why, *bytes;
		size_t len;
		uint16_t first;
	} cases[] = {
		{ "a query's id", BYTES(V4("\x11") PORTS "\0\x0a\0\0" "\x12\x34"), 0x1234 },
		{ "over IPv6", BYTES(V6("\x11") PORTS "\0\x0a\0\0" "\x12\x34\x56"), 0x1234 },
		{ "too short", BYTES(V4("\x11") PORTS "\0\x09\0\0" "\x12"), 0 },
		{ "nothing", BYTES(V4("\x11") PORTS "\0\x08\0\0"), 0 },
		{ "TCP does not", BYTES(V4("\x06") PORTS "\0\x0a\0\0" "\x12\x34"), 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct packet p;

		print_message("%s\n", cases[i].why);
		assert_int_equal(packet_read(cases[i].bytes, cases[i].len, &p), 0);
		assert_int_equal(p.first, cases[i].first);
		assert_int_equal(p.dport, 443);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads),
		cmocka_unit_test(datagrams_begin_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
