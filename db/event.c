/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "db/event.h"
#include "db/history.h"

#include <stdlib.h>
#include <string.h>

static uint16_t country_number(const char *two)
{
	return two[0] && two[1] ? (uint16_t)((uint8_t)two[0] << 8 | (uint8_t)two[1]) : 0;
}

static void fill(struct event *e, const struct flow *f, int64_t now_ms)
{
	e->id = event_id(f->start_ms, f->id);
	e->end_ms = f->end_ms;
	e->at_ms = f->end_ms ? f->end_ms : now_ms;
	if (f->kind == FLOW_QUERY)
		e->end_ms = e->at_ms = f->start_ms;
	e->rx = f->rx;
	e->tx = f->tx;
	e->rx_packets = f->rx_packets;
	e->tx_packets = f->tx_packets;
	e->rule = f->rule;
	e->asn = f->geo.asn;
	e->pid = f->pid;
	e->port = f->port;
	e->qtype = f->qtype;
	e->country = country_number(f->geo.country);
	e->kind = f->kind;
	e->state = f->kind == FLOW_QUERY ? FLOW_DONE : f->state;
	e->how = f->how;
	e->dir = f->dir;
	e->proto = f->proto;
	e->verdict = f->verdict;
	e->reason = f->reason;
	e->flags = (uint8_t)((f->watched ? EVENT_WATCHED : 0) | (f->first ? EVENT_FIRST : 0) |
		(f->counted ? EVENT_COUNTED : 0));
	e->addr = f->addr;
}

struct event *event_new(const struct flow *f, const struct history_who *who, int64_t now_ms)
{
	const char *texts[EVENT_TEXTS] = {
		[EVENT_PATH] = who->path, [EVENT_HOST] = f->name,
		[EVENT_DOMAIN] = who->domain ? who->domain : f->name,
		[EVENT_RULE] = who->rule_text, [EVENT_AS] = f->geo.as_name,
		[EVENT_CITY] = f->geo.city,
	};
	size_t len[EVENT_TEXTS], all = 0, at = 0;
	struct event *e;

	for (int i = 0; i < EVENT_TEXTS; i++) {
		len[i] = texts[i] ? strnlen(texts[i], 1024) : 0;
		all += len[i] + 1;
	}
	e = calloc(1, sizeof(*e) + all);
	if (!e)
		return NULL;
	fill(e, f, now_ms);
	e->uid = who->uid;
	for (int i = 0; i < EVENT_TEXTS; i++) {
		e->text[i] = (uint16_t)at;
		if (len[i])
			memcpy(e->texts + at, texts[i], len[i]);
		at += len[i] + 1;
	}
	return e;
}
