/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Replies of io.systemd.Resolve, out of DNS replies. Only the answer section counts, and of
 * it what the alias chain from the question leads to. */
#include "resolver/name.h"
#include "resolver/record.h"
#include "resolver/varcall.h"
#include "resolver/varjson.h"
#include "resolver/wire.h"

#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

enum { CHAIN_MAX = 16 };

/* a DNS reply that is being walked */
struct reply {
	struct cur all;       /* the whole message */
	size_t records_at;
	uint16_t answers, rest; /* records of the answer section; of the others */
	uint16_t rcode;
	struct name last;     /* what the aliases lead to */
	bool aliased;
};

static bool next_record(struct cur *c, struct record *rr, struct name *owner)
{
	struct cur at = *c;

	return record_read(c, rr) == 0 && name_read(&at, owner) == 0;
}

/* one step along the aliases; false: there is none from here */
static bool follow(struct reply *d)
{
	struct cur c = d->all;
	struct record rr;
	struct name owner;

	cur_seek(&c, d->records_at);
	for (unsigned i = 0; i < d->answers && next_record(&c, &rr, &owner); i++) {
		struct cur target = d->all;

		if (rr.type != TYPE_CNAME || !name_equal(&owner, &d->last))
			continue;
		cur_seek(&target, rr.rdata_at);
		return name_read(&target, &d->last) == 0;
	}
	return false;
}

/* aliases: the question's type is not CNAME, so they are followed. -ELOOP */
static int reply_open(const struct varlink_part *p, bool aliases, struct reply *d)
{
	struct head h;
	unsigned steps = 0;

	*d = (struct reply){ .all = cur_over(p->msg, p->len) };
	if (head_read(&d->all, &h) < 0 || h.qd != 1 || name_read(&d->all, &d->last) < 0)
		return -EBADMSG;
	cur_u32(&d->all);
	d->records_at = d->all.at;
	d->answers = h.an;
	d->rest = (uint16_t)(h.ns + h.ar);
	d->rcode = h.flags & 15;
	if (d->all.bad)
		return -EBADMSG;
	while (aliases && follow(d)) {
		d->aliased = true;
		if (++steps > CHAIN_MAX)
			return -ELOOP;
	}
	return 0;
}

/* the next record of that type at the chain's end, from *c on */
static bool next_match(const struct reply *d, struct cur *c, unsigned *i, uint16_t type,
	struct record *rr)
{
	struct name owner;

	while (*i < d->answers && next_record(c, rr, &owner)) {
		++*i;
		if ((rr->type == type || type == TYPE_ANY) &&
			(name_equal(&owner, &d->last) || type == TYPE_ANY))
			return true;
	}
	return false;
}

static struct cur records(const struct reply *d)
{
	struct cur c = d->all;

	cur_seek(&c, d->records_at);
	return c;
}

static struct cur at(const struct reply *d, size_t where)
{
	struct cur c = d->all;

	cur_seek(&c, where);
	return c;
}

/* --- pieces of JSON -------------------------------------------------------------------- */

static void add_bytes(struct text *t, const uint8_t *b, size_t n)
{
	text_add(t, "[");
	for (size_t i = 0; i < n; i++)
		text_addf(t, "%s%u", i ? "," : "", b[i]);
	text_add(t, "]");
}

static void add_base64(struct text *t, const uint8_t *b, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	text_add(t, "\"");
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)b[i] << 16 | (i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0) |
			(i + 2 < n ? b[i + 2] : 0u);
		char four[4] = { digits[v >> 18], digits[v >> 12 & 63],
			i + 1 < n ? digits[v >> 6 & 63] : '=', i + 2 < n ? digits[v & 63] : '=' };

		text_addn(t, four, sizeof(four));
	}
	text_add(t, "\"");
}

/* a key and a name as people write it; the root is "." */
static void add_name(struct text *t, const char *key, const struct name *n)
{
	char host[HOST_MAX];

	text_addf(t, "\"%s\":", key);
	varjson_quote(t, name_text(n, host) < 0 ? "" : host[0] ? host : ".");
}

static void add_address(struct text *t, uint8_t family, const uint8_t *b, uint32_t ifindex)
{
	text_add(t, "{");
	if (ifindex)
		text_addf(t, "\"ifindex\":%u,", ifindex);
	text_addf(t, "\"family\":%d,\"address\":", family == 4 ? AF_INET : AF_INET6);
	add_bytes(t, b, family == 4 ? 4 : 16);
	text_add(t, "}");
}

static void begin(struct text *t)
{
	text_add(t, "{\"parameters\":{");
}

static void end(struct text *t, uint64_t flags)
{
	text_addf(t, ",\"flags\":%llu}}", (unsigned long long)flags);
}

/* --- errors ----------------------------------------------------------------------------- */

void varlink_error_write(struct text *t, const struct varlink_error *err)
{
	text_add(t, "{\"error\":");
	varjson_quote(t, err->id);
	text_add(t, ",\"parameters\":{");
	if (err->key) {
		text_addf(t, "\"%s\":", err->key);
		varjson_quote(t, err->value);
	}
	text_add(t, "}}");
}

void varlink_error_named(struct text *t, const char *id)
{
	struct varlink_error err = { .id = id };

	varlink_error_write(t, &err);
}

static const char *error_of(int r)
{
	switch (r) {
	case -ETIMEDOUT:
		return "io.systemd.Resolve.QueryTimedOut";
	case -EBADMSG:
		return "io.systemd.Resolve.InvalidReply";
	case -ECANCELED:
	case -ENOBUFS:
	case -ENOMEM:
		return "io.systemd.Resolve.QueryAborted";
	case -ENETUNREACH:
	case -ENETDOWN:
		return "io.systemd.Resolve.NetworkDown";
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
		return "io.systemd.Resolve.MaxAttemptsReached";
	default:
		return "io.systemd.Resolve.NoNameServers";
	}
}

/* the extended error (RFC 8914), if the reply has one */
static void add_extended(struct text *t, const struct reply *d)
{
	struct cur c = records(d);
	struct record rr;
	struct name owner;

	for (unsigned i = 0; i < (unsigned)d->answers + d->rest; i++) {
		const uint8_t *data;
		char said[256];
		uint16_t n;

		if (!next_record(&c, &rr, &owner))
			return;
		if (rr.type != TYPE_OPT)
			continue;
		data = opt_option(d->all.base, &rr, OPTION_EDE, &n);
		if (!data || n < 2)
			return;
		text_addf(t, ",\"extendedDNSErrorCode\":%u", data[0] << 8 | data[1]);
		if (n == 2)
			return;
		n = (uint16_t)MIN(n - 2u, sizeof(said) - 1);
		memcpy(said, data + 2, n);
		said[n] = '\0';
		text_add(t, ",\"extendedDNSErrorMessage\":");
		varjson_quote(t, said);
		return;
	}
}

static void add_dns_error(struct text *t, const struct reply *d)
{
	text_addf(t, "{\"error\":\"io.systemd.Resolve.DNSError\",\"parameters\":{\"rcode\":%u",
		d->rcode);
	add_extended(t, d);
	text_add(t, "}}");
}

/* --- replies ----------------------------------------------------------------------------- */

void varlink_info_write(struct text *t, const char *version)
{
	begin(t);
	text_add(t, "\"vendor\":\"Scupper\",\"product\":\"scupperd\",\"version\":");
	varjson_quote(t, version);
	text_add(t, ",\"url\":\"\",\"interfaces\":[\"io.systemd.Resolve\",\"org.varlink.service\"]}}");
}

static const char resolve_interface[] =
	"interface io.systemd.Resolve\n\n"
	"type ResolvedAddress(ifindex: ?int, family: int, address: []int)\n"
	"type ResolvedName(ifindex: ?int, name: string)\n"
	"type ResourceKey(class: ?int, type: int, name: string)\n"
	"type ResourceRecord(key: ResourceKey, priority: ?int, weight: ?int, port: ?int,\n"
	"  name: ?string, items: ?[]string, address: ?[]int, mname: ?string, rname: ?string,\n"
	"  serial: ?int, refresh: ?int, retry: ?int, expire: ?int, minimum: ?int,\n"
	"  exchange: ?string)\n"
	"type ResolvedRecord(ifindex: ?int, rr: ?ResourceRecord, raw: string)\n\n"
	"method ResolveHostname(ifindex: ?int, name: string, family: ?int, flags: ?int)\n"
	"  -> (addresses: []ResolvedAddress, name: string, flags: int)\n"
	"method ResolveAddress(ifindex: ?int, family: int, address: []int, flags: ?int)\n"
	"  -> (names: []ResolvedName, flags: int)\n"
	"method ResolveRecord(ifindex: ?int, name: string, class: ?int, type: int, flags: ?int)\n"
	"  -> (rrs: []ResolvedRecord, flags: int)\n\n"
	"error NoNameServers()\n"
	"error NoSuchResourceRecord()\n"
	"error QueryTimedOut()\n"
	"error MaxAttemptsReached()\n"
	"error InvalidReply()\n"
	"error QueryAborted()\n"
	"error DNSError(rcode: int, extendedDNSErrorCode: ?int,\n"
	"  extendedDNSErrorMessage: ?string)\n"
	"error CNAMELoop()\n"
	"error BadAddressSize()\n"
	"error ResourceRecordTypeInvalidForQuery()\n"
	"error ZoneTransfersNotPermitted()\n"
	"error ResourceRecordTypeObsolete()\n"
	"error NetworkDown()\n";

static const char service_interface[] =
	"interface org.varlink.service\n\n"
	"method GetInfo() -> (vendor: string, product: string, version: string, url: string,\n"
	"  interfaces: []string)\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n\n"
	"error InterfaceNotFound(interface: string)\n"
	"error MethodNotFound(method: string)\n"
	"error MethodNotImplemented(method: string)\n"
	"error InvalidParameter(parameter: string)\n";

void varlink_description_write(struct text *t, const struct varlink_call *call)
{
	struct varlink_error err = { .id = "org.varlink.service.InterfaceNotFound",
		.key = "interface" };
	const char *which = NULL;

	if (strcmp(call->name, "io.systemd.Resolve") == 0)
		which = resolve_interface;
	else if (strcmp(call->name, "org.varlink.service") == 0)
		which = service_interface;
	if (!which) {
		text_copy(err.value, sizeof(err.value), call->name);
		varlink_error_write(t, &err);
		return;
	}
	begin(t);
	text_add(t, "\"description\":");
	varjson_quote(t, which);
	text_add(t, "}}");
}

void varlink_literal_write(struct text *t, const struct varlink_call *call,
	const struct addr *a, uint32_t ifindex)
{
	static const struct addr link_local = { 6, { 0xfe, 0x80 } };
	char name[ADDR_TEXT_MAX + 12], addr[ADDR_TEXT_MAX];

	if ((call->family && call->family != a->family) ||
		(call->ifindex && ifindex && call->ifindex != ifindex)) {
		varlink_error_named(t, "io.systemd.Resolve.NoSuchResourceRecord");
		return;
	}
	if (!ifindex)
		ifindex = call->ifindex;
	snprintf(name, sizeof(name), "%s", addr_text(a, addr));
	if (ifindex && addr_in_prefix(a, &link_local, 10))
		snprintf(name, sizeof(name), "%s%%%u", addr, ifindex);
	begin(t);
	text_add(t, "\"addresses\":[");
	add_address(t, a->family, a->b, ifindex);
	text_add(t, "],\"name\":");
	varjson_quote(t, name);
	end(t, RESOLVED_DNS | RESOLVED_AUTHENTICATED | RESOLVED_CONFIDENTIAL |
			RESOLVED_SYNTHETIC);
}

static uint64_t flags_of(const struct varlink_part *p)
{
	if (p->local)
		return RESOLVED_DNS | RESOLVED_AUTHENTICATED | RESOLVED_CONFIDENTIAL |
			RESOLVED_SYNTHETIC;
	return RESOLVED_DNS | (p->cached ? RESOLVED_FROM_CACHE : RESOLVED_FROM_NETWORK);
}

/* what is said when a part has nothing of what was asked */
struct failure {
	const char *id;      /* NULL: none yet */
	bool dns;            /* it is reply's rcode */
	struct reply reply;
};

/* A denial or a missing name says more than one kind of address that is not there. */
static void failed(struct failure *f, const char *id, const struct reply *d)
{
	if (f->id && strcmp(f->id, "io.systemd.Resolve.NoSuchResourceRecord") != 0)
		return;
	*f = (struct failure){ .id = id, .dns = d != NULL };
	if (d)
		f->reply = *d;
}

static void failure_write(struct text *t, const struct failure *f)
{
	if (f->dns)
		add_dns_error(t, &f->reply);
	else
		varlink_error_named(t, f->id);
}

/* opened and walkable, or what is wrong is in *f */
static bool part_open(const struct varlink_call *call, const struct varlink_part *p,
	struct reply *d, struct failure *f)
{
	bool aliases = call->method != VARLINK_RECORD ||
		(call->type != TYPE_CNAME && call->type != TYPE_ANY);
	int r;

	if (p->error || !p->msg) {
		failed(f, error_of(p->error), NULL);
		return false;
	}
	r = reply_open(p, aliases, d);
	if (r == -ELOOP || (r == 0 && d->aliased && (call->flags & RESOLVED_NO_CNAME))) {
		failed(f, "io.systemd.Resolve.CNAMELoop", NULL);
		return false;
	}
	if (r < 0 || d->rcode) {
		failed(f, r < 0 ? error_of(-EBADMSG) : "", r < 0 ? NULL : d);
		return false;
	}
	return true;
}

static unsigned add_addresses(struct text *t, const struct reply *d, uint16_t type, bool any)
{
	struct cur c = records(d);
	unsigned n = 0, i = 0;
	struct record rr;

	while (next_match(d, &c, &i, type, &rr)) {
		if (rr.rdlen != (type == TYPE_A ? 4 : 16))
			continue;
		text_add(t, any || n ? "," : "");
		add_address(t, type == TYPE_A ? 4 : 6, d->all.base + rr.rdata_at, 0);
		n++;
	}
	return n;
}

static unsigned add_names(struct text *t, const struct reply *d)
{
	struct cur c = records(d);
	unsigned n = 0, i = 0;
	struct record rr;

	while (next_match(d, &c, &i, TYPE_PTR, &rr)) {
		struct cur target = at(d, rr.rdata_at);
		struct name name;

		if (name_read(&target, &name) < 0)
			continue;
		text_add(t, n++ ? ",{" : "{");
		add_name(t, "name", &name);
		text_add(t, "}");
	}
	return n;
}

/* --- whole records ----------------------------------------------------------------------- */

/* strings of a TXT record; what is no UTF-8 in them comes out as U+FFFD, the raw form has it */
static void add_items(struct text *t, const struct reply *d, const struct record *rr)
{
	struct cur c = cur_over(d->all.base + rr->rdata_at, rr->rdlen);
	bool any = false;

	text_add(t, ",\"items\":[");
	while (cur_left(&c)) {
		uint8_t n = cur_u8(&c);
		const uint8_t *b = cur_take(&c, n);
		char said[256];

		if (!b)
			break;
		memcpy(said, b, n);
		said[n] = '\0';
		text_add(t, any ? "," : "");
		varjson_quote(t, said);
		any = true;
	}
	text_add(t, "]");
}

static void add_soa(struct text *t, struct cur *c)
{
	static const char *const numbers[] = { "serial", "refresh", "retry", "expire",
		"minimum" };
	struct name mname, rname;

	if (name_read(c, &mname) < 0 || name_read(c, &rname) < 0)
		return;
	text_add(t, ",");
	add_name(t, "mname", &mname);
	text_add(t, ",");
	add_name(t, "rname", &rname);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		text_addf(t, ",\"%s\":%u", numbers[i], cur_u32(c));
}

static void add_named(struct text *t, const char *key, struct cur *c)
{
	struct name n;

	if (name_read(c, &n) < 0)
		return;
	text_add(t, ",");
	add_name(t, key, &n);
}

static bool shown(uint16_t type)
{
	return type == TYPE_A || type == TYPE_AAAA || type == TYPE_NS || type == TYPE_CNAME ||
		type == TYPE_PTR || type == TYPE_DNAME || type == TYPE_MX ||
		type == TYPE_SRV || type == TYPE_TXT || type == TYPE_SOA;
}

static void add_rdata(struct text *t, const struct reply *d, const struct record *rr)
{
	struct cur c = at(d, rr->rdata_at);

	switch (rr->type) {
	case TYPE_A:
	case TYPE_AAAA:
		text_add(t, ",\"address\":");
		add_bytes(t, d->all.base + rr->rdata_at, rr->rdlen);
		break;
	case TYPE_MX:
		text_addf(t, ",\"priority\":%u", cur_u16(&c));
		add_named(t, "exchange", &c);
		break;
	case TYPE_SRV:
		text_addf(t, ",\"priority\":%u", cur_u16(&c));
		text_addf(t, ",\"weight\":%u", cur_u16(&c));
		text_addf(t, ",\"port\":%u", cur_u16(&c));
		add_named(t, "name", &c);
		break;
	case TYPE_TXT:
		add_items(t, d, rr);
		break;
	case TYPE_SOA:
		add_soa(t, &c);
		break;
	default:
		add_named(t, "name", &c);
	}
}

/* the record's wire form, names written out */
static int flatten(const struct reply *d, const struct record *rr, struct out *o)
{
	const struct shape *s = shape_of(rr->type);
	struct cur c = at(d, rr->owner_at);
	size_t length_at, end_at = rr->rdata_at + rr->rdlen;
	struct name n;

	if (name_read(&c, &n) < 0)
		return -EBADMSG;
	out_bytes(o, n.b, n.len);
	out_u16(o, rr->type);
	out_u16(o, rr->klass);
	out_u32(o, rr->ttl);
	length_at = o->len;
	out_u16(o, 0);
	cur_seek(&c, rr->rdata_at);
	if (s) {
		out_bytes(o, cur_take(&c, s->skip), c.bad ? 0 : s->skip);
		for (unsigned i = 0; i < s->strings; i++) {
			uint8_t len = cur_u8(&c);

			out_u8(o, len);
			out_bytes(o, cur_take(&c, len), c.bad ? 0 : len);
		}
		for (unsigned i = 0; i < s->names; i++) {
			if (name_read(&c, &n) < 0)
				return -EBADMSG;
			out_bytes(o, n.b, n.len);
		}
	}
	if (c.bad || c.at > end_at)
		return -EBADMSG;
	out_bytes(o, d->all.base + c.at, end_at - c.at);
	if (o->bad || o->len - length_at - 2 > UINT16_MAX)
		return -ENOSPC;
	put_u16(o->base + length_at, (uint16_t)(o->len - length_at - 2));
	return 0;
}

static unsigned add_records(struct text *t, const struct reply *d, uint16_t type)
{
	uint8_t raw[HOST_WIRE_MAX + 10 + WIRE_MAX];
	struct cur c = records(d);
	unsigned n = 0, i = 0;
	struct record rr;

	while (next_match(d, &c, &i, type, &rr)) {
		struct out o = out_into(raw, sizeof(raw));
		struct cur owner_at = at(d, rr.owner_at);
		struct name owner;

		if (flatten(d, &rr, &o) < 0 || name_read(&owner_at, &owner) < 0)
			continue;
		text_add(t, n++ ? ",{" : "{");
		if (shown(rr.type)) {
			text_addf(t, "\"rr\":{\"key\":{\"class\":%u,\"type\":%u,", rr.klass,
				rr.type);
			add_name(t, "name", &owner);
			text_add(t, "}");
			add_rdata(t, d, &rr);
			text_add(t, "},");
		}
		text_add(t, "\"raw\":");
		add_base64(t, o.base, o.len);
		text_add(t, "}");
	}
	return n;
}

void varlink_answer_write(struct text *t, const struct varlink_call *call,
	const struct varlink_part *parts, unsigned n)
{
	static const char *const keys[] = { [VARLINK_HOSTNAME] = "addresses",
		[VARLINK_ADDRESS] = "names", [VARLINK_RECORD] = "rrs" };
	struct text before = *t;
	struct failure f = { 0 };
	struct name name = { 0 };
	uint64_t flags = 0;
	unsigned found = 0;

	begin(t);
	text_addf(t, "\"%s\":[", keys[call->method]);
	for (unsigned i = 0; i < n; i++) {
		bool second = call->family ? call->family == 6 : i == 1;
		unsigned had = found;
		struct reply d;

		if (!part_open(call, &parts[i], &d, &f))
			continue;
		if (call->method == VARLINK_HOSTNAME)
			found += add_addresses(t, &d, second ? TYPE_AAAA : TYPE_A, found > 0);
		else if (call->method == VARLINK_ADDRESS)
			found += add_names(t, &d);
		else
			found += add_records(t, &d, call->type);
		if (found == had) {
			failed(&f, "io.systemd.Resolve.NoSuchResourceRecord", NULL);
			continue;
		}
		flags |= flags_of(&parts[i]);
		if (!had)
			name = d.last;
	}
	if (!found) {
		*t = before;
		failure_write(t, &f);
		return;
	}
	text_add(t, "]");
	if (call->method == VARLINK_HOSTNAME) {
		text_add(t, ",");
		add_name(t, "name", &name);
	}
	end(t, flags);
}
