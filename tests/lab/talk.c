/* SPDX-License-Identifier: GPL-2.0-or-later
 * talk.c - a client and a server small enough to be many programs.
 *   talk tcp HOST PORT             connects, prints the first line the server says
 *   talk udp HOST PORT TEXT        sends TEXT, prints the reply
 *   talk udp-again HOST PORT TEXT  likewise, sent anew until there is a reply
 *   talk ntp HOST                  an NTP request (48 bytes to port 123), prints the size back
 *   talk serve-tcp ADDRESS PORT    says "hello" to whoever connects; prints "ready" first
 *   talk serve-udp ADDRESS PORT    sends back what comes
 *   talk serve-fd FD               like serve-tcp, with a socket that is listening already
 *   talk hold-tcp HOST PORT        connects, then a line in on stdin goes to the server and
 *                                  the line it answers with comes out, until stdin ends
 *   talk idle                      does nothing until killed
 * Names are looked up once, addresses tried in order. Exit 0, 3 no such name, 4 not reached,
 * 5 no answer in 5 s. */
#include <err.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NO_NAME = 3, NO_WAY = 4, NO_ANSWER = 5, WAIT_MS = 5000, AGAIN_MS = 200 };

static struct addrinfo *look_up(const char *host, const char *port, int type)
{
	struct addrinfo hints = { .ai_socktype = type }, *found;
	int r = getaddrinfo(host, port, &hints, &found);

	if (r)
		errx(NO_NAME, "%s: %s", host, gai_strerror(r));
	return found;
}

static int reach(const char *host, const char *port, int type)
{
	struct addrinfo *at = look_up(host, port, type);

	for (; at; at = at->ai_next) {
		int fd = socket(at->ai_family, type, 0);

		if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0)
			return fd;
		warn("%s", host);
		close(fd);
	}
	exit(NO_WAY);
}

static ssize_t reply(int fd, char *buf, size_t room)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, WAIT_MS) == 0)
		errx(NO_ANSWER, "no answer");
	n = read(fd, buf, room - 1);
	if (n < 0)
		err(NO_WAY, "read");
	if (n == 0)
		errx(NO_ANSWER, "closed");
	buf[n] = '\0';
	return n;
}

static int listener(const char *host, const char *port, int type)
{
	struct addrinfo *at = look_up(host, port, type);
	int fd = socket(at->ai_family, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, at->ai_addr, at->ai_addrlen) < 0)
		err(NO_WAY, "%s", host);
	if (type == SOCK_STREAM && listen(fd, 16) < 0)
		err(NO_WAY, "listen");
	puts("ready");
	fflush(stdout);
	return fd;
}

static void serve_tcp(int fd)
{
	for (;;) {
		int peer = accept(fd, NULL, NULL);

		if (peer >= 0 && send(peer, "hello\n", 6, MSG_NOSIGNAL) < 0)
			warn("send");
		close(peer);
	}
}

static void serve_udp(int fd)
{
	struct sockaddr_storage from;
	char buf[1500];

	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (void *)&from, &len);

		if (n >= 0 && sendto(fd, buf, (size_t)n, 0, (void *)&from, len) < 0)
			warn("sendto");
	}
}

static int hold(int fd)
{
	char line[256], back[1500];

	puts("connected");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
			err(NO_WAY, "send");
		reply(fd, back, sizeof(back));
		fputs(back, stdout);
		fflush(stdout);
	}
	return 0;
}

static int ask(int fd, const void *bytes, size_t len, char *back, size_t room)
{
	if (send(fd, bytes, len, 0) < 0)
		err(NO_WAY, "send");
	return (int)reply(fd, back, room);
}

/* as programs do that know that datagrams get lost */
static void ask_again(int fd, const char *text, char *back, size_t room)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int left = WAIT_MS / AGAIN_MS;

	do {
		if (send(fd, text, strlen(text), 0) < 0)
			err(NO_WAY, "send");
	} while (poll(&p, 1, AGAIN_MS) == 0 && --left > 0);
	reply(fd, back, room);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	char buf[1500];

	if (strcmp(how, "idle") == 0)
		return pause();
	if (strcmp(how, "serve-fd") == 0 && argc == 3)
		serve_tcp(atoi(argv[2]));
	if (strcmp(how, "ntp") == 0 && argc == 3) {
		static const char request[48] = { 0x23 }; /* version 4, client */

		printf("%d\n", ask(reach(argv[2], "123", SOCK_DGRAM), request,
			sizeof(request), buf, sizeof(buf)));
		return 0;
	}
	if (argc < 4)
		errx(2, "talk HOW HOST PORT");
	if (strcmp(how, "serve-tcp") == 0)
		serve_tcp(listener(argv[2], argv[3], SOCK_STREAM));
	if (strcmp(how, "serve-udp") == 0)
		serve_udp(listener(argv[2], argv[3], SOCK_DGRAM));
	if (strcmp(how, "hold-tcp") == 0)
		return hold(reach(argv[2], argv[3], SOCK_STREAM));
	if (strcmp(how, "udp") == 0 && argc == 5)
		ask(reach(argv[2], argv[3], SOCK_DGRAM), argv[4], strlen(argv[4]), buf,
			sizeof(buf));
	else if (strcmp(how, "udp-again") == 0 && argc == 5)
		ask_again(reach(argv[2], argv[3], SOCK_DGRAM), argv[4], buf, sizeof(buf));
	else if (strcmp(how, "tcp") == 0)
		reply(reach(argv[2], argv[3], SOCK_STREAM), buf, sizeof(buf));
	else
		errx(2, "talk: %s?", how);
	fputs(buf, stdout);
	return 0;
}
