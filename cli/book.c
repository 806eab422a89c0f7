/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/book.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { FILES_MAX = 256, FILE_MAX = 8 << 20, OWN_MAX = 100000, SETTLE_MS = 50 };

struct file {
	char path[PATH_MAX];
	char *text;        /* last good content */
	size_t len;
	int64_t changed_s;
};

struct book {
	struct book_conf conf;
	struct db *db;
	void (*changed)(void *ctx, struct ruleset *rs);
	void *ctx;
	struct db_rule *own;
	size_t nown;
	struct file *files;
	size_t nfiles;
	char errors[1024];
	struct shelf *shelf;
	uv_fs_event_t *watch, *watch_lists;
	uv_timer_t *settle, *expiry;
};

static void build(struct book *b);

/* --- files ----------------------------------------------------------------------------- */

static bool rules_name(const char *name)
{
	size_t n = strlen(name);

	return n > 6 && name[0] != '.' && strcmp(name + n - 6, ".rules") == 0;
}

static int is_rules(const struct dirent *e)
{
	return rules_name(e->d_name);
}

static bool parses(const char *text, size_t len, const char *path, int64_t changed_s,
	struct rule_error *err)
{
	struct ruleset *rs;
	int r;

	if (ruleset_new(VERDICT_DENY, VERDICT_DENY, &rs) < 0)
		return false;
	r = ruleset_add_text(rs, text, len, path, changed_s, err);
	ruleset_free(rs);
	return r >= 0;
}

static void good_path(const struct book *b, const char *path, char out[static PATH_MAX])
{
	const char *base = strrchr(path, '/');

	struct text t = text_into(out, PATH_MAX);

	text_add(&t, b->conf.good_dir);
	text_add(&t, "/");
	text_add(&t, base ? base + 1 : path);
}

/* keeps a copy, so that a broken edit and a restart together lose nothing */
static void keep_good(const struct book *b, const struct file *f)
{
	char path[PATH_MAX], part[PATH_MAX + 8];
	int fd, r;

	good_path(b, f->path, path);
	text_copy(part, sizeof(part), path);
	strcat(part, ".part");
	io_mkdirs(b->conf.good_dir, 0750);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	r = fd < 0 ? -errno : io_write_all(fd, f->text, f->len);
	if (fd >= 0)
		close(fd);
	if (r == 0 && rename(part, path) < 0)
		r = -errno;
	if (r < 0)
		log_warning("cannot keep a copy of %s as %s: %s", f->path, path, strerror(-r));
}

static void say_error(struct book *b, const struct file *f, const struct rule_error *err,
	bool have_good)
{
	struct text t = { .s = b->errors, .max = sizeof(b->errors),
		.len = strlen(b->errors) };

	text_addf(&t, "%s%s:%u:%u: %s", t.len ? "; " : "", f->path, err->line, err->column,
		err->what);
	log_error("%s:%u:%u: %s; %s", f->path, err->line, err->column, err->what,
		have_good ? "its last good content stays in force"
			  : "none of its rules is in force");
}

static const struct file *file_before(const struct book *b, const char *path)
{
	for (size_t i = 0; i < b->nfiles; i++)
		if (strcmp(b->files[i].path, path) == 0)
			return &b->files[i];
	return NULL;
}

/* the last good content: what is in memory, else the copy */
static void fall_back(const struct book *b, struct file *f)
{
	const struct file *before = file_before(b, f->path);
	char path[PATH_MAX];
	struct rule_error err;

	free(f->text);
	f->text = NULL;
	f->len = 0;
	if (before && before->text) {
		f->text = strdup(before->text);
		f->len = f->text ? before->len : 0;
		f->changed_s = before->changed_s;
		return;
	}
	good_path(b, f->path, path);
	if (io_read_file(path, FILE_MAX, &f->text, &f->len) < 0 ||
		parses(f->text, f->len, f->path, f->changed_s, &err))
		return;
	free(f->text);
	f->text = NULL;
	f->len = 0;
}

static void read_file(struct book *b, struct file *f)
{
	struct rule_error err = { 0 };
	struct stat st;
	int r = io_read_file(f->path, FILE_MAX, &f->text, &f->len);

	f->changed_s = stat(f->path, &st) == 0 ? st.st_mtime : 0;
	if (r == 0 && parses(f->text, f->len, f->path, f->changed_s, &err)) {
		keep_good(b, f);
		return;
	}
	if (r < 0)
		snprintf(err.what, sizeof(err.what), "cannot be read: %s", strerror(-r));
	fall_back(b, f);
	say_error(b, f, &err, f->text != NULL);
}

static void free_files(struct file *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(files[i].text);
	free(files);
}

static void read_files(struct book *b)
{
	struct dirent **names = NULL;
	int n = scandir(b->conf.dir, &names, is_rules, alphasort);
	size_t count = n < 0 ? 0 : (size_t)MIN(n, FILES_MAX);
	struct file *files = calloc(count ? count : 1, sizeof(*files));

	b->errors[0] = '\0';
	if (n < 0 && errno != ENOENT)
		log_error("cannot read the rules folder %s: %s", b->conf.dir, strerror(errno));
	if (n > FILES_MAX)
		log_error("%s holds more than %d rule files: the rest is not read", b->conf.dir,
			FILES_MAX);
	for (int i = 0; i < n; i++) {
		if (files && (size_t)i < count) {
			struct text t = text_into(files[i].path, sizeof(files[i].path));

			text_addf(&t, "%s/%s", b->conf.dir, names[i]->d_name);
			read_file(b, &files[i]);
		}
		free(names[i]);
	}
	free(names);
	if (!files)
		return;
	free_files(b->files, b->nfiles);
	b->files = files;
	b->nfiles = count;
}

/* --- the ruleset ----------------------------------------------------------------------- */

static void add_own(struct book *b, struct ruleset *rs)
{
	for (size_t i = 0; i < b->nown; i++) {
		struct rule_origin from = { .source = RULE_OWN, .id = b->own[i].id,
			.created_s = b->own[i].created_s };
		struct rule_error err;
		int r = ruleset_add(rs, b->own[i].text, &from, &err);

		if (r < 0)
			log_error("own rule %u is not understood and not in force: %s: %s",
				b->own[i].id, b->own[i].text, err.what);
	}
}

/* a rule of a list that is not there matches nothing: better said than found out */
static void say_missing(void *ctx, const char *name, const struct list *l)
{
	struct book *b = ctx;
	struct text t = { .s = b->errors, .max = sizeof(b->errors),
		.len = strlen(b->errors) };
	char said[LIST_NAME_MAX + 32];

	snprintf(said, sizeof(said), "list %s: a rule names it", name);
	if (l || strstr(b->errors, said))
		return;
	text_addf(&t, "%s%s and there is none: scupper list add %s URL", t.len ? "; " : "",
		said, name);
}

/* what is wrong with lists stands behind what is wrong with files */
static void say_lists(struct book *b, const struct ruleset *rs)
{
	char *from = strstr(b->errors, "list ");
	struct text t = { .s = b->errors, .max = sizeof(b->errors) };

	while (from && from != b->errors && strncmp(from - 2, "; ", 2) != 0)
		from = strstr(from + 1, "list ");
	if (from)
		*(from == b->errors ? from : from - 2) = '\0';
	t.len = strlen(b->errors);
	if (b->shelf)
		shelf_errors(b->shelf, &t);
	ruleset_lists(rs, say_missing, b);
}

static void on_expiry(uv_timer_t *t)
{
	build(t->data);
}

static void build(struct book *b)
{
	struct ruleset *rs;
	struct rule_error err;
	int64_t now_s = clock_unix_ms() / 1000, next;

	if (ruleset_new(b->conf.default_out, b->conf.default_in, &rs) < 0) {
		log_error("no memory for the rules: what was in force stays");
		return;
	}
	if (b->shelf)
		ruleset_list_by(rs, shelf_find, b->shelf);
	add_own(b, rs);
	for (size_t i = 0; i < b->nfiles; i++)
		if (b->files[i].text)
			ruleset_add_text(rs, b->files[i].text, b->files[i].len,
				b->files[i].path, b->files[i].changed_s, &err);
	if (ruleset_add_factory(rs) < 0 || ruleset_ready(rs) < 0) {
		log_error("no memory for the rules: what was in force stays");
		ruleset_free(rs);
		return;
	}
	say_lists(b, rs);
	next = ruleset_next_change(rs, now_s);
	if (next > now_s)
		uv_timer_start(b->expiry, on_expiry, (uint64_t)(next - now_s) * 1000 + 20, 0);
	b->changed(b->ctx, rs);
}

void book_reload(struct book *b)
{
	read_files(b);
	if (b->shelf)
		shelf_read(b->shelf);
	build(b);
}

const char *book_errors(const struct book *b)
{
	return b->errors;
}

/* --- watching -------------------------------------------------------------------------- */

static void on_settled(uv_timer_t *t)
{
	book_reload(t->data);
}

static void on_watch(uv_fs_event_t *w, const char *name, int events, int status)
{
	struct book *b = w->data;

	(void)events;
	if (status == 0 && (!name || rules_name(name)))
		uv_timer_start(b->settle, on_settled, SETTLE_MS, 0);
}

static void on_watch_lists(uv_fs_event_t *w, const char *name, int events, int status)
{
	struct book *b = w->data;

	(void)events;
	if (status == 0 && (!name || strstr(name, ".list") || strstr(name, ".failed")))
		uv_timer_start(b->settle, on_settled, SETTLE_MS, 0);
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

static void close_handle(void *h)
{
	if (h)
		uv_close(h, free_handle);
}

static int start_handles(struct book *b, uv_loop_t *loop)
{
	int r;

	b->settle = calloc(1, sizeof(*b->settle));
	b->expiry = calloc(1, sizeof(*b->expiry));
	b->watch = calloc(1, sizeof(*b->watch));
	if (!b->settle || !b->expiry || !b->watch) {
		free(b->settle);
		free(b->expiry);
		free(b->watch);
		b->settle = b->expiry = NULL;
		b->watch = NULL;
		return -ENOMEM;
	}
	uv_timer_init(loop, b->settle);
	uv_timer_init(loop, b->expiry);
	uv_fs_event_init(loop, b->watch);
	b->settle->data = b->expiry->data = b->watch->data = b;
	r = uv_fs_event_start(b->watch, on_watch, b->conf.dir, 0);
	if (r < 0)
		log_warning("%s is not watched (%s): send SIGHUP after a change", b->conf.dir,
			uv_strerror(r));
	return 0;
}

static int open_shelf(struct book *b, uv_loop_t *loop)
{
	int r = shelf_open(b->conf.lists_dir, &b->shelf);

	if (r < 0)
		return r;
	b->watch_lists = calloc(1, sizeof(*b->watch_lists));
	if (!b->watch_lists)
		return -ENOMEM;
	uv_fs_event_init(loop, b->watch_lists);
	b->watch_lists->data = b;
	r = uv_fs_event_start(b->watch_lists, on_watch_lists, b->conf.lists_dir, 0);
	if (r < 0)
		log_warning("%s is not watched (%s): send SIGHUP after a change",
			b->conf.lists_dir, uv_strerror(r));
	return 0;
}

int book_open(struct uv_loop_s *loop, const struct book_conf *conf, struct db *db,
	void (*changed)(void *ctx, struct ruleset *rs), void *ctx, struct book **out)
{
	struct book *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->conf = *conf;
	b->db = db;
	b->changed = changed;
	b->ctx = ctx;
	r = start_handles(b, loop);
	if (r == 0 && conf->lists_dir)
		r = open_shelf(b, loop);
	if (r == 0 && db)
		r = db_rules(db, &b->own, &b->nown);
	if (r < 0) {
		book_close(b);
		return r;
	}
	*out = b;
	return 0;
}

void book_close(struct book *b)
{
	if (!b)
		return;
	close_handle(b->settle);
	close_handle(b->expiry);
	close_handle(b->watch);
	close_handle(b->watch_lists);
	shelf_close(b->shelf);
	free_files(b->files, b->nfiles);
	db_rules_free(b->own, b->nown);
	free(b);
}

/* --- own rules ------------------------------------------------------------------------- */

static void on_added(struct job *job)
{
	struct book_change *c = container_of(job, struct book_change, req.job);
	struct book *b = c->book;
	struct db_rule *more;

	if (job->result < 0) {
		c->done(c, job->result, 0, c->req.error);
		return;
	}
	more = realloc(b->own, (b->nown + 1) * sizeof(*more));
	if (!more) {
		c->done(c, -ENOMEM, 0, "no memory: the rule is kept and holds from the next "
				       "start on");
		return;
	}
	b->own = more;
	b->own[b->nown] = (struct db_rule){ .id = c->req.id, .created_s = c->req.created_s,
		.changed_s = c->req.created_s, .text = strdup(c->text) };
	if (b->own[b->nown].text)
		b->nown++;
	build(b);
	c->done(c, 0, c->req.id, NULL);
}

static void give(struct book *b, struct book_change *c)
{
	int r = b->db ? db_give(b->db, &c->req) : -EROFS;

	if (r < 0)
		c->done(c, r, 0,
			r == -EROFS ? "the store of own rules is not available: see the "
				      "daemon's log"
				    : "too many changes under way: try again");
}

/* false: it has said what is wrong */
static bool canonical_text(struct book_change *c, const char *text, int64_t now_s)
{
	struct text canonical = text_into(c->text, sizeof(c->text));
	struct rule_error err = { 0 };
	char error[260];

	if (rule_check(text, now_s, &canonical, &err) == 0 && !canonical.cut)
		return true;
	snprintf(error, sizeof(error), "column %u: %s", err.column,
		err.what[0] ? err.what : "no rule, or one that is too long");
	c->done(c, -EINVAL, 0, error);
	return false;
}

/* false: it has said so */
static bool list_there(struct book *b, struct book_change *c)
{
	char name[LIST_NAME_MAX], error[LIST_NAME_MAX + 80];

	rule_list_name(c->text, name, sizeof(name));
	if (!name[0] || shelf_find(b->shelf, name))
		return true;
	snprintf(error, sizeof(error), "there is no list %s: make it with scupper list add %s",
		name, "NAME URL");
	c->done(c, -EINVAL, 0, error);
	return false;
}

void book_add(struct book *b, struct book_change *c, const char *text, int64_t created_s)
{
	int64_t now_s = clock_unix_ms() / 1000;

	if (created_s <= 0 || created_s > now_s)
		created_s = now_s;
	if (!canonical_text(c, text, now_s) || !list_there(b, c))
		return;
	if (b->nown >= OWN_MAX) {
		c->done(c, -ENOSPC, 0, "too many own rules: put long lists into files");
		return;
	}
	c->book = b;
	c->req = (struct db_request){ .op = DB_RULE_ADD, .created_s = created_s,
		.text = c->text, .job.done = on_added };
	give(b, c);
}

static void on_removed(struct job *job)
{
	struct book_change *c = container_of(job, struct book_change, req.job);
	struct book *b = c->book;

	if (job->result < 0) {
		c->done(c, job->result, 0, c->req.error);
		return;
	}
	for (size_t i = 0; i < b->nown; i++) {
		if (b->own[i].id != c->req.id)
			continue;
		free(b->own[i].text);
		memmove(&b->own[i], &b->own[i + 1],
			(b->nown - i - 1) * sizeof(*b->own));
		b->nown--;
		break;
	}
	build(b);
	c->done(c, 0, c->req.id, NULL);
}

static const char no_own[] = "no own rule has this number (rules of files are changed in their "
			     "file)";

static struct db_rule *own_find(struct book *b, uint32_t id)
{
	for (size_t i = 0; i < b->nown; i++)
		if (b->own[i].id == id)
			return &b->own[i];
	return NULL;
}

void book_remove(struct book *b, struct book_change *c, uint32_t id)
{
	if (!own_find(b, id)) {
		c->done(c, -ENOENT, 0, no_own);
		return;
	}
	c->book = b;
	c->req = (struct db_request){ .op = DB_RULE_REMOVE, .id = id,
		.job.done = on_removed };
	give(b, c);
}

static void on_replaced(struct job *job)
{
	struct book_change *c = container_of(job, struct book_change, req.job);
	struct book *b = c->book;
	struct db_rule *own;
	char *text;

	if (job->result < 0) {
		c->done(c, job->result, 0, c->req.error);
		return;
	}
	own = own_find(b, c->req.id);
	text = strdup(c->text);
	if (!own || !text) {
		free(text);
		c->done(c, -ENOMEM, 0, "the change is kept and holds from the next start on");
		return;
	}
	free(own->text);
	own->text = text;
	own->changed_s = c->req.created_s;
	build(b);
	c->done(c, 0, c->req.id, NULL);
}

void book_replace(struct book *b, struct book_change *c, uint32_t id, const char *text)
{
	int64_t now_s = clock_unix_ms() / 1000;

	if (!own_find(b, id)) {
		c->done(c, -ENOENT, 0, no_own);
		return;
	}
	if (!canonical_text(c, text, now_s) || !list_there(b, c))
		return;
	c->book = b;
	c->req = (struct db_request){ .op = DB_RULE_REPLACE, .id = id, .created_s = now_s,
		.text = c->text, .job.done = on_replaced };
	give(b, c);
}
