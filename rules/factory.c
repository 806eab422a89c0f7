/* SPDX-License-Identifier: GPL-2.0-or-later
 * factory.c - rules that come with the program, weakest of all equals.
 *
 * Loopback is for any program. All others are bound to the programs that need them, never
 * to `any`: with `any` every denied program might write to multicast groups. They count in
 * decisions like other rules (an NTP client may look its servers up under default=deny),
 * and the table lets the same traffic pass ahead of any lookup by its own coarser classes
 * (enum rules_class): what a class opens there is what its rules say here, at most.
 * Neighbour discovery and ICMP errors of the kernel itself belong to no program's socket
 * and need no rule, so none is listed.
 *
 * Paths: /usr/X/ and /X/ are the same directory on merged systems; the kernel gives the
 * former. *bin is bin and sbin, which distributions disagree about. Numbers are for ever:
 * a rule that goes leaves its number unused. */
#include "rules/rule.h"

static const struct factory {
	uint16_t number;
	uint8_t class;         /* enum rules_class, 0: none */
	const char *text;
} rules[] = {
	{ 1, 0, "allow any localhost note \"loopback\"" },

	{ 16, RULES_DHCP, "allow /usr/*bin/dhclient multicast:67,547/udp note DHCP" },
	{ 17, RULES_DHCP, "allow /usr/*bin/dhclient lan:67,547/udp note DHCP" },
	{ 18, RULES_DHCP, "allow /usr/*bin/dhcpcd multicast:67,547/udp note DHCP" },
	{ 19, RULES_DHCP, "allow /usr/*bin/dhcpcd lan:67,547/udp note DHCP" },
	{ 20, RULES_DHCP,
		"allow /usr/*bin/NetworkManager multicast:67,547/udp note DHCP" },
	{ 21, RULES_DHCP, "allow /usr/*bin/NetworkManager lan:67,547/udp note DHCP" },
	{ 22, RULES_DHCP, "allow /usr/lib/systemd/systemd-networkd multicast:67,547/udp "
		"note DHCP" },
	{ 23, RULES_DHCP, "allow /usr/lib/systemd/systemd-networkd lan:67,547/udp "
		"note DHCP" },

	{ 32, RULES_NTP, "allow /usr/*bin/chronyd any:123/udp note NTP" },
	{ 33, RULES_NTP, "allow /usr/*bin/ntpd any:123/udp note NTP" },
	{ 34, RULES_NTP, "allow /usr/lib/systemd/systemd-timesyncd any:123/udp note NTP" },

	{ 48, RULES_MDNS, "allow /usr/*bin/avahi-daemon multicast:5353/udp note mDNS" },
	{ 49, RULES_MDNS, "allow /usr/*bin/avahi-daemon lan:5353/udp note mDNS" },
	{ 50, RULES_MDNS, "allow /usr/lib/systemd/systemd-resolved "
		"multicast:5353,5355/udp note \"mDNS and LLMNR\"" },
	{ 51, RULES_MDNS, "allow /usr/lib/systemd/systemd-resolved "
		"lan:5353,5355 note \"mDNS and LLMNR\"" },
	{ 52, RULES_MDNS, "allow /usr/*bin/cups-browsed multicast:5353/udp note mDNS" },
	{ 53, RULES_MDNS, "allow /usr/*bin/minissdpd multicast:1900/udp note SSDP" },

	{ 64, RULES_ND, "allow /usr/lib/systemd/systemd-networkd multicast/icmp "
		"note \"neighbour discovery\"" },
	{ 65, RULES_ND, "allow /usr/*bin/NetworkManager multicast/icmp "
		"note \"neighbour discovery\"" },
	{ 66, RULES_ND, "allow /usr/*bin/dhcpcd multicast/icmp "
		"note \"neighbour discovery\"" },
};

int factory_rules(int (*add)(void *ctx, uint32_t id, const char *text), void *ctx)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		int r = add(ctx, RULE_ID_FACTORY + rules[i].number, rules[i].text);

		if (r < 0)
			return r;
	}
	return 0;
}

uint8_t factory_class(uint32_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (RULE_ID_FACTORY + rules[i].number == id)
			return rules[i].class;
	return 0;
}
