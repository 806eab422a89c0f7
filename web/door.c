/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "web/door.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "web/api.h"
#include "web/objects.h"
#include "web/users.h"
#include "who/diag.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

enum { GROUPS_MAX = 256 };

static bool addr_of(const struct sockaddr_storage *ss, struct addr *a, uint16_t *port)
{
	const struct sockaddr_in *four = (const void *)ss;
	const struct sockaddr_in6 *six = (const void *)ss;

	if (ss->ss_family == AF_INET) {
		*a = addr_v4(&four->sin_addr);
		*port = ntohs(four->sin_port);
	} else if (ss->ss_family == AF_INET6) {
		*a = addr_v6(&six->sin6_addr);
		*port = ntohs(six->sin6_port);
	} else {
		return false;
	}
	return true;
}

static bool listed(const uint32_t *uids, unsigned n, uint32_t uid)
{
	for (unsigned i = 0; i < n; i++) {
		if (uids[i] == uid)
			return true;
	}
	return false;
}

/* what the uid alone says of it */
static void set_role(const struct door *d, struct peer *p)
{
	p->admin = p->uid == 0 || listed(d->admins, d->nadmins, p->uid);
	p->allowed = p->admin || d->all_read || listed(d->readers, d->nreaders, p->uid);
}

static bool in_group(int fd, const struct ucred *who, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (group == (gid_t)-1)
		return false;
	if (who->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

void door_identify_unix(void *ctx, int fd, struct peer *out)
{
	const struct door *d = ((struct api *)ctx)->door;
	struct ucred who;
	socklen_t len = sizeof(who);

	*out = (struct peer){ .uid = UINT32_MAX };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
		len != sizeof(who) || who.uid == (uid_t)-1)
		return;
	out->uid = who.uid;
	out->pid = who.pid;
	set_role(d, out);
	if (in_group(fd, &who, d->group))
		out->admin = out->allowed = true;
}

void door_identify(void *ctx, int fd, struct peer *out)
{
	struct door *d = ((struct api *)ctx)->door;
	struct sockaddr_storage ours = { 0 }, theirs = { 0 };
	socklen_t n = sizeof(ours), m = sizeof(theirs);
	struct diag_tuple t = { .proto = IPPROTO_TCP };
	struct diag_socket s;

	*out = (struct peer){ .uid = UINT32_MAX, .tcp = true };
	if (getsockname(fd, (void *)&ours, &n) < 0 || getpeername(fd, (void *)&theirs, &m) < 0 ||
		!addr_of(&ours, &t.peer, &t.pport) || !addr_of(&theirs, &t.local, &t.lport))
		return;
	out->port = t.pport;
	/* Without an inode no process has it open, and the uid says nothing. None is found where
	 * conntrack gave the connection another source port, as for a port that a connection
	 * of another program had a moment ago: then it is closed, and the next one is fine. */
	if (!d->diag || diag_find(d->diag, &t, &s) < 0 || s.inode == 0) {
		log_debug("web: whose the connection from port %u is cannot be told", t.lport);
		return;
	}
	out->uid = s.uid;
	set_role(d, out);
	if (session_known(d->sessions, s.uid, clock_boot_ms()))
		out->allowed = true;
}

void door_listens(struct door *d, int fd)
{
	struct sockaddr_storage ours = { 0 };
	socklen_t n = sizeof(ours);
	char text[ADDR_TEXT_MAX];
	struct addr a;
	uint16_t port;

	if (d->nlistens == DOOR_LISTENS_MAX || getsockname(fd, (void *)&ours, &n) < 0 ||
		!addr_of(&ours, &a, &port))
		return;
	snprintf(d->listens[d->nlistens++], sizeof(d->listens[0]),
		a.family == 6 ? "[%s]:%u" : "%s:%u", addr_text(&a, text), port);
}

void door_state(const struct door *d, struct object_web *out,
	const char *lists[static DOOR_LISTENS_MAX])
{
	for (unsigned i = 0; i < d->nlistens; i++)
		lists[i] = d->listens[i];
	out->listens = lists;
	out->nlistens = d->nlistens;
	out->address = d->origin[0] ? d->origin : NULL;
	out->sessions = session_count(d->sessions, clock_boot_ms());
}

static const char *header(struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->mhd, MHD_HEADER_KIND, name);
}

static bool refuse(struct request *rq, const char *why)
{
	request_problem(rq, MHD_HTTP_FORBIDDEN, why);
	return false;
}

static bool is_ours(const char *said, const char *before, uint16_t port)
{
	static const char *const hosts[] = { "127.0.0.1", "[::1]", "localhost" };
	char want[64];

	for (size_t i = 0; said && i < ARRAY_LEN(hosts); i++) {
		snprintf(want, sizeof(want), "%s%s:%u", before, hosts[i], port);
		if (strcmp(said, want) == 0)
			return true;
	}
	return false;
}

struct count {
	const char *name;
	unsigned n;
};

static enum MHD_Result count_header(void *ctx, enum MHD_ValueKind kind, const char *key,
	const char *value)
{
	struct count *c = ctx;

	(void)kind;
	(void)value;
	c->n += strcasecmp(key, c->name) == 0;
	return MHD_YES;
}

/* one Host and at most one Origin: of two, which one counts? */
static bool at_most_one(struct request *rq, const char *name)
{
	struct count c = { name, 0 };

	MHD_get_connection_values(rq->mhd, MHD_HEADER_KIND, count_header, &c);
	return c.n <= 1;
}

bool door_reads(const struct request *rq)
{
	return strcmp(rq->method, "GET") == 0 || strcmp(rq->method, "HEAD") == 0;
}

bool door_headers(struct request *rq)
{
	const char *host = header(rq, MHD_HTTP_HEADER_HOST);
	const char *origin = header(rq, MHD_HTTP_HEADER_ORIGIN);
	const char *site = header(rq, "Sec-Fetch-Site");
	bool get = door_reads(rq);
	bool page = get && strncmp(rq->path, "/api/", 5) != 0;
	char want[72];

	if (!is_ours(host, "", rq->peer->port) || !at_most_one(rq, MHD_HTTP_HEADER_HOST))
		return refuse(rq, "this is not a name of ours");
	snprintf(want, sizeof(want), "http://%s", host);
	if ((origin && strcmp(origin, want) != 0) ||
		!at_most_one(rq, MHD_HTTP_HEADER_ORIGIN) || (!origin && !get))
		return refuse(rq, "only for pages of our own");
	if (site && strcmp(site, "same-origin") != 0 && !(page && strcmp(site, "none") == 0))
		return refuse(rq, "only for pages of our own");
	if (strcmp(rq->method, "OPTIONS") == 0)
		return refuse(rq, "no other page may ask here");
	if (!get && !header(rq, "X-Scupper"))
		return refuse(rq, "a change must bear the header X-Scupper");
	return true;
}

static const char *cookie(struct request *rq)
{
	char name[24];

	snprintf(name, sizeof(name), "scupper_%u", rq->peer->port);
	return MHD_lookup_connection_value(rq->mhd, MHD_COOKIE_KIND, name);
}

bool door_session(struct door *d, struct request *rq)
{
	const char *text = cookie(rq);
	bool admin;

	if (text && session_use(d->sessions, text, rq->peer->uid, clock_boot_ms(), &admin)) {
		rq->admin = admin || rq->peer->admin;
		return true;
	}
	request_problem(rq, MHD_HTTP_UNAUTHORIZED, "sign in with: scupper open");
	return false;
}

static const char *door_role(bool admin)
{
	return admin ? "admin" : "reader";
}

static bool make_secret(char out[static SESSION_TEXT])
{
	uint8_t secret[SESSION_SECRET];

	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return false;
	session_text(secret, out);
	return true;
}

/* {"uid": whose it is, "role": "admin"}: root's to say. Others get their own link, which
 * lets them do what they may do anyway. */
static bool read_whose(const struct api *a, struct request *rq, struct session_for *whose)
{
	json_t *body = request_json(rq);
	json_t *uid = json_object_get(body, "uid"), *role = json_object_get(body, "role");
	json_int_t v = uid ? json_integer_value(uid) : rq->peer->uid;
	bool good = json_is_object(body) && (!uid || json_is_integer(uid)) && v >= 0 &&
		    v < UINT32_MAX &&
		    json_object_size(body) == (size_t)((uid != NULL) + (role != NULL)) &&
		    (!role || (json_is_string(role) &&
				      strcmp(json_string_value(role), "admin") == 0));
	struct peer other = { .uid = (uint32_t)v };

	set_role(a->door, &other);
	whose->uid = other.uid;
	whose->admin = role || (other.uid == rq->peer->uid ? rq->peer->admin : other.admin);
	json_decref(body);
	if (!good)
		request_problem(rq, MHD_HTTP_BAD_REQUEST,
			"expected {}, or \"uid\": a number, or \"role\": \"admin\", or both");
	else if (rq->peer->tcp || (rq->peer->uid != 0 && (role || v != rq->peer->uid)))
		good = refuse(rq, "only root, on the control socket, may let another user in");
	return good;
}

void api_token_add(struct api *a, struct request *rq)
{
	struct session_for whose;
	char text[SESSION_TEXT], url[160];
	json_t *o;

	if (!read_whose(a, rq, &whose))
		return;
	if (!a->door->origin[0] || !make_secret(text)) {
		request_problem(rq, MHD_HTTP_CONFLICT,
			"the dashboard is not served: its address is taken (see the daemon's "
			"log) or listen=none in [web]");
		return;
	}
	token_add(a->door->sessions, text, &whose, clock_boot_ms());
	snprintf(url, sizeof(url), "%s/#t=%s", a->door->origin, text);
	o = json_object();
	json_object_set_new(o, "url", json_string(url));
	json_object_set_new(o, "token", json_string(text));
	json_object_set_new(o, "uid", json_integer(whose.uid));
	json_object_set_new(o, "role", json_string(door_role(whose.admin)));
	request_answer(rq, MHD_HTTP_CREATED, o);
}

void api_login(struct api *a, struct request *rq)
{
	static const char *const names[] = { "token" };
	struct sessions *s = a->door->sessions;
	struct session_for whose = { .uid = rq->peer->uid };
	int64_t now = clock_boot_ms();
	char text[SESSION_TEXT], set[160];
	const char *token[1];
	json_t *body;
	bool good;

	if (!rq->peer->tcp) {
		request_problem(rq, MHD_HTTP_CONFLICT, "the control socket needs no sign-in");
		return;
	}
	if (!api_body(rq, names, token, 1, &body))
		return;
	good = token_use(s, token[0], rq->peer->uid, now, &whose.admin) && make_secret(text);
	json_decref(body);
	if (!good) {
		request_problem(rq, MHD_HTTP_UNAUTHORIZED,
			"the link is used, older than a minute, or another user's: scupper open");
		return;
	}
	session_add(s, text, &whose, now);
	snprintf(set, sizeof(set), "scupper_%u=%s; Path=/; HttpOnly; SameSite=Strict",
		rq->peer->port, text);
	request_text(rq, MHD_HTTP_NO_CONTENT, NULL, NULL);
	request_header(rq, MHD_HTTP_HEADER_SET_COOKIE, set);
}

void api_logout(struct api *a, struct request *rq)
{
	char set[120];

	request_text(rq, MHD_HTTP_NO_CONTENT, NULL, NULL);
	if (!rq->peer->tcp)
		return;
	session_end(a->door->sessions, cookie(rq));
	snprintf(set, sizeof(set), "scupper_%u=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0",
		rq->peer->port);
	request_header(rq, MHD_HTTP_HEADER_SET_COOKIE, set);
}

void api_me(struct api *a, struct request *rq)
{
	const char *user = users_name(a->users, rq->peer->uid);
	json_t *o = json_object(), *limits = json_object();
	char boot[20];

	snprintf(boot, sizeof(boot), "%llx", (unsigned long long)a->boot);
	json_object_set_new(o, "uid", json_integer(rq->peer->uid));
	json_object_set_new(o, "user", user ? object_text(user) : json_null());
	json_object_set_new(o, "role", json_string(door_role(rq->admin)));
	json_object_set_new(o, "boot", json_string(boot));
	json_object_set_new(o, "version", json_string(PACKAGE_VERSION));
	json_object_set_new(limits, "body", json_integer(HTTP_BODY_MAX));
	json_object_set_new(limits, "page", json_integer(API_LIST_MAX));
	json_object_set_new(o, "limits", limits);
	request_answer(rq, MHD_HTTP_OK, o);
}
