/* SPDX-License-Identifier: GPL-2.0-or-later
 * listmake.c - gather, sort, join, lay out. */
#include "rules/listmake.h"
#include "base/macros.h"
#include "rules/listfile.h"
#include "rules/listread.h"

#include <errno.h>

struct name {
	uint64_t print;        /* what it says in its low bits */
	uint32_t line;
};

struct range {
	struct addr lo, hi;
};

struct make {
	uint64_t point;
	struct name *names;
	size_t nnames, max_names;
	struct range *ranges;
	size_t nranges, max_ranges;
};

static int grow(void **rows, size_t n, size_t *max, size_t size)
{
	size_t more = *max ? 2 * *max : 1024;
	void *bigger;

	if (n < *max)
		return 0;
	if (n >= LISTFILE_ENTRIES_MAX)
		return -E2BIG;
	bigger = realloc(*rows, more * size);
	if (!bigger)
		return -ENOMEM;
	*rows = bigger;
	*max = more;
	return 0;
}

static uint64_t print_of(const char *name, uint64_t point)
{
	char copy[HOST_MAX + LISTFILE_SLACK] = "";
	size_t end = strlen(name), from;
	uint64_t h = 0;

	memcpy(copy, name, end);
	for (;;) {
		for (from = end; from > 0 && copy[from - 1] != '.'; from--)
			;
		h = listfile_label(h, point, copy + from, end - from);
		if (from == 0)
			return listfile_spread(h);
		end = from - 1;
	}
}

static int on_word(void *ctx, const struct list_word *w)
{
	struct make *m = ctx;
	void *rows = w->name[0] ? (void *)m->names : (void *)m->ranges;
	int r;

	if (!w->name[0]) {
		r = grow(&rows, m->nranges, &m->max_ranges, sizeof(struct range));
		if (r < 0)
			return r;
		m->ranges = rows;
		m->ranges[m->nranges++] = (struct range){ w->lo, w->hi };
		return 0;
	}
	r = grow(&rows, m->nnames, &m->max_names, sizeof(struct name));
	if (r < 0)
		return r;
	m->names = rows;
	m->names[m->nnames++] = (struct name){ .line = w->line,
		.print = (print_of(w->name, m->point) & ~(uint64_t)LIST_SAYS) | w->says };
	return 0;
}

static int by_print(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->print != y->print)
		return x->print < y->print ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static int by_lo(const void *a, const void *b)
{
	return addr_cmp(&((const struct range *)a)->lo, &((const struct range *)b)->lo);
}

/* what is said twice of one name is said once */
static void join_names(struct make *m)
{
	size_t n = 0;

	qsort(m->names, m->nnames, sizeof(*m->names), by_print);
	for (size_t i = 0; i < m->nnames; i++) {
		struct name *last = n ? &m->names[n - 1] : NULL;

		if (last && (last->print ^ m->names[i].print) <= LIST_SAYS)
			last->print |= m->names[i].print & LIST_SAYS;
		else
			m->names[n++] = m->names[i];
	}
	m->nnames = n;
}

/* ranges that overlap become one */
static void join_ranges(struct make *m)
{
	size_t n = 0;

	qsort(m->ranges, m->nranges, sizeof(*m->ranges), by_lo);
	for (size_t i = 0; i < m->nranges; i++) {
		struct range *last = n ? &m->ranges[n - 1] : NULL;

		if (!last || last->hi.family != m->ranges[i].lo.family ||
			addr_cmp(&m->ranges[i].lo, &last->hi) > 0)
			m->ranges[n++] = m->ranges[i];
		else if (addr_cmp(&m->ranges[i].hi, &last->hi) > 0)
			last->hi = m->ranges[i].hi;
	}
	m->nranges = n;
}

/* 1 << bits is n or more */
static uint32_t bits_for(size_t n)
{
	uint32_t bits = 0;

	while (((size_t)1 << bits) < n)
		bits++;
	return bits;
}

/* those behind the last home too */
static size_t slots_for(const struct make *m, uint32_t homes)
{
	size_t next = 0;

	for (size_t i = 0; i < m->nnames; i++)
		next = MAX(next, listfile_home(m->names[i].print, homes)) + 1;
	return MAX(next, homes);
}

static void put_names(const struct make *m, const struct listfile_head *h,
	const struct listfile_parts *at, uint8_t *base)
{
	uint64_t *filter = (void *)(base + at->filter), *slots = (void *)(base + at->slots);
	uint32_t *lines = (void *)(base + at->lines);
	size_t next = 0;

	for (size_t i = 0; i < m->nnames; i++) {
		uint64_t print = m->names[i].print;
		size_t home = listfile_home(print, h->homes), slot = MAX(next, home);

		slots[slot] = print;
		lines[slot] = m->names[i].line;
		filter[listfile_top(print, h->filter_bits)] |= listfile_filter_mask(print);
		next = slot + 1;
	}
}

static uint32_t number4(const struct addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 |
		a->b[3];
}

static void put_ranges(const struct make *m, const struct listfile_parts *at, uint8_t *base)
{
	struct listfile_range4 *four = (void *)(base + at->ranges4);
	struct listfile_range6 *six = (void *)(base + at->ranges6);

	for (size_t i = 0; i < m->nranges; i++) {
		const struct range *r = &m->ranges[i];

		if (r->lo.family == 4) {
			*four++ = (struct listfile_range4){ number4(&r->lo),
				number4(&r->hi) };
		} else {
			memcpy(six->lo, r->lo.b, 16);
			memcpy(six->hi, r->hi.b, 16);
			six++;
		}
	}
}

static int lay_out(const struct make *m, struct listfile_head *h, void **out, size_t *len)
{
	struct listfile_parts at;
	uint8_t *base;

	for (size_t i = 0; i < m->nranges; i++)
		h->ranges4 += m->ranges[i].lo.family == 4;
	h->ranges6 = (uint32_t)m->nranges - h->ranges4;
	/* eight bits of the filter for a name; four of five slots taken */
	h->filter_bits = bits_for(m->nnames / 8 + 1);
	h->homes = (uint32_t)(m->nnames + m->nnames / 4 + 1);
	h->slots = (uint32_t)slots_for(m, h->homes);
	h->info.names = (uint32_t)m->nnames;
	h->info.ranges = (uint32_t)m->nranges;
	if (!listfile_layout(h, &at))
		return -E2BIG;
	base = calloc(1, at.end);
	if (!base)
		return -ENOMEM;
	put_names(m, h, &at, base);
	put_ranges(m, &at, base);
	h->length = at.end;
	h->sum = listfile_sum(h, sizeof(*h)) * 31 +
		listfile_sum(base + sizeof(*h), at.end - sizeof(*h));
	memcpy(base, h, sizeof(*h));
	*out = base;
	*len = at.end;
	return 0;
}

int list_make(const char *text, size_t len, uint64_t point, const struct list_info *about,
	void **out, size_t *out_len)
{
	struct make m = { .point = point & (LISTFILE_PRIME >> 1) };
	struct listfile_head h;
	struct list_seen seen = { 0 };
	int r;

	memset(&h, 0, sizeof(h)); /* padding too: the sum is of every byte */
	h.magic = LISTFILE_MAGIC;
	h.version = LISTFILE_VERSION;
	h.point = m.point;
	memcpy(&h.info, about, sizeof(h.info));
	r = list_read(text, len, (enum list_format)about->format, on_word, &m,
		&seen);
	h.info.skipped = seen.skipped;
	h.flags = seen.zone ? LISTFILE_NEAREST : 0;
	if (r == 0 && m.nnames + m.nranges == 0)
		r = -ENODATA;
	if (r == 0) {
		if (m.nnames)
			join_names(&m);
		if (m.nranges)
			join_ranges(&m);
		r = lay_out(&m, &h, out, out_len);
	}
	free(m.names);
	free(m.ranges);
	return r;
}
