/* SPDX-License-Identifier: GPL-2.0-or-later
 * open.h - the file scupper.db: making it, checking it, bringing its schema up to date;
 * and the steps of that which history.db shares. Blocking. */
#ifndef DB_OPEN_H
#define DB_OPEN_H

#include <stdint.h>
#include <sys/types.h>

struct sqlite3;
struct text;

enum { DB_RULE_ID_MAX = 0x3fffffff }; /* numbers above belong to file and factory rules */

/* -errno and a sentence in why. A file that is corrupt is renamed (its -wal and -shm too),
 * why says so, and a new one is made: then the result is 0, as it is on a full disk whose
 * rules can still be read. */
int db_file_open(const char *path, struct text *why, struct sqlite3 **out);
/* SQLite's result code (extended or not) as 0 or -errno */
int db_errno(int code);
int db_exec(struct sqlite3 *sql, const char *text);

/* 0640 and of this group ((gid_t)-1: as it comes), made if there is none: SQLite gives -wal
 * and -shm the same rights */
int db_make_file(const char *path, gid_t group);
/* steps[n] leads from user_version n to n + 1, each in a transaction of its own. -EPROTO and
 * why: the file is of a later version */
int db_migrate(struct sqlite3 *sql, const char *path, const char *const *steps, int now,
	struct text *why);
/* renames the file, its -wal and -shm to FILE.corrupt-STAMP... */
int db_set_aside(const char *path, const char *stamp);

#endif
