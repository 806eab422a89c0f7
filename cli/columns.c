/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/columns.h"
#include "base/macros.h"
#include "base/text.h"

#include <string.h>

/* characters, not bytes: cells are valid UTF-8 after text_add_safe() */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void columns_init(struct columns *c, size_t n, const char *const *heads)
{
	memset(c, 0, sizeof(*c));
	c->n = n;
	if (heads)
		columns_add(c, heads);
}

static char *safe(const char *s)
{
	char buf[COLUMNS_CELL_MAX];
	struct text t = text_into(buf, sizeof(buf));

	text_add_safe(&t, s && *s ? s : "-");
	return strdup(buf);
}

void columns_add(struct columns *c, const char *const *cells)
{
	if (c->rows == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		char **more = realloc(c->cells, room * c->n * sizeof(*more));

		if (!more)
			return;
		c->cells = more;
		c->room = room;
	}
	for (size_t i = 0; i < c->n; i++) {
		char *cell = safe(cells[i]);

		c->cells[c->rows * c->n + i] = cell;
		if (cell)
			c->width[i] = MAX(c->width[i], width_of(cell));
	}
	c->rows++;
}

static void print_row(const struct columns *c, char *const *cells, FILE *to)
{
	for (size_t i = 0; i < c->n; i++) {
		const char *cell = cells[i] ? cells[i] : "-";
		size_t pad = i + 1 < c->n ? c->width[i] + 2 - width_of(cell) : 0;

		fprintf(to, "%s%*s", cell, (int)pad, "");
	}
	fputc('\n', to);
}

void columns_print(struct columns *c, FILE *to)
{
	for (size_t row = 0; row < c->rows; row++) {
		print_row(c, c->cells + row * c->n, to);
		for (size_t i = 0; i < c->n; i++)
			free(c->cells[row * c->n + i]);
	}
	c->rows = 0;
	fflush(to);
}

void columns_done(struct columns *c)
{
	for (size_t i = 0; i < c->rows * c->n; i++)
		free(c->cells[i]);
	free(c->cells);
	memset(c, 0, sizeof(*c));
}
