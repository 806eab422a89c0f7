/* SPDX-License-Identifier: GPL-2.0-or-later
 * history.h - what happened, kept in history.db, a file of its own: a corrupt or huge
 * history never touches the rules.
 *
 * A thread of its own writes what it is given in batches, one transaction each, at most one
 * every HISTORY_BATCH_MS. The caller never waits. While the disk is full, the file locked or
 * gone bad, HISTORY_WAITING_MAX events wait in memory, the oldest leaves first and is
 * counted; they are written as soon as that can be. A corrupt file is moved aside
 * (history.db.corrupt-TIME) and a new one begun. */
#ifndef DB_HISTORY_H
#define DB_HISTORY_H

#include "base/flow.h"

#include <sys/types.h>

struct history;

enum {
	HISTORY_BATCH_MS = 500,
	HISTORY_BATCH_MAX = 16384,
	HISTORY_WAITING_MAX = 65536,
	HISTORY_WHY_MAX = 256,
};

/* which queries leave a row of their own */
enum history_queries { HISTORY_REFUSED, HISTORY_ALL, HISTORY_NONE };

struct history_conf {
	const char *path;
	gid_t group;       /* of the file, (gid_t)-1: as it comes */
	int64_t keep_s;    /* rows; sums by hour 4 times, by day 20 times as long */
	uint64_t max_bytes;
	enum history_queries queries;
};

struct history_who {
	const char *path;      /* of the program, "" unknown */
	uint32_t uid;
	const char *domain;    /* the registrable one of flow.name, or NULL */
	const char *rule_text; /* of flow.rule, or NULL */
};

struct history_status {
	char why[HISTORY_WHY_MAX]; /* what is wrong, "" nothing */
	uint64_t written, lost, waiting, bytes;
	uint64_t dev, ino;         /* of the file in use, 0: none */
	char aside[HISTORY_WHY_MAX]; /* the last corrupt file that was moved, or "" */
};

/* Makes the file where there is none and brings its schema up to date, so that a reader
 * without rights finds it. Blocking, at start. -errno and why. */
int history_prepare(const struct history_conf *conf, char *why, size_t why_max);
/* copies conf; the file is opened by the thread, and whatever is wrong with it is status */
int history_open(const struct history_conf *conf, struct history **out);
/* copies; a flow again with the same start and id replaces what was told of it before */
void history_flow(struct history *h, const struct flow *f, const struct history_who *who);
void history_status(struct history *h, struct history_status *out);
/* tries once more to write what waits; NULL is fine */
void history_close(struct history *h);

#endif
