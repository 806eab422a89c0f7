/* SPDX-License-Identifier: GPL-2.0-or-later
 * scupper list: makes and keeps the lists that rules name. Theory of operation: a child
 * that gave its rights away (it becomes nobody) fetches and compiles, into a memory file;
 * the parent checks what came, puts it beside the one in force and renames. The daemon
 * sees the folder change. Whatever fails, what is in force stays. Where a list comes from
 * stands in its compiled file, so there is nothing else to keep. */
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/conf.h"
#include "cli/fetch.h"
#include "cli/run.h"
#include "cli/shelf.h"
#include "rules/listmake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { NOBODY = 65534, UNCHANGED = 3, MAX_SIZE = 256 << 20 };

static const char usage[] =
	"Usage: scupper list add NAME URL|FILE [--format FORMAT] [--max-size SIZE]\n"
	"       scupper list update [NAME]     fetch again, all of them without NAME\n"
	"       scupper list show [NAME]       what there is\n"
	"       scupper list rm NAME\n"
	"Lists of names and addresses for rules: deny any list:NAME. They are compiled into\n"
	"the state directory; the daemon takes each change up by itself. Needs root.\n"
	"\n"
	"  --format FORMAT   auto (each line by its shape), plain, hosts, adblock, dnsmasq,\n"
	"                    rpz, cidr\n"
	"  --max-size SIZE   a larger text is refused (256MB)\n"
	"  --config FILE     where the state directory stands (/etc/scupper/scupper.conf)\n";

struct lists {
	char dir[PATH_MAX];
	enum list_format format;
	uint64_t max;
};

static int fail(const char *name, const char *what)
{
	fprintf(stderr, "scupper: list %s: %s\n", name, what);
	return REFUSED;
}

static bool is_url(const char *source)
{
	return strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0;
}

/* --- the child, whose reason for failing goes where its file would have gone -------------------------------------------------------------------------- */

static int text_of(const struct lists *o, struct list_info *about, int file,
	struct fetched *out, char *why, size_t why_max)
{
	int r;

	if (is_url(about->source))
		return fetch_url(about->source, (size_t)o->max, about, out, why, why_max);
	r = io_read_all(file, (size_t)o->max, &out->text, &out->len);
	if (r < 0)
		snprintf(why, why_max, "%s cannot be read: %s", about->source,
			r == -EFBIG ? "it is too large (see --max-size)" : strerror(-r));
	return r;
}

static int give_reason(int to, const char *why)
{
	io_write_all(to, why, strlen(why));
	return REFUSED;
}

static void child(const struct lists *o, struct list_info *about, int file, int to)
{
	struct fetched f = { 0 };
	char why[600] = "";
	uint64_t point;
	void *bytes;
	size_t len;
	int r;

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		setresuid(NOBODY, NOBODY, NOBODY) < 0))
		_exit(give_reason(to, "cannot give rights away"));
	if (text_of(o, about, file, &f, why, sizeof(why)) < 0)
		_exit(give_reason(to, why));
	if (f.unchanged)
		_exit(UNCHANGED);
	if (getrandom(&point, sizeof(point), 0) != sizeof(point))
		_exit(give_reason(to, strerror(errno)));
	about->made_s = clock_unix_ms() / 1000;
	r = list_make(f.text ? f.text : "", f.len, point, about, &bytes, &len);
	if (r == -ENODATA)
		_exit(give_reason(to, "not one name or address is in it: is it a list?"));
	if (r < 0)
		_exit(give_reason(to, strerror(-r)));
	_exit(io_write_all(to, bytes, len) < 0 ? REFUSED : DONE);
}

/* --- the parent ------------------------------------------------------------------------- */

static int put(const struct lists *o, const char *name, const void *bytes, size_t len)
{
	char path[PATH_MAX], old[PATH_MAX], part[PATH_MAX];
	int fd, r;

	if (!shelf_path(o->dir, name, ".list", path, sizeof(path)) ||
		!shelf_path(o->dir, name, ".old", old, sizeof(old)) ||
		!shelf_path(o->dir, name, ".part", part, sizeof(part)))
		return -ENAMETOOLONG;
	unlink(part);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, bytes, len);
	if (r == 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		r = -errno;
	close(fd);
	if (r == 0) {
		struct list *good;

		/* a damaged one is not worth keeping */
		if (shelf_map(path, &good) == 0) {
			list_unref(good);
			unlink(old);
			if (link(path, old) < 0 && errno != ENOENT)
				r = -errno;
		}
	}
	if (r == 0 && rename(part, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(part);
	return r;
}

static int take(const struct lists *o, const char *name, int from)
{
	char *bytes;
	struct list_info about;
	struct list *l;
	size_t len;
	int r;

	lseek(from, 0, SEEK_SET);
	r = io_read_all(from, (size_t)1 << 31, &bytes, &len);
	if (r < 0)
		return fail(name, strerror(-r));
	r = list_open(bytes, len, NULL, &l);
	if (r == 0) {
		list_about(l, &about);
		r = put(o, name, bytes, len);
		list_unref(l);
	}
	free(bytes);
	if (r < 0)
		return fail(name, strerror(-r));
	printf("list %s: %u names, %u addresses and ranges; %u lines skipped\n", name,
		about.names, about.ranges, about.skipped);
	return DONE;
}

/* said here, and kept in NAME.failed for the daemon's status until it goes well */
static int failed(const struct lists *o, const char *name, int from)
{
	auto_free char *why = NULL;
	char path[PATH_MAX];
	size_t len = 0;
	int fd;

	lseek(from, 0, SEEK_SET);
	if (io_read_all(from, 1000, &why, &len) < 0 || !len)
		return fail(name, "compiling it came to a bad end");
	if (shelf_path(o->dir, name, ".failed", path, sizeof(path))) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd >= 0) {
			io_write_all(fd, why, len);
			close(fd);
		}
	}
	return fail(name, why);
}

static void went_well(const struct lists *o, const char *name)
{
	char path[PATH_MAX];

	if (shelf_path(o->dir, name, ".failed", path, sizeof(path)))
		unlink(path);
}

static int make(const struct lists *o, const char *name, struct list_info *about)
{
	auto_close int to = memfd_create("list", MFD_CLOEXEC), file = -1;
	int status;
	pid_t pid;

	if (to < 0)
		return fail(name, strerror(errno));
	if (!is_url(about->source)) {
		file = open(about->source, O_RDONLY | O_CLOEXEC);
		if (file < 0)
			return fail(name, strerror(errno));
	}
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return fail(name, strerror(errno));
	if (pid == 0)
		child(o, about, file, to);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return fail(name, "compiling it came to a bad end");
	if (WEXITSTATUS(status) == REFUSED)
		return failed(o, name, to);
	went_well(o, name);
	if (WEXITSTATUS(status) == UNCHANGED) {
		printf("list %s: not changed\n", name);
		return DONE;
	}
	return take(o, name, to);
}

/* --- the commands ----------------------------------------------------------------------- */

static int list_add(const struct lists *o, const char *name, const char *source)
{
	struct list_info about = { .format = o->format };
	char path[PATH_MAX];

	if (!list_name_ok(name))
		return fail(name, "a name is of a-z, 0-9, '-', '_', '.' and begins with a letter");
	if (!is_url(source)) {
		if (strstr(source, "://"))
			return fail(name, "http and https only");
		if (!realpath(source, path))
			return fail(name, strerror(errno));
		source = path;
	}
	if (!text_copy(about.source, sizeof(about.source), source))
		return fail(name, "that URL or path is too long");
	io_mkdirs(o->dir, 0755);
	return make(o, name, &about);
}

static int show_one(const struct lists *o, const char *name)
{
	char path[PATH_MAX], when[TEXT_TIME_MAX];
	struct list_info about;
	struct list *l;
	int r;

	if (!shelf_path(o->dir, name, ".list", path, sizeof(path)))
		return fail(name, strerror(ENAMETOOLONG));
	r = shelf_map(path, &l);
	if (r < 0)
		return fail(name, r == -EBADMSG ? "its compiled file is damaged: update it"
			: r == -ENOENT ? "there is no such list" : strerror(-r));
	list_about(l, &about);
	printf("%-16s %9u names %7u ranges %7u skipped  %s  %s  %s\n", name, about.names,
		about.ranges, about.skipped, list_format_text((enum list_format)about.format),
		text_time(about.made_s * 1000, when), about.source);
	list_unref(l);
	return DONE;
}

/* where it came from stands in the one before it, too */
static int update_one(const struct lists *o, const char *name)
{
	static const char *const ends[] = { ".list", ".old" };
	struct list_info about;
	char path[PATH_MAX];
	struct list *l;

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		if (!shelf_path(o->dir, name, ends[i], path, sizeof(path)) ||
			shelf_map(path, &l) < 0)
			continue;
		list_about(l, &about);
		list_unref(l);
		if (i) /* the one before is not what the server would call unchanged */
			about.etag[0] = about.modified[0] = '\0';
		return make(o, name, &about);
	}
	return fail(name, "there is no such list, or it is damaged: add it anew");
}

static int each(const struct lists *o, int (*one)(const struct lists *o, const char *name))
{
	struct dirent **files = NULL;
	int n = scandir(o->dir, &files, NULL, alphasort), status = DONE, r;

	for (int i = 0; i < n; i++) {
		char *end = strstr(files[i]->d_name, ".list");

		if (end && !end[5] && end != files[i]->d_name) {
			*end = '\0';
			r = one(o, files[i]->d_name);
			status = MAX(status, r);
		}
		free(files[i]);
	}
	free(files);
	return status;
}

static int list_rm(const struct lists *o, const char *name)
{
	char path[PATH_MAX];

	if (!list_name_ok(name) || !shelf_path(o->dir, name, ".old", path, sizeof(path)))
		return fail(name, "there is no such list");
	unlink(path);
	went_well(o, name);
	if (!shelf_path(o->dir, name, ".list", path, sizeof(path)) || unlink(path) < 0)
		return fail(name, errno == ENOENT ? "there is no such list" : strerror(errno));
	return DONE;
}

static bool well_formed(int n, char **args)
{
	static const struct { const char *word; int least, most; } commands[] = {
		{ "add", 3, 3 }, { "update", 1, 2 }, { "show", 1, 2 }, { "rm", 2, 2 },
	};

	for (size_t i = 0; n && i < ARRAY_LEN(commands); i++)
		if (strcmp(args[0], commands[i].word) == 0)
			return n >= commands[i].least && n <= commands[i].most;
	return false;
}

/* a well-formed one */
static int dispatch(const struct lists *o, int n, char **args)
{
	const char *word = args[0];

	for (int i = 1; i < n; i++)
		if (i == 1 && !list_name_ok(args[i]) && strcmp(word, "add") != 0)
			return fail(args[i], "there is no such list");
	if (strcmp(word, "add") == 0)
		return list_add(o, args[1], args[2]);
	if (strcmp(word, "update") == 0)
		return n == 2 ? update_one(o, args[1]) : each(o, update_one);
	if (strcmp(word, "show") == 0)
		return n == 2 ? show_one(o, args[1]) : each(o, show_one);
	return list_rm(o, args[1]);
}

int list_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "format", required_argument, NULL, 'f' },
		{ "max-size", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *path = "/etc/scupper/scupper.conf";
	struct lists o = { .max = MAX_SIZE };
	struct conf conf;
	char why[512];
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return DONE;
		}
		if (c == 'c')
			path = optarg;
		else if (c == 'f' && list_format_parse(optarg, &o.format) == 0)
			continue;
		else if (c != 'm' || text_size(optarg, &o.max) < 0 || o.max == 0 ||
			o.max > (uint64_t)1 << 30) {
			fprintf(stderr, "scupper: list: wrong option or value; see scupper list "
					"--help\n");
			return USAGE;
		}
	}
	if (!well_formed(argc - optind, argv + optind)) {
		fputs("scupper: usage: scupper list add NAME URL|FILE | update [NAME] | "
		      "show [NAME] | rm NAME\n", stderr);
		return USAGE;
	}
	if (conf_load(path, &conf, why, sizeof(why)) < 0) {
		fprintf(stderr, "scupper: list: %s\n", why);
		return REFUSED;
	}
	if (!shelf_path(conf.state_dir, "lists", "", o.dir, sizeof(o.dir)))
		return fail("", strerror(ENAMETOOLONG));
	return dispatch(&o, argc - optind, argv + optind);
}
