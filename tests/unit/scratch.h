/* SPDX-License-Identifier: GPL-2.0-or-later
 * scratch.h - a network namespace of the test's own, with lo up, and a neighbour. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stdbool.h>
#include <sys/types.h>

/* Automake's word for a test that was skipped; print why first. */
enum { SCRATCH_SKIPPED = 77 };

/* Moves this process to a new network namespace. false: why says what is missing. */
bool scratch_net(const char **why);
/* a shell command; its exit status, with stdin from text (NULL: nothing) */
int scratch_run(const char *command, const char *text);
bool scratch_has(const char *program);

/* A second namespace, joined by a veth pair: 10.9.0.1/24 and fd00:9::1/64 here, .2 and ::2
 * there. Its process waits to be killed; -1: there is no `ip` program, or it failed. */
pid_t scratch_peer(void);
void scratch_peer_end(pid_t peer);
/* runs fn in a process there; its exit status */
int scratch_in_peer(pid_t peer, int (*fn)(const void *arg), const void *arg);

#endif
