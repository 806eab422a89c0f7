/* SPDX-License-Identifier: GPL-2.0-or-later
 * store.h - the file history.db as its writer sees it. Blocking: one thread alone.
 * Rows (flow) lie in order of when they began; texts once each (program, host, domain, word,
 * network); sums (sum) by minute, hour, day of all, by program, by country, by program,
 * domain and country together, and by program and country. */
#ifndef DB_STORE_H
#define DB_STORE_H

#include "db/event.h"
#include "db/history.h"

#include <stdbool.h>

struct store;
struct text;
struct sqlite3;

enum store_level { LEVEL_MINUTE, LEVEL_HOUR, LEVEL_DAY, LEVELS };
enum store_sum { SUM_ALL, SUM_PROGRAM, SUM_COUNTRY, SUM_EACH, SUM_PAIR, SUMS };
extern const int store_level_s[LEVELS];
/* state of a connection whose end nobody told: its core died */
enum { STORE_STATE_UNKNOWN = FLOW_REFUSED + 1 };

/* -errno and why; -EBADMSG: the file is corrupt */
int store_open(const struct history_conf *conf, struct text *why, struct store **out);
void store_close(struct store *s); /* NULL is fine */
/* the whole list in one transaction, or nothing of it and -errno */
int store_write(struct store *s, const struct event *list);
/* a small step of what has to go by age or size; 1: there is more, 0, or -errno */
int store_retain(struct store *s, const struct history_conf *conf, int64_t now_ms);
uint64_t store_bytes(struct store *s); /* in use */
void store_forget(struct store *s); /* texts were deleted from the file */
/* over max: begin to make room, until it is below nine tenths of it; whether to go on */
bool store_shrinking(struct store *s, uint64_t bytes, uint64_t max);
const char *store_error(struct store *s);
struct sqlite3 *store_sql(struct store *s);

#endif
