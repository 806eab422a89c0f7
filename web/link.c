/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/link.h"
#include "base/macros.h"

#include <errno.h>
#include <string.h>

#define BODY(member) (sizeof(struct link_head) + sizeof(((struct link_any *)0)->u.member))

size_t link_size(uint16_t type)
{
	switch ((enum link_type)type) {
	case LINK_HELLO:
		return BODY(hello);
	case LINK_GET_STATUS:
	case LINK_GET_RULES:
		return sizeof(struct link_head);
	case LINK_RULE_ADD:
		return BODY(rule_add);
	case LINK_RULE_REMOVE:
		return BODY(rule_remove);
	case LINK_EXPLAIN:
		return BODY(explain);
	case LINK_RULE_CHANGE:
		return BODY(rule_change);
	case LINK_FILTER:
		return BODY(filter);
	case LINK_WATCHERS:
		return BODY(watchers);
	case LINK_CACHE_FLUSH:
		return BODY(cache_flush);
	case LINK_BYTES:
		return BODY(bytes);
	case LINK_HISTORY:
		return BODY(history);
	case LINK_CHANGED:
		return BODY(changed);
	case LINK_STATUS:
		return BODY(status);
	case LINK_RULE:
		return BODY(rule);
	case LINK_TEXT:
		return BODY(text);
	case LINK_DONE:
		return BODY(done);
	case LINK_PROGRAM:
		return BODY(program);
	case LINK_FLOW:
		return BODY(flow);
	}
	return 0;
}

static bool right_direction(uint16_t type, bool from_core)
{
	if (type == LINK_HELLO)
		return true;
	return (type >= LINK_STATUS) == from_core;
}

static bool ends(const char *s, size_t max)
{
	return memchr(s, '\0', max) != NULL;
}

#define ENDS(array) ends(array, sizeof(array))

static bool addr_good(const struct addr *a)
{
	return a->family == 0 || a->family == 4 || a->family == 6;
}

/* a bool from outside may hold any byte: read it as one */
static bool is_flag(const void *byte)
{
	return *(const uint8_t *)byte <= 1;
}

static bool flow_good(const struct flow *f)
{
	bool enums = f->how <= HOW_SELF && f->kind <= FLOW_CONN && f->dir <= FLOW_IN &&
		f->state <= FLOW_REFUSED && f->verdict <= VERDICT_UNDECIDED &&
		f->reason <= REASON_CLAIM;

	if (!enums || f->cached > 1 || f->nanswers > FLOW_ANSWERS_MAX)
		return false;
	for (unsigned i = 0; i < f->nanswers; i++) {
		if (!addr_good(&f->answers[i]))
			return false;
	}
	return f->watched <= 1 && f->first <= 1 && f->counted <= 1 && ENDS(f->geo.country) &&
		ENDS(f->geo.continent) && ENDS(f->geo.as_name) && ENDS(f->geo.city) &&
		addr_good(&f->addr) && ENDS(f->name) && ENDS(f->other);
}

static bool rule_good(const struct link_rule *r)
{
	/* enum rule_source (rules/rules.h): own, file, factory */
	return r->source <= 2 && r->action <= VERDICT_UNDECIDED && r->enabled <= 1 &&
		ENDS(r->text) && ENDS(r->file);
}

static bool program_good(const struct link_program *p)
{
	return is_flag(&p->known) && is_flag(&p->believed) && ENDS(p->path) &&
		ENDS(p->parent) && ENDS(p->cgroup);
}

static bool status_good(const struct link_status *s)
{
	bool texts = ENDS(s->version) && ENDS(s->instance) && ENDS(s->mode) &&
		ENDS(s->scope) && ENDS(s->when_down) && ENDS(s->default_out) &&
		ENDS(s->default_in) && ENDS(s->why) && ENDS(s->nss) &&
		ENDS(s->rule_errors) && ENDS(s->geo_country) && ENDS(s->geo_city) &&
		ENDS(s->geo_asn) && ENDS(s->history);

	if (!texts || s->filter > FILTER_BLOCK || s->accounting > 1 || s->identity > LINK_BPF || s->table > 1 || s->persist > 1 ||
		s->nupstreams > LINK_UPSTREAMS_MAX)
		return false;
	for (unsigned i = 0; i < s->nupstreams; i++) {
		if (!ENDS(s->upstreams[i].name) || !ENDS(s->upstreams[i].why) ||
			s->upstreams[i].dead > 1 || s->upstreams[i].fallback > 1)
			return false;
	}
	return true;
}

static bool body_good(const struct link_any *m)
{
	switch ((enum link_type)m->head.type) {
	case LINK_HELLO:
	case LINK_GET_STATUS:
	case LINK_GET_RULES:
	case LINK_RULE_REMOVE:
		return true;
	case LINK_RULE_ADD:
		return ENDS(m->u.rule_add.text);
	case LINK_RULE_CHANGE:
		return ENDS(m->u.rule_change.text);
	case LINK_FILTER:
		return m->u.filter.mode <= FILTER_BLOCK;
	case LINK_CACHE_FLUSH:
		return m->u.cache_flush.below <= 1 && ENDS(m->u.cache_flush.name);
	case LINK_WATCHERS:
	case LINK_HISTORY:
		return true;
	case LINK_CHANGED:
		return m->u.changed.rules <= 1 && m->u.changed.filter <= 1;
	case LINK_BYTES:
		return m->u.bytes.n <= LINK_BYTES_MAX && m->u.bytes.more <= 1;
	case LINK_EXPLAIN:
		return ENDS(m->u.explain.who) && ENDS(m->u.explain.what);
	case LINK_STATUS:
		return status_good(&m->u.status);
	case LINK_RULE:
		return rule_good(&m->u.rule);
	case LINK_TEXT:
		return ENDS(m->u.text.text);
	case LINK_DONE:
		return m->u.done.r <= 0 && ENDS(m->u.done.error);
	case LINK_PROGRAM:
		return program_good(&m->u.program);
	case LINK_FLOW:
		return flow_good(&m->u.flow.flow) && ENDS(m->u.flow.rule_text) &&
			ENDS(m->u.flow.process) && ENDS(m->u.flow.parents);
	}
	return false;
}

int link_check(const void *bytes, size_t len, bool from_core)
{
	struct link_any m;
	uint16_t type;

	if (len < sizeof(struct link_head) || len > sizeof(m))
		return -EBADMSG;
	memcpy(&type, bytes, sizeof(type));
	if (link_size(type) != len || !right_direction(type, from_core))
		return -EBADMSG;
	memcpy(&m, bytes, len); /* the caller's bytes may stand at any address */
	return body_good(&m) ? 0 : -EBADMSG;
}

const char *link_identity_limits(enum link_identity i)
{
	switch (i) {
	case LINK_BPF:
		return NULL;
	case LINK_BASIC:
		return "the kernel tells apart by cgroup and user, not by program: what one was "
		       "allowed is open to its neighbours, all that runs in the same cgroup as the "
		       "same user; which of them asks or connects is looked up afterwards";
	case LINK_RESOLVER_ONLY:
		break;
	}
	return "NOTHING IS BLOCKED: only names are decided, of queries sent to the resolver's own "
	       "address; a program that asks elsewhere or knows an address gets through";
}
