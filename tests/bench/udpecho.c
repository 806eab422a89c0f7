/* SPDX-License-Identifier: GPL-2.0-or-later
 * udpecho.c - what one thread can do at most with UDP on this machine: every datagram goes
 * back with the bits of a DNS response set (QR, RA), nothing is looked at.
 *   udpecho ADDRESS PORT */
#include "base/addr.h"
#include "figures.h"

#include <err.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, BYTES = 1500, BUFFER = 4 << 20 };

static uint8_t bytes[BATCH][BYTES];
static struct sockaddr_storage from[BATCH];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static void ready_to_receive(void)
{
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ bytes[i], BYTES };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1,
			.msg_name = &from[i], .msg_namelen = sizeof(from[i]) };
	}
}

int main(int argc, char **argv)
{
	const int size = BUFFER;
	struct sockaddr_storage at;
	struct addr a;
	socklen_t len;
	int fd;

	if (argc != 3 || addr_parse(argv[1], &a) < 0)
		errx(2, "usage: udpecho ADDRESS PORT");
	len = (socklen_t)addr_to_sockaddr(&a, (uint16_t)number(argv[2], 65535), &at);
	fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0)
		err(1, "%s port %s", argv[1], argv[2]);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (;;) {
		int n;

		ready_to_receive();
		n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0)
			err(1, "receive");
		for (int i = 0; i < n; i++) {
			parts[i].iov_len = messages[i].msg_len;
			bytes[i][2] |= 0x80;
			bytes[i][3] |= 0x80;
		}
		sendmmsg(fd, messages, (unsigned)n, 0);
	}
}
