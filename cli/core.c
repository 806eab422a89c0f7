/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The core: builds the parts in order, runs, closes them in reverse. It is a fork of the
 * supervisor, so everything in struct held is its own too; when it dies another one begins
 * here, reads back what the kernel knows, and goes on.
 *
 * Rights: drops to those of rights.c before anything else, because threads that exist keep
 * their own.
 */
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/atlas.h"
#include "cli/book.h"
#include "cli/filter.h"
#include "cli/held.h"
#include "cli/keeper.h"
#include "cli/seen.h"
#include "cli/serve.h"
#include "gate/gate.h"
#include "nft/ct.h"
#include "nft/nflog.h"
#include "nft/nft.h"
#include "resolver/listen.h"
#include "resolver/resolver.h"
#include "who/basic.h"
#include "who/diag.h"
#include "who/machine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum {
	WAITING_MAX = 20000,   /* queries under way in one listener */
	LISTENERS_MAX = CONF_LISTEN_MAX + 2,
	RESOLV_CHECK_MS = 5000,
	COUNT_MS = 1000,
	COUNT_IDLE_S = 5,
	EXIT_BAD = 1,
};

struct core {
	struct held *held;
	uv_loop_t loop;
	struct instance instance;
	struct db *db;
	struct book *book;
	struct filter *filter;
	struct seen *seen;
	struct atlas *atlas;
	struct serve *serve;
	struct keeper *keeper;
	struct resolver *resolver;
	struct diag *diag;
	struct basic *basic;
	struct nft *nft;
	struct ct *ct;
	struct nflog *nflog;
	struct gate *gate;
	struct listener *listeners[LISTENERS_MAX];
	unsigned nlisteners;
	struct upstream upstreams[CONF_UPSTREAMS_MAX];
	unsigned nupstreams;
	struct timespec resolv_changed;
	uv_signal_t term, hup;
	uv_timer_t tick, rebuild, count;
	unsigned unwatched; /* seconds since the counters were read */
	bool adopted;
};

/* --- upstreams ------------------------------------------------------------------------- */

static bool our_own(const struct core *c, const struct upstream *u)
{
	const struct conf *conf = c->held->conf;
	static const struct addr usual = { 4, { 127, 0, 0, 53 } };

	if (u->port != 53)
		return false;
	for (unsigned i = 0; i < conf->nlisten; i++)
		if (addr_cmp(&conf->listen[i].addr, &u->addr) == 0)
			return true;
	return addr_cmp(&u->addr, &usual) == 0 && !conf->listen_none;
}

/* local: take servers on this machine too. One that asks through us would go in a circle, so
 * it comes last: behind systemd-resolved's stub, say, are the network's own servers. */
static unsigned read_resolv(struct core *c, const char *path, bool local,
	struct upstream *out)
{
	auto_free char *text = NULL;
	struct upstream all[CONF_UPSTREAMS_MAX];
	unsigned kept = 0;
	size_t len;
	int n;

	if (io_read_file(path, 65536, &text, &len) < 0)
		return 0;
	n = upstream_parse_resolv_conf(text, all, CONF_UPSTREAMS_MAX);
	for (int i = 0; i < n; i++)
		if (!our_own(c, &all[i]) &&
			(local || addr_zone(&all[i].addr) != ZONE_LOCALHOST))
			out[kept++] = all[i];
	return kept;
}

/* configured ones, else the system's own: behind systemd-resolved's stub are its servers */
static void find_upstreams(struct core *c)
{
	static const char *const files[] = { "/etc/resolv.conf",
		"/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf" };
	const struct conf *conf = c->held->conf;
	struct stat st;

	c->nupstreams = 0;
	for (unsigned i = 0; i < conf->nupstreams; i++)
		c->upstreams[c->nupstreams++] = (struct upstream){ conf->upstreams[i].addr,
			conf->upstreams[i].port };
	for (size_t i = 0; i < 2 * ARRAY_LEN(files) && c->nupstreams == 0; i++)
		c->nupstreams = read_resolv(c, files[i % ARRAY_LEN(files)],
			i >= ARRAY_LEN(files), c->upstreams);
	if (stat(files[0], &st) == 0)
		c->resolv_changed = st.st_mtim;
	if (c->nupstreams == 0)
		log_error("no upstream server: none in [resolver] upstream= and none but "
			  "ourselves in /etc/resolv.conf; every name will be SERVFAIL");
}

static bool upstream_public(const struct core *c)
{
	for (unsigned i = 0; i < c->nupstreams; i++)
		if (addr_zone(&c->upstreams[i].addr) == ZONE_INTERNET)
			return true;
	return false;
}

/* every second while somebody looks, else now and then, so that totals are right */
static void on_count(uv_timer_t *t)
{
	struct core *c = t->data;

	if (!serve_watchers(c->serve) && ++c->unwatched < COUNT_IDLE_S)
		return;
	c->unwatched = 0;
	gate_count(c->gate);
}

static void on_counts(void *ctx, const struct flow_count *counts, unsigned n)
{
	struct core *c = ctx;

	if (c->serve)
		serve_counts(c->serve, counts, n);
}

static void on_tick(uv_timer_t *t)
{
	struct core *c = t->data;
	struct stat st;

	if (c->held->conf->nupstreams || stat("/etc/resolv.conf", &st) < 0)
		return;
	if (st.st_mtim.tv_sec == c->resolv_changed.tv_sec &&
		st.st_mtim.tv_nsec == c->resolv_changed.tv_nsec)
		return;
	find_upstreams(c);
	resolver_upstreams_set(c->resolver, c->upstreams, c->nupstreams);
	log_info("/etc/resolv.conf changed: %u upstreams", c->nupstreams);
}

/* --- what the parts call ---------------------------------------------------------------- */

static void on_flow(void *ctx, const struct flow *f, const struct program *p,
	const struct process *process)
{
	struct core *c = ctx;
	bool ours = p->known && p->path[0] == '/' && f->how != HOW_SELF &&
		f->how != HOW_OUTSIDE;
	struct flow told = *f;

	told.first = ours && seen_first(c->seen, p->path, p->uid);
	if (c->serve)
		serve_flow(c->serve, &told, p, process);
	keeper_flow(c->keeper, &told, p, gate_rules(c->gate));
}

static void on_rules(void *ctx, struct ruleset *rs)
{
	struct core *c = ctx;

	if (ruleset_asks_where(rs) && atlas_empty(c->atlas))
		log_warning("a rule goes by country, continent or network, but no database is "
			    "there: it matches nothing");
	gate_rules_set(c->gate, rs);
}

static enum gate_mode mode_of(const struct core *c, enum link_filter_mode mode)
{
	static const enum gate_mode modes[] = { [FILTER_ON] = GATE_ENFORCE,
		[FILTER_PAUSED] = GATE_PAUSED, [FILTER_BLOCK] = GATE_BLOCKED };

	if (c->held->conf->watch && mode != FILTER_BLOCK)
		return GATE_WATCH;
	return modes[mode];
}

static void on_filter_over(void *ctx, enum link_filter_mode mode)
{
	struct core *c = ctx;

	gate_mode_set(c->gate, mode_of(c, mode));
}

static int open_table(struct core *c, const struct nft_element *prefill, size_t n)
{
	const struct held *h = c->held;
	struct nft_conf conf = {
		.instance = &c->instance,
		.default_allow = h->conf->watch || h->conf->default_out == VERDICT_ALLOW,
		.default_in_allow = h->conf->watch || h->conf->default_in == VERDICT_ALLOW,
		.closed = h->conf->closed,
		.ipv6 = h->ipv6,
		.dns_port = 53,
		.log_refused = true,
	};
	char why[HELD_WHY_MAX] = "";
	int r = nft_open(&c->loop, &conf, h->nft, prefill, n, why, sizeof(why), &c->nft);

	if (r < 0)
		log_error("the nft table cannot be set up: %s", why);
	return r;
}

/* Somebody deleted our table: everything comes back in one transaction. */
static void on_rebuild(uv_timer_t *t)
{
	struct core *c = t->data;
	struct nft_element *els = NULL;
	size_t n = 0;
	int r = gate_elements(c->gate, &els, &n);

	log_error("our nft table was taken away: setting it up again");
	gate_table_gone(c->gate);
	nft_close(c->nft); /* what was under way fails: its answers are SERVFAIL */
	c->nft = NULL;
	if (r < 0 || open_table(c, els, n) < 0) {
		log_error("it did not come back: starting anew");
		abort();
	}
	free(els);
	gate_table_back(c->gate, c->nft);
}

/* told from within the writer that is to be closed: not now, but next */
static void on_table_lost(void *ctx)
{
	struct core *c = ctx;

	uv_timer_start(&c->rebuild, on_rebuild, 0, 0);
}

struct change {
	struct book_change book; /* first */
	uint32_t id;
};

/* the kernel has it: what was asked for holds now */
static void change_holds(void *ctx, int r)
{
	struct change *ch = ctx;
	struct core *c = ch->book.ctx;

	(void)r; /* what the kernel refused was logged by the review */
	if (c->serve)
		serve_done(c->serve, ch->book.seq, 0, ch->id, NULL);
	free(ch);
}

static void change_done(struct book_change *b, int r, uint32_t id, const char *error)
{
	struct change *ch = container_of(b, struct change, book);
	struct core *c = b->ctx;

	ch->id = id;
	if (r == 0) {
		gate_after(c->gate, change_holds, ch);
		return;
	}
	if (c->serve)
		serve_done(c->serve, b->seq, r, id, error);
	free(ch);
}

static struct book_change *change_new(struct core *c, uint32_t seq)
{
	struct change *ch = calloc(1, sizeof(*ch));

	if (!ch) {
		serve_done(c->serve, seq, -ENOMEM, 0, "no memory");
		return NULL;
	}
	ch->book.done = change_done;
	ch->book.ctx = c;
	ch->book.seq = seq;
	return &ch->book;
}

static void on_rule_add(void *ctx, const char *text, uint32_t seq)
{
	struct core *c = ctx;
	struct book_change *ch = change_new(c, seq);

	if (ch)
		book_add(c->book, ch, text);
}

static void on_rule_remove(void *ctx, uint32_t id, uint32_t seq)
{
	struct core *c = ctx;
	struct book_change *ch = change_new(c, seq);

	if (ch)
		book_remove(c->book, ch, id);
}

static void on_rule_change(void *ctx, uint32_t id, const char *text, uint32_t seq)
{
	struct core *c = ctx;
	struct book_change *ch = change_new(c, seq);

	if (ch)
		book_replace(c->book, ch, id, text);
}

static void on_filter(void *ctx, enum link_filter_mode mode, int64_t until_s, uint32_t seq)
{
	struct core *c = ctx;
	struct book_change *ch = change_new(c, seq);
	int r;

	if (!ch)
		return;
	r = filter_set(c->filter, mode, until_s);
	if (r < 0)
		change_done(ch, r, 0, r == -EINVAL ? "that time is over already"
						   : "it could not be kept: nothing changed");
	else
		gate_after(c->gate, change_holds, container_of(ch, struct change, book));
}

static const struct ruleset *on_get_rules(void *ctx)
{
	struct core *c = ctx;

	return gate_rules(c->gate);
}

static void count_actor(void *ctx, const struct program *p)
{
	(void)p;
	++*(uint64_t *)ctx;
}

static void status_counters(struct core *c, struct link_status *out)
{
	struct gate_stats g;
	struct resolver_stats r;

	gate_stats(c->gate, &g);
	resolver_stats(c->resolver, &r);
	out->queries = g.queries;
	out->denied = g.denied;
	out->cached = g.cached;
	out->shared = r.shared;
	out->kernel_failed = g.kernel_failed;
	out->unknown = g.unknown;
	out->outside = g.outside;
	out->flows = g.flows;
	out->refused = out->refusals = g.refused;
	out->grants = g.grants;
	out->events_lost = g.events_lost + (c->ct ? ct_lost(c->ct) : 0);
	out->core_restarts = c->held->restarts;
	if (c->held->who) {
		struct who_stats w;

		who_stats(c->held->who, &w);
		who_each_actor(c->held->who, count_actor, &out->actors);
		out->execs = w.execs;
		out->ring_lost = w.ring_lost;
	}
}

static void status_upstreams(struct core *c, struct link_status *out)
{
	struct upstream_state up[LINK_UPSTREAMS_MAX];
	size_t n = resolver_upstreams(c->resolver, up, LINK_UPSTREAMS_MAX);

	for (size_t i = 0; i < n; i++) {
		struct link_upstream *l = &out->upstreams[out->nupstreams++];
		char addr[ADDR_TEXT_MAX];

		snprintf(l->name, sizeof(l->name),
			up[i].up.addr.family == 6 ? "[%s]:%u" : "%s:%u",
			addr_text(&up[i].up.addr, addr), up[i].up.port);
		l->sent = up[i].sent;
		l->failed = up[i].failed;
		l->last_ok_ms = up[i].last_ok_ms;
	}
}

static uint64_t rss_kb(void)
{
	size_t rss = 0;

	return uv_resident_set_memory(&rss) == 0 ? rss / 1024 : 0;
}

static void on_status(void *ctx, struct link_status *out)
{
	struct core *c = ctx;
	const struct held *h = c->held;
	const struct conf *conf = h->conf;
	char nss[MACHINE_TEXT_MAX];

	text_copy(out->version, sizeof(out->version), PACKAGE_VERSION);
	text_copy(out->instance, sizeof(out->instance), conf->instance);
	text_copy(out->mode, sizeof(out->mode), conf->watch ? "watch" : "enforce");
	out->filter = (uint8_t)filter_mode(c->filter);
	out->filter_until_s = filter_until_s(c->filter);
	text_copy(out->scope, sizeof(out->scope), conf->scope);
	text_copy(out->when_down, sizeof(out->when_down), conf->closed ? "closed" : "open");
	text_copy(out->default_out, sizeof(out->default_out),
		verdict_text(conf->default_out));
	text_copy(out->default_in, sizeof(out->default_in), verdict_text(conf->default_in));
	out->uptime_s = (clock_unix_ms() - h->started_ms) / 1000;
	out->bpf = h->who != NULL;
	text_copy(out->why, sizeof(out->why), h->why);
	out->table = c->nft && nft_present(&c->instance) > 0;
	out->persist = out->table && conf->closed && nft_persists(c->nft);
	text_copy(out->nss, sizeof(out->nss), machine_resolvers("", nss));
	text_copy(out->rule_errors, sizeof(out->rule_errors), book_errors(c->book));
	geo_file_text(atlas_geo(c->atlas), GEO_COUNTRY, out->geo_country,
		sizeof(out->geo_country));
	geo_file_text(atlas_geo(c->atlas), GEO_CITY, out->geo_city, sizeof(out->geo_city));
	geo_file_text(atlas_geo(c->atlas), GEO_ASN, out->geo_asn, sizeof(out->geo_asn));
	out->rss_kb = rss_kb();
	out->accounting = h->accounting;
	status_counters(c, out);
	status_upstreams(c, out);
	keeper_status(c->keeper, out);
}

/* --- building, in order ------------------------------------------------------------------ */

static int open_resolver(struct core *c)
{
	const struct held *h = c->held;
	struct resolver_conf conf = {
		.upstreams = c->upstreams,
		.cache_bytes = h->conf->cache_size,
		.mark = h->who ? instance_mark(&c->instance, ACTOR_SELF) : 0,
	};

	find_upstreams(c);
	conf.nupstreams = c->nupstreams;
	return resolver_open(&c->loop, &conf, &c->resolver);
}

static int open_store(struct core *c)
{
	char path[PATH_MAX], why[HELD_WHY_MAX] = "";
	int r;

	snprintf(path, sizeof(path), "%s/scupper.db", c->held->conf->state_dir);
	r = db_open(path, &c->loop, why, sizeof(why), &c->db);
	if (why[0])
		log_error("%s", why);
	if (r < 0) {
		/* rules of files still hold: better a gate without its own rules' store than
		 * none; adding rules says why it cannot */
		c->db = NULL;
		log_error("own rules are not available: %s", strerror(-r));
	}
	c->keeper = keeper_open(&c->loop, c->held->conf);
	return 0;
}

static int open_seen(struct core *c)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/seen", c->held->conf->state_dir);
	return seen_open(path, &c->seen);
}

static int open_filter(struct core *c)
{
	return filter_open(&c->loop, c->held->conf->state_dir, on_filter_over, c, &c->filter);
}

static int open_gate(struct core *c)
{
	const struct held *h = c->held;
	struct gate_conf conf = {
		.instance = &c->instance,
		.default_out = h->conf->default_out,
		.default_in = h->conf->default_in,
		.refusal = (enum gate_refusal)h->conf->refusal,
		.upstream_public = upstream_public(c),
		.first_start = !h->after_fall,
	};
	struct gate_parts parts = { .resolver = c->resolver, .who = h->who,
		.basic = c->basic, .nft = c->nft, .diag = c->diag, .scope = h->conf->scope,
		.geo = atlas_geo(c->atlas) };
	struct gate_calls calls = { .ctx = c, .flow = on_flow, .counts = on_counts,
		.table_lost = on_table_lost };
	int r = gate_open(&c->loop, &conf, &parts, &calls, &c->gate);

	if (r == 0)
		gate_mode_set(c->gate, mode_of(c, filter_mode(c->filter)));
	return r;
}

static int open_identity(struct core *c)
{
	struct who_calls calls = { .ctx = c->gate, .actor_new = gate_actor_new,
		.actor_idle = gate_actor_idle };

	return who_start(c->held->who, &c->loop, &calls);
}

/* what an instance before us left in conntrack: its numbers mean nothing to us */
static void mark_stale(struct core *c)
{
	struct ct_flow *flows = NULL;
	size_t n = 0;

	if (ct_dump(&c->instance, &flows, &n) == 0)
		gate_stale(c->gate, flows, n);
	free(flows);
}

/* the kernel's half: the table, what stands in it, and its news */
static int open_kernel(struct core *c)
{
	/* a block stands from the table's first moment on */
	const struct nft_element blocked = { .set = NFT_BLOCKED, .actor = ACTOR_SELF };
	struct nft_element *els = NULL;
	size_t n = 0;
	int r;

	c->instance = c->held->instance;
	r = open_table(c, &blocked, filter_mode(c->filter) == FILTER_BLOCK);
	if (r == 0)
		r = diag_open(&c->diag);
	if (r == 0)
		r = open_gate(c);
	if (r == 0)
		r = open_identity(c);
	if (r == 0)
		r = nft_dump(c->nft, &els, &n);
	if (r == 0)
		gate_restore(c->gate, els, n);
	free(els);
	if (r == 0)
		r = ct_open(&c->loop, &c->instance, gate_conntrack, c->gate, &c->ct);
	if (r == 0)
		r = nflog_open(&c->loop, &c->instance, gate_refused, c->gate, &c->nflog);
	if (r == 0 && c->held->restarts == 0)
		ct_delete_dns();
	if (r == 0 && c->held->restarts == 0 && !c->held->after_fall)
		mark_stale(c);
	return r;
}

static int open_basic(struct core *c)
{
	int r = basic_open(&c->loop, c->held->scope, &c->basic);

	c->instance = c->held->instance;
	return r < 0 ? r : open_gate(c);
}

/* what a rule says of an address may have changed: everything open is judged anew */
static void on_atlas(void *ctx)
{
	struct core *c = ctx;

	if (gate_rules(c->gate) && ruleset_asks_where(gate_rules(c->gate)))
		book_reload(c->book);
}

static int open_atlas(struct core *c)
{
	return atlas_open(&c->loop, c->held->conf, on_atlas, c, &c->atlas);
}

static int open_rules(struct core *c)
{
	char good[PATH_MAX];
	struct book_conf conf = { .dir = c->held->conf->rules, .good_dir = good,
		.default_out = c->held->conf->default_out,
		.default_in = c->held->conf->default_in };
	int r;

	snprintf(good, sizeof(good), "%s/rules.good", c->held->conf->state_dir);
	conf.good_dir = strdup(good);
	r = book_open(&c->loop, &conf, c->db, on_rules, c, &c->book);
	if (r == 0)
		book_reload(c->book);
	return r;
}

static bool on_where(void *ctx, const struct addr *a, struct geo_tag *out)
{
	struct core *c = ctx;

	return geo_find(atlas_geo(c->atlas), a, out) == 0;
}

static int open_link(struct core *c)
{
	struct serve_calls calls = { .ctx = c, .status = on_status, .rules = on_get_rules,
		.rule_add = on_rule_add, .rule_remove = on_rule_remove,
		.rule_change = on_rule_change, .filter = on_filter, .where = on_where };
	int r;

	r = serve_open(&c->loop, c->held->link_core, &calls, &c->serve);
	keeper_serve(c->keeper, c->serve);
	return r;
}

static int listen_on(struct core *c, const int fds[2], listener_take take)
{
	int r;

	if (fds[0] < 0)
		return 0;
	r = listener_open(&c->loop, fds, WAITING_MAX, take, c->gate,
		&c->listeners[c->nlisteners]);
	if (r == 0)
		c->nlisteners++;
	return r;
}

static int open_listeners(struct core *c)
{
	struct held *h = c->held;
	int r = listen_on(c, h->private4, gate_take_redirected);

	if (r == 0)
		r = listen_on(c, h->private6, gate_take_redirected);
	for (unsigned i = 0; r == 0 && i < h->nplain; i++)
		r = listen_on(c, h->plain[i], gate_take_plain);
	return r;
}

static void say_ready(void *ctx, int r)
{
	struct core *c = ctx;

	(void)r;
	if (write(c->held->ready[1], "r", 1) < 0)
		log_warning("the supervisor does not hear us: %s", strerror(errno));
}

static void on_adopted(void *ctx, unsigned found)
{
	struct core *c = ctx;

	c->adopted = true;
	if (found)
		log_info("%u sockets that existed before are judged", found);
	gate_after(c->gate, say_ready, c);
}

static void on_term(uv_signal_t *s, int signum)
{
	(void)signum;
	uv_stop(s->loop);
}

static void on_hup(uv_signal_t *s, int signum)
{
	struct core *c = s->data;

	(void)signum;
	atlas_check(c->atlas);
	book_reload(c->book);
}

static void open_signals(struct core *c)
{
	uv_signal_init(&c->loop, &c->term);
	uv_signal_init(&c->loop, &c->hup);
	uv_timer_init(&c->loop, &c->tick);
	uv_timer_init(&c->loop, &c->rebuild);
	uv_timer_init(&c->loop, &c->count);
	c->term.data = c->hup.data = c->tick.data = c->rebuild.data = c->count.data = c;
	uv_signal_start(&c->term, on_term, SIGTERM);
	uv_signal_start(&c->hup, on_hup, SIGHUP);
	uv_timer_start(&c->tick, on_tick, RESOLV_CHECK_MS, RESOLV_CHECK_MS);
}

static int open_all(struct core *c)
{
	static const struct {
		const char *what;
		int (*open)(struct core *c);
	} usual[] = {
		{ "the resolver", open_resolver },
		{ "the store", open_store },
		{ "the filter's state", open_filter },
		{ "the programs met before", open_seen },
		{ "the geo databases", open_atlas },
		{ "the kernel side", open_kernel },
		{ "the rules", open_rules },
		{ "the link to scupper-web", open_link },
		{ "the listeners", open_listeners },
	};

	for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
		bool kernel = usual[i].open == open_kernel;
		int r = kernel && !c->held->who ? open_basic(c) : usual[i].open(c);

		if (r < 0) {
			log_error("%s cannot be opened: %s", usual[i].what, strerror(-r));
			return r;
		}
	}
	return 0;
}

static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void close_all(struct core *c)
{
	for (unsigned i = 0; i < c->nlisteners; i++)
		listener_close(c->listeners[i]);
	db_close(c->db); /* its last answers go to the book, and by it to the gate */
	book_close(c->book);
	filter_close(c->filter);
	keeper_serve(c->keeper, NULL);
	serve_close(c->serve);
	c->serve = NULL;
	nflog_close(c->nflog);
	ct_close(c->ct);
	if (c->held->who)
		who_stop(c->held->who);
	basic_close(c->basic);
	nft_close(c->nft);
	gate_close(c->gate);
	diag_close(c->diag);
	resolver_close(c->resolver);
	keeper_close(c->keeper);
	seen_close(c->seen);
	atlas_close(c->atlas);
	uv_walk(&c->loop, close_handle, NULL);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	uv_loop_close(&c->loop);
}

int core_main(struct held *h)
{
	static struct core c;
	char why[HELD_WHY_MAX];
	int r;

	c.held = h;
	if (h->who && who_register_self(h->who, getpid()) < 0)
		log_warning("the core could not be made known to its own guard");
	tzset(); /* rules speak of local time, and of names below public suffixes: */
	rules_local_name("");
	r = rights_drop(&h->rights, why, sizeof(why));
	if (r < 0) {
		log_error("%s", why);
		return EXIT_BAD;
	}
	if (uv_loop_init(&c.loop) < 0)
		return EXIT_BAD;
	open_signals(&c);
	if (open_all(&c) < 0)
		return EXIT_BAD;
	c.unwatched = COUNT_IDLE_S; /* at once: what lived under a core before us */
	if (h->who)
		uv_timer_start(&c.count, on_count, 0, COUNT_MS);
	if (h->restarts || gate_adopt(c.gate, on_adopted, &c) < 0)
		gate_after(c.gate, say_ready, &c);
	uv_run(&c.loop, UV_RUN_DEFAULT);
	close_all(&c);
	return 0;
}
