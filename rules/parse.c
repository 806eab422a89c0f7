/* SPDX-License-Identifier: GPL-2.0-or-later
 * parse.c - one line: action who what [options]. Pure; a user's name stays a name. */
#include "rules/line.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define LIST(a) ((struct word_list){ (a), ARRAY_LEN(a) })

static const char *const later_who[] = { "script", "unit", "flatpak", "snap",
	"appimage", "container", "sha256" };
static const char *const later_options[] = { "once", "until-quit", "until-restart",
	"verify", "direct-dns", "own-marks", "profile" };
static const char *const option_words[] = { "in", "out", "both", "for", "until", "high",
	"off", "note" };

static int later(
	const struct line *l, const struct word *w, size_t at, const char *what)
{
	return word_fail(l, w, at, "%s comes with a later version", what);
}

static int expected(const struct line *l, const struct word *w, const char *what,
	const char *near)
{
	if (near)
		return word_fail(l, w, 0, "expected %s, found \"%s\": did you mean %s?",
			what, w->s, near);
	return word_fail(l, w, 0, "expected %s, found \"%s\"", what, w->s);
}

static int action_parse(const struct line *l, const struct word *w, enum verdict *out)
{
	static const char *const words[] = { "allow", "deny", "ask" };
	static const char *const others[][2] = { { "accept", "allow" },
		{ "permit", "allow" }, { "pass", "allow" }, { "block", "deny" },
		{ "reject", "deny" }, { "drop", "deny" }, { "refuse", "deny" } };
	const char *near = word_near(w->s, LIST(words), 2);

	for (enum verdict v = VERDICT_ALLOW; v <= VERDICT_ASK; v++) {
		if (strcmp(w->s, verdict_text(v)) == 0) {
			*out = v;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (strcmp(w->s, others[i][0]) == 0)
			near = others[i][1];
	return expected(l, w, "allow, deny or ask", near);
}

/* where "+uid:" begins, or the word's end */
static size_t uid_at(const struct word *w)
{
	size_t from = w->quoted_end, at = w->len;
	const char *p = w->s + from;

	while ((p = strstr(p, "+uid:")) != NULL) {
		at = (size_t)(p - w->s);
		p++;
	}
	return at;
}

static int user_parse(const struct line *l, const struct word *w, size_t at,
	char out[static RULE_USER_MAX])
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_.-$@\\";
	const char *s = w->s + at;
	size_t n = strspn(s, plain);
	uint32_t uid;

	if (!*s)
		return word_fail(
			l, w, at, "expected a user's name or number after +uid:");
	if (s[n])
		return word_fail(
			l, w, at + n, "a user's name does not hold \"%.1s\"", s + n);
	if (!text_copy(out, RULE_USER_MAX, s))
		return word_fail(l, w, at, "this user's name is too long");
	if (s[strspn(s, "0123456789")])
		return 0;
	if (text_u32(s, UINT32_MAX - 1, &uid) < 0)
		return word_fail(l, w, at, "user numbers end at %u", UINT32_MAX - 1);
	/* one spelling: no leading zeros */
	while (out[0] == '0' && out[1])
		memmove(out, out + 1, strlen(out));
	return 0;
}

static int path_parse(const struct line *l, const struct word *w, const char *path,
	struct who *out)
{
	size_t n = strlen(path), i;
	static const char *const bad[] = { "//", "/./", "/../" };

	if (n >= PROGRAM_PATH_MAX)
		return word_fail(l, w, 0, "a path is at most %d bytes long",
			PROGRAM_PATH_MAX - 1);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		const char *p = strstr(path, bad[i]);

		if (p)
			return word_fail(l, w, (size_t)(p - path),
				"no program's path holds "
				"\"%s\": write the path as it is",
				bad[i]);
	}
	if (path[n - 1] == '/')
		return word_fail(l, w, n - 1,
			"this is a directory: for every program below "
			"it write %s**",
			path);
	out->kind = strchr(path, '*') ? WHO_GLOB : WHO_PATH;
	out->path = path;
	return 0;
}

static int who_word(const struct line *l, const struct word *w, const char *s,
	struct who *out)
{
	static const char *const words[] = { "any", "unknown" };
	char kind[16];
	size_t n = strcspn(s, ":");

	if (strcmp(s, "any") == 0) {
		out->kind = WHO_ANY;
		return 0;
	}
	if (strcmp(s, "unknown") == 0) {
		if (out->user)
			return word_fail(
				l, w, 7, "an unknown program has no known user");
		out->kind = WHO_UNKNOWN;
		return 0;
	}
	if (s[n] && n < sizeof(kind)) {
		memcpy(kind, s, n);
		kind[n] = '\0';
		if (word_in(kind, LIST(later_who))) {
			kind[n] = ':';
			kind[n + 1] = '\0';
			return later(l, w, 0, kind);
		}
	}
	return expected(l, w, "any, unknown or a path that begins with /",
		word_near(s, LIST(words), 2));
}

static int who_parse(const struct line *l, const struct word *w, struct parsed *out)
{
	const char *parent = strchr(w->s + w->quoted_end, '<');
	size_t plus = uid_at(w);
	struct who *who = &out->rule.who;
	char s[RULE_LINE_MAX];
	int r;

	if (parent)
		return later(l, w, (size_t)(parent - w->s), "<PARENT");
	if (plus < w->len) {
		r = user_parse(l, w, plus + 5, out->user);
		if (r < 0)
			return r;
		who->user = out->user;
		out->user_column = line_column(l, w->at[plus + 5]);
	}
	memcpy(s, w->s, plus);
	s[plus] = '\0';
	if (s[0] != '/')
		return who_word(l, w, s, who);
	r = path_parse(l, w, s, who);
	if (r < 0)
		return r;
	text_copy(out->path, sizeof(out->path), s);
	who->path = out->path;
	return 0;
}

static bool number_at(const char *s, size_t n, int *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		*out = *out * 10 + (s[i] - '0');
	}
	return true;
}

/* 2027-01-31 is the beginning of that day, 2027-01-31T08:00 that minute; local time */
static int until_read(const char *s, int64_t *out)
{
	struct tm tm = { .tm_isdst = -1 }, back;
	size_t n = strlen(s);
	time_t t;

	if ((n != 10 && n != 16) || s[4] != '-' || s[7] != '-')
		return -EINVAL;
	if (!number_at(s, 4, &tm.tm_year) || !number_at(s + 5, 2, &tm.tm_mon) ||
		!number_at(s + 8, 2, &tm.tm_mday))
		return -EINVAL;
	if (n == 16 &&
		(s[10] != 'T' || s[13] != ':' || !number_at(s + 11, 2, &tm.tm_hour) ||
			!number_at(s + 14, 2, &tm.tm_min)))
		return -EINVAL;
	if (tm.tm_year < 1970 || tm.tm_hour > 23 || tm.tm_min > 59)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	back = tm;
	t = mktime(&back);
	/* a day that is none (February 30) has become one of another month */
	if (t <= 0 || back.tm_mon != tm.tm_mon)
		return -EINVAL;
	*out = t;
	return 0;
}

struct options {
	const struct line *l;
	struct parsed *out;
	size_t at;             /* the next word */
	uint32_t seen;         /* a bit for each of option_words */
};

static int dir_option(struct options *o, const struct word *w, unsigned dirs)
{
	if (o->out->rule.dirs)
		return word_fail(o->l, w, 0, "the direction is said twice");
	o->out->rule.dirs = (uint8_t)dirs;
	return 0;
}

/* the word behind the option, or NULL with the error set */
static const struct word *argument(struct options *o, const struct word *option,
	const char *what)
{
	const struct line *l = o->l;

	if (o->at < l->n)
		return &l->words[o->at++];
	word_fail(l, option, option->len, "expected %s after %s", what, option->s);
	return NULL;
}

static int for_option(struct options *o, const struct word *w)
{
	static const char what[] = "a duration (90s, 10m, 2h, 7d)";
	const struct word *arg = argument(o, w, what);
	struct rule *r = &o->out->rule;

	if (!arg)
		return -EINVAL;
	if (text_duration_s(arg->s, &r->for_s) < 0)
		return expected(o->l, arg, what, NULL);
	if (r->until)
		return word_fail(o->l, w, 0, "for and until exclude each other");
	return 0;
}

static int until_option(struct options *o, const struct word *w)
{
	static const char what[] = "a date (2027-01-31 or 2027-01-31T08:00)";
	const struct word *arg = argument(o, w, what);
	struct rule *r = &o->out->rule;

	if (!arg)
		return -EINVAL;
	if (until_read(arg->s, &r->until_s) < 0)
		return expected(o->l, arg, what, NULL);
	text_copy(o->out->until, sizeof(o->out->until), arg->s);
	r->until = o->out->until;
	if (r->for_s)
		return word_fail(o->l, w, 0, "for and until exclude each other");
	return 0;
}

static int note_option(struct options *o, const struct word *w)
{
	const struct word *arg = argument(o, w, "a text in quotes");

	if (!arg)
		return -EINVAL;
	if (!text_copy(o->out->note, sizeof(o->out->note), arg->s))
		return word_fail(o->l, arg, 0, "a note is at most %d bytes long",
			RULE_NOTE_MAX - 1);
	if (arg->len)
		o->out->rule.note = o->out->note;
	return 0;
}

static int option_seen(struct options *o, const struct word *w)
{
	for (size_t i = 0; i < ARRAY_LEN(option_words); i++) {
		if (strcmp(w->s, option_words[i]) != 0)
			continue;
		if (o->seen & 1u << i)
			return word_fail(o->l, w, 0, "%s is said twice", w->s);
		o->seen |= 1u << i;
		return 0;
	}
	if (word_in(w->s, LIST(later_options)))
		return later(o->l, w, 0, w->s);
	return expected(o->l, w,
		"an option (in, out, both, for, until, high, off, note)",
		word_near(w->s, LIST(option_words), 2));
}

static int option_parse(struct options *o)
{
	const struct word *w = &o->l->words[o->at++];
	int r = option_seen(o, w);

	if (r < 0)
		return r;
	if (strcmp(w->s, "in") == 0)
		return dir_option(o, w, DIR_IN);
	if (strcmp(w->s, "out") == 0)
		return dir_option(o, w, DIR_OUT);
	if (strcmp(w->s, "both") == 0)
		return dir_option(o, w, DIR_IN | DIR_OUT);
	if (strcmp(w->s, "for") == 0)
		return for_option(o, w);
	if (strcmp(w->s, "until") == 0)
		return until_option(o, w);
	if (strcmp(w->s, "note") == 0)
		return note_option(o, w);
	if (strcmp(w->s, "high") == 0)
		o->out->rule.high = true;
	else
		o->out->rule.off = true;
	return 0;
}

static int words_parse(const struct line *l, struct parsed *out)
{
	struct options o = { .l = l, .out = out, .at = 3 };
	int r = action_parse(l, &l->words[0], &out->rule.action);

	if (r == 0 && l->n < 2)
		return line_fail(l, l->len,
			"expected who after %s: any, unknown or a path", l->words[0].s);
	if (r == 0)
		r = who_parse(l, &l->words[1], out);
	if (r == 0 && l->n < 3)
		return line_fail(l, l->len,
			"expected where to: any, a zone, a host, .domain "
			"or an address");
	if (r == 0)
		r = target_parse(l, &l->words[2], &out->rule.what, out->name);
	while (r == 0 && o.at < l->n)
		r = option_parse(&o);
	if (r < 0)
		return r;
	if (!out->rule.dirs)
		out->rule.dirs = DIR_OUT;
	if (out->rule.dirs == DIR_IN && out->rule.what.name &&
		out->rule.what.kind != WHAT_LIST)
		return word_fail(l, &l->words[2], 0,
			"what comes in has an address and no "
			"name: write an address or a zone");
	return 0;
}

int rule_parse(const char *text, size_t len, unsigned line, struct parsed *out,
	struct rule_error *err)
{
	struct line l;
	int r = line_read(&l, text, len, line, err);

	if (r < 0)
		return r;
	if (l.n == 0)
		return -ENOENT;
	memset(out, 0, sizeof(*out));
	return words_parse(&l, out);
}
