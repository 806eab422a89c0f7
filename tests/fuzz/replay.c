/* SPDX-License-Identifier: GPL-2.0-or-later
 * The main of a fuzz target where no fuzzer is linked: runs it over files. Arguments are
 * files or directories; without any, fuzz_x replays $srcdir/tests/fuzz/corpus/x.
 * With clang -fsanitize=fuzzer leave this file out: libFuzzer brings its own main. */
#include "base/io.h"
#include "base/macros.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static unsigned count;

static int replay_file(const char *path)
{
	auto_free char *bytes = NULL;
	auto_free uint8_t *exact = NULL;
	size_t len;
	int r = io_read_file(path, INPUT_MAX, &bytes, &len);

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return r;
	}
	/* in a block of just its size, so that a sanitizer sees a read past the end */
	exact = malloc(len ? len : 1);
	if (!exact)
		return -1;
	memcpy(exact, bytes, len);
	LLVMFuzzerTestOneInput(exact, len);
	count++;
	return 0;
}

static int replay_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int r = 0;

	if (!d) {
		perror(path);
		return -1;
	}
	while ((e = readdir(d))) {
		char file[4096];

		if (e->d_name[0] == '.')
			continue;
		if (snprintf(file, sizeof(file), "%s/%s", path, e->d_name) >=
			(int)sizeof(file) || replay_file(file) < 0)
			r = -1;
	}
	closedir(d);
	return r;
}

static int replay(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return replay_dir(path);
	return replay_file(path);
}

static int replay_own_corpus(const char *program)
{
	const char *name = strstr(program, "fuzz_"), *srcdir = getenv("srcdir");
	const char *next;
	char dir[4096];

	while (name && (next = strstr(name + 1, "fuzz_")))
		name = next;
	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".",
		name ? name + strlen("fuzz_") : program);
	return replay_dir(dir);
}

int main(int argc, char **argv)
{
	int r = 0;

	if (argc < 2)
		r = replay_own_corpus(argv[0]);
	for (int i = 1; i < argc; i++) {
		if (replay(argv[i]) < 0)
			r = -1;
	}
	printf("%u inputs replayed\n", count);
	return r < 0 || count == 0;
}
