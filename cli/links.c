/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Theory of operation. A link is a number, and up to two files of that name: networkd's, and
 * over it what resolvectl, NetworkManager or a VPN told resolved. A domain of a link is
 * asked of that link's servers; with a ~ it is not searched; "~." makes them the usual
 * servers. A link whose domains all have a ~, or that says so itself, is no place for other
 * names: its servers are put aside. */
#include "cli/links.h"

#include "base/io.h"
#include "base/macros.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 65536, DOMAINS_MAX = 32 };

static const char networkd[] = "/run/systemd/netif/links";
static const char resolved[] = "/run/systemd/resolve/netif";
static const char manager[] = "/run/NetworkManager/no-stub-resolv.conf";

struct link {
	struct upstream servers[UPSTREAMS_MAX];
	size_t nservers;
	struct {
		char name[HOST_MAX]; /* "": the root */
		bool route_only;
	} domains[DOMAINS_MAX];
	size_t ndomains;
	int usual; /* is it asked for other names too? -1: not said */
};

/* ADDRESS[:PORT][%INTERFACE][#NAME]; an address that needs its interface is left out */
static bool server_read(const char *word, struct upstream *out)
{
	char text[ADDR_TEXT_MAX + 10];
	size_t n = strcspn(word, "%#");

	if (n >= sizeof(text))
		return false;
	memcpy(text, word, n);
	text[n] = '\0';
	*out = (struct upstream){ .port = 53 };
	if (addr_parse_port(text, &out->addr, &out->port) < 0)
		return false;
	if (addr_zone(&out->addr) == ZONE_LOCALHOST || addr_zone(&out->addr) == ZONE_MULTICAST)
		return false; /* perhaps ourselves */
	return !(out->addr.family == 6 && out->addr.b[0] == 0xfe && word[n] == '%');
}

static void servers_add(struct upstream *list, size_t *n, size_t max,
	const struct upstream *u)
{
	for (size_t i = 0; i < *n; i++)
		if (upstream_equal(&list[i], u))
			return;
	if (*n < max)
		list[(*n)++] = *u;
}

static void domain_add(struct link *l, const char *word, bool route_only)
{
	if (*word == '~') {
		route_only = true;
		word++;
	}
	if (l->ndomains == DOMAINS_MAX || host_parse(word, l->domains[l->ndomains].name) < 0)
		return;
	l->domains[l->ndomains++].route_only = route_only;
}

/* KEY=WORD WORD ... ; in the order of the file a key replaces what an earlier file said */
static void line_read(struct link *l, char *line, bool *servers, bool *domains)
{
	char *value = strchr(line, '='), *save, *w;
	bool is_servers, route_only;
	struct upstream u;

	if (!value)
		return;
	*value++ = '\0';
	is_servers = strcmp(line, "DNS") == 0 || strcmp(line, "SERVERS") == 0;
	route_only = strcmp(line, "ROUTE_DOMAINS") == 0;
	if (strcmp(line, "DEFAULT_ROUTE") == 0 || strcmp(line, "DNS_DEFAULT_ROUTE") == 0)
		l->usual = strcmp(value, "yes") == 0;
	if (!is_servers && !route_only && strcmp(line, "DOMAINS") != 0)
		return;
	if (is_servers && !*servers)
		l->nservers = 0;
	if (!is_servers && !*domains)
		l->ndomains = 0;
	*(is_servers ? servers : domains) = true;
	for (w = strtok_r(value, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
		if (!is_servers)
			domain_add(l, w, route_only);
		else if (server_read(w, &u))
			servers_add(l->servers, &l->nservers, UPSTREAMS_MAX, &u);
	}
}

static void file_read(struct link *l, const char *root, const char *dir, unsigned number)
{
	char path[PATH_MAX], *save, *line;
	auto_free char *text = NULL;
	bool servers = false, domains = false;
	size_t len;

	snprintf(path, sizeof(path), "%s%s/%u", root, dir, number);
	if (io_read_file(path, FILE_MAX, &text, &len) < 0)
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		line_read(l, line, &servers, &domains);
}

static struct route *route_get(struct links *out, const char *domain)
{
	struct route *r;

	for (size_t i = 0; i < out->nroutes; i++)
		if (strcmp(out->routes[i].domain, domain) == 0)
			return &out->routes[i];
	if (out->nroutes == ROUTES_MAX)
		return NULL;
	r = realloc(out->routes, (out->nroutes + 1) * sizeof(*r));
	if (!r)
		return NULL;
	out->routes = r;
	r += out->nroutes++;
	*r = (struct route){ 0 };
	text_copy(r->domain, sizeof(r->domain), domain);
	return r;
}

static void search_add(struct links *out, const char *domain)
{
	for (size_t i = 0; i < out->nsearch; i++)
		if (strcmp(out->search[i], domain) == 0)
			return;
	if (out->nsearch < SEARCH_MAX)
		text_copy(out->search[out->nsearch++], HOST_MAX, domain);
}

static void link_add(struct links *out, const struct link *l)
{
	bool only = l->ndomains > 0, usual = false;

	for (size_t i = 0; i < l->ndomains; i++) {
		const char *name = l->domains[i].name;
		struct route *r = *name && l->nservers ? route_get(out, name) : NULL;

		usual |= !*name;
		only &= l->domains[i].route_only && *name;
		if (*name && !l->domains[i].route_only)
			search_add(out, name);
		for (size_t k = 0; r && k < l->nservers; k++)
			servers_add(r->servers, &r->n, UPSTREAMS_MAX, &l->servers[k]);
	}
	for (size_t k = 0; k < l->nservers; k++) {
		if (usual)
			servers_add(out->usual, &out->nusual, UPSTREAMS_MAX, &l->servers[k]);
		else if (l->usual == 0 || (l->usual < 0 && only))
			servers_add(out->aside, &out->naside, LINKS_MAX, &l->servers[k]);
	}
}

/* the numbers that are files there, added to list */
static void numbers_read(const char *root, const char *dir, unsigned *list, size_t *n)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s%s", root, dir);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		uint32_t number;
		size_t i = 0;

		if (text_u32(e->d_name, INT_MAX, &number) < 0)
			continue;
		while (i < *n && list[i] != number)
			i++;
		if (i == *n && *n < LINKS_MAX)
			list[(*n)++] = number;
	}
	if (d)
		closedir(d);
}

static int by_number(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

/* NetworkManager without resolved keeps no links apart, but says what to search */
static void manager_read(const char *root, struct links *out)
{
	char path[PATH_MAX], *save, *line;
	auto_free char *text = NULL;
	size_t len;

	snprintf(path, sizeof(path), "%s%s", root, manager);
	if (io_read_file(path, FILE_MAX, &text, &len) < 0)
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[HOST_MAX], *more, *w;

		if (strncmp(line, "search ", 7) != 0)
			continue;
		for (w = strtok_r(line + 7, " \t", &more); w; w = strtok_r(NULL, " \t", &more))
			if (host_parse(w, name) == 0 && *name)
				search_add(out, name);
	}
}

int links_read(const char *root, struct links *out)
{
	unsigned numbers[LINKS_MAX];
	size_t n = 0;

	memset(out, 0, sizeof(*out));
	numbers_read(root, networkd, numbers, &n);
	numbers_read(root, resolved, numbers, &n);
	qsort(numbers, n, sizeof(*numbers), by_number);
	for (size_t i = 0; i < n; i++) {
		struct link *l = calloc(1, sizeof(*l));

		if (!l)
			return -ENOMEM;
		l->usual = -1;
		file_read(l, root, networkd, numbers[i]);
		file_read(l, root, resolved, numbers[i]);
		link_add(out, l);
		free(l);
	}
	manager_read(root, out);
	return 0;
}

void links_done(struct links *l)
{
	free(l->routes);
	memset(l, 0, sizeof(*l));
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h ^= v;
	h *= 0xff51afd7ed558ccdu;
	return h ^ h >> 32;
}

static uint64_t stamp_file(uint64_t h, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return mix(h, 1);
	h = mix(h, st.st_ino);
	h = mix(h, (uint64_t)st.st_size);
	return mix(mix(h, (uint64_t)st.st_mtim.tv_sec), (uint64_t)st.st_mtim.tv_nsec);
}

uint64_t links_stamp(const char *root)
{
	static const char *const dirs[] = { networkd, resolved };
	unsigned numbers[LINKS_MAX];
	char path[PATH_MAX];
	uint64_t h = 0;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		size_t n = 0;

		numbers_read(root, dirs[i], numbers, &n);
		qsort(numbers, n, sizeof(*numbers), by_number);
		for (size_t k = 0; k < n; k++) {
			snprintf(path, sizeof(path), "%s%s/%u", root, dirs[i], numbers[k]);
			h = stamp_file(mix(h, numbers[k]), path);
		}
	}
	snprintf(path, sizeof(path), "%s%s", root, manager);
	return stamp_file(h, path);
}
