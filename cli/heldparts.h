/* SPDX-License-Identifier: GPL-2.0-or-later
 * heldparts.h - what held.c has opened for it. */
#ifndef CLI_HELDPARTS_H
#define CLI_HELDPARTS_H

#include "cli/held.h"

/* where the dashboard is to be */
unsigned held_web_places(const struct conf *c, const struct conf_at **out);
/* -errno, why in a sentence */
int held_open_control(struct held *h, char *why, size_t why_max);
void held_open_web(struct held *h);
void held_open_kernel(struct held *h);
/* -errno, why in a sentence; after held_open_kernel, which chooses the port */
int held_open_gate(struct held *h, char *why, size_t why_max);

#endif
