/* SPDX-License-Identifier: GPL-2.0-or-later
 * canon.c - a rule as text again: one spelling for rules that are equal, and one that
 * parses to the same rule. */
#include "rules/rule.h"

#include <netinet/in.h>
#include <string.h>

static bool named_proto(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_ICMP;
}

static void net_text(const struct what *w, struct text *out)
{
	bool brackets = w->lo.family == 6 && (w->nports || w->proto);
	unsigned bits = net_bits(w);
	char buf[ADDR_TEXT_MAX];

	if (brackets)
		text_add(out, "[");
	text_add(out, addr_text(&w->lo, buf));
	if (bits == 255)
		text_addf(out, "-%s", addr_text(&w->hi, buf));
	else if (bits < addr_bits(&w->lo))
		text_addf(out, "/%u", bits);
	else if (!brackets && w->proto && !w->nports && !named_proto(w->proto))
		text_addf(out, "/%u", bits); /* else the protocol would be the prefix */
	if (brackets)
		text_add(out, "]");
}

static void service_text(const struct what *w, struct text *out)
{
	char buf[4];

	for (uint8_t i = 0; i < w->nports; i++) {
		text_addf(out, "%c%u", i ? ',' : ':', w->ports[i].lo);
		if (w->ports[i].hi != w->ports[i].lo)
			text_addf(out, "-%u", w->ports[i].hi);
	}
	if (w->proto)
		text_addf(out, "/%s", proto_text(w->proto, buf));
}

void what_text(const struct what *w, struct text *out)
{
	switch (w->kind) {
	case WHAT_NET:
		net_text(w, out);
		break;
	case WHAT_HOST:
		text_add(out, w->name);
		if (what_word_like(w->name))
			text_add(out, ".");
		break;
	case WHAT_DOMAIN:
		text_addf(out, "%s%s", w->below_only ? "*." : ".", w->name);
		break;
	case WHAT_GLOB:
		text_add(out, w->name);
		break;
	case WHAT_LIST:
		text_addf(out, "list:%s", w->name);
		break;
	case WHAT_AS:
		text_addf(out, "as:%u", w->asn);
		break;
	case WHAT_COUNTRY:
		text_addf(out, "country:%s", w->code);
		break;
	case WHAT_CONTINENT:
		text_addf(out, "continent:%s", w->code);
		break;
	case WHAT_ZONE:
		text_add(out, zone_text(w->zone));
		break;
	case WHAT_ANY:
		text_add(out, "any");
		break;
	}
	service_text(w, out);
}

static void quoted(const char *s, struct text *out)
{
	text_add(out, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			text_add(out, "\\");
		text_addn(out, s, 1);
	}
	text_add(out, "\"");
}

static void who_text(const struct who *w, struct text *out)
{
	if (w->kind == WHO_ANY)
		text_add(out, "any");
	else if (w->kind == WHO_UNKNOWN)
		text_add(out, "unknown");
	else if (strpbrk(w->path, " \t\"<") || strstr(w->path, "+uid:"))
		quoted(w->path, out);
	else
		text_add(out, w->path);
	if (w->user)
		text_addf(out, "+uid:%s", w->user);
}

static void for_text(int64_t s, struct text *out)
{
	static const struct {
		int64_t n;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	size_t i = 0;

	while (s % units[i].n)
		i++;
	text_addf(out, " for %lld%c", (long long)(s / units[i].n), units[i].unit);
}

void rule_text(const struct rule *r, struct text *out)
{
	text_addf(out, "%s ", verdict_text(r->action));
	who_text(&r->who, out);
	text_add(out, " ");
	what_text(&r->what, out);
	if (r->dirs == DIR_IN)
		text_add(out, " in");
	else if (r->dirs == (DIR_IN | DIR_OUT))
		text_add(out, " both");
	if (r->for_s)
		for_text(r->for_s, out);
	if (r->until)
		text_addf(out, " until %s", r->until);
	if (r->high)
		text_add(out, " high");
	if (r->off)
		text_add(out, " off");
	if (r->note) {
		text_add(out, " note ");
		quoted(r->note, out);
	}
}
