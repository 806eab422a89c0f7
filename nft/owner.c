/* SPDX-License-Identifier: GPL-2.0-or-later
 * Needs CAP_NET_ADMIN. */
#include "nft/owner.h"

#include "base/macros.h"
#include "base/text.h"
#include "nft/dump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

enum {
	FLAG_OWNER = 2,   /* NFT_TABLE_F_OWNER */
	FLAG_PERSIST = 4, /* NFT_TABLE_F_PERSIST: headers before 6.9 lack it */
	COMMENT = 0,      /* NFTNL_UDATA_TABLE_COMMENT: `nft list` shows it */
};

static uint32_t attr_u32(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) == sizeof(uint32_t) ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static void read_comment(const struct nlattr *a, struct table_state *t)
{
	const uint8_t *bytes = mnl_attr_get_payload(a);
	size_t len = mnl_attr_get_payload_len(a);

	if (len < 2 || bytes[0] != COMMENT || bytes[1] > len - 2 || bytes[1] == 0)
		return;
	len = MIN((size_t)bytes[1], sizeof(t->comment));
	memcpy(t->comment, bytes + 2, len);
	t->comment[len - 1] = 0;
}

int owner_read(const struct nlmsghdr *m, struct table_state *t)
{
	const struct nlattr *a;

	if (!reply_is(m, NFT_MSG_NEWTABLE))
		return -EBADMSG;
	t->there = true;
	mnl_attr_for_each(a, m, sizeof(struct nfgenmsg))
	{
		switch (mnl_attr_get_type(a)) {
		case NFTA_TABLE_FLAGS:
			t->owned = attr_u32(a) & FLAG_OWNER;
			t->persists = attr_u32(a) & FLAG_PERSIST;
			break;
		case NFTA_TABLE_USERDATA:
			read_comment(a, t);
			break;
		case NFTA_TABLE_OWNER:
			t->owner = attr_u32(a);
			break;
		}
	}
	return 0;
}

static int on_table(const struct nlmsghdr *m, void *ctx)
{
	return owner_read(m, ctx);
}

int owner_look(int fd, const struct instance *i, struct table_state *out)
{
	_Alignas(struct nlmsghdr) char bytes[256];
	struct nlmsghdr *m = nftnl_nlmsg_build_hdr(bytes, NFT_MSG_GETTABLE, NFPROTO_INET,
		NLM_F_REQUEST | NLM_F_ACK, 1);
	struct table_state t = { 0 };
	char name[INSTANCE_TABLE_MAX];
	int r;

	mnl_attr_put_strz(m, NFTA_TABLE_NAME, instance_table(i, name));
	r = net_ask(fd, m, on_table, &t);
	if (r < 0 && r != -ENOENT)
		return r;
	*out = t;
	return 0;
}

static void put_table(struct batch *b, const struct nft_conf *conf, uint32_t flags,
	bool make)
{
	struct nlmsghdr *m = batch_message(b, NFT_MSG_NEWTABLE,
		NLM_F_REQUEST | NLM_F_CREATE | (make ? NLM_F_EXCL : 0));
	char name[INSTANCE_TABLE_MAX];
	uint8_t data[2 + TABLE_COMMENT_MAX] = { COMMENT };
	size_t len;

	if (!m)
		return;
	mnl_attr_put_strz(m, NFTA_TABLE_NAME, instance_table(conf->instance, name));
	mnl_attr_put_u32(m, NFTA_TABLE_FLAGS, htonl(flags));
	if (make) {
		table_comment(conf, (char *)data + 2);
		len = strlen((char *)data + 2) + 1;
		data[1] = (uint8_t)len;
		mnl_attr_put(m, NFTA_TABLE_USERDATA, 2 + len, data);
	}
	batch_add(b, m);
}

static void delete_table(struct batch *b, const struct instance *i)
{
	struct nlmsghdr *m = batch_message(b, NFT_MSG_DELTABLE, NLM_F_REQUEST);
	char name[INSTANCE_TABLE_MAX];

	if (!m)
		return;
	mnl_attr_put_strz(m, NFTA_TABLE_NAME, instance_table(i, name));
	batch_add(b, m);
}

static void say_refused(const struct builder *b, uint32_t where, int error,
	struct text *why)
{
	unsigned nth = 0;

	for (unsigned i = 0; i < b->nrules; i++) {
		nth = i > 0 && b->rules[i].chain == b->rules[i - 1].chain ? nth + 1 : 1;
		if (b->rules[i].seq != where)
			continue;
		text_addf(why,
			"the kernel refused rule %u of chain %s: %s (are the modules nft_ct, "
			"nft_nat, nft_socket, nft_fib_inet, nft_limit, nft_reject_inet and "
			"nft_log there?)",
			nth, b->rules[i].chain, strerror(-error));
		return;
	}
	text_addf(why, "the kernel refused the table: %s", strerror(-error));
}

struct made {
	const struct nft_conf *conf;
	const struct nft_element *prefill, *standing;
	size_t nprefill, nstanding;
	bool replaces; /* a table of ours stands */
};

/* Everything in one transaction: two would cut every live flow in between. */
static int make_once(int fd, uint32_t *seq, const struct made *t, uint32_t flags,
	struct text *why)
{
	struct batch batch = { 0 };
	struct builder *b = calloc(1, sizeof(*b));
	uint32_t where = 0, first, last;
	int r;

	if (!b)
		return -ENOMEM;
	batch_begin(&batch, *seq);
	if (t->replaces)
		delete_table(&batch, t->conf->instance);
	put_table(&batch, t->conf, flags, true);
	/* all that speaks of a number keeps it from being given again */
	set_free_run(t->nstanding ? t->standing : t->prefill,
		t->nstanding ? t->nstanding : t->nprefill, &first, &last);
	table_build(b, &batch, t->conf, first, last);
	r = set_fill(&batch, t->conf->instance, t->prefill, t->nprefill);
	if (r == 0)
		r = set_fill(&batch, t->conf->instance, t->standing, t->nstanding);
	if (r == 0 && t->conf->basic) {
		set_fill_kin(&batch, t->conf->instance, t->prefill, t->nprefill);
		set_fill_kin(&batch, t->conf->instance, t->standing, t->nstanding);
		r = batch.error;
	}
	if (r == 0)
		r = net_commit(fd, &batch, &where);
	*seq = batch.next + 1;
	if (r < 0 && r != -EOPNOTSUPP)
		say_refused(b, where, r, why);
	batch_done(&batch);
	free(b);
	return r;
}

static int make(int fd, uint32_t *seq, const struct made *t, struct text *why)
{
	int r = -EOPNOTSUPP;

	if (t->conf->closed)
		r = make_once(fd, seq, t, FLAG_OWNER | FLAG_PERSIST, why);
	if (r == -EOPNOTSUPP) /* asked for no persist flag, or the kernel has none */
		r = make_once(fd, seq, t, FLAG_OWNER, why);
	if (r == -EOPNOTSUPP)
		text_add(why, "the kernel lacks something the table needs");
	return r;
}

static int adopt(int fd, uint32_t *seq, const struct nft_conf *conf)
{
	struct batch b = { 0 };
	int r;

	batch_begin(&b, *seq);
	put_table(&b, conf, FLAG_OWNER | FLAG_PERSIST, false);
	r = net_commit(fd, &b, NULL);
	*seq = b.next + 1;
	batch_done(&b);
	return r;
}

static bool is_ours(const struct table_state *t)
{
	return strncmp(t->comment, "scupper layout ", strlen("scupper layout ")) == 0;
}

/* the grants of the table that goes, for the one that comes: judging them is the core's */
static int replace(int fd, uint32_t *seq, struct made *t, bool was_basic, struct text *why)
{
	struct nft_element *standing = NULL;
	size_t n = 0;
	/* numbers of the other mode stand for something else */
	int r = was_basic == (t->conf->basic != NULL)
		? dump_timed(fd, t->conf->instance, &standing, &n) : -ESTALE;

	t->replaces = true;
	t->standing = r == 0 ? standing : NULL;
	t->nstanding = r == 0 ? n : 0;
	r = make(fd, seq, t, why);
	free(standing);
	return r;
}

static int say_foreign(const struct nft_conf *conf, const struct table_state *t,
	struct text *why)
{
	char name[INSTANCE_TABLE_MAX];

	instance_table(conf->instance, name);
	if (t->owned)
		text_addf(why,
			"table inet %s belongs to another running process (netlink port %u): "
			"is scupperd running already?",
			name, t->owner);
	else
		text_addf(why, "a table inet %s stands that is not ours: nft delete table inet %s",
			name, name);
	return -EEXIST;
}

int owner_take(int fd, uint32_t *seq, const struct nft_conf *conf,
	const struct nft_element *prefill, size_t n, struct text *why)
{
	struct made made = { .conf = conf, .prefill = prefill, .nprefill = n };
	struct table_state t;
	char comment[TABLE_COMMENT_MAX];
	bool same;
	int r = owner_look(fd, conf->instance, &t);

	if (r < 0) {
		text_addf(why, "cannot look at nf_tables: %s", strerror(-r));
		return r;
	}
	if (!t.there)
		return make(fd, seq, &made, why);
	if (!is_ours(&t) || (t.owned && t.owner != net_port(fd)))
		return say_foreign(conf, &t, why);
	table_comment(conf, comment);
	same = strcmp(t.comment, comment) == 0;
	/* ours already; it may lack the persist flag though closed, where the kernel has none */
	if (same && t.owned)
		return 0;
	if (same && t.persists && conf->closed && adopt(fd, seq, conf) == 0)
		return 0;
	return replace(fd, seq, &made, strstr(t.comment, " basic ") != NULL, why);
}

int owner_drop(int fd, uint32_t seq, const struct instance *i)
{
	struct batch b = { 0 };
	int r;

	batch_begin(&b, seq);
	delete_table(&b, i);
	r = net_commit(fd, &b, NULL);
	batch_done(&b);
	return r == -ENOENT ? 0 : r;
}
