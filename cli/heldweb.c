/* SPDX-License-Identifier: GPL-2.0-or-later
 * heldweb.c - where scupper-web is spoken to. */

#include "base/log.h"
#include "base/macros.h"
#include "cli/heldparts.h"
#include "web/session.h"
#include "who/diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONTROL_BACKLOG = 64 };

int held_open_control(struct held *h, char *why, size_t why_max)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	gid_t group = rights_group(h->conf->group);
	/* scupper-web asks the kernel who it is; the mode only spares it strangers */
	mode_t mode = h->conf->users[0] || h->conf->readers[0] ? 0666 : 0660;
	int r = 0;

	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s/control.sock",
		    h->conf->runtime_dir) >= (int)sizeof(at.sun_path)) {
		snprintf(why, why_max, "runtime-dir=%s is too long for a socket's path",
			h->conf->runtime_dir);
		return -ENAMETOOLONG;
	}
	h->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->control < 0)
		return -errno;
	unlink(at.sun_path);
	if (bind(h->control, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		chmod(at.sun_path, mode) < 0 ||
		(group != (gid_t)-1 && chown(at.sun_path, 0, group) < 0) ||
		listen(h->control, CONTROL_BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		snprintf(why, why_max, "cannot open %s: %s", at.sun_path, strerror(-r));
	return r;
}

static int web_socket(const struct held *h, const struct conf_at *at)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(at->port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(at->port) };
	bool v6 = at->addr.family == 6;
	uint32_t mark = instance_mark(&h->instance, ACTOR_SELF);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, r = 0;

	if (fd < 0)
		return -errno;
	memcpy(&four.sin_addr, at->addr.b, 4);
	memcpy(&six.sin6_addr, at->addr.b, 16);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if ((v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
		(h->who && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0) ||
		bind(fd, v6 ? (void *)&six : (void *)&four, v6 ? sizeof(six) : sizeof(four)) < 0 ||
		listen(fd, CONTROL_BACKLOG) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* where the dashboard is to be */
unsigned held_web_places(const struct conf *c, const struct conf_at **out)
{
	static const struct conf_at usual[] = { { { 4, { 127, 0, 0, 1 } }, 7531 },
		{ { 6, { [15] = 1 } }, 7531 } };

	*out = c->nweb ? c->web : usual;
	return c->web_none ? 0 : c->nweb ? c->nweb : ARRAY_LEN(usual);
}

/* Written by scupper-web alone. One that dies in the middle of a change leaves at most a
 * session whose secret it told nobody. */
static struct sessions *open_sessions(void)
{
	void *p = mmap(NULL, sizeof(struct sessions), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A taken port costs the dashboard, never the gate. */
void held_open_web(struct held *h)
{
	const struct conf_at *list;
	unsigned n = held_web_places(h->conf, &list);

	for (unsigned i = 0; i < n; i++) {
		char addr[ADDR_TEXT_MAX], holder[128] = "";
		int fd = web_socket(h, &list[i]);

		addr_text(&list[i].addr, addr);
		if (fd >= 0) {
			if (!h->nweb)
				snprintf(h->origin, sizeof(h->origin),
					list[i].addr.family == 6 ? "http://[%s]:%u"
								 : "http://%s:%u",
					addr, list[i].port);
			h->web[h->nweb++] = fd;
			continue;
		}
		if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT)
			continue; /* no IPv6 here */
		if (fd == -EADDRINUSE)
			diag_listener(&list[i].addr, list[i].port, IPPROTO_TCP, holder,
				sizeof(holder));
		log_warning("no dashboard at %s port %u: %s%s%s", addr, list[i].port,
			strerror(-fd), holder[0] ? ", taken by " : "", holder);
	}
	h->sessions = h->nweb ? open_sessions() : NULL;
}
