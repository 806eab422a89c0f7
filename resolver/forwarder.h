/* SPDX-License-Identifier: GPL-2.0-or-later
 * forwarder.h - the way from libunbound to our upstreams: a UDP socket on 127.0.0.1 that it
 * forwards to, and what comes there is asked by upstream.c (so that encrypted servers, health
 * and marks are the same for all). The socket answers only to who puts the secret into an
 * EDNS option (which libunbound does): for everybody else it is no way past the rules. */
#ifndef RESOLVER_FORWARDER_H
#define RESOLVER_FORWARDER_H

#include "resolver/upstream.h"

struct forwarder;

enum { FORWARDER_OPTION = 65001, FORWARDER_SECRET_LEN = 32 };

/* mark is put on the socket by SO_MARK where not 0 */
int forwarder_open(struct uv_loop_s *loop, struct upstreams *to, uint32_t mark,
	struct forwarder **out);
/* before the upstreams; NULL is fine */
void forwarder_close(struct forwarder *f);
uint16_t forwarder_port(const struct forwarder *f);
const char *forwarder_secret(const struct forwarder *f); /* FORWARDER_SECRET_LEN hex digits */

/* Is this option in msg's OPT, with these very bytes? Pure; in time that does not tell how
 * much of it was right. */
bool forwarder_has_secret(const uint8_t *msg, size_t len, const char *secret);

#endif
