/* SPDX-License-Identifier: GPL-2.0-or-later
 * call.h - how a command asks the daemon and prints what it says. Results are exit statuses;
 * what went wrong was said. */
#ifndef CLI_CALL_H
#define CLI_CALL_H

#include "cli/client.h"
#include "cli/commands.h"

enum { CALL_PATH_MAX = 3000 }; /* a path with its arguments */

/* DONE: out is a success and the caller's. Borrows body, which may be NULL. */
int call_daemon(struct command_line *c, const char *method, const char *path, json_t *body,
	struct reply *out);
/* the same; the answer as JSON or as show() shows it. Takes body. */
int call_show(struct command_line *c, const char *method, const char *path, json_t *body,
	void (*show)(const json_t *o));
/* up to limit of a collection, newest first, page by page; *next is the API's */
int call_collect(struct command_line *c, const char *path, uint32_t limit, json_t *items,
	json_t **next);
void call_print(const json_t *o); /* in a line */
/* {"items": items, "next": next}; next may be NULL */
void call_print_collection(json_t *items, json_t *next);

#endif
