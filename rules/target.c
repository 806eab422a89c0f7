/* SPDX-License-Identifier: GPL-2.0-or-later
 * target.c - the WHAT of a rule: place[:ports][/protocol].
 * The word is first cut into place, ports and protocol, then each is read by itself. */
#include "rules/line.h"
#include "rules/list.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const char *const zone_words[] = { "localhost", "lan", "internet", "multicast" };
#define LIST(a) ((struct word_list){ (a), ARRAY_LEN(a) })

/* the pieces of one word, by their places in it; to == from: not there */
struct cut {
	size_t from, to;             /* the place */
	size_t ports, ports_to;
	size_t proto, proto_to;
	bool brackets;
};

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

enum { LIST_HEAD = sizeof("list:") - 1 };

/* list:443 is a host with a port: no list's name is a number alone */
static bool list_head(const struct word *w)
{
	const char *s = w->s + LIST_HEAD;

	return strncmp(w->s, "list:", LIST_HEAD) == 0 && s[strspn(s, "0123456789,-")] != '\0' &&
		s[strspn(s, "0123456789,-")] != '/';
}

static int list_parse(const struct line *l, const struct word *w, const struct cut *c,
	struct what *out, char name[static HOST_MAX])
{
	if (c->to - LIST_HEAD >= LIST_NAME_MAX)
		return word_fail(l, w, LIST_HEAD, "the list's name is too long");
	word_copy(w, LIST_HEAD, c->to, name, HOST_MAX);
	if (!list_name_ok(name))
		return word_fail(l, w, LIST_HEAD,
			"expected a list's name (a-z, 0-9, '-', '_', '.'), found \"%s\"", name);
	out->kind = WHAT_LIST;
	return 0;
}

/* end of the place that begins at from, without its ports and protocol. A slash behind
 * an address and before a digit begins a prefix length; any other begins the
 * protocol. */
static size_t place_end(const struct word *w, size_t from, bool six)
{
	const char *s = w->s;
	const char *colon = six ? NULL : strchr(s + from, ':');
	size_t end = colon ? (size_t)(colon - s) : w->len;
	const char *slash = memchr(s + from, '/', end - from);
	struct addr a;
	size_t at;

	if (!slash)
		return end;
	at = (size_t)(slash - s);
	if (colon) /* what stands before the ports is the place, right or wrong */
		return end;
	if (!digit(slash[1]) || word_address(w, from, at, &a) < 0)
		return at;
	slash = strchr(slash + 1, '/');
	return slash ? (size_t)(slash - s) : end;
}

static unsigned colons(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == ':';
	return n;
}

static int cut(const struct line *l, const struct word *w, struct cut *c)
{
	size_t i;

	*c = (struct cut){ 0 };
	if (list_head(w)) {
		i = c->to = LIST_HEAD + strcspn(w->s + LIST_HEAD, ":/");
	} else if (where_head(w)) {
		i = c->to = where_head(w) + strcspn(w->s + where_head(w), ":/");
	} else if (w->s[0] == '[') {
		const char *close = strchr(w->s, ']');

		if (!close)
			return word_fail(l, w, 0, "this [ has no ]");
		c->brackets = true;
		c->from = 1;
		c->to = (size_t)(close - w->s);
		i = c->to + 1;
		if (w->s[i] && w->s[i] != ':' && w->s[i] != '/')
			return word_fail(l, w, i,
				"expected :port, /protocol or a blank after ]");
	} else {
		i = c->to = place_end(w, 0, colons(w->s) >= 2);
	}
	if (w->s[i] == ':') {
		c->ports = ++i;
		i += strcspn(w->s + i, "/");
		c->ports_to = i;
		if (c->ports == c->ports_to)
			return word_fail(l, w, i, "expected a port after the colon");
	}
	if (w->s[i] == '/') {
		c->proto = i + 1;
		c->proto_to = w->len;
		if (c->proto == c->proto_to)
			return word_fail(l, w, c->proto,
				"expected tcp, udp, icmp or a number after the slash");
	}
	return 0;
}

static int port_read(const char *s, uint16_t *out)
{
	uint32_t v;

	if (strlen(s) > 5 || text_u32(s, 65535, &v) < 0 || v == 0)
		return -EINVAL;
	*out = (uint16_t)v;
	return 0;
}

/* ascending; what overlaps or touches becomes one */
static void ports_tidy(struct what *w)
{
	uint8_t n = 0;

	for (uint8_t i = 1; i < w->nports; i++) {
		struct port_range p = w->ports[i];
		uint8_t k = i;

		for (; k > 0 && w->ports[k - 1].lo > p.lo; k--)
			w->ports[k] = w->ports[k - 1];
		w->ports[k] = p;
	}
	for (uint8_t i = 1; i < w->nports; i++) {
		if (w->ports[i].lo <= w->ports[n].hi + 1)
			w->ports[n].hi = MAX(w->ports[n].hi, w->ports[i].hi);
		else
			w->ports[++n] = w->ports[i];
	}
	w->nports = (uint8_t)(n + 1);
}

static int port_item(const struct line *l, const struct word *w, size_t from, size_t to,
	struct port_range *out)
{
	char buf[16];
	char *dash;

	if (to - from >= sizeof(buf))
		return word_fail(l, w, from, "expected a port (1 to 65535)");
	word_copy(w, from, to, buf, sizeof(buf));
	dash = strchr(buf, '-');
	if (dash)
		*dash = '\0';
	if (port_read(buf, &out->lo) < 0)
		return word_fail(
			l, w, from, "expected a port (1 to 65535), found \"%s\"", buf);
	out->hi = out->lo;
	if (!dash)
		return 0;
	from += (size_t)(dash + 1 - buf);
	if (port_read(dash + 1, &out->hi) < 0)
		return word_fail(l, w, from,
			"expected a port (1 to 65535), found \"%s\"", dash + 1);
	if (out->hi < out->lo)
		return word_fail(l, w, from,
			"the stretch ends (%u) before it begins (%u)", out->hi,
			out->lo);
	return 0;
}

static int ports_parse(const struct line *l, const struct word *w, const struct cut *c,
	struct what *out)
{
	size_t i = c->ports;

	while (i <= c->ports_to) {
		const char *comma = memchr(w->s + i, ',', c->ports_to - i);
		size_t end = comma ? (size_t)(comma - w->s) : c->ports_to;
		int r;

		if (out->nports == RULE_PORTS_MAX)
			return word_fail(l, w, i,
				"more than %d ports or stretches of ports",
				RULE_PORTS_MAX);
		r = port_item(l, w, i, end, &out->ports[out->nports]);
		if (r < 0)
			return r;
		out->nports++;
		i = end + 1;
	}
	ports_tidy(out);
	return 0;
}

static int proto_parse(const struct line *l, const struct word *w, const struct cut *c,
	struct what *out)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {
		{ "tcp", IPPROTO_TCP },
		{ "udp", IPPROTO_UDP },
		{ "icmp", IPPROTO_ICMP },
		{ "icmpv6", IPPROTO_ICMP },
		{ "icmp6", IPPROTO_ICMP },
	};
	const char *s = w->s + c->proto;
	uint32_t v;

	if (strchr(s, ':'))
		return word_fail(l, w, c->proto,
			"ports come before the protocol: :%s/%.*s", strchr(s, ':') + 1,
			(int)strcspn(s, ":"), s);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(s, names[i].name) == 0)
			out->proto = names[i].number;
	if (!out->proto) {
		if (text_u32(s, 255, &v) < 0 || v == 0)
			return word_fail(l, w, c->proto,
				"expected tcp, udp, icmp or a protocol "
				"number (1 to 255), found \"%s\"",
				s);
		out->proto = v == IPPROTO_ICMPV6 ? IPPROTO_ICMP : (uint8_t)v;
	}
	if (out->nports && !proto_has_ports(out->proto))
		return word_fail(l, w, c->proto, "%s has no ports", s);
	return 0;
}

/* no name ends in a number (RFC 1123 2.1): a mistyped address does */
static bool ends_in_number(const char *name)
{
	const char *last = strrchr(name, '.');

	last = last ? last + 1 : name;
	return last[strspn(last, "0123456789")] == '\0';
}

/* a name that begins like a range would be read as one the next time */
static bool like_range(const char *name)
{
	char head[ADDR_TEXT_MAX];
	size_t n = strcspn(name, "-");
	struct addr a;

	if (!name[n] || n >= sizeof(head))
		return false;
	memcpy(head, name, n);
	head[n] = '\0';
	return addr_parse(head, &a) == 0;
}

static int host_failed(const struct line *l, const struct word *w, size_t at, int r,
	const char *s)
{
	if (r == -ENAMETOOLONG)
		return word_fail(l, w, at, "the name or one of its labels is too long");
	return word_fail(l, w, at,
		"expected any, a zone, a host, .domain or an address, "
		"found \"%s\"",
		s);
}

static int glob_parse(const struct line *l, const struct word *w, size_t at,
	const char *s, char name[static HOST_MAX])
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-_*.";
	char shape[HOST_MAX], unused[HOST_MAX];
	size_t n = strlen(s);
	int r;

	if (s[strspn(s, "0123456789.*")] == '\0')
		return word_fail(l, w, at,
			"* stands in names only: for addresses write 10.0.0.0/8");
	if (n >= HOST_MAX)
		return host_failed(l, w, at, -ENAMETOOLONG, s);
	for (size_t i = 0; i <= n; i++) {
		char ch = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 'a' - 'A') : s[i];

		if (!strchr(plain, ch))
			return word_fail(l, w, at + i,
				"a pattern takes ASCII letters, digits, "
				"'-', '_', '.' and '*' only");
		name[i] = ch;
		shape[i] = ch == '*' ? 'x' : ch;
	}
	r = host_parse(shape, unused);
	if (r < 0)
		return host_failed(l, w, at, r, s);
	if (n && name[n - 1] == '.')
		name[n - 1] = '\0';
	return 0;
}

/* .domain and *.domain */
static int domain_parse(const struct line *l, const struct word *w, size_t at,
	const char *s, struct what *out, char name[static HOST_MAX])
{
	int r = rules_host(s, name);

	if (r < 0 || !*name)
		return host_failed(l, w, at, r, s);
	if (ends_in_number(name))
		return word_fail(l, w, at, "\"%s\" is no domain", s);
	out->kind = WHAT_DOMAIN;
	out->labels = (uint8_t)host_labels(name);
	return 0;
}

static int single_host(const struct line *l, const struct word *w, size_t at,
	const char *s, struct what *out, char name[static HOST_MAX])
{
	const char *near;
	int r = rules_host(s, name);

	if (r < 0 || !*name)
		return host_failed(l, w, at, r, s);
	if (ends_in_number(name) || like_range(name))
		return word_fail(l, w, at, "\"%s\" is no address, prefix or range", s);
	if (what_word_like(name) && s[strlen(s) - 1] != '.') {
		near = word_near(name, LIST(zone_words), 1);
		return word_fail(l, w, at,
			"did you mean %s? (a host of that name is written "
			"with a dot behind it: %s.)",
			near ? near : name, name);
	}
	out->kind = WHAT_HOST;
	return 0;
}

static int word_place(const struct line *l, const struct word *w, const struct cut *c,
	struct what *out, char name[static HOST_MAX])
{
	char s[1024];
	size_t at = c->from;

	if (c->to - at >= sizeof(s))
		return host_failed(l, w, at, -ENAMETOOLONG, "");
	word_copy(w, at, c->to, s, sizeof(s));
	if (strcmp(s, "any") == 0) {
		out->kind = WHAT_ANY;
		return 0;
	}
	out->zone = zone_parse(s);
	if (out->zone != ZONE_NONE) {
		out->kind = WHAT_ZONE;
		return 0;
	}
	if (strcmp(s, "*") == 0 || strcmp(s, ".") == 0)
		return word_fail(l, w, at, "for every destination write any");
	if (strchr(s, '/'))
		return word_fail(l, w, at + strcspn(s, "/"),
			c->ports ? "ports come before the protocol: write "
				   "example.org:443/tcp"
				 : "a slash stands behind an address (prefix) or "
				   "before a protocol");
	if (s[0] == '.') {
		if (strchr(s, '*'))
			return word_fail(
				l, w, at + strcspn(s, "*"), "a .domain takes no *");
		return domain_parse(l, w, at + 1, s + 1, out, name);
	}
	if (s[0] == '*' && s[1] == '.' && !strchr(s + 1, '*')) {
		out->below_only = true;
		return domain_parse(l, w, at + 2, s + 2, out, name);
	}
	if (!strchr(s, '*'))
		return single_host(l, w, at, s, out, name);
	out->kind = WHAT_GLOB;
	return glob_parse(l, w, at, s, name);
}

static int place_parse(const struct line *l, const struct word *w, const struct cut *c,
	struct what *out, char name[static HOST_MAX])
{
	int r;

	if (list_head(w))
		return list_parse(l, w, c, out, name);
	if (where_head(w))
		return where_parse(l, w, c->to, out);
	if (c->from == c->to)
		return word_fail(l, w, c->from,
			"expected any, a zone, a host, .domain or an address");
	r = net_parse(l, w, c->from, c->to, out);
	if (r != -ENOENT)
		return r;
	if (c->brackets || memchr(w->s + c->from, ':', c->to - c->from))
		return word_fail(l, w, c->from,
			"\"%.*s\" is no IPv6 address, prefix or range",
			(int)(c->to - c->from), w->s + c->from);
	return word_place(l, w, c, out, name);
}

static int refuse_others(const struct line *l, const struct word *w)
{
	const char *url = strstr(w->s, "://");

	if (url)
		return word_fail(l, w, 0,
			"a destination is no URL: write example.org:443/tcp");
	return 0;
}

int target_parse(const struct line *l, const struct word *w, struct what *out,
	char name[static HOST_MAX])
{
	struct what t = { 0 };
	struct cut c;
	int r = refuse_others(l, w);

	if (r == 0)
		r = cut(l, w, &c);
	if (r == 0)
		r = place_parse(l, w, &c, &t, name);
	if (r == 0 && c.ports)
		r = ports_parse(l, w, &c, &t);
	if (r == 0 && c.proto)
		r = proto_parse(l, w, &c, &t);
	if (r < 0)
		return r;
	if (t.kind == WHAT_HOST || t.kind == WHAT_DOMAIN || t.kind == WHAT_GLOB ||
		t.kind == WHAT_LIST)
		t.name = name;
	*out = t;
	return 0;
}

bool what_word_like(const char *name)
{
	const char *near;

	if (strchr(name, '.'))
		return false;
	if (strcmp(name, "any") == 0 || strcmp(name, "as") == 0)
		return true;
	if (word_in(name, LIST(zone_words)))
		return true;
	/* lan is too short to guess a slip: len and ian are hosts */
	near = strlen(name) > 6 ? word_near(name, LIST(zone_words), 1) : NULL;
	return near != NULL;
}
