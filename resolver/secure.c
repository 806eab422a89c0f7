/* SPDX-License-Identifier: GPL-2.0-or-later
 * Setting the mark needs CAP_NET_ADMIN. */
#include "resolver/multi.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { URL_HEAD_MAX = HOST_MAX + ADDR_TEXT_MAX + 16 };

/* a link whose other end is gone without a word is a broken one after so long */
enum { UNACKED_MS = 4000 };

int from_curl(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
		return -EKEYREJECTED;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return -ECONNRESET;
	case CURLE_SSL_CONNECT_ERROR:
		return -EPROTO;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* A socket without our mark would meet our own gate: rather none */
static int on_new_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	const struct secure *w = ctx;
	unsigned unacked = UNACKED_MS;

	(void)purpose;
	if (w->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &w->mark, sizeof(w->mark)) < 0)
		return CURL_SOCKOPT_ERROR;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
	return CURL_SOCKOPT_OK;
}

/* An address is always given, so that nobody is asked for it */
static int secure_where(struct secure *w)
{
	const struct upstream *to = &w->to;
	char addr[ADDR_TEXT_MAX], pair[URL_HEAD_MAX];
	bool v6 = to->addr.family == 6 && !to->name[0];

	addr_text(&to->addr, addr);
	snprintf(w->url, sizeof(w->url), "https://%s%s%s:%u%s", v6 ? "[" : "",
		to->name[0] ? to->name : addr, v6 ? "]" : "", to->port,
		to->kind == UPSTREAM_HTTPS ? to->path : "/");
	if (!to->name[0])
		return 0;
	snprintf(pair, sizeof(pair), "%s:%u:%s", to->name, to->port, addr);
	w->resolve = curl_slist_append(NULL, pair);
	return w->resolve ? 0 : -ENOMEM;
}

int secure_init(struct secure *w, const struct upstream *to, const struct resolver_conf *conf,
	unsigned timeout_ms)
{
	*w = (struct secure){ .to = *to, .mark = conf->mark, .ca = conf->tls_ca,
		.timeout_ms = timeout_ms };
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	w->share = curl_share_init();
	if (!w->share || secure_where(w) < 0) {
		secure_done(w);
		return -ENOMEM;
	}
	curl_share_setopt(w->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	return 0;
}

void secure_done(struct secure *w)
{
	curl_slist_free_all(w->resolve);
	curl_share_cleanup(w->share);
	curl_global_cleanup(); /* counted */
}

/* The system's store by its folder where it has one: of a file every certificate would be
 * read for a handshake that needs one. */
static void trust(CURL *easy, const struct secure *w)
{
	const char *path = curl_version_info(CURLVERSION_NOW)->capath;
	struct stat st;

	if (w->ca) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, w->ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	} else if (path && stat(path, &st) == 0) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(easy, CURLOPT_CAPATH, path);
	}
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SHARE, w->share);
}

CURL *secure_easy(struct secure *w, char error[static CURL_ERROR_SIZE])
{
	CURL *easy = curl_easy_init();

	if (!easy)
		return NULL;
	error[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(easy, CURLOPT_URL, w->url);
	curl_easy_setopt(easy, CURLOPT_RESOLVE, w->resolve);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)w->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, w);
	trust(easy, w);
	return easy;
}
