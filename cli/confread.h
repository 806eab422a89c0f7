/* SPDX-License-Identifier: GPL-2.0-or-later
 * confread.h - what the readers of the configuration's keys share: conf.c has most of them,
 * confresolver.c those of [resolver]. A reader returns 0 or -EINVAL, after conf_fail() if it
 * has more to say than what was expected. */
#ifndef CLI_CONFREAD_H
#define CLI_CONFREAD_H

#include "cli/conf.h"

#include "base/macros.h"

struct statics;

struct reader {
	struct conf *c;
	struct conf_error *err;
	unsigned line;
	uint64_t seen[2]; /* a bit per key */
	const char *key;
	struct statics *statics; /* what the names so far add up to */
	unsigned named_line, fallback_line; /* the first of each, 0: none */
};

typedef int (*key_read)(struct reader *r, const char *value);

struct key {
	const char *section, *name;
	bool repeats;
	key_read read;      /* NULL: a key of a later version */
	const char *expect; /* for the message */
};

int conf_fail(struct reader *r, const char *fmt, ...) format_printf(2, 3); /* -EINVAL */
int conf_one_of(const char *value, const char *const *words, unsigned n, unsigned *out);
int conf_path(char to[static CONF_PATH_MAX], const char *value); /* an absolute one */
int conf_at(const char *value, uint16_t port, struct conf_at *list, unsigned max,
	unsigned *n); /* ADDRESS[:PORT], appended */

extern const struct key conf_resolver_keys[];
extern const size_t conf_nresolver_keys;
/* when all is read: do the keys go together? r if that is an error already */
int conf_resolver_end(struct reader *reader, int r);

#endif
