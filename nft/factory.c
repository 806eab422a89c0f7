/* SPDX-License-Identifier: GPL-2.0-or-later
 * factory.c - what needs no rule of a person's, bound to the programs that need it. */

#include "base/macros.h"
#include "nft/chains.h"

#include <netinet/in.h>

struct group {
	const char *to;
	uint8_t bits;
	uint16_t port;
};

void factory_dhcp(struct builder *b, void (*end)(struct builder *b))
{
	static const struct group lan[] = {
		{ "255.255.255.255", 32, 67 }, { "10.0.0.0", 8, 67 }, { "172.16.0.0", 12, 67 },
		{ "192.168.0.0", 16, 67 }, { "169.254.0.0", 16, 67 }, { "100.64.0.0", 10, 67 },
		{ "ff02::1:2", 128, 547 }, { "fe80::", 10, 547 }, { "fc00::", 7, 547 },
	};

	for (size_t i = 0; i < ARRAY_LEN(lan); i++)
		RULE(b, if_to_text(b, lan[i].to, lan[i].bits), if_proto(b, IPPROTO_UDP),
			if_from_port(b, lan[i].port == 67 ? 68 : 546),
			if_to_port(b, lan[i].port), if_factory(b, NFT_FACTORY_DHCP), end(b));
}

void factory_ntp(struct builder *b, void (*end)(struct builder *b))
{
	RULE(b, if_proto(b, IPPROTO_UDP), if_to_port(b, 123), if_factory(b, NFT_FACTORY_NTP),
		end(b));
}

/* mDNS, SSDP, LLMNR: RFC 6762, UPnP device architecture, RFC 4795 */
static void factory_mdns(struct builder *b)
{
	static const struct group groups[] = {
		{ "224.0.0.251", 32, 5353 }, { "ff02::fb", 128, 5353 },
		{ "239.255.255.250", 32, 1900 }, { "ff02::c", 128, 1900 },
		{ "ff05::c", 128, 1900 }, { "224.0.0.252", 32, 5355 },
		{ "ff02::1:3", 128, 5355 },
	};

	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		RULE(b, if_to_text(b, groups[i].to, groups[i].bits), if_proto(b, IPPROTO_UDP),
			if_to_port(b, groups[i].port), if_factory(b, NFT_FACTORY_MDNS),
			do_goto(b, "admit"));
}

/* Multicast listener and neighbour messages of raw sockets, never past the link: MLD has
 * hop limit 1 (RFC 3810), neighbour discovery 255 (RFC 4861). The kernel's own bear no
 * mark. */
static void factory_nd(struct builder *b)
{
	static const struct {
		const char *to;
		uint8_t bits;
	} link[] = { { "ff02::", 16 }, { "fe80::", 10 } };

	for (size_t i = 0; i < ARRAY_LEN(link); i++) {
		RULE(b, if_to_text(b, link[i].to, link[i].bits), if_icmp6(b, 133, 136),
			if_hoplimit(b, 255), if_factory(b, NFT_FACTORY_ND), do_goto(b, "admit"));
		RULE(b, if_to_text(b, link[i].to, link[i].bits), if_icmp6(b, 130, 132),
			if_hoplimit(b, 1), if_factory(b, NFT_FACTORY_ND), do_goto(b, "admit"));
		RULE(b, if_to_text(b, link[i].to, link[i].bits), if_icmp6(b, 143, 143),
			if_hoplimit(b, 1), if_factory(b, NFT_FACTORY_ND), do_goto(b, "admit"));
	}
}

void chains_factory(struct builder *b)
{
	chain_at(b, "factory");
	factory_dhcp(b, do_admit);
	factory_ntp(b, do_admit);
	factory_mdns(b);
	factory_nd(b);
}
