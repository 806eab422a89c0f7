/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/varcall.h"
#include "resolver/varjson.h"

#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static const char interface[] = "io.systemd.Resolve";
static const char service[] = "org.varlink.service";

enum {
	/* what may be asked for. Those that steer resolved's own cache and network are not
	 * among them: nothing is promised that is not done */
	FLAGS_TAKEN = RESOLVED_PROTOCOLS | RESOLVED_NO_CNAME | RESOLVED_NO_VALIDATE |
		RESOLVED_NO_ZONE | RESOLVED_NO_TRUST_ANCHOR | RESOLVED_NO_STALE |
		RESOLVED_RELAX_SINGLE_LABEL,
};

/* --- single parameters: 0 or -EINVAL -------------------------------------------------- */

static int in_range(const struct varjson *v, int64_t max, int64_t *out)
{
	int64_t n;

	if (varjson_integer(v, &n) < 0 || n < 0 || n > max)
		return -EINVAL;
	*out = n;
	return 0;
}

static int read_name(const struct varjson *v, struct varlink_call *c)
{
	return varjson_string(v, c->name, sizeof(c->name)) < 0 ? -EINVAL : 0;
}

static int read_family(const struct varjson *v, struct varlink_call *c)
{
	int64_t n;

	if (in_range(v, UINT16_MAX, &n) < 0)
		return -EINVAL;
	if (n != AF_UNSPEC && n != AF_INET && n != AF_INET6)
		return -EINVAL;
	c->family = n == AF_UNSPEC ? 0 : n == AF_INET ? 4 : 6;
	return 0;
}

static int read_ifindex(const struct varjson *v, struct varlink_call *c)
{
	int64_t n;

	if (in_range(v, INT32_MAX, &n) < 0)
		return -EINVAL;
	c->ifindex = (uint32_t)n;
	return 0;
}

static int read_flags(const struct varjson *v, struct varlink_call *c)
{
	uint64_t may = FLAGS_TAKEN | (c->method == VARLINK_HOSTNAME ? RESOLVED_NO_SEARCH : 0);
	int64_t n;

	if (in_range(v, INT64_MAX, &n) < 0 || ((uint64_t)n & ~may))
		return -EINVAL;
	c->flags = (uint64_t)n;
	return 0;
}

static int read_class(const struct varjson *v, struct varlink_call *c)
{
	int64_t n;

	if (in_range(v, UINT16_MAX, &n) < 0)
		return -EINVAL;
	c->klass = (uint16_t)n;
	return 0;
}

static int read_type(const struct varjson *v, struct varlink_call *c)
{
	int64_t n;

	if (in_range(v, UINT16_MAX, &n) < 0)
		return -EINVAL;
	c->type = (uint16_t)n;
	return 0;
}

static int read_address(const struct varjson *v, struct varlink_call *c)
{
	struct varjson inside = varjson_enter(v), byte;
	char key[VARJSON_KEY_MAX];
	uint8_t bytes[16];
	size_t n = 0;

	if (varjson_type(v) != VARJSON_ARRAY)
		return -EINVAL;
	while (varjson_next(&inside, key, &byte)) {
		int64_t b;

		if (n == sizeof(bytes) || in_range(&byte, UINT8_MAX, &b) < 0)
			return -EINVAL;
		bytes[n++] = (uint8_t)b;
	}
	if (n != 4 && n != 16)
		return -EINVAL;
	c->addr = n == 4 ? addr_v4(bytes) : addr_v6(bytes);
	c->addr_bytes = (uint8_t)n;
	return 0;
}

/* --- methods --------------------------------------------------------------------------- */

struct parameter {
	const char *name;
	bool must;
	int (*read)(const struct varjson *v, struct varlink_call *c);
};

static const struct parameter hostname_parameters[] = { { "name", true, read_name },
	{ "family", false, read_family }, { "ifindex", false, read_ifindex },
	{ "flags", false, read_flags }, { 0 } };
static const struct parameter address_parameters[] = { { "address", true, read_address },
	{ "family", true, read_family }, { "ifindex", false, read_ifindex },
	{ "flags", false, read_flags }, { 0 } };
static const struct parameter record_parameters[] = { { "name", true, read_name },
	{ "class", false, read_class }, { "type", true, read_type },
	{ "ifindex", false, read_ifindex }, { "flags", false, read_flags }, { 0 } };
static const struct parameter no_parameters[] = { { 0 } };
static const struct parameter interface_parameters[] = { { "interface", true, read_name },
	{ 0 } };

static const struct method {
	const char *interface, *name;
	enum varlink_method method;
	const struct parameter *parameters;
} methods[] = {
	{ interface, "ResolveHostname", VARLINK_HOSTNAME, hostname_parameters },
	{ interface, "ResolveAddress", VARLINK_ADDRESS, address_parameters },
	{ interface, "ResolveRecord", VARLINK_RECORD, record_parameters },
	{ service, "GetInfo", VARLINK_INFO, no_parameters },
	{ service, "GetInterfaceDescription", VARLINK_DESCRIPTION, interface_parameters },
};

static int wrong(struct varlink_error *err, const char *id, const char *key,
	const char *value)
{
	*err = (struct varlink_error){ .id = id, .key = key };
	text_copy(err->value, sizeof(err->value), value);
	return 1;
}

static int wrong_parameter(struct varlink_error *err, const char *which)
{
	return wrong(err, "org.varlink.service.InvalidParameter", "parameter", which);
}

static const struct method *find_method(const char *full, struct varlink_error *err)
{
	const char *dot = strrchr(full, '.');
	size_t n = dot ? (size_t)(dot - full) : 0;
	char of[VARLINK_ID_MAX];
	bool ours = false;

	for (size_t i = 0; dot && i < ARRAY_LEN(methods); i++) {
		const struct method *m = &methods[i];

		if (strlen(m->interface) != n || strncmp(m->interface, full, n) != 0)
			continue;
		if (strcmp(m->name, dot + 1) == 0)
			return m;
		ours = true;
	}
	if (ours) {
		wrong(err, "org.varlink.service.MethodNotFound", "method", dot + 1);
		return NULL;
	}
	text_copy(of, sizeof(of), full);
	of[MIN(n, sizeof(of) - 1)] = '\0';
	wrong(err, "org.varlink.service.InterfaceNotFound", "interface", dot ? of : full);
	return NULL;
}

static const struct parameter *find_parameter(const struct parameter *list, const char *name)
{
	for (; list->name; list++)
		if (strcmp(list->name, name) == 0)
			return list;
	return NULL;
}

/* all there are, each at most once; null is as if it were not there */
static int read_parameters(const struct varjson *all, const struct parameter *list,
	struct varlink_call *c, struct varlink_error *err)
{
	struct varjson inside, v;
	char key[VARJSON_KEY_MAX];

	if (all && varjson_type(all) != VARJSON_OBJECT)
		return wrong_parameter(err, "parameters");
	inside = all ? varjson_enter(all) : (struct varjson){ .c = { .bad = true } };
	while (varjson_next(&inside, key, &v))
		if (!find_parameter(list, key))
			return wrong_parameter(err, key);
	for (; list->name; list++) {
		int r = all ? varjson_get(all, list->name, &v) : -ENOENT;

		if (r == 0 && varjson_type(&v) == VARJSON_NULL)
			r = -ENOENT;
		if (r == -ENOENT && !list->must)
			continue;
		if (r < 0 || list->read(&v, c) < 0)
			return wrong_parameter(err, list->name);
	}
	return 0;
}

/* types that are questions about something else than records (RFC 6895 3.1), and those
 * that a modern resolver is not asked for, as resolved tells them apart */
static int check_record(const struct varlink_call *c, struct varlink_error *err)
{
	static const uint16_t obsolete[] = { 3, 4, 7, 8, 9, 10, 22, 30, 31, 32, 34, 38, 40, 254,
		253 };
	const char *id = NULL;

	if (c->klass != 1)
		return wrong_parameter(err, "class");
	if (c->type == 0 || c->type == 41 || (c->type >= 249 && c->type <= 250))
		id = "io.systemd.Resolve.ResourceRecordTypeInvalidForQuery";
	if (c->type == 251 || c->type == 252)
		id = "io.systemd.Resolve.ZoneTransfersNotPermitted";
	for (size_t i = 0; i < ARRAY_LEN(obsolete); i++)
		if (c->type == obsolete[i])
			id = "io.systemd.Resolve.ResourceRecordTypeObsolete";
	return id ? wrong(err, id, NULL, "") : 0;
}

static int check(const struct varlink_call *c, struct varlink_error *err)
{
	if (c->method == VARLINK_ADDRESS) {
		if (c->family == 0)
			return wrong_parameter(err, "family");
		if (c->addr_bytes != (c->family == 4 ? 4 : 16))
			return wrong(err, "io.systemd.Resolve.BadAddressSize", NULL, "");
	}
	if (c->method == VARLINK_RECORD)
		return check_record(c, err);
	return 0;
}

static int read_flag(const struct varjson *message, const char *which, bool *out)
{
	struct varjson v;
	int r = varjson_get(message, which, &v);

	*out = false;
	if (r == -ENOENT)
		return 0;
	if (r < 0 || (varjson_type(&v) != VARJSON_TRUE && varjson_type(&v) != VARJSON_FALSE))
		return -EBADMSG;
	*out = varjson_type(&v) == VARJSON_TRUE;
	return 0;
}

int varlink_call_read(const char *text, size_t len, struct varlink_call *out,
	struct varlink_error *err)
{
	struct varjson message, name, parameters;
	struct varlink_call c = { .klass = 1 };
	char full[VARLINK_ID_MAX];
	const struct method *m;
	int has, r;

	if (varjson_open(text, len, &message) < 0 || varjson_type(&message) != VARJSON_OBJECT ||
		varjson_get(&message, "method", &name) < 0 ||
		varjson_string(&name, full, sizeof(full)) < 0 ||
		read_flag(&message, "oneway", &c.oneway) < 0)
		return -EBADMSG;
	has = varjson_get(&message, "parameters", &parameters);
	if (has < 0 && has != -ENOENT)
		return -EBADMSG;
	*out = c;
	m = find_method(full, err);
	if (!m)
		return 1;
	c.method = m->method;
	r = read_parameters(has == 0 && varjson_type(&parameters) != VARJSON_NULL ? &parameters : NULL,
		m->parameters, &c, err);
	if (r == 0)
		r = check(&c, err);
	if (r == 0)
		*out = c;
	return r;
}

int varlink_literal(const char *name, struct addr *out, const char **zone)
{
	const char *percent = strchr(name, '%');
	size_t n = percent ? (size_t)(percent - name) : strlen(name);
	char text[ADDR_TEXT_MAX];
	struct addr a;

	if (n >= sizeof(text) || (percent && !percent[1]))
		return -EINVAL;
	memcpy(text, name, n);
	text[n] = '\0';
	if (addr_parse(text, &a) < 0 || (percent && a.family != 6))
		return -EINVAL;
	*out = a;
	*zone = percent ? percent + 1 : "";
	return 0;
}
