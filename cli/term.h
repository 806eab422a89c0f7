/* SPDX-License-Identifier: GPL-2.0-or-later
 * term.h - the terminal as a whole screen (ncurses), and given back as it was, whatever ends
 * the program. One at a time: the terminal is the process's. */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>

enum { TERM_WHY_MAX = 200 };

enum term_colour { TERM_PLAIN, TERM_GREEN, TERM_RED, TERM_YELLOW, TERM_CYAN };

/* what happened that no key says */
enum term_event { TERM_NOTHING, TERM_RESIZED, TERM_END };

/* -ENOTTY: no terminal, or one that cannot do it; *why says which */
int term_open(char why[static TERM_WHY_MAX]);
void term_close(void);
int term_fd(void); /* can be read when something happened */
enum term_event term_event(void);
bool term_utf8(void);
/* attribute of ncurses for a colour; 0 where there are none (NO_COLOR, no colours) */
unsigned long term_colour(enum term_colour c);
/* At most width cells of safe text at y, x, the rest blank; what is longer is cut, with a
 * sign for it. Returns the cells that text took. */
int term_put(int y, int x, int width, const char *text);
void term_put_right(int y, int x, int width, const char *text);

#endif
