/* SPDX-License-Identifier: GPL-2.0-or-later
 * book.h - where rules live: own ones from the store, files of the rules folder, factory
 * ones; and the ruleset that is built of them. A file with an error keeps its last good
 * content (also over restarts: a copy stands in the state directory); the error is said. */
#ifndef CLI_BOOK_H
#define CLI_BOOK_H

#include "db/db.h"
#include "rules/rules.h"

struct uv_loop_s;
struct book;

struct book_conf {
	const char *dir;       /* *.rules are read, in order of their names */
	const char *good_dir;  /* copies of what was good last */
	const char *lists_dir; /* compiled lists, for list:NAME; or NULL */
	enum verdict default_out, default_in;
};

/* changed is called on the loop with a new ruleset, which the callee takes */
int book_open(struct uv_loop_s *loop, const struct book_conf *conf, struct db *db,
	void (*changed)(void *ctx, struct ruleset *rs), void *ctx, struct book **out);
void book_close(struct book *b); /* NULL is fine */
/* reads files again and calls changed */
void book_reload(struct book *b);
/* "file:line:column: what; " of every file with an error, or "" */
const char *book_errors(const struct book *b);

/* own rules; done is called on the loop, error is a sentence when r < 0 */
struct book_change {
	void (*done)(struct book_change *c, int r, uint32_t id, const char *error);
	uint32_t seq;
	void *ctx;
	/* the book's from here */
	struct db_request req;
	struct book *book;
	char text[1100];
};
void book_add(struct book *b, struct book_change *c, const char *text, int64_t created_s);
void book_remove(struct book *b, struct book_change *c, uint32_t id);
void book_replace(struct book *b, struct book_change *c, uint32_t id, const char *text);

#endif
