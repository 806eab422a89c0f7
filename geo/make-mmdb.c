/* SPDX-License-Identifier: GPL-2.0-or-later
 * make-mmdb - a database in the MaxMind format from CSV files of address ranges.
 *	make-mmdb asn OUT CSV...       FIRST,LAST,NUMBER,NAME  keys as GeoLite2-ASN has them
 *	make-mmdb country OUT CSV...   FIRST,LAST,CC           country_code, as DB-IP has it
 * The build date is $SOURCE_DATE_EPOCH, else that of the newest CSV file. */
#include "base/io.h"
#include "base/macros.h"
#include "base/text.h"
#include "geo/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CSV_MAX = 256 << 20, FIELDS_MAX = 4, NAME_MAX_BYTES = 200, SLOTS = 1 << 20 };

/* the value of each distinct (number, name): many ranges share one */
struct slot {
	uint64_t hash;
	uint32_t value;
	bool used;
};

struct maker {
	struct writer *w;
	struct slot *slots;
	size_t nslots;
	bool asn;
	uint32_t key_number, key_name, key_country; /* the keys' text, pointed to by all */
	int64_t newest_s;
	unsigned long ranges, skipped;
};

static uint64_t hash_of(const char *const fields[], size_t n)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < n; i++)
		for (const char *p = fields[i];; p++) {
			h = (h ^ (uint8_t)*p) * 1099511628211u;
			if (!*p)
				break;
		}
	return h;
}

/* 64 bits of hash stand for the text: two of 100,000 meet once in a billion builds */
static struct slot *slot_of(struct maker *m, uint64_t hash)
{
	size_t i = hash % SLOTS;

	while (m->slots[i].used && m->slots[i].hash != hash)
		i = (i + 1) % SLOTS;
	return &m->slots[i];
}

static void value_put(struct maker *m, const char *const fields[])
{
	uint32_t asn = 0;

	if (!m->asn) {
		writer_map(m->w, 1);
		writer_pointer(m->w, m->key_country);
		writer_text(m->w, fields[0], strlen(fields[0]));
		return;
	}
	text_u32(fields[0], UINT32_MAX, &asn);
	writer_map(m->w, 2);
	writer_pointer(m->w, m->key_number);
	writer_u32(m->w, asn);
	writer_pointer(m->w, m->key_name);
	writer_text(m->w, fields[1], strnlen(fields[1], NAME_MAX_BYTES));
}

static bool fields_good(const struct maker *m, const char *const fields[])
{
	uint32_t asn;

	if (m->asn)
		return text_u32(fields[0], UINT32_MAX, &asn) == 0 && asn;
	return strlen(fields[0]) == 2;
}

static bool row(struct maker *m, char *const fields[])
{
	const char *const about[] = { fields[2], fields[3] };
	struct addr lo, hi;
	struct slot *s;

	if (addr_parse(fields[0], &lo) < 0 || addr_parse(fields[1], &hi) < 0 ||
		!fields_good(m, about))
		return false;
	s = slot_of(m, hash_of(about, m->asn ? 2 : 1));
	if (!s->used) {
		if (++m->nslots > SLOTS / 2)
			return false;
		*s = (struct slot){ hash_of(about, m->asn ? 2 : 1), writer_here(m->w), true };
		value_put(m, about);
	}
	return writer_range(m->w, &lo, &hi, s->value) == 0;
}

/* RFC 4180, within one line: cuts it in place; what is missing is "" */
static void cut(char *line, char *fields[FIELDS_MAX])
{
	char *p = line;

	for (unsigned i = 0; i < FIELDS_MAX; i++) {
		bool quoted = *p == '"';
		char *to = p + quoted;

		fields[i] = to;
		for (p = to; *p && (quoted || *p != ','); p++) {
			if (quoted && *p == '"' && *++p != '"')
				break;
			*to++ = *p;
		}
		p += *p == ',';
		if (to < p || *p)
			*to = '\0';
	}
}

static void lines(struct maker *m, char *text)
{
	char *line, *save = NULL;

	for (line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		char *fields[FIELDS_MAX];

		cut(line, fields);
		if (row(m, fields))
			m->ranges++;
		else
			m->skipped++;
	}
}

static int csv_read(struct maker *m, const char *path)
{
	auto_free char *text = NULL;
	struct stat st;
	size_t len;
	int r = io_read_file(path, CSV_MAX, &text, &len);

	if (r < 0) {
		fprintf(stderr, "make-mmdb: %s: %s\n", path, strerror(-r));
		return r;
	}
	if (stat(path, &st) == 0)
		m->newest_s = MAX(m->newest_s, (int64_t)st.st_mtime);
	lines(m, text);
	return 0;
}

/* a file that is there is whole */
static int save(const char *path, const uint8_t *bytes, size_t len)
{
	char temporary[4096];
	int r, fd;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, bytes, len);
	close(fd);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	return r;
}

static uint32_t key_put(struct maker *m, const char *key)
{
	uint32_t at = writer_here(m->w);

	writer_text(m->w, key, strlen(key));
	return at;
}

static int make(struct maker *m, int argc, char **argv)
{
	struct writer_about about = {
		.type = m->asn ? "Scupper-ASN" : "Scupper-Country",
		.description = m->asn ? "Made from ranges of network numbers"
				      : "Made from ranges of country codes",
	};
	const char *date = getenv("SOURCE_DATE_EPOCH");
	auto_free uint8_t *bytes = NULL;
	uint32_t given;
	size_t len;
	int r = 0;

	m->key_number = key_put(m, "autonomous_system_number");
	m->key_name = key_put(m, "autonomous_system_organization");
	m->key_country = key_put(m, "country_code");
	for (int i = 3; r == 0 && i < argc; i++)
		r = csv_read(m, argv[i]);
	if (r == 0 && !m->ranges)
		r = -ENODATA;
	about.built_s = date && text_u32(date, UINT32_MAX, &given) == 0 ? given : m->newest_s;
	if (r == 0)
		r = writer_finish(m->w, &about, &bytes, &len);
	if (r == 0)
		r = save(argv[2], bytes, len);
	if (r < 0)
		fprintf(stderr, "make-mmdb: %s: %s\n", argv[2], strerror(-r));
	else
		printf("%s: %lu ranges, %zu values, %lu lines skipped\n", argv[2], m->ranges,
			m->nslots, m->skipped);
	return r;
}

int main(int argc, char **argv)
{
	struct maker m = { .w = writer_new(6), .slots = calloc(SLOTS, sizeof(struct slot)) };
	int r = 1;

	m.asn = argc > 3 && strcmp(argv[1], "asn") == 0;
	if (argc < 4 || (!m.asn && strcmp(argv[1], "country") != 0)) {
		fprintf(stderr, "usage: make-mmdb asn|country OUT CSV...\n");
		r = 2;
	} else if (m.w && m.slots) {
		r = make(&m, argc, argv) < 0;
	}
	writer_free(m.w);
	free(m.slots);
	return r;
}
