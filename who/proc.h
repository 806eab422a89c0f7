/* SPDX-License-Identifier: GPL-2.0-or-later
 * proc.h - what /proc says about processes (proc(5), cgroups(7)).
 * A process is held by its /proc/PID directory: once it is gone every call on that
 * descriptor says -ESRCH or -ENOENT, and a process that got its number later is never
 * met. What is read is true of that moment only: an exec in between changes it.
 * Needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH for processes of others.
 * Errors: 0 or -errno; outputs are untouched on failure. */
#ifndef WHO_PROC_H
#define WHO_PROC_H

#include "base/program.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int proc_open(int32_t pid); /* a descriptor for the calls below, the caller's to close */

struct proc_exe {
	/* as people know it: "/usr/bin/curl", "/tmp/x (deleted)", "memfd:x" */
	char path[PROGRAM_PATH_MAX];
	uint64_t dev, ino; /* stat's: to compare with other stats only */
	bool deleted;      /* no name of it is left where it was started from */
	bool believed;     /* path names this very file in our own mount namespace */
};
int proc_exe(int dir, struct proc_exe *out); /* -ENOENT: kernel thread or zombie */

/* start time of the leader on the boot clock. /proc counts in ticks (10 ms where
 * sysconf(_SC_CLK_TCK) is 100), rounded down: compare with proc_same_start() only. */
int proc_start(int dir, uint64_t *ns);
/* do two start times, of whichever source, mean the same tick? */
bool proc_same_start(uint64_t a_ns, uint64_t b_ns);

/* everything but the identity of the executable; path and args are "" where the process
 * has none; args are made safe to show, path is as it stands */
int proc_read(int dir, struct process *out);

/* Every socket the process has open: its descriptor there and the inode of the socket.
 * each returns whether to go on. At most PROC_FDS_MAX descriptors are looked at. */
enum { PROC_FDS_MAX = 65536 };
typedef bool (*proc_socket)(void *ctx, int fd, uint32_t inode);
int proc_sockets(int dir, proc_socket each, void *ctx);

/* The same one descriptor at a time, to be put down and gone on with later: 1 a socket, 0
 * something else, -1 that was all. */
struct proc_fds;
int proc_fds_open(int dir, struct proc_fds **out);
void proc_fds_close(struct proc_fds *f); /* NULL is fine */
int proc_fds_next(struct proc_fds *f, int *fd, uint32_t *inode);

/* path of the cgroup2 directory dir below its mount ("/" for the mount itself), as it
 * stands in /proc/PID/cgroup and struct process; -ENOENT: not in a cgroup2 mount */
int proc_cgroup_below(const char *dir, char *out, size_t max);
/* is cgroup path p the path scope or below it? */
bool proc_cgroup_in(const char *p, const char *scope);

/* Walks the process numbers of the machine, or of a cgroup2 directory and all below it.
 * May be put down and gone on with later: what starts meanwhile may be missed, what moves
 * may come twice. At most PROC_WALK_DEEP levels; deeper ones are not looked at. */
enum { PROC_WALK_DEEP = 32 };
struct proc_walk;
int proc_walk_open(const char *cgroup, struct proc_walk **out); /* NULL: the machine */
void proc_walk_close(struct proc_walk *w);                      /* NULL is fine */
bool proc_walk_next(struct proc_walk *w, int32_t *pid);         /* false: that was all */

/* the readers behind it, over the bytes of the file */
int proc_parse_stat(const char *text, int32_t *parent, uint64_t *start_ticks); /* -EBADMSG */
int proc_parse_uid(const char *status, uint32_t *uid);                         /* -EBADMSG */
int proc_parse_cgroup(const char *text, char *out, size_t max);                /* -ENOENT */
bool proc_parse_socket(const char *link, uint32_t *inode); /* "socket:[123]" */

#endif
