/* SPDX-License-Identifier: GPL-2.0-or-later
 * evade.c - a program to be copied, linked, hidden and disguised.
 *   evade say ADDRESS...          a datagram and a SYN to port 80 of each
 *   evade look NAME               looks a name up
 *   evade as PROGRAM ADDRESS...   says it after /proc/self/exe has become PROGRAM
 *   evade back PROCS ADDRESS...   says it after it has gone to another cgroup
 *   evade many COUNT ADDRESS      becomes COUNT executables one after another, the first
 *                                 4,200 with a socket that stays open; prints "done",
 *                                 waits for stdin's end
 * What is refused is no failure: whether anything left is judged elsewhere. */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PORT = 80, WAIT_MS = 200, MAPS_MAX = 16, KEPT_MAX = 4200 };

static socklen_t at(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *six = (void *)out;
	struct sockaddr_in *four = (void *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(PORT);
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
		errx(2, "%s: no address", text);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(PORT);
	return sizeof(*six);
}

static int datagram(const char *address)
{
	struct sockaddr_storage to;
	socklen_t len = at(address, &to);
	int fd = socket(to.ss_family, SOCK_DGRAM, 0);

	if (fd < 0)
		err(1, "socket");
	if (sendto(fd, "scupper-evade", 13, 0, (void *)&to, len) < 0)
		warn("%s", address);
	return fd;
}

static int say(char **addresses)
{
	struct sockaddr_storage to;
	socklen_t len;

	for (; *addresses; addresses++) {
		struct pollfd p = { .events = POLLOUT };

		close(datagram(*addresses));
		len = at(*addresses, &to);
		p.fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(p.fd, (void *)&to, len);
		poll(&p, 1, WAIT_MS);
		close(p.fd);
	}
	return 0;
}

static int look(const char *name)
{
	struct addrinfo *found;

	return getaddrinfo(name, NULL, NULL, &found) ? 3 : 0;
}

/* Every mapping of the program's own file becomes memory with the same bytes: the kernel
 * lets the file be exchanged only when nothing maps it any more. */
static void let_go_of_file(void)
{
	struct { char *from; size_t len; int prot; } own[MAPS_MAX];
	char line[512], self[256], name[256] = "", perms[8];
	FILE *maps = fopen("/proc/self/maps", "r");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	unsigned long from, to;
	int count = 0;

	if (!maps || n < 0)
		err(1, "/proc/self");
	self[n] = '\0';
	while (fgets(line, sizeof(line), maps) && count < MAPS_MAX) {
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, perms, name) != 4 ||
			strcmp(name, self) != 0)
			continue;
		own[count].from = (char *)from;
		own[count].len = to - from;
		own[count++].prot = (perms[0] == 'r' ? PROT_READ : 0) |
			(perms[1] == 'w' ? PROT_WRITE : 0) | (perms[2] == 'x' ? PROT_EXEC : 0);
	}
	fclose(maps);
	for (int i = 0; i < count; i++) {
		char *copy = mmap(NULL, own[i].len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (copy == MAP_FAILED)
			err(1, "mmap");
		memcpy(copy, own[i].from, own[i].len);
		if (mprotect(copy, own[i].len, own[i].prot) < 0 ||
			mremap(copy, own[i].len, own[i].len, MREMAP_MAYMOVE | MREMAP_FIXED,
				own[i].from) == MAP_FAILED)
			err(1, "mremap");
	}
}

/* fields of /proc/self/stat, counted as in proc(5) */
static unsigned long stat_field(int wanted)
{
	char text[2048], *p;
	int fd = open("/proc/self/stat", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	if (n < 0)
		err(1, "stat");
	text[n] = '\0';
	p = strrchr(text, ')') + 2;
	for (int field = 3; field < wanted; field++)
		p = strchr(p, ' ') + 1;
	return strtoul(p, NULL, 10);
}

static int as(const char *program, char **addresses)
{
	struct prctl_mm_map m = {
		.start_code = stat_field(26), .end_code = stat_field(27),
		.start_stack = stat_field(28), .start_data = stat_field(45),
		.end_data = stat_field(46), .start_brk = stat_field(47),
		.arg_start = stat_field(48), .arg_end = stat_field(49),
		.env_start = stat_field(50), .env_end = stat_field(51),
	};
	char now[256] = "";

	m.brk = (unsigned long)sbrk(0);
	m.exe_fd = (unsigned)open(program, O_RDONLY | O_CLOEXEC);
	if (getuid() != 0 && unshare(CLONE_NEWUSER) < 0)
		err(77, "user namespace");
	let_go_of_file();
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &m, sizeof(m), 0) < 0)
		err(77, "PR_SET_MM_MAP");
	if (readlink("/proc/self/exe", now, sizeof(now) - 1) < 0)
		err(1, "/proc/self/exe");
	puts(now);
	return say(addresses);
}

static int back(const char *procs, char **addresses)
{
	int fd = open(procs, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "%s", procs);
	close(fd);
	return say(addresses);
}

/* A changed inode is another executable. Some kernels tell the time by ticks: until it has
 * changed. */
static void change_self(const char *self)
{
	struct stat before, now;

	if (stat(self, &before) < 0)
		err(1, "%s", self);
	do {
		if (chmod(self, (before.st_mode ^ S_IWUSR) & 07777) < 0 || stat(self, &now) < 0)
			err(1, "%s", self);
	} while (now.st_ctim.tv_sec == before.st_ctim.tv_sec &&
		now.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
}

static int many(char **argv)
{
	long left = strtol(argv[2], NULL, 10);
	char text[24];
	int fd = datagram(argv[3]);

	if (fd >= KEPT_MAX)
		close(fd);
	if (left > 1) {
		snprintf(text, sizeof(text), "%ld", left - 1);
		change_self(argv[0]);
		execl(argv[0], argv[0], "many", text, argv[3], NULL);
		err(1, "%s", argv[0]);
	}
	puts("done");
	fflush(stdout);
	return read(STDIN_FILENO, text, 1) < 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 2 ? argv[1] : "";

	if (strcmp(how, "say") == 0)
		return say(argv + 2);
	if (strcmp(how, "look") == 0)
		return look(argv[2]);
	if (strcmp(how, "as") == 0)
		return as(argv[2], argv + 3);
	if (strcmp(how, "back") == 0)
		return back(argv[2], argv + 3);
	if (strcmp(how, "many") == 0 && argc == 4)
		return many(argv);
	errx(2, "evade HOW WHAT ...");
}
