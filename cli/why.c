/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/why.h"
#include "base/macros.h"
#include "base/text.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 1600 };

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* the rule's word for the program: its path, or what else matches it */
static void who_of(const json_t *actor, char *out, size_t max)
{
	const char *path = show_text(actor, "path");
	struct text t = text_into(out, max);

	if (!path || is(show_text(actor, "how"), "unknown"))
		text_add(&t, "unknown");
	else if (!json_is_true(json_object_get(actor, "believed")) || strchr(path, '"'))
		text_addf(&t, "any+uid:%lld", (long long)show_number(actor, "uid"));
	else if (strpbrk(path, " \t#<") || strstr(path, "+uid:"))
		text_addf(&t, "\"%s\"", path);
	else
		text_add(&t, path);
}

/* the rule's word for where it wanted to go */
static void what_of(const json_t *o, char *out, size_t max)
{
	const char *address = show_text(o, "address"), *name = show_text(o, "name");
	const char *cname = show_text(o, "cname"), *proto = show_text(o, "proto");
	json_int_t port = show_number(o, "port");
	struct text t = text_into(out, max);

	if (cname || name) {
		text_add(&t, cname ? cname : name);
		return;
	}
	text_addf(&t, port && address && strchr(address, ':') ? "[%s]" : "%s",
		address ? address : "any");
	if (port)
		text_addf(&t, ":%lld", (long long)port);
	if (port && proto)
		text_addf(&t, "/%s", proto);
}

/* in single quotes where a shell would read it otherwise */
static void add_quoted(struct text *t, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+:,@%";

	if (*word && word[strspn(word, plain)] == '\0') {
		text_add(t, word);
		return;
	}
	text_add(t, "'");
	for (; *word; word++) {
		if (*word == '\'')
			text_add(t, "'\\''");
		else
			text_addn(t, word, 1);
	}
	text_add(t, "'");
}

static const json_t *rule_find(const json_t *rules, json_int_t id)
{
	const json_t *o;
	size_t i;

	json_array_foreach(rules, i, o) {
		if (id && show_number(o, "id") == id)
			return o;
	}
	return NULL;
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; p && (p = strstr(p, word)); p += n) {
		if (p > text && p[-1] == ' ' && (p[n] == '\0' || p[n] == ' '))
			return true;
	}
	return false;
}

/* A rule decided because nothing that matches outranks it: where it is not `high`, no `high`
 * rule matches, so ours with `high` wins. Where it is, it must go instead. */
static void fix_of(const json_t *o, const json_t *rules, char *fix, size_t max,
	const char **note)
{
	const json_t *applied = json_object_get(o, "rule");
	const json_t *rule = rule_find(rules, show_number(applied, "id"));
	const char *text = show_text(rule, "text"), *reason = show_text(o, "reason");
	char who[WORD_MAX], what[WORD_MAX];
	struct text t = text_into(fix, max);

	*note = NULL;
	if (is(reason, "rebinding")) {
		*note = "a public name led to a local address: no rule allows that";
		return;
	}
	if (is(reason, "bad-request")) {
		*note = "the request was malformed";
		return;
	}
	if (has_word(text, "high")) {
		if (is(show_text(rule, "source"), "own"))
			text_addf(&t, "scupper rule rm %lld",
				(long long)show_number(rule, "id"));
		else
			*note = "the rule is `high` and stands in a file: change it there";
		return;
	}
	who_of(json_object_get(o, "actor"), who, sizeof(who));
	what_of(o, what, sizeof(what));
	if (!show_text(o, "name") && show_text(o, "address"))
		*note = "an address is judged when it is met: the first try after the rule may "
			"be refused once more";
	text_add(&t, "scupper rule add allow ");
	add_quoted(&t, who);
	text_add(&t, " ");
	add_quoted(&t, what);
	if (json_is_object(applied) || is(reason, "address"))
		text_add(&t, " high");
	if (is(show_text(o, "direction"), "in"))
		text_add(&t, " in");
}

/* what makes two denials one line */
static void key_of(const json_t *o, char *out, size_t max)
{
	const json_t *actor = json_object_get(o, "actor");
	const char *path = show_text(actor, "path");
	char what[WORD_MAX];
	struct text t = text_into(out, max);

	what_of(o, what, sizeof(what));
	text_addf(&t, "%s\n%lld\n%s\n%s\n%lld\n%s", path ? path : "unknown",
		(long long)show_number(actor, "uid"), what, show_text(o, "reason"),
		(long long)show_number(json_object_get(o, "rule"), "id"),
		is(show_text(o, "direction"), "in") ? "in" : "out");
}

static json_t *text_or_null(const char *s)
{
	return s && *s ? json_string(s) : json_null();
}

static const char *time_of(const json_t *o)
{
	const char *s = show_text(o, "time");

	s = s ? s : show_text(o, "start");
	return s ? s : "";
}

static json_t *copy_or_null(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return v ? json_incref(v) : json_null();
}

static json_t *group_new(const json_t *o, const json_t *rules)
{
	const json_t *actor = json_object_get(o, "actor");
	char fix[2 * WORD_MAX] = "";
	json_t *g = json_object();
	const char *note;

	fix_of(o, rules, fix, sizeof(fix), &note);
	json_object_set_new(g, "program", copy_or_null(actor, "path"));
	json_object_set_new(g, "uid", copy_or_null(actor, "uid"));
	json_object_set_new(g, "name", copy_or_null(o, "name"));
	json_object_set_new(g, "cname", copy_or_null(o, "cname"));
	json_object_set_new(g, "address", copy_or_null(o, "address"));
	json_object_set_new(g, "port", copy_or_null(o, "port"));
	json_object_set_new(g, "proto", copy_or_null(o, "proto"));
	json_object_set_new(g, "reason", copy_or_null(o, "reason"));
	json_object_set_new(g, "rule", copy_or_null(o, "rule"));
	json_object_set_new(g, "count", json_integer(0));
	json_object_set_new(g, "last", json_string(""));
	json_object_set_new(g, "fix", text_or_null(fix));
	json_object_set_new(g, "note", text_or_null(note));
	return g;
}

static void group_add(json_t *groups, const json_t *o, const json_t *rules)
{
	char key[3 * WORD_MAX];
	json_t *g;

	key_of(o, key, sizeof(key));
	g = json_object_get(groups, key);
	if (!g) {
		g = group_new(o, rules);
		json_object_set_new(groups, key, g);
	}
	json_object_set_new(g, "count", json_integer(show_number(g, "count") + 1));
	if (strcmp(time_of(o), show_text(g, "last")) > 0)
		json_object_set_new(g, "last", json_string(time_of(o)));
}

static int later_first(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return strcmp(show_text(*y, "last"), show_text(*x, "last"));
}

json_t *why_group(const json_t *queries, const json_t *flows, const json_t *rules)
{
	json_t *groups = json_object(), *sorted = json_array();
	size_t n = 0, i;
	json_t *o, **all;
	const char *key;

	json_array_foreach(queries, i, o)
		group_add(groups, o, rules);
	json_array_foreach(flows, i, o)
		group_add(groups, o, rules);
	all = calloc(json_object_size(groups) + 1, sizeof(json_t *));
	if (all) {
		json_object_foreach(groups, key, o)
			all[n++] = o;
		qsort(all, n, sizeof(json_t *), later_first);
		for (i = 0; i < n; i++)
			json_array_append(sorted, all[i]);
	}
	free(all);
	json_decref(groups);
	return sorted;
}

static void print_safe(const char *before, const char *s)
{
	char shown[4 * WORD_MAX];
	struct text t = text_into(shown, sizeof(shown));

	text_add_safe(&t, s);
	printf("%s%s", before, shown);
}

static void show_decided(const json_t *g)
{
	const char *rule = show_text(json_object_get(g, "rule"), "text");
	const char *reason = show_text(g, "reason");

	if (rule) {
		print_safe("    decided by rule: ", rule);
		putchar('\n');
	} else if (is(reason, "default")) {
		puts("    decided by the default: no rule allows it");
	} else {
		print_safe("    decided by: ", reason ? reason : "?");
		putchar('\n');
	}
}

static void show_group(const json_t *g)
{
	const char *program = show_text(g, "program"), *cname = show_text(g, "cname");
	const char *fix = show_text(g, "fix"), *note = show_text(g, "note");
	const char *address = show_text(g, "address"), *name = show_text(g, "name");
	char when[SHOW_TIME_MAX];
	json_int_t count = show_number(g, "count");

	print_safe("", program ? program : "an unknown program");
	print_safe(" -> ", name ? name : address ? address : "?");
	if (cname)
		print_safe(" -> ", cname);
	if (name && address)
		print_safe(" at ", address);
	if (show_number(g, "port"))
		printf(":%lld", (long long)show_number(g, "port"));
	printf("\n    denied %lld time%s, last %s\n", (long long)count, count == 1 ? "" : "s",
		show_time(show_text(g, "last"), when));
	show_decided(g);
	if (note) {
		print_safe("    ", note);
		putchar('\n');
	}
	if (fix) {
		print_safe("    to allow it: ", fix);
		putchar('\n');
	}
}

void why_show(const json_t *groups)
{
	const json_t *g;
	size_t i;

	if (json_array_size(groups) == 0)
		puts("nothing was denied");
	json_array_foreach(groups, i, g)
		show_group(g);
}
