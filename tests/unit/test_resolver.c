/* SPDX-License-Identifier: GPL-2.0-or-later
 * resolver.c and upstream.c against a real server on loopback, in a thread of its own,
 * which does what a name's first label says. */
#include "base/macros.h"
#include "resolver/resolver.h"
#include "resolver/route.h"

#include "tests/unit/dns_build.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include <uv.h>

#include <cmocka.h>

struct server {
	pthread_t thread;
	int udp, tcp;
	uint16_t port;
	atomic_bool stop, silent, failing;
	atomic_uint udp_queries, tcp_queries;
	struct build_msg reply;
	bool refuses; /* everything */
	atomic_uint ports[4]; /* source ports seen, the first few */
	atomic_uint nports;
};

static bool starts(const char *name, const char *label)
{
	size_t n = strlen(label);

	return strncmp(name, label, n) == 0 && (name[n] == '.' || name[n] == '-');
}

/* the reply in s->reply; false: none */
static bool server_reply(struct server *s, const uint8_t *msg, size_t len, bool tcp)
{
	struct wire_query q;
	enum rcode rcode;
	uint16_t flags = WIRE_QR | WIRE_RA;

	if (wire_query_read(msg, len, &q, &rcode) < 0 || starts(q.name, "drop") || s->silent)
		return false;
	if (s->failing)
		flags |= RCODE_SERVFAIL;
	if (s->refuses)
		flags |= RCODE_REFUSED;
	if (starts(q.name, "fail"))
		flags |= RCODE_SERVFAIL;
	if (starts(q.name, "none"))
		flags |= RCODE_NXDOMAIN;
	if (starts(q.name, "old") && q.edns)
		flags |= RCODE_FORMERR;
	if (starts(q.name, "trunc") && !tcp)
		flags |= WIRE_TC;
	if (starts(q.name, "slow"))
		usleep(50000);
	dns_start(&s->reply, flags, starts(q.name, "other") ? "liar.test" : q.name, q.type);
	dns_u16_at(&s->reply.o, 0, q.id);
	if (!(flags & 15) && !(flags & WIRE_TC))
		for (int i = 0; i < (tcp ? 200 : 1); i++)
			dns_a(&s->reply, IN_ANSWER, "@", starts(q.name, "brief") ? 1 : 60,
				"192.0.2.1");
	if (flags & 1)
		dns_soa(&s->reply, "test", 60, 60);
	return true;
}

static void server_udp(struct server *s)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t msg[4096];
	struct addr a;
	uint16_t port;
	ssize_t n = recvfrom(s->udp, msg, sizeof(msg), 0, (struct sockaddr *)&from, &from_len);

	if (n <= 0)
		return;
	addr_from_sockaddr((struct sockaddr *)&from, &a, &port);
	if (s->nports < ARRAY_LEN(s->ports))
		s->ports[s->nports] = port;
	s->nports++;
	s->udp_queries++;
	if (server_reply(s, msg, (size_t)n, false))
		sendto(s->udp, s->reply.bytes, s->reply.o.len, 0, (struct sockaddr *)&from,
			from_len);
}

static void server_tcp(struct server *s)
{
	int fd = accept(s->tcp, NULL, NULL);
	uint8_t msg[4096], len[2];
	struct timeval tv = { 2, 0 };
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	n = recv(fd, len, 2, MSG_WAITALL);
	if (n == 2)
		n = recv(fd, msg, (size_t)(len[0] << 8 | len[1]), MSG_WAITALL);
	s->tcp_queries++;
	if (n > 0 && server_reply(s, msg, (size_t)n, true)) {
		len[0] = (uint8_t)(s->reply.o.len >> 8);
		len[1] = (uint8_t)s->reply.o.len;
		send(fd, len, 2, MSG_NOSIGNAL);
		send(fd, s->reply.bytes, s->reply.o.len, MSG_NOSIGNAL);
		recv(fd, len, 1, 0); /* until it is closed there */
	}
	close(fd);
}

static void *server_main(void *arg)
{
	struct server *s = arg;

	while (!s->stop) {
		struct pollfd p[2] = { { .fd = s->udp, .events = POLLIN },
			{ .fd = s->tcp, .events = POLLIN } };

		poll(p, 2, 20);
		if (p[0].revents)
			server_udp(s);
		if (p[1].revents)
			server_tcp(s);
	}
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);

	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 50; i++) { /* a port that is free for both */
		s->udp = socket(AF_INET, SOCK_DGRAM, 0);
		s->tcp = socket(AF_INET, SOCK_STREAM, 0);
		in.sin_port = 0;
		assert_int_equal(bind(s->udp, (struct sockaddr *)&in, len), 0);
		assert_int_equal(getsockname(s->udp, (struct sockaddr *)&in, &len), 0);
		if (bind(s->tcp, (struct sockaddr *)&in, len) == 0 && listen(s->tcp, 5) == 0)
			break;
		close(s->udp);
		close(s->tcp);
	}
	s->port = ntohs(in.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
}

static void server_stop(struct server *s)
{
	s->stop = true;
	pthread_join(s->thread, NULL);
	close(s->udp);
	close(s->tcp);
}

static struct upstream upstream_of(const struct server *s)
{
	struct upstream u = { .port = s->port };

	addr_parse("127.0.0.1", &u.addr);
	return u;
}

struct asked {
	unsigned calls;
	int r;
	uint16_t rcode;
	unsigned nitems;
	bool cached, stale;
	struct asking *asking;
};

static void on_done(void *ctx, int r, const struct answer *a)
{
	struct asked *d = ctx;

	d->calls++;
	d->r = r;
	assert_int_equal(r == 0, a != NULL);
	if (!a)
		return;
	d->rcode = a->read->rcode;
	d->nitems = a->read->nitems;
	d->cached = a->cached;
	d->stale = a->stale;
}

static uv_loop_t loop;

static int ask(struct resolver *r, const char *name, struct asked *d)
{
	struct wire_query q = { .type = TYPE_A, .klass = 1, .flags = WIRE_RD };

	memset(d, 0, sizeof(*d));
	strcpy(q.name, name);
	return resolver_ask(r, &q, on_done, d, &d->asking);
}

static void run_until(const struct asked *d)
{
	while (!d->calls)
		uv_run(&loop, UV_RUN_ONCE);
}

static void ask_wait(struct resolver *r, const char *name, struct asked *d)
{
	assert_int_equal(ask(r, name, d), 0);
	run_until(d);
	assert_int_equal(d->calls, 1);
}

static struct resolver *resolver_new(const struct upstream *u, size_t n)
{
	struct resolver_conf conf = { .upstreams = u, .nupstreams = n,
		.cache_bytes = 1 << 20, .timeout_ms = 200, .hosts = "/nonexistent",
		.stale_s = 3600, .prefetch = true };
	struct resolver *r;

	assert_int_equal(resolver_open(&loop, &conf, &r), 0);
	return r;
}

static int loop_start(void **state)
{
	(void)state;
	return uv_loop_init(&loop);
}

/* nothing may be left: every handle closed */
static int loop_end(void **state)
{
	(void)state;
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void asks_and_remembers(void **state)
{
	struct server s;
	struct upstream u;
	struct resolver *r;
	struct resolver_stats st;
	struct upstream_state us[2];
	struct asked d;

	(void)state;
	server_start(&s);
	u = upstream_of(&s);
	r = resolver_new(&u, 1);
	ask_wait(r, "a.test", &d);
	assert_int_equal(d.r, 0);
	assert_int_equal(d.nitems, 1);
	assert_false(d.cached);
	ask_wait(r, "a.test", &d);
	assert_true(d.cached);
	assert_int_equal(s.udp_queries, 1);
	ask_wait(r, "none.test", &d);
	assert_int_equal(d.rcode, RCODE_NXDOMAIN);
	ask_wait(r, "none.test", &d);
	assert_true(d.cached);
	resolver_stats(r, &st);
	assert_int_equal(st.hits, 2);
	assert_int_equal(st.misses, 2);
	assert_int_equal(st.upstream_sent, 2);
	assert_int_equal(st.entries, 2);
	assert_int_equal(resolver_upstreams(r, us, 2), 1);
	assert_int_equal(us[0].sent, 2);
	assert_int_equal(us[0].failed, 0);
	assert_true(us[0].last_ok_ms > 0);
	resolver_close(r);
	server_stop(&s);
}

static void truncated_is_fetched_over_tcp(void **state)
{
	struct server s;
	struct upstream u;
	struct resolver *r;
	struct asked d;

	(void)state;
	server_start(&s);
	u = upstream_of(&s);
	r = resolver_new(&u, 1);
	ask_wait(r, "trunc.test", &d);
	assert_int_equal(d.r, 0);
	assert_int_equal(d.nitems, 200);
	assert_int_equal(s.tcp_queries, 1);
	resolver_close(r);
	server_stop(&s);
}

static void errors_come_back(void **state)
{
	static const struct {
		const char *name;
		int r;
		uint16_t rcode;
		unsigned queries;
	} cases[] = {
		{ "drop.test", -ETIMEDOUT, 0, 2 },   /* tried twice */
		{ "other.test", -ETIMEDOUT, 0, 2 },  /* another question's answer */
		{ "fail.test", 0, RCODE_SERVFAIL, 1 },
		{ "old.test", 0, 0, 2 },             /* again without EDNS */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct server s;
		struct upstream u;
		struct resolver *r;
		struct asked d;

		print_message("%s\n", cases[i].name);
		server_start(&s);
		u = upstream_of(&s);
		r = resolver_new(&u, 1);
		ask_wait(r, cases[i].name, &d);
		assert_int_equal(d.r, cases[i].r);
		assert_int_equal(d.rcode, cases[i].rcode);
		assert_int_equal(s.udp_queries, cases[i].queries);
		resolver_close(r);
		server_stop(&s);
	}
}

/* c-ares tries without EDNS by itself, but once a channel only */
static void a_server_from_before_edns(void **state)
{
	struct server s;
	struct upstream u;
	struct resolver *r;

	(void)state;
	server_start(&s);
	u = upstream_of(&s);
	r = resolver_new(&u, 1);
	for (int i = 0; i < 12; i++) {
		char name[16];
		struct asked d;

		snprintf(name, sizeof(name), "old-%d.test", i);
		ask_wait(r, name, &d);
		assert_int_equal(d.r, 0);
		assert_int_equal(d.rcode, 0);
	}
	assert_int_equal(s.udp_queries, 24);
	resolver_close(r);
	server_stop(&s);
}

static void many_ask_one_is_sent(void **state)
{
	struct server s;
	struct upstream u;
	struct resolver *r;
	struct resolver_stats st;
	struct asked d[5], other;

	(void)state;
	server_start(&s);
	u = upstream_of(&s);
	r = resolver_new(&u, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(r, "slow.test", &d[i]), 0);
	assert_int_equal(ask(r, "slow-other.test", &other), 0);
	resolver_cancel(d[4].asking); /* the last, and another in its place */
	assert_int_equal(ask(r, "slow.test", &d[4]), 0);
	resolver_cancel(d[2].asking);
	run_until(&d[4]);
	run_until(&other);
	for (int i = 0; i < 5; i++)
		assert_int_equal(d[i].calls, i != 2);
	assert_int_equal(s.udp_queries, 2);
	resolver_stats(r, &st);
	assert_int_equal(st.shared, 5);
	/* whoever is left is told when the resolver goes */
	assert_int_equal(ask(r, "drop.test", &d[0]), 0);
	resolver_close(r);
	assert_int_equal(d[0].calls, 1);
	assert_int_equal(d[0].r, -ECANCELED);
	server_stop(&s);
}

static void a_dead_server_is_passed_by(void **state)
{
	struct server s, refusing;
	struct upstream u[3];
	struct upstream_state us[3];
	struct resolver *r;
	struct asked d;

	(void)state;
	server_start(&s);
	server_start(&refusing);
	refusing.refuses = true;
	u[0] = upstream_of(&s);
	u[0].port = 1; /* nobody there: ICMP says so */
	u[1] = upstream_of(&refusing);
	u[2] = upstream_of(&s);
	r = resolver_new(u, 3);
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d.test", i);
		ask_wait(r, name, &d);
		assert_int_equal(d.r, 0);
		assert_int_equal(d.rcode, 0);
	}
	resolver_upstreams(r, us, 3);
	assert_int_equal(us[0].sent, 2); /* then left alone */
	assert_int_equal(us[0].failed, 2);
	assert_int_equal(us[1].sent, 4);
	assert_int_equal(us[2].sent, 4);

	resolver_upstreams_set(r, u, 2); /* only the dead and the refusing are left */
	ask_wait(r, "x.test", &d);
	assert_int_equal(d.r, 0);
	assert_int_equal(d.rcode, RCODE_REFUSED);
	resolver_upstreams_set(r, NULL, 0);
	assert_int_equal(ask(r, "y.test", &d), -ENETUNREACH);
	assert_int_equal(d.calls, 0);
	resolver_close(r);
	server_stop(&s);
	server_stop(&refusing);
}

static void servers_change_under_a_query(void **state)
{
	struct server s, silent;
	struct upstream u, v;
	struct resolver *r;
	struct asked d;

	(void)state;
	server_start(&s);
	server_start(&silent);
	u = upstream_of(&silent);
	v = upstream_of(&s);
	r = resolver_new(&u, 1);
	silent.stop = true; /* it is there and says nothing */
	pthread_join(silent.thread, NULL);
	assert_int_equal(ask(r, "a.test", &d), 0);
	resolver_upstreams_set(r, &v, 1);
	run_until(&d);
	assert_int_equal(d.r, 0);
	assert_int_equal(s.udp_queries, 1);
	resolver_close(r);
	server_stop(&s);
	close(silent.udp);
	close(silent.tcp);
}

static void source_ports_vary(void **state)
{
	struct server s;
	struct upstream u;
	struct resolver *r;
	struct asked d;

	(void)state;
	server_start(&s);
	u = upstream_of(&s);
	r = resolver_new(&u, 1);
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d.test", i);
		ask_wait(r, name, &d);
	}
	assert_false(s.ports[0] == s.ports[1] && s.ports[1] == s.ports[2] &&
		s.ports[2] == s.ports[3]);
	resolver_close(r);
	server_stop(&s);
}

static void hosts_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void hosts_file_is_read_again(void **state)
{
	char path[] = "/tmp/scupper-hosts-XXXXXX";
	int fd = mkstemp(path);
	struct resolver_conf conf = { .cache_bytes = 1 << 20, .hosts = path };
	struct resolver *r;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	hosts_write(path, "192.0.2.1 one.test\n");
	assert_int_equal(resolver_open(&loop, &conf, &r), 0);
	assert_true(resolver_hosts_name(r, "one.test"));
	hosts_write(path, "192.0.2.1 one.test\n192.0.2.2 two.test\n");
	for (int i = 0; i < 1500 && !resolver_hosts_name(r, "two.test"); i++)
		usleep(20000);
	assert_true(resolver_hosts_name(r, "two.test"));
	resolver_close(r);
	unlink(path);
}

/* a route's answers are its own: in the cache, under way, and when its servers go */
static void routes_are_apart(void **state)
{
	struct server usual, own;
	struct upstream u;
	struct route route = { .domain = "corp.test", .n = 1 };
	struct resolver *r;
	struct asked d, waits;

	(void)state;
	server_start(&usual);
	server_start(&own);
	u = upstream_of(&usual);
	route.servers[0] = upstream_of(&own);
	r = resolver_new(&u, 1);
	ask_wait(r, "a.corp.test", &d);
	assert_int_equal(usual.udp_queries, 1);
	assert_int_equal(resolver_links_set(r, &route, 1), 0);
	ask_wait(r, "a.corp.test", &d);
	assert_false(d.cached);
	ask_wait(r, "a.corp.test", &d);
	assert_true(d.cached);
	assert_int_equal(own.udp_queries, 1);
	assert_int_equal(usual.udp_queries, 1);
	ask_wait(r, "a.test", &d);
	assert_int_equal(usual.udp_queries, 2);

	own.silent = true;
	assert_int_equal(ask(r, "b.corp.test", &waits), 0);
	assert_int_equal(resolver_links_set(r, NULL, 0), 0);
	assert_int_equal(waits.calls, 1);
	assert_int_equal(waits.r, -ENETUNREACH);
	ask_wait(r, "b.corp.test", &d);
	assert_int_equal(d.r, 0);
	assert_int_equal(usual.udp_queries, 3);
	resolver_close(r);
	server_stop(&usual);
	server_stop(&own);
}

static void a_rewritten_name(void **state)
{
	struct resolver_conf conf = { .nupstreams = 1, .cache_bytes = 1 << 20,
		.timeout_ms = 200, .hosts = "/nonexistent", .names = "rewrite x.own=a.test\n" };
	struct server s;
	struct upstream u;
	struct resolver *r;
	struct asked d;

	(void)state;
	server_start(&s);
	u = upstream_of(&s);
	conf.upstreams = &u;
	assert_int_equal(resolver_open(&loop, &conf, &r), 0);
	assert_string_equal(resolver_alias(r, "x.own"), "a.test");
	ask_wait(r, "x.own", &d);
	assert_int_equal(d.r, 0);
	assert_int_equal(d.nitems, 2); /* the CNAME, and where that leads */
	ask_wait(r, "x.own", &d);
	assert_true(d.cached);
	ask_wait(r, "a.test", &d);
	assert_false(d.cached); /* apart */
	assert_int_equal(d.nitems, 1);
	resolver_close(r);
	server_stop(&s);
}

/* until it is no longer given out fresh */
static void age(struct resolver *r, const char *name)
{
	struct resolver_stats st;
	struct asked d;
	uint64_t misses;

	resolver_stats(r, &st);
	misses = st.misses;
	do {
		usleep(20000);
		assert_int_equal(ask(r, name, &d), 0);
		resolver_stats(r, &st);
		if (st.misses == misses)
			assert_int_equal(d.calls, 1);
	} while (st.misses == misses);
	run_until(&d);
}

/* a server that fails, then one that is silent: what was known goes on */
static void stale_when_nobody_answers(void **state)
{
	struct server s;
	struct upstream u;
	struct resolver *r;
	struct resolver_stats st;
	struct asked d, also;
	unsigned asked;

	(void)state;
	server_start(&s);
	u = upstream_of(&s);
	r = resolver_new(&u, 1);
	ask_wait(r, "brief.test", &d);
	ask_wait(r, "brief-2.test", &d);
	s.failing = true;
	age(r, "brief.test");
	ask_wait(r, "brief.test", &d);
	assert_true(d.stale);
	asked = s.udp_queries;
	ask_wait(r, "brief.test", &d); /* just failed: not asked again */
	assert_true(d.stale);
	assert_int_equal(s.udp_queries, asked);

	s.silent = true;
	assert_int_equal(ask(r, "brief-2.test", &d), 0);
	assert_int_equal(ask(r, "brief-2.test", &also), 0);
	assert_int_equal(d.calls, 0); /* they wait for it a while */
	run_until(&d);
	assert_true(d.stale);
	assert_int_equal(also.calls, 1);
	assert_true(also.stale);
	resolver_stats(r, &st);
	assert_true(st.stale >= 4);

	s.failing = s.silent = false;
	assert_int_equal(ask(r, "fresh.test", &d), 0);
	run_until(&d);
	assert_false(d.stale);
	resolver_close(r);
	server_stop(&s);
}

/* nobody waits until a silent server has been given up */
static void stale_before_it_is_given_up(void **state)
{
	struct resolver_conf conf = { .nupstreams = 1, .cache_bytes = 1 << 20,
		.timeout_ms = 60000, .hosts = "/nonexistent", .stale_s = 3600 };
	struct server s;
	struct upstream u;
	struct resolver *r;
	struct resolver_stats st;
	struct asked d, later;
	uint64_t misses;

	(void)state;
	server_start(&s);
	u = upstream_of(&s);
	conf.upstreams = &u;
	assert_int_equal(resolver_open(&loop, &conf, &r), 0);
	ask_wait(r, "brief.test", &d);
	resolver_stats(r, &st);
	misses = st.misses;
	s.silent = true;
	do { /* until it is past its end */
		usleep(20000);
		assert_int_equal(ask(r, "brief.test", &d), 0);
		resolver_stats(r, &st);
	} while (st.misses == misses);
	run_until(&d);
	assert_true(d.stale);
	assert_int_equal(ask(r, "brief.test", &later), 0);
	assert_int_equal(later.calls, 1); /* it does not wait again */
	assert_true(later.stale);
	resolver_stats(r, &st);
	assert_int_equal(st.upstream_failed, 0);
	assert_int_equal(st.stale, 2);
	resolver_close(r);
	server_stop(&s);
}

static void failures_are_not_asked_again_at_once(void **state)
{
	struct server s;
	struct upstream u;
	struct resolver *r;
	struct resolver_stats st;
	struct asked d;
	unsigned asked;

	(void)state;
	server_start(&s);
	u = upstream_of(&s);
	r = resolver_new(&u, 1);
	ask_wait(r, "drop.test", &d);
	assert_int_equal(d.r, -ETIMEDOUT);
	asked = s.udp_queries;
	assert_int_equal(ask(r, "drop.test", &d), -ETIMEDOUT);
	assert_int_equal(d.calls, 0);
	assert_int_equal(s.udp_queries, asked);
	resolver_stats(r, &st);
	assert_int_equal(st.failures, 1);
	resolver_close(r);
	server_stop(&s);
}

static void on_flushed(void *ctx)
{
	++*(unsigned *)ctx;
}

static void flushed_is_asked_anew(void **state)
{
	struct server s, s2;
	struct upstream u, u2;
	struct resolver *r;
	struct asked d;
	unsigned done = 0;

	(void)state;
	server_start(&s);
	server_start(&s2);
	u = upstream_of(&s);
	u2 = upstream_of(&s2);
	r = resolver_new(&u, 1);
	ask_wait(r, "a.test", &d);
	ask_wait(r, "b.test", &d);
	assert_int_equal(resolver_flush(r, "a.test", false, on_flushed, &done), 0);
	while (!done)
		uv_run(&loop, UV_RUN_ONCE);
	ask_wait(r, "b.test", &d);
	assert_true(d.cached);
	ask_wait(r, "a.test", &d);
	assert_false(d.cached);

	/* what the old servers are about to say is for who waits, not for the cache */
	assert_int_equal(ask(r, "slow.test", &d), 0);
	assert_int_equal(resolver_flush(r, "", true, on_flushed, &done), 0);
	run_until(&d);
	ask_wait(r, "slow.test", &d);
	assert_false(d.cached);

	/* other servers: nothing of it is true any more */
	resolver_upstreams_set(r, &u2, 1);
	assert_int_equal(resolver_flush(r, "", true, on_flushed, &done), 0);
	while (done < 3)
		uv_run(&loop, UV_RUN_ONCE);
	ask_wait(r, "slow.test", &d);
	assert_false(d.cached);
	assert_int_equal(s2.udp_queries, 1);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(resolver_flush(r, "a.test", true, NULL, NULL), 0);
	assert_int_equal(resolver_flush(r, "a.test", true, NULL, NULL), -EBUSY);
	resolver_close(r);
	server_stop(&s);
	server_stop(&s2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asks_and_remembers, loop_start, loop_end),
		cmocka_unit_test_setup_teardown(truncated_is_fetched_over_tcp, loop_start,
			loop_end),
		cmocka_unit_test_setup_teardown(errors_come_back, loop_start, loop_end),
		cmocka_unit_test_setup_teardown(a_server_from_before_edns, loop_start,
			loop_end),
		cmocka_unit_test_setup_teardown(many_ask_one_is_sent, loop_start, loop_end),
		cmocka_unit_test_setup_teardown(a_dead_server_is_passed_by, loop_start,
			loop_end),
		cmocka_unit_test_setup_teardown(servers_change_under_a_query, loop_start,
			loop_end),
		cmocka_unit_test_setup_teardown(source_ports_vary, loop_start, loop_end),
		cmocka_unit_test_setup_teardown(stale_when_nobody_answers, loop_start, loop_end),
		cmocka_unit_test_setup_teardown(stale_before_it_is_given_up, loop_start,
			loop_end),
		cmocka_unit_test_setup_teardown(failures_are_not_asked_again_at_once,
			loop_start, loop_end),
		cmocka_unit_test_setup_teardown(flushed_is_asked_anew, loop_start, loop_end),
		cmocka_unit_test_setup_teardown(hosts_file_is_read_again, loop_start, loop_end),
		cmocka_unit_test_setup_teardown(routes_are_apart, loop_start, loop_end),
		cmocka_unit_test_setup_teardown(a_rewritten_name, loop_start, loop_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
