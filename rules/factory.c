/* SPDX-License-Identifier: GPL-2.0-or-later
 * factory.c - rules that come with the program, weakest of all equals.
 *
 * Loopback is for any program. All others are bound to the programs that need them,
 * never to `any`: with `any` every denied program might write to multicast groups. They
 * count in decisions like other rules: an NTP client may look its servers up under
 * default=deny. What needs no lookup (broadcast, groups, the link, a server by its
 * address) is let through by the table's own classes (enum rules_class), which are
 * narrower than the text here where ports and zones cannot say it: a source port, a
 * message type, a hop limit. Neighbour discovery and ICMP errors of the kernel itself
 * belong to no program's socket and need no rule, so none is listed.
 *
 * Paths: /usr/X/ and /X/ are the same directory on merged systems; the kernel gives the
 * former. *bin is bin and sbin, which distributions disagree about. Numbers are for
 * ever: a rule that goes leaves its number unused. */
#include "rules/rule.h"

#define NETWORKD "/usr/lib/systemd/systemd-networkd"
#define GROUPS " multicast:1900,5353,5355/udp note discovery"

static const struct factory {
	uint16_t number;
	uint8_t class;         /* enum rules_class, 0: none */
	const char *text;
} rules[] = {
	{ 1, 0, "allow any localhost note loopback" },

	{ 16, RULES_DHCP, "allow /usr/*bin/dhclient multicast:67,547/udp note DHCP" },
	{ 17, RULES_DHCP, "allow /usr/*bin/dhclient lan:67,547/udp note DHCP" },
	{ 18, RULES_DHCP, "allow /usr/*bin/dhcpcd multicast:67,547/udp note DHCP" },
	{ 19, RULES_DHCP, "allow /usr/*bin/dhcpcd lan:67,547/udp note DHCP" },
	{ 20, RULES_DHCP,
		"allow /usr/*bin/NetworkManager multicast:67,547/udp note DHCP" },
	{ 21, RULES_DHCP, "allow /usr/*bin/NetworkManager lan:67,547/udp note DHCP" },
	{ 22, RULES_DHCP,
		"allow " NETWORKD " multicast:67,547/udp note DHCP" },
	{ 23, RULES_DHCP,
		"allow " NETWORKD " lan:67,547/udp note DHCP" },
	{ 24, RULES_DHCP, "allow /usr/*bin/connmand multicast:67,547/udp note DHCP" },
	{ 25, RULES_DHCP, "allow /usr/*bin/connmand lan:67,547/udp note DHCP" },

	{ 32, RULES_NTP, "allow /usr/*bin/chronyd any:123/udp note NTP" },
	{ 33, RULES_NTP, "allow /usr/*bin/ntpd any:123/udp note NTP" },
	{ 34, RULES_NTP,
		"allow /usr/lib/systemd/systemd-timesyncd any:123/udp note NTP" },

	{ 48, RULES_MDNS,
		"allow /usr/*bin/avahi-daemon" GROUPS },
	{ 49, RULES_MDNS,
		"allow /usr/lib/systemd/systemd-resolved" GROUPS },
	{ 50, RULES_MDNS,
		"allow /usr/*bin/cupsd" GROUPS },
	{ 51, RULES_MDNS,
		"allow /usr/*bin/cups-browsed" GROUPS },
	{ 52, RULES_MDNS,
		"allow /usr/*bin/minissdpd" GROUPS },

	{ 64, RULES_ND,
		"allow " NETWORKD " multicast/icmp note neighbours" },
	{ 65, RULES_ND,
		"allow " NETWORKD " lan/icmp note neighbours" },
	{ 66, RULES_ND,
		"allow /usr/*bin/NetworkManager multicast/icmp note neighbours" },
	{ 67, RULES_ND, "allow /usr/*bin/NetworkManager lan/icmp note neighbours" },
	{ 68, RULES_ND, "allow /usr/*bin/dhcpcd multicast/icmp note neighbours" },
	{ 69, RULES_ND, "allow /usr/*bin/dhcpcd lan/icmp note neighbours" },
	{ 70, RULES_ND, "allow /usr/*bin/connmand multicast/icmp note neighbours" },
	{ 71, RULES_ND, "allow /usr/*bin/connmand lan/icmp note neighbours" },
	{ 72, RULES_ND, "allow /usr/*bin/rdisc6 multicast/icmp note neighbours" },
	{ 73, RULES_ND, "allow /usr/*bin/rdisc6 lan/icmp note neighbours" },
	{ 74, RULES_ND, "allow /usr/*bin/radvd multicast/icmp note neighbours" },
	{ 75, RULES_ND, "allow /usr/*bin/radvd lan/icmp note neighbours" },
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
