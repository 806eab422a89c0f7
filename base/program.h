/* SPDX-License-Identifier: GPL-2.0-or-later
 * program.h - a program as rules and people see it: what a number stands for.
 * Owned by who/ (its identity table); everybody else borrows it for the current turn of
 * the loop. serial tells two programs apart that bore the same number one after another. */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

enum {
	ACTOR_BITS = 13,
	ACTOR_MASK = 0x1fff,
	ACTOR_NONE = 0,
	ACTOR_UNKNOWN = 0x1ffd,
	ACTOR_SELF = 0x1fff,
	ACTOR_MAX = 0x1ff0, /* numbers 1 to ACTOR_MAX are given out */
	PROGRAM_PATHS_MAX = 8,
	PROGRAM_PATH_MAX = 768,
};

/* how sure we are whose something is */
enum how {
	HOW_NOBODY,  /* unknown: judged as the worst it could be */
	HOW_KERNEL,  /* the kernel marked the socket */
	HOW_DIAG,    /* looked up afterwards by sock_diag and /proc */
	HOW_OUTSIDE, /* not in the scope: shown, not judged */
	HOW_SELF,    /* the daemon */
};

struct program {
	uint32_t actor;  /* the number, or ACTOR_UNKNOWN */
	uint64_t serial; /* unique since the daemon's first start */
	uint32_t uid;
	bool known;      /* false: matches only `unknown` and `any` */
	bool believed;   /* paths name this very file in our mount namespace */
	uint8_t npaths;  /* believed paths (hard links); none if not believed */
	char path[PROGRAM_PATH_MAX]; /* as shown: paths[0], or "/x (deleted)", "memfd:x" */
	const char *paths[PROGRAM_PATHS_MAX];
};

/* one process of a program, where it is known */
struct process {
	int32_t pid;      /* tgid; 0 not known */
	uint64_t start;   /* boot-clock ns of its leader: tells pids apart */
	int32_t parent;
	uint32_t uid;
	char path[PROGRAM_PATH_MAX];
	char args[256];   /* argv, joined by blanks, cut */
	char cgroup[256]; /* path below the cgroup2 mount */
};

#endif
