/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The file is one line: what was found ('0' or '1'), then MAGIC:PID of each instance that
 * wants it counting. One whose process is gone counts while its table stands: it may come
 * back, or `down` ends it. */
#include "cli/acct.h"
#include "base/io.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/text.h"
#include "nft/nft.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { USERS_MAX = INSTANCE_MAGIC_LAST - INSTANCE_MAGIC_MAIN + 1, FILE_MAX = 256,
	PATH_LEN = 64, TRIES = 16 };

static const char dir[] = "/run/scupper";
static const char knob[] = "/proc/sys/net/netfilter/nf_conntrack_acct";

struct users {
	char was; /* '0', '1', or 0: nobody was here */
	unsigned n;
	struct user {
		unsigned magic;
		int pid;
	} at[USERS_MAX];
};

static char knob_read(void)
{
	auto_free char *text = NULL;
	size_t len;

	return io_read_file(knob, 8, &text, &len) == 0 && len > 0 ? text[0] : 0;
}

static bool knob_write(char v)
{
	auto_close int fd = open(knob, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, &v, 1) == 1;
}

/* one file for each network namespace */
static int path_of(char out[static PATH_LEN])
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st) < 0)
		return -errno;
	snprintf(out, PATH_LEN, "%s/conntrack-acct.%llu", dir, (unsigned long long)st.st_ino);
	return 0;
}

/* locked; the last one's unlink may have come between opening and locking */
static int open_locked(const char *path)
{
	for (int i = 0; i < TRIES; i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		struct stat st;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
			return fd;
		close(fd);
	}
	return -EAGAIN;
}

static void read_users(int fd, struct users *u)
{
	char text[FILE_MAX] = "", *at = text, *word;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	*u = (struct users){ 0 };
	if (n < 1 || (text[0] != '0' && text[0] != '1'))
		return;
	u->was = *at++;
	while (u->n < USERS_MAX && (word = strsep(&at, " \n")) && at) {
		struct user *one = &u->at[u->n];

		if (sscanf(word, "%x:%d", &one->magic, &one->pid) == 2)
			u->n++;
	}
}

static int write_users(int fd, const struct users *u)
{
	char text[FILE_MAX];
	struct text t = text_into(text, sizeof(text));

	text_addf(&t, "%c", u->was);
	for (unsigned i = 0; i < u->n; i++)
		text_addf(&t, " %x:%d", u->at[i].magic, u->at[i].pid);
	text_add(&t, "\n");
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return io_write_all(fd, text, t.len);
}

static bool wants(const struct user *u)
{
	const struct instance i = { .magic = (uint8_t)u->magic };

	if (u->magic < INSTANCE_MAGIC_MAIN || u->magic > INSTANCE_MAGIC_LAST)
		return false;
	return kill(u->pid, 0) == 0 || nft_present(&i) > 0;
}

/* without this one, and without those that are gone for good */
static void keep_others(struct users *u, const struct instance *i)
{
	unsigned kept = 0;

	for (unsigned k = 0; k < u->n; k++) {
		if (u->at[k].magic != i->magic && wants(&u->at[k]))
			u->at[kept++] = u->at[k];
	}
	u->n = kept;
}

static void join(const char *path, const struct instance *i, char now)
{
	auto_close int fd = open_locked(path);
	struct users u;
	int r = fd;

	if (r >= 0) {
		read_users(fd, &u);
		keep_others(&u, i);
		if (!u.was || (u.n == 0 && now == '0'))
			u.was = now;
		if (u.n < USERS_MAX)
			u.at[u.n++] = (struct user){ i->magic, getpid() };
		r = write_users(fd, &u);
	}
	if (r < 0)
		log_warning("%s: %s: conntrack will go on counting at the end", path,
			strerror(-r));
}

bool acct_start(const struct instance *i)
{
	char path[PATH_LEN], now = knob_read();

	if (!now) {
		log_warning("conntrack cannot count (%s is missing): no bytes are shown", knob);
		return false;
	}
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		log_warning("%s: %s", dir, strerror(errno));
	if (path_of(path) == 0)
		join(path, i, now);
	return now == '1' || knob_write('1');
}

void acct_stop(const struct instance *i)
{
	char path[PATH_LEN];
	struct users u;
	int fd;

	if (path_of(path) < 0 || access(path, F_OK) < 0)
		return;
	fd = open_locked(path);
	if (fd < 0)
		return;
	read_users(fd, &u);
	keep_others(&u, i);
	if (u.n > 0) {
		write_users(fd, &u);
	} else {
		if (u.was == '0')
			knob_write('0');
		unlink(path);
		rmdir(dir); /* if that was all */
	}
	close(fd);
}
