/* SPDX-License-Identifier: GPL-2.0-or-later
 * figures.h - times of many tries, and what one says of them. */
#ifndef TESTS_BENCH_FIGURES_H
#define TESTS_BENCH_FIGURES_H

#include <stddef.h>
#include <stdint.h>

struct figures {
	int64_t *ns; /* owned */
	size_t n, max;
};

int64_t now_ns(void);
void figures_init(struct figures *f, size_t max); /* ends the program without memory */
void figures_add(struct figures *f, int64_t ns);  /* over max: not kept */
/* " name_p50_us=1.2 name_p99_us=3.4 name_n=1000", nothing for no tries; sorts */
void figures_print(struct figures *f, const char *name);
int64_t figures_median(struct figures *f); /* ns, 0 for no tries; sorts */
void figures_done(struct figures *f);

/* a whole number from the command line, or the program ends with 2 */
long number(const char *text, long max);

#endif
