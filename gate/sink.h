/* SPDX-License-Identifier: GPL-2.0-or-later
 * sink.h - what no set admits and is no TCP for the proxy: UDP, other protocols, sockets
 * bound to a device; decided from the held packets' log. */
#ifndef GATE_SINK_H
#define GATE_SINK_H

#include <stdbool.h>

struct gate;
struct nflog_packet;
struct sink;

int sink_new(struct gate *g, struct sink **out); /* -ENOMEM */
/* after the kernel's thread has ended; NULL is fine */
void sink_free(struct sink *s);
/* false: it is not of these, but a refusal */
bool sink_packet(struct sink *s, const struct nflog_packet *p);

#endif
