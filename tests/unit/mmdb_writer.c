/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mmdb_writer.h"
#include "base/macros.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEPARATOR = 16, KEY_BYTES = 16, FIELDS = 9 };
enum { T_POINTER = 1, T_TEXT, T_DOUBLE, T_U16 = 5, T_U32, T_MAP, T_U64 = 9, T_ARRAY = 11,
	T_FLOAT = 15 };

/* a record while the tree grows: 0 nothing, LEAF | place of a value, else a node */
#define LEAF 0x80000000u

struct bytes {
	uint8_t *at;
	size_t len, max;
	bool bad;
};

struct writer {
	unsigned bits; /* of an address: 32 or 128 */
	uint32_t (*nodes)[2];
	uint32_t n, max;
	struct bytes data;
	bool bad;
};

static void put(struct bytes *b, const void *from, size_t len)
{
	if (b->bad)
		return;
	if (len > b->max - b->len) {
		size_t max = MAX(b->max * 2, b->len + len + 4096);
		uint8_t *more = realloc(b->at, max);

		if (!more) {
			b->bad = true;
			return;
		}
		b->at = more;
		b->max = max;
	}
	if (len)
		memcpy(b->at + b->len, from, len);
	b->len += len;
}

static void put_be(struct bytes *b, uint64_t v, unsigned n)
{
	uint8_t be[8];

	for (unsigned i = 0; i < n; i++)
		be[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	put(b, be, n);
}

static void put_head(struct bytes *b, unsigned type, size_t size)
{
	unsigned more = size < 29 ? 0 : size < 285 ? 1 : size < 65821 ? 2 : 3;
	static const size_t base[] = { 0, 29, 285, 65821 };
	uint8_t first = (uint8_t)(more ? 28 + more : size);

	put_be(b, (type > 7 ? 0u : type << 5) | first, 1);
	if (type > 7)
		put_be(b, type - 7, 1);
	put_be(b, size - base[more], more);
}

static void put_text(struct bytes *b, const char *s, size_t len)
{
	put_head(b, T_TEXT, len);
	put(b, s, len);
}

static void put_number(struct bytes *b, unsigned type, uint64_t v)
{
	unsigned n = 0;

	while (n < 8 && v >> (8 * n))
		n++;
	put_head(b, type, n);
	put_be(b, v, n);
}

static int node_new(struct writer *w, uint32_t both, uint32_t *out)
{
	if (w->n == w->max) {
		uint32_t max = w->max ? 2 * w->max : 1024;
		void *more = max >= LEAF ? NULL : realloc(w->nodes, max * sizeof(*w->nodes));

		if (!more) {
			w->bad = true;
			return -ENOMEM;
		}
		w->nodes = more;
		w->max = max;
	}
	w->nodes[w->n][0] = w->nodes[w->n][1] = both;
	*out = w->n++;
	return 0;
}

struct writer *writer_new(unsigned ip_version)
{
	struct writer *w = calloc(1, sizeof(*w));
	uint32_t root;

	if (!w)
		return NULL;
	w->bits = ip_version == 4 ? 32 : 128;
	if (node_new(w, 0, &root) < 0) {
		free(w);
		return NULL;
	}
	return w;
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	free(w->nodes);
	free(w->data.at);
	free(w);
}

uint32_t writer_here(const struct writer *w)
{
	return (uint32_t)w->data.len;
}

void writer_map(struct writer *w, uint32_t pairs)
{
	put_head(&w->data, T_MAP, pairs);
}

void writer_text(struct writer *w, const char *s, size_t len)
{
	put_text(&w->data, s, len);
}

void writer_u32(struct writer *w, uint32_t v)
{
	put_number(&w->data, T_U32, v);
}

void writer_double(struct writer *w, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	put_head(&w->data, T_DOUBLE, 8);
	put_be(&w->data, bits, 8);
}

void writer_float(struct writer *w, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	put_head(&w->data, T_FLOAT, 4);
	put_be(&w->data, bits, 4);
}

void writer_raw(struct writer *w, const void *bytes, size_t len)
{
	put(&w->data, bytes, len);
}

void writer_pointer(struct writer *w, uint32_t to)
{
	static const uint32_t base[] = { 0, 2048, 526336 };
	unsigned size = to < 2048 ? 0 : to < 526336 ? 1 : to < 134744064 ? 2 : 3;
	uint32_t v = size < 3 ? to - base[size] : to;
	uint8_t first = (uint8_t)(T_POINTER << 5 | size << 3);

	if (size < 3)
		first |= (uint8_t)(v >> (8 * (size + 1)));
	put_be(&w->data, first, 1);
	put_be(&w->data, v, size + 1);
}

static bool bit_of(const uint8_t *key, unsigned i)
{
	return key[i / 8] >> (7 - i % 8) & 1;
}

static void prefix_put(struct writer *w, const uint8_t *key, unsigned bits, uint32_t value)
{
	uint32_t node = 0;

	if (bits == 0)
		w->nodes[0][0] = w->nodes[0][1] = value;
	for (unsigned i = 0; i < bits; i++) {
		bool right = bit_of(key, i);
		uint32_t next = w->nodes[node][right];

		if (i + 1 == bits) {
			w->nodes[node][right] = value;
			return;
		}
		if (next == 0 || (next & LEAF)) {
			if (node_new(w, next, &next) < 0)
				return;
			w->nodes[node][right] = next;
		}
		node = next;
	}
}

/* the key with every bit from the given one on set */
static void last_of(const uint8_t *key, unsigned from, unsigned bits, uint8_t out[KEY_BYTES])
{
	memcpy(out, key, KEY_BYTES);
	for (unsigned i = from; i < bits; i++)
		out[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

/* adds one; false where that begins anew at zero */
static bool step(uint8_t *key, unsigned bits)
{
	for (unsigned i = bits / 8; i-- > 0;)
		if (++key[i])
			return true;
	return false;
}

static void key_of(const struct writer *w, const struct addr *a, uint8_t out[KEY_BYTES])
{
	memset(out, 0, KEY_BYTES);
	if (a->family == 4 && w->bits == 128)
		memcpy(out + 12, a->b, 4);
	else
		memcpy(out, a->b, KEY_BYTES);
}

int writer_range(struct writer *w, const struct addr *lo, const struct addr *hi,
	uint32_t value)
{
	uint8_t key[KEY_BYTES], end[KEY_BYTES], last[KEY_BYTES];
	size_t n = w->bits / 8;

	if (!lo->family || lo->family != hi->family || addr_cmp(lo, hi) > 0 ||
		(lo->family == 6 && w->bits == 32))
		return -EINVAL;
	key_of(w, lo, key);
	key_of(w, hi, end);
	do {
		unsigned bits = w->bits;

		/* the widest prefix that begins here and does not reach too far */
		while (bits > 0 && !bit_of(key, bits - 1)) {
			last_of(key, bits - 1, w->bits, last);
			if (memcmp(last, end, n) > 0)
				break;
			bits--;
		}
		prefix_put(w, key, bits, LEAF | value);
		last_of(key, bits, w->bits, key);
	} while (!w->bad && memcmp(key, end, n) < 0 && step(key, w->bits));
	return 0;
}

static void put_field(struct bytes *b, const char *key)
{
	put_text(b, key, strlen(key));
}

static void put_metadata(struct bytes *b, const struct writer *w,
	const struct writer_about *about, unsigned record_bits)
{
	static const char marker[] = "\xab\xcd\xefMaxMind.com";

	put(b, marker, sizeof(marker) - 1);
	put_head(b, T_MAP, FIELDS);
	put_field(b, "binary_format_major_version");
	put_number(b, T_U16, 2);
	put_field(b, "binary_format_minor_version");
	put_number(b, T_U16, 0);
	put_field(b, "build_epoch");
	put_number(b, T_U64, (uint64_t)about->built_s);
	put_field(b, "database_type");
	put_field(b, about->type);
	put_field(b, "description");
	put_head(b, T_MAP, 1);
	put_field(b, "en");
	put_field(b, about->description);
	put_field(b, "ip_version");
	put_number(b, T_U16, w->bits == 32 ? 4 : 6);
	put_field(b, "languages");
	put_head(b, T_ARRAY, 1);
	put_field(b, "en");
	put_field(b, "node_count");
	put_number(b, T_U32, w->n);
	put_field(b, "record_size");
	put_number(b, T_U16, record_bits);
}

static uint32_t record_of(const struct writer *w, uint32_t r)
{
	if (r == 0)
		return w->n;
	return r & LEAF ? w->n + SEPARATOR + (r & ~LEAF) : r;
}

static void put_node(struct bytes *b, const struct writer *w, uint32_t i, unsigned bits)
{
	uint32_t left = record_of(w, w->nodes[i][0]), right = record_of(w, w->nodes[i][1]);

	if (bits == 28) {
		put_be(b, left & 0xffffff, 3);
		put_be(b, (left >> 24) << 4 | right >> 24, 1);
		put_be(b, right & 0xffffff, 3);
		return;
	}
	put_be(b, left, bits / 8);
	put_be(b, right, bits / 8);
}

int writer_finish(struct writer *w, const struct writer_about *about, uint8_t **out,
	size_t *len)
{
	static const uint8_t separator[SEPARATOR];
	uint64_t most = (uint64_t)w->n + SEPARATOR + w->data.len;
	unsigned bits = about->record_bits;
	struct bytes b = { 0 };

	if (!bits)
		bits = most < 1u << 24 ? 24 : most < 1u << 28 ? 28 : 32;
	if (most >> bits || w->data.len >= LEAF)
		return -EFBIG;
	for (uint32_t i = 0; i < w->n; i++)
		put_node(&b, w, i, bits);
	put(&b, separator, sizeof(separator));
	put(&b, w->data.at, w->data.len);
	put_metadata(&b, w, about, bits);
	if (w->bad || w->data.bad || b.bad) {
		free(b.at);
		return -ENOMEM;
	}
	*out = b.at;
	*len = b.len;
	return 0;
}
