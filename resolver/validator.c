/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. libunbound does the walking and the proving; it asks either the
 * forwarder, and so our upstreams, or the world. Its own cache is small: ours stands before
 * it. It is asked with DO set always, and what the asker has no use for is cut out. */
#include "resolver/validator.h"
#include "resolver/forwarder.h"
#include "resolver/name.h"
#include "resolver/record.h"
#include "resolver/ubevent.h"

#include "base/io.h"
#include "base/list.h"
#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unbound-event.h>
#include <unbound.h>
#include <uv.h>

enum { TYPE_RRSIG = 46, TYPE_NSEC = 47, TYPE_NSEC3 = 50, SECURE = 2, BOGUS = 1 };
enum { CUT_WORDS = WIRE_ITEMS_MAX / 64 };

struct validator {
	uv_timer_t tell;
	struct ub_event_base *base;
	struct ub_ctx *ctx;
	struct forwarder *forwarder;
	struct list under_way, ended;
	bool closing;
};

struct validation {
	struct list_node node;
	struct validator *owner;
	struct validator_ask ask;
	char name[HOST_MAX];
	uint8_t *msg;  /* when ended; NULL: none could be made */
	size_t len;
};

/* --- what libunbound is told ------------------------------------------------------------ */

/* Zones it would answer for by itself are ours to know, or an upstream's. */
static const char common[] =
	"server:\n"
	"verbosity: 0\nuse-syslog: no\nlogfile: \"\"\nchroot: \"\"\n"
	"msg-cache-size: 2m\nrrset-cache-size: 4m\nkey-cache-size: 1m\nneg-cache-size: 1m\n"
	"num-queries-per-thread: 1024\noutgoing-range: 512\n"
	"unblock-lan-zones: yes\ninsecure-lan-zones: yes\n"
	"local-zone: \"test.\" nodefault\nlocal-zone: \"home.arpa.\" nodefault\n";

static void config_write(FILE *f, const struct validator_conf *conf,
	const struct forwarder *via)
{
	fputs(common, f);
	fprintf(f, "module-config: \"%siterator\"\n", conf->validate ? "validator " : "");
	if (conf->validate)
		fprintf(f, "trust-anchor-file: \"%s\"\n", conf->anchor);
	if (conf->hints)
		fprintf(f, "root-hints: \"%s\"\n", conf->hints);
	if (!via)
		return;
	fprintf(f, "do-not-query-localhost: no\nedns-buffer-size: 65535\ndo-tcp: no\n"
		   "infra-cache-min-rtt: 3000\nunknown-server-time-limit: 5000\n"
		   "edns-client-string: 127.0.0.1/32 \"%s\"\n"
		   "edns-client-string-opcode: %d\n"
		   "forward-zone:\nname: \".\"\nforward-addr: 127.0.0.1@%u\n",
		forwarder_secret(via), FORWARDER_OPTION, forwarder_port(via));
}

/* libunbound reads its settings from a file: one in memory */
static int configure(struct validator *v, const struct validator_conf *conf)
{
	auto_close int fd = memfd_create("unbound", MFD_CLOEXEC);
	auto_free char *text = NULL;
	char path[32];
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int r;

	if (!f)
		return -ENOMEM;
	config_write(f, conf, v->forwarder);
	if (fclose(f) != 0)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text, len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (r == 0 && ub_ctx_config(v->ctx, path) != 0)
		r = -EINVAL;
	return r;
}

/* --- answers ---------------------------------------------------------------------------- */

static void validation_free(struct list *of, struct validation *x)
{
	list_remove(of, &x->node);
	free(x->msg);
	free(x);
}

/* RFC 4035 3.2.1: without DO no record of DNSSEC's, but the one that was asked for */
static void cut_proofs(const uint8_t *msg, size_t len, uint16_t asked,
	uint64_t cut[static CUT_WORDS])
{
	struct cur c = cur_over(msg, len);
	struct record rr;
	unsigned total;
	struct head h;

	memset(cut, 0, CUT_WORDS * sizeof(*cut));
	if (head_read(&c, &h) < 0 || name_skip(&c) < 0 || !cur_take(&c, 4))
		return;
	total = (unsigned)h.an + h.ns + h.ar;
	for (unsigned i = 0; i < total && i < WIRE_ITEMS_MAX; i++) {
		if (record_read(&c, &rr) < 0)
			return;
		if (rr.type != asked && (rr.type == TYPE_RRSIG || rr.type == TYPE_NSEC ||
			rr.type == TYPE_NSEC3))
			cut[i / 64] |= (uint64_t)1 << i % 64;
	}
}

static int answer_write(const struct validation *x, const uint8_t *msg, size_t len, bool secure,
	uint8_t *out)
{
	uint64_t cut[CUT_WORDS];
	int n;

	cut_proofs(msg, len, x->ask.type, cut);
	n = wire_canon(msg, len, x->ask.dnssec_ok ? NULL : cut, out, WIRE_MAX);
	if (n > 0)
		out[3] = (uint8_t)((out[3] & ~WIRE_AD) | (secure ? WIRE_AD : 0));
	return n;
}

/* RFC 8914: what kind of failure libunbound's sentence tells of */
static enum ede ede_of(const char *why)
{
	static const struct { const char *word; enum ede code; } words[] = {
		{ "signature expired", EDE_EXPIRED }, { "not yet valid", EDE_NOT_YET },
		{ "signature before inception", EDE_NOT_YET },
		{ "DNSKEY", EDE_NO_KEY },
		{ "no signatures", EDE_NO_RRSIG }, { "missing signature", EDE_NO_RRSIG },
	};

	for (size_t i = 0; why && i < ARRAY_LEN(words); i++)
		if (strstr(why, words[i].word))
			return words[i].code;
	return EDE_BOGUS;
}

static int failure_write(const struct validation *x, enum ede ede, const char *why,
	uint8_t *out)
{
	uint8_t query[EXCHANGE_QUERY_MAX];
	struct wire_query q;
	enum rcode rcode;
	int n = wire_query_write(x->name, x->ask.type, 0, x->ask.dnssec_ok, query,
		sizeof(query));

	if (n < 0 || wire_query_read(query, (size_t)n, &q, &rcode) < 0)
		return -EBADMSG;
	return wire_error(&q, query, (size_t)n, RCODE_SERVFAIL, ede, why, out, WIRE_MAX);
}

static void on_tell(uv_timer_t *t)
{
	struct validator *v = container_of(t, struct validator, tell);

	while (v->ended.oldest) {
		struct validation *x = container_of(v->ended.oldest, struct validation, node);
		struct validator_ask ask = x->ask;
		auto_free uint8_t *msg = x->msg;
		size_t len = x->len;

		x->msg = NULL;
		validation_free(&v->ended, x);
		ask.done(ask.ctx, msg ? 0 : -EIO, msg, len);
	}
}

/* Told on the next turn: who is told may ask anew, and libunbound is in the middle of it. */
static void on_result(void *ctx, int rcode, void *packet, int len, int sec, char *why,
	int limited)
{
	struct validation *x = ctx;
	struct validator *v = x->owner;
	bool bogus = sec == BOGUS && !x->ask.checking_disabled;
	auto_free uint8_t *out = malloc(WIRE_MAX);
	int n = -ENOMEM;

	(void)limited;
	list_remove(&v->under_way, &x->node);
	list_add(&v->ended, &x->node);
	if (v->closing)
		return;
	if (out && bogus)
		n = failure_write(x, ede_of(why), why, out);
	else if (out && (rcode != 0 || !packet || len <= 0))
		n = failure_write(x, EDE_NO_REACHABLE, NULL, out);
	else if (out)
		n = answer_write(x, packet, (size_t)len, sec == SECURE, out);
	x->msg = n > 0 ? malloc((size_t)n) : NULL;
	if (x->msg)
		memcpy(x->msg, out, x->len = (size_t)n);
	uv_timer_start(&v->tell, on_tell, 0, 0);
}

int validator_ask(struct validator *v, const struct validator_ask *ask)
{
	struct validation *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->owner = v;
	x->ask = *ask;
	memcpy(x->name, ask->name, strlen(ask->name) + 1);
	x->ask.name = x->name;
	list_add(&v->under_way, &x->node);
	if (ub_resolve_event(v->ctx, x->name, ask->type, 1, x, on_result, NULL) == 0)
		return 0;
	validation_free(&v->under_way, x);
	return -EIO;
}

/* --- opening ---------------------------------------------------------------------------- */

int validator_open(struct uv_loop_s *loop, const struct validator_conf *conf,
	struct validator **out)
{
	struct validator *v;
	int r = 0;

	if ((conf->validate && access(conf->anchor, R_OK) < 0) ||
		(conf->hints && access(conf->hints, R_OK) < 0))
		return -errno;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	uv_timer_init(loop, &v->tell);
	v->base = ubevent_new(loop);
	v->ctx = v->base ? ub_ctx_create_ub_event(v->base) : NULL;
	if (!v->ctx)
		r = -ENOMEM;
	if (r == 0 && conf->upstreams)
		r = forwarder_open(loop, conf->upstreams, conf->mark, &v->forwarder);
	if (r == 0)
		r = configure(v, conf);
	if (r == 0)
		*out = v;
	else
		validator_close(v);
	return r;
}

static void on_closed(uv_handle_t *h)
{
	free(container_of((uv_timer_t *)h, struct validator, tell));
}

static void list_free(struct list *l)
{
	while (l->oldest)
		validation_free(l, container_of(l->oldest, struct validation, node));
}

void validator_close(struct validator *v)
{
	if (!v)
		return;
	v->closing = true;
	forwarder_close(v->forwarder);
	if (v->ctx)
		ub_ctx_delete(v->ctx);
	list_free(&v->under_way);
	list_free(&v->ended);
	ubevent_free(v->base);
	uv_close((uv_handle_t *)&v->tell, on_closed);
}
