/* SPDX-License-Identifier: GPL-2.0-or-later
 * musl NAME: its addresses as this C library's own resolver finds them, a line each. Built
 * static against musl by the test. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL, *a;
	char text[INET6_ADDRSTRLEN];
	int r = argc == 2 ? getaddrinfo(argv[1], NULL, &hints, &all) : EAI_NONAME;

	if (r != 0) {
		fprintf(stderr, "%s\n", gai_strerror(r));
		return 2;
	}
	for (a = all; a; a = a->ai_next) {
		const void *at = a->ai_family == AF_INET6
			? (const void *)&((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr
			: (const void *)&((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr;

		puts(inet_ntop(a->ai_family, at, text, sizeof(text)));
	}
	freeaddrinfo(all);
	return 0;
}
