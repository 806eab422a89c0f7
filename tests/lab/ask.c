/* SPDX-License-Identifier: GPL-2.0-or-later
 * ask.c - one DNS question from a program that lives for a moment. Copied to many paths it
 * is many programs.
 *   ask udp|sendto|tcp SERVER NAME          connected UDP, unconnected UDP, TCP
 *   ask udp-leave|sendto-leave SERVER NAME  gone before the answer comes
 *   ask given SERVER NAME                   sendto on a UDP socket that is descriptor 3
 *   ask flood SERVER NAME RATE SECONDS      numbered names below NAME, until SIGTERM at most
 * Asks for A once, never again. Prints "NAME RCODE [ADDRESS...]"; exits with the rcode, 100
 * where no answer came in 15 s, 101 where the network said no. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { NO_ANSWER = 100, NO_NETWORK = 101, WAIT_MS = 15000, HEAD = 12, ROOM = 4096 };

struct server {
	struct sockaddr_storage at;
	socklen_t len;
};

static struct server server_parse(const char *text)
{
	struct server s = { .len = sizeof(struct sockaddr_in) };
	struct sockaddr_in *four = (struct sockaddr_in *)&s.at;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&s.at;

	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(53);
		return s;
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
		errx(2, "%s: not an address", text);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(53);
	s.len = sizeof(*six);
	return s;
}

static size_t query_write(const char *name, uint16_t id, uint8_t *out)
{
	static const uint8_t tail[] = { 0, 0, 1, 0, 1 };
	uint8_t *p = out + HEAD;

	memset(out, 0, HEAD);
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	out[2] = 1; /* RD */
	out[5] = 1; /* one question */
	while (*name) {
		size_t n = strcspn(name, ".");

		if (n == 0 || n > 63 || p + n > out + 300)
			errx(2, "bad name");
		*p++ = (uint8_t)n;
		memcpy(p, name, n);
		p += n;
		name += n + (name[n] == '.');
	}
	memcpy(p, tail, sizeof(tail));
	return (size_t)(p - out) + sizeof(tail);
}

/* the addresses of the A records, as far as compression needs following: owner names of
 * answers are skipped, never read */
static void addresses_print(const uint8_t *msg, size_t len, size_t at)
{
	unsigned n = (unsigned)msg[6] << 8 | msg[7];
	char text[INET_ADDRSTRLEN];

	while (n-- && at < len) {
		size_t rdlen;

		while (at < len && msg[at] && (msg[at] & 0xc0) != 0xc0)
			at += msg[at] + 1u;
		at += at < len && msg[at] ? 2 : 1;
		if (at + 10 > len)
			return;
		rdlen = (size_t)msg[at + 8] << 8 | msg[at + 9];
		if (msg[at + 1] == 1 && rdlen == 4 && at + 14 <= len)
			printf(" %s", inet_ntop(AF_INET, msg + at + 10, text, sizeof(text)));
		at += 10 + rdlen;
	}
}

static int reply_print(const char *name, const uint8_t *msg, ssize_t len, const uint8_t *query,
	size_t query_len)
{
	if (len < (ssize_t)query_len || memcmp(msg, query, 2) != 0 || !(msg[2] & 0x80))
		errx(99, "not an answer to this");
	printf("%s %d", name, msg[3] & 15);
	addresses_print(msg, (size_t)len, query_len);
	printf("\n");
	return msg[3] & 15;
}

static ssize_t wait_recv(int fd, uint8_t *buf, size_t room)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, WAIT_MS) == 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	return recv(fd, buf, room, 0);
}

static int failed(const char *name, const char *what)
{
	int e = errno;

	printf("%s %s: %s\n", name, what, strerror(e));
	return e == ETIMEDOUT ? NO_ANSWER : NO_NETWORK;
}

static int ask_udp(const struct server *s, const char *name, int fd, bool connected,
	bool leave)
{
	uint8_t query[ROOM], reply[ROOM];
	size_t len = query_write(name, (uint16_t)getpid(), query);
	ssize_t n;

	if (connected && connect(fd, (const struct sockaddr *)&s->at, s->len) < 0)
		return failed(name, "connect");
	if (connected)
		n = send(fd, query, len, 0);
	else
		n = sendto(fd, query, len, 0, (const struct sockaddr *)&s->at, s->len);
	if (n < 0)
		return failed(name, "send");
	if (leave)
		return 0;
	n = wait_recv(fd, reply, sizeof(reply));
	if (n < 0)
		return failed(name, "recv");
	return reply_print(name, reply, n, query, len);
}

static int ask_tcp(const struct server *s, const char *name)
{
	uint8_t query[ROOM], reply[ROOM];
	size_t len = query_write(name, (uint16_t)getpid(), query + 2), have = 0;
	int fd = socket(s->at.ss_family, SOCK_STREAM, 0);

	query[0] = (uint8_t)(len >> 8);
	query[1] = (uint8_t)len;
	if (connect(fd, (const struct sockaddr *)&s->at, s->len) < 0)
		return failed(name, "connect");
	if (send(fd, query, len + 2, MSG_NOSIGNAL) < 0)
		return failed(name, "send");
	while (have < 2 || have < 2 + ((size_t)reply[0] << 8 | reply[1])) {
		ssize_t n = wait_recv(fd, reply + have, sizeof(reply) - have);

		if (n < 0)
			return failed(name, "recv");
		if (n == 0)
			return errno = ECONNRESET, failed(name, "closed");
		have += (size_t)n;
	}
	return reply_print(name, reply + 2, (ssize_t)have - 2, query + 2, len);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static volatile sig_atomic_t enough;

static void on_term(int sig)
{
	(void)sig;
	enough = 1;
}

static int flood(const struct server *s, const char *name, long rate, long seconds)
{
	int64_t begin = now_us(), end = begin + seconds * 1000000, now;
	int fd = socket(s->at.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	long sent = 0, answered = 0, unsent = 0;
	uint8_t query[ROOM], reply[ROOM];
	char full[256];

	if (connect(fd, (const struct sockaddr *)&s->at, s->len) < 0)
		return failed(name, "connect");
	signal(SIGTERM, on_term);
	while (!enough && (now = now_us()) < end) {
		long due = (long)((now - begin) * rate / 1000000);

		if (sent + unsent >= due)
			usleep(500);
		while (!enough && sent + unsent < due) {
			snprintf(full, sizeof(full), "f%ld.%s", sent + unsent, name);
			if (send(fd, query, query_write(full, (uint16_t)sent, query), 0) < 0)
				unsent++;
			else
				sent++;
		}
		while (!enough && recv(fd, reply, sizeof(reply), 0) > 0)
			answered++;
	}
	printf("sent %ld unsent %ld answered %ld\n", sent, unsent, answered);
	return 0;
}

int main(int argc, char **argv)
{
	struct server s;
	const char *how;

	if (argc < 4)
		errx(2, "ask HOW SERVER NAME");
	how = argv[1];
	s = server_parse(argv[2]);
	if (strcmp(how, "tcp") == 0)
		return ask_tcp(&s, argv[3]);
	if (strcmp(how, "flood") == 0 && argc == 6)
		return flood(&s, argv[3], atol(argv[4]), atol(argv[5]));
	return ask_udp(&s, argv[3], strcmp(how, "given") == 0 ? 3
		: socket(s.at.ss_family, SOCK_DGRAM, 0), strncmp(how, "udp", 3) == 0,
		strstr(how, "-leave") != NULL);
}
