/* SPDX-License-Identifier: GPL-2.0-or-later
 * transport.h - one server, raw messages to it and back. Plain DNS (plain.c) is one;
 * encrypted ones stand beside it. A transport does one try: choosing a server, checking
 * the reply and trying again are upstream.c's. */
#ifndef RESOLVER_TRANSPORT_H
#define RESOLVER_TRANSPORT_H

#include "resolver/resolver.h"

struct transport;
struct try; /* one query on its way */

/* 0 and the reply, borrowed; or -ETIMEDOUT, -ECONNREFUSED, -ECANCELED (closed),
 * -EKEYREJECTED (its certificate), -ECONNRESET, -EIO */
typedef void (*try_done)(void *ctx, int r, const uint8_t *msg, size_t len);

struct transport_kind {
	int (*open)(struct uv_loop_s *loop, const struct upstream *to,
		const struct resolver_conf *conf, struct transport **out);
	/* From anywhere; what is on its way ends with -ECANCELED from the loop, later. */
	void (*close)(struct transport *t);
	/* Never calls done before it returns: what fails at once is the result. Copies msg. */
	int (*send)(struct transport *t, const uint8_t *msg, size_t len, try_done done,
		void *ctx, struct try **out);
	/* done will not be called */
	void (*forget)(struct try *try);
	/* what the last failure was, in words; "" or NULL where the code says all */
	const char *(*why)(const struct transport *t);
};

/* named: an encrypted server without an address, found by the bootstrap servers */
extern const struct transport_kind plain_transport, tls_transport, https_transport,
	named_transport;

static inline const struct transport_kind *transport_kind(const struct upstream *u)
{
	if (u->addr.family == 0)
		return &named_transport;
	if (u->kind == UPSTREAM_TLS)
		return &tls_transport;
	return u->kind == UPSTREAM_HTTPS ? &https_transport : &plain_transport;
}

#endif
