/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "geo_files.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* one fact as a map in a map in a map; a double, a float and a list of names stand in the
 * way, as they do in real files */
static void fact(struct writer *w, const char *key, size_t len, const char *value,
	size_t value_len)
{
	const char *dot;
	char number[16];
	uint32_t n;

	while ((dot = memchr(key, '.', len)) != NULL) {
		writer_text(w, key, (size_t)(dot - key));
		writer_map(w, 2);
		writer_text(w, "geoname_id", 10);
		writer_u32(w, 2750405);
		len -= (size_t)(dot + 1 - key);
		key = dot + 1;
	}
	writer_text(w, key, len);
	if (*value != '#') {
		writer_text(w, value, value_len);
		return;
	}
	assert_true(value_len < sizeof(number));
	memcpy(number, value + 1, value_len - 1);
	number[value_len - 1] = '\0';
	assert_int_equal(text_u32(number, UINT32_MAX, &n), 0);
	writer_u32(w, n);
}

void geo_value(struct writer *w, const char *facts)
{
	uint32_t n = 2;

	for (const char *p = facts; *p; p++)
		n += *p == '=';
	writer_map(w, n);
	writer_text(w, "latitude", 8);
	writer_float(w, 52.37f);
	writer_text(w, "location", 8);
	writer_map(w, 1);
	writer_text(w, "longitude", 9);
	writer_double(w, 4.89);
	while (*facts) {
		size_t key = strcspn(facts, "="), value = strcspn(facts + key + 1, "; ");

		fact(w, facts, key, facts + key + 1, value);
		facts += key + 1 + value;
		facts += strspn(facts, "; ");
	}
}

uint8_t *geo_file_bytes(unsigned ip_version, unsigned record_bits,
	const char *const ranges[][2], size_t n, size_t *len)
{
	struct writer_about about = { .type = "Test", .description = "For tests",
		.built_s = 1780272000, .record_bits = record_bits };
	struct writer *w = writer_new(ip_version);
	uint8_t *bytes = NULL;

	assert_non_null(w);
	for (size_t i = 0; i < n; i++) {
		const char *dash = strchr(ranges[i][0], '-');
		uint32_t value = writer_here(w);
		struct addr lo, hi;
		char first[ADDR_TEXT_MAX] = "";

		memcpy(first, ranges[i][0], (size_t)(dash - ranges[i][0]));
		assert_int_equal(addr_parse(first, &lo), 0);
		assert_int_equal(addr_parse(dash + 1, &hi), 0);
		geo_value(w, ranges[i][1]);
		assert_int_equal(writer_range(w, &lo, &hi, value), 0);
	}
	assert_int_equal(writer_finish(w, &about, &bytes, len), 0);
	writer_free(w);
	return bytes;
}

int geo_file_fd(const void *bytes, size_t len)
{
	int fd = memfd_create("geo_file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, bytes, len), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}
