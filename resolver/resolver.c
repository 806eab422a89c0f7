/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. A query is looked up in the cache, then among those under way, and
 * only then sent. What is under way is a pending with a list of askings; its answer goes
 * into the cache and to every asking in the order they came. A pending whose askings were
 * all cancelled goes on: its answer is cached. */
#include "resolver/resolver.h"
#include "resolver/answer.h"
#include "resolver/cache.h"
#include "resolver/hosts.h"
#include "resolver/local.h"
#include "resolver/upstream.h"
#include "resolver/validator.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/table.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
	CLASS_IN = 1,
	PENDING_MAX = 4096,
	ASKING_MAX = 16384,
	HOSTS_FILE_MAX = 4 << 20,
	HOSTS_LOOK_MS = 1000,
};

struct asking {
	struct asking *next, **at;
	struct pending *owner;
	resolver_done done;
	void *ctx;
};

struct pending {
	struct table_node node;
	struct resolver *owner;
	struct cache_key key;
	struct asking *first, **last;
	struct exchange *exchange;
	char name[HOST_MAX];
};

struct hosts_file {
	const char *path;
	struct hosts *read; /* NULL: none, or unreadable */
	struct stat seen;
	int64_t looked_ms;
};

struct resolver {
	struct cache cache;
	struct table pending;
	struct upstreams *upstreams;
	struct validator *validator; /* NULL: nobody proves, nobody walks from the root */
	bool trust_ad;
	struct hosts_file hosts;
	size_t askings;
	bool closing;
	struct resolver_stats stats;
};

static bool pending_equal(const struct table_node *n, const void *key)
{
	return cache_key_equal(&container_of(n, struct pending, node)->key, key);
}

static void asking_unlink(struct asking *a)
{
	*a->at = a->next;
	if (a->next)
		a->next->at = a->at;
	else
		a->owner->last = a->at;
	a->owner->owner->askings--;
}

static int asking_add(struct pending *p, resolver_done done, void *ctx,
	struct asking **out)
{
	struct asking *a;

	if (p->owner->askings >= ASKING_MAX)
		return -ENOBUFS;
	a = malloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct asking){ .owner = p, .at = p->last, .done = done, .ctx = ctx };
	*p->last = a;
	p->last = &a->next;
	p->owner->askings++;
	*out = a;
	return 0;
}

/* A callback may cancel others or ask anew: the list is read afresh each time. */
static void pending_end(struct pending *p, int r, const struct answer *answer)
{
	table_remove(&p->owner->pending, &p->node);
	while (p->first) {
		struct asking *a = p->first;
		resolver_done done = a->done;
		void *ctx = a->ctx;

		asking_unlink(a);
		free(a);
		done(ctx, r, answer);
	}
	free(p);
}

static void on_upstream(void *ctx, int r, const uint8_t *msg, size_t len)
{
	struct pending *p = ctx;
	struct answer *answer = NULL;

	if (r == 0)
		r = answer_new(msg, len, &answer);
	if (r == 0 && !p->owner->validator && !p->owner->trust_ad)
		answer_doubt(answer);
	if (r < 0)
		p->owner->stats.upstream_failed++;
	else
		cache_put(&p->owner->cache, &p->key, answer, clock_boot_ms());
	pending_end(p, r, answer);
	answer_release(answer);
}

static int send_validated(struct pending *p)
{
	const struct validator_ask ask = { .name = p->key.name, .type = p->key.type,
		.dnssec_ok = p->key.dnssec_ok, .checking_disabled = p->key.checking_disabled,
		.done = on_upstream, .ctx = p };

	return validator_ask(p->owner->validator, &ask);
}

static int pending_send(struct pending *p)
{
	uint8_t query[EXCHANGE_QUERY_MAX];
	uint16_t id;
	int len;

	if (p->owner->validator && p->key.klass == CLASS_IN)
		return send_validated(p);
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return -EIO;
	len = wire_query_write(p->key.name, p->key.type, id, p->key.dnssec_ok, query,
		sizeof(query));
	if (len < 0)
		return len;
	if (p->key.checking_disabled)
		query[3] |= WIRE_CD;
	if (p->owner->trust_ad)
		query[3] |= WIRE_AD; /* tell us: RFC 6840 5.7 */
	p->owner->stats.upstream_sent++;
	return upstreams_ask(p->owner->upstreams, query, (size_t)len, on_upstream, p,
		&p->exchange);
}

static int pending_new(struct resolver *r, const struct cache_key *key,
	struct pending **out)
{
	struct pending *p;

	if (r->pending.count >= PENDING_MAX)
		return -ENOBUFS;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->owner = r;
	p->key = *key;
	memcpy(p->name, key->name, strlen(key->name) + 1);
	p->key.name = p->name;
	p->last = &p->first;
	table_add(&r->pending, &p->node, cache_key_hash(&r->pending, key));
	*out = p;
	return 0;
}

/* it could not be sent: nobody but the caller knows of it */
static void pending_drop(struct pending *p)
{
	struct asking *a = p->first;

	table_remove(&p->owner->pending, &p->node);
	if (a)
		asking_unlink(a);
	free(a);
	free(p);
}

static int ask_upstream(struct resolver *r, const struct cache_key *key,
	resolver_done done, void *ctx, struct asking **out)
{
	struct asking *a;
	struct pending *p;
	int e = pending_new(r, key, &p);

	if (e < 0)
		return e;
	e = asking_add(p, done, ctx, &a);
	if (e == 0)
		e = pending_send(p);
	if (e < 0) {
		pending_drop(p);
		return e;
	}
	*out = a;
	return 0;
}

int resolver_ask(struct resolver *r, const struct wire_query *q, resolver_done done,
	void *ctx, struct asking **asking)
{
	struct cache_key key = { .name = q->name, .type = q->type, .klass = q->klass,
		.dnssec_ok = q->dnssec_ok, .checking_disabled = q->flags & WIRE_CD };
	const struct answer *answer;
	struct table_node *n;

	if (r->closing)
		return -ECANCELED;
	answer = cache_get(&r->cache, &key, clock_boot_ms());
	if (answer) {
		r->stats.hits++;
		answer_hold(answer); /* done may ask again and so push it out */
		done(ctx, 0, answer);
		answer_release(answer);
		return 0;
	}
	r->stats.misses++;
	n = table_find(&r->pending, cache_key_hash(&r->pending, &key), pending_equal, &key);
	if (!n)
		return ask_upstream(r, &key, done, ctx, asking);
	r->stats.shared++;
	return asking_add(container_of(n, struct pending, node), done, ctx, asking);
}

void resolver_cancel(struct asking *a)
{
	if (!a)
		return;
	asking_unlink(a);
	free(a);
}

static bool hosts_changed(const struct hosts_file *h, const struct stat *st)
{
	return st->st_mtim.tv_sec != h->seen.st_mtim.tv_sec ||
		st->st_mtim.tv_nsec != h->seen.st_mtim.tv_nsec ||
		st->st_ino != h->seen.st_ino || st->st_size != h->seen.st_size;
}

static void hosts_read(struct hosts_file *h)
{
	auto_free char *text = NULL;
	struct hosts *read = NULL;
	size_t len;

	if (io_read_file(h->path, HOSTS_FILE_MAX, &text, &len) == 0)
		hosts_parse(text, len, &read);
	hosts_free(h->read);
	h->read = read;
}

static struct hosts *hosts_now(struct resolver *r)
{
	struct hosts_file *h = &r->hosts;
	int64_t now_ms = clock_boot_ms();
	struct stat st;

	if (h->looked_ms && now_ms - h->looked_ms < HOSTS_LOOK_MS)
		return h->read;
	h->looked_ms = now_ms;
	if (stat(h->path, &st) < 0)
		memset(&st, 0, sizeof(st));
	if (hosts_changed(h, &st)) {
		h->seen = st;
		hosts_read(h);
	}
	return h->read;
}

int resolver_local(struct resolver *r, const struct wire_query *q, const uint8_t *query,
	uint8_t *out, size_t room)
{
	return local_answer(hosts_now(r), q, query, out, room);
}

bool resolver_hosts_name(struct resolver *r, const char *name)
{
	const struct hosts *h = hosts_now(r);

	return h && hosts_has(h, name);
}

static int open_validator(struct resolver *r, struct uv_loop_s *loop,
	const struct resolver_conf *conf)
{
	const struct validator_conf v = { .upstreams = conf->recursive ? NULL : r->upstreams,
		.validate = conf->dnssec == DNSSEC_VALIDATE, .anchor = conf->anchor,
		.hints = conf->root_hints, .mark = conf->mark };

	if (!conf->recursive && !v.validate)
		return 0;
	return validator_open(loop, &v, &r->validator);
}

int resolver_open(struct uv_loop_s *loop, const struct resolver_conf *conf,
	struct resolver **out)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->hosts.path = conf->hosts ? conf->hosts : "/etc/hosts";
	e = cache_init(&r->cache, conf->cache_bytes);
	if (e == 0)
		e = table_init(&r->pending, PENDING_MAX);
	if (e == 0)
		e = upstreams_open(loop, conf, &r->upstreams);
	r->trust_ad = conf->dnssec == DNSSEC_TRUST_AD;
	if (e == 0)
		e = open_validator(r, loop, conf);
	if (e == 0)
		*out = r;
	else
		resolver_close(r);
	return e;
}

void resolver_close(struct resolver *r)
{
	if (!r)
		return;
	r->closing = true;
	validator_close(r->validator);
	upstreams_close(r->upstreams);
	while (r->pending.count)
		pending_end(container_of(table_oldest(&r->pending), struct pending, node),
			-ECANCELED, NULL);
	table_done(&r->pending);
	cache_done(&r->cache);
	hosts_free(r->hosts.read);
	free(r);
}

void resolver_upstreams_set(struct resolver *r, const struct upstream *u, size_t n)
{
	upstreams_set(r->upstreams, u, n);
}

void resolver_stats(const struct resolver *r, struct resolver_stats *out)
{
	*out = r->stats;
	out->entries = r->cache.table.count;
	out->bytes = r->cache.bytes;
}

size_t resolver_upstreams(const struct resolver *r, struct upstream_state *out, size_t max)
{
	return upstreams_state(r->upstreams, out, max);
}
