/* SPDX-License-Identifier: GPL-2.0-or-later
 * keeper.h - the core's side of the history: gives it what happens, logs once what is wrong
 * with it, and tells scupper-web when the file is another one. */
#ifndef CLI_KEEPER_H
#define CLI_KEEPER_H

#include "cli/conf.h"
#include "web/link.h"

struct uv_loop_s;
struct keeper;
struct program;
struct ruleset;
struct serve;

/* the file exists and can be read from then on; failures are logged. At start, blocking */
void keeper_prepare(const struct conf *conf);
/* NULL with keep=0 or without memory */
struct keeper *keeper_open(struct uv_loop_s *loop, const struct conf *conf);
void keeper_serve(struct keeper *k, struct serve *s); /* whom to tell; NULL: nobody */
void keeper_close(struct keeper *k);                  /* NULL is fine, here and below */
void keeper_flow(struct keeper *k, const struct flow *f, const struct program *p,
	const struct ruleset *rs);
void keeper_status(struct keeper *k, struct link_status *out);

#endif
