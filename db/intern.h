/* SPDX-License-Identifier: GPL-2.0-or-later
 * intern.h - texts that come again and again, once each in the file and numbered. What was
 * used last is known without asking the file. */
#ifndef DB_INTERN_H
#define DB_INTERN_H

#include <stdint.h>

struct intern;
struct sqlite3;

enum intern_table { INTERN_PROGRAM, INTERN_HOST, INTERN_DOMAIN, INTERN_WORD, INTERN_TABLES };

int intern_open(struct sqlite3 *sql, struct intern **out);
void intern_close(struct intern *in); /* NULL is fine */
/* its number, a new one if it has none; uid counts for programs only. day: used then */
int intern_id(struct intern *in, enum intern_table t, const char *text, uint32_t uid,
	int64_t day, int64_t *out);
void intern_forget(struct intern *in); /* the file may have others now */

#endif
