/* SPDX-License-Identifier: GPL-2.0-or-later
 * A list of 1,000,000 names (or as many as the first argument says): how long its text
 * takes to compile, its file to be ready, a lookup; and how much memory it adds. Times are
 * the processor's, so that what else runs counts for little. A child
 * of its own compiles, so that its memory is not counted. */
#include "base/io.h"
#include "base/macros.h"
#include "rules/listmake.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { LOOKUPS = 2000000, ASKED = 65536 };

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t mixed(uint64_t n)
{
	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
	n = (n ^ n >> 27) * 0x94d049bb133111eb;
	return n ^ n >> 31;
}

/* the n-th name: as long as those of real lists */
static void name_of(uint64_t n, const char *top, char out[static HOST_MAX])
{
	uint64_t m = mixed(n);

	snprintf(out, HOST_MAX, "%s%llx.track%llu.%s", m & 1 ? "cdn-" : "",
		(unsigned long long)(m >> 20), (unsigned long long)(n % 50000), top);
}

static long resident_kb(void)
{
	auto_free char *text = NULL;
	size_t len;
	const char *at;

	if (io_read_file("/proc/self/status", 65536, &text, &len) < 0)
		return 0;
	at = strstr(text, "VmRSS:");
	return at ? atol(at + 6) : 0;
}

static int compile(const char *path, size_t names)
{
	char *text = malloc(names * 64);
	struct list_info about = { .source = "made up" };
	size_t len = 0, file_len;
	void *file;
	double from;
	int fd;

	if (!text)
		return 1;
	for (size_t i = 0; i < names; i++) {
		char name[HOST_MAX];

		name_of(i, "example", name);
		len += (size_t)snprintf(text + len, 64, "||%s^\n", name);
	}
	from = now_s();
	if (list_make(text, len, mixed((uint64_t)time(NULL)), &about, &file, &file_len) < 0)
		return 1;
	printf("compile   %8.3f s   %zu names, text of %.1f MB, file of %.1f MB\n",
		now_s() - from, names, (double)len / 1e6, (double)file_len / 1e6);
	fflush(stdout);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return fd < 0 || io_write_all(fd, file, file_len) < 0;
}

static char asked[ASKED][48];

static void lookups(const struct list *l, size_t names, const char *top, const char *what)
{
	unsigned hits = 0;
	double from;

	for (size_t i = 0; i < ASKED; i++) {
		char name[HOST_MAX];

		name_of(mixed(i) % names, top, name);
		snprintf(asked[i], sizeof(asked[i]), "%.40s", name);
	}
	from = now_s();
	for (size_t i = 0; i < LOOKUPS; i++)
		hits += list_find_name(l, asked[i % ASKED], NULL);
	printf("lookup    %8.1f ns  %s: %u of %u found\n", (now_s() - from) * 1e9 / LOOKUPS,
		what, hits, LOOKUPS);
}

static void give_back(void *bytes, size_t len)
{
	munmap(bytes, len);
}

static int measure(const char *path, size_t names)
{
	long before;
	struct stat st;
	struct list *l;
	double from = now_s();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *bytes;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 1;
	memset(asked, 1, sizeof(asked)); /* in memory before it is measured */
	before = resident_kb();
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED || list_open(bytes, (size_t)st.st_size, give_back, &l) < 0)
		return 1;
	madvise(bytes, (size_t)st.st_size, MADV_DONTNEED); /* as the daemon does */
	printf("ready     %8.3f s   opened, mapped, every byte checked\n", now_s() - from);
	lookups(l, names, "example", "listed");
	lookups(l, names, "test", "not listed");
	printf("memory    %8.1f MB  added, file pages and all\n",
		(double)(resident_kb() - before) / 1024);
	list_unref(l);
	return 0;
}

int main(int argc, char **argv)
{
	size_t names = argc > 1 ? (size_t)atol(argv[1]) : 1000000;
	char path[64];
	pid_t child;
	int status;

	if (names == 0)
		return 2;
	snprintf(path, sizeof(path), "/tmp/bench-lists-%d", (int)getpid());
	child = fork();
	if (child == 0)
		_exit(compile(path, names));
	waitpid(child, &status, 0);
	status = status == 0 ? measure(path, names) : 1;
	unlink(path);
	return status;
}
