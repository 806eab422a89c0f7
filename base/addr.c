/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const zone_names[] = {
	[ZONE_NONE] = "none",
	[ZONE_LOCALHOST] = "localhost",
	[ZONE_LAN] = "lan",
	[ZONE_INTERNET] = "internet",
	[ZONE_MULTICAST] = "multicast",
};

struct addr addr_v4(const void *four_bytes)
{
	struct addr a = { .family = 4 };

	memcpy(a.b, four_bytes, 4);
	return a;
}

struct addr addr_v6(const void *sixteen_bytes)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct addr a = { .family = 6 };

	if (memcmp(sixteen_bytes, mapped, sizeof(mapped)) == 0)
		return addr_v4((const uint8_t *)sixteen_bytes + 12);
	memcpy(a.b, sixteen_bytes, 16);
	return a;
}

int addr_parse(const char *text, struct addr *out)
{
	uint8_t b[16];

	if (inet_pton(AF_INET, text, b) == 1)
		*out = addr_v4(b);
	else if (inet_pton(AF_INET6, text, b) == 1)
		*out = addr_v6(b);
	else
		return -EINVAL;
	return 0;
}

const char *addr_text(const struct addr *a, char out[static ADDR_TEXT_MAX])
{
	if (a->family == 0)
		strcpy(out, "-");
	else
		inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->b, out, ADDR_TEXT_MAX);
	return out;
}

int addr_from_sockaddr(const struct sockaddr *sa, struct addr *out, uint16_t *port)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		*out = addr_v4(&in->sin_addr);
		*port = ntohs(in->sin_port);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		*out = addr_v6(&in6->sin6_addr);
		*port = ntohs(in6->sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}

size_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (a->family == 4) {
		struct sockaddr_in *in = (void *)out;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)out;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	return sizeof(*in6);
}

static int parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtoul(text, &end, 10);
	if (*end || v == 0 || v > 65535)
		return -EINVAL;
	*port = (uint16_t)v;
	return 0;
}

int addr_parse_port(const char *text, struct addr *out, uint16_t *port)
{
	char host[ADDR_TEXT_MAX];
	const char *colon = strchr(text, ':'), *end = text + strlen(text), *start = text;
	const char *port_text = NULL;
	struct addr a;

	if (*text == '[') {
		start = text + 1;
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		if (end[1])
			port_text = end + 2;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
		port_text = colon + 1;
	}
	if ((size_t)(end - start) >= sizeof(host))
		return -EINVAL;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	if (addr_parse(host, &a) < 0)
		return -EINVAL;
	if (port_text && parse_port(port_text, port) < 0)
		return -EINVAL;
	*out = a;
	return 0;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (a->family != net->family || bits > addr_bits(net))
		return false;
	if (memcmp(a->b, net->b, whole) != 0)
		return false;
	return rest == 0 || ((a->b[whole] ^ net->b[whole]) >> (8 - rest)) == 0;
}

bool addr_in_range(const struct addr *a, const struct addr *lo, const struct addr *hi)
{
	return a->family == lo->family && addr_cmp(a, lo) >= 0 && addr_cmp(a, hi) <= 0;
}

unsigned addr_bits(const struct addr *a)
{
	return a->family == 4 ? 32 : 128;
}

static bool in(const struct addr *a, const char *net, unsigned bits)
{
	struct addr n;

	return addr_parse(net, &n) == 0 && addr_in_prefix(a, &n, bits);
}

static enum zone zone_v4(const uint8_t *b)
{
	if (b[0] == 127)
		return ZONE_LOCALHOST;
	if (b[0] == 0) /* RFC 1122 3.2.1.3: this host; Linux connects 0.0.0.0 to itself */
		return ZONE_LOCALHOST;
	if (b[0] >= 224 && b[0] < 240)
		return ZONE_MULTICAST;
	if (b[0] == 255 && b[1] == 255 && b[2] == 255 && b[3] == 255)
		return ZONE_MULTICAST;
	if (b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16))
		return ZONE_LAN;
	if ((b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254))
		return ZONE_LAN;
	if (b[0] == 100 && (b[1] & 0xc0) == 64) /* RFC 6598 */
		return ZONE_LAN;
	return ZONE_INTERNET;
}

enum zone addr_zone(const struct addr *a)
{
	static const struct addr six_any = { .family = 6 };

	if (a->family == 4)
		return zone_v4(a->b);
	if (a->family != 6)
		return ZONE_NONE;
	if (addr_cmp(a, &six_any) == 0 || in(a, "::1", 128))
		return ZONE_LOCALHOST;
	if (a->b[0] == 0xff)
		return ZONE_MULTICAST;
	if ((a->b[0] & 0xfe) == 0xfc || (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80))
		return ZONE_LAN;
	if (in(a, "64:ff9b::", 96)) /* RFC 6052: what it embeds decides */
		return zone_v4(a->b + 12);
	return ZONE_INTERNET;
}

const char *zone_text(enum zone z)
{
	return zone_names[z];
}

enum zone zone_parse(const char *text)
{
	for (int z = ZONE_LOCALHOST; z <= ZONE_MULTICAST; z++)
		if (strcmp(text, zone_names[z]) == 0)
			return (enum zone)z;
	return ZONE_NONE;
}
