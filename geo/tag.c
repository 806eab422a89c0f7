/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The same facts stand under different keys: GeoLite2 nests them and names cities by
 * language, DB-IP's and others' free files are flat. Each fact is looked for where it may
 * be, the first that is well-formed counts. */
#include "geo/tag.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

enum { KEYS_MAX = 4 };
typedef const char *const key_path[KEYS_MAX];

static key_path countries[] = { { "country", "iso_code" }, { "country_code" },
	{ "country" } };
static key_path continents[] = { { "continent", "code" }, { "continent_code" },
	{ "continent" } };
static key_path cities[] = { { "city", "names", "en" }, { "city" }, { "city_name" } };
static key_path numbers[] = { { "autonomous_system_number" }, { "asn" }, { "as_number" } };
static key_path names[] = { { "autonomous_system_organization" }, { "as_name" },
	{ "as_organization" }, { "name" } };

struct looking {
	const struct mmdb *db;
	uint32_t record;
	bool found, damaged;
};

static bool value_at(struct looking *l, const key_path *path, struct mmdb_value *out)
{
	int r = mmdb_get(l->db, l->record, *path, out);

	l->damaged = l->damaged || r == -EBADMSG;
	return r == 0;
}

/* two letters */
static void code_read(struct looking *l, const key_path *paths, size_t n, char out[static 3])
{
	struct mmdb_value v;

	for (size_t i = 0; i < n && !out[0]; i++) {
		char code[3] = "";

		if (!value_at(l, &paths[i], &v) || v.kind != MMDB_TEXT || v.len != 2)
			continue;
		for (unsigned k = 0; k < 2; k++) {
			char c = v.text[k];

			code[k] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
		}
		if (code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z')
			continue;
		memcpy(out, code, 3);
		l->found = true;
	}
}

/* cut to fit, but not within a character of UTF-8; a NUL ends it */
static void text_read(struct looking *l, const key_path *paths, size_t n, char *out,
	size_t max)
{
	struct mmdb_value v;

	for (size_t i = 0; i < n && !out[0]; i++) {
		size_t len;

		if (!value_at(l, &paths[i], &v) || v.kind != MMDB_TEXT)
			continue;
		len = strnlen(v.text, v.len);
		if (len >= max)
			for (len = max - 1; len > 0 && (v.text[len] & 0xc0) == 0x80;)
				len--;
		memcpy(out, v.text, len);
		out[len] = '\0';
		l->found = l->found || len > 0;
	}
}

/* 13335, or the text "AS13335" */
static bool asn_of(const struct mmdb_value *v, uint32_t *out)
{
	char digits[16];
	size_t skip = v->kind == MMDB_TEXT && v->len > 2 && memcmp(v->text, "AS", 2) == 0 ? 2 : 0;

	if (v->kind == MMDB_NUMBER && v->number <= UINT32_MAX) {
		*out = (uint32_t)v->number;
		return true;
	}
	if (v->kind != MMDB_TEXT || v->len - skip >= sizeof(digits))
		return false;
	memcpy(digits, v->text + skip, v->len - skip);
	digits[v->len - skip] = '\0';
	return text_u32(digits, UINT32_MAX, out) == 0;
}

static void network_read(struct looking *l, struct geo_tag *tag)
{
	struct mmdb_value v;

	for (size_t i = 0; i < ARRAY_LEN(numbers) && !tag->asn; i++)
		if (value_at(l, &numbers[i], &v) && asn_of(&v, &tag->asn) && tag->asn)
			l->found = true;
	if (tag->asn && !tag->as_name[0])
		text_read(l, names, ARRAY_LEN(names), tag->as_name, sizeof(tag->as_name));
}

int tag_read(const struct mmdb *db, const struct addr *a, struct geo_tag *tag)
{
	struct looking l = { .db = db };
	int r = mmdb_find(db, a, &l.record);

	if (r < 0)
		return r;
	code_read(&l, countries, ARRAY_LEN(countries), tag->country);
	code_read(&l, continents, ARRAY_LEN(continents), tag->continent);
	text_read(&l, cities, ARRAY_LEN(cities), tag->city, sizeof(tag->city));
	network_read(&l, tag);
	if (l.found)
		return 0;
	return l.damaged ? -EBADMSG : -ENOENT;
}
