/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/cachefile.h"
#include "resolver/answer.h"

#include "base/macros.h"
#include "base/sha256.h"

#include <errno.h>

enum {
	FILE_VERSION = 1,
	HEAD = 28,
	ENTRY_HEAD = 11,
	FLAG_DO = 1,
	FLAG_CD = 2,
};

static const uint8_t magic[8] = { 'S', 'c', 'u', 'p', 'C', 'a', 'c', FILE_VERSION };

static void put_u64(struct out *o, uint64_t v)
{
	out_u32(o, (uint32_t)(v >> 32));
	out_u32(o, (uint32_t)v);
}

static uint64_t take_u64(struct cur *c)
{
	uint64_t high = cur_u32(c);

	return high << 32 | cur_u32(c);
}

/* bytes that writing the first of them takes; *n: how many fit */
static size_t size_of(const struct cache_kept *list, size_t *n)
{
	size_t size = HEAD + SHA256_LEN, i;

	for (i = 0; i < *n && i < CACHEFILE_ENTRIES_MAX; i++) {
		size_t more = ENTRY_HEAD + list[i].answer->len;

		if (size + more > CACHEFILE_MAX)
			break;
		size += more;
	}
	*n = i;
	return size;
}

static void entry_write(struct out *o, const struct cache_kept *k,
	const struct cachefile_now *now)
{
	put_u64(o, (uint64_t)(now->unix_ms - (now->boot_ms - k->stored_ms)));
	out_u8(o, (uint8_t)((k->dnssec_ok ? FLAG_DO : 0) |
		(k->checking_disabled ? FLAG_CD : 0)));
	out_u16(o, (uint16_t)k->answer->len);
	out_bytes(o, k->answer->msg, k->answer->len);
}

int cachefile_write(const struct cache_kept *list, size_t n, const struct cachefile_now *now,
	uint8_t **out, size_t *len)
{
	size_t size = size_of(list, &n);
	uint8_t *bytes = malloc(size);
	struct out o = out_into(bytes, size);

	if (!bytes)
		return -ENOMEM;
	out_bytes(&o, magic, sizeof(magic));
	put_u64(&o, now->owner);
	put_u64(&o, (uint64_t)now->unix_ms);
	out_u32(&o, (uint32_t)n);
	while (n > 0)
		entry_write(&o, &list[--n], now);
	if (o.bad || sha256(bytes, o.len, bytes + o.len) < 0) {
		free(bytes);
		return -EIO;
	}
	*out = bytes;
	*len = size;
	return 0;
}

/* 0: *out is filled, and its answer the caller's; 1: left out; -EBADMSG, -ENOMEM */
static int entry_read(struct cur *c, const struct cachefile_now *now,
	const struct ttl_limits *limits, struct cache_kept *out)
{
	int64_t stored_ms = (int64_t)take_u64(c);
	uint8_t flags = cur_u8(c);
	uint16_t len = cur_u16(c);
	const uint8_t *msg = cur_take(c, len);
	struct answer *a;
	int r;

	if (!msg)
		return -EBADMSG;
	if (stored_ms < 0 || stored_ms > now->unix_ms)
		return 1;
	r = answer_new(msg, len, limits, &a);
	if (r < 0)
		return r == -ENOMEM ? r : 1;
	*out = (struct cache_kept){ a, now->boot_ms - (now->unix_ms - stored_ms),
		flags & FLAG_DO, flags & FLAG_CD };
	return 0;
}

static int entries_read(struct cur *c, uint32_t count, const struct cachefile_now *now,
	const struct ttl_limits *limits, struct cache_kept *list, size_t *n)
{
	for (uint32_t i = 0; i < count; i++) {
		int r = entry_read(c, now, limits, &list[*n]);

		if (r < 0)
			return r;
		*n += r == 0;
	}
	return cur_left(c) == 0 ? 0 : -EBADMSG;
}

static const char *damaged(const uint8_t *bytes, size_t len)
{
	uint8_t sum[SHA256_LEN];

	if (len < HEAD + SHA256_LEN || len > CACHEFILE_MAX ||
		memcmp(bytes, magic, sizeof(magic) - 1) != 0)
		return "it is no file of Scupper's";
	if (bytes[sizeof(magic) - 1] != FILE_VERSION)
		return "it is of another version";
	if (sha256(bytes, len - SHA256_LEN, sum) < 0 ||
		memcmp(sum, bytes + len - SHA256_LEN, SHA256_LEN) != 0)
		return "it is damaged";
	return NULL;
}

int cachefile_read(const uint8_t *bytes, size_t len, const struct cachefile_now *now,
	const struct ttl_limits *limits, struct cache_kept **out, size_t *n,
	const char **why)
{
	struct cache_kept *list;
	size_t got = 0;
	uint32_t count;
	struct cur c;
	int r;

	*why = damaged(bytes, len);
	if (*why)
		return -EBADMSG;
	c = cur_over(bytes, len - SHA256_LEN);
	cur_seek(&c, sizeof(magic));
	if (take_u64(&c) != now->owner) {
		*why = "it came from other servers or another instance";
		return -ESTALE;
	}
	if ((int64_t)take_u64(&c) > now->unix_ms) {
		*why = "it is from the future: the clock was set back";
		return -ESTALE;
	}
	count = cur_u32(&c);
	*why = "it is damaged";
	if (count > CACHEFILE_ENTRIES_MAX)
		return -EBADMSG;
	list = calloc(count + 1u, sizeof(*list));
	if (!list)
		return -ENOMEM;
	r = entries_read(&c, count, now, limits, list, &got);
	if (r < 0) {
		cachefile_free(list, got);
		return r;
	}
	*out = list;
	*n = got;
	return 0;
}

void cachefile_free(struct cache_kept *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		answer_release(list[i].answer);
	free(list);
}
