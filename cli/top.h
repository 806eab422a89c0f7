/* SPDX-License-Identifier: GPL-2.0-or-later
 * top.h - the live tree in a terminal: what its parts share. top.c is the command and the
 * loop, topfeed.c what comes from the daemon, topdraw.c the screen, topkeys.c what a key
 * does, toptext.c the pages of text, topdial.c the making of a rule. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "base/macros.h"
#include "cli/choice.h"
#include "cli/client.h"
#include "cli/rows.h"

enum { TOP_FILTER_MAX = 64, TOP_SAID_MAX = 600, TOP_UNDO_MAX = 50 };

/* what the screen shows, and so who gets the keys */
enum top_mode { TOP_LIST, TOP_FILTER, TOP_RULE, TOP_TEXT };

/* a page of lines over the list */
struct top_text {
	char title[TOP_SAID_MAX];
	char **lines; /* owned, safe */
	size_t n, room, first;
};

struct top {
	struct client *calls, *streaming;
	struct client_stream *stream; /* NULL: none */
	bool live;            /* the stream said hello, and the tree is read */
	bool reload;          /* the tree is to be read anew */
	bool look;            /* status is to be read anew */
	int64_t heard_ms;     /* Unix: the stream last said something */
	int64_t retry_ms;     /* monotonic: when to try again */
	char gone[CLIENT_WHY_MAX];
	char boot[40];
	char how[160];        /* "main: enforce, default allow" */
	char filter_said[160]; /* paused, blocked; "" */

	struct tree *tree;
	struct rows rows;
	uint64_t rows_left;   /* the tree's when they were built */
	struct order order;
	char filter[TOP_FILTER_MAX];
	size_t first, at;     /* rows: the topmost shown, the cursor */
	bool paused;          /* nothing new is taken in */
	bool quit;

	enum top_mode mode;
	char said[TOP_SAID_MAX]; /* to the person, until the next key */
	struct choice choice;
	unsigned field;       /* of the rule's dialogue */
	bool sure;
	struct top_text text;
	uint32_t undo[TOP_UNDO_MAX]; /* rules made here; undos is how many, the newest last */
	unsigned undos;
};

int top_open(const char *socket, struct top **out); /* -ENOMEM */
void top_close(struct top *t);

/* topfeed.c */
void top_turn(struct top *t, const int *fds, unsigned n, int timeout_ms);
void top_say(struct top *t, const char *fmt, ...) format_printf(2, 3); /* made safe */
/* GET, quietly: NULL, with the reason said */
json_t *top_get(struct top *t, const char *path);

/* topdraw.c */
void top_rows(struct top *t); /* puts the rows in order again, keeps the cursor */
void top_draw(struct top *t);
int top_list_height(void);
struct node *top_node(const struct top *t); /* under the cursor, or NULL */

/* topkeys.c */
void top_key(struct top *t, int key);

/* toptext.c */
void top_details(struct top *t);
void top_help(struct top *t);
void top_text_key(struct top *t, int key);
void top_text_draw(struct top *t);
void top_text_done(struct top_text *x);

/* topdial.c */
void top_ask_rule(struct top *t, bool allow);
void top_rule_key(struct top *t, int key);
void top_rule_draw(struct top *t);
void top_undo(struct top *t);

#endif
