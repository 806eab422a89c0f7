/* SPDX-License-Identifier: GPL-2.0-or-later
 * which of the places a database may stand in is taken */
#include "cli/atlas.h"
#include "base/io.h"
#include "base/macros.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static void touch(const char *dir, const char *name)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s%s", root, dir);
	assert_int_equal(io_mkdirs(path, 0700), 0);
	snprintf(path, sizeof(path), "%s%s/%s", root, dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void found(enum geo_kind kind, const char *configured, const char *want)
{
	char out[CONF_PATH_MAX], full[CONF_PATH_MAX] = "";

	atlas_find(kind, configured, root, out);
	if (*want)
		snprintf(full, sizeof(full), "%s%s", *configured ? "" : root, want);
	assert_string_equal(out, full);
}

/* from the last place to the first: each one found goes before those behind it */
static void places(void **state)
{
	char command[100];

	(void)state;
	snprintf(root, sizeof(root), "/tmp/test_atlas.XXXXXX");
	assert_non_null(mkdtemp(root));
	found(GEO_COUNTRY, "", "");
	touch(SCUPPER_DATADIR, "country.mmdb");
	found(GEO_COUNTRY, "", SCUPPER_DATADIR "/country.mmdb");
	found(GEO_ASN, "", "");
	touch("/var/lib/GeoIP", "GeoLite2-Country.mmdb");
	found(GEO_COUNTRY, "", "/var/lib/GeoIP/GeoLite2-Country.mmdb");
	touch("/usr/share/GeoIP", "GeoLite2-Country.mmdb");
	found(GEO_COUNTRY, "", "/usr/share/GeoIP/GeoLite2-Country.mmdb");
	touch("/usr/share/GeoIP", "GeoLite2-ASN.mmdb");
	found(GEO_ASN, "", "/usr/share/GeoIP/GeoLite2-ASN.mmdb");
	found(GEO_CITY, "", "");
	/* what is configured is taken, there or not: geo/ says when it is not */
	found(GEO_COUNTRY, "/etc/none.mmdb", "/etc/none.mmdb");
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
