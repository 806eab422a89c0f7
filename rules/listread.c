/* SPDX-License-Identifier: GPL-2.0-or-later
 * listread.c - one line after the other. Each format's reader answers how many entries a
 * line gave, 0: none of its lines. By `auto` the readers are tried in an order in which no
 * line of one format is taken for another's. */
#include "rules/listread.h"
#include "base/macros.h"
#include "base/text.h"
#include "rules/listfile.h"
#include "rules/rules.h"

#include <strings.h>

enum { LINE_MAX_BYTES = 4096, WORDS_MAX = 64 };

struct read {
	list_take take;
	void *ctx;
	struct list_word word;
	char origin[HOST_MAX]; /* of a zone file; "" none */
	bool zone, parens;     /* it is one; inside ( ) of its SOA */
	int error;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* ASCII is the usual case; the rest goes through IDNA */
static int host(const char *s, char out[static HOST_MAX])
{
	const char *p = s;

	while (*p > 0)
		p++;
	return *p ? rules_host(s, out) : host_parse(s, out);
}

static bool digits_only(const char *s)
{
	return *s && s[strspn(s, "0123456789.")] == '\0';
}

static int give_name(struct read *r, const char *s, unsigned says)
{
	if (digits_only(s) || strchr(s, '\\') || host(s, r->word.name) < 0 || !r->word.name[0])
		return 0;
	r->word.says = says;
	r->error = r->take(r->ctx, &r->word);
	return 1;
}

static void all_ones(struct addr *a, unsigned from)
{
	for (unsigned i = from; i < addr_bits(a); i++)
		a->b[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

static int give_range(struct read *r, const struct addr *lo, const struct addr *hi)
{
	if (lo->family != hi->family || addr_cmp(lo, hi) > 0)
		return 0;
	r->word.name[0] = '\0';
	r->word.says = LIST_SELF;
	r->word.lo = *lo;
	r->word.hi = *hi;
	r->error = r->take(r->ctx, &r->word);
	return 1;
}

static int give_prefix(struct read *r, const struct addr *a, unsigned bits)
{
	struct addr lo = *a, hi = *a;

	if (bits > addr_bits(a))
		return 0;
	for (unsigned i = bits; i < addr_bits(a); i++)
		lo.b[i / 8] &= (uint8_t)~(0x80 >> i % 8);
	all_ones(&hi, bits);
	return give_range(r, &lo, &hi);
}

/* 192.0.2.1, 192.0.2.0/24, 192.0.2.1-192.0.2.9 */
static int cidr_line(struct read *r, char *const *words, unsigned n)
{
	char *s = words[0], *cut = strpbrk(s, "/-"), how = cut ? *cut : 0;
	struct addr a, hi;
	uint32_t bits;
	int e;

	if (n != 1)
		return 0;
	if (cut)
		*cut = '\0';
	e = addr_parse(s, &a);
	if (cut)
		*cut = how;
	if (e < 0)
		return 0;
	if (!how)
		return give_range(r, &a, &a);
	if (how == '-')
		return addr_parse(cut + 1, &hi) < 0 ? 0 : give_range(r, &a, &hi);
	return text_u32(cut + 1, 128, &bits) < 0 ? 0 : give_prefix(r, &a, bits);
}

/* names without a dot are the machine's own (localhost, ip6-allnodes) */
static int hosts_line(struct read *r, char *const *words, unsigned n)
{
	struct addr a;
	int given = 0;

	if (n < 2 || addr_parse(words[0], &a) < 0)
		return 0;
	for (unsigned i = 1; i < n && r->error >= 0; i++)
		if (strchr(words[i], '.') && strcmp(words[i], "localhost.localdomain") != 0)
			given += give_name(r, words[i], LIST_SELF);
	return given;
}

static int plain_line(struct read *r, char *const *words, unsigned n)
{
	const char *s = words[0];

	if (n != 1)
		return 0;
	if (s[0] == '.')
		return give_name(r, s + 1, LIST_SELF | LIST_BELOW);
	if (s[0] == '*' && s[1] == '.')
		return give_name(r, s + 2, LIST_BELOW);
	return give_name(r, s, LIST_SELF);
}

/* options that a resolver can honour because they change nothing for it */
static bool adblock_options_ok(const char *s)
{
	return *s == '\0' || strcmp(s, "$important") == 0 || strcmp(s, "$all") == 0;
}

static int adblock_line(struct read *r, char *const *words, unsigned n)
{
	char *s = words[0], *end;
	bool not = strncmp(s, "@@", 2) == 0;
	unsigned says = not ? LIST_NOT_SELF | LIST_NOT_BELOW : LIST_SELF | LIST_BELOW;
	struct addr a;

	s += not ? 2 : 0;
	if (n != 1 || strncmp(s, "||", 2) != 0)
		return 0;
	s += 2;
	end = s + strcspn(s, "^/$");
	if (*end != '^' || !adblock_options_ok(end + 1 + (end[1] == '|')))
		return 0;
	*end = '\0';
	if (s[0] == '*' && s[1] == '.') {
		s += 2;
		says &= (unsigned)~(LIST_SELF | LIST_NOT_SELF);
	}
	if (!not && addr_parse(s, &a) == 0)
		return give_range(r, &a, &a);
	return give_name(r, s, says);
}

/* address=/a/b/ and address=/a/0.0.0.0; server=/a/ and local=/a/ (no server: answered
 * here). A server behind the last slash is a route, no block: skipped */
static int dnsmasq_line(struct read *r, char *const *words, unsigned n)
{
	char *s = words[0], *end;
	bool address = strncmp(s, "address=/", 9) == 0;
	int given = 0;

	if (n != 1 || (!address && strncmp(s, "server=/", 8) != 0 &&
		strncmp(s, "local=/", 7) != 0))
		return 0;
	s = strchr(s, '/') + 1;
	end = strrchr(s, '/');
	if (!end)
		return 0;
	if (end[1] && strcmp(end + 1, "0.0.0.0") != 0 && strcmp(end + 1, "::") != 0 &&
		strcmp(end + 1, "127.0.0.1") != 0 && strcmp(end + 1, "::1") != 0 &&
		!(address && strcmp(end + 1, "#") == 0))
		return 0;
	if (!address && end[1])
		return 0;
	for (; s < end && r->error >= 0; s = end < s ? s : s + strlen(s) + 1) {
		char *slash = strchr(s, '/');

		*slash = '\0';
		given += give_name(r, s[0] == '*' && s[1] == '.' ? s + 2 : s,
			s[0] == '*' ? LIST_BELOW : LIST_SELF | LIST_BELOW);
		if (slash == end)
			break;
	}
	return given;
}

/* 24.0.2.0.192.rpz-ip: a prefix of the answer's addresses, IPv4 */
static int rpz_ip(struct read *r, char *owner)
{
	uint8_t b[4];
	uint32_t bits, v;
	char *save = NULL, *s = strtok_r(owner, ".", &save);
	struct addr a;

	if (!s || text_u32(s, 32, &bits) < 0)
		return 0;
	for (int i = 3; i >= 0; i--) {
		s = strtok_r(NULL, ".", &save);
		if (!s || text_u32(s, 255, &v) < 0)
			return 0;
		b[i] = (uint8_t)v;
	}
	s = strtok_r(NULL, ".", &save);
	a = addr_v4(b);
	return s && strcmp(s, "rpz-ip") == 0 ? give_prefix(r, &a, bits) : 0;
}

/* the owner without the zone's own name; false: it is the zone's */
static bool rpz_owner(const struct read *r, char *owner)
{
	size_t n = strlen(owner), m = strlen(r->origin);

	if (strcmp(owner, "@") == 0)
		return false;
	if (n == 0 || owner[n - 1] != '.')
		return true;
	owner[--n] = '\0';
	if (m && n > m && owner[n - m - 1] == '.' && strcasecmp(owner + n - m, r->origin) == 0)
		owner[n - m - 1] = '\0';
	return !m || strcasecmp(owner, r->origin) != 0;
}

static int rpz_action(const char *target)
{
	if (strcmp(target, ".") == 0 || strcmp(target, "*.") == 0 ||
		strcasecmp(target, "rpz-drop.") == 0)
		return LIST_SELF;
	return strcasecmp(target, "rpz-passthru.") == 0 ? LIST_NOT_SELF : 0;
}

static int rpz_line(struct read *r, char *const *words, unsigned n)
{
	unsigned at = 1;
	int says;

	while (at + 1 < n && strcasecmp(words[at], "CNAME") != 0 && at < 3)
		at++;
	if (n < 3 || at + 2 != n || strcasecmp(words[at], "CNAME") != 0)
		return 0;
	says = rpz_action(words[at + 1]);
	if (!says || !rpz_owner(r, words[0]))
		return 0;
	if (strstr(words[0], ".rpz-")) /* rpz-client-ip and the like are not of answers */
		return says == LIST_SELF && strstr(words[0], ".rpz-ip") ? rpz_ip(r, words[0]) : 0;
	if (words[0][0] == '*' && words[0][1] == '.')
		return give_name(r, words[0] + 2, (unsigned)says * 2);
	return give_name(r, words[0], (unsigned)says);
}

/* $ORIGIN, $TTL, and the records of the zone itself; true: nothing more is in it */
static bool zone_own(struct read *r, char *const *words, unsigned n)
{
	if (r->parens) {
		for (unsigned i = 0; i < n; i++)
			if (strchr(words[i], ')'))
				r->parens = false;
		return true;
	}
	if (strcasecmp(words[0], "$ORIGIN") == 0 && n > 1) {
		r->zone = true;
		if (host(words[1], r->origin) < 0)
			r->origin[0] = '\0';
		return true;
	}
	if (words[0][0] == '$') {
		r->zone = r->zone || strcasecmp(words[0], "$TTL") == 0;
		return true;
	}
	for (unsigned i = 0; i < n && i < 4; i++) {
		if (strcmp(words[i], "SOA") != 0 && strcmp(words[i], "NS") != 0)
			continue;
		if (i && strcmp(words[i], "SOA") == 0 && words[0][0] != '@' &&
			strcmp(words[0], "IN") != 0 && !r->origin[0])
			host(words[0], r->origin);
		for (unsigned k = i; k < n; k++)
			if (strchr(words[k], '('))
				r->parens = !strchr(words[n - 1], ')');
		r->zone = true;
		return true;
	}
	return false;
}

static const struct {
	enum list_format format;
	int (*line)(struct read *r, char *const *words, unsigned n);
} readers[] = {
	{ LIST_ADBLOCK, adblock_line },
	{ LIST_DNSMASQ, dnsmasq_line },
	{ LIST_RPZ, rpz_line },
	{ LIST_CIDR, cidr_line },
	{ LIST_HOSTS, hosts_line },
	{ LIST_PLAIN, plain_line },
};

static unsigned split(char *line, char *words[static WORDS_MAX])
{
	unsigned n = 0;
	char *s = line;

	while (n < WORDS_MAX) {
		while (blank(*s))
			s++;
		if (!*s)
			break;
		words[n++] = s;
		while (*s && !blank(*s))
			s++;
		if (*s)
			*s++ = '\0';
	}
	return n;
}

/* from a # at the beginning or behind a blank; a zone file's from a ; too */
static void cut_comment(char *line, bool zone)
{
	for (char *p = line; *p; p++) {
		if ((*p == '#' && (p == line || blank(p[-1]))) || (*p == ';' &&
			(zone || p == line))) {
			*p = '\0';
			return;
		}
	}
}

/* false: it said something, but nothing for us */
static bool read_line(struct read *r, char *line, enum list_format format)
{
	char *words[WORDS_MAX];
	bool zone = format == LIST_RPZ || format == LIST_AUTO;
	unsigned n;

	if (line[0] == '!' || line[0] == '[' || strncmp(line, "//", 2) == 0)
		return true;
	cut_comment(line, r->zone || format == LIST_RPZ);
	n = split(line, words);
	if (n == 0 || (zone && zone_own(r, words, n)))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		if ((format == LIST_AUTO || format == readers[i].format) &&
			readers[i].line(r, words, n) > 0)
			return true;
	return false;
}

int list_read(const char *text, size_t len, enum list_format format, list_take take,
	void *ctx, struct list_seen *seen)
{
	struct read r = { .take = take, .ctx = ctx };
	char line[LINE_MAX_BYTES];

	*seen = (struct list_seen){ .zone = format == LIST_RPZ };
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	while (len && r.error >= 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		r.word.line++;
		if (n < sizeof(line) && !memchr(text, 0, n)) {
			memcpy(line, text, n);
			line[n] = '\0';
			seen->skipped += !read_line(&r, line, format);
		} else {
			seen->skipped++;
		}
		n += end != NULL;
		text += n;
		len -= n;
	}
	seen->zone = seen->zone || r.zone;
	return r.error < 0 ? r.error : 0;
}
