/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/links.h"

#include "base/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char root[] = "/tmp/scupper-links-XXXXXX";

static void put(const char *path, const char *text)
{
	char full[512], *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s/run/%s", root, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(io_mkdirs(full, 0755), 0);
	*slash = '/';
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static const struct route *route(const struct links *l, const char *domain)
{
	for (size_t i = 0; i < l->nroutes; i++)
		if (strcmp(l->routes[i].domain, domain) == 0)
			return &l->routes[i];
	return NULL;
}

static void is_server(const struct upstream *u, const char *addr, uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(&u->addr, text), addr);
	assert_int_equal(u->port, port);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void nobody_says_anything(void **state)
{
	struct links l;

	(void)state;
	assert_int_equal(links_read(root, &l), 0);
	assert_int_equal(l.nroutes + l.nusual + l.naside + l.nsearch, 0);
	links_done(&l);
	assert_true(links_stamp(root) == links_stamp(root));
}

static void each_link_its_own(void **state)
{
	const struct route *r;
	uint64_t stamp;
	struct links l;

	(void)state;
	stamp = links_stamp(root);
	put("systemd/netif/links/2", "ADMIN_STATE=configured\nDNS=192.168.1.1\n"
		"DOMAINS=home.example\nROUTE_DOMAINS=\n");
	put("systemd/netif/links/3", "DNS=10.8.0.1 10.8.0.2:5353#vpn.example fe80::1%tun0\n"
		"DOMAINS=corp.example\nROUTE_DOMAINS=10.in-addr.arpa home.example\n"
		"DNS_DEFAULT_ROUTE=no\n");
	assert_true(links_stamp(root) != stamp);
	assert_int_equal(links_read(root, &l), 0);
	r = route(&l, "corp.example");
	assert_int_equal(r->n, 2);
	is_server(&r->servers[0], "10.8.0.1", 53);
	is_server(&r->servers[1], "10.8.0.2", 5353);
	assert_false(r->configured);
	assert_int_equal(route(&l, "10.in-addr.arpa")->n, 2);
	assert_int_equal(route(&l, "home.example")->n, 3); /* of both */
	assert_int_equal(l.nsearch, 2);
	assert_string_equal(l.search[0], "home.example");
	assert_string_equal(l.search[1], "corp.example");
	assert_int_equal(l.naside, 2);
	assert_int_equal(l.nusual, 0);
	links_done(&l);
}

static void what_resolved_was_told_comes_first(void **state)
{
	uint64_t stamp;
	struct links l;

	(void)state;
	stamp = links_stamp(root);
	put("systemd/resolve/netif/3", "# private\nSERVERS=10.9.0.1 127.0.0.53\n"
		"DOMAINS=~corp.example ~.\nDEFAULT_ROUTE=yes\n");
	put("systemd/resolve/netif/x", "SERVERS=10.9.0.9\nDOMAINS=x.example\n");
	put("NetworkManager/no-stub-resolv.conf", "# Generated\nsearch nm.example home.example\n"
		"nameserver 192.168.1.1\n");
	assert_true(links_stamp(root) != stamp);
	assert_int_equal(links_read(root, &l), 0);
	assert_int_equal(route(&l, "corp.example")->n, 1);
	is_server(&route(&l, "corp.example")->servers[0], "10.9.0.1", 53);
	assert_null(route(&l, "10.in-addr.arpa"));
	assert_null(route(&l, "x.example"));
	assert_int_equal(l.nusual, 1);
	is_server(&l.usual[0], "10.9.0.1", 53);
	assert_int_equal(l.naside, 0);
	assert_int_equal(l.nsearch, 2);
	assert_string_equal(l.search[1], "nm.example");
	links_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_says_anything),
		cmocka_unit_test(each_link_its_own),
		cmocka_unit_test(what_resolved_was_told_comes_first),
	};

	return cmocka_run_group_tests(tests, make_root, drop_root);
}
