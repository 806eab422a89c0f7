/* SPDX-License-Identifier: GPL-2.0-or-later
 * commands.h - what each command does once its line is read: ask the daemon, show. The
 * result is the exit status; what went wrong was said. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

struct client;

enum exit_status { DONE, REFUSED, USAGE, UNREACHABLE };

enum { COMMAND_LIMIT_MAX = 10000 };

struct command_line {
	const char *socket;
	bool json, follow, no_browser, once, jsonl, csv;
	const char *program, *name, *verdict, *address, *country, *since, *from, *to;
	uint32_t limit; /* 0: not said */
	struct client *client;
	int nargs;
	char **args; /* behind the command's words */
};

/* one line on stderr, made safe; returns status */
int command_fail(int status, const char *fmt, ...) format_printf(2, 3);

int command_status(struct command_line *c);
int command_apps(struct command_line *c);
int command_queries(struct command_line *c);
int command_flows(struct command_line *c);
int command_history(struct command_line *c);
int command_why(struct command_line *c);
int command_rule_add(struct command_line *c);
int command_rule_list(struct command_line *c);
int command_pause(struct command_line *c);
int command_resume(struct command_line *c);
int command_top(struct command_line *c);
int command_open(struct command_line *c);
int command_block(struct command_line *c);
int command_rule_rm(struct command_line *c);
int command_cache_flush(struct command_line *c);
int command_explain(struct command_line *c);

#endif
