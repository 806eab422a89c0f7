/* SPDX-License-Identifier: GPL-2.0-or-later
 * runparts.h - what the files of `scupper run` share: the options, and what is made on the
 * way. Everything that fails says so itself; the result is an exit status. */
#ifndef CLI_RUNPARTS_H
#define CLI_RUNPARTS_H

#include "cli/conf.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct client;

enum {
	EXIT_USAGE = 2,
	EXIT_DENIED = 125,
	EXIT_CANNOT = 126,
	EXIT_NOT_FOUND = 127,
	ALLOW_MAX = 256,
};

struct run {
	const char *allow[ALLOW_MAX];
	unsigned nallow;
	const char *rules_file, *learn_file;
	enum verdict def; /* NONE: not given */
	bool report_json, fail_on_deny, learn_wide, force, keep_sockets;
	char **cmd;
	/* made on the way */
	char dir[64], scope[64], cgroup[PATH_MAX], socket[128];
	bool made_cgroup, started; /* started: the command itself ran */
	pid_t self, daemon;
	int signals; /* signalfd of what may interrupt us, and SIGCHLD */
	struct conf conf;
};

/* 0: go on; else an exit status + 1, so that --help's 0 is one too */
int run_parse(struct run *r, int argc, char **argv);
/* the rules of --allow and --rules, into the private daemon's folder */
int run_write_rules(const struct run *r);

/* descriptors 0 to 2 are there and no way to another machine; the others are closed */
int run_inherited(const struct run *r);

/* whether the file of --learn can be made; said before the command is started */
int run_learn_check(const struct run *r);
/* writes the report, and the rules where they are wanted. *denied: how many things were;
 * 0, or an exit status where the rules could not be written */
int run_result(const struct run *r, struct client *c, size_t *denied);

#endif
