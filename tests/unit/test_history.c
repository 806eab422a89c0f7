/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "db/history.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "db/read.h"
#include "db/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 15000, DAY_S = 86400 };
static const int64_t now_s = 1800000000;

struct place {
	char dir[64], file[96];
	struct history_conf conf;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return -1;
	snprintf(p->dir, sizeof(p->dir), "/tmp/scupper-history-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->file, sizeof(p->file), "%s/history.db", p->dir);
	p->conf = (struct history_conf){ .path = p->file, .group = (gid_t)-1,
		.keep_s = 90 * DAY_S, .max_bytes = 1000000000 };
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	DIR *d = opendir(p->dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(p->dir);
	free(p);
	return 0;
}

static struct flow a_flow(uint64_t id, int64_t start_ms)
{
	struct flow f = { .id = id, .start_ms = start_ms, .kind = FLOW_CONN,
		.state = FLOW_LIVE, .proto = IPPROTO_TCP, .port = 443, .how = HOW_KERNEL,
		.verdict = VERDICT_ALLOW, .reason = REASON_RULE, .rule = 7, .pid = 42,
		.addr = { 4, { 192, 0, 2, 1 } }, .geo = { .country = "NL", .asn = 64500 } };

	text_copy(f.name, sizeof(f.name), "www.example.org");
	text_copy(f.geo.as_name, sizeof(f.geo.as_name), "Example Hosting");
	return f;
}

static void end(struct flow *f, int64_t end_ms, uint64_t rx, uint64_t tx)
{
	f->end_ms = end_ms;
	f->state = FLOW_DONE;
	f->rx = rx;
	f->tx = tx;
}

static const struct history_who curl = { "/usr/bin/curl", 1000, "example.org",
	"allow any any" };

static int64_t ask(const char *file, const char *query)
{
	sqlite3 *sql;
	sqlite3_stmt *s = NULL;
	int64_t n = -1;

	assert_int_equal(sqlite3_open_v2(file, &sql, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	sqlite3_busy_timeout(sql, 5000);
	if (sqlite3_prepare_v2(sql, query, -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(sql);
	return n;
}

static struct history *opened(struct place *p)
{
	struct history *h = NULL;

	assert_int_equal(history_open(&p->conf, &h), 0);
	return h;
}

static bool wrote(struct history *h, uint64_t n)
{
	struct history_status s;

	for (int i = 0; i < WAIT_MS / 5; i++) {
		history_status(h, &s);
		if (s.written >= n)
			return true;
		poll(NULL, 0, 5);
	}
	print_message("written %llu, waiting %llu, lost %llu: %s\n",
		(unsigned long long)s.written, (unsigned long long)s.waiting,
		(unsigned long long)s.lost, s.why);
	return false;
}

static bool says(struct history *h, const char *part)
{
	struct history_status s = { 0 };

	for (int i = 0; i < WAIT_MS / 5; i++) {
		history_status(h, &s);
		if (*part ? strstr(s.why, part) != NULL : !s.why[0])
			return true;
		poll(NULL, 0, 5);
	}
	print_message("it says \"%s\"\n", s.why);
	return false;
}

static void one_row_a_connection_updated_at_its_end(void **state)
{
	struct place *p = *state;
	struct history *h = opened(p);
	struct flow f = a_flow(1, now_s * 1000);

	history_flow(h, &f, &curl);
	assert_true(wrote(h, 1));
	assert_int_equal(ask(p->file, "SELECT count(*) FROM flow WHERE end_ms IS NULL"), 1);
	f.rx = 100;
	history_flow(h, &f, &curl); /* a count on the way */
	assert_true(wrote(h, 2));
	end(&f, now_s * 1000 + 5000, 1000, 50);
	history_flow(h, &f, &curl);
	history_close(h);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM flow"), 1);
	assert_int_equal(ask(p->file, "SELECT end_ms - (id >> 12) FROM flow"), 5000);
	assert_int_equal(ask(p->file, "SELECT rx * 1000 + tx FROM flow"), 1000050);
	/* each byte counted once, whenever it was told */
	assert_int_equal(ask(p->file, "SELECT sum(rx) FROM sum WHERE level = 0 AND what = 0"),
		1000);
	assert_int_equal(ask(p->file, "SELECT sum(connections) FROM sum WHERE level = 2"
		" AND what = 3"), 1);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM network WHERE name ="
		" 'Example Hosting'"), 1);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM program WHERE path ="
		" '/usr/bin/curl' AND uid = 1000"), 1);
}

static void an_end_nobody_told_is_unknown(void **state)
{
	struct place *p = *state;
	struct history *h = opened(p);
	struct flow f = a_flow(1, now_s * 1000);

	history_flow(h, &f, &curl);
	history_close(h);
	history_close(opened(p));
	assert_int_equal(ask(p->file, "SELECT state FROM flow"), STORE_STATE_UNKNOWN);
}

static void which_queries_leave_a_row(void **state)
{
	static const struct {
		const char *why;
		enum history_queries keep;
		int want;
	} cases[] = {
		{ "refused ones only", HISTORY_REFUSED, 1 },
		{ "all", HISTORY_ALL, 2 },
		{ "none", HISTORY_NONE, 0 },
	};
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct flow f = a_flow(1, now_s * 1000);
		struct history *h;

		print_message("%s\n", cases[i].why);
		unlink(p->file);
		p->conf.queries = cases[i].keep;
		h = opened(p);
		f.kind = FLOW_QUERY;
		history_flow(h, &f, &curl);
		f.id++;
		f.verdict = VERDICT_DENY;
		history_flow(h, &f, &curl);
		history_close(h);
		assert_int_equal(ask(p->file, "SELECT count(*) FROM flow"), cases[i].want);
		assert_int_equal(ask(p->file, "SELECT coalesce(sum(denied), 0) FROM sum WHERE"
			" level = 0 AND what = 0"), cases[i].want > 0);
	}
}

/* many programs, names, countries and minutes: every level and kind has the same total */
static void sums_add_up(void **state)
{
	static const char *const countries[] = { "NL", "DE", "", "US" };
	struct place *p = *state;
	struct history *h = opened(p);
	char query[160], path[32], name[64];

	for (unsigned i = 0; i < 30000; i++) {
		struct history_who who = { path, i % 3, name, NULL };
		struct flow f = a_flow(i, (now_s + i * 7) * 1000);

		snprintf(path, sizeof(path), "/usr/bin/p%u", i % 17);
		snprintf(name, sizeof(name), "n%u.example", i % 701);
		text_copy(f.name, sizeof(f.name), name);
		text_copy(f.geo.country, sizeof(f.geo.country), countries[i % 4]);
		end(&f, (now_s + i * 7 + 1) * 1000, i, 3);
		if (i % 10 == 0)
			f.verdict = VERDICT_DENY;
		history_flow(h, &f, &who);
	}
	history_close(h);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM flow"), 30000);
	for (int level = 0; level < LEVELS; level++) {
		for (int what = 0; what < SUMS; what++) {
			snprintf(query, sizeof(query), "SELECT sum(rx) = (SELECT sum(rx) FROM"
				" flow) AND sum(tx) = 90000 AND sum(connections) = 27000 AND"
				" sum(denied) = 3000 FROM sum WHERE level = %d AND what = %d",
				level, what);
			assert_int_equal(ask(p->file, query), 1);
		}
	}
}

static void write_days(struct store *s, unsigned days, unsigned a_day)
{
	for (unsigned d = 0; d < days; d++) {
		struct event *list = NULL;
		char name[64], domain[64];

		snprintf(domain, sizeof(domain), "day%u.example", d);
		for (unsigned i = 0; i < a_day; i++) {
			struct flow f = a_flow(i, (now_s - d * (int64_t)DAY_S) * 1000 + i);
			struct history_who who = { "/usr/bin/curl", 0, domain, "a rule" };
			struct event *e;

			snprintf(name, sizeof(name), "host%u.day%u.example", i, d);
			text_copy(f.name, sizeof(f.name), name);
			end(&f, f.start_ms, 10, 1);
			e = event_new(&f, &who, f.start_ms);
			assert_non_null(e);
			e->next = list;
			list = e;
		}
		assert_int_equal(store_write(s, list), 0);
		while (list) {
			struct event *next = list->next;

			free(list);
			list = next;
		}
	}
}

static void retain_all(struct store *s, const struct history_conf *conf)
{
	int r;

	for (int i = 0; (r = store_retain(s, conf, now_s * 1000)) == 1; i++)
		assert_true(i < 5000);
	assert_int_equal(r, 0);
}

static struct store *store(struct place *p)
{
	char why[256] = "";
	struct text t = text_into(why, sizeof(why));
	struct store *s = NULL;

	if (store_open(&p->conf, &t, &s) < 0)
		fail_msg("%s", why);
	return s;
}

static void by_age_sums_outlive_rows(void **state)
{
	struct place *p = *state;
	struct store *s = store(p);

	p->conf.keep_s = 3 * DAY_S;
	write_days(s, 30, 100);
	retain_all(s, &p->conf);
	store_close(s);
	assert_in_range(ask(p->file, "SELECT count(*) FROM flow"), 300, 400);
	assert_in_range(ask(p->file, "SELECT count(DISTINCT at_s / 86400) FROM sum WHERE"
		" level = 0"), 3, 4);
	assert_in_range(ask(p->file, "SELECT count(DISTINCT at_s / 86400) FROM sum WHERE"
		" level = 1"), 12, 13);
	assert_int_equal(ask(p->file, "SELECT count(DISTINCT at_s) FROM sum WHERE"
		" level = 2"), 30);
	assert_in_range(ask(p->file, "SELECT count(*) FROM host"), 300, 600);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM flow WHERE host NOT IN"
		" (SELECT id FROM host)"), 0);
	/* nobody's name is kept for longer than something speaks of it */
	assert_int_equal(ask(p->file, "SELECT count(*) FROM sum WHERE domain > 0 AND domain"
		" NOT IN (SELECT id FROM domain)"), 0);
}

static void by_size_the_oldest_go(void **state)
{
	struct place *p = *state;
	struct store *s = store(p);
	struct stat st;

	write_days(s, 30, 1000);
	assert_true(store_bytes(s) > 6000000);
	p->conf.max_bytes = 4000000;
	retain_all(s, &p->conf);
	assert_true(store_bytes(s) <= 4000000);
	store_close(s);
	assert_int_equal(stat(p->file, &st), 0);
	assert_in_range(st.st_size, 1, 6000000); /* given back to the disk, too */
	assert_true(ask(p->file, "SELECT count(*) FROM flow") > 0);
	assert_int_equal(ask(p->file, "SELECT max(id >> 12) / 1000 FROM flow"), now_s);
}

static void a_file_of_an_older_schema_is_brought_up(void **state)
{
	struct place *p = *state;
	sqlite3 *sql;

	assert_int_equal(sqlite3_open(p->file, &sql), SQLITE_OK); /* version 0: nothing */
	assert_int_equal(sqlite3_exec(sql, "CREATE TABLE other (x)", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(sql);
	store_close(store(p));
	assert_int_equal(ask(p->file, "PRAGMA user_version"), 2);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM flow"), 0);
}

/* what a daemon of version 1 left: the same without the sums that came with 2 */
static void sums_of_version_1_are_added_up_anew(void **state)
{
	static const char pairs[] = "SELECT coalesce(sum(rx * level + program * 3 + country), 0)"
		" FROM sum WHERE what = 4";
	struct place *p = *state;
	struct store *s = store(p);
	int64_t before;
	sqlite3 *sql;

	write_days(s, 5, 10);
	store_close(s);
	before = ask(p->file, pairs);
	assert_true(before > 0);
	assert_int_equal(sqlite3_open(p->file, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sql, "DELETE FROM sum WHERE what = 4;"
		" PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(sql);
	store_close(store(p));
	assert_int_equal(ask(p->file, "PRAGMA user_version"), 2);
	assert_int_equal(ask(p->file, pairs), before);
}

static void a_file_of_a_later_one_is_left_alone(void **state)
{
	struct place *p = *state;
	struct flow f = a_flow(1, now_s * 1000);
	struct history *h;
	sqlite3 *sql;

	store_close(store(p));
	assert_int_equal(sqlite3_open(p->file, &sql), SQLITE_OK);
	sqlite3_exec(sql, "PRAGMA user_version = 99", NULL, NULL, NULL);
	sqlite3_close(sql);
	h = opened(p);
	history_flow(h, &f, &curl);
	assert_true(says(h, "another version"));
	history_close(h);
	assert_int_equal(ask(p->file, "PRAGMA user_version"), 99);
}

static unsigned count_aside(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)))
		n += strncmp(e->d_name, "history.db.corrupt-", 19) == 0;
	if (d)
		closedir(d);
	return n;
}

static void spoil(const char *file, off_t at, size_t len)
{
	char junk[65536];
	int fd = open(file, O_WRONLY | O_CREAT, 0640);

	memset(junk, 'x', sizeof(junk));
	assert_int_equal(pwrite(fd, junk, MIN(len, sizeof(junk)), at), MIN(len, sizeof(junk)));
	close(fd);
}

static void corrupt_when_opened(void **state)
{
	struct place *p = *state;
	struct flow f = a_flow(1, now_s * 1000);
	struct history *h;
	struct history_status s;

	spoil(p->file, 0, 8192);
	h = opened(p);
	history_flow(h, &f, &curl);
	assert_true(wrote(h, 1));
	history_status(h, &s);
	assert_non_null(strstr(s.aside, "history.db.corrupt-"));
	assert_string_equal(s.why, "");
	history_close(h);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM flow"), 1);
	assert_int_equal(count_aside(p->dir), 1);
}

/* found out in the middle of a batch: the batch goes into the new file */
static void corrupt_while_in_use(void **state)
{
	struct place *p = *state;
	struct store *filled = store(p);
	struct history *h;

	write_days(filled, 10, 1000);
	store_close(filled);
	spoil(p->file, 65536, 65536);
	for (off_t at = 131072; at < 2000000; at += 65536)
		spoil(p->file, at, 65536);
	h = opened(p);
	for (unsigned i = 0; i < 500; i++) {
		struct flow f = a_flow(i, (now_s - i * 1777) * 1000);

		snprintf(f.name, sizeof(f.name), "host%u.day3.example", i);
		history_flow(h, &f, &curl);
	}
	assert_true(wrote(h, 500));
	history_close(h);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM flow"), 500);
	assert_in_range(count_aside(p->dir), 1, 3);
}

static void locked_by_another(void **state)
{
	struct place *p = *state;
	struct history *h = opened(p);
	struct flow f = a_flow(1, now_s * 1000);
	sqlite3 *sql;

	history_flow(h, &f, &curl);
	assert_true(wrote(h, 1));
	assert_int_equal(sqlite3_open(p->file, &sql), SQLITE_OK);
	sqlite3_busy_timeout(sql, 5000); /* the writer may be deleting just now */
	assert_int_equal(sqlite3_exec(sql, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	f.id++;
	history_flow(h, &f, &curl);
	assert_true(says(h, "locked"));
	sqlite3_exec(sql, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(sql);
	assert_true(wrote(h, 2));
	assert_true(says(h, ""));
	history_close(h);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM flow"), 2);
}

/* a tail in memory, bounded, and written when there is room again */
static void full_disk(void **state)
{
	struct place *p = *state;
	struct flow f = a_flow(1, now_s * 1000);
	struct history_status s;
	struct history *h;
	char ballast[96];

	if (unshare(CLONE_NEWNS) < 0 ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("none", p->dir, "tmpfs", 0, "size=2m") < 0)
		skip();
	h = opened(p);
	history_flow(h, &f, &curl);
	assert_true(wrote(h, 1));
	snprintf(ballast, sizeof(ballast), "%s/ballast", p->dir);
	for (off_t at = 0; at < 4 << 20; at += 4096) {
		int fd = open(ballast, O_WRONLY | O_CREAT, 0600);
		bool good = pwrite(fd, p->dir, 1, at) == 1 &&
			posix_fallocate(fd, at, 4096) == 0;

		close(fd);
		if (!good)
			break;
	}
	for (unsigned i = 0; i < HISTORY_WAITING_MAX + 5000; i++) {
		f = a_flow(i + 2, now_s * 1000);
		f.start_ms += i / 1000;
		text_copy(f.name, sizeof(f.name), i < 5000 ? "old.example" : "new.example");
		history_flow(h, &f, &curl);
	}
	assert_true(says(h, "full"));
	history_status(h, &s);
	assert_in_range(s.waiting + s.lost, 1, HISTORY_WAITING_MAX + 5000);
	assert_in_range(s.waiting, 1, HISTORY_WAITING_MAX);
	assert_true(s.lost > 0);
	unlink(ballast);
	assert_int_equal(mount("none", p->dir, "tmpfs", MS_REMOUNT, "size=200m"), 0);
	assert_true(wrote(h, s.written + 40000));
	assert_true(says(h, ""));
	history_close(h);
	umount2(p->dir, MNT_DETACH);
}

/* never torn, and what was said to be written is there */
static void kill_nine_fifty_times(void **state)
{
	struct place *p = *state;
	uint64_t told = 0;

	for (int i = 0; i < 50; i++) {
		int pipes[2];
		uint64_t done = 0, got;
		pid_t pid;

		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		if (pid == 0) {
			struct history *h = NULL;
			struct history_status s;

			if (history_open(&p->conf, &h) < 0)
				_exit(1);
			for (uint64_t n = 0;; n++) {
				struct flow f = a_flow(n, (now_s + i) * 1000 + (int64_t)n / 4096);

				end(&f, f.start_ms, 1, 1);
				history_flow(h, &f, &curl);
				if (n % 100)
					continue;
				history_status(h, &s);
				if (write(pipes[1], &s.written, sizeof(s.written)) < 0)
					_exit(1);
				if (s.waiting > 20000)
					poll(NULL, 0, 5);
			}
		}
		close(pipes[1]);
		poll(NULL, 0, 20 + rand() % 60);
		while (done == 0 && read(pipes[0], &got, sizeof(got)) == sizeof(got))
			done = got;
		kill(pid, SIGKILL);
		while (read(pipes[0], &got, sizeof(got)) == sizeof(got))
			done = got;
		close(pipes[0]);
		waitpid(pid, NULL, 0);
		told += done;
	}
	store_close(store(p));
	assert_int_equal(count_aside(p->dir), 0);
	assert_true(told > 0);
	assert_true(ask(p->file, "SELECT count(*) FROM flow") >= (int64_t)told);
	assert_int_equal(ask(p->file, "SELECT (SELECT sum(connections) FROM sum WHERE level = 1"
		" AND what = 3) - (SELECT count(*) FROM flow)"), 0);
	assert_int_equal(ask(p->file, "SELECT count(*) FROM pragma_integrity_check WHERE"
		" integrity_check = 'ok'"), 1);
}

static void rights_of_the_file(void **state)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	struct place *p = *state;
	char why[256] = "", path[120];
	struct stat st;

	p->conf.group = geteuid() == 0 ? 54321 : (gid_t)-1;
	assert_int_equal(history_prepare(&p->conf, why, sizeof(why)), 0);
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		snprintf(path, sizeof(path), "%s%s", p->file, endings[i]);
		assert_int_equal(stat(path, &st), 0); /* they stay for readers */
		assert_int_equal(st.st_mode & 07777, 0640);
		if (geteuid() == 0)
			assert_int_equal(st.st_gid, 54321);
	}
}

static void count_row(void *ctx, const struct read_row *row)
{
	int64_t *last = ctx;

	assert_true(!*last || row->id < *last); /* newest first */
	*last = row->id;
	assert_string_equal(row->path, "/usr/bin/curl");
	assert_string_equal(row->rule_text, "a rule");
	assert_string_equal(row->country, "NL");
	assert_int_equal(row->flow.rx, 10);
}

/* page by page; how many there were in all */
static int count_rows(struct history_read *r, const struct read_filter *f)
{
	int64_t before = 0, last = 0, next;
	int n = 0;

	do {
		int64_t at = last;

		assert_int_equal(read_rows(r, f, before, 1, count_row, &last, &next), 0);
		n += last != at;
		before = next;
	} while (next);
	return n;
}

static void rows_by_filter(void **state)
{
	static const struct addr here = { 4, { 192, 0, 2, 1 } }, there = { 4, { 1 } };
	const int64_t day = (int64_t)DAY_S * 1000, now = now_s * 1000;
	const struct {
		const char *why;
		struct read_filter f;
		int want;
	} cases[] = {
		{ "all", { .program = NULL }, 30 },
		{ "path", { .program = "/usr/bin/curl" }, 30 },
		{ "last part", { .program = "curl" }, 30 },
		{ "half a last part", { .program = "url" }, 0 },
		{ "host", { .name = "host1.day2.example" }, 1 },
		{ "domain", { .name = ".day2.example" }, 10 },
		{ "star", { .name = "*.day2.example" }, 10 },
		{ "below a domain", { .name = ".host1.day2.example" }, 1 },
		{ "above domains", { .name = ".example" }, 30 },
		{ "unknown host", { .name = "other.example" }, 0 },
		{ "address", { .addr = &here }, 30 },
		{ "another address", { .addr = &there }, 0 },
		{ "country", { .country = "NL" }, 30 },
		{ "another country", { .country = "DE" }, 0 },
		{ "verdict", { .by_verdict = true, .verdict = VERDICT_ALLOW }, 30 },
		{ "refused", { .by_verdict = true, .verdict = VERDICT_DENY }, 0 },
		{ "a user", { .by_uid = true }, 30 },
		{ "another user", { .by_uid = true, .uid = 1000 }, 0 },
		{ "a user's program", { .program = "curl", .by_uid = true }, 30 },
		{ "another's program", { .program = "curl", .by_uid = true, .uid = 7 }, 0 },
		{ "from", { .from_ms = now - day }, 20 },
		{ "to", { .to_ms = now - day }, 10 },
		{ "span", { .from_ms = now - day, .to_ms = now }, 10 },
		{ "several", { .program = "curl", .name = ".day2.example", .country = "NL" },
			10 },
	};
	struct place *p = *state;
	struct store *s = store(p);
	struct history_read *r;
	char why[256];

	write_days(s, 3, 10);
	assert_int_equal(read_open(p->file, why, sizeof(why), &r), 0);
	read_stop(r); /* what comes after it is not broken off */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(count_rows(r, &cases[i].f), cases[i].want);
	}
	read_close(r);
	store_close(s);
}

struct totals {
	uint64_t rx, n;
};

static void add_total(void *ctx, const struct read_sum *sum)
{
	struct totals *t = ctx;

	t->rx += sum->rx;
	t->n++;
}

static void sums_over_spans(void **state)
{
	const int64_t day = (int64_t)DAY_S * 1000, now = now_s * 1000;
	const struct {
		const char *why;
		struct read_filter f;
		uint64_t want;
	} cases[] = {
		{ "all", { .to_ms = now + day }, 3000 },
		{ "some days", { .from_ms = now - 9 * day, .to_ms = now - day + 60000 }, 900 },
		{ "one minute", { .from_ms = now, .to_ms = now + 60000 }, 100 },
		{ "program", { .program = "curl", .to_ms = now + day }, 3000 },
		{ "a user", { .by_uid = true, .to_ms = now + day }, 3000 },
		{ "another's program", { .program = "curl", .by_uid = true, .uid = 7,
			.to_ms = now + day }, 0 },
		{ "country", { .country = "NL", .to_ms = now + day }, 3000 },
		{ "another", { .country = "DE", .to_ms = now + day }, 0 },
		{ "refused", { .by_verdict = true, .verdict = VERDICT_DENY,
			.to_ms = now + day }, 0 },
	};
	struct place *p = *state;
	struct store *s = store(p);
	struct history_read *r;
	char why[256];

	write_days(s, 30, 10);
	assert_int_equal(read_open(p->file, why, sizeof(why), &r), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (int by = READ_BY_TIME; by <= READ_BY_COUNTRY; by++) {
			struct totals t = { 0 };

			print_message("%s, %d\n", cases[i].why, by);
			assert_int_equal(read_sums(r, (enum read_by)by, &cases[i].f, 60,
				add_total, &t), 0);
			assert_int_equal(t.rx, cases[i].want);
		}
	}
	read_close(r);
	store_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_row_a_connection_updated_at_its_end),
		TEST(an_end_nobody_told_is_unknown),
		TEST(which_queries_leave_a_row),
		TEST(sums_add_up),
		TEST(by_age_sums_outlive_rows),
		TEST(by_size_the_oldest_go),
		TEST(a_file_of_an_older_schema_is_brought_up),
		TEST(sums_of_version_1_are_added_up_anew),
		TEST(a_file_of_a_later_one_is_left_alone),
		TEST(corrupt_when_opened),
		TEST(corrupt_while_in_use),
		TEST(locked_by_another),
		TEST(rights_of_the_file),
		TEST(rows_by_filter),
		TEST(sums_over_spans),
		TEST(kill_nine_fifty_times),
		TEST(full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
