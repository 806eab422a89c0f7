/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The core: builds the parts in order, runs, closes them in reverse. It is a fork of the
 * supervisor, so everything in struct held is its own too; when it dies another one begins
 * here, reads back what the kernel knows, and goes on.
 *
 * Rights: drops to those of rights.c before anything else, because threads that exist keep
 * their own.
 */
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/parts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	WAITING_MAX = 20000,   /* queries under way in one listener */
	RESOLV_CHECK_MS = 2000,
	COUNT_MS = 1000,
	COUNT_IDLE_S = 5,
	PARENTS_MAX = 8,
	EXIT_BAD = 1,
};

/* basic mode: what the packets drew since we looked */
static void on_look(void *ctx)
{
	struct core *c = ctx;
	struct nft_element *els = NULL;
	size_t n = 0;

	if (!c->nft || nft_dump_numbers(c->nft, &els, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct who_given key = { els[i].actor, els[i].uid, els[i].cgroup };

		who_keys_put(c->held->who, &key, 1);
	}
	free(els);
}

/* every second while somebody looks, else now and then, so that totals are right */
static void on_count(uv_timer_t *t)
{
	struct core *c = t->data;

	if (c->held->basic)
		on_look(c); /* what never meets us has rules too */
	if (!serve_watchers(c->serve) && ++c->unwatched < COUNT_IDLE_S)
		return;
	c->unwatched = 0;
	gate_count(c->gate);
}

static void on_counts(void *ctx, const struct flow_count *counts, unsigned n, bool more)
{
	struct core *c = ctx;

	if (c->serve)
		serve_counts(c->serve, counts, n, more);
}

static void on_tick(uv_timer_t *t)
{
	core_servers_tick(t->data);
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

/* the chain ends where the scope does: nobody outside of it is known */
static void on_parents(void *ctx, const struct process *process, struct text *out)
{
	struct core *c = ctx;
	int32_t pid = process->parent;

	for (unsigned i = 0; i < PARENTS_MAX && pid > 1; i++) {
		struct process p;

		if (who_process(c->held->who, pid, &p) < 0)
			return;
		text_add_safe(out, p.args[0] ? p.args : p.path);
		text_add(out, "\n");
		pid = p.parent;
	}
}

static void on_rules(void *ctx, struct ruleset *rs)
{
	struct core *c = ctx;

	if (ruleset_asks_where(rs) && atlas_empty(c->atlas))
		log_warning("a rule goes by country, continent or network, but no database is "
			    "there: it matches nothing");
	gate_rules_set(c->gate, rs);
	if (c->serve)
		serve_changed(c->serve, true, false);
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
	if (c->serve)
		serve_changed(c->serve, false, true);
}

static const struct ruleset *on_get_rules(void *ctx)
{
	struct core *c = ctx;

	return gate_rules(c->gate);
}

/* --- building, in order ------------------------------------------------------------------ */

/* what libunbound needs and would not name */
static int check_unbound(const struct held *h)
{
	const char *anchor = h->conf->anchor, *hints = h->conf->root_hints;

	if (h->conf->recursive && h->basic) {
		log_error("upstream=recursive needs BPF: without it our own queries are not told "
			  "from those of the guarded programs; name a server instead");
		return -ENOTSUP;
	}
	if (h->conf->dnssec == DNSSEC_VALIDATE && access(anchor, R_OK) < 0) {
		log_error("dnssec=validate: cannot read the root's keys in %s: %s; install "
			  "dns-root-data, or set trust-anchor=", anchor, strerror(errno));
		return -ENOENT;
	}
	if (*hints && access(hints, R_OK) < 0) {
		log_error("root-hints=%s: %s", hints, strerror(errno));
		return -ENOENT;
	}
	return 0;
}

static void on_cache_said(void *ctx, const char *what)
{
	(void)ctx;
	log_warning("%s", what);
}

static int open_resolver(struct core *c)
{
	const struct held *h = c->held;
	char file[PATH_MAX], owner[INSTANCE_NAME_MAX + CONF_PATH_MAX];
	struct resolver_conf conf = {
		.upstreams = c->upstreams,
		.bootstrap = h->conf->bootstrap,
		.nbootstrap = h->conf->nbootstrap,
		.race = h->conf->race,
		.tls_ca = h->conf->tls_ca[0] ? h->conf->tls_ca : NULL,
		.cache_bytes = h->conf->cache_size,
		.ttl = { h->conf->cache_min_ttl_s, h->conf->cache_max_ttl_s,
			h->conf->cache_max_negative_ttl_s },
		.stale_s = h->conf->serve_stale_s,
		.prefetch = h->conf->prefetch,
		.names = h->conf->names,
		.cache_file = h->conf->cache_persist ? file : NULL,
		.cache_owner = owner,
		.said = on_cache_said,
		.mark = h->who ? instance_mark(&c->instance, ACTOR_SELF) : 0,
		.dnssec = h->conf->dnssec,
		.recursive = h->conf->recursive,
		.anchor = h->conf->anchor,
		.root_hints = *h->conf->root_hints ? h->conf->root_hints : NULL,
	};
	int r;

	snprintf(file, sizeof(file), "%s/cache", h->conf->state_dir);
	snprintf(owner, sizeof(owner), "%s %s", h->conf->instance, h->conf->scope);
	core_servers_first(c);
	conf.nupstreams = c->nupstreams;
	r = check_unbound(h);
	if (r == 0)
		r = upstreams_check_ca(h->conf);
	if (r == 0)
		r = resolver_open(&c->loop, &conf, &c->resolver);
	if (r == 0)
		core_servers_open(c);
	return r;
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

/* NULL: connections get other ids from the next core */
static void *map_past(const struct core *c)
{
	void *p = c->held->past < 0 ? MAP_FAILED
		: mmap(NULL, GATE_PAST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, c->held->past, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int open_gate(struct core *c)
{
	const struct held *h = c->held;
	struct gate_conf conf = {
		.instance = &c->instance,
		.default_out = h->conf->default_out,
		.default_in = h->conf->default_in,
		.refusal = (enum gate_refusal)h->conf->refusal,
		.counting = h->accounting,
		.past = map_past(c),
		.first_start = !h->after_fall,
		.peek_ms = h->conf->peek_ms,
	};
	struct gate_parts parts = { .resolver = c->resolver, .who = h->who,
		.basic = c->basic, .nft = c->nft, .diag = c->diag, .scope = h->conf->scope,
		.geo = atlas_geo(c->atlas) };
	struct gate_calls calls = { .ctx = c, .flow = on_flow, .counts = on_counts,
		.table_lost = core_table_lost };
	int r = gate_open(&c->loop, &conf, &parts, &calls, &c->gate);

	if (r == 0)
		gate_mode_set(c->gate, mode_of(c, filter_mode(c->filter)));
	return r;
}

static void on_actor_new(void *ctx, const struct program *p)
{
	struct core *c = ctx;

	gate_actor_new(c->gate, p);
}

static void on_actor_idle(void *ctx, const struct program *p)
{
	struct core *c = ctx;

	gate_actor_idle(c->gate, p);
}

static int open_identity(struct core *c)
{
	struct who_calls calls = { .ctx = c, .actor_new = on_actor_new,
		.actor_idle = on_actor_idle, .look = on_look };
	struct who_stats s = { 0 };
	int r = who_start(c->held->who, &c->loop, &calls);

	if (r < 0)
		return r;
	who_stats(c->held->who, &s);
	if (s.frames_error)
		log_warning("packet sockets of root pass: no BPF program can hang on the "
			"interfaces (that needs Linux 6.6): %s", strerror(-s.frames_error));
	return 0;
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

/* are there sockets that existed before us, and no core has judged them all? */
static bool adopts(const struct held *h)
{
	return !h->adopted && !h->basic;
}

/* does the kernel know nothing of an instance before us but what conntrack remembers? */
static bool fresh(const struct held *h)
{
	return h->restarts == 0 && !h->after_fall;
}

/* the kernel's half: the table, what stands in it, and its news */
static int open_kernel(struct core *c)
{
	/* switches that are on from the table's first moment */
	struct nft_element on[2];
	size_t non = 0;
	struct nft_element *els = NULL;
	size_t n = 0;
	int r;

	if (filter_mode(c->filter) == FILTER_BLOCK)
		on[non++] = (struct nft_element){ .set = NFT_BLOCKED, .actor = ACTOR_SELF };
	if (adopts(c->held))
		on[non++] = (struct nft_element){ .set = NFT_ADOPTING, .actor = ACTOR_SELF };
	c->instance = c->held->instance;
	if (fresh(c->held) && !c->held->basic && nft_present(&c->instance) == 0)
		ct_delete_all(&c->instance);
	r = c->held->basic ? basic_open(&c->loop, c->held->scope, &c->basic) : 0;
	if (r == 0)
		r = core_open_table(c, on, non);
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
	if (r == 0)
		r = tunnels_open(&c->loop, c->nft, els, n, &c->tunnels);
	if (r == 0 && c->held->basic)
		on_look(c);
	free(els);
	if (r == 0)
		r = ct_open(&c->loop, &c->instance, gate_conntrack, c->gate, &c->ct);
	if (r == 0)
		r = nflog_open(&c->loop, &c->instance, gate_refused, c->gate, &c->nflog);
	if (r == 0 && c->held->restarts == 0)
		ct_delete_dns();
	if (r == 0 && fresh(c->held))
		mark_stale(c);
	return r;
}

static int open_resolver_only(struct core *c)
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
	char good[PATH_MAX], lists[PATH_MAX];
	struct book_conf conf = { .dir = c->held->conf->rules, .good_dir = good,
		.default_out = c->held->conf->default_out,
		.default_in = c->held->conf->default_in };
	int r;

	snprintf(good, sizeof(good), "%s/rules.good", c->held->conf->state_dir);
	conf.good_dir = strdup(good);
	snprintf(lists, sizeof(lists), "%s/lists", c->held->conf->state_dir);
	conf.lists_dir = strdup(lists);
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
	struct serve_calls calls = { .ctx = c, .status = core_status, .rules = on_get_rules,
		.rule_add = core_rule_add, .rule_remove = core_rule_remove,
		.rule_change = core_rule_change, .filter = core_filter, .cache_flush = core_cache_flush, .where = on_where,
		.parents = c->held->who ? on_parents : NULL };
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

static int open_varlink(struct core *c)
{
	struct varlink_calls calls;

	if (c->held->varlink < 0)
		return 0;
	gate_varlink(c->gate, &calls);
	return varlink_open(&c->loop, c->held->varlink, c->held->version, &calls, &c->varlink);
}

static int open_listeners(struct core *c)
{
	struct held *h = c->held;
	int r = listen_on(c, h->private4, gate_take_redirected);

	if (r == 0)
		r = listen_on(c, h->private6, gate_take_redirected);
	for (unsigned i = 0; i < 2 && r == 0; i++)
		if (h->gate[i] >= 0)
			r = gate_listen(c->gate, h->gate[i]);
	for (unsigned i = 0; r == 0 && i < h->nplain; i++)
		r = listen_on(c, h->plain[i], gate_take_plain);
	return r < 0 ? r : open_varlink(c);
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
		int r = kernel && !c->held->who ? open_resolver_only(c) : usual[i].open(c);

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
	varlink_close(c->varlink);
	db_close(c->db); /* its last answers go to the book, and by it to the gate */
	book_close(c->book);
	filter_close(c->filter);
	keeper_serve(c->keeper, NULL);
	serve_close(c->serve);
	c->serve = NULL;
	nflog_close(c->nflog);
	tunnels_close(c->tunnels);
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
	if (h->who && !h->basic && who_register_self(h->who, getpid()) < 0)
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
	if (!adopts(h) || gate_adopt(c.gate, on_adopted, &c) < 0)
		gate_after(c.gate, say_ready, &c);
	uv_run(&c.loop, UV_RUN_DEFAULT);
	close_all(&c);
	return 0;
}
