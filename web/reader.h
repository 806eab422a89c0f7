/* SPDX-License-Identifier: GPL-2.0-or-later
 * reader.h - history.db behind a thread of its own: the loop never waits for SQLite.
 * One read at a time, the others wait in the order given: READER_WAITING_MAX in all,
 * READER_EACH_MAX of one user. Who hung up is noticed within READER_LOOK_MS: what was for
 * him is not begun, or broken off. */
#ifndef WEB_READER_H
#define WEB_READER_H

#include <stdbool.h>
#include <stdint.h>

struct history_read;
struct reader;
struct request;
struct uv_loop_s;

enum { READER_WAITING_MAX = 32, READER_EACH_MAX = 6, READER_LOOK_MS = 250 };

/* embedded in the caller's record, which must live until done was called */
struct reader_job {
	struct reader_job *next;
	int result; /* 0, -errno; -ECANCELED: nobody waits for it any more */
	struct reader *reader;
	struct request *rq; /* waits */
	void (*read)(struct reader_job *j, struct history_read *r); /* on the thread */
	void (*done)(struct reader_job *j);                         /* on the loop, once */
};

/* Opens the file while that can be done, with whatever right is left; path NULL: there is
 * none to read. A file that cannot be opened is no error of this: reader_why() says it. */
int reader_new(const char *path, struct reader **out); /* -ENOMEM */
/* the thread: after the sandbox is closed, so that it is in it. other: called on the loop
 * when what is being written has been another file for a while */
int reader_start(struct reader *r, struct uv_loop_s *loop, void (*other)(void *ctx),
	void *ctx);
void reader_close(struct reader *r); /* NULL is fine; ends what is under way */
/* why nothing can be read, or NULL */
const char *reader_why(const struct reader *r);
bool reader_none(const struct reader *r); /* no history is kept */
/* -ENOBUFS: too many wait (of this user) */
int reader_give(struct reader *r, struct reader_job *j);
/* the core writes to this file now; 0, 0: to none */
void reader_told(struct reader *r, uint64_t dev, uint64_t ino);

#endif
