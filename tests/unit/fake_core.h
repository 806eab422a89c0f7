/* SPDX-License-Identifier: GPL-2.0-or-later
 * fake_core.h - scupper-web as it runs, in a child, with a core that a thread of the test
 * plays: what one gets who talks to control.sock, without root, BPF, nftables, network. */
#ifndef TESTS_FAKE_CORE_H
#define TESTS_FAKE_CORE_H

#include "web/link.h"

#include <pthread.h>
#include <sys/types.h>

enum { FAKE_RULES_MAX = 64, FAKE_GROUP = 54321, FAKE_USER = 65534, FAKE_READER = 54322,
	FAKE_ADMIN = 54323 };

struct fake_core {
	char dir[64], socket[96], history[96];
	int fd; /* the core's end of the link */
	pid_t web;
	pthread_t thread;
	pthread_mutex_t lock;
	/* under lock */
	bool stop, silent; /* silent: reads nothing, like a core that is being restarted */
	uint64_t boot;
	struct link_rule rules[FAKE_RULES_MAX];
	struct link_filter filter;
	unsigned nrules;
	uint32_t last_id, asked_uid;
};

int fake_core_start(struct fake_core *c);
void fake_core_stop(struct fake_core *c);
void fake_core_silent(struct fake_core *c, bool silent);
void fake_core_hello(struct fake_core *c, uint64_t boot);
void fake_core_send(struct fake_core *c, enum link_type type, uint32_t seq,
	const void *body);
void fake_core_program(struct fake_core *c, uint64_t serial, const char *path);
/* a query or connection of a program; m may be changed before it is sent */
struct link_flow fake_core_flow(enum flow_kind kind, uint64_t id, uint64_t serial,
	const char *name, enum verdict verdict);

#endif
