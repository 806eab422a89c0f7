/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A file is a binary tree over address bits, 16 zero bytes, a data section, and at the
 * end, behind a marker, a map that describes it. A record of the tree is a node's
 * number, or "nothing here" (the number of nodes), or a place in the data section. */
#include "geo/mmdb.h"
#include "base/cur.h"
#include "base/macros.h"

#include <errno.h>
#include <string.h>

enum {
	SEPARATOR = 16,
	METADATA_MAX = 128 * 1024, /* the marker is not further from the end */
	VALUES_MAX = 65536,        /* walked over for one look-up: real files need dozens */
};

static const char marker[] = "\xab\xcd\xefMaxMind.com";
enum { MARKER_LEN = sizeof(marker) - 1 };

enum type {
	TYPE_EXTENDED,
	TYPE_POINTER,
	TYPE_TEXT,
	TYPE_DOUBLE,
	TYPE_BYTES,
	TYPE_U16,
	TYPE_U32,
	TYPE_MAP,
	TYPE_I32,
	TYPE_U64,
	TYPE_U128,
	TYPE_ARRAY,
	TYPE_CACHE,
	TYPE_END,
	TYPE_BOOL,
	TYPE_FLOAT,
};

/* one value's beginning: what it is and how long; its bytes follow at the cursor */
struct head {
	enum type type;
	uint32_t size; /* bytes, or pairs of a map, or items of an array, or a pointer */
};

static uint32_t big_endian(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	for (unsigned i = 0; p && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static uint32_t read_pointer(struct cur *c, uint8_t control)
{
	static const uint32_t base[] = { 0, 2048, 526336, 0 };
	unsigned more = control >> 3 & 3;
	uint32_t v = big_endian(cur_take(c, more + 1), more + 1);

	if (more == 3)
		return v;
	return ((uint32_t)(control & 7) << (8 * (more + 1)) | v) + base[more];
}

static uint32_t read_size(struct cur *c, uint8_t control)
{
	static const uint32_t base[] = { 29, 285, 65821 };
	unsigned size = control & 0x1f, more;

	if (size < 29)
		return size;
	more = size - 28;
	return base[more - 1] + big_endian(cur_take(c, more), more);
}

static struct head read_head(struct cur *c)
{
	uint8_t control = cur_u8(c);
	struct head h = { .type = (enum type)(control >> 5) };

	if (h.type == TYPE_POINTER) {
		h.size = read_pointer(c, control);
		return h;
	}
	if (h.type == TYPE_EXTENDED) {
		unsigned t = cur_u8(c) + 7u;

		if (t < TYPE_I32 || t > TYPE_FLOAT)
			c->bad = true;
		h.type = (enum type)t;
	}
	h.size = read_size(c, control);
	return h;
}

/* the same, at the end of a pointer if it is one; a pointer to a pointer is no value */
static struct head read_target(struct cur *c)
{
	struct head h = read_head(c);

	if (h.type != TYPE_POINTER)
		return h;
	cur_seek(c, h.size);
	h = read_head(c);
	if (h.type == TYPE_POINTER)
		c->bad = true;
	return h;
}

/* over one value and all that it holds, without following pointers */
static void skip(struct cur *c, unsigned *budget)
{
	uint64_t open = 1;

	while (open > 0 && !c->bad) {
		struct head h = read_head(c);

		open--;
		if (--*budget == 0)
			c->bad = true;
		else if (h.type == TYPE_MAP)
			open += 2ull * h.size;
		else if (h.type == TYPE_ARRAY)
			open += h.size;
		else if (h.type != TYPE_POINTER && h.type != TYPE_BOOL)
			cur_take(c, h.size);
	}
}

/* the cursor stands before a map's first key, then, when found, before the value */
static bool step_into(struct cur *c, uint32_t pairs, const char *key, unsigned *budget)
{
	size_t want = strlen(key);

	for (; pairs > 0 && !c->bad; pairs--) {
		struct cur k = *c;
		struct head h = read_target(&k);
		const uint8_t *text = cur_take(&k, h.size);

		if (k.bad || h.type != TYPE_TEXT) {
			c->bad = true;
			return false;
		}
		skip(c, budget);
		if (h.size == want && memcmp(text, key, want) == 0)
			return !c->bad;
		skip(c, budget);
	}
	return false;
}

static int value_read(struct cur *c, const struct head *h, struct mmdb_value *out)
{
	struct mmdb_value v = { .kind = MMDB_OTHER };
	bool number = h->type == TYPE_U16 || h->type == TYPE_U32 || h->type == TYPE_U64;
	const uint8_t *p = NULL;

	if (number || h->type == TYPE_TEXT) {
		p = cur_take(c, h->size);
		if (!p || (number && h->size > sizeof(v.number)))
			return -EBADMSG;
	}
	if (h->type == TYPE_TEXT)
		v = (struct mmdb_value){ .kind = MMDB_TEXT, .text = (const char *)p,
			.len = h->size };
	if (number)
		v.kind = MMDB_NUMBER;
	for (uint32_t i = 0; number && i < h->size; i++)
		v.number = v.number << 8 | p[i];
	*out = v;
	return 0;
}

/* in any data section: the metadata is one of its own */
static int get(struct cur c, size_t at, const char *const path[], struct mmdb_value *out)
{
	unsigned budget = VALUES_MAX;
	struct head h;

	cur_seek(&c, at);
	h = read_target(&c);
	for (; *path && !c.bad; path++) {
		if (h.type != TYPE_MAP)
			return -ENOENT;
		if (!step_into(&c, h.size, *path, &budget))
			return c.bad ? -EBADMSG : -ENOENT;
		h = read_target(&c);
	}
	return c.bad ? -EBADMSG : value_read(&c, &h, out);
}

int mmdb_get(const struct mmdb *db, uint32_t record, const char *const path[],
	struct mmdb_value *out)
{
	return get(cur_over(db->data, db->data_len), record, path, out);
}

static const uint8_t *find_metadata(const uint8_t *bytes, size_t len, size_t *meta_len)
{
	size_t least = len > METADATA_MAX ? len - METADATA_MAX : 0;

	if (len < MARKER_LEN)
		return NULL;
	for (size_t at = len - MARKER_LEN + 1; at-- > least;) {
		if (memcmp(bytes + at, marker, MARKER_LEN) == 0) {
			*meta_len = len - at - MARKER_LEN;
			return bytes + at + MARKER_LEN;
		}
	}
	return NULL;
}

static int meta_number(struct cur meta, const char *key, uint64_t max, uint64_t *out)
{
	const char *path[] = { key, NULL };
	struct mmdb_value v;
	int r = get(meta, 0, path, &v);

	if (r < 0 || v.kind != MMDB_NUMBER || v.number > max)
		return -EBADMSG;
	*out = v.number;
	return 0;
}

static int meta_read(struct cur meta, struct mmdb *db)
{
	static const char *const type[] = { "database_type", NULL };
	uint64_t nodes, bits, version, major, built = 0;
	struct mmdb_value v;

	if (meta_number(meta, "node_count", UINT32_MAX - 1, &nodes) < 0 ||
		meta_number(meta, "record_size", 32, &bits) < 0 ||
		meta_number(meta, "ip_version", 6, &version) < 0 ||
		meta_number(meta, "binary_format_major_version", 2, &major) < 0)
		return -EBADMSG;
	if (major != 2 || (version != 4 && version != 6) ||
		(bits != 24 && bits != 28 && bits != 32))
		return -EBADMSG;
	meta_number(meta, "build_epoch", INT64_MAX / 1000, &built);
	db->nodes = (uint32_t)nodes;
	db->record_bits = (uint16_t)bits;
	db->ip_version = (uint16_t)version;
	db->built_s = (int64_t)built;
	if (get(meta, 0, type, &v) == 0 && v.kind == MMDB_TEXT) {
		size_t n = MIN(v.len, sizeof(db->type) - 1);

		memcpy(db->type, v.text, n);
		db->type[n] = '\0';
	}
	return 0;
}

/* 28 bits: the middle byte has the top four of the left record, then of the right */
static uint32_t child(const struct mmdb *db, uint32_t node, bool right)
{
	unsigned half = db->record_bits / 4u; /* bytes of a node */
	const uint8_t *p = db->tree + (size_t)node * half;

	if (db->record_bits == 28)
		return right ? (uint32_t)(p[3] & 0x0f) << 24 | big_endian(p + 4, 3)
			     : (uint32_t)(p[3] >> 4) << 24 | big_endian(p, 3);
	half /= 2;
	return big_endian(right ? p + half : p, half);
}

/* IPv4 stands in an IPv6 tree below 96 zero bits */
static void find_root4(struct mmdb *db)
{
	uint32_t node = 0;

	for (unsigned i = 0; db->ip_version == 6 && i < 96 && node < db->nodes; i++)
		node = child(db, node, false);
	db->root4 = node;
}

int mmdb_init(const void *bytes, size_t len, struct mmdb *out)
{
	struct mmdb db = { .tree = bytes };
	size_t meta_len = 0, before;
	const uint8_t *meta = find_metadata(bytes, len, &meta_len);
	uint64_t tree_len;

	if (!meta || meta_read(cur_over(meta, meta_len), &db) < 0)
		return -EBADMSG;
	before = len - meta_len - MARKER_LEN;
	tree_len = (uint64_t)db.nodes * db.record_bits / 4;
	if (tree_len + SEPARATOR > before)
		return -EBADMSG;
	db.data = db.tree + tree_len + SEPARATOR;
	db.data_len = before - (size_t)tree_len - SEPARATOR;
	find_root4(&db);
	*out = db;
	return 0;
}

int mmdb_find(const struct mmdb *db, const struct addr *a, uint32_t *record)
{
	uint32_t at = a->family == 4 ? db->root4 : 0;

	if (!a->family || (a->family == 6 && db->ip_version == 4))
		return -ENOENT;
	for (unsigned i = 0; i < addr_bits(a) && at < db->nodes; i++)
		at = child(db, at, a->b[i / 8] >> (7 - i % 8) & 1);
	if (at == db->nodes)
		return -ENOENT;
	/* a node behind the last bit, or a place that is none */
	if (at < db->nodes || at - db->nodes < SEPARATOR ||
		at - db->nodes - SEPARATOR >= db->data_len)
		return -EBADMSG;
	*record = at - db->nodes - SEPARATOR;
	return 0;
}
