/* SPDX-License-Identifier: GPL-2.0-or-later
 * sums.h - sums by minute, hour and day: added up in memory for one transaction, then put
 * into the file together. */
#ifndef DB_SUMS_H
#define DB_SUMS_H

#include <stdint.h>

struct sums;
struct sqlite3;

struct sum_key {
	int64_t at_s, program, domain;
	uint16_t country;
	uint8_t verdict, level, what; /* the last two are filled in by sums_add */
};

struct sum {
	uint64_t rx, tx, connections, denied;
};

int sums_open(struct sqlite3 *sql, struct sums **out);
void sums_close(struct sums *s); /* NULL is fine */
int sums_add(struct sums *s, const struct sum_key *key, const struct sum *add);
int sums_flush(struct sums *s);   /* inside the caller's transaction */
void sums_forget(struct sums *s); /* the transaction failed */

#endif
