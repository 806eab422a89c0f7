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

enum key { AS_NAME, AS_NUMBER, AS_ORGANIZATION, ASN, AUTONOMOUS_NUMBER,
	AUTONOMOUS_ORGANIZATION, CITY, CITY_NAME, CONTINENT, CONTINENT_CODE, COUNTRY,
	COUNTRY_CODE, NAME, KEYS };
static const char *const keys[KEYS] = { "as_name", "as_number", "as_organization", "asn",
	"autonomous_system_number", "autonomous_system_organization", "city", "city_name",
	"continent", "continent_code", "country", "country_code", "name" };

struct place {
	enum key key;
	const char *below[3]; /* in the map under that key */
};

static const struct place countries[] = { { COUNTRY, { "iso_code" } },
	{ COUNTRY_CODE, { 0 } }, { COUNTRY, { 0 } } };
static const struct place continents[] = { { CONTINENT, { "code" } },
	{ CONTINENT_CODE, { 0 } }, { CONTINENT, { 0 } } };
static const struct place cities[] = { { CITY, { "names", "en" } }, { CITY, { 0 } },
	{ CITY_NAME, { 0 } } };
static const enum key numbers[] = { AUTONOMOUS_NUMBER, ASN, AS_NUMBER };
static const struct place names[] = { { AUTONOMOUS_ORGANIZATION, { 0 } }, { AS_NAME, { 0 } },
	{ AS_ORGANIZATION, { 0 } }, { NAME, { 0 } } };

struct looking {
	const struct mmdb *db;
	struct mmdb_value values[KEYS];
	bool found, damaged;
};

static bool value_at(struct looking *l, const struct place *place, struct mmdb_value *out)
{
	const struct mmdb_value *v = &l->values[place->key];
	int r;

	if (!place->below[0]) {
		*out = *v;
		return v->kind != MMDB_NONE;
	}
	if (v->kind != MMDB_MAP)
		return false;
	r = mmdb_get(l->db, v->map, place->below, out);
	l->damaged = l->damaged || r == -EBADMSG;
	return r == 0;
}

/* two letters */
static void code_read(struct looking *l, const struct place *places, size_t n,
	char out[static 3])
{
	struct mmdb_value v;

	for (size_t i = 0; i < n && !out[0]; i++) {
		char code[3] = "";

		if (!value_at(l, &places[i], &v) || v.kind != MMDB_TEXT || v.len != 2)
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
static void text_read(struct looking *l, const struct place *places, size_t n, char *out,
	size_t max)
{
	struct mmdb_value v;

	for (size_t i = 0; i < n && !out[0]; i++) {
		size_t len;

		if (!value_at(l, &places[i], &v) || v.kind != MMDB_TEXT)
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
	for (size_t i = 0; i < ARRAY_LEN(numbers) && !tag->asn; i++)
		if (asn_of(&l->values[numbers[i]], &tag->asn) && tag->asn)
			l->found = true;
	if (tag->asn && !tag->as_name[0])
		text_read(l, names, ARRAY_LEN(names), tag->as_name, sizeof(tag->as_name));
}

int tag_read(const struct mmdb *db, const struct addr *a, struct geo_tag *tag)
{
	struct looking l = { .db = db };
	uint32_t record;
	int r = mmdb_find(db, a, &record);

	if (r < 0)
		return r;
	l.damaged = mmdb_read(db, record, keys, KEYS, l.values) < 0;
	code_read(&l, countries, ARRAY_LEN(countries), tag->country);
	code_read(&l, continents, ARRAY_LEN(continents), tag->continent);
	text_read(&l, cities, ARRAY_LEN(cities), tag->city, sizeof(tag->city));
	network_read(&l, tag);
	if (l.found)
		return 0;
	return l.damaged ? -EBADMSG : -ENOENT;
}
