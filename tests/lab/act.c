/* SPDX-License-Identifier: GPL-2.0-or-later
 * act.c - does what it is told, one act after the other, and says when and how it ended.
 * Copied to many paths it is many programs.
 *   act                            acts from stdin, a line each: ID HOW HOST PORT
 *   act loop MS HOW HOST PORT      the same act over and over, MS apart; @ in HOST counts
 *                                  from 00001 to 01000
 * HOW is tcp, udp or slow and 4 or 6: tcp gets / by HTTP, slow gets /slow and reads until it
 * is cut off, for 60 s at most, udp sends its ID four times and waits for no answer.
 * Prints "ID WORD BEGAN ENDED", in seconds of Unix time; WORD is ok, no-name, refused (the
 * network said no), reset, silent (nothing came in 4 s, slow: 15 s), or short (no good reply). */
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SILENT_MS = 4000, SLOW_SILENT_MS = 15000, SLOW_S = 60, SENDS = 4, AGAIN_MS = 250 };

struct act {
	char id[32], how[16], host[128], port[8];
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void rest(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static const char *word_of(int error)
{
	return error == ECONNRESET || error == EPIPE ? "reset" :
		error == ETIMEDOUT ? "silent" : "refused";
}

static int becomes(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, ms) > 0;
}

/* the socket, or -1 and errno */
static int reach(const struct addrinfo *at)
{
	int fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK, 0), error = 0;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -1;
	if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
		return fd;
	error = errno;
	if (error == EINPROGRESS && !becomes(fd, POLLOUT, SILENT_MS))
		error = ETIMEDOUT;
	else if (error == EINPROGRESS)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

static const char *get(int fd, const struct act *a)
{
	double until = now_s() + SLOW_S;
	int slow = a->how[0] == 's';
	char buf[65536];
	ssize_t n, all = 0;

	n = snprintf(buf, sizeof(buf), "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n",
		slow ? "slow" : "", a->host);
	if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) < 0)
		return word_of(errno);
	do {
		if (!becomes(fd, POLLIN, slow ? SLOW_SILENT_MS : SILENT_MS))
			return "silent";
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0)
			return word_of(errno);
		all += n;
	} while (n > 0 && (!slow || now_s() < until));
	return all > 20 ? "ok" : "short";
}

static const char *tell(int fd, const struct act *a)
{
	int sent = 0, error = 0;

	for (int i = 0; i < SENDS; i++) {
		if (i)
			rest(AGAIN_MS);
		if (send(fd, a->id, strlen(a->id), MSG_NOSIGNAL) >= 0)
			sent++;
		else
			error = errno;
	}
	return sent ? "ok" : word_of(error);
}

static const char *act(const struct act *a)
{
	struct addrinfo hints = { 0 }, *at = NULL;
	const char *word;
	int fd;

	hints.ai_family = strchr(a->how, '6') ? AF_INET6 : AF_INET;
	hints.ai_socktype = a->how[0] == 'u' ? SOCK_DGRAM : SOCK_STREAM;
	if (getaddrinfo(a->host, a->port, &hints, &at))
		return "no-name";
	fd = reach(at);
	freeaddrinfo(at);
	if (fd < 0)
		return word_of(errno);
	word = a->how[0] == 'u' ? tell(fd, a) : get(fd, a);
	close(fd);
	return word;
}

static void act_print(const struct act *a)
{
	double began = now_s();
	const char *word = act(a);

	printf("%s %s %.6f %.6f\n", a->id, word, began, now_s());
	fflush(stdout);
}

static void loop(char **argv)
{
	const char *count = strchr(argv[1], '@');
	struct act a = { 0 };

	snprintf(a.how, sizeof(a.how), "%s", argv[0]);
	snprintf(a.port, sizeof(a.port), "%s", argv[2]);
	for (unsigned i = 0;; i++) {
		snprintf(a.id, sizeof(a.id), "%u", i);
		if (count)
			snprintf(a.host, sizeof(a.host), "%.*s%05u%s",
				(int)(count - argv[1]), argv[1], i % 1000 + 1, count + 1);
		else
			snprintf(a.host, sizeof(a.host), "%s", argv[1]);
		act_print(&a);
		rest(atol(argv[-1]));
	}
}

int main(int argc, char **argv)
{
	char line[256];
	struct act a;

	if (argc == 6 && strcmp(argv[1], "loop") == 0)
		loop(argv + 3);
	if (argc != 1)
		errx(2, "act [loop MS HOW HOST PORT]");
	while (fgets(line, sizeof(line), stdin))
		if (sscanf(line, "%31s %15s %127s %7s", a.id, a.how, a.host, a.port) == 4)
			act_print(&a);
	return 0;
}
