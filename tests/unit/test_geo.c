/* SPDX-License-Identifier: GPL-2.0-or-later
 * databases as they are laid out, as they change, and as they are damaged */
#include "geo/geo.h"
#include "base/io.h"
#include "base/macros.h"
#include "geo/tag.h"
#include "geo_files.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static int open_bytes(const void *bytes, size_t len, struct mmdb *out)
{
	auto_close int fd = geo_file_fd(bytes, len);

	return mmdb_open(fd, len, out);
}

/* 0 and the tag, or why not */
static int look(const void *bytes, size_t len, const char *at, struct geo_tag *out)
{
	struct addr a = addr(at);
	struct mmdb db;
	int r = open_bytes(bytes, len, &db);

	*out = (struct geo_tag){ 0 };
	if (r < 0)
		return r;
	r = tag_read(&db, &a, out);
	mmdb_close(&db);
	return r;
}

#define A31 "aaaaaaaaaabbbbbbbbbbccccccccccd"
#define A62 A31 A31

static void layouts(void **state)
{
	static const struct {
		const char *why, *facts, *country, *continent, *city, *as_name;
		uint32_t asn;
	} cases[] = {
		{ "GeoLite2-Country", "continent.code=EU country.iso_code=NL", "NL", "EU", "",
			"", 0 },
		{ "GeoLite2-City", "city.names.en=Amsterdam country.iso_code=NL", "NL", "",
			"Amsterdam", "", 0 },
		{ "GeoLite2-ASN", "autonomous_system_number=#13335 "
			"autonomous_system_organization=Cloudflare", "", "", "", "Cloudflare",
			13335 },
		{ "DB-IP country", "country_code=NL", "NL", "", "", "", 0 },
		{ "DB-IP city", "city=Amsterdam country_code=NL", "NL", "", "Amsterdam", "",
			0 },
		{ "IPinfo", "country=nl continent=EU asn=AS1136 as_name=KPN", "NL", "EU", "",
			"KPN", 1136 },
		{ "a 32-bit number", "autonomous_system_number=#4294967295", "", "", "", "",
			4294967295u },
		{ "no number, no name", "as_name=KPN country=NL", "NL", "", "", "", 0 },
		{ "no country's code", "country_code=Netherlands", NULL, 0, 0, 0, 0 },
		{ "letters only", "country_code=N1", NULL, 0, 0, 0, 0 },
		{ "nothing of ours", "postal=1012", NULL, 0, 0, 0, 0 },
		{ "a country as a number", "country_code=#12", NULL, 0, 0, 0, 0 },
		{ "a long name is cut between characters",
			"asn=#1 as_name=" A62 "é", "", "", "", A62, 1 },
	};
	static const unsigned bits[] = { 24, 28, 32 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t b = 0; b < ARRAY_LEN(bits); b++) {
			const char *ranges[][2] = { { "192.0.2.0-192.0.2.77", "x=y" },
				{ "192.0.2.8-192.0.2.8", cases[i].facts } };
			size_t len;
			auto_free uint8_t *bytes = geo_file_bytes(6, bits[b], ranges, 2, &len);
			struct geo_tag tag;
			int r = look(bytes, len, "192.0.2.8", &tag);

			print_message("%s\n", cases[i].why);
			if (!cases[i].country) {
				assert_int_equal(r, -ENOENT);
				continue;
			}
			assert_int_equal(r, 0);
			assert_string_equal(tag.country, cases[i].country);
			assert_string_equal(tag.continent, cases[i].continent);
			assert_string_equal(tag.city, cases[i].city);
			assert_string_equal(tag.as_name, cases[i].as_name);
			assert_int_equal(tag.asn, cases[i].asn);
		}
	}
}

static const char *const world[][2] = {
	{ "192.0.2.0-192.0.2.77", "country_code=NL" },
	{ "198.51.100.0-203.0.113.255", "country_code=DE" },
	{ "198.51.100.7-198.51.100.7", "country_code=FR" },
	{ "255.0.0.0-255.255.255.255", "country_code=US" },
	{ "2001:db8::-2001:db8::ffff", "country_code=JP" },
	{ "2001:db8::8000-2001:db8:1::", "country_code=AU" },
};

static void places(void **state)
{
	static const struct {
		const char *addr, *country; /* "": nothing */
		bool four;                  /* so in an IPv4 file too */
	} cases[] = {
		{ "192.0.1.255", "", true }, { "192.0.2.0", "NL", true },
		{ "192.0.2.77", "NL", true }, { "192.0.2.78", "", true },
		{ "198.51.100.6", "DE", true }, { "198.51.100.7", "FR", true },
		{ "198.51.100.8", "DE", true }, { "203.0.113.255", "DE", true },
		{ "203.0.114.0", "", true }, { "255.255.255.255", "US", true },
		{ "0.0.0.0", "", true }, { "2001:db8::", "JP", false },
		{ "2001:db8::7fff", "JP", false }, { "2001:db8::8000", "AU", false },
		{ "2001:db8:1::", "AU", false }, { "2001:db8:1::1", "", false },
		{ "::", "", false }, { "ffff::", "", false },
		{ "::192.0.2.1", "NL", false }, /* that is where IPv4 stands */
	};
	static const unsigned bits[] = { 24, 28, 32 };

	(void)state;
	for (size_t b = 0; b < ARRAY_LEN(bits); b++) {
		size_t len6, len4;
		auto_free uint8_t *six = geo_file_bytes(6, bits[b], world, 6, &len6);
		auto_free uint8_t *four = geo_file_bytes(4, bits[b], world, 4, &len4);

		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			const char *want = cases[i].country;
			struct geo_tag tag;

			print_message("%u bits: %s\n", bits[b], cases[i].addr);
			assert_int_equal(look(six, len6, cases[i].addr, &tag),
				*want ? 0 : -ENOENT);
			assert_string_equal(tag.country, want);
			if (!cases[i].four)
				want = "";
			assert_int_equal(look(four, len4, cases[i].addr, &tag),
				*want ? 0 : -ENOENT);
			assert_string_equal(tag.country, want);
		}
	}
}

/* places beyond 24 bits, of which a 28-bit node keeps the top in one byte for both sides */
static void far_values(void **state)
{
	static const unsigned bits[] = { 28, 32 };
	enum { PAD = 17 << 20 };
	auto_free uint8_t *pad = calloc(1, PAD);

	(void)state;
	for (size_t b = 0; b < ARRAY_LEN(bits); b++) {
		struct writer_about about = { .type = "Far", .description = "", .built_s = 1,
			.record_bits = bits[b] };
		struct addr ends[] = { addr("192.0.2.0"), addr("192.0.2.127"),
			addr("192.0.2.128"), addr("192.0.2.255") };
		static const char *const facts[] = { "country_code=NL", "country_code=DE" };
		struct writer *w = writer_new(6);
		auto_free uint8_t *bytes = NULL;
		struct geo_tag tag;
		size_t len;

		for (unsigned i = 0; i < 2; i++) {
			uint32_t value;

			writer_raw(w, pad, PAD);
			value = writer_here(w);
			geo_value(w, facts[i]);
			writer_range(w, &ends[2 * i], &ends[2 * i + 1], value);
		}
		assert_int_equal(writer_finish(w, &about, &bytes, &len), 0);
		writer_free(w);
		assert_int_equal(look(bytes, len, "192.0.2.1", &tag), 0);
		assert_string_equal(tag.country, "NL");
		assert_int_equal(look(bytes, len, "192.0.2.200", &tag), 0);
		assert_string_equal(tag.country, "DE");
	}
}

/* however it is damaged: an answer or an error, and never a read beyond its bytes */
static void ask_all(const uint8_t *bytes, size_t len)
{
	static const char *const addrs[] = { "0.0.0.0", "192.0.2.8", "198.51.100.7",
		"255.255.255.255", "::", "2001:db8::1", "ffff::1" };
	struct mmdb db;

	if (open_bytes(bytes, len, &db) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
		struct addr a = addr(addrs[i]);
		struct geo_tag tag = { 0 };
		int r = tag_read(&db, &a, &tag);

		assert_true(r == 0 || r == -ENOENT || r == -EBADMSG);
		assert_true(memchr(tag.as_name, '\0', sizeof(tag.as_name)) != NULL);
		assert_true(memchr(tag.city, '\0', sizeof(tag.city)) != NULL);
	}
	mmdb_close(&db);
}

static void truncated(void **state)
{
	size_t len;
	auto_free uint8_t *bytes = geo_file_bytes(6, 24, world, 6, &len);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		struct mmdb db;

		assert_int_equal(open_bytes(bytes, cut, &db), -EBADMSG);
		ask_all(bytes + len - cut, cut); /* the head is missing */
	}
}

static void flipped(void **state)
{
	size_t len;
	auto_free uint8_t *bytes = geo_file_bytes(6, 28, world, 6, &len);
	auto_free uint8_t *exact = malloc(len);

	(void)state;
	memcpy(exact, bytes, len);
	for (size_t i = 0; i < len; i++) {
		/* the tree is long and all alike: every 13th byte of it */
		if (i < 5000 && i % 13)
			continue;
		for (unsigned bit = 0; bit < 8; bit++) {
			exact[i] ^= (uint8_t)(1 << bit);
			ask_all(exact, len);
			exact[i] = bytes[i];
		}
		exact[i] = 0xff;
		ask_all(exact, len);
		exact[i] = bytes[i];
	}
}

/* values that lead round in circles, or deeper than any stack, or to each other */
static void crafted(void **state)
{
	enum { DEEP = 1000000 };
	static const struct {
		const char *why;
		const char *bytes;
		size_t len, times;
		int want;
	} cases[] = {
		{ "maps in maps in maps", "\xe1\x40", 2, DEEP, -EBADMSG },
		{ "lists in lists", "\xe1\x41z\x01\x04\x01\x04", 7, DEEP, -EBADMSG },
		{ "a pointer to a pointer", "\x20\x00", 2, 1, -EBADMSG },
		{ "a map that is its own value", "\xe1\x47" "country\x20\x00", 11, 1, -ENOENT },
		{ "a key that is no text", "\xe1\xa1\x01\xa1\x01", 5, 1, -EBADMSG },
		{ "more pairs than bytes", "\xff\xff\xff\xff\x41z\x41z", 8, 1, -EBADMSG },
		{ "a text longer than the file", "\xe1\x4c" "country_code\x5f\xff\xff\xff", 18,
			1, -EBADMSG },
		{ "a number of nine bytes", "\xe1\x43" "asn\x09\x02" "aaaaaaaaa", 16, 1,
			-EBADMSG },
		{ "no map", "\x42NL", 3, 1, -ENOENT },
		{ "a type that is none", "\x00\x77", 2, 1, -ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct writer_about about = { .type = "Crafted", .description = "",
			.built_s = 1 };
		struct writer *w = writer_new(6);
		struct addr lo = addr("192.0.2.0"), hi = addr("192.0.2.255");
		auto_free uint8_t *bytes = NULL;
		struct geo_tag tag;
		size_t len;

		print_message("%s\n", cases[i].why);
		for (size_t k = 0; k < cases[i].times; k++)
			writer_raw(w, cases[i].bytes, cases[i].len);
		writer_range(w, &lo, &hi, 0);
		assert_int_equal(writer_finish(w, &about, &bytes, &len), 0);
		writer_free(w);
		assert_int_equal(look(bytes, len, "192.0.2.1", &tag), cases[i].want);
	}
}

/* the same of the map that describes the file, by pairs that are put before its others */
struct pair {
	uint8_t bytes[120 * 1024];
	size_t len;
	bool two;
};

static void add(struct pair *p, const void *bytes, size_t len, size_t times)
{
	for (; times > 0; times--, p->len += len) {
		assert_true(len <= sizeof(p->bytes) - p->len);
		memcpy(p->bytes + p->len, bytes, len);
	}
}

static void deep_maps(struct pair *p)
{
	add(p, "\x41z", 2, 1);
	add(p, "\xe1\x40", 2, 55000);
	add(p, "\x40", 1, 1);
}

static void deep_lists(struct pair *p)
{
	add(p, "\x41z", 2, 1);
	add(p, "\x01\x04", 2, 55000);
	add(p, "\x40", 1, 1);
}

/* each list holds the next one twice: 2^40 values in all */
static void lists_by_pointers(struct pair *p)
{
	enum { LEVELS = 40 };

	add(p, "\x49languages\x02\x04", 12, 1);
	for (unsigned i = 0; i < LEVELS; i++) {
		/* one byte of the map is before us; further levels are behind these two */
		size_t next = 1 + p->len + 4 + (i == 0 ? 4 : 0);
		uint8_t pointer[] = { (uint8_t)(0x20 | next >> 8), (uint8_t)next };

		add(p, pointer, 2, 2);
		if (i == 0) /* as the value of another key, of type bytes */
			add(p, (const uint8_t[]){ 0x41, 'z', 0x9d, (LEVELS - 1) * 6 + 2 - 29 },
				4, 1);
		add(p, i + 1 < LEVELS ? "\x02\x04" : "\x00\x04", 2, 1);
	}
	p->two = true;
}

/* times six, the size of a node, and 16 more: 12 in 32 bits */
static void many_nodes(struct pair *p)
{
	add(p, "\x4anode_count\xc4\x2a\xaa\xaa\xaa", 16, 1);
}

static void list_of_many(struct pair *p)
{
	add(p, "\x49languages\x1f\x04\xff\xff\xff", 15, 1);
}

static void description_that_is_none(struct pair *p)
{
	add(p, "\x4b" "description\xa1\xa1\xa1", 15, 1);
}

static void crafted_metadata(void **state)
{
	static const struct {
		const char *why;
		void (*pair)(struct pair *p);
		int want;
	} cases[] = {
		{ "maps in maps in maps", deep_maps, -EBADMSG },
		{ "lists in lists in lists", deep_lists, -EBADMSG },
		{ "lists by pointers, twice each", lists_by_pointers, -EBADMSG },
		{ "more nodes than 32 bits of bytes", many_nodes, -EBADMSG },
		{ "a list longer than the file", list_of_many, -EBADMSG },
		{ "a description that is a number", description_that_is_none, -EBADMSG },
	};
	static const char marker[] = "\xab\xcd\xefMaxMind.com";
	size_t len;
	auto_free uint8_t *bytes = geo_file_bytes(6, 24, world, 6, &len);
	uint8_t *head = memmem(bytes, len, marker, sizeof(marker) - 1);

	(void)state;
	assert_non_null(head);
	head += sizeof(marker) - 1;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free struct pair *p = calloc(1, sizeof(*p));
		auto_free uint8_t *all = malloc(len + sizeof(p->bytes));
		size_t before = (size_t)(head + 1 - bytes);
		struct geo_tag tag;

		print_message("%s\n", cases[i].why);
		cases[i].pair(p);
		memcpy(all, bytes, before);
		all[before - 1] += p->two ? 2 : 1; /* that many pairs more in the map */
		memcpy(all + before, p->bytes, p->len);
		memcpy(all + before + p->len, head + 1, len - before);
		assert_int_equal(look(all, len + p->len, "192.0.2.1", &tag), cases[i].want);
	}
	/* no more of it than its marker, up to the end of a page */
	for (size_t more = 0; more < 4; more++) {
		auto_free uint8_t *page = calloc(1, 4096);
		struct geo_tag tag;

		memcpy(page + 4096 - more - (sizeof(marker) - 1), marker, sizeof(marker) - 1);
		memset(page + 4096 - more, 0xff, more);
		assert_int_equal(look(page, 4096, "192.0.2.1", &tag), -EBADMSG);
	}
}

static void continents(void **state)
{
	static const struct {
		const char *country, *continent;
	} cases[] = {
		{ "NL", "EU" }, { "US", "NA" }, { "AU", "OC" }, { "JP", "AS" }, { "BR", "SA" },
		{ "ZA", "AF" }, { "AQ", "AN" }, { "AO", "AF" }, { "ZW", "AF" }, { "WS", "OC" },
		{ "VE", "SA" }, { "XX", "" }, { "", "" }, { "NLD", "" }, { "O ", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(geo_continent(cases[i].country), cases[i].continent);
}

/* --- files --------------------------------------------------------------------------------- */

static char dir[128], country_path[200], asn_path[200];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_geo.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(country_path, sizeof(country_path), "%s/country.mmdb", dir);
	snprintf(asn_path, sizeof(asn_path), "%s/asn.mmdb", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(country_path);
	unlink(asn_path);
	return rmdir(dir);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	char new[300];
	int fd;

	snprintf(new, sizeof(new), "%s.new", path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, bytes, len), 0);
	close(fd);
	assert_int_equal(rename(new, path), 0);
}

static void write_facts(const char *path, const char *facts)
{
	const char *ranges[][2] = { { "192.0.2.0-192.0.2.255", facts } };
	size_t len;
	auto_free uint8_t *bytes = geo_file_bytes(6, 0, ranges, 1, &len);

	write_file(path, bytes, len);
}

static const char *country_of(const struct geo *g)
{
	static struct geo_tag tag;
	struct addr a = addr("192.0.2.1");

	return geo_find(g, &a, &tag) == 0 ? tag.country : "";
}

static void two_files(void **state)
{
	struct geo_conf conf = { .country = country_path, .asn = asn_path };
	struct addr a = addr("192.0.2.1"), other = addr("192.0.3.1");
	struct geo_tag tag, before;
	struct geo *g;
	char text[400];

	(void)state;
	write_facts(country_path, "country_code=NL");
	write_facts(asn_path, "country_code=DE asn=#13335 as_name=Cloudflare");
	assert_int_equal(geo_open(&conf, &g), 0);
	assert_int_equal(geo_find(g, &a, &tag), 0);
	assert_string_equal(tag.country, "NL"); /* the country file's word goes before */
	assert_string_equal(tag.continent, "EU");
	assert_int_equal(tag.asn, 13335);
	assert_string_equal(tag.as_name, "Cloudflare");
	before = tag;
	assert_int_equal(geo_find(g, &other, &tag), -ENOENT);
	assert_memory_equal(&tag, &before, sizeof(tag));
	assert_int_equal(geo_find(NULL, &a, &tag), -ENOENT);
	geo_file_text(g, GEO_COUNTRY, text, sizeof(text));
	assert_non_null(strstr(text, "/country.mmdb (built 2026-06-01)"));
	geo_file_text(g, GEO_CITY, text, sizeof(text));
	assert_string_equal(text, "");
	geo_close(g);
}

static void changes(void **state)
{
	struct geo_conf conf = { .country = country_path };
	struct geo_file f;
	struct geo *g;
	char text[400];

	(void)state;
	unlink(country_path);
	assert_int_equal(geo_open(&conf, &g), 0);
	geo_file(g, GEO_COUNTRY, &f);
	assert_int_equal(f.error, -ENOENT);
	assert_false(f.open);
	assert_false(geo_check(g)); /* still missing is no news */

	write_facts(country_path, "country_code=NL");
	assert_true(geo_check(g));
	assert_string_equal(country_of(g), "NL");
	assert_false(geo_check(g));

	write_facts(country_path, "country_code=DE");
	assert_string_equal(country_of(g), "NL");
	assert_true(geo_check(g));
	assert_string_equal(country_of(g), "DE");

	write_file(country_path, "no database", 11);
	assert_true(geo_check(g));
	assert_string_equal(country_of(g), "DE");
	geo_file(g, GEO_COUNTRY, &f);
	assert_int_equal(f.error, -EBADMSG);
	assert_true(f.open);
	geo_file_text(g, GEO_COUNTRY, text, sizeof(text));
	assert_non_null(strstr(text, "still serves"));
	assert_false(geo_check(g));

	unlink(country_path);
	assert_true(geo_check(g));
	assert_string_equal(country_of(g), "DE");

	write_facts(country_path, "country_code=FR");
	assert_true(geo_check(g));
	assert_string_equal(country_of(g), "FR");
	geo_file(g, GEO_COUNTRY, &f);
	assert_int_equal(f.error, 0);
	geo_close(g);
}

/* a file that is written over in place harms nobody who reads it */
static void overwritten(void **state)
{
	struct geo_conf conf = { .country = country_path };
	struct geo *g;

	(void)state;
	write_facts(country_path, "country_code=NL");
	assert_int_equal(geo_open(&conf, &g), 0);
	assert_int_equal(truncate(country_path, 0), 0);
	assert_string_equal(country_of(g), "NL");
	assert_true(geo_check(g));
	assert_string_equal(country_of(g), "NL");
	geo_close(g);
}

static void no_files(void **state)
{
	struct geo_conf none = { 0 }, fifo = { .country = country_path };
	struct geo_file f;
	struct geo *g;

	(void)state;
	assert_int_equal(geo_open(&none, &g), 0);
	assert_string_equal(country_of(g), "");
	assert_false(geo_check(g));
	geo_close(g);
	unlink(country_path);
	assert_int_equal(mkfifo(country_path, 0600), 0);
	assert_int_equal(geo_open(&fifo, &g), 0); /* and does not wait for a writer */
	geo_file(g, GEO_COUNTRY, &f);
	assert_int_equal(f.error, -EINVAL);
	geo_close(g);
	unlink(country_path);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts),
		cmocka_unit_test(places),
		cmocka_unit_test(far_values),
		cmocka_unit_test(truncated),
		cmocka_unit_test(flipped),
		cmocka_unit_test(crafted),
		cmocka_unit_test(crafted_metadata),
		cmocka_unit_test(continents),
		cmocka_unit_test(two_files),
		cmocka_unit_test(changes),
		cmocka_unit_test(overwritten),
		cmocka_unit_test(no_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
