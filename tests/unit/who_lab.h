/* SPDX-License-Identifier: GPL-2.0-or-later
 * who_lab.h - a cgroup, a network namespace and copies of one small program, for tests of
 * who/ against the running kernel. The test program itself is the small program: run as
 * `NAME child OP...` it does what the operations say and prints what came of each. */
#ifndef TESTS_WHO_LAB_H
#define TESTS_WHO_LAB_H

#include "who/who.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;

struct lab {
	char dir[256];     /* on a disk, not nosuid or noexec */
	char cgroup[256];
	char pins[256];
	struct instance instance;
	struct who *who;
	struct uv_loop_s *loop;
};

/* NULL, or why these tests cannot run here */
const char *lab_open(struct lab *l);
void lab_close(struct lab *l);
void lab_who_open(struct lab *l, const char *pins, bool closed, uint32_t numbers);
void lab_who_close(struct lab *l, bool unpin);
void lab_start(struct lab *l, const struct who_calls *calls);
void lab_turn(struct lab *l); /* what waits on the loop */
/* a copy of the small program: path is below lab.dir, borrowed until the next call */
const char *lab_copy(struct lab *l, const char *name);

struct child {
	int pid, in, out;
};
/* runs path in the cgroup with the operations, separated by blanks; uid 0 stays root */
struct child lab_spawn(struct lab *l, const char *path, const char *ops, uint32_t uid);
/* the next line it prints, as hexadecimal or, after '-', decimal; fails the test at end */
int64_t lab_read(struct child *c);
void lab_go(struct child *c);  /* ends its "wait" */
void lab_reap(struct child *c);
int64_t lab_run(struct lab *l, const char *path, const char *ops); /* the last line */
int64_t lab_run_as(struct lab *l, const char *path, const char *ops, uint32_t uid);

int child_main(int argc, char **argv);

#endif
