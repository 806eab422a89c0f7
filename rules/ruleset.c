/* SPDX-License-Identifier: GPL-2.0-or-later
 * ruleset.c - rules put together: taken in, numbered, sorted, listed. */
#include "rules/line.h"
#include "rules/list.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { INDEX_FROM = 32 }; /* fewer rules are walked faster than looked up */

int ruleset_new(enum verdict default_out, enum verdict default_in, struct ruleset **out)
{
	struct ruleset *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return -ENOMEM;
	rs->fallback[FLOW_OUT] = default_out;
	rs->fallback[FLOW_IN] = default_in;
	rs->user = rules_system_user;
	*out = rs;
	return 0;
}

void ruleset_users(struct ruleset *rs, rules_user fn)
{
	rs->user = fn;
}

void ruleset_list_by(struct ruleset *rs, rules_list fn, void *ctx)
{
	rs->list = fn;
	rs->list_ctx = ctx;
}

static void rule_free(struct rule *r)
{
	list_unref(r->what.list);
	free(r);
}

void ruleset_free(struct ruleset *rs)
{
	if (!rs)
		return;
	for (size_t i = 0; i < rs->n; i++)
		rule_free(rs->rules[i]);
	free(rs->rules);
	free(rs->by_id);
	index_free(rs->index);
	free(rs);
}

static size_t room(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

/* moves *s behind the rule and *to on */
static void take(const char **s, char **to)
{
	size_t n = room(*s);

	if (!n)
		return;
	memcpy(*to, *s, n);
	*s = *to;
	*to += n;
}

/* one allocation: the rule and all its strings behind it */
static struct rule *rule_copy(const struct rule *r)
{
	size_t n = room(r->who.path) + room(r->who.user) + room(r->what.name) +
		room(r->until) + room(r->note) + room(r->file) + room(r->text);
	struct rule *copy = malloc(sizeof(*copy) + n);
	char *to;

	if (!copy)
		return NULL;
	*copy = *r;
	to = (char *)(copy + 1);
	take(&copy->who.path, &to);
	take(&copy->who.user, &to);
	take(&copy->what.name, &to);
	take(&copy->until, &to);
	take(&copy->note, &to);
	take(&copy->file, &to);
	take(&copy->text, &to);
	return copy;
}

static int fail(struct rule_error *err, unsigned line, unsigned column, int r,
	const char *what)
{
	if (err) {
		err->line = line;
		err->column = column;
		text_copy(err->what, sizeof(err->what), what);
	}
	return r;
}

static int user_find(const struct ruleset *rs, struct parsed *p, unsigned line,
	struct rule_error *err)
{
	struct who *w = &p->rule.who;
	char what[sizeof(err->what)];
	uint32_t uid = 0;
	int r;

	if (!w->user)
		return 0;
	if (text_u32(w->user, UINT32_MAX - 1, &uid) == 0) {
		w->uid = uid;
		return 0;
	}
	r = rs->user(w->user, &uid);
	if (r < 0) {
		snprintf(what, sizeof(what), r == -ENOENT ? "there is no user %s"
			: "the user %s cannot be looked up now", w->user);
		return fail(
			err, line, p->user_column, r == -ENOENT ? -EINVAL : r, what);
	}
	w->uid = uid;
	return 0;
}

static int grow(struct ruleset *rs)
{
	size_t max = rs->max ? 2 * rs->max : 64;
	struct rule **rules = realloc(rs->rules, max * sizeof(struct rule *));

	if (!rules)
		return -ENOMEM;
	rs->rules = rules;
	rs->max = max;
	return 0;
}

static int rule_take(struct ruleset *rs, struct rule *r, const struct rule_origin *from)
{
	char text[RULE_LINE_MAX];
	struct text canonical = text_into(text, sizeof(text));
	struct rule *copy;

	rule_text(r, &canonical);
	r->text = text;
	r->source = from->source;
	r->id = from->id;
	r->file = from->file;
	r->line = from->line;
	r->created_s = from->created_s;
	r->seq = (uint32_t)rs->n;
	r->expires_s = r->for_s ? from->created_s + r->for_s : r->until_s;
	if (r->what.kind == WHAT_LIST && rs->list)
		r->what.list = rs->list(rs->list_ctx, r->what.name);
	rule_reach(r);
	if (rs->n == rs->max && grow(rs) < 0)
		return -ENOMEM;
	copy = rule_copy(r);
	if (!copy)
		return -ENOMEM;
	if (copy->what.list)
		list_ref(copy->what.list);
	rs->rules[rs->n++] = copy;
	rs->inbound += !!(r->dirs & DIR_IN);
	rs->asks_where = rs->asks_where || (what_is_where(&r->what) && !r->off);
	return 0;
}

static int add(struct ruleset *rs, const char *text, size_t len,
	const struct rule_origin *from, struct rule_error *err)
{
	struct parsed p;
	int r = rule_parse(text, len, from->line, &p, err);

	if (r < 0)
		return r;
	r = user_find(rs, &p, from->line, err);
	if (r < 0)
		return r;
	if (rs->n >= RULES_MAX)
		return fail(err, from->line, 1, -ENOSPC, "too many rules");
	r = rule_take(rs, &p.rule, from);
	return r < 0 ? fail(err, from->line, 1, r, "out of memory") : 0;
}

int ruleset_add(struct ruleset *rs, const char *text, const struct rule_origin *from,
	struct rule_error *err)
{
	return add(rs, text, strlen(text), from, err);
}

int ruleset_add_text(struct ruleset *rs, const char *text, size_t len, const char *file,
	int64_t created_s, struct rule_error *err)
{
	struct rule_origin from = { .source = RULE_FILE, .file = file,
		.created_s = created_s };
	size_t before = rs->n;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;
		int r;

		from.line++;
		r = add(rs, text, n, &from, err);
		if (r < 0 && r != -ENOENT) {
			while (rs->n > before)
				rule_free(rs->rules[--rs->n]);
			return r;
		}
		n += end != NULL;
		text += n;
		len -= n;
	}
	return 0;
}

static int factory_add(void *ctx, uint32_t id, const char *text)
{
	struct rule_origin from = { .source = RULE_FACTORY, .id = id };

	return ruleset_add(ctx, text, &from, NULL);
}

int ruleset_add_factory(struct ruleset *rs)
{
	return factory_rules(factory_add, rs);
}

/* FNV-1a: the same on every start, so that history can name a file's rule */
static uint32_t file_id(const struct rule *r)
{
	const char *parts[] = { r->file ? r->file : "", r->text };
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		for (const char *p = parts[i];; p++) {
			h = (h ^ (uint8_t)*p) * 0x100000001b3;
			if (!*p)
				break;
		}
	}
	return RULE_ID_FILE | ((uint32_t)(h ^ h >> 32) & RULE_ID_MASK);
}

static int by_id(const void *a, const void *b)
{
	const struct rule *x = *(struct rule *const *)a, *y = *(struct rule *const *)b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_order(const void *a, const void *b)
{
	return order_cmp(*(struct rule *const *)a, *(struct rule *const *)b);
}

static bool made_id(uint32_t id)
{
	return id >= RULE_ID_FILE && id < RULE_ID_FACTORY;
}

/* ids of rules that came without one; of those with one id the later gets the
 * next free */
static int number(struct ruleset *rs)
{
	bool again = true;

	for (size_t i = 0; i < rs->n; i++)
		if (rs->by_id[i]->id == 0)
			rs->by_id[i]->id = file_id(rs->by_id[i]);
	while (again) {
		again = false;
		qsort(rs->by_id, rs->n, sizeof(struct rule *), by_id);
		for (size_t i = 1; i < rs->n; i++) {
			struct rule *r = rs->by_id[i];
			uint32_t before = rs->by_id[i - 1]->id;

			if (r->id > before)
				continue;
			if (!made_id(r->id))
				return -EEXIST;
			/* the highest id has no next: begin again below */
			r->id = made_id(before + 1) ? before + 1 : RULE_ID_FILE;
			again = again || r->id == RULE_ID_FILE;
		}
	}
	return 0;
}

int ruleset_ready(struct ruleset *rs)
{
	int r;

	if (rs->n == 0)
		return 0;
	rs->by_id = malloc(rs->n * sizeof(struct rule *));
	if (!rs->by_id)
		return -ENOMEM;
	memcpy(rs->by_id, rs->rules, rs->n * sizeof(struct rule *));
	r = number(rs);
	if (r < 0)
		return r;
	qsort(rs->rules, rs->n, sizeof(struct rule *), by_order);
	return rs->n < INDEX_FROM ? 0 : index_new(rs, &rs->index);
}

int rule_check(const char *text, int64_t now_s, struct text *canonical,
	struct rule_error *err)
{
	struct parsed p;
	int r = rule_parse(text, strlen(text), 0, &p, err);

	if (r < 0)
		return r;
	if (p.rule.until_s && p.rule.until_s <= now_s)
		return fail(err, 0, 1, -EINVAL, "this rule's time is over already");
	if (canonical)
		rule_text(&p.rule, canonical);
	return 0;
}

size_t ruleset_count(const struct ruleset *rs)
{
	return rs->n;
}

/* what is enabled depends on the time, which the caller has: an expired rule is seen by
 * its expires_s */
static void info(const struct rule *r, struct rule_info *out)
{
	*out = (struct rule_info){
		.id = r->id,
		.source = r->source,
		.action = r->action,
		.enabled = !r->off,
		.text = r->text,
		.file = r->file,
		.line = r->line,
		.created_s = r->created_s,
		.expires_s = r->expires_s,
		.note = r->note,
	};
}

void ruleset_info(const struct ruleset *rs, size_t at, struct rule_info *out)
{
	info(rs->rules[at], out);
}

bool ruleset_find(const struct ruleset *rs, uint32_t id, struct rule_info *out)
{
	size_t lo = 0, hi = rs->by_id ? rs->n : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rs->by_id[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!rs->by_id || lo == rs->n || rs->by_id[lo]->id != id)
		return false;
	info(rs->by_id[lo], out);
	return true;
}

void ruleset_lists(const struct ruleset *rs,
	void (*fn)(void *ctx, const char *name, const struct list *l), void *ctx)
{
	for (size_t i = 0; i < rs->n; i++)
		if (rs->rules[i]->what.kind == WHAT_LIST && !rs->rules[i]->off)
			fn(ctx, rs->rules[i]->what.name, rs->rules[i]->what.list);
}

void rule_list_name(const char *text, char *name, size_t max)
{
	struct parsed p;

	name[0] = '\0';
	if (rule_parse(text, strlen(text), 0, &p, NULL) == 0 &&
		p.rule.what.kind == WHAT_LIST && !p.rule.off)
		text_copy(name, max, p.rule.what.name);
}

bool ruleset_asks_where(const struct ruleset *rs)
{
	return rs->asks_where;
}

int64_t ruleset_next_change(const struct ruleset *rs, int64_t now_s)
{
	int64_t next = 0;

	for (size_t i = 0; i < rs->n; i++) {
		int64_t at = rs->rules[i]->expires_s;

		if (!rs->rules[i]->off && at > now_s && (next == 0 || at < next))
			next = at;
	}
	return next;
}

static int target_fill(const struct what *w, const struct line *l, struct addr *addr,
	struct target *out)
{
	static const uint8_t one[16];
	struct target t = { .proto = w->proto, .dir = FLOW_OUT };

	if (w->kind == WHAT_HOST) {
		t.name = w->name;
		t.local_name = rules_local_name(w->name);
	} else if (w->kind == WHAT_NET && memcmp(w->size, one, sizeof(one)) == 0) {
		*addr = w->lo;
		t.addr = addr;
	} else {
		return line_fail(l, 0, "expected one host or one address");
	}
	if (w->nports > 1 || (w->nports && w->ports[0].lo != w->ports[0].hi))
		return line_fail(l, 0, "expected one port");
	t.port = w->nports ? w->ports[0].lo : 0;
	*out = t;
	return 0;
}

int rules_target(const char *text, char name[static HOST_MAX], struct addr *addr,
	struct target *out, struct rule_error *err)
{
	struct line l;
	struct what w;
	int r = line_read(&l, text, strlen(text), 0, err);

	if (r == 0 && l.n != 1)
		r = line_fail(&l, 0, "expected one host or one address");
	if (r == 0)
		r = target_parse(&l, &l.words[0], &w, name);
	return r < 0 ? r : target_fill(&w, &l, addr, out);
}
