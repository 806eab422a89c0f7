/* SPDX-License-Identifier: GPL-2.0-or-later
 * shelf.h - the compiled lists in the state directory's folder "lists": NAME.list is the
 * one in force, NAME.old the one before it. `scupper list` puts them there whole, by rename;
 * they are read only here, mapped. One that does not check (damaged, of another version)
 * changes nothing: the one that was mapped stays, or NAME.old. NAME.failed says why the
 * last update went wrong. */
#ifndef CLI_SHELF_H
#define CLI_SHELF_H

#include "rules/list.h"

struct text;
struct shelf;

enum { SHELF_MAX = 64 };

/* -ENOMEM; the folder is made if it is not there */
int shelf_open(const char *dir, struct shelf **out);
void shelf_close(struct shelf *s); /* NULL is fine; who has references keeps them */
/* looks at the folder again */
void shelf_read(struct shelf *s);
/* borrowed, or NULL */
struct list *shelf_find(void *shelf, const char *name);
/* a sentence for each list with an error, behind what errors holds */
void shelf_errors(const struct shelf *s, struct text *errors);

/* one file, mapped and checked; -errno. For the command too */
int shelf_map(const char *path, struct list **out);
bool shelf_path(const char *dir, const char *name, const char *end, char *out, size_t max);

#endif
