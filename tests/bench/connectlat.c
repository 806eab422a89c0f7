/* SPDX-License-Identifier: GPL-2.0-or-later
 * connectlat.c - how long a TCP connect takes.
 *   connectlat serve PORT                       accepts on every address and holds
 *   connectlat [-c COUNT] [-h HOLD] [-q] [-i] HOST PORT
 *                                               COUNT connects one after another, while
 *                                               HOLD others are kept open; -q: each asks for
 *                                               / by HTTP, and its time is until the answer;
 *                                               -i: each goes to the next address
 * HOST is looked up once, as any program does. Connections end by RST: no TIME_WAIT uses
 * up the ports. */
#include "figures.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BACKLOG = 4096, COUNT_MAX = 1000000, HOLD_MAX = 50000 };

static void many_files(void)
{
	struct rlimit most = { 65536, 65536 };

	if (setrlimit(RLIMIT_NOFILE, &most) < 0)
		warn("open files");
}

static int listen_on(uint16_t port)
{
	const struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const int on = 1, off = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0)
		err(1, "port %u", port);
	return fd;
}

static void serve(uint16_t port)
{
	struct epoll_event events[EVENTS];
	struct epoll_event one = { .events = EPOLLIN };
	int server = listen_on(port), set = epoll_create1(EPOLL_CLOEXEC);

	one.data.fd = server;
	epoll_ctl(set, EPOLL_CTL_ADD, server, &one);
	for (;;) {
		int n = epoll_wait(set, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != server) {
				close(events[i].data.fd); /* it ended or spoke */
				continue;
			}
			one.data.fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
			if (one.data.fd >= 0)
				epoll_ctl(set, EPOLL_CTL_ADD, one.data.fd, &one);
		}
	}
}

static int connect_to(const struct addrinfo *to, int64_t *took_ns)
{
	const struct linger at_once = { .l_onoff = 1 };
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t began = now_ns();
	int r = fd < 0 ? -1 : connect(fd, to->ai_addr, to->ai_addrlen);

	*took_ns = now_ns() - began;
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	return fd;
}

static int ask(int fd)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: www.shop.test\r\n\r\n";
	char answer[4096];

	return send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0 ||
		recv(fd, answer, sizeof(answer), 0) <= 0 ? -1 : 0;
}

/* to the address after this one */
static void go_on(struct addrinfo *to)
{
	struct sockaddr_in *at = (struct sockaddr_in *)to->ai_addr;

	at->sin_addr.s_addr = htonl(ntohl(at->sin_addr.s_addr) + 1);
}

static void hold(const struct addrinfo *to, long n)
{
	int64_t took_ns;

	for (long i = 0; i < n; i++)
		if (connect_to(to, &took_ns) < 0)
			err(1, "connection %ld of those to hold", i + 1);
}

int main(int argc, char **argv)
{
	const struct addrinfo want = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	long count = 2000, held = 0, failed = 0;
	struct addrinfo *to;
	struct figures f;
	bool asks = false, next = false;
	int64_t all_ns;
	int opt, r;

	many_files();
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve((uint16_t)number(argv[2], 65535));
	while ((opt = getopt(argc, argv, "c:h:qi")) != -1) {
		if (opt == 'c')
			count = number(optarg, COUNT_MAX);
		else if (opt == 'h')
			held = number(optarg, HOLD_MAX);
		else if (opt == 'q')
			asks = true;
		else if (opt == 'i')
			next = true;
		else
			return 2;
	}
	if (argc - optind != 2)
		errx(2, "usage: connectlat [-c COUNT] [-h HOLD] [-q] [-i] HOST PORT");
	r = getaddrinfo(argv[optind], argv[optind + 1], &want, &to);
	if (r != 0)
		errx(1, "%s: %s", argv[optind], gai_strerror(r));
	figures_init(&f, (size_t)count + 1);
	hold(to, held);
	all_ns = now_ns();
	for (long i = 0; i < count; i++) {
		int64_t took_ns, began = now_ns();
		int fd = connect_to(to, &took_ns);

		if (next)
			go_on(to);
		if (fd < 0 || (asks && ask(fd) < 0)) {
			failed++;
			if (fd >= 0)
				close(fd);
			continue;
		}
		figures_add(&f, asks ? now_ns() - began : took_ns);
		close(fd);
	}
	all_ns = now_ns() - all_ns;
	printf("failed=%ld held=%ld rate=%.0f", failed, held, (double)count * 1e9 / (double)all_ns);
	figures_print(&f, "connect");
	printf("\n");
	r = f.n == 0;
	figures_done(&f);
	freeaddrinfo(to);
	return r;
}
