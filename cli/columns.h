/* SPDX-License-Identifier: GPL-2.0-or-later
 * columns.h - rows of cells, printed with columns that line up. Text from outside is made
 * safe on the way in; a cell of nothing is a dash. The last column is not padded. */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H

#include <stddef.h>
#include <stdio.h>

enum { COLUMNS_MAX = 12, COLUMNS_CELL_MAX = 2048 };

struct columns {
	size_t n;
	size_t width[COLUMNS_MAX]; /* may be set before: at least so wide */
	char **cells;              /* owned, n a row */
	size_t rows, room;
};

/* heads and cells: n of them; NULL or "" is nothing */
void columns_init(struct columns *c, size_t n, const char *const *heads);
void columns_add(struct columns *c, const char *const *cells);
/* prints what was added, forgets it, keeps the widths */
void columns_print(struct columns *c, FILE *to);
void columns_done(struct columns *c);

#endif
