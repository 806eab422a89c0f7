/* SPDX-License-Identifier: GPL-2.0-or-later
 * report.h - what `scupper run` says at the end: every name and address that was contacted,
 * by which program, allowed or denied. Works on the API's own objects. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <jansson.h>
#include <stdio.h>

struct report;

int report_new(struct report **out);
void report_free(struct report *r); /* NULL is fine */
/* items of GET queries and GET flows; unknown or foreign members are skipped */
void report_add_queries(struct report *r, const json_t *items);
void report_add_flows(struct report *r, const json_t *items);
size_t report_denied(const struct report *r);

void report_text(const struct report *r, FILE *to);
/* {"programs":[{"path","uid","names":[...],"addresses":[...]}],"denied":N}; a new reference */
json_t *report_json(const struct report *r);

#endif
