/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft_world.h"

#include "base/macros.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { FREEBIND6 = 78 }; /* IPV6_FREEBIND */

static pid_t peer = -1, far = -1;
struct fixture world;

/* the neighbour: echoes on TCP and UDP, v4 and v6 */

static const uint16_t far_ports[] = { ECHO_PORT, OTHER_PORT, LATE_PORT, 53 };

static int far_listen(uint16_t port, int type)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		(type == SOCK_STREAM && listen(fd, 64) < 0))
		_exit(1);
	return fd;
}

static void far_datagram(int fd, uint16_t port)
{
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	char bytes[512];
	ssize_t len = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n);

	if (port == LATE_PORT)
		poll(NULL, 0, LATE_MS);
	if (len >= 0)
		sendto(fd, bytes, (size_t)len, 0, (struct sockaddr *)&from, n);
}

static void far_stream(struct pollfd *p)
{
	char bytes[512];
	ssize_t len = recv(p->fd, bytes, sizeof(bytes), 0);

	if (len > 0 && send(p->fd, bytes, (size_t)len, MSG_NOSIGNAL) == len)
		return;
	close(p->fd);
	p->fd = -1;
}

static void far_run(int ready)
{
	enum { PORTS = ARRAY_LEN(far_ports), STREAMS = 64 };
	struct pollfd p[2 * PORTS + STREAMS];
	unsigned next = 0;

	for (unsigned i = 0; i < ARRAY_LEN(p); i++)
		p[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	for (unsigned i = 0; i < PORTS; i++) {
		p[i].fd = far_listen(far_ports[i], SOCK_DGRAM);
		p[PORTS + i].fd = far_listen(far_ports[i], SOCK_STREAM);
	}
	close(ready);
	for (;;) {
		poll(p, ARRAY_LEN(p), -1);
		for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
			struct pollfd *s = &p[2 * PORTS + next];

			if (!(p[i].revents & (POLLIN | POLLHUP | POLLERR)))
				continue;
			if (i < PORTS) {
				far_datagram(p[i].fd, far_ports[i]);
			} else if (i < 2 * PORTS) {
				if (s->fd >= 0)
					close(s->fd);
				s->fd = accept(p[i].fd, NULL, NULL);
				next = (next + 1) % STREAMS;
			} else {
				far_stream(&p[i]);
			}
		}
	}
}

void enter_peer(void)
{
	char path[64];
	int ns;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", peer);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		_exit(99);
}

static pid_t far_start(void)
{
	int ready[2];
	char none;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		enter_peer();
		far_run(ready[1]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &none, 1), 0);
	close(ready[0]);
	return pid;
}

/* sockets here */

int sock(uint32_t mark, uint8_t family, int type)
{
	struct timeval wait = { .tv_sec = WAIT_MS / 1000 };
	int fd = socket(family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	if (mark)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

uint32_t mark_of(uint32_t actor)
{
	return actor == OUTSIDE ? 0 : instance_mark(&main_one, actor);
}

int connect_to(int fd, const char *to, uint16_t port)
{
	struct addr a = addr_of(to);
	struct sockaddr_storage at;
	size_t len = addr_to_sockaddr(&a, port, &at);

	return connect(fd, (struct sockaddr *)&at, (socklen_t)len) < 0 ? -errno : 0;
}

int bind_to(int fd, const char *to, uint16_t port)
{
	struct addr a = addr_of(to);
	struct sockaddr_storage at;
	size_t len = addr_to_sockaddr(&a, port, &at);
	int one = 1;

	if (a.family == 6)
		setsockopt(fd, IPPROTO_IPV6, FREEBIND6, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&at, (socklen_t)len) < 0 ? -errno : 0;
}

int exchange(int fd)
{
	char bytes[8] = "";

	if (send(fd, "hello", 5, MSG_NOSIGNAL) < 0)
		return -errno;
	if (recv(fd, bytes, sizeof(bytes), 0) < 0)
		return -errno;
	return strcmp(bytes, "hello") == 0 ? 0 : -EBADMSG;
}

/* connect, say hello, hear it back */
int talk_marked(uint32_t mark, int type, const char *to, uint16_t port)
{
	int fd = sock(mark, addr_of(to).family, type);
	int r = connect_to(fd, to, port);

	if (r == 0)
		r = exchange(fd);
	close(fd);
	return r;
}

int talk(uint32_t actor, int type, const char *to, uint16_t port)
{
	return talk_marked(mark_of(actor), type, to, port);
}

struct nft_element pass(uint32_t actor, const char *to)
{
	return (struct nft_element){ .set = NFT_PASS, .actor = actor, .addr = addr_of(to),
		.timeout_ms = LONG_MS };
}

void put(const struct nft_element *el)
{
	assert_int_equal(fixture_change(&world, NFT_PUT, el), 0);
}

void take(const struct nft_element *el)
{
	assert_int_equal(fixture_change(&world, NFT_TAKE, el), 0);
}

int world_setup(void **state)
{
	(void)state;
	fixture_begin(&world, &main_one);
	return 0;
}

int world_teardown(void **state)
{
	(void)state;
	scratch_run("nft delete table inet watch 2>/dev/null", NULL);
	scratch_run("nft delete table inet other 2>/dev/null", NULL);
	fixture_end(&world, true);
	return 0;
}

void open_table(void)
{
	assert_int_equal(fixture_open(&world, NULL, 0), 0);
}


struct listener listener_open(uint8_t family)
{
	struct addr at = instance_listener(&main_one, family);
	char text[ADDR_TEXT_MAX];
	struct listener l = { sock(mark_of(ACTOR_SELF), family, SOCK_DGRAM),
		sock(mark_of(ACTOR_SELF), family, SOCK_STREAM) };

	addr_text(&at, text);
	assert_int_equal(bind_to(l.udp, text, 53), 0);
	assert_int_equal(bind_to(l.tcp, text, 53), 0);
	assert_int_equal(listen(l.tcp, 64), 0);
	return l;
}

void listener_close(struct listener *l)
{
	close(l->udp);
	close(l->tcp);
}

uint32_t actor_of(const struct sockaddr_storage *from)
{
	struct addr a;
	uint16_t port;

	assert_int_equal(addr_from_sockaddr((const struct sockaddr *)from, &a, &port), 0);
	return instance_actor(&main_one, &a);
}

/* one query by a connected socket: the listener sees who asks, the asker hears an answer
 * from the server it asked */
void ask_udp(const struct listener *l, uint32_t actor, const char *server)
{
	int fd = sock(mark_of(actor), addr_of(server).family, SOCK_DGRAM);
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	char bytes[16];

	print_message("udp, actor %u to %s\n", actor, server);
	assert_int_equal(connect_to(fd, server, 53), 0);
	assert_int_equal(send(fd, "query", 5, 0), 5);
	assert_int_equal(recvfrom(l->udp, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n),
		5);
	assert_int_equal(actor_of(&from), actor);
	assert_int_equal(sendto(l->udp, "answer", 6, 0, (struct sockaddr *)&from, n), 6);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 6);
	close(fd);
}

void ask_tcp(const struct listener *l, uint32_t actor, const char *server)
{
	int fd = sock(mark_of(actor), addr_of(server).family, SOCK_STREAM), got;
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	char bytes[16];

	print_message("tcp, actor %u to %s\n", actor, server);
	assert_int_equal(connect_to(fd, server, 53), 0);
	got = accept(l->tcp, (struct sockaddr *)&from, &n);
	assert_true(got >= 0);
	assert_int_equal(actor_of(&from), actor);
	assert_int_equal(send(fd, "query", 5, 0), 5);
	assert_int_equal(recv(got, bytes, sizeof(bytes), 0), 5);
	assert_int_equal(send(got, "answer", 6, 0), 6);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 6);
	close(fd);
	close(got);
}


/* a server here that answers one connection */
int serve(uint32_t actor, const char *at, uint16_t port)
{
	int fd = sock(mark_of(actor), addr_of(at).family, SOCK_STREAM);

	assert_int_equal(bind_to(fd, at, port), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

unsigned counted(const char *what)
{
	char command[256];
	unsigned packets = 0;
	FILE *p;

	snprintf(command, sizeof(command),
		"nft list counter inet watch %s | sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'", what);
	p = popen(command, "r");
	if (!p || fscanf(p, "%u", &packets) != 1)
		packets = 999999;
	if (p)
		pclose(p);
	return packets;
}

void need_nft(void)
{
	if (scratch_has("nft"))
		return;
	print_message("skipped: no nft command to watch with\n");
	skip();
}

bool world_open(const char **why)
{
	if (!scratch_net(why))
		return false;
	*why = "no ip command, or no veth pair";
	peer = scratch_peer();
	if (peer < 0)
		return false;
	far = far_start();
	return true;
}

void world_close(void)
{
	kill(far, SIGKILL);
	waitpid(far, NULL, 0);
	scratch_peer_end(peer);
}

int world_run(const char *name, const struct CMUnitTest *tests, size_t n)
{
	const char *why;
	int r;

	if (!world_open(&why)) {
		printf("skipped: %s\n", why);
		return SCRATCH_SKIPPED;
	}
	r = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
	world_close();
	return r;
}
