/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/set.h"

#include "base/macros.h"
#include "nft/net.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

/* nft's numbers for the types of a key, six bits each, for people's `nft list` only */
enum {
	TYPE_IPADDR = 7,
	TYPE_IP6ADDR = 8,
	TYPE_PROTO = 12,
	TYPE_SERVICE = 13,
	TYPE_MARK = 19,
	TYPE_UID = 24,
	TYPE_CGROUP = 46,
};
#define KEY2(a, b) ((a) << 6 | (b))
#define KEY3(a, b, c) (KEY2(a, b) << 6 | (c))
#define KEY4(a, b, c, d) (KEY2(a, b) << 12 | KEY2(c, d))
#define MARK_ADDR(t) KEY2(TYPE_MARK, t)
#define MARK_ADDR_SVC(t) KEY4(TYPE_MARK, t, TYPE_PROTO, TYPE_SERVICE)

enum { ADDRESSES_MAX = 65536, ACTORS_MAX = 8192, TUNNELS_MAX = 2048 };

#define ADDRESS_SETS(id, set, text) \
	[id##4] = { text "4", set, 4, false, true, false, false, 0, ADDRESSES_MAX, \
		MARK_ADDR(TYPE_IPADDR), 8 }, \
	[id##6] = { text "6", set, 6, false, true, false, false, 0, ADDRESSES_MAX, \
		MARK_ADDR(TYPE_IP6ADDR), 20 }
#define SERVICE_SETS(id, set, text) \
	[id##4_SVC] = { text "4_svc", set, 4, true, true, false, false, 0, ADDRESSES_MAX, \
		MARK_ADDR_SVC(TYPE_IPADDR), 16 }, \
	[id##6_SVC] = { text "6_svc", set, 6, true, true, false, false, 0, ADDRESSES_MAX, \
		MARK_ADDR_SVC(TYPE_IP6ADDR), 28 }
#define PEER_SETS(id, set, text) \
	[id##4] = { .name = text "4", .what = set, .family = 4, .service = true, .timed = true, \
		.peer = true, .size = ADDRESSES_MAX, \
		.key_type = MARK_ADDR_SVC(TYPE_IPADDR), .key_len = 16 }, \
	[id##6] = { .name = text "6", .what = set, .family = 6, .service = true, .timed = true, \
		.peer = true, .size = ADDRESSES_MAX, \
		.key_type = MARK_ADDR_SVC(TYPE_IP6ADDR), .key_len = 28 }
#define PORT_SET(set, text, yes) \
	{ .name = text, .what = set, .service = true, .accept = yes, .size = ADDRESSES_MAX, \
		.key_type = KEY3(TYPE_MARK, TYPE_PROTO, TYPE_SERVICE), .key_len = 12 }
#define ACTOR_SET(set, text, yes) \
	{ text, set, 0, false, false, yes, false, 0, ACTORS_MAX, TYPE_MARK, 4 }
#define SWITCH(set, text) { text, set, 0, false, false, false, false, 0, 1, TYPE_MARK, 4 }
#define TUNNEL_SET(set, text, af, type, len) \
	{ .name = text, .what = set, .family = af, .service = true, .size = TUNNELS_MAX, \
		.key_type = type, .key_len = len }

const struct set_def set_defs[SET_COUNT] = {
	ADDRESS_SETS(SET_PASS, NFT_PASS, "pass"),
	SERVICE_SETS(SET_PASS, NFT_PASS_SVC, "pass"),
	ADDRESS_SETS(SET_REFUSE, NFT_REFUSE, "refuse"),
	SERVICE_SETS(SET_REFUSE, NFT_REFUSE_SVC, "refuse"),
	[SET_ACTOR_PASS] = ACTOR_SET(NFT_ACTOR, "actor_pass", true),
	[SET_ACTOR_REFUSE] = ACTOR_SET(NFT_ACTOR, "actor_refuse", false),
	[SET_INBOUND_PASS] = ACTOR_SET(NFT_INBOUND, "inbound_pass", true),
	[SET_INBOUND_REFUSE] = ACTOR_SET(NFT_INBOUND, "inbound_refuse", false),
	[SET_IN_PORT_PASS] = PORT_SET(NFT_INBOUND_PORT, "inbound_port_pass", true),
	[SET_IN_PORT_REFUSE] = PORT_SET(NFT_INBOUND_PORT, "inbound_port_refuse", false),
	[SET_IN_PORT_MEET] = PORT_SET(NFT_INBOUND_MEET, "inbound_port_meet", false),
	PEER_SETS(SET_IN_PASS, NFT_INBOUND_PASS, "inbound_peer_pass"),
	PEER_SETS(SET_IN_REFUSE, NFT_INBOUND_REFUSE, "inbound_peer_refuse"),
	[SET_ACTOR_PEEK] = ACTOR_SET(NFT_PEEK, "actor_peek", false),
	[SET_LOCAL_NO] = ACTOR_SET(NFT_LOCAL_NO, "local_no", false),
	[SET_FACTORY] = { "factory", NFT_FACTORY, 0, false, false, false, false, 0,
		4 * ACTORS_MAX, KEY2(TYPE_MARK, TYPE_MARK), 8 },
	[SET_EXEMPT_DNS] = ACTOR_SET(NFT_EXEMPT_DNS, "exempt_dns", false),
	[SET_NUMBERS] = { "numbers", NFT_NUMBER, 0, false, false, false, false,
		NFT_SET_MAP | NFT_SET_EVAL, ACTORS_MAX, KEY2(TYPE_CGROUP, TYPE_UID), 12 },
	[SET_PAUSED] = SWITCH(NFT_PAUSED, "paused"),
	[SET_BLOCKED] = SWITCH(NFT_BLOCKED, "blocked"),
	[SET_ADOPTING] = SWITCH(NFT_ADOPTING, "adopting"),
	[SET_TUNNEL4_SVC] = TUNNEL_SET(NFT_TUNNEL, "tunnel4", 4, MARK_ADDR_SVC(TYPE_IPADDR), 16),
	[SET_TUNNEL6_SVC] = TUNNEL_SET(NFT_TUNNEL, "tunnel6", 6, MARK_ADDR_SVC(TYPE_IP6ADDR), 28),
	[SET_TUNNEL_FROM] = TUNNEL_SET(NFT_TUNNEL_FROM, "tunnel_from", 0,
		KEY3(TYPE_MARK, TYPE_PROTO, TYPE_SERVICE), 12),
	[SET_PAIRS] = { "pairs", 0, 0, false, false, false, false, 0, ACTORS_MAX,
		KEY2(TYPE_MARK, TYPE_MARK), 8 },
	[SET_KIN] = { "kin", 0, 0, false, false, false, false, NFT_SET_EVAL, ACTORS_MAX,
		KEY2(TYPE_CGROUP, TYPE_MARK), 12 },
	[SET_FLOWS] = { "flows", 0, 0, false, false, false, false, NFT_SET_EVAL, ACTORS_MAX,
		TYPE_MARK, 4 },
	[SET_KNOCKS] = { "knocks", 0, 0, false, false, false, false, NFT_SET_EVAL, ACTORS_MAX,
		TYPE_MARK, 4 },
	[SET_LOGS] = { "logs", 0, 0, false, false, false, false, NFT_SET_EVAL, ACTORS_MAX,
		TYPE_MARK, 4 },
	[SET_HOLDS] = { "holds", 0, 0, false, false, false, false, NFT_SET_EVAL, ACTORS_MAX,
		TYPE_MARK, 4 },
};

bool set_is_tunnel(enum set_id id)
{
	return id >= SET_TUNNEL4_SVC && id <= SET_TUNNEL_FROM;
}

/* nobody's own: the key has our number in the actor's place */
static bool for_all(enum nft_set set)
{
	return set == NFT_PAUSED || set == NFT_BLOCKED || set == NFT_ADOPTING ||
	       set == NFT_TUNNEL || set == NFT_TUNNEL_FROM;
}

static bool element_ok(const struct nft_element *el, const struct set_def *d)
{
	if (el->actor == ACTOR_NONE || el->actor > ACTOR_MASK)
		return false;
	if (d->timed && el->timeout_ms == 0)
		return false; /* a grant without an end would outlive its answer */
	if (d->service && el->proto == 0)
		return false;
	if (for_all(el->set) && el->actor != ACTOR_SELF)
		return false;
	return el->set != NFT_FACTORY || el->factory != 0;
}

static bool set_fits(const struct set_def *d, const struct nft_element *el)
{
	bool map = el->set == NFT_ACTOR || el->set == NFT_INBOUND ||
		el->set == NFT_INBOUND_PORT;

	return d->what == el->set && (d->family == 0 || d->family == el->addr.family) &&
		(!map || d->accept == el->accept);
}

int set_of(const struct nft_element *el, enum set_id *out)
{
	for (unsigned id = 0; id < SET_ELEMENTS; id++) {
		if (!set_fits(&set_defs[id], el))
			continue;
		if (!element_ok(el, &set_defs[id]))
			return -EINVAL;
		*out = id;
		return 0;
	}
	return -EINVAL;
}

int set_twin(enum set_id id)
{
	switch (id) {
	case SET_ACTOR_PASS: return SET_ACTOR_REFUSE;
	case SET_ACTOR_REFUSE: return SET_ACTOR_PASS;
	case SET_INBOUND_PASS: return SET_INBOUND_REFUSE;
	case SET_INBOUND_REFUSE: return SET_INBOUND_PASS;
	case SET_IN_PORT_PASS: return SET_IN_PORT_REFUSE;
	case SET_IN_PORT_REFUSE: return SET_IN_PORT_PASS;
	default: return -1;
	}
}

size_t set_key(const struct instance *i, enum set_id id, const struct nft_element *el,
	uint8_t out[static SET_KEY_MAX])
{
	const struct set_def *d = &set_defs[id];
	uint32_t mark = instance_mark(i, el->actor), class = el->factory;
	uint16_t port = htons(el->port);
	size_t at = sizeof(mark), addr = d->family == 4 ? 4 : d->family == 6 ? 16 : 0;

	memset(out, 0, SET_KEY_MAX);
	if (id == SET_NUMBERS) {
		memcpy(out, &el->cgroup, sizeof(el->cgroup));
		memcpy(out + sizeof(el->cgroup), &el->uid, sizeof(el->uid));
		return d->key_len;
	}
	memcpy(out, &mark, sizeof(mark)); /* registers hold marks in host order */
	memcpy(out + at, el->addr.b, addr);
	at += addr;
	if (id == SET_FACTORY)
		memcpy(out + at, &class, sizeof(class));
	if (d->service) {
		out[at] = el->proto;
		memcpy(out + at + 4, &port, sizeof(port));
	}
	return d->key_len;
}

static void set_unkey(enum set_id id, const uint8_t *key, struct nft_element *el)
{
	const struct set_def *d = &set_defs[id];
	size_t at = 4;
	uint32_t mark, class;
	uint16_t port;

	memcpy(&mark, key, sizeof(mark));
	el->set = d->what;
	el->accept = d->accept;
	el->actor = mark & ACTOR_MASK;
	if (d->family) {
		el->addr = d->family == 4 ? addr_v4(key + at) : addr_v6(key + at);
		at += d->family == 4 ? 4 : 16;
	}
	if (id == SET_FACTORY) {
		memcpy(&class, key + at, sizeof(class));
		el->factory = (uint8_t)class;
	}
	if (d->service) {
		el->proto = key[at];
		memcpy(&port, key + at + 4, sizeof(port));
		el->port = ntohs(port);
	}
}

enum { DATA_NAME = 0, DATA_RULE = 0x53 };

size_t set_userdata(const struct nft_element *el, uint8_t out[static SET_USERDATA_MAX])
{
	size_t len = strnlen(el->name, SET_LABEL_MAX), at = 0;
	uint32_t rule = htonl(el->rule);

	if (el->rule) {
		out[at++] = DATA_RULE;
		out[at++] = sizeof(rule);
		memcpy(out + at, &rule, sizeof(rule));
		at += sizeof(rule);
	}
	if (len) {
		out[at++] = DATA_NAME;
		out[at++] = (uint8_t)(len + 1);
		memcpy(out + at, el->name, len);
		at += len;
		out[at++] = 0;
	}
	return at;
}

void set_userdata_read(const uint8_t *bytes, size_t len, struct nft_element *el)
{
	while (len >= 2) {
		uint8_t type = bytes[0], n = bytes[1];
		uint32_t rule;

		bytes += 2;
		len -= 2;
		if (n > len)
			return;
		if (type == DATA_RULE && n == sizeof(rule)) {
			memcpy(&rule, bytes, sizeof(rule));
			el->rule = ntohl(rule);
		}
		if (type == DATA_NAME && n > 0 && n - 1 <= SET_LABEL_MAX) {
			memcpy(el->name, bytes, n - 1U);
			el->name[n - 1] = 0;
		}
		bytes += n;
		len -= n;
	}
}

static struct nlmsghdr *elements_begin(struct batch *b, const struct instance *i,
	enum set_id id, bool add, struct nlattr **list)
{
	struct nlmsghdr *m = batch_message(b, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
		NLM_F_REQUEST | (add ? NLM_F_CREATE : 0));
	char table[INSTANCE_TABLE_MAX];

	if (!m)
		return NULL;
	mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, instance_table(i, table));
	mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set_defs[id].name);
	*list = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
	return m;
}

static void elements_end(struct batch *b, struct nlmsghdr *m, struct nlattr *list)
{
	mnl_attr_nest_end(m, list);
	batch_add(b, m);
}

static void put_key(struct nlmsghdr *m, const uint8_t *key, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(m, NFTA_SET_ELEM_KEY);

	mnl_attr_put(m, NFTA_DATA_VALUE, len, key);
	mnl_attr_nest_end(m, nest);
}

static void put_element(struct nlmsghdr *m, const struct instance *i, enum set_id id,
	const struct nft_element *el, bool add)
{
	struct nlattr *nest = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
	uint8_t key[SET_KEY_MAX], data[SET_USERDATA_MAX];
	size_t n = set_key(i, id, el, key);

	put_key(m, key, n);
	if (add && id == SET_NUMBERS) {
		uint32_t mark = instance_mark(i, el->actor);
		struct nlattr *to = mnl_attr_nest_start(m, NFTA_SET_ELEM_DATA);

		mnl_attr_put(m, NFTA_DATA_VALUE, sizeof(mark), &mark);
		mnl_attr_nest_end(m, to);
	}
	if (add && set_defs[id].timed)
		mnl_attr_put_u64(m, NFTA_SET_ELEM_TIMEOUT, htobe64(el->timeout_ms));
	n = add ? set_userdata(el, data) : 0;
	if (n)
		mnl_attr_put(m, NFTA_SET_ELEM_USERDATA, n, data);
	mnl_attr_nest_end(m, nest);
}

static void put_message(struct batch *b, const struct instance *i, enum set_id id,
	const struct nft_element *el, bool add)
{
	struct nlattr *list;
	struct nlmsghdr *m = elements_begin(b, i, id, add, &list);

	if (!m)
		return;
	put_element(m, i, id, el, add);
	elements_end(b, m, list);
}

/* Whether the element lives, has just expired or never was: a lone delete of an absent one
 * would fail the whole transaction, and a lone add keeps the old timeout on some kernels. */
int set_change(struct batch *b, const struct instance *i, const struct nft_change *c)
{
	struct nft_element el = c->el;
	enum set_id id;
	int twin, r;

	if (c->op == NFT_TAKE)
		el.timeout_ms = 1000; /* of the add before the delete */
	r = set_of(&el, &id);
	if (r < 0)
		return r;
	twin = set_twin(id);
	put_message(b, i, id, &el, true);
	put_message(b, i, id, &el, false);
	if (twin >= 0) {
		put_message(b, i, (enum set_id)twin, &el, true);
		put_message(b, i, (enum set_id)twin, &el, false);
	}
	if (c->op == NFT_PUT)
		put_message(b, i, id, &el, true);
	return b->error;
}

/* elements of one set, as many to a message as fit */
static int fill_set(struct batch *b, const struct instance *i, enum set_id id,
	const struct nft_element *els, size_t n)
{
	enum { LAST_START = BATCH_MESSAGE_MAX - 512 }; /* room for one more element */
	struct nlmsghdr *m = NULL;
	struct nlattr *list = NULL;

	for (size_t k = 0; k < n; k++) {
		enum set_id its;
		int r = set_of(&els[k], &its);

		if (r < 0)
			return r;
		if (its != id)
			continue;
		if (!m)
			m = elements_begin(b, i, id, true, &list);
		if (!m)
			return b->error;
		put_element(m, i, id, &els[k], true);
		if (m->nlmsg_len > LAST_START) {
			elements_end(b, m, list);
			m = NULL;
		}
	}
	if (m)
		elements_end(b, m, list);
	return b->error;
}

int set_fill(struct batch *b, const struct instance *i, const struct nft_element *els,
	size_t n)
{
	for (unsigned id = 0; id < SET_ELEMENTS; id++) {
		int r = fill_set(b, i, id, els, n);

		if (r < 0)
			return r;
	}
	return 0;
}

void set_fill_pairs(struct batch *b, const struct instance *i)
{
	enum { MESSAGE = 1024 };

	for (uint32_t from = 1; from <= ACTOR_MASK; from += MESSAGE) {
		struct nlattr *list, *nest;
		struct nlmsghdr *m = elements_begin(b, i, SET_PAIRS, true, &list);

		if (!m)
			return;
		for (uint32_t a = from; a < from + MESSAGE && a <= ACTOR_MASK; a++) {
			uint32_t pair[2] = { instance_mark(i, a), instance_mark(i, a) };

			nest = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
			put_key(m, (const uint8_t *)pair, sizeof(pair));
			mnl_attr_nest_end(m, nest);
		}
		elements_end(b, m, list);
	}
}

void set_fill_kin(struct batch *b, const struct instance *i, const struct nft_element *els,
	size_t n)
{
	for (size_t k = 0; k < n; k++) {
		uint8_t key[12];
		uint32_t mark = instance_mark(i, els[k].actor);
		struct nlattr *list, *nest;
		struct nlmsghdr *m = els[k].set == NFT_NUMBER
			? elements_begin(b, i, SET_KIN, true, &list) : NULL;

		if (!m)
			continue;
		memcpy(key, &els[k].cgroup, sizeof(els[k].cgroup));
		memcpy(key + sizeof(els[k].cgroup), &mark, sizeof(mark));
		nest = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
		put_key(m, key, sizeof(key));
		mnl_attr_nest_end(m, nest);
		elements_end(b, m, list);
	}
}

void set_free_run(const struct nft_element *els, size_t n, uint32_t *first, uint32_t *last)
{
	bool taken[ACTOR_MAX + 2] = { [0] = true, [ACTOR_MAX + 1] = true };
	uint32_t from = 1;

	*first = 1;
	*last = 0;
	for (size_t k = 0; k < n; k++)
		if (els[k].actor <= ACTOR_MAX)
			taken[els[k].actor] = true;
	for (uint32_t a = 1; a <= ACTOR_MAX + 1; a++) {
		if (!taken[a])
			continue;
		if (a - from > *last + 1 - *first) {
			*first = from;
			*last = a - 1;
		}
		from = a + 1;
	}
}

static const struct nlattr *attr_in(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest)
	{
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static bool read_number(const struct nlattr *nest, const struct instance *i,
	const uint8_t *key, struct nft_element *el)
{
	const struct nlattr *data = attr_in(nest, NFTA_SET_ELEM_DATA);
	const struct nlattr *value = data ? attr_in(data, NFTA_DATA_VALUE) : NULL;
	uint32_t mark;

	if (!value || mnl_attr_get_payload_len(value) != sizeof(mark))
		return false;
	memcpy(&mark, mnl_attr_get_payload(value), sizeof(mark));
	memcpy(&el->cgroup, key, sizeof(el->cgroup));
	memcpy(&el->uid, key + sizeof(el->cgroup), sizeof(el->uid));
	el->set = NFT_NUMBER;
	el->actor = mark & ACTOR_MASK;
	return instance_mark(i, el->actor) == mark && el->actor != ACTOR_NONE;
}

/* false: no element of ours, or one that is over already */
static bool read_element(const struct nlattr *nest, const struct instance *i,
	enum set_id id, struct nft_element *el)
{
	const struct set_def *d = &set_defs[id];
	const struct nlattr *key = attr_in(nest, NFTA_SET_ELEM_KEY);
	const struct nlattr *value = key ? attr_in(key, NFTA_DATA_VALUE) : NULL;
	const struct nlattr *left = attr_in(nest, NFTA_SET_ELEM_EXPIRATION);
	const struct nlattr *data = attr_in(nest, NFTA_SET_ELEM_USERDATA);
	enum set_id its;
	uint64_t ms = 0;
	uint32_t mark;

	if (!value || mnl_attr_get_payload_len(value) != d->key_len)
		return false;
	if (id == SET_NUMBERS)
		return read_number(nest, i, mnl_attr_get_payload(value), el);
	if (d->timed && (!left || mnl_attr_get_payload_len(left) != sizeof(ms)))
		return false;
	if (d->timed) {
		memcpy(&ms, mnl_attr_get_payload(left), sizeof(ms));
		ms = be64toh(ms);
		el->timeout_ms = (uint32_t)MIN(ms, (uint64_t)UINT32_MAX);
	}
	memcpy(&mark, mnl_attr_get_payload(value), sizeof(mark));
	set_unkey(id, mnl_attr_get_payload(value), el);
	if (data)
		set_userdata_read(mnl_attr_get_payload(data), mnl_attr_get_payload_len(data),
			el);
	/* a key that no element of ours gives is not ours: another magic, a mapped address */
	return instance_mark(i, el->actor) == mark && set_of(el, &its) == 0 && its == id;
}

int set_read(const struct nlmsghdr *m, const struct instance *i, enum set_id id,
	int (*each)(void *ctx, const struct nft_element *el), void *ctx)
{
	const struct nlattr *a, *e;
	int n = 0, r;

	if (!reply_is(m, NFT_MSG_NEWSETELEM))
		return -EBADMSG;
	mnl_attr_for_each(a, m, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(e, a)
		{
			struct nft_element el = { 0 };

			if (!read_element(e, i, id, &el))
				continue;
			r = each(ctx, &el);
			if (r < 0)
				return r;
			n++;
		}
	}
	return n;
}
