/* SPDX-License-Identifier: GPL-2.0-or-later
 * reading.h - what read.c (rows) and readsum.c (sums) share. */
#ifndef DB_READING_H
#define DB_READING_H

#include "db/read.h"

struct sqlite3;
struct sqlite3_stmt;

struct history_read {
	struct sqlite3 *sql;
	struct sqlite3_stmt *row;
	uint64_t dev, ino;
	int64_t until_ms; /* boot clock; 0: no end */
};

struct read_numbers {
	int64_t at[READ_PROGRAMS_MAX];
	unsigned n; /* READ_PROGRAMS_MAX: there may be more */
};

/* what numbers of programs the filter means: a condition on program, with the parameters
 * ?1 (a path) and ?2 (a uid) that read_bind_programs() fills; NULL: any */
const char *read_which_programs(const struct read_filter *f);
void read_bind_programs(struct sqlite3_stmt *s, const struct read_filter *f);
uint16_t read_country(const char *two); /* as the file has it; 0 none */
int read_errno(struct history_read *r, int code);

#endif
