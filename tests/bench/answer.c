/* SPDX-License-Identifier: GPL-2.0-or-later
 * answer.c - an upstream that answers at once: A of nNNNNN.anything is 198.18.x.y with the
 * number in x.y, other types have no data. When each answer left stands in FILE, 65536
 * times in ns (CLOCK_MONOTONIC) by number, for dnsblast -t on the same machine.
 *   answer ADDRESS PORT FILE */
#include "base/addr.h"
#include "base/cur.h"
#include "figures.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NUMBERS = 65536, TYPE_A = 1, CLASS_IN = 1, TTL = 3600, MESSAGE_MAX = 512 };

struct question {
	size_t end; /* where it ends in the message */
	uint16_t number, type;
};

static int question_read(const uint8_t *bytes, size_t len, struct question *out)
{
	struct cur c = cur_over(bytes, len);
	struct question q = { 0 };
	unsigned number_so_far = 0, label;
	const uint8_t *text;

	cur_take(&c, 12);
	label = cur_u8(&c);
	text = cur_take(&c, label);
	for (unsigned i = 1; text && i < label && text[i] >= '0' && text[i] <= '9'; i++)
		number_so_far = number_so_far * 10 + (text[i] - '0');
	while ((label = cur_u8(&c)) != 0)
		cur_take(&c, label);
	q.type = cur_u16(&c);
	cur_take(&c, 2);
	q.number = (uint16_t)number_so_far;
	q.end = c.at;
	if (c.bad)
		return -EBADMSG;
	*out = q;
	return 0;
}

/* the query turned into its answer, in place; the new length */
static size_t answer(uint8_t *bytes, size_t max, const struct question *q)
{
	struct out o = out_into(bytes, max);

	bytes[2] |= 0x84;               /* QR, AA */
	bytes[3] = 0x80;                /* RA, NOERROR */
	memset(bytes + 6, 0, 6);        /* no records but: */
	bytes[7] = q->type == TYPE_A;
	o.len = q->end;
	if (q->type != TYPE_A)
		return o.len;
	out_u16(&o, 0xc00c);            /* the name asked for */
	out_u16(&o, TYPE_A);
	out_u16(&o, CLASS_IN);
	out_u32(&o, TTL);
	out_u16(&o, 4);
	out_u16(&o, 198 << 8 | 18);
	out_u16(&o, q->number);
	return o.len;
}

static int64_t *times_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	void *at;

	if (fd < 0 || ftruncate(fd, NUMBERS * sizeof(int64_t)) < 0)
		err(1, "%s", path);
	at = mmap(NULL, NUMBERS * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return at;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage at, from;
	uint8_t bytes[MESSAGE_MAX];
	int64_t *times;
	struct addr a;
	socklen_t len;
	int fd;

	if (argc != 4 || addr_parse(argv[1], &a) < 0)
		errx(2, "usage: answer ADDRESS PORT FILE");
	len = (socklen_t)addr_to_sockaddr(&a, (uint16_t)number(argv[2], 65535), &at);
	times = times_open(argv[3]);
	fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0)
		err(1, "%s port %s", argv[1], argv[2]);
	for (;;) {
		struct question q;
		ssize_t n;

		len = sizeof(from);
		n = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			err(1, "receive");
		if (question_read(bytes, (size_t)n, &q) < 0)
			continue;
		n = (ssize_t)answer(bytes, sizeof(bytes), &q);
		times[q.number] = now_ns();
		sendto(fd, bytes, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}
