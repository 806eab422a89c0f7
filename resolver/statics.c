/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/statics.h"
#include "resolver/name.h"
#include "resolver/rdata.h"

#include "base/macros.h"
#include "base/table.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATA_MAX = 1024, TTL_MAX_S = 604800 };

struct entry {
	struct table_node node;
	struct static_record *first, **last;
	char name[HOST_MAX];
	char alias[HOST_MAX]; /* "": it has none */
};

struct suffix {
	char domain[HOST_MAX];
	enum special_use what;
};

/* a growing array */
struct suffixes {
	struct suffix *at;
	size_t n;
};

struct statics {
	struct table exact, below; /* below: *.name */
	struct suffixes specials, rebinds;
	struct route *routes;
	size_t nroutes, nvalues;
	char search[SEARCH_MAX][HOST_MAX];
	unsigned nsearch;
	bool single_label;
};

static int cannot(char why[static STATICS_WHY_MAX], const char *fmt, ...) format_printf(2, 3);

static int cannot(char why[static STATICS_WHY_MAX], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, STATICS_WHY_MAX, fmt, args);
	va_end(args);
	return -EINVAL;
}

static bool entry_is(const struct table_node *n, const void *name)
{
	return strcmp(container_of(n, struct entry, node)->name, name) == 0;
}

static struct entry *entry_find(const struct table *t, const char *name)
{
	struct table_node *n = t->count == 0 ? NULL
		: table_find(t, table_hash(t, name, strlen(name)), entry_is, name);

	return n ? container_of(n, struct entry, node) : NULL;
}

/* what is written for name wins over every wildcard, the nearest of these over the others */
static const struct entry *entry_of(const struct statics *s, const char *name)
{
	const struct entry *e = entry_find(&s->exact, name);
	const char *dot = name;

	while (!e && s->below.count && (dot = strchr(dot, '.')))
		e = entry_find(&s->below, ++dot);
	return e;
}

static int entry_get(struct statics *s, const char *text, struct entry **out)
{
	bool wild = strncmp(text, "*.", 2) == 0;
	struct table *t = wild ? &s->below : &s->exact;
	char name[HOST_MAX];
	struct entry *e;

	if (host_parse(wild ? text + 2 : text, name) < 0 || !*name)
		return -EINVAL;
	e = entry_find(t, name);
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		text_copy(e->name, sizeof(e->name), name);
		e->last = &e->first;
		table_add(t, &e->node, table_hash(t, name, strlen(name)));
	}
	*out = e;
	return 0;
}

static int record_add(struct entry *e, uint16_t type, uint32_t ttl, const struct out *data)
{
	struct static_record *r = malloc(sizeof(*r) + data->len);

	if (!r)
		return -ENOMEM;
	*r = (struct static_record){ .ttl = ttl, .type = type, .len = (uint16_t)data->len };
	memcpy(r->data, data->base, data->len);
	*e->last = r;
	e->last = &r->next;
	return 0;
}

/* An alias stands alone, and leads to no other alias: so no answer ever goes in a circle. */
static int alias_check(const struct statics *s, const struct entry *e, const char *text,
	char why[static STATICS_WHY_MAX])
{
	const struct table *both[] = { &s->exact, &s->below };
	const struct entry *to;

	if (e->alias[0] && e->first->next)
		return cannot(why, "%.80s has a CNAME or rewrite to a name beside something "
				   "else: leave one of them", text);
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		for (const struct table_node *n = both[i]->oldest; n; n = n->newer) {
			const struct entry *from = container_of(n, struct entry, node);

			to = from->alias[0] ? entry_of(s, from->alias) : NULL;
			if (to && to->alias[0])
				return cannot(why, "%.80s leads to %.80s, which is itself rewritten: "
						   "write where that leads", from->name, from->alias);
		}
	}
	return 0;
}

static int add_to(struct statics *s, const char *name, uint16_t type, uint32_t ttl,
	const struct out *data, char why[static STATICS_WHY_MAX])
{
	struct entry *e;
	int r = entry_get(s, name, &e);

	if (r == -EINVAL)
		return cannot(why, "\"%.80s\" is no name", name);
	if (r == 0)
		r = record_add(e, type, ttl, data);
	if (r == 0 && type == TYPE_CNAME) {
		struct cur c = cur_over(data->base, data->len);

		name_read_text(&c, e->alias);
	}
	return r < 0 ? r : alias_check(s, e, name, why);
}

/* NAME TYPE VALUE [TTL] */
static int add_record(struct statics *s, const char *value, char why[static STATICS_WHY_MAX])
{
	char name[HOST_MAX + 2], word[16];
	uint8_t bytes[DATA_MAX];
	struct out data = out_into(bytes, sizeof(bytes));
	uint32_t ttl = STATICS_TTL_S;
	const char *p = value;
	uint16_t type;

	if (!rdata_word(&p, name, sizeof(name)) || !rdata_word(&p, word, sizeof(word)))
		return cannot(why, "expected NAME TYPE VALUE [TTL]");
	type = rdata_type(word);
	if (!type)
		return cannot(why, "type \"%s\": expected A, AAAA, CNAME, PTR, MX, TXT or SRV",
			word);
	if (rdata_read(type, &p, &data) < 0)
		return cannot(why, "\"%.80s\" is no value for %s", value + strcspn(value, " \t"),
			word);
	if (rdata_word(&p, word, sizeof(word)) && text_u32(word, TTL_MAX_S, &ttl) < 0)
		return cannot(why, "TTL \"%s\": expected 0 to %d seconds", word, TTL_MAX_S);
	if (*p)
		return cannot(why, "\"%.80s\" stands behind the record", p);
	return add_to(s, name, type, ttl, &data, why);
}

/* cuts NAME=VALUE; false: there is no = */
static bool cut_name(const char *value, char name[static HOST_MAX + 2], const char **rest)
{
	size_t n = strcspn(value, "=");

	*rest = value + n + 1;
	while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		n--;
	if (!value[n] || n >= HOST_MAX + 2)
		return false;
	memcpy(name, value, n);
	name[n] = '\0';
	*rest += strspn(*rest, " \t");
	return true;
}

/* NAME=ADDRESS or NAME=NAME */
static int add_rewrite(struct statics *s, const char *value, char why[static STATICS_WHY_MAX])
{
	char name[HOST_MAX + 2];
	uint8_t bytes[HOST_WIRE_MAX];
	struct out data = out_into(bytes, sizeof(bytes));
	const char *to;
	struct addr a;
	uint16_t type = TYPE_CNAME;

	if (!cut_name(value, name, &to))
		return cannot(why, "expected NAME=ADDRESS or NAME=NAME");
	if (addr_parse(to, &a) == 0)
		type = a.family == 4 ? TYPE_A : TYPE_AAAA;
	if (rdata_read(type, &to, &data) < 0 || *to)
		return cannot(why, "\"%.80s\" is neither an address nor a name", to);
	return add_to(s, name, type, STATICS_TTL_S, &data, why);
}

static int suffix_add(struct suffixes *l, const char *text, enum special_use what,
	char why[static STATICS_WHY_MAX])
{
	struct suffix *more = realloc(l->at, (l->n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	l->at = more;
	if (host_parse(text + (*text == '.'), more[l->n].domain) < 0 || !more[l->n].domain[0])
		return cannot(why, "\"%.80s\" is no name", text);
	more[l->n++].what = what;
	return 0;
}

static int add_special(struct statics *s, const char *value, char why[static STATICS_WHY_MAX])
{
	static const struct {
		const char *word;
		enum special_use what;
	} words[] = { { "ask", SPECIAL_ASK }, { "nxdomain", SPECIAL_NXDOMAIN },
		{ "nodata", SPECIAL_NODATA } };
	char name[HOST_MAX + 2];
	const char *what;

	if (cut_name(value, name, &what)) {
		if (host_covers("localhost", name))
			return cannot(why, "localhost is always this machine");
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (strcmp(what, words[i].word) == 0)
				return suffix_add(&s->specials, name, words[i].what, why);
	}
	return cannot(why, "expected NAME=ask, NAME=nxdomain or NAME=nodata");
}

static int route_server_add(struct route *r, const char *text, char why[static STATICS_WHY_MAX])
{
	if (r->n == UPSTREAMS_MAX)
		return cannot(why, "more than %d servers for %s", UPSTREAMS_MAX, r->domain);
	if (upstream_parse(text, &r->servers[r->n]) < 0 || !r->servers[r->n].addr.family)
		return cannot(why, "\"%.80s\" is no server with an address: expected what "
				   "upstream= takes, with one", text);
	r->n++;
	return 0;
}

static int route_get(struct statics *s, const char *domain, struct route **out)
{
	struct route *more;

	for (size_t i = 0; i < s->nroutes; i++) {
		if (strcmp(s->routes[i].domain, domain) == 0) {
			*out = &s->routes[i];
			return 0;
		}
	}
	if (s->nroutes == ROUTES_MAX)
		return -ENOSPC;
	more = realloc(s->routes, (s->nroutes + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->routes = more;
	more += s->nroutes++;
	*more = (struct route){ .configured = true };
	text_copy(more->domain, sizeof(more->domain), domain);
	*out = more;
	return 0;
}

/* SERVER[,SERVER...] for one domain; by commas or blanks */
static int route_servers(struct route *r, const char *servers,
	char why[static STATICS_WHY_MAX])
{
	const char *p = servers;
	int e = 0;

	while (e == 0 && *(p += strspn(p, ", \t"))) {
		char word[256];
		size_t n = strcspn(p, ", \t");

		if (n >= sizeof(word))
			return cannot(why, "a server's name is too long");
		memcpy(word, p, n);
		word[n] = '\0';
		e = route_server_add(r, word, why);
		p += n;
	}
	return e;
}

static int add_route(struct statics *s, const char *value, char why[static STATICS_WHY_MAX])
{
	char name[HOST_MAX + 2], zones[ROUTE_ZONES_MAX][HOST_MAX];
	const char *servers;
	int n, r = 0;

	if (!cut_name(value, name, &servers) || !*servers)
		return cannot(why, "expected DOMAIN=SERVER[,SERVER...]");
	n = route_zones(name, zones);
	if (n == -ERANGE)
		return cannot(why, "%.80s is too many reverse zones: write shorter prefixes, or "
				   "zones like 10.in-addr.arpa", name);
	if (n < 0)
		return cannot(why, "\"%.80s\" is neither a domain nor a network", name);
	for (int i = 0; i < n && r == 0; i++) {
		struct route *route;

		r = route_get(s, zones[i], &route);
		if (r == -ENOSPC)
			return cannot(why, "more than %d routes", ROUTES_MAX);
		if (r == 0)
			r = route_servers(route, servers, why);
	}
	return r;
}

/* domains by blanks or commas */
static int add_search(struct statics *s, const char *value, char why[static STATICS_WHY_MAX])
{
	const char *p = value;

	while (*(p += strspn(p, ", \t"))) {
		size_t n = strcspn(p, ", \t");
		char word[HOST_MAX];

		if (s->nsearch == SEARCH_MAX)
			return cannot(why, "more than %d search domains", SEARCH_MAX);
		if (n >= sizeof(word))
			return cannot(why, "\"%.80s\" is no domain", p);
		memcpy(word, p, n);
		word[n] = '\0';
		if (host_parse(word, s->search[s->nsearch]) < 0 || !s->search[s->nsearch][0])
			return cannot(why, "\"%.80s\" is no domain", word);
		s->nsearch++;
		p += n;
	}
	return 0;
}

static int add_rebind(struct statics *s, const char *value, char why[static STATICS_WHY_MAX])
{
	return suffix_add(&s->rebinds, value, SPECIAL_UNSAID, why);
}

static int add_single_label(struct statics *s, const char *value,
	char why[static STATICS_WHY_MAX])
{
	s->single_label = strcmp(value, "ask") == 0;
	if (!s->single_label && strcmp(value, "nxdomain") != 0)
		return cannot(why, "expected nxdomain or ask");
	return 0;
}

int statics_add(struct statics *s, const char *key, const char *value,
	char why[static STATICS_WHY_MAX])
{
	static const struct {
		const char *key;
		int (*add)(struct statics *s, const char *value, char why[static STATICS_WHY_MAX]);
	} keys[] = {
		{ "record", add_record }, { "rewrite", add_rewrite }, { "route", add_route },
		{ "search", add_search }, { "special", add_special },
		{ "rebind-allow", add_rebind }, { "single-label", add_single_label },
	};

	if (s->nvalues == STATICS_MAX)
		return cannot(why, "more than %d values about names", STATICS_MAX);
	s->nvalues++;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(key, keys[i].key) == 0)
			return keys[i].add(s, value, why);
	return cannot(why, "%s says nothing of names", key);
}

int statics_parse(const char *text, struct statics **out)
{
	struct statics *s = NULL;
	int r = statics_new(&s);

	while (r == 0 && *text) {
		char key[32], line[1024], why[STATICS_WHY_MAX];
		size_t n = strcspn(text, "\n");
		const char *value = line;

		if (n >= sizeof(line)) {
			r = -EINVAL;
			break;
		}
		memcpy(line, text, n);
		line[n] = '\0';
		text += n + (text[n] == '\n');
		r = rdata_word(&value, key, sizeof(key)) && *value
			? statics_add(s, key, value + 1, why) : -EINVAL;
	}
	if (r == 0)
		*out = s;
	else
		statics_free(s);
	return r;
}

int statics_new(struct statics **out)
{
	struct statics *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (table_init(&s->exact, STATICS_MAX) < 0 || table_init(&s->below, STATICS_MAX) < 0) {
		statics_free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

static void entries_free(struct table *t)
{
	struct table_node *n;

	while ((n = table_oldest(t))) {
		struct entry *e = container_of(n, struct entry, node);

		table_remove(t, n);
		while (e->first) {
			struct static_record *r = e->first;

			e->first = r->next;
			free(r);
		}
		free(e);
	}
	table_done(t);
}

void statics_free(struct statics *s)
{
	if (!s)
		return;
	entries_free(&s->exact);
	entries_free(&s->below);
	free(s->specials.at);
	free(s->rebinds.at);
	free(s->routes);
	free(s);
}

bool statics_find(const struct statics *s, const char *name,
	const struct static_record **records)
{
	const struct entry *e = entry_of(s, name);

	if (e)
		*records = e->first;
	return e;
}

const char *statics_alias(const struct statics *s, const char *name, uint32_t *ttl)
{
	const struct entry *e = entry_of(s, name);

	if (!e || !e->alias[0])
		return NULL;
	*ttl = e->first->ttl;
	return e->alias;
}

const char *statics_name(const struct statics *s, const struct addr *addr)
{
	for (const struct table_node *n = s->exact.oldest; n; n = n->newer) {
		const struct entry *e = container_of(n, struct entry, node);
		uint16_t type = addr->family == 4 ? TYPE_A : TYPE_AAAA;

		for (const struct static_record *r = e->first; r; r = r->next)
			if (r->type == type && memcmp(r->data, addr->b, r->len) == 0)
				return e->name;
	}
	return NULL;
}

enum special_use statics_special(const struct statics *s, const char *name,
	unsigned *labels)
{
	const struct suffix *best = NULL;

	for (size_t i = 0; i < s->specials.n; i++) {
		const struct suffix *x = &s->specials.at[i];

		if (host_covers(x->domain, name) &&
			(!best || strlen(x->domain) > strlen(best->domain)))
			best = x;
	}
	if (!best)
		return SPECIAL_UNSAID;
	*labels = host_labels(best->domain);
	return best->what;
}

bool statics_may_rebind(const struct statics *s, const char *name)
{
	for (size_t i = 0; i < s->rebinds.n; i++)
		if (host_covers(s->rebinds.at[i].domain, name))
			return true;
	return false;
}

bool statics_single_label(const struct statics *s)
{
	return s->single_label;
}

const struct route *statics_routes(const struct statics *s, size_t *n)
{
	*n = s->nroutes;
	return s->routes;
}

const char *statics_search(const struct statics *s, unsigned i)
{
	return i < s->nsearch ? s->search[i] : NULL;
}
