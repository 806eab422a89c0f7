/* SPDX-License-Identifier: GPL-2.0-or-later
 * nft_world.h - the table between real sockets that mark themselves, as the programs of the
 * kernel's half would, and a neighbour across a veth pair. A refusal counts only beside its
 * control: the same destination and client with the element that lets it through. */
#ifndef TESTS_NFT_WORLD_H
#define TESTS_NFT_WORLD_H

#include "nft_fixture.h"

#include <sys/socket.h>

struct CMUnitTest; /* cmocka.h */

#define FAR4 "10.9.0.2"
#define FAR6 "fd00:9::2"
#define HERE4 "10.9.0.1"
#define HERE6 "fd00:9::1"

enum {
	CURL = 5, WGET = 6, SERVER = 8, /* actors */
	OUTSIDE = 0,                    /* no mark at all */
	ECHO_PORT = 7000, OTHER_PORT = 7001,      /* the neighbour answers at once */
	SERVED_PORT = 7200,                  /* here, by a program of ours */
	LATE_PORT = 7002,                    /* UDP: after a while */
	LATE_MS = 150, QUIET_MS = 400, WAIT_MS = 30000,
	LONG_MS = 300000,
};

extern struct fixture world; /* of the test that runs */

bool world_open(const char **why); /* false: skip, and why */
void world_close(void);
int world_setup(void **state);
int world_teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

void enter_peer(void); /* this process moves to the neighbour's namespace, or exits */
void need_nft(void);   /* skips the test where the nft command is missing */
unsigned counted(const char *what); /* packets of a counter in table inet watch */

/* sockets here, blocking, with a time limit; results are 0 or -errno */
uint32_t mark_of(uint32_t actor);
int sock(uint32_t mark, uint8_t family, int type);
int connect_to(int fd, const char *to, uint16_t port);
int bind_to(int fd, const char *to, uint16_t port); /* also to an address not here */
int exchange(int fd); /* say hello, hear it back */
int talk(uint32_t actor, int type, const char *to, uint16_t port); /* connect, exchange */
int talk_marked(uint32_t mark, int type, const char *to, uint16_t port);
int serve(uint32_t actor, const char *at, uint16_t port); /* a listening TCP socket */

/* the table's elements */
struct nft_element pass(uint32_t actor, const char *to);
void put(const struct nft_element *el);
void take(const struct nft_element *el);
void open_table(void);

/* the private listener */
struct listener {
	int udp, tcp;
};
struct listener listener_open(uint8_t family);
void listener_close(struct listener *l);
uint32_t actor_of(const struct sockaddr_storage *from);
/* One query by a connected socket: the listener sees who asks, the asker hears an answer
 * from the server it asked. */
void ask_udp(const struct listener *l, uint32_t actor, const char *server);
void ask_tcp(const struct listener *l, uint32_t actor, const char *server);

/* all tests in one world; SCRATCH_SKIPPED where it cannot be made */
int world_run(const char *name, const struct CMUnitTest *tests, size_t n);
#define WORLD_RUN(tests) world_run(#tests, tests, sizeof(tests) / sizeof((tests)[0]))

#endif
