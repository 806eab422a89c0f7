/* SPDX-License-Identifier: GPL-2.0-or-later
 * coreservers.c - which servers the core's resolver asks, as the machine's networks come and
 * go, and what of it other programs read in runtime-dir/stub-resolv.conf. */
#include "base/log.h"
#include "base/text.h"
#include "cli/links.h"
#include "cli/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool uses_links(const struct conf *conf)
{
	return conf->links == LINKS_YES ||
		(conf->links == LINKS_AUTO && !conf->nupstreams && !conf->recursive);
}

static bool is_aside(const struct links *l, const struct upstream *u)
{
	for (size_t i = 0; i < l->naside; i++)
		if (upstream_equal(&l->aside[i], u))
			return true;
	return false;
}

/* the usual servers are not those that a link wants for its own domains only */
static void usual_pick(const struct links *l, struct upstream list[CONF_UPSTREAMS_MAX],
	unsigned *n)
{
	unsigned kept = 0;

	if (l->nusual) {
		*n = (unsigned)l->nusual;
		memcpy(list, l->usual, l->nusual * sizeof(*list));
		return;
	}
	for (unsigned i = 0; i < *n; i++)
		if (!is_aside(l, &list[i]))
			list[kept++] = list[i];
	*n = kept ? kept : *n;
}

static void servers_text(const struct core *c, struct text *t)
{
	const struct conf *conf = c->held->conf;
	char addr[ADDR_TEXT_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < conf->nlisten; i++) {
		if (conf->listen[i].port != 53)
			continue;
		text_addf(t, "nameserver %s\n", addr_text(&conf->listen[i].addr, addr));
		n++;
	}
	if (n == 0)
		text_add(t, "nameserver 127.0.0.53\n");
	text_addf(t, "options edns0%s\n", conf->dnssec == DNSSEC_OFF ? "" : " trust-ad");
	text_add(t, "search");
	for (unsigned i = 0; resolver_search(c->resolver, i); i++)
		text_addf(t, " %s", resolver_search(c->resolver, i));
	if (!resolver_search(c->resolver, 0))
		text_add(t, " ."); /* else the host's own domain would be searched */
	text_add(t, "\n");
}

/* Written in place: the supervisor made the file, its directory is not ours. */
static void stub_write(const struct core *c)
{
	char path[PATH_MAX], content[SEARCH_MAX * 2 * HOST_MAX + 1024];
	struct text t = text_into(content, sizeof(content));
	auto_close int fd = -1;

	snprintf(path, sizeof(path), "%s/stub-resolv.conf", c->held->conf->runtime_dir);
	text_add(&t, "# Made by scupperd: /etc/resolv.conf may be a link to this.\n");
	servers_text(c, &t);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, content, t.len, 0) != (ssize_t)t.len ||
		ftruncate(fd, (off_t)t.len) < 0)
		log_warning("%s cannot be written: %s", path, strerror(errno));
}

static bool differ(const struct core *c, const struct upstream *list, unsigned n)
{
	if (n != c->nupstreams)
		return true;
	for (unsigned i = 0; i < n; i++)
		if (!upstream_equal(&list[i], &c->upstreams[i]))
			return true;
	return false;
}

/* the servers of now; *l is the caller's to end */
static unsigned look(struct core *c, struct links *l, struct upstream list[CONF_UPSTREAMS_MAX])
{
	const struct conf *conf = c->held->conf;
	unsigned n;

	memset(l, 0, sizeof(*l));
	c->links_stamp = uses_links(conf) ? links_stamp("") : 0;
	if (uses_links(conf) && links_read("", l) < 0)
		log_warning("the servers of the links could not be read");
	n = upstreams_find(conf, list, &c->resolv_changed);
	if (!conf->nupstreams && !conf->recursive)
		usual_pick(l, list, &n);
	return n;
}

static void apply(struct core *c, const struct links *l)
{
	if (resolver_links_set(c->resolver, l->routes, l->nroutes) < 0)
		log_warning("not all routes of the links could be set up");
	resolver_search_also(c->resolver, l->search, l->nsearch);
	stub_write(c);
}

void core_servers_first(struct core *c)
{
	struct links l;

	c->nupstreams = look(c, &l, c->upstreams);
	links_done(&l);
}

void core_servers_open(struct core *c)
{
	struct upstream list[CONF_UPSTREAMS_MAX];
	struct links l;

	look(c, &l, list);
	apply(c, &l);
	links_done(&l);
}

void core_servers_tick(struct core *c)
{
	const struct conf *conf = c->held->conf;
	struct upstream list[CONF_UPSTREAMS_MAX];
	struct links l;
	unsigned n;

	if (!upstreams_stale(conf, &c->resolv_changed) &&
		(!uses_links(conf) || links_stamp("") == c->links_stamp))
		return;
	n = look(c, &l, list);
	if (differ(c, list, n)) {
		memcpy(c->upstreams, list, sizeof(list));
		c->nupstreams = n;
		resolver_upstreams_set(c->resolver, list, n);
	}
	apply(c, &l);
	log_info("the machine's DNS settings changed: %u upstreams, %zu routes of links", n,
		l.nroutes);
	links_done(&l);
}
