/* SPDX-License-Identifier: GPL-2.0-or-later
 * list.h - a compiled list of names and addresses. Pure: bytes in, answers out.
 *
 * Glossary. entry: one name or range of a list. exception: an entry that takes a name out
 * again. fingerprint: 60 bits of a keyed hash, kept instead of the name.
 *
 * Shape: a fixed head, then a bit filter, fingerprints in order, each at or behind the slot
 *        it leads to, each one's source line, address ranges in order (listfile.h). The hash is a
 *        polynomial over the prime 2^61 - 1 at a secret point, another in each file, so
 *        two names agree with a chance of some 2^-52 at worst, even if somebody picks them
 *        without having read the file; with 1,000,000 entries a name that is not listed is taken
 *        for a listed one with a chance of about 10^-12.
 * Ownership: a list owns its bytes and gives them back by release. Counted references;
 *        one thread.
 * Errors: 0 or -errno; -EBADMSG: no list of ours, damaged, or of another version. */
#ifndef RULES_LIST_H
#define RULES_LIST_H

#include "base/addr.h"
#include "base/host.h"

enum { LIST_NAME_MAX = 64, LIST_SOURCE_MAX = 512, LIST_TAG_MAX = 128 };

enum list_format {
	LIST_AUTO,     /* each line by its shape */
	LIST_PLAIN,    /* x: it alone; .x: it and all below; *.x: all below */
	LIST_HOSTS,    /* 0.0.0.0 x y: each alone */
	LIST_ADBLOCK,  /* ||x^ and @@||x^: it and all below */
	LIST_DNSMASQ,  /* address=/x/ server=/x/ local=/x/: it and all below */
	LIST_RPZ,      /* zone file: CNAME . or *. or rpz-drop., rpz-passthru. */
	LIST_CIDR,     /* addresses, prefixes, ranges */
};

/* what stands in the file beside the entries */
struct list_info {
	uint32_t names, ranges;  /* entries */
	uint32_t skipped;        /* lines that say nothing of names or addresses here */
	uint32_t format;         /* enum list_format it was read as */
	int64_t made_s;
	char source[LIST_SOURCE_MAX]; /* a path or an URL */
	char etag[LIST_TAG_MAX], modified[LIST_TAG_MAX];
};

struct list;

typedef void (*list_release)(void *bytes, size_t len);
/* checks all of it; bytes are 8-byte aligned and taken on success only */
int list_open(void *bytes, size_t len, list_release release, struct list **out);
struct list *list_ref(struct list *l);
void list_unref(struct list *l); /* NULL is fine */
void list_about(const struct list *l, struct list_info *out);
bool list_has_ranges(const struct list *l);

/* an entry that was met */
struct list_entry {
	const char *name;      /* the part of the asked name that is the entry; or NULL */
	bool below;            /* by all below it */
	struct addr lo, hi;    /* where name is NULL */
	uint32_t line;         /* of its source; 0: not known */
};
/* name is normalised (base/host.h). out may be NULL */
bool list_find_name(const struct list *l, const char *name, struct list_entry *out);
bool list_find_addr(const struct list *l, const struct addr *a, struct list_entry *out);

/* a-z 0-9 - _ . beginning with a letter, LIST_NAME_MAX - 1 at most */
bool list_name_ok(const char *name);
const char *list_format_text(enum list_format f);
int list_format_parse(const char *text, enum list_format *out); /* -EINVAL */

#endif
