/* SPDX-License-Identifier: GPL-2.0-or-later
 * ubevent.h - libunbound on our loop: its pluggable event base (unbound-event.h) over uv.
 * Its sockets and timers become uv handles; nothing of it runs anywhere else. */
#ifndef RESOLVER_UBEVENT_H
#define RESOLVER_UBEVENT_H

struct uv_loop_s;
struct ub_event_base;

/* NULL: out of memory. Free it after the context that uses it (ub_ctx_delete), by
 * ubevent_free(); the loop must turn once more before it is closed. */
struct ub_event_base *ubevent_new(struct uv_loop_s *loop);
void ubevent_free(struct ub_event_base *base);

#endif
