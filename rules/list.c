/* SPDX-License-Identifier: GPL-2.0-or-later
 * list.c - a compiled list, checked once and then asked.
 * A lookup hashes the name once, from its last label to its first; each label's end is a
 * suffix. The filter's words are fetched while the rest is hashed, so that they are waited
 * for once; most suffixes of most names stop there. */
#include "rules/listfile.h"
#include "base/macros.h"

#include <errno.h>

struct list {
	unsigned refs;
	void *bytes;
	size_t len;
	list_release release;
	const struct listfile_head *head;
	const uint64_t *filter, *slots;
	const uint32_t *lines;
	const struct listfile_range4 *ranges4;
	const struct listfile_range6 *ranges6;
};

static const char *const format_words[] = { "auto", "plain", "hosts", "adblock", "dnsmasq",
	"rpz", "cidr" };

const char *list_format_text(enum list_format f)
{
	return f < ARRAY_LEN(format_words) ? format_words[f] : "?";
}

int list_format_parse(const char *text, enum list_format *out)
{
	for (size_t i = 0; i < ARRAY_LEN(format_words); i++) {
		if (strcmp(text, format_words[i]) == 0) {
			*out = (enum list_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool list_name_ok(const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t n = strlen(name);

	return n > 0 && n < LIST_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
		name[strspn(name, plain)] == '\0';
}

static bool part(size_t *at, size_t size, uint64_t n, size_t *from)
{
	if (n > ((size_t)1 << 40) / size)
		return false;
	*from = *at;
	*at += ((size_t)n * size + 7) & ~(size_t)7;
	return true;
}

bool listfile_layout(const struct listfile_head *h, struct listfile_parts *out)
{
	size_t at = sizeof(*h);

	if (h->filter_bits > 32 || h->homes == 0 || h->slots < h->homes)
		return false;
	if (!part(&at, 8, (uint64_t)1 << h->filter_bits, &out->filter) ||
		!part(&at, 8, h->slots, &out->slots) ||
		!part(&at, 4, h->slots, &out->lines) ||
		!part(&at, sizeof(struct listfile_range4), h->ranges4, &out->ranges4) ||
		!part(&at, sizeof(struct listfile_range6), h->ranges6, &out->ranges6))
		return false;
	out->end = at;
	return true;
}

/* against damage, not against people: who may write the file may write another */
uint64_t listfile_sum(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t h = 0x736c697374736b79 ^ len, word;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0x9fb21c651e98df25;
		h ^= h >> 29;
	}
	return h ^ h >> 32;
}

static uint64_t whole_sum(const void *bytes, size_t len)
{
	struct listfile_head h;

	memcpy(&h, bytes, sizeof(h));
	h.sum = 0;
	return listfile_sum(&h, sizeof(h)) * 31 +
		listfile_sum((const uint8_t *)bytes + sizeof(h), len - sizeof(h));
}

/* no text of the head runs out of its field */
static bool texts_end(const struct list_info *i)
{
	return memchr(i->source, 0, sizeof(i->source)) && memchr(i->etag, 0, sizeof(i->etag)) &&
		memchr(i->modified, 0, sizeof(i->modified));
}

/* in order, each at or behind its home: else one could not be found */
static bool slots_hold(const struct list *l)
{
	const struct listfile_head *h = l->head;
	uint64_t before = 0;
	size_t n = 0;

	for (size_t i = 0; i < h->slots; i++) {
		uint64_t print = l->slots[i] & ~(uint64_t)LIST_SAYS;

		if (l->slots[i] == 0)
			continue;
		if ((n && print <= before) || listfile_home(print, h->homes) > i)
			return false;
		before = print;
		n++;
	}
	return n == h->info.names;
}

static bool checks(struct list *l)
{
	const struct listfile_head *h = l->bytes;
	const uint8_t *base = l->bytes;
	struct listfile_parts at;

	if (l->len < sizeof(*h) || h->magic != LISTFILE_MAGIC ||
		h->version != LISTFILE_VERSION || h->length != l->len ||
		!texts_end(&h->info) || h->point >= LISTFILE_PRIME ||
		!listfile_layout(h, &at) || at.end != l->len ||
		whole_sum(l->bytes, l->len) != h->sum)
		return false;
	l->head = h;
	l->filter = (const void *)(base + at.filter);
	l->slots = (const void *)(base + at.slots);
	l->lines = (const void *)(base + at.lines);
	l->ranges4 = (const void *)(base + at.ranges4);
	l->ranges6 = (const void *)(base + at.ranges6);
	return slots_hold(l);
}

int list_open(void *bytes, size_t len, list_release release, struct list **out)
{
	struct list *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	*l = (struct list){ .refs = 1, .bytes = bytes, .len = len, .release = release };
	if (!checks(l)) {
		free(l);
		return -EBADMSG;
	}
	*out = l;
	return 0;
}

struct list *list_ref(struct list *l)
{
	l->refs++;
	return l;
}

void list_unref(struct list *l)
{
	if (!l || --l->refs)
		return;
	if (l->release)
		l->release(l->bytes, l->len);
	free(l);
}

void list_about(const struct list *l, struct list_info *out)
{
	*out = l->head->info;
}

bool list_has_ranges(const struct list *l)
{
	return l->head->info.ranges > 0;
}

/* what the entry of that fingerprint says, or 0 */
static unsigned says(const struct list *l, uint64_t print, size_t *at)
{
	const struct listfile_head *h = l->head;
	uint64_t mask = listfile_filter_mask(print);

	if ((l->filter[listfile_top(print, h->filter_bits)] & mask) != mask)
		return 0;
	print |= LIST_SAYS; /* at or above whatever its own slot says */
	for (size_t i = listfile_home(print, h->homes); i < h->slots; i++) {
		uint64_t slot = l->slots[i];

		if (slot && (slot | LIST_SAYS) == print) {
			*at = i;
			return slot & LIST_SAYS;
		}
		if (slot == 0 || slot > print)
			return 0;
	}
	return 0;
}

struct walk {
	const char *hit;       /* the suffix whose entry lists the name */
	size_t at;
	bool below, not;
};

/* one suffix; whole: it is the name itself */
static void walk_suffix(const struct list *l, struct walk *w, const char *suffix,
	uint64_t print, bool whole)
{
	size_t at = 0;
	unsigned s = says(l, print, &at);
	bool in = s & (whole ? LIST_SELF : LIST_BELOW);
	bool out = s & (whole ? LIST_NOT_SELF : LIST_NOT_BELOW);

	if (out)
		w->not = true;
	if (in) {
		*w = (struct walk){ .hit = suffix, .at = at, .below = !whole,
			.not = w->not };
		if (l->head->flags & LISTFILE_NEAREST)
			w->not = out;
	}
}

struct suffix {
	uint64_t print;
	size_t from;
};

/* every suffix, the shortest first; how many */
static size_t suffixes(const struct list *l, const char *name, size_t len,
	struct suffix out[static HOST_MAX])
{
	char copy[HOST_MAX + LISTFILE_SLACK];
	size_t n = 0, end = len, from;
	uint64_t h = 0;

	memcpy(copy, name, len);
	memset(copy + len, 0, LISTFILE_SLACK);
	for (;;) {
		for (from = end; from > 0 && copy[from - 1] != '.'; from--)
			;
		h = listfile_label(h, l->head->point, copy + from, end - from);
		out[n] = (struct suffix){ listfile_spread(h), from };
		__builtin_prefetch(
			&l->filter[listfile_top(out[n].print, l->head->filter_bits)]);
		n++;
		if (from == 0)
			return n;
		end = from - 1;
	}
}

bool list_find_name(const struct list *l, const char *name, struct list_entry *out)
{
	struct suffix all[HOST_MAX];
	size_t len = strlen(name), n;
	struct walk w = { 0 };

	if (len == 0 || len >= HOST_MAX || l->head->info.names == 0)
		return false;
	n = suffixes(l, name, len, all);
	for (size_t i = 0; i < n; i++)
		walk_suffix(l, &w, name + all[i].from, all[i].print, all[i].from == 0);
	if (!w.hit || w.not)
		return false;
	if (out)
		*out = (struct list_entry){ .name = w.hit, .below = w.below,
			.line = l->lines[w.at] };
	return true;
}

static uint32_t number4(const struct addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 |
		a->b[3];
}

static struct addr addr4(uint32_t n)
{
	uint8_t b[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
		(uint8_t)n };

	return addr_v4(b);
}

static bool find4(const struct list *l, uint32_t n, struct list_entry *out)
{
	size_t lo = 0, hi = l->head->ranges4;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct listfile_range4 *r = &l->ranges4[mid];

		if (n >= r->lo && n <= r->hi) {
			if (out)
				*out = (struct list_entry){ .lo = addr4(r->lo),
					.hi = addr4(r->hi) };
			return true;
		}
		if (n < r->lo)
			hi = mid;
		else
			lo = mid + 1;
	}
	return false;
}

static bool find6(const struct list *l, const uint8_t b[static 16], struct list_entry *out)
{
	size_t lo = 0, hi = l->head->ranges6;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct listfile_range6 *r = &l->ranges6[mid];

		if (memcmp(b, r->lo, 16) < 0) {
			hi = mid;
		} else if (memcmp(b, r->hi, 16) > 0) {
			lo = mid + 1;
		} else {
			if (out)
				*out = (struct list_entry){ .lo = addr_v6(r->lo),
					.hi = addr_v6(r->hi) };
			return true;
		}
	}
	return false;
}

bool list_find_addr(const struct list *l, const struct addr *a, struct list_entry *out)
{
	if (a->family == 4)
		return find4(l, number4(a), out);
	return a->family == 6 && find6(l, a->b, out);
}
