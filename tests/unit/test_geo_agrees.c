/* SPDX-License-Identifier: GPL-2.0-or-later
 * our reader and mmdblookup say the same of 10,000 random addresses */
#include "base/macros.h"
#include "geo/geo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { EACH = 5000 };

static unsigned seed = 1;

static uint8_t dice(void)
{
	seed = seed * 1103515245 + 12345;
	return (uint8_t)(seed >> 16);
}

/* half of them IPv6, within 2000::/4, where addresses are given out */
static struct addr random_addr(unsigned i)
{
	uint8_t b[16];

	for (unsigned k = 0; k < sizeof(b); k++)
		b[k] = dice();
	b[0] = i % 2 ? (uint8_t)(0x20 | (b[0] & 0x0f)) : b[0];
	if (i % 4 == 1) /* most of that is empty: some where it is full */
		b[0] = 0x2a;
	return i % 2 ? addr_v6(b) : addr_v4(b);
}

/* the value between quotes, or the number before its type; "" where it knows nothing */
static void theirs(FILE *from, char out[static 128])
{
	char line[512];

	out[0] = '\0';
	while (fgets(line, sizeof(line), from) && line[0] != '@') {
		char *start = strchr(line, '"'), *end = strrchr(line, '"');

		if (!start)
			start = line + strspn(line, " ") - 1, end = strstr(line, " <");
		if (!end || end <= start || start + 1 == end)
			continue;
		*end = '\0';
		snprintf(out, 128, "%s", start + 1);
	}
}

static void agrees(const char *file, const char *key, bool asn)
{
	struct geo_conf conf = { .country = asn ? NULL : file, .asn = asn ? file : NULL };
	char list[] = "/tmp/test_geo_agrees.XXXXXX", command[600], said[128], ours[128];
	unsigned known = 0, differ = 0;
	FILE *f = fdopen(mkstemp(list), "w");
	char text[ADDR_TEXT_MAX];
	struct geo *g;

	assert_non_null(f);
	assert_int_equal(geo_open(&conf, &g), 0);
	for (unsigned i = 0; i < EACH; i++) {
		struct addr a = random_addr(i);

		fprintf(f, "%s\n", addr_text(&a, text));
	}
	fclose(f);
	snprintf(command, sizeof(command), "while read a; do mmdblookup --file %s --ip $a %s "
		"2>/dev/null; echo @; done <%s", file, key, list);
	f = popen(command, "r");
	assert_non_null(f);
	seed = 1;
	for (unsigned i = 0; i < EACH; i++) {
		struct addr a = random_addr(i);
		struct geo_tag tag = { 0 };

		geo_find(g, &a, &tag);
		ours[0] = '\0';
		if (tag.asn)
			snprintf(ours, sizeof(ours), "%u", tag.asn);
		else if (!asn)
			snprintf(ours, sizeof(ours), "%s", tag.country);
		theirs(f, said);
		known += *said != '\0';
		if (strcmp(ours, said) != 0 && differ++ < 10)
			print_message("%s: here \"%s\", there \"%s\"\n",
				addr_text(&a, text), ours, said);
	}
	pclose(f);
	unlink(list);
	geo_close(g);
	print_message("%s: %d addresses, %u known, %u differ\n", file, EACH, known, differ);
	assert_int_equal(differ, 0);
	assert_true(known > EACH / 4);
}

static void country(void **state)
{
	(void)state;
	if (access("geo/country.mmdb", R_OK) < 0 || system("command -v mmdblookup >/dev/null"))
		skip();
	seed = 1;
	agrees("geo/country.mmdb", "country_code", false);
}

static void network(void **state)
{
	(void)state;
	if (access("geo/asn.mmdb", R_OK) < 0 || system("command -v mmdblookup >/dev/null"))
		skip();
	seed = 1;
	agrees("geo/asn.mmdb", "autonomous_system_number", true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(country),
		cmocka_unit_test(network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
