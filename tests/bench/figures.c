/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "figures.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void figures_init(struct figures *f, size_t max)
{
	f->ns = calloc(max, sizeof(*f->ns));
	f->n = 0;
	f->max = max;
	if (!f->ns)
		err(1, "figures");
}

void figures_add(struct figures *f, int64_t ns)
{
	if (f->n < f->max)
		f->ns[f->n++] = ns;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t figures_median(struct figures *f)
{
	qsort(f->ns, f->n, sizeof(*f->ns), by_size);
	return f->n ? f->ns[f->n / 2] : 0;
}

void figures_print(struct figures *f, const char *name)
{
	int64_t median = figures_median(f);

	if (f->n == 0)
		return;
	printf(" %s_p50_us=%.1f %s_p99_us=%.1f %s_n=%zu", name, (double)median / 1000, name,
		(double)f->ns[f->n * 99 / 100] / 1000, name, f->n);
}

void figures_done(struct figures *f)
{
	free(f->ns);
}

long number(const char *text, long max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < 0 || n > max)
		errx(2, "%s: not a number from 0 to %ld", text, max);
	return n;
}
