/* SPDX-License-Identifier: GPL-2.0-or-later
 * bpfcost.c - what the hooks of who/ cost a socket call or a packet, without any table.
 *   bpfcost serve PORT                            far side: UDP and connects at PORT, bulk at
 *                                                 PORT + 1
 *   bpfcost [-r ROUNDS] HOOKED BARE ADDRESS PORT  HOOKED and BARE are directories of cgroups
 * Loads the hooks on HOOKED and starts a client there, which goes over to BARE and back: a
 * socket is seen by the hooks of the cgroup it was made in. So both kinds of one call are
 * measured by one process in turn, batch by batch. Printed is for each call the median batch
 * without and with hooks and the median of the differences, ns a call (bulk: a megabyte). */
#include "base/addr.h"
#include "base/macros.h"
#include "figures.h"
#include "who/who.h"

#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BARE, HOOKED, KINDS };
enum { ROUNDS_MAX = 10000, BULK = 8 << 20, BULK_MB = BULK >> 20, QUERY = 32 };

static char block[1 << 16];

/* ---- the far side ---- */

static int bound(int type, struct in_addr to, long port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = to,
		.sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		(type == SOCK_STREAM && listen(fd, SOMAXCONN) < 0))
		err(1, "port %ld", port);
	return fd;
}

static void take_bulk(int fd)
{
	ssize_t n, all = 0;

	while ((n = recv(fd, block, sizeof(block), 0)) > 0)
		for (all += n; all >= BULK; all -= BULK)
			if (send(fd, "", 1, MSG_NOSIGNAL) < 0)
				return;
}

static void serve(long port)
{
	int datagrams = bound(SOCK_DGRAM, (struct in_addr){ 0 }, port);
	int connects = bound(SOCK_STREAM, (struct in_addr){ 0 }, port);
	int bulk = bound(SOCK_STREAM, (struct in_addr){ 0 }, port + 1);

	signal(SIGCHLD, SIG_IGN);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			close(accept(connects, NULL, NULL));
	}
	for (;;) {
		int fd = accept(bulk, NULL, NULL);

		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			take_bulk(fd);
			_exit(0);
		}
		close(fd);
	}
	close(datagrams); /* unread: what does not fit is dropped */
}

/* ---- the calls ---- */

struct client {
	const char *cgroup[KINDS];
	struct sockaddr_in far, bulk_at, listener;
	int loose[KINDS], connected[KINDS], bulk[KINDS];
};

static void enter(const char *cgroup)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "%s", path);
	close(fd);
}

static int made(int type, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || (to && connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0))
		err(1, "connect");
	return fd;
}

static void to_far(struct client *c, int kind)
{
	sendto(c->loose[kind], block, QUERY, 0, (struct sockaddr *)&c->far, sizeof(c->far));
}

static void to_listener(struct client *c, int kind)
{
	sendto(c->loose[kind], block, QUERY, 0, (struct sockaddr *)&c->listener,
		sizeof(c->listener));
}

static void by_connected(struct client *c, int kind)
{
	send(c->connected[kind], block, QUERY, 0);
}

static void make(struct client *c, int kind)
{
	(void)c;
	(void)kind;
	close(made(SOCK_DGRAM, NULL));
}

static void connects(struct client *c, int kind)
{
	const struct linger at_once = { .l_onoff = 1 };
	int fd = made(SOCK_STREAM, &c->far);

	(void)kind;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

static void loads(struct client *c, int kind)
{
	char done;

	for (size_t sent = 0; sent < BULK; sent += sizeof(block))
		if (send(c->bulk[kind], block, sizeof(block), 0) != sizeof(block))
			err(1, "bulk");
	if (recv(c->bulk[kind], &done, 1, 0) != 1)
		err(1, "bulk's answer");
}

static const struct {
	const char *name;
	void (*call)(struct client *c, int kind);
	int batch, of; /* calls in a batch; what one call is divided by */
} calls[] = {
	{ "socket", make, 200, 1 },
	{ "sendto", to_far, 200, 1 },
	{ "send", by_connected, 200, 1 },
	{ "query", to_listener, 200, 1 },
	{ "connect", connects, 20, 1 },
	{ "bulk_mb", loads, 1, BULK_MB },
};

/* ---- figures ---- */

static int64_t batch_ns(struct client *c, int kind, size_t which)
{
	int64_t began;

	enter(c->cgroup[kind]);
	calls[which].call(c, kind); /* what the change of cgroup costs is no cost of the hooks */
	began = now_ns();
	for (int i = 0; i < calls[which].batch; i++)
		calls[which].call(c, kind);
	return (now_ns() - began) / calls[which].batch / calls[which].of;
}

static void measure(struct client *c, size_t which, size_t rounds)
{
	struct figures took[KINDS], more;

	figures_init(&took[BARE], rounds);
	figures_init(&took[HOOKED], rounds);
	figures_init(&more, rounds);
	for (size_t r = 0; r < rounds; r++) {
		int64_t ns[KINDS];

		for (size_t i = 0; i < KINDS; i++) { /* each goes first as often */
			size_t kind = (i + r) % KINDS;

			ns[kind] = batch_ns(c, (int)kind, which);
			figures_add(&took[kind], ns[kind]);
		}
		figures_add(&more, ns[HOOKED] - ns[BARE]);
	}
	printf("%s_bare_ns=%ld %s_hooked_ns=%ld %s_more_ns=%ld ", calls[which].name,
		(long)figures_median(&took[BARE]), calls[which].name,
		(long)figures_median(&took[HOOKED]), calls[which].name,
		(long)figures_median(&more));
	figures_done(&took[BARE]);
	figures_done(&took[HOOKED]);
	figures_done(&more);
}

/* the hooks must have seen the one kind and not the other, or the figures say nothing */
static void check_marks(const struct client *c)
{
	for (int kind = 0; kind < KINDS; kind++) {
		uint32_t mark = 0;
		socklen_t len = sizeof(mark);

		getsockopt(c->loose[kind], SOL_SOCKET, SO_MARK, &mark, &len);
		if ((mark != 0) != (kind == HOOKED) || (mark & ACTOR_MASK) == ACTOR_UNKNOWN)
			errx(1, "mark %x on a socket %s hooks", mark,
				kind == HOOKED ? "with" : "without");
	}
}

static void client(char **argv, size_t rounds)
{
	struct client c = { .cgroup = { [HOOKED] = argv[0], [BARE] = argv[1] } };
	uint16_t port = (uint16_t)number(argv[3], 65534);
	struct sockaddr_storage ss;
	struct addr a;

	if (addr_parse(argv[2], &a) < 0 || a.family != 4)
		errx(2, "%s: no IPv4 address", argv[2]);
	addr_to_sockaddr(&a, port, &ss);
	memcpy(&c.far, &ss, sizeof(c.far));
	c.bulk_at = c.listener = c.far;
	c.bulk_at.sin_port = htons((uint16_t)(port + 1));
	c.listener.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c.listener.sin_port = htons(53);
	for (int kind = 0; kind < KINDS; kind++) {
		enter(c.cgroup[kind]);
		c.loose[kind] = made(SOCK_DGRAM, NULL);
		c.connected[kind] = made(SOCK_DGRAM, &c.far);
		c.bulk[kind] = made(SOCK_STREAM, &c.bulk_at);
	}
	check_marks(&c);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		measure(&c, i, rounds);
	printf("\n");
}

/* ---- the hooks ---- */

static int with_hooks(char **argv, char *rounds)
{
	static const struct instance instance = { .name = "bench",
		.magic = INSTANCE_MAGIC_MAIN };
	const struct who_conf conf = { .instance = &instance, .scope = argv[0] };
	char *again[] = { (char *)"/proc/self/exe", (char *)"client", rounds, argv[0], argv[1],
		argv[2], argv[3], NULL };
	char why[512];
	struct who *w;
	int status = 1, listener;
	pid_t pid;

	listener = bound(SOCK_DGRAM, (struct in_addr){ htonl(INADDR_LOOPBACK) }, 53);
	if (who_open(&conf, why, sizeof(why), &w) < 0)
		errx(1, "%s", why);
	pid = fork();
	if (pid == 0) { /* a program is known by its exec */
		enter(argv[0]);
		execv(again[0], again);
		err(1, "exec");
	}
	waitpid(pid, &status, 0);
	enter(argv[1]);
	who_close(w, true);
	close(listener);
	return status != 0;
}

int main(int argc, char **argv)
{
	char *rounds = NULL;
	int opt;

	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(number(argv[2], 65534));
	if (argc == 7 && strcmp(argv[1], "client") == 0) {
		client(argv + 3, (size_t)number(argv[2], ROUNDS_MAX));
		return 0;
	}
	while ((opt = getopt(argc, argv, "r:")) != -1) {
		if (opt != 'r')
			return 2;
		rounds = optarg;
	}
	if (argc - optind != 4)
		errx(2, "usage: bpfcost [-r ROUNDS] HOOKED BARE ADDRESS PORT");
	return with_hooks(argv + optind, rounds ? rounds : (char *)"200");
}
