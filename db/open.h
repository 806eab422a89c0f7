/* SPDX-License-Identifier: GPL-2.0-or-later
 * open.h - the file scupper.db: making it, checking it, bringing its schema up to date.
 * Blocking, at start. */
#ifndef DB_OPEN_H
#define DB_OPEN_H

#include <stdint.h>

struct sqlite3;
struct text;

enum { DB_RULE_ID_MAX = 0x3fffffff }; /* numbers above belong to file and factory rules */

/* -errno and a sentence in why. A file that is corrupt is renamed (its -wal and -shm too),
 * why says so, and a new one is made: then the result is 0, as it is on a full disk whose
 * rules can still be read. */
int db_file_open(const char *path, struct text *why, struct sqlite3 **out);
/* SQLite's result code (extended or not) as 0 or -errno */
int db_errno(int code);

#endif
