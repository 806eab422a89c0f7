/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/hosts.h"

#include "base/macros.h"
#include "base/table.h"

#include <errno.h>
#include <string.h>

/* One pair of name and address. The first of a name is in names and has the others
 * behind it; the first of an address is in addrs. */
struct pair {
	struct table_node by_name, by_addr;
	struct pair *more, *last;
	struct addr addr;
	char name[];
};

struct hosts {
	struct table names, addrs;
	struct pair **pairs;
	size_t npairs;
};

static bool name_is(const struct table_node *n, const void *key)
{
	return strcmp(container_of(n, struct pair, by_name)->name, key) == 0;
}

static bool addr_is(const struct table_node *n, const void *key)
{
	return addr_cmp(&container_of(n, struct pair, by_addr)->addr, key) == 0;
}

static struct pair *find_name(const struct hosts *h, const char *name)
{
	uint64_t hash = table_hash(&h->names, name, strlen(name));
	struct table_node *n = table_find(&h->names, hash, name_is, name);

	return n ? container_of(n, struct pair, by_name) : NULL;
}

static struct pair *find_addr(const struct hosts *h, const struct addr *a)
{
	uint64_t hash = table_hash(&h->addrs, a, sizeof(*a));
	struct table_node *n = table_find(&h->addrs, hash, addr_is, a);

	return n ? container_of(n, struct pair, by_addr) : NULL;
}

static int pair_add(struct hosts *h, const char *name, const struct addr *addr)
{
	size_t n = strlen(name) + 1;
	struct pair *p, *first = find_name(h, name);

	if (h->npairs == HOSTS_MAX)
		return 0;
	p = calloc(1, sizeof(*p) + n);
	if (!p)
		return -ENOMEM;
	memcpy(p->name, name, n);
	p->addr = *addr;
	p->last = p;
	h->pairs[h->npairs++] = p;
	if (first) {
		first->last->more = p;
		first->last = p;
	} else {
		table_add(&h->names, &p->by_name, table_hash(&h->names, name, n - 1));
	}
	if (!find_addr(h, addr))
		table_add(&h->addrs, &p->by_addr,
			table_hash(&h->addrs, addr, sizeof(*addr)));
	return 0;
}

/* the next word of a line, cut to max; false at its end */
static bool word(const char **at, const char *end, char *out, size_t max)
{
	const char *p = *at, *start;
	size_t n;

	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	start = p;
	while (p < end && *p != ' ' && *p != '\t' && *p != '\r')
		p++;
	*at = p;
	n = MIN((size_t)(p - start), max - 1);
	memcpy(out, start, n);
	out[n] = '\0';
	return n > 0;
}

static int line_read(struct hosts *h, const char *at, const char *end)
{
	const char *comment = memchr(at, '#', (size_t)(end - at));
	char text[4 * HOST_MAX], name[HOST_MAX];
	struct addr addr;

	if (comment)
		end = comment;
	if (!word(&at, end, text, sizeof(text)) || addr_parse(text, &addr) < 0)
		return 0;
	while (word(&at, end, text, sizeof(text))) {
		int r = host_parse(text, name);

		if (r == 0 && *name)
			r = pair_add(h, name, &addr);
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

static size_t count_words(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len && n < HOSTS_MAX; i++)
		n += text[i] == ' ' || text[i] == '\t' || text[i] == '\n';
	return n;
}

static int hosts_fill(struct hosts *h, const char *text, size_t len)
{
	const char *end = text + len;
	size_t most = count_words(text, len);
	int r = table_init(&h->names, most);

	if (r == 0)
		r = table_init(&h->addrs, most);
	h->pairs = calloc(most, sizeof(struct pair *));
	if (r == 0 && !h->pairs)
		r = -ENOMEM;
	while (r == 0 && text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		if (!stop)
			stop = end;
		r = line_read(h, text, stop);
		text = stop + 1;
	}
	return r;
}

int hosts_parse(const char *text, size_t len, struct hosts **out)
{
	struct hosts *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	r = hosts_fill(h, text, len);
	if (r < 0) {
		hosts_free(h);
		return r;
	}
	*out = h;
	return 0;
}

void hosts_free(struct hosts *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->npairs; i++)
		free(h->pairs[i]);
	free(h->pairs);
	table_done(&h->names);
	table_done(&h->addrs);
	free(h);
}

bool hosts_has(const struct hosts *h, const char *name)
{
	return h->npairs > 0 && find_name(h, name);
}

unsigned hosts_addrs(const struct hosts *h, const char *name, uint8_t family,
	struct addr out[static HOSTS_ADDRS_MAX])
{
	unsigned n = 0;

	for (struct pair *p = find_name(h, name); p && n < HOSTS_ADDRS_MAX; p = p->more)
		if (family == 0 || p->addr.family == family)
			out[n++] = p->addr;
	return n;
}

const char *hosts_name(const struct hosts *h, const struct addr *addr)
{
	struct pair *p = h->npairs ? find_addr(h, addr) : NULL;

	return p ? p->name : NULL;
}
