/* SPDX-License-Identifier: GPL-2.0-or-later
 * What `scupper run` leaves: the report on stderr, and the rules of --learn. These are written
 * beside their file and moved there, so that it is never half a file. */
#include "base/macros.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/learn.h"
#include "cli/report.h"
#include "cli/runparts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	NEWS_WAIT_MS = 200,  /* until the last refusal was heard */
	KEPT_MAX = 10000,    /* queries, and connections, that the daemon remembers */
};

struct result {
	struct report *report;
	struct learn *learn; /* or NULL */
	size_t queries, flows;
};

static void take_queries(struct result *res, const json_t *items)
{
	res->queries += json_array_size(items);
	report_add_queries(res->report, items);
	if (res->learn)
		learn_add_queries(res->learn, items);
}

static void take_flows(struct result *res, const json_t *items)
{
	res->flows += json_array_size(items);
	report_add_flows(res->report, items);
	if (res->learn)
		learn_add_flows(res->learn, items);
}

static int take_all(struct client *c, const char *base, struct result *res,
	void (*take)(struct result *res, const json_t *items))
{
	char path[256], cursor[128] = "";

	for (;;) {
		struct reply reply;
		const char *next;
		bool ok;

		text_copy(path, sizeof(path), base);
		if (*cursor && !client_argument(path, sizeof(path), "cursor", cursor))
			return -ENAMETOOLONG;
		if (client_call(c, "GET", path, NULL, &reply) < 0)
			return -EIO;
		ok = reply.status == 200;
		take(res, json_object_get(reply.json, "items"));
		next = json_string_value(json_object_get(reply.json, "next"));
		text_copy(cursor, sizeof(cursor), next ? next : "");
		reply_done(&reply);
		if (!ok)
			return -EIO;
		if (!*cursor)
			return 0;
	}
}


int run_learn_check(const struct run *r)
{
	char dir[PATH_MAX];
	char *slash;

	if (!r->learn_file)
		return 0;
	if (!r->force && faccessat(AT_FDCWD, r->learn_file, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		fprintf(stderr, "scupper: run: --learn: %s is there already (--force writes "
				"over it)\n",
			r->learn_file);
		return EXIT_USAGE;
	}
	if (!text_copy(dir, sizeof(dir) - 8, r->learn_file))
		*dir = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	if (access(slash ? dir : ".", W_OK) < 0) {
		fprintf(stderr, "scupper: run: --learn: cannot write %s: %s\n", r->learn_file,
			strerror(errno));
		return EXIT_USAGE;
	}
	return 0;
}

static void write_head(const struct run *r, FILE *to)
{
	char line[1024], now[TEXT_TIME_MAX];
	struct text t = text_into(line, sizeof(line));

	for (char **word = r->cmd; *word; word++) {
		text_add(&t, word == r->cmd ? "" : " ");
		text_add_safe(&t, *word);
	}
	fprintf(to, "# What this command was seen to need, for scupper run --rules:\n"
		    "#   %s%s\n"
		    "# Learned %s by scupper %s.\n",
		line, t.cut ? "..." : "", text_time((int64_t)time(NULL) * 1000, now),
		PACKAGE_VERSION);
}

/* takes fd */
static int write_rules(const struct run *r, struct learn *l, int fd)
{
	FILE *to = fdopen(fd, "w");
	int e;

	if (!to) {
		e = -errno;
		close(fd);
		return e;
	}
	write_head(r, to);
	e = learn_write(l, r->learn_wide, to);
	if (e == 0 && (fflush(to) != 0 || fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		e = -errno;
	if (fclose(to) != 0 && e == 0)
		e = -errno;
	return e;
}

static int write_learned(const struct run *r, struct learn *l)
{
	char beside[PATH_MAX];
	unsigned flags = r->force ? 0 : RENAME_NOREPLACE;
	int e, fd;

	if (snprintf(beside, sizeof(beside), "%s.XXXXXX", r->learn_file) >=
		(int)sizeof(beside))
		return -ENAMETOOLONG;
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	e = write_rules(r, l, fd);
	if (e == 0 && renameat2(AT_FDCWD, beside, AT_FDCWD, r->learn_file, flags) < 0)
		e = -errno;
	if (e < 0)
		unlink(beside);
	return e;
}

static int learned(const struct run *r, struct result *res, bool whole)
{
	int e;

	if (!whole || res->queries >= KEPT_MAX || res->flows >= KEPT_MAX) {
		fprintf(stderr, "scupper: run: --learn: more was seen than was kept: %s is not "
				"written\n",
			r->learn_file);
		return EXIT_CANNOT;
	}
	e = write_learned(r, res->learn);
	if (e == 0)
		return 0;
	fprintf(stderr, "scupper: run: --learn: cannot write %s: %s\n", r->learn_file,
		strerror(-e));
	return EXIT_CANNOT;
}

static void write_report(const struct run *r, const struct report *rep)
{
	json_t *o;

	if (!r->report_json) {
		report_text(rep, stderr);
		return;
	}
	o = report_json(rep);
	json_dumpf(o, stderr, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	fputc('\n', stderr);
	json_decref(o);
}

int run_result(const struct run *r, struct client *c, size_t *denied)
{
	const struct timespec news = { .tv_nsec = NEWS_WAIT_MS * 1000000L };
	struct result res = { 0 };
	bool whole = true;
	int status = 0;

	if (report_new(&res.report) < 0 || (r->learn_file && learn_new(&res.learn) < 0)) {
		fprintf(stderr, "scupper: run: no memory for the report\n");
		report_free(res.report);
		return EXIT_CANNOT;
	}
	nanosleep(&news, NULL);
	if (take_all(c, "/api/v1/queries", &res, take_queries) < 0 ||
		take_all(c, "/api/v1/flows", &res, take_flows) < 0) {
		whole = false;
		fprintf(stderr, "scupper: run: the report is not whole: %s\n", client_why(c));
	}
	write_report(r, res.report);
	if (res.learn && r->started)
		status = learned(r, &res, whole);
	*denied = report_denied(res.report);
	report_free(res.report);
	learn_free(res.learn);
	return status;
}
