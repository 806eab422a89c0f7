/* SPDX-License-Identifier: GPL-2.0-or-later
 * multi.h - a curl multi handle on the loop, and easy handles that lead to one encrypted
 * server and to nowhere else: strict about its certificate, never by the system's resolver
 * (that is us), never by a proxy. */
#ifndef RESOLVER_MULTI_H
#define RESOLVER_MULTI_H

#include "resolver/resolver.h"

#include <curl/curl.h>

struct multi;

/* From the loop, once for each that was added; may call anything here. */
typedef void (*multi_done)(void *ctx, CURL *easy, CURLcode code);

int multi_open(struct uv_loop_s *loop, multi_done done, void *ctx, struct multi **out);
/* NULL is fine. Not from a curl callback. What was added is to be removed before. */
void multi_close(struct multi *m);
int multi_add(struct multi *m, CURL *easy);
void multi_remove(struct multi *m, CURL *easy);

/* what the easy handles of one server have in common */
struct secure {
	struct upstream to;
	uint32_t mark;
	const char *ca;          /* borrowed; NULL: the system's store */
	unsigned timeout_ms;     /* to connect */
	CURLSH *share;           /* TLS sessions, to be resumed */
	struct curl_slist *resolve;
	char url[HOST_MAX + UPSTREAM_PATH_MAX + 32];
};

/* *w stays where it is as long as one of its handles lives. -ENOMEM */
int secure_init(struct secure *w, const struct upstream *to, const struct resolver_conf *conf,
	unsigned timeout_ms);
void secure_done(struct secure *w);
/* error is filled by curl, as long as the handle lives. NULL: out of memory */
CURL *secure_easy(struct secure *w, char error[static CURL_ERROR_SIZE]);
/* -EKEYREJECTED: the certificate; -ECONNRESET: the connection is gone; ... */
int from_curl(CURLcode code);

#endif
