/* SPDX-License-Identifier: GPL-2.0-or-later
 * units.h - amounts for eyes, at most 7 characters wide. Pure. */
#ifndef CLI_UNITS_H
#define CLI_UNITS_H

#include <stdint.h>

enum { UNITS_MAX = 24 };

const char *units_bytes(uint64_t n, char out[static UNITS_MAX]);   /* "9.9 MB" */
const char *units_rate(double per_s, char out[static UNITS_MAX]);  /* "84 kB/s"; "" for none */
const char *units_ago(int64_t then_ms, int64_t now_ms, char out[static UNITS_MAX]);

#endif
