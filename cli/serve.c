/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/serve.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/text.h"
#include "rules/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum {
	RECENT_MAX = 1000,          /* flows that a new web process is told again */
	QUEUE_MAX = 16 << 20,       /* bytes that wait for web */
	QUEUE_EVENTS_MAX = 8 << 20, /* of these, events */
};

struct queued {
	struct queued *next;
	size_t len;
	uint8_t bytes[];
};

struct use {
	uint32_t rule;
	uint64_t hits;
	int64_t last_s;
};

struct serve {
	int fd;
	uv_poll_t *poll;
	struct serve_calls calls;
	struct queued *head, **tail;
	size_t queued;
	uint64_t lost, boot;
	uint32_t watchers;
	uint64_t told[ACTOR_MASK + 1]; /* serial + 1 of the program web was told of */
	struct link_program *programs; /* by number, what was told */
	struct link_flow *recent;
	size_t nrecent, next_recent;
	struct link_history history;
	struct use uses[4096];         /* hits by rule, hashed; a collision shares */
};

static void want(struct serve *s, int events);

static void flush(struct serve *s)
{
	while (s->head) {
		struct queued *q = s->head;

		if (send(s->fd, q->bytes, q->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		s->head = q->next;
		if (!s->head)
			s->tail = &s->head;
		s->queued -= q->len;
		free(q);
	}
	want(s, UV_READABLE | (s->head ? UV_WRITABLE : 0));
}

static void put(struct serve *s, const struct link_any *m, bool event)
{
	size_t len = link_size(m->head.type);
	struct queued *q;

	if (!s->head && send(s->fd, m, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		return;
	q = s->queued + len > (event ? QUEUE_EVENTS_MAX : QUEUE_MAX)
		    ? NULL
		    : malloc(sizeof(*q) + len);
	if (!q) {
		s->lost++;
		return;
	}
	q->next = NULL;
	q->len = len;
	memcpy(q->bytes, m, len);
	*s->tail = q;
	s->tail = &q->next;
	s->queued += len;
	want(s, UV_READABLE | UV_WRITABLE);
}

static struct link_any *message(enum link_type type, uint32_t seq)
{
	static struct link_any m;

	memset(&m, 0, MAX(link_size((uint16_t)type), sizeof(m.head)));
	m.head.type = (uint16_t)type;
	m.head.seq = seq;
	return &m;
}

static void put_hello(struct serve *s)
{
	struct link_any *m = message(LINK_HELLO, 0);

	m->u.hello.boot = s->boot;
	put(s, m, false);
}

static void put_program(struct serve *s, uint32_t number)
{
	struct link_any *m = message(LINK_PROGRAM, 0);

	m->u.program = s->programs[number];
	put(s, m, true);
}

static void tell_program(struct serve *s, const struct program *p,
	const struct process *process)
{
	uint32_t number = p->actor & ACTOR_MASK;
	struct link_program *l = &s->programs[number];

	if (s->told[number] == p->serial + 1)
		return;
	s->told[number] = p->serial + 1;
	memset(l, 0, sizeof(*l));
	l->serial = p->serial;
	l->actor = p->actor;
	l->uid = p->uid;
	l->known = p->known;
	l->believed = p->believed;
	text_copy(l->path, sizeof(l->path), p->path);
	if (process) {
		l->parent_pid = process->parent;
		text_copy(l->cgroup, sizeof(l->cgroup), process->cgroup);
	}
	put_program(s, number);
}

static void use_rule(struct serve *s, uint32_t rule, int64_t now_s)
{
	struct use *u = &s->uses[rule * 2654435761u >> 20];

	if (u->rule != rule)
		*u = (struct use){ .rule = rule };
	u->hits++;
	u->last_s = now_s;
}

void serve_flow(struct serve *s, const struct flow *f, const struct program *p,
	const struct process *process)
{
	struct link_any *m;
	struct rule_info rule;

	tell_program(s, p, process);
	m = message(LINK_FLOW, 0);
	m->u.flow.flow = *f;
	if (process)
		text_copy(m->u.flow.process, sizeof(m->u.flow.process), process->args);
	if (process && f->verdict == VERDICT_DENY && s->calls.parents) {
		struct text t = text_into(m->u.flow.parents, sizeof(m->u.flow.parents));

		s->calls.parents(s->calls.ctx, process, &t);
	}
	if (f->rule && ruleset_find(s->calls.rules(s->calls.ctx), f->rule, &rule))
		text_copy(m->u.flow.rule_text, sizeof(m->u.flow.rule_text), rule.text);
	if (f->rule)
		use_rule(s, f->rule, f->start_ms / 1000);
	put(s, m, true);
	s->recent[s->next_recent] = m->u.flow;
	s->next_recent = (s->next_recent + 1) % RECENT_MAX;
	s->nrecent = MIN(s->nrecent + 1, RECENT_MAX);
}

void serve_counts(struct serve *s, const struct flow_count *c, unsigned n, bool more)
{
	struct link_any *m = message(LINK_BYTES, 0);

	m->u.bytes.n = MIN(n, LINK_BYTES_MAX);
	m->u.bytes.more = more;
	if (n) /* c may be NULL in a round in which nothing moved */
		memcpy(m->u.bytes.at, c, m->u.bytes.n * sizeof(*c));
	put(s, m, true);
}

uint32_t serve_watchers(const struct serve *s)
{
	return s->watchers;
}

void serve_done(struct serve *s, uint32_t seq, int r, uint32_t id, const char *error)
{
	struct link_any *m = message(LINK_DONE, seq);

	m->u.done.r = r;
	m->u.done.id = id;
	if (error)
		text_copy(m->u.done.error, sizeof(m->u.done.error), error);
	put(s, m, false);
}

/* everything a new web process has to know */
static void tell_again(struct serve *s)
{
	size_t at = (s->next_recent + RECENT_MAX - s->nrecent) % RECENT_MAX;

	put_hello(s);
	for (uint32_t n = 0; n <= ACTOR_MASK; n++)
		if (s->told[n])
			put_program(s, n);
	if (s->history.ino)
		serve_history(s, s->history.dev, s->history.ino);
	for (size_t i = 0; i < s->nrecent; i++) {
		struct link_any *m = message(LINK_FLOW, 0);

		m->u.flow = s->recent[(at + i) % RECENT_MAX];
		put(s, m, true);
	}
}

static void get_rules(struct serve *s, uint32_t seq)
{
	const struct ruleset *rs = s->calls.rules(s->calls.ctx);
	size_t n = ruleset_count(rs);

	for (size_t i = 0; i < n; i++) {
		struct link_any *m = message(LINK_RULE, seq);
		struct link_rule *l = &m->u.rule;
		struct rule_info info;
		const struct use *u;

		ruleset_info(rs, i, &info);
		u = &s->uses[info.id * 2654435761u >> 20];
		l->id = info.id;
		l->source = (uint8_t)info.source;
		l->action = (uint8_t)info.action;
		l->enabled = info.enabled;
		l->line = info.line;
		l->created_s = l->changed_s = info.created_s;
		l->expires_s = info.expires_s;
		if (u->rule == info.id) {
			l->hits = u->hits;
			l->last_used_s = u->last_s;
		}
		text_copy(l->text, sizeof(l->text), info.text);
		text_copy(l->file, sizeof(l->file), info.file ? info.file : "");
		put(s, m, false);
	}
	serve_done(s, seq, 0, 0, NULL);
}

/* WHO as a person writes it: PATH[+uid:N], unknown, any */
static int parse_who(const char *who, struct program *out)
{
	char *plus;
	uint32_t uid = 0;

	*out = (struct program){ .actor = ACTOR_UNKNOWN };
	if (strcmp(who, "unknown") == 0)
		return 0;
	if (*who != '/' || !text_copy(out->path, sizeof(out->path), who))
		return -EINVAL;
	plus = strstr(out->path, "+uid:");
	if (plus && text_u32(plus + 5, UINT32_MAX - 1, &uid) < 0)
		return -EINVAL;
	if (plus)
		*plus = '\0';
	out->uid = uid;
	out->actor = 1;
	out->known = out->believed = true;
	out->npaths = 1;
	out->paths[0] = out->path;
	return 0;
}

/* where the address is said to be: one line, and known to the rules */
static void explain_where(struct serve *s, struct target *to, struct geo_tag *tag,
	struct text *t)
{
	char addr[ADDR_TEXT_MAX];

	if (!to->addr || !s->calls.where || !s->calls.where(s->calls.ctx, to->addr, tag))
		return;
	to->geo = tag;
	text_addf(t, "%s is likely in %s%s%s", addr_text(to->addr, addr),
		*tag->country ? tag->country : "an unknown country",
		*tag->continent ? ", continent " : "", tag->continent);
	if (tag->asn) {
		text_addf(t, ", network AS%u ", tag->asn);
		text_add_safe(t, tag->as_name);
	}
	text_add(t, "\n");
}

/* WHAT may end in the option that a rule of this direction bears */
static enum flow_dir direction_of(char *what)
{
	char *last = strrchr(what, ' ');
	enum flow_dir dir = FLOW_OUT;

	if (last && strcmp(last, " in") == 0)
		dir = FLOW_IN;
	else if (!last || strcmp(last, " out") != 0)
		return dir;
	while (last > what && last[-1] == ' ')
		last--;
	*last = '\0';
	return dir;
}

static void explain(struct serve *s, const struct link_explain *e, uint32_t seq)
{
	static char buf[16384];
	struct text t = text_into(buf, sizeof(buf));
	struct program who;
	struct addr addr;
	char name[HOST_MAX];
	char why[260], what[sizeof(e->what)];
	struct rule_error err = { 0 };
	enum flow_dir dir;
	struct target to;
	struct geo_tag tag;

	if (parse_who(e->who, &who) < 0) {
		serve_done(s, seq, -EINVAL, 0,
			"WHO is the absolute path of a program, with +uid:NUMBER if it "
			"matters, or unknown");
		return;
	}
	text_copy(what, sizeof(what), e->what);
	dir = direction_of(what);
	if (rules_target(what, name, &addr, &to, &err) < 0) {
		snprintf(why, sizeof(why), "column %u: %s", err.column, err.what);
		serve_done(s, seq, -EINVAL, 0, why);
		return;
	}
	if (dir == FLOW_IN && !to.addr) {
		serve_done(s, seq, -EINVAL, 0,
			"what comes in has an address and no name: write the peer's address");
		return;
	}
	to.dir = dir;
	explain_where(s, &to, &tag, &t);
	ruleset_explain(s->calls.rules(s->calls.ctx), &who, &to, clock_unix_ms() / 1000, &t);
	for (size_t at = 0; at < t.len; at += sizeof(((struct link_text *)0)->text) - 1) {
		struct link_any *m = message(LINK_TEXT, seq);

		text_copy(m->u.text.text, sizeof(m->u.text.text), buf + at);
		put(s, m, false);
	}
	serve_done(s, seq, 0, 0, NULL);
}

static void get_status(struct serve *s, uint32_t seq)
{
	struct link_any *m = message(LINK_STATUS, seq);

	s->calls.status(s->calls.ctx, &m->u.status);
	m->u.status.events_lost += s->lost;
	put(s, m, false);
	serve_done(s, seq, 0, 0, NULL);
}

static const char *const filter_words[] = { [FILTER_ON] = "on", [FILTER_PAUSED] = "paused",
	[FILTER_BLOCK] = "blocks everything" };

static void take(struct serve *s, const struct link_any *m)
{
	uint32_t seq = m->head.seq;

	switch (m->head.type) {
	case LINK_HELLO:
		tell_again(s);
		break;
	case LINK_GET_STATUS:
		get_status(s, seq);
		break;
	case LINK_GET_RULES:
		get_rules(s, seq);
		break;
	case LINK_RULE_ADD:
		log_notice("user %u adds a rule: %s", m->u.rule_add.uid,
			m->u.rule_add.text);
		s->calls.rule_add(s->calls.ctx, m->u.rule_add.text,
			m->u.rule_add.created_s, seq);
		break;
	case LINK_RULE_REMOVE:
		log_notice("user %u removes rule %u", m->u.rule_remove.uid,
			m->u.rule_remove.id);
		s->calls.rule_remove(s->calls.ctx, m->u.rule_remove.id, seq);
		break;
	case LINK_RULE_CHANGE:
		log_notice("user %u changes rule %u: %s", m->u.rule_change.uid,
			m->u.rule_change.id, m->u.rule_change.text);
		s->calls.rule_change(s->calls.ctx, m->u.rule_change.id,
			m->u.rule_change.text, seq);
		break;
	case LINK_FILTER:
		log_notice("user %u: filter %s", m->u.filter.uid,
			filter_words[m->u.filter.mode]);
		s->calls.filter(s->calls.ctx, (enum link_filter_mode)m->u.filter.mode,
			m->u.filter.until_s, seq);
		break;
	case LINK_CACHE_FLUSH:
		log_notice("user %u empties the cache of \"%s\"%s", m->u.cache_flush.uid,
			m->u.cache_flush.name,
			m->u.cache_flush.below ? " and everything below it" : "");
		s->calls.cache_flush(s->calls.ctx, m->u.cache_flush.name,
			m->u.cache_flush.below, seq);
		break;
	case LINK_WATCHERS:
		s->watchers = m->u.watchers.n;
		break;
	case LINK_EXPLAIN:
		explain(s, &m->u.explain, seq);
		break;
	}
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	static struct link_any in;
	struct serve *s = p->data;

	if (status < 0)
		return;
	if (events & UV_WRITABLE)
		flush(s);
	for (int i = 0; (events & UV_READABLE) && i < 64; i++) {
		ssize_t n = recv(s->fd, &in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC);

		if (n <= 0)
			return;
		if (link_check(&in, (size_t)n, false) == 0)
			take(s, &in);
	}
}

static void want(struct serve *s, int events)
{
	uv_poll_start(s->poll, events, on_poll);
}

int serve_open(struct uv_loop_s *loop, int fd, const struct serve_calls *calls,
	struct serve **out)
{
	struct serve *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fd = fd;
	s->calls = *calls;
	s->tail = &s->head;
	s->boot = (uint64_t)clock_read_us(CLOCK_REALTIME);
	s->programs = calloc(ACTOR_MASK + 1, sizeof(*s->programs));
	s->recent = calloc(RECENT_MAX, sizeof(*s->recent));
	s->poll = calloc(1, sizeof(*s->poll));
	if (!s->programs || !s->recent || !s->poll || uv_poll_init(loop, s->poll, fd) < 0) {
		free(s->poll);
		s->poll = NULL;
		serve_close(s);
		return -ENOMEM;
	}
	s->poll->data = s;
	want(s, UV_READABLE);
	put_hello(s);
	*out = s;
	return 0;
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

void serve_close(struct serve *s)
{
	struct queued *q;

	if (!s)
		return;
	if (s->poll)
		uv_close((uv_handle_t *)s->poll, free_handle);
	while ((q = s->head)) {
		s->head = q->next;
		free(q);
	}
	free(s->programs);
	free(s->recent);
	free(s);
}

void serve_changed(struct serve *s, bool rules, bool filter)
{
	struct link_any *m = message(LINK_CHANGED, 0);

	m->u.changed.rules = rules;
	m->u.changed.filter = filter;
	put(s, m, false);
}

void serve_history(struct serve *s, uint64_t dev, uint64_t ino)
{
	struct link_any *m = message(LINK_HISTORY, 0);

	m->u.history = s->history = (struct link_history){ dev, ino };
	put(s, m, false);
}

uint64_t serve_lost(const struct serve *s)
{
	return s->lost;
}
