/* SPDX-License-Identifier: GPL-2.0-or-later
 * addr.h - an IP address and what kind of place it names.
 * Values, no ownership. Bytes are in network order, ports (elsewhere) in host order.
 * IPv4-mapped IPv6 addresses (::ffff:a.b.c.d) are turned into IPv4 on every way in. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;
struct sockaddr_storage;

enum { ADDR_TEXT_MAX = 48 };

struct addr {
	uint8_t family; /* 0 none, 4, 6 */
	uint8_t b[16];  /* IPv4 in the first four, the rest zero */
};

/* DESIGN: localhost, lan (private, link-local, ULA), internet, multicast (and broadcast) */
enum zone { ZONE_NONE, ZONE_LOCALHOST, ZONE_LAN, ZONE_INTERNET, ZONE_MULTICAST };

struct addr addr_v4(const void *four_bytes);
struct addr addr_v6(const void *sixteen_bytes);
int addr_parse(const char *text, struct addr *out); /* -EINVAL; no brackets, no scope */
const char *addr_text(const struct addr *a, char out[static ADDR_TEXT_MAX]); /* RFC 5952 */
int addr_from_sockaddr(const struct sockaddr *sa, struct addr *out, uint16_t *port);
size_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *out);
/* "1.2.3.4", "1.2.3.4:53", "[::1]:53", "::1"; port keeps its value when none is written */
int addr_parse_port(const char *text, struct addr *out, uint16_t *port);

int addr_cmp(const struct addr *a, const struct addr *b); /* v4 before v6, then bytes */
bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned bits);
bool addr_in_range(const struct addr *a, const struct addr *lo, const struct addr *hi);
unsigned addr_bits(const struct addr *a); /* 32 or 128 */
enum zone addr_zone(const struct addr *a);
const char *zone_text(enum zone z);
enum zone zone_parse(const char *text); /* ZONE_NONE if it is no zone */

#endif
