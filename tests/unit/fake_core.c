/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_core.h"
#include "db/history.h"
#include "base/clock.h"
#include "base/text.h"
#include "web/web.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

void fake_core_send(struct fake_core *c, enum link_type type, uint32_t seq,
	const void *body)
{
	struct link_any m = { .head = { .type = (uint16_t)type, .seq = seq } };
	size_t len = link_size((uint16_t)type);

	if (body)
		memcpy(&m.u, body, len - sizeof(m.head));
	if (send(c->fd, &m, len, MSG_NOSIGNAL) != (ssize_t)len)
		perror("fake core: send");
}

static void done(struct fake_core *c, uint32_t seq, int r, uint32_t id, const char *error)
{
	struct link_done d = { .r = r, .id = id };

	text_copy(d.error, sizeof(d.error), error);
	fake_core_send(c, LINK_DONE, seq, &d);
}

static void status(struct fake_core *c, uint32_t seq)
{
	struct link_status s = { .version = "0.1.0", .instance = "main", .mode = "enforce",
		.scope = "/", .when_down = "closed", .default_out = "deny",
		.default_in = "allow", .uptime_s = 61, .identity = LINK_BPF, .table = 1, .nupstreams = 1,
		.upstreams = { { .name = "10.53.0.1", .sent = 5, .last_ok_ms = 1000 } },
		.grants = 3, .queries = 12, .denied = 4, .rss_kb = 9000, .filter = c->filter.mode,
		.filter_until_s = c->filter.until_s };

	fake_core_send(c, LINK_STATUS, seq, &s);
	done(c, seq, 0, 0, "");
}

static void rules(struct fake_core *c, uint32_t seq)
{
	for (unsigned i = 0; i < c->nrules; i++)
		fake_core_send(c, LINK_RULE, seq, &c->rules[i]);
	done(c, seq, 0, 0, "");
}

static void changed(struct fake_core *c, bool rules, bool filter)
{
	const struct link_changed m = { .rules = rules, .filter = filter };

	fake_core_send(c, LINK_CHANGED, 0, &m);
}

static void add(struct fake_core *c, uint32_t seq, const struct link_rule_add *m)
{
	struct link_rule r = { .id = c->last_id + 1, .enabled = 1, .created_s = 1000 };

	c->asked_uid = m->uid;
	if (strncmp(m->text, "allow ", 6) != 0 && strncmp(m->text, "deny ", 5) != 0) {
		done(c, seq, -EINVAL, 0, "column 1: expected allow, deny or ask");
		return;
	}
	if (c->nrules == FAKE_RULES_MAX) {
		done(c, seq, -ENOSPC, 0, "no room");
		return;
	}
	r.action = m->text[0] == 'a' ? VERDICT_ALLOW : VERDICT_DENY;
	text_copy(r.text, sizeof(r.text), m->text);
	c->rules[c->nrules++] = r;
	changed(c, true, false);
	done(c, seq, 0, ++c->last_id, "");
}

static void change(struct fake_core *c, uint32_t seq, const struct link_rule_change *m)
{
	for (unsigned i = 0; i < c->nrules; i++) {
		if (c->rules[i].id != m->id || c->rules[i].source != 0)
			continue;
		text_copy(c->rules[i].text, sizeof(c->rules[i].text), m->text);
		c->rules[i].enabled = !strstr(m->text, " off");
		changed(c, true, false);
		done(c, seq, 0, m->id, "");
		return;
	}
	done(c, seq, -ENOENT, 0, "no own rule has this number");
}

static void take_out(struct fake_core *c, uint32_t seq, uint32_t id)
{
	for (unsigned i = 0; i < c->nrules; i++) {
		if (c->rules[i].id != id)
			continue;
		if (c->rules[i].source != 0) {
			done(c, seq, -EPERM, 0, "rule stands in /etc/scupper/rules.d/a.rules");
			return;
		}
		c->rules[i] = c->rules[--c->nrules];
		changed(c, true, false);
		done(c, seq, 0, 0, "");
		return;
	}
	done(c, seq, -ENOENT, 0, "no own rule has this number");
}

static void explain(struct fake_core *c, uint32_t seq, const struct link_explain *m)
{
	struct link_text t;

	if (strcmp(m->who, "nobody") == 0) {
		done(c, seq, -EINVAL, 0, "who: expected a path or unknown");
		return;
	}
	snprintf(t.text, sizeof(t.text), "1. allow %.100s %.100s\n", m->who, m->what);
	fake_core_send(c, LINK_TEXT, seq, &t);
	snprintf(t.text, sizeof(t.text), "allow: rule 1 wins\n");
	fake_core_send(c, LINK_TEXT, seq, &t);
	done(c, seq, 0, 0, "");
}

static void answer(struct fake_core *c, const struct link_any *m, size_t len)
{
	struct link_hello hello = { .boot = c->boot };

	if (link_check(m, len, false) < 0) {
		fprintf(stderr, "fake core: web sent a bad message\n");
		abort();
	}
	switch ((enum link_type)m->head.type) {
	case LINK_HELLO:
		fake_core_send(c, LINK_HELLO, 0, &hello);
		return;
	case LINK_GET_STATUS:
		status(c, m->head.seq);
		return;
	case LINK_GET_RULES:
		rules(c, m->head.seq);
		return;
	case LINK_RULE_ADD:
		add(c, m->head.seq, &m->u.rule_add);
		return;
	case LINK_RULE_REMOVE:
		take_out(c, m->head.seq, m->u.rule_remove.id);
		return;
	case LINK_RULE_CHANGE:
		change(c, m->head.seq, &m->u.rule_change);
		return;
	case LINK_FILTER:
		c->filter = m->u.filter;
		changed(c, false, true);
		done(c, m->head.seq, 0, 0, "");
		return;
	case LINK_CACHE_FLUSH:
		done(c, m->head.seq, 0, 0, "");
		return;
	case LINK_EXPLAIN:
		explain(c, m->head.seq, &m->u.explain);
		return;
	case LINK_WATCHERS:
		return;
	default:
		abort();
	}
}

static void *play(void *ctx)
{
	struct fake_core *c = ctx;

	for (;;) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		struct link_any m;
		ssize_t n;

		poll(&p, 1, 10);
		pthread_mutex_lock(&c->lock);
		if (c->stop)
			break;
		n = c->silent ? -1 : recv(c->fd, &m, sizeof(m), MSG_DONTWAIT);
		if (n > 0)
			answer(c, &m, (size_t)n);
		pthread_mutex_unlock(&c->lock);
		if (c->silent)
			usleep(5000);
		if (n == 0)
			return NULL;
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static int listen_at(struct fake_core *c)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(c->dir, sizeof(c->dir), "/tmp/scupper-web-XXXXXX");
	if (fd < 0 || !mkdtemp(c->dir))
		return -1;
	snprintf(c->socket, sizeof(c->socket), "%s/control.sock", c->dir);
	text_copy(at.sun_path, sizeof(at.sun_path), c->socket);
	/* open to all here: so that the refusal of strangers is web's own */
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0 ||
		chmod(c->socket, 0666) < 0 || chmod(c->dir, 0755) < 0)
		return -1;
	return fd;
}

/* one connection of root's, one refused query of the reader's */
static int make_history(struct fake_core *c)
{
	const struct history_conf conf = { .path = c->history, .group = (gid_t)-1,
		.keep_s = 90 * 86400, .max_bytes = 1000000000 };
	const struct history_who root = { "/usr/bin/curl", 0, "past.test", "allow any .test" },
		reader = { "/usr/bin/wget", FAKE_READER, "past.test", "deny any .test" };
	struct link_flow f = fake_core_flow(FLOW_CONN, 1, 1, "root.past.test", VERDICT_ALLOW);
	struct link_flow q = fake_core_flow(FLOW_QUERY, 2, 2, "his.past.test", VERDICT_DENY);
	struct history *h;
	int r;

	snprintf(c->history, sizeof(c->history), "%s/history.db", c->dir);
	r = history_open(&conf, &h);
	if (r < 0)
		return r;
	f.flow.start_ms = q.flow.start_ms = clock_unix_ms() - 3600000;
	f.flow.end_ms = f.flow.start_ms + 1000;
	f.flow.state = FLOW_DONE;
	f.flow.rx = 1000;
	f.flow.tx = 100;
	text_copy(f.flow.geo.country, sizeof(f.flow.geo.country), "NL");
	q.flow.uid = FAKE_READER;
	history_flow(h, &f.flow, &root);
	history_flow(h, &q.flow, &reader);
	history_close(h);
	return 0;
}

int fake_core_start(struct fake_core *c)
{
	int fds[2], size = 4 << 20, listening;

	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	c->boot = 0xb001;
	c->rules[c->nrules++] = (struct link_rule){ .id = 0x40000001, .source = 1, .line = 3,
		.action = VERDICT_DENY, .enabled = 1, .text = "deny any .ads.example",
		.file = "/etc/scupper/rules.d/a.rules" };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	listening = listen_at(c);
	if (listening < 0)
		return -1;
	if (make_history(c) < 0)
		return -1;
	c->fd = fds[0];
	c->web = fork();
	if (c->web == 0) {
		static const uint32_t readers[] = { FAKE_READER }, admins[] = { FAKE_ADMIN };
		bool root = geteuid() == 0;
		struct web_conf conf = { .link_fd = fds[1], .listen_fd = listening,
			.history = c->history,
			.uid = root ? FAKE_USER : (uid_t)-1,
			.gid = root ? FAKE_USER : (gid_t)-1,
			.group = root ? FAKE_GROUP : getegid(), .admins = admins,
			.nadmins = 1, .readers = readers, .nreaders = 1 };

		_exit(web_main(&conf));
	}
	close(fds[1]);
	close(listening);
	return pthread_create(&c->thread, NULL, play, c) == 0 ? 0 : -1;
}

void fake_core_stop(struct fake_core *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	close(c->fd);
	if (c->web > 0) {
		kill(c->web, SIGTERM);
		waitpid(c->web, NULL, 0);
	}
	for (int i = 0; i < 3; i++) {
		static const char *const endings[] = { "", "-wal", "-shm" };
		char file[128];

		snprintf(file, sizeof(file), "%s%s", c->history, endings[i]);
		unlink(file);
	}
	unlink(c->socket);
	rmdir(c->dir);
}

void fake_core_silent(struct fake_core *c, bool silent)
{
	pthread_mutex_lock(&c->lock);
	c->silent = silent;
	pthread_mutex_unlock(&c->lock);
}

void fake_core_hello(struct fake_core *c, uint64_t boot)
{
	struct link_hello hello = { .boot = boot };

	pthread_mutex_lock(&c->lock);
	c->boot = boot;
	pthread_mutex_unlock(&c->lock);
	fake_core_send(c, LINK_HELLO, 0, &hello);
}

void fake_core_program(struct fake_core *c, uint64_t serial, const char *path)
{
	struct link_program p = { .serial = serial, .actor = (uint32_t)serial, .uid = 0,
		.known = 1, .believed = 1, .parent_pid = 2, .parent = "/usr/bin/bash",
		.cgroup = "/system.slice/test.service/below" };

	text_copy(p.path, sizeof(p.path), path);
	fake_core_send(c, LINK_PROGRAM, 0, &p);
}

struct link_flow fake_core_flow(enum flow_kind kind, uint64_t id, uint64_t serial,
	const char *name, enum verdict verdict)
{
	struct link_flow f = { .flow = { .id = id, .serial = serial, .kind = (uint8_t)kind,
		.verdict = (uint8_t)verdict, .start_ms = 1700000000123, .pid = 4711,
		.uid = 0, .how = HOW_KERNEL, .qtype = 1, .proto = IPPROTO_UDP,
		.reason = REASON_DEFAULT, .took_us = 1250 },
		.process = "curl -s https://a.test/" };

	text_copy(f.flow.name, sizeof(f.flow.name), name);
	if (verdict == VERDICT_ALLOW) {
		f.flow.reason = REASON_RULE;
		f.flow.rule = 1;
		text_copy(f.rule_text, sizeof(f.rule_text), "allow any .test");
		f.flow.nanswers = 1;
		addr_parse("198.18.0.1", &f.flow.answers[0]);
	}
	if (kind == FLOW_CONN) {
		f.flow.proto = IPPROTO_TCP;
		f.flow.port = 443;
		f.flow.state = verdict == VERDICT_ALLOW ? FLOW_LIVE : FLOW_REFUSED;
		addr_parse("198.18.0.1", &f.flow.addr);
	}
	return f;
}
