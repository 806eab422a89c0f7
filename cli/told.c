/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/told.h"
#include "base/macros.h"
#include "base/text.h"
#include "cli/rows.h"
#include "cli/show.h"
#include "cli/tree.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { USERS_MAX = 32 };

int64_t told_time(const char *rfc3339)
{
	struct tm tm = { 0 };
	const char *rest = rfc3339 ? strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	unsigned ms = 0;

	if (!rest)
		return 0;
	sscanf(rest, ".%3u", &ms);
	return (int64_t)timegm(&tm) * 1000 + ms;
}

/* asked once for each; NULL: nobody knows */
static const char *user_name(uint32_t uid)
{
	static struct {
		uint32_t uid;
		char name[33];
	} known[USERS_MAX];
	static size_t n;
	const struct passwd *pw;

	for (size_t i = 0; i < MIN(n, USERS_MAX); i++) {
		if (known[i].uid == uid)
			return known[i].name[0] ? known[i].name : NULL;
	}
	pw = getpwuid(uid);
	known[n % USERS_MAX].uid = uid;
	text_copy(known[n % USERS_MAX].name, sizeof(known->name), pw ? pw->pw_name : "");
	return pw ? known[n++ % USERS_MAX].name : (n++, NULL);
}

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

static bool truth(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static uint64_t count_of(const json_t *o, const char *key)
{
	json_int_t n = show_number(o, key);

	return n > 0 ? (uint64_t)n : 0;
}

int told_seen(struct tree *t, const json_t *o, bool query)
{
	const json_t *actor = json_object_get(o, "actor");
	const char *verdict = show_text(o, "verdict"), *state = show_text(o, "state");
	struct tree_seen s = { .query = query, .id = count_of(o, "id"),
		.start_ms = told_time(show_text(o, query ? "time" : "start")),
		.end_ms = told_time(show_text(o, "end")),
		.live = is(state, "new") || is(state, "live"),
		.believed = truth(actor, "believed") && !is(show_text(actor, "how"), "unknown"),
		.watched = truth(o, "watched"), .uid = (uint32_t)show_number(actor, "uid"),
		.path = show_text(actor, "path"), .name = show_text(o, "name"),
		.domain = show_text(o, "domain"), .address = show_text(o, "address"),
		.country = show_text(o, "country"), .rx = count_of(o, "rx"),
		.tx = count_of(o, "tx"),
		.verdict = is(verdict, "deny") ? TREE_DENIED : is(verdict, "allow")
			? TREE_ALLOWED : TREE_OPEN };

	if (!s.start_ms || !actor)
		return 0;
	if (!s.path)
		s.uid = 0; /* all that nobody knows is one */
	s.user = s.uid ? user_name(s.uid) : NULL;
	return tree_put(t, &s);
}

void told_counts(struct tree *t, const json_t *flows, int64_t now_ms)
{
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(flows, "items"), i, o)
		tree_count(t, count_of(o, "id"), count_of(o, "rx"), count_of(o, "tx"), now_ms);
}

/* --- back ------------------------------------------------------------------------------- */

static json_t *text_or_null(const char *s)
{
	return *s ? json_string(s) : json_null();
}

static json_t *sums(const struct node *n)
{
	static const char *const words[] = { "undecided", "allow", "deny" };
	char last[TEXT_TIME_MAX];
	bool mixed;
	enum tree_verdict v = rows_verdict(n, &mixed);

	return json_pack("{s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:s, s:b, s:o, s:o}",
		"rx", (json_int_t)n->rx, "tx", (json_int_t)n->tx,
		"rx_rate", (json_int_t)n->rx_rate, "tx_rate", (json_int_t)n->tx_rate,
		"flows", (int)n->flows, "live", (int)n->live,
		"denied", (int)n->told[TREE_DENIED], "verdict", mixed ? "mixed" : words[v],
		"watched", n->watched, "country", text_or_null(tree_country(n)),
		"last", n->last_ms ? json_string(text_time(n->last_ms, last)) : json_null());
}

static json_t *host_object(const struct node *n)
{
	json_t *o = sums(n);

	json_object_set_new(o, n->address ? "address" : "name", text_or_null(n->key));
	return o;
}

static json_t *domain_object(const struct node *n)
{
	json_t *o = sums(n), *hosts = json_array();

	json_object_set_new(o, "name", text_or_null(n->key));
	for (const struct node *h = n->first; h; h = h->next)
		json_array_append_new(hosts, host_object(h));
	json_object_set_new(o, "hosts", hosts);
	return o;
}

static json_t *program_object(const struct node *n)
{
	json_t *o = sums(n), *domains = json_array();

	json_object_set_new(o, "path", text_or_null(n->key));
	json_object_set_new(o, "uid", json_integer(n->uid));
	for (const struct node *d = n->first; d; d = d->next)
		json_array_append_new(domains, domain_object(d));
	json_object_set_new(o, "domains", domains);
	return o;
}

json_t *told_tree(const struct tree *t)
{
	json_t *o = sums(&t->all), *programs = json_array();

	for (const struct node *p = t->all.first; p; p = p->next)
		json_array_append_new(programs, program_object(p));
	json_object_set_new(o, "programs", programs);
	return o;
}
