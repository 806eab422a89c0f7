/* SPDX-License-Identifier: GPL-2.0-or-later
 * db.h - own rules kept over restarts, in scupper.db (SQLite, WAL), behind a thread of its
 * own: the loop never waits for a disk. Versioned schema (user_version), migrations. */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

struct db_rule {
	uint32_t id;
	int64_t created_s, changed_s;
	char *text; /* owned */
};

/* Blocking, at start. -errno; why says file, what and what to do. A corrupt file is moved
 * aside (FILE.corrupt-TIME), said in why with a result of 0, and a fresh one is made; a
 * full disk whose rules can be read is said in why with a result of 0 too. */
int db_open(const char *path, struct uv_loop_s *loop, char *why, size_t why_max,
	struct db **out);
void db_close(struct db *d); /* NULL is fine; waits for what was given */
int db_rules(struct db *d, struct db_rule **out, size_t *n); /* blocking, at start */
void db_rules_free(struct db_rule *rules, size_t n);

enum db_op { DB_RULE_ADD, DB_RULE_REMOVE, DB_RULE_REPLACE };

struct db_request {
	struct job job;     /* done on the loop; result 0, -ENOENT, -ENOSPC, -EIO, ... */
	enum db_op op;
	uint32_t id;        /* ADD: out */
	int64_t created_s;  /* REPLACE: when it was changed */
	const char *text;   /* the caller's until done */
	char error[200];    /* SQLite's words, when result < 0 */
};
int db_give(struct db *d, struct db_request *req);

#endif
