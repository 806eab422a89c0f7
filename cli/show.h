/* SPDX-License-Identifier: GPL-2.0-or-later
 * show.h - the API's objects for a person's eyes. Times are local; text from outside is
 * made safe. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "cli/columns.h"

#include <jansson.h>
#include <stdbool.h>

enum { SHOW_TIME_MAX = 32 };

/* member of an object, or NULL; also of NULL */
const char *show_text(const json_t *o, const char *key);
json_int_t show_number(const json_t *o, const char *key);
/* RFC 3339 to "15:04:05", with the date before it if that is not today's; "" for none */
const char *show_time(const char *rfc3339, char out[static SHOW_TIME_MAX]);
/* the deciding rule's text, or the reason's word */
const char *show_why(const json_t *o);
/* "allow"; where nothing is refused "would deny" */
const char *show_verdict(const json_t *o);
void show_lines(const char *text); /* many lines, each made safe */

/* a program's first contact ever: one line */
void show_notice(const json_t *o);
/* {mode, enabled, until} in a sentence */
void show_filter(const json_t *o);
void show_status(const json_t *o);
void show_query_columns(struct columns *c);
void show_query(struct columns *c, const json_t *o);
void show_flow_columns(struct columns *c);
void show_flow(struct columns *c, const json_t *o);
void show_apps(const json_t *items);
void show_rules(const json_t *items);

#endif
