/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/learn.h"
#include "base/macros.h"
#include "base/text.h"
#include "rules/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_MAX = 40000, PORTS_A_RULE = 16 };

/* One contact. who is the rule's own word for the program; proto "" and port 0: a name that was
 * asked for. Sorted, equal rules-to-be lie side by side. */
struct seen {
	char *who, *what; /* owned */
	char proto[8];
	bool in, denied;
	uint16_t port;
	char *why; /* of what was denied; owned */
};

struct learn {
	struct seen *at;
	size_t n, max;
	bool cut;
};

int learn_new(struct learn **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void seen_done(struct seen *s)
{
	free(s->who);
	free(s->what);
	free(s->why);
}

void learn_free(struct learn *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		seen_done(&l->at[i]);
	free(l->at);
	free(l);
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* takes the strings of s */
static void add(struct learn *l, struct seen *s)
{
	if (l->n == l->max) {
		size_t max = l->max ? l->max * 2 : 256;
		struct seen *more = max > SEEN_MAX * 2 ? NULL
						      : realloc(l->at, max * sizeof(*s));

		if (more) {
			l->at = more;
			l->max = max;
		}
	}
	if (l->n == l->max || !s->who || !s->what || !s->why) {
		seen_done(s);
		l->cut = true;
		return;
	}
	l->at[l->n++] = *s;
}

/* a path as a rule writes it; quoted where it must be */
static char *who_of(const json_t *actor)
{
	const char *path = string_of(actor, "path");
	char word[2048];
	struct text t = text_into(word, sizeof(word));
	bool believed = json_is_true(json_object_get(actor, "believed"));

	if (*path != '/' || !believed)
		return strdup("unknown");
	if (!strpbrk(path, " \t\"\\#<") && !strstr(path, "+uid:"))
		return strdup(path);
	text_add(&t, "\"");
	for (const char *p = path; *p; p++)
		text_addf(&t, "%s%c", *p == '"' || *p == '\\' ? "\\" : "", *p);
	text_add(&t, "\"");
	return strdup(word);
}

/* what the command did, and a rule is needed for: not what is answered or allowed anyway */
static bool ours(const json_t *item)
{
	const char *how = string_of(json_object_get(item, "actor"), "how");
	const char *reason = string_of(item, "reason");
	bool denied = strcmp(string_of(item, "verdict"), "deny") == 0;

	if (strcmp(how, "outside") == 0 || strcmp(how, "self") == 0)
		return false;
	return denied || (strcmp(reason, "local") != 0 && strcmp(reason, "factory") != 0);
}

static char *why_of(const json_t *item)
{
	const char *rule = string_of(json_object_get(item, "rule"), "text");

	return strdup(*rule ? rule : string_of(item, "reason"));
}

static struct seen seen_of(const json_t *item, const char *what)
{
	struct seen s = { .denied = strcmp(string_of(item, "verdict"), "deny") == 0 };

	s.who = who_of(json_object_get(item, "actor"));
	s.what = strdup(what);
	s.why = why_of(item);
	return s;
}

void learn_add_queries(struct learn *l, const json_t *items)
{
	const json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		struct seen s;

		if (!ours(item) || !*string_of(item, "name"))
			continue;
		s = seen_of(item, string_of(item, "name"));
		add(l, &s);
	}
}

void learn_add_flows(struct learn *l, const json_t *items)
{
	const json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		const char *name = string_of(item, "name");
		bool in = strcmp(string_of(item, "direction"), "in") == 0;
		struct seen s;

		if (!ours(item))
			continue;
		/* what comes in is judged by its address, named or not */
		s = seen_of(item, *name && !in ? name : string_of(item, "address"));
		s.in = in;
		s.port = (uint16_t)json_integer_value(json_object_get(item, "port"));
		text_copy(s.proto, sizeof(s.proto), string_of(item, "proto"));
		add(l, &s);
	}
}

/* --- sorted, and written --------------------------------------------------------------- */

static int compare_target(const struct seen *x, const struct seen *y)
{
	int r = x->denied - y->denied;

	if (r == 0)
		r = strcmp(x->who, y->who);
	if (r == 0)
		r = strcmp(x->what, y->what);
	return r ? r : x->in - y->in;
}

static int compare(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int r = compare_target(x, y);

	if (r == 0)
		r = strcmp(x->proto, y->proto);
	if (r == 0)
		r = x->port - y->port;
	return r ? r : strcmp(x->why, y->why);
}

static const char *domain_of(const struct seen *s)
{
	return s->in || strchr(s->what, ':') ? NULL : rules_registrable(s->what);
}

/* whether another name of the same program lies in this registrable domain */
static bool has_sister(const struct learn *l, const struct seen *s, const char *domain)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct seen *o = &l->at[i];
		const char *theirs = domain_of(o);

		if (!o->denied && theirs && strcmp(o->who, s->who) == 0 &&
			strcmp(o->what, s->what) != 0 && strcmp(theirs, domain) == 0)
			return true;
	}
	return false;
}

static bool is_address(const char *what)
{
	return strchr(what, ':') || what[strspn(what, "0123456789.")] == '\0';
}

static int widen(struct learn *l)
{
	char **wide = calloc(l->n + 1, sizeof(*wide));
	int r = wide ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		const struct seen *s = &l->at[i];
		const char *domain = s->denied || is_address(s->what) ? NULL : domain_of(s);

		if (domain && has_sister(l, s, domain) &&
			asprintf(&wide[i], ".%s", domain) < 0)
			r = -ENOMEM;
	}
	for (size_t i = 0; wide && i < l->n; i++) {
		if (r == 0 && wide[i]) {
			free(l->at[i].what);
			l->at[i].what = wide[i];
		} else {
			free(wide[i]);
		}
	}
	free(wide);
	return r;
}

/* what a rule would be, but for bytes that could begin another line or hide one: a program
 * picks its own path */
static void put(const char *rule, const char *who, FILE *to)
{
	struct rule_error err = { 0 };
	char safe[sizeof("# ") + 4 * 3200];
	struct text t = text_into(safe, sizeof(safe));

	text_add_safe(&t, rule);
	if (strcmp(safe, rule) != 0)
		text_copy(err.what, sizeof(err.what), "control characters");
	else if (strchr(who, '*'))
		text_copy(err.what, sizeof(err.what), "a * in a path stands for others");
	else
		rule_check(rule, 0, NULL, &err);
	if (err.what[0])
		fprintf(to, "# no rule can say this (%s): %s\n", err.what, safe);
	else
		fprintf(to, "%s\n", rule);
}

/* the entries from i that make one rule; returns the first that does not */
static size_t write_rule(const struct learn *l, size_t i, FILE *to)
{
	const struct seen *s = &l->at[i];
	char rule[3200];
	struct text t = text_into(rule, sizeof(rule));
	const bool bracket = strchr(s->what, ':') && (s->port || s->proto[0]);
	unsigned ports = 0, last = 0;

	text_addf(&t, bracket ? "allow %s [%s]" : "allow %s %s", s->who, s->what);
	for (; i < l->n && compare_target(s, &l->at[i]) == 0 &&
		strcmp(s->proto, l->at[i].proto) == 0; i++) {
		if (!l->at[i].port || l->at[i].port == last)
			continue;
		if (ports == PORTS_A_RULE)
			break;
		last = l->at[i].port;
		text_addf(&t, "%c%u", ports++ ? ',' : ':', last);
	}
	if (s->proto[0])
		text_addf(&t, "/%s", s->proto);
	if (s->in)
		text_add(&t, " in");
	put(rule, s->who, to);
	return i;
}

/* a connection's rule lets its name be asked, too */
static bool said_already(const struct learn *l, size_t i)
{
	const struct seen *s = &l->at[i];
	size_t k = i;

	if (s->proto[0])
		return false;
	while (k < l->n && compare_target(s, &l->at[k]) == 0 && !l->at[k].proto[0])
		k++;
	return k < l->n && compare_target(s, &l->at[k]) == 0;
}

static void write_denied(const struct learn *l, size_t i, FILE *to)
{
	const struct seen *s = &l->at[i];
	char line[3200];
	struct text t = text_into(line, sizeof(line));

	if (i > 0 && compare(&l->at[i - 1], s) == 0)
		return;
	text_add_safe(&t, s->who);
	text_add(&t, " ");
	text_add_safe(&t, s->what);
	if (s->port)
		text_addf(&t, " port %u", s->port);
	if (s->proto[0])
		text_addf(&t, " %s", s->proto);
	text_addf(&t, "%s (", s->in ? " in" : "");
	text_add_safe(&t, s->why);
	fprintf(to, "# denied: %s)\n", line);
}

int learn_write(struct learn *l, bool wide, FILE *to)
{
	if (l->cut || (wide && widen(l) < 0))
		return -ENOMEM;
	if (l->n)
		qsort(l->at, l->n, sizeof(*l->at), compare);
	for (size_t i = 0; i < l->n;) {
		if (l->at[i].denied)
			write_denied(l, i++, to);
		else if (said_already(l, i))
			i++;
		else
			i = write_rule(l, i, to);
	}
	return 0;
}
