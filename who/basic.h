/* SPDX-License-Identifier: GPL-2.0-or-later
 * basic.h - basic mode, where BPF cannot be had: whose socket sent this, from sock_diag and
 * /proc/PID/fd, looked up afterwards on a thread of its own. It cannot see a program that is
 * gone by then: that one is unknown, and so is a socket that different executables have
 * open. An executable is what /proc/PID/exe says, which a program may bend (PR_SET_MM_MAP in
 * a user namespace of its own): one more thing that BPF mode does not suffer. Numbers are not the kernel's here: actor is a number
 * of our own per (executable, user), serial is stable while the daemon lives. */
#ifndef WHO_BASIC_H
#define WHO_BASIC_H

#include "base/program.h"
#include "who/diag.h"

struct uv_loop_s;
struct basic;

struct basic_found {
	struct program program; /* its paths point into this very struct */
	struct process process;
	bool in_scope;          /* false: outside, shown and not judged */
};

/* scope: absolute path of the cgroup2 directory that is guarded; NULL: everything */
int basic_open(struct uv_loop_s *loop, const char *scope, struct basic **out);
void basic_close(struct basic *b); /* NULL is fine; what waits is called with NULL */
/* done is called once, on the loop, with NULL if nobody was found. -ENOBUFS: too many */
int basic_find(struct basic *b, const struct diag_tuple *t,
	void (*done)(void *ctx, const struct basic_found *found), void *ctx);

#endif
