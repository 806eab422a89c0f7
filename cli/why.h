/* SPDX-License-Identifier: GPL-2.0-or-later
 * why.h - denials grouped by program and destination, each with what decided and the
 * command that would allow it. Pure: works on the API's objects. */
#ifndef CLI_WHY_H
#define CLI_WHY_H

#include <jansson.h>

/* queries and flows: arrays of denied ones; rules: the API's list, or NULL. Gives an array
 * of {program, uid, name, address, port, proto, reason, rule, count, last, fix, note}, what
 * was denied last first; NULL with no memory. fix is null where no rule can allow it. */
json_t *why_group(const json_t *queries, const json_t *flows, const json_t *rules);
void why_show(const json_t *groups);

#endif
