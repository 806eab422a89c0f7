/* SPDX-License-Identifier: GPL-2.0-or-later
 * dnsblast.c - asks for A of n00001.ZONE to nNNNNN.ZONE, round and round, with WINDOW
 * queries under way, and prints one line of figures.
 *   dnsblast [-w WINDOW] [-n NAMES] [-f FIRST] [-s SECONDS | -c COUNT] [-o] [-r RATE]
 *            [-t FILE] SERVER PORT ZONE
 * -o: a new socket for each query, as programs ask (window 1). -r: at most so
 * many a second. -t: FILE of the program answer: also how long after the upstream's answer the reply came. */
#include "base/addr.h"
#include "figures.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BATCH = 32,
	WINDOW_MAX = 4096,
	IDS = 65536,
	QUERY_MAX = 300,
	REPLY_MAX = 1500,
	WAIT_MS = 1000,
	KEPT_MAX = 1 << 20,
	DIGITS_AT = 14, /* header, label length, 'n' */
	BUFFER = 4 << 20,
};

struct blast {
	/* asked for */
	long window, names, first, seconds, count, rate;
	bool own_socket;
	const int64_t *answered; /* by number, NULL without -t */
	struct sockaddr_storage to;
	socklen_t to_len;
	uint8_t query[QUERY_MAX];
	size_t query_len;
	/* seen */
	int fd;
	int64_t sent_ns[IDS]; /* by query id, 0: not under way */
	uint16_t number[IDS];
	uint16_t id;
	long at, sent, got, refused, failed, lost, under_way;
	struct figures took, after;
};

/* the query for n00000.ZONE: only digits and id change */
static void query_init(struct blast *b, const char *zone)
{
	uint8_t *p = b->query + 12;
	char copy[256];

	b->query[2] = 1; /* RD */
	b->query[5] = 1; /* one question */
	memcpy(p, "\6n00000", 7);
	p += 7;
	snprintf(copy, sizeof(copy), "%s", zone);
	for (char *label = strtok(copy, "."); label; label = strtok(NULL, ".")) {
		size_t n = strlen(label);

		if (n > 63 || p + n + 6 > b->query + QUERY_MAX)
			errx(2, "%s: not a zone", zone);
		*p++ = (uint8_t)n;
		memcpy(p, label, n);
		p += n;
	}
	memcpy(p, "\0\0\1\0\1", 5);
	b->query_len = (size_t)(p + 5 - b->query);
}

static void query_next(struct blast *b, uint8_t *out)
{
	long n = b->first + b->at % b->names;

	b->at++;
	while (b->sent_ns[++b->id] != 0) /* WINDOW_MAX is far below IDS */
		;
	memcpy(out, b->query, b->query_len);
	out[0] = (uint8_t)(b->id >> 8);
	out[1] = (uint8_t)b->id;
	b->number[b->id] = (uint16_t)n;
	for (int i = 4; i >= 0; i--, n /= 10)
		out[DIGITS_AT + i] = (uint8_t)('0' + n % 10);
}

static int socket_to(const struct blast *b)
{
	const int size = BUFFER;
	int fd = socket(b->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&b->to, b->to_len) < 0)
		err(1, "server");
	if (!b->own_socket) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	return fd;
}

static void send_batch(struct blast *b, unsigned n)
{
	static uint8_t bytes[BATCH][QUERY_MAX];
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec parts[BATCH];
	uint16_t ids[BATCH];
	int64_t now;
	int done;

	for (unsigned i = 0; i < n; i++) {
		query_next(b, bytes[i]);
		ids[i] = b->id;
		parts[i] = (struct iovec){ bytes[i], b->query_len };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	now = now_ns();
	for (unsigned i = 0; i < n; i++)
		b->sent_ns[ids[i]] = now;
	done = sendmmsg(b->fd, messages, n, 0);
	if (done < 0)
		done = 0;
	for (unsigned i = (unsigned)done; i < n; i++)
		b->sent_ns[ids[i]] = 0;
	b->failed += n - (unsigned)done;
	b->sent += done;
	b->under_way += done;
}

static void reply(struct blast *b, const uint8_t *bytes, size_t len, int64_t now)
{
	uint16_t id = len >= 12 ? (uint16_t)(bytes[0] << 8 | bytes[1]) : 0;
	int64_t answered;

	if (len < 12 || b->sent_ns[id] == 0)
		return;
	figures_add(&b->took, now - b->sent_ns[id]);
	answered = b->answered ? b->answered[b->number[id]] : 0;
	if (answered >= b->sent_ns[id])
		figures_add(&b->after, now - answered);
	b->sent_ns[id] = 0;
	b->under_way--;
	b->got++;
	b->refused += (bytes[3] & 15) != 0;
}

static void receive(struct blast *b)
{
	static uint8_t bytes[BATCH][REPLY_MAX];
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec parts[BATCH];
	int64_t now;
	int n;

	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ bytes[i], REPLY_MAX };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(b->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	now = now_ns();
	for (int i = 0; i < n; i++)
		reply(b, bytes[i], messages[i].msg_len, now);
}

static void forget_late(struct blast *b)
{
	int64_t before = now_ns() - WAIT_MS * 1000000ll;

	for (int i = 0; b->under_way && i < IDS; i++) {
		if (!b->sent_ns[i] || (b->rate && b->sent_ns[i] > before))
			continue;
		b->sent_ns[i] = 0;
		b->under_way--;
		b->lost++;
	}
}

/* as many as the time since then allows */
static bool due(const struct blast *b, int64_t began)
{
	return !b->rate || (double)(b->sent + b->failed) <
		(double)(now_ns() - began) / 1e9 * (double)b->rate;
}

static bool more(const struct blast *b, int64_t end)
{
	return b->count ? b->sent + b->failed < b->count : now_ns() < end;
}

static void run(struct blast *b)
{
	int64_t began = now_ns(), end = began + b->seconds * 1000000000;
	long batch = b->window < BATCH ? b->window : BATCH;

	b->fd = socket_to(b);
	while (more(b, end) || (b->count && b->under_way)) {
		struct pollfd wait = { .fd = b->fd, .events = POLLIN };

		if (b->own_socket && b->under_way == 0) {
			close(b->fd);
			b->fd = socket_to(b);
			wait.fd = b->fd;
		}
		while (more(b, end) && b->under_way + batch <= b->window && due(b, began))
			send_batch(b, (unsigned)batch);
		if (poll(&wait, 1, b->rate ? 1 : WAIT_MS) == 0)
			forget_late(b);
		else
			receive(b);
	}
}

static const int64_t *times_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, IDS * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return at;
}

static void options(struct blast *b, int argc, char **argv)
{
	struct addr a;
	int opt;

	while ((opt = getopt(argc, argv, "w:n:f:s:c:or:t:")) != -1) {
		switch (opt) {
		case 'w':
			b->window = number(optarg, WINDOW_MAX);
			break;
		case 'n':
			b->names = number(optarg, 60000);
			break;
		case 'f':
			b->first = number(optarg, 60000);
			break;
		case 's':
			b->seconds = number(optarg, 3600);
			break;
		case 'c':
			b->count = number(optarg, 100000000);
			break;
		case 'o':
			b->own_socket = true;
			break;
		case 'r':
			b->rate = number(optarg, 10000000);
			break;
		case 't':
			b->answered = times_of(optarg);
			break;
		default:
			exit(2);
		}
	}
	if (argc - optind != 3 || addr_parse(argv[optind], &a) < 0 || !b->window || !b->names)
		errx(2, "usage: dnsblast [options] SERVER PORT ZONE");
	b->to_len = (socklen_t)addr_to_sockaddr(&a, (uint16_t)number(argv[optind + 1], 65535),
		&b->to);
	query_init(b, argv[optind + 2]);
	if (b->own_socket)
		b->window = 1;
}

/* of this process, the kernel's work in its name included */
static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
	static struct blast b = { .window = 256, .names = 1000, .first = 1, .seconds = 3 };
	int64_t began;
	double took_s;

	options(&b, argc, argv);
	figures_init(&b.took, KEPT_MAX);
	figures_init(&b.after, KEPT_MAX);
	began = now_ns();
	run(&b);
	took_s = (double)(now_ns() - began) / 1e9;
	printf("qps=%.0f sent=%ld got=%ld refused=%ld failed=%ld lost=%ld cpu_us=%.3f",
		(double)b.got / took_s, b.sent, b.got, b.refused, b.failed, b.lost,
		b.got ? cpu_us() / (double)b.got : 0);
	figures_print(&b.took, "took");
	figures_print(&b.after, "after");
	printf("\n");
	figures_done(&b.took);
	figures_done(&b.after);
	return b.got == 0;
}
