/* SPDX-License-Identifier: GPL-2.0-or-later
 * host.h - a host name as text: lower case, no trailing dot, "" is the root.
 * Shapes:  at most HOST_MAX - 1 bytes, labels of 1 to 63 bytes (RFC 1035 2.3.4). A byte
 *          that is no letter, digit, '-' or '_' stands escaped as \DDD (RFC 1035 5.1),
 *          so a name is always printable ASCII and two names are equal iff strcmp is 0.
 *          An escaped name may be longer than its wire form: hence HOST_MAX.
 * Values only; nothing is allocated. */
#ifndef BASE_HOST_H
#define BASE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HOST_MAX = 256, HOST_WIRE_MAX = 255 };

/* Normalise what a person wrote: lower case, one trailing dot gone. -EINVAL, -ENAMETOOLONG.
 * Takes ASCII only (rules/ turns IDN into A-labels first). */
int host_parse(const char *text, char out[static HOST_MAX]);
/* Wire form without compression (RFC 1035 3.1) from a normalised name; returns its length. */
int host_to_wire(const char *host, uint8_t out[static HOST_WIRE_MAX]);
/* is host the name itself or below it? Both normalised; domain "" covers all */
bool host_covers(const char *domain, const char *host);
unsigned host_labels(const char *host); /* "" 0, "com" 1 */
/* d.c.b.a.in-addr.arpa and the ip6.arpa nibbles: the address asked for, or -EINVAL */
struct addr;
int host_reverse_parse(const char *host, struct addr *out);

#endif
