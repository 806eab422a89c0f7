/* SPDX-License-Identifier: GPL-2.0-or-later
 * pace.h - how often a row is told: at once, and then every PACE_MS at most, as it is by
 * then. Pure.
 * Bounds: PACE_ROWS_MAX rows told within PACE_MS; more are told as often as they change. */
#ifndef WEB_PACE_H
#define WEB_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACE_MS = 250, PACE_ROWS_MAX = 8192 };

struct pace;

int pace_new(struct pace **out);  /* -ENOMEM */
void pace_free(struct pace *p);   /* NULL is fine */
/* a row changed: may it be told now? else pace_due() gives it when it may */
bool pace_now(struct pace *p, uint64_t row, int64_t now_ms);
/* the next row whose time has come; false: none for now */
bool pace_due(struct pace *p, int64_t now_ms, uint64_t *row);
size_t pace_waiting(const struct pace *p);

#endif
