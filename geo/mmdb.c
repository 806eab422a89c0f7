/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The library finds the record and decodes each value; what it does by recursion we do
 * here, by its own decoder and with a count. Its 1.7.1 (Debian 12) goes down as deep as a
 * file nests when it looks for a key, copies what pointers lead to as often as they do
 * when it opens one, and multiplies the number of nodes in 32 bits: a file made for it
 * ends the process. So the map that describes the file is looked through before the
 * library opens it, and keys are looked for by walk_to(), not by MMDB_get_value().
 *
 * It maps the file, and whoever writes over a mapped file in place (cp does) sends a
 * SIGBUS to its reader. So it gets a copy in a sealed memfd: as much memory as the file
 * has bytes (8 MB for countries, 60 MB for cities), which can be swapped out, and what
 * the copy in plain memory before it took too. A copy on disk would need a folder to
 * write to and would fill the page cache just the same. */
#include "geo/mmdb.h"
#include "base/io.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SEPARATOR = 16,
	METADATA_MAX = 128 * 1024, /* the library looks no further from the end */
	METADATA_MIN = 3,          /* its decoder takes for granted that there are as many */
	VALUES_MAX = 65536,        /* walked over for one look-up: real files need dozens */
	COPY_BYTES = 256 * 1024,
};

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* Linux 6.3 */
#endif

static const char marker[] = "\xab\xcd\xefMaxMind.com";
enum { MARKER_LEN = sizeof(marker) - 1 };

/* --- walking ------------------------------------------------------------------------------ */

struct walk {
	const MMDB_s *in;
	uint32_t at;
	unsigned budget;
	bool bad;
};

struct item {
	MMDB_entry_data_s data; /* at the end of the pointer, if it is one */
	bool pointer;
};

static struct walk walk_from(const MMDB_s *in, uint32_t at)
{
	return (struct walk){ .in = in, .at = at, .budget = VALUES_MAX };
}

/* one value; then the walk stands behind it, or before the first thing that it holds */
static bool take(struct walk *w, struct item *out)
{
	static const char *const no_path[] = { NULL };
	MMDB_entry_s entry = { .mmdb = w->in, .offset = w->at };

	if (w->bad || w->budget-- == 0 || w->at >= w->in->data_section_size ||
		MMDB_aget_value(&entry, &out->data, no_path) != MMDB_SUCCESS) {
		w->bad = true;
		return false;
	}
	out->pointer = out->data.offset != w->at;
	if (out->pointer) /* its length is in its first byte: 2 to 5 in all */
		w->at += 2u + (w->in->data_section[w->at] >> 3 & 3);
	else
		w->at = out->data.offset_to_next;
	return true;
}

static uint32_t held(const MMDB_entry_data_s *d)
{
	return d->type == MMDB_DATA_TYPE_MAP ? 2 * d->data_size
	     : d->type == MMDB_DATA_TYPE_ARRAY ? d->data_size : 0;
}

/* over one value and all that it holds, without following pointers */
static void skip(struct walk *w)
{
	uint64_t open = 1;
	struct item i;

	for (; open > 0 && take(w, &i); open--)
		if (!i.pointer)
			open += held(&i.data);
}

/* the value under this key of the map, if it has one */
static bool step_into(struct walk *w, const MMDB_entry_data_s *map, const char *key,
	MMDB_entry_data_s *out)
{
	size_t want = strlen(key);
	struct item i;

	w->at = map->offset_to_next;
	for (uint32_t pairs = map->data_size; pairs > 0 && take(w, &i); pairs--) {
		if (i.data.type != MMDB_DATA_TYPE_UTF8_STRING) {
			w->bad = true;
			return false;
		}
		if (i.data.data_size != want || memcmp(i.data.utf8_string, key, want) != 0) {
			skip(w);
			continue;
		}
		if (!take(w, &i))
			return false;
		*out = i.data;
		return true;
	}
	return false;
}

static int walk_to(struct walk w, const char *const path[], MMDB_entry_data_s *out)
{
	struct item top;

	if (!take(&w, &top))
		return -EBADMSG;
	for (; *path; path++)
		if (top.data.type != MMDB_DATA_TYPE_MAP ||
			!step_into(&w, &top.data, *path, &top.data))
			return w.bad ? -EBADMSG : -ENOENT;
	*out = top.data;
	return 0;
}

/* --- opening ------------------------------------------------------------------------------- */

/* the last marker counts */
static bool find_metadata(const uint8_t *bytes, size_t len, MMDB_s *out)
{
	size_t least = len > METADATA_MAX ? len - METADATA_MAX : 0;

	if (len < MARKER_LEN + METADATA_MIN)
		return false;
	for (size_t at = len - MARKER_LEN + 1; at-- > least;) {
		if (memcmp(bytes + at, marker, MARKER_LEN) != 0)
			continue;
		*out = (MMDB_s){ .data_section = bytes + at + MARKER_LEN,
			.data_section_size = (uint32_t)(len - at - MARKER_LEN) };
		return out->data_section_size >= METADATA_MIN;
	}
	return false;
}

/* a map of plain values, and of maps and lists of texts: what every writer makes */
static bool plain(struct walk w)
{
	struct item top, i;

	if (!take(&w, &top) || top.pointer || top.data.type != MMDB_DATA_TYPE_MAP)
		return false;
	for (uint32_t n = held(&top.data); n > 0; n--) {
		if (!take(&w, &i) || (i.pointer && held(&i.data)))
			return false;
		for (uint32_t m = held(&i.data); m > 0; m--) {
			struct item below;

			if (!take(&w, &below) ||
				below.data.type != MMDB_DATA_TYPE_UTF8_STRING)
				return false;
		}
	}
	return true;
}

/* will the library read these bytes and no others? */
static bool sound(const uint8_t *bytes, size_t len)
{
	static const char *const nodes[] = { "node_count", NULL };
	static const char *const bits[] = { "record_size", NULL };
	MMDB_entry_data_s n, b;
	MMDB_s metadata;

	if (!find_metadata(bytes, len, &metadata) || !plain(walk_from(&metadata, 0)) ||
		walk_to(walk_from(&metadata, 0), nodes, &n) < 0 ||
		walk_to(walk_from(&metadata, 0), bits, &b) < 0)
		return false;
	/* of any other type the library itself refuses them */
	return n.type == MMDB_DATA_TYPE_UINT32 && b.type == MMDB_DATA_TYPE_UINT16 &&
		(uint64_t)n.uint32 * b.uint16 / 4 + SEPARATOR <=
			len - metadata.data_section_size - MARKER_LEN;
}

static int copy_in(int from, int to, size_t max, size_t *len)
{
	auto_free char *some = malloc(COPY_BYTES);
	size_t sum = 0;

	while (some) {
		ssize_t n = read(from, some, COPY_BYTES);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*len = sum;
			return n < 0 ? -errno : 0;
		}
		if ((size_t)n > max - sum)
			return -EFBIG;
		sum += (size_t)n;
		r = io_write_all(to, some, (size_t)n);
		if (r < 0)
			return r;
	}
	return -ENOMEM;
}

/* a memfd, or -errno */
static int sealed_copy(int from, size_t max, size_t *len)
{
	int fd = memfd_create("mmdb", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL), r;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("mmdb", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = copy_in(from, fd, max, len);
	if (r == 0 && fcntl(fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static bool sound_file(int fd, size_t len)
{
	/* private: until Linux 6.7 what is sealed cannot be shared by a writer's descriptor */
	void *bytes = len ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	bool yes = bytes != MAP_FAILED && sound(bytes, len);

	if (bytes != MAP_FAILED)
		munmap(bytes, len);
	return yes;
}

static int from_lib(int status)
{
	switch (status) {
	case MMDB_SUCCESS:
		return 0;
	case MMDB_OUT_OF_MEMORY_ERROR:
		return -ENOMEM;
	case MMDB_FILE_OPEN_ERROR:
	case MMDB_IO_ERROR:
		return -EIO;
	case MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR:
		return -ENOENT;
	default:
		return -EBADMSG;
	}
}

int mmdb_open(int fd, size_t max, struct mmdb *out)
{
	size_t len = 0;
	auto_close int copy = sealed_copy(fd, max, &len);
	struct mmdb db;
	char path[32];
	int r;

	if (copy < 0)
		return copy;
	if (!sound_file(copy, len))
		return -EBADMSG;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", copy);
	r = from_lib(MMDB_open(path, MMDB_MODE_MMAP, &db.lib));
	if (r == 0)
		*out = db;
	return r;
}

void mmdb_close(struct mmdb *db)
{
	MMDB_close(&db->lib);
}

const char *mmdb_type(const struct mmdb *db)
{
	return db->lib.metadata.database_type;
}

int64_t mmdb_built_s(const struct mmdb *db)
{
	return (int64_t)MIN(db->lib.metadata.build_epoch, (uint64_t)INT64_MAX / 1000);
}

/* --- looking ------------------------------------------------------------------------------ */

int mmdb_find(const struct mmdb *db, const struct addr *a, uint32_t *record)
{
	struct sockaddr_storage at;
	MMDB_lookup_result_s found;
	int status;

	if (!a->family)
		return -ENOENT;
	addr_to_sockaddr(a, 0, &at);
	found = MMDB_lookup_sockaddr(&db->lib, (const struct sockaddr *)&at, &status);
	if (status != MMDB_SUCCESS)
		return from_lib(status);
	if (!found.found_entry)
		return -ENOENT;
	/* a node behind the last bit, or a place that is none */
	if (found.entry.offset >= db->lib.data_section_size)
		return -EBADMSG;
	*record = found.entry.offset;
	return 0;
}

static bool number_of(const MMDB_entry_data_s *d, uint64_t *out)
{
	switch (d->type) {
	case MMDB_DATA_TYPE_UINT16:
		*out = d->uint16;
		return true;
	case MMDB_DATA_TYPE_UINT32:
		*out = d->uint32;
		return true;
	case MMDB_DATA_TYPE_UINT64:
		*out = d->uint64;
		return true;
	default:
		return false;
	}
}

static struct mmdb_value value_of(const MMDB_entry_data_s *d)
{
	struct mmdb_value v = { .kind = MMDB_OTHER };

	if (d->type == MMDB_DATA_TYPE_UTF8_STRING)
		v = (struct mmdb_value){ .kind = MMDB_TEXT, .text = d->utf8_string,
			.len = d->data_size };
	else if (d->type == MMDB_DATA_TYPE_MAP)
		v = (struct mmdb_value){ .kind = MMDB_MAP, .map = d->offset };
	else if (number_of(d, &v.number))
		v.kind = MMDB_NUMBER;
	return v;
}

/* which of the keys, or n */
static size_t key_of(const MMDB_entry_data_s *d, const char *const keys[], size_t n)
{
	size_t i = 0;

	while (i < n && (strlen(keys[i]) != d->data_size ||
				memcmp(keys[i], d->utf8_string, d->data_size) != 0))
		i++;
	return i;
}

int mmdb_read(const struct mmdb *db, uint32_t record, const char *const keys[], size_t n,
	struct mmdb_value *out)
{
	struct walk w = walk_from(&db->lib, record);
	struct item top, i;

	memset(out, 0, n * sizeof(*out));
	if (!take(&w, &top))
		return -EBADMSG;
	if (top.data.type != MMDB_DATA_TYPE_MAP)
		return 0;
	w.at = top.data.offset_to_next;
	for (uint32_t pairs = top.data.data_size; pairs > 0 && take(&w, &i); pairs--) {
		uint32_t at = w.at;
		size_t k;

		if (i.data.type != MMDB_DATA_TYPE_UTF8_STRING)
			return -EBADMSG;
		k = key_of(&i.data, keys, n);
		if (k < n && out[k].kind == MMDB_NONE && take(&w, &i))
			out[k] = value_of(&i.data);
		w.at = at;
		skip(&w);
	}
	return w.bad ? -EBADMSG : 0;
}

int mmdb_get(const struct mmdb *db, uint32_t map, const char *const path[],
	struct mmdb_value *out)
{
	MMDB_entry_data_s d;
	int r = walk_to(walk_from(&db->lib, map), path, &d);

	if (r == 0)
		*out = value_of(&d);
	return r;
}
