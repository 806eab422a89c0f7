/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "db/db.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "db/open.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum {
	DB_JOBS_MAX = 1024,
	DB_RULES_MAX = 65536,
	DB_RULE_TEXT_MAX = 4096,
};

/* Statements are used by db_open's thread first and by the worker's alone from then on.
 * given and ran count jobs: db_close waits until they are equal, so that nothing that was
 * taken is lost by closing. */
struct db {
	sqlite3 *sql;
	sqlite3_stmt *begin, *commit, *rollback, *count, *insert, *remove, *replace;
	struct worker *worker;
	pthread_mutex_t lock;
	pthread_cond_t all_ran;
	size_t given, ran;
};

static int step(sqlite3_stmt *s)
{
	int r = sqlite3_step(s);

	sqlite3_reset(s);
	return r == SQLITE_ROW || r == SQLITE_DONE ? 0 : db_errno(r);
}

static int count_rules(struct db *d, int64_t *out)
{
	int r = sqlite3_step(d->count);

	if (r == SQLITE_ROW)
		*out = sqlite3_column_int64(d->count, 0);
	sqlite3_reset(d->count);
	return r == SQLITE_ROW ? 0 : db_errno(r);
}

static int say(struct db_request *req, int r, const char *what)
{
	text_copy(req->error, sizeof(req->error), what);
	return r;
}

static int rule_add(struct db *d, struct db_request *req)
{
	int64_t n = 0, id;
	int r;

	if (!req->text || strlen(req->text) > DB_RULE_TEXT_MAX)
		return say(req, -EINVAL, "the rule's text is missing or too long");
	r = count_rules(d, &n);
	if (r < 0)
		return r;
	if (n >= DB_RULES_MAX)
		return say(req, -ENOSPC, "there are 65536 own rules already");
	sqlite3_bind_text(d->insert, 1, req->text, -1, SQLITE_STATIC);
	sqlite3_bind_int64(d->insert, 2, req->created_s);
	r = step(d->insert);
	sqlite3_clear_bindings(d->insert);
	if (r < 0)
		return r;
	id = sqlite3_last_insert_rowid(d->sql);
	if (id > DB_RULE_ID_MAX)
		return say(req, -ENOSPC, "rule numbers are used up");
	req->id = (uint32_t)id;
	return 0;
}

static int rule_remove(struct db *d, struct db_request *req)
{
	int r;

	sqlite3_bind_int64(d->remove, 1, req->id);
	r = step(d->remove);
	if (r < 0)
		return r;
	if (sqlite3_changes(d->sql) == 0)
		return say(req, -ENOENT, "no own rule has this number");
	return 0;
}

static int rule_replace(struct db *d, struct db_request *req)
{
	int r;

	if (!req->text || strlen(req->text) > DB_RULE_TEXT_MAX)
		return say(req, -EINVAL, "the rule's text is missing or too long");
	sqlite3_bind_text(d->replace, 1, req->text, -1, SQLITE_STATIC);
	sqlite3_bind_int64(d->replace, 2, req->created_s);
	sqlite3_bind_int64(d->replace, 3, req->id);
	r = step(d->replace);
	sqlite3_clear_bindings(d->replace);
	if (r < 0)
		return r;
	if (sqlite3_changes(d->sql) == 0)
		return say(req, -ENOENT, "no own rule has this number");
	return 0;
}

/* what the request itself is refused for leaves the others of its batch alone */
static bool is_refusal(int r)
{
	return r == -ENOENT || r == -EINVAL;
}

static int run_one(struct db *d, struct db_request *req)
{
	static int (*const ops[])(struct db *d, struct db_request *req) = {
		[DB_RULE_ADD] = rule_add,
		[DB_RULE_REMOVE] = rule_remove,
		[DB_RULE_REPLACE] = rule_replace,
	};
	int r;

	req->error[0] = '\0';
	r = ops[req->op](d, req);
	if (r < 0 && !req->error[0])
		say(req, r, sqlite3_errmsg(d->sql));
	return r;
}

/* one transaction, one fsync for the whole chain; false: nothing of it was done */
static bool run_together(struct db *d, struct job *first, struct job *end)
{
	bool good = step(d->begin) == 0;

	for (struct job *j = first; good && j != end; j = j->next) {
		j->result = run_one(d, container_of(j, struct db_request, job));
		good = j->result == 0 || is_refusal(j->result);
	}
	if (good && step(d->commit) == 0)
		return true;
	if (!sqlite3_get_autocommit(d->sql))
		step(d->rollback);
	return false;
}

static void run_alone(struct db *d, struct job *j)
{
	struct db_request *req = container_of(j, struct db_request, job);

	if (run_together(d, j, j->next))
		return;
	if (j->result == 0 || is_refusal(j->result)) {
		j->result = db_errno(sqlite3_extended_errcode(d->sql));
		say(req, j->result, sqlite3_errmsg(d->sql));
	}
}

static void run(void *ctx, struct job *batch)
{
	struct db *d = ctx;
	size_t n = 0;

	/* one that the disk refuses must not take its neighbours with it: then one by one */
	if (!run_together(d, batch, NULL)) {
		for (struct job *j = batch; j; j = j->next)
			run_alone(d, j);
	}
	for (struct job *j = batch; j; j = j->next)
		n++;
	pthread_mutex_lock(&d->lock);
	d->ran += n;
	pthread_cond_broadcast(&d->all_ran);
	pthread_mutex_unlock(&d->lock);
}

static int prepare(struct db *d, const char *text, sqlite3_stmt **out)
{
	return db_errno(sqlite3_prepare_v3(d->sql, text, -1, SQLITE_PREPARE_PERSISTENT, out,
		NULL));
}

static int prepare_all(struct db *d)
{
	int r = prepare(d, "BEGIN IMMEDIATE", &d->begin);

	if (r == 0)
		r = prepare(d, "COMMIT", &d->commit);
	if (r == 0)
		r = prepare(d, "ROLLBACK", &d->rollback);
	if (r == 0)
		r = prepare(d, "SELECT count(*) FROM rule", &d->count);
	if (r == 0)
		r = prepare(d, "INSERT INTO rule (text, created_s, changed_s)"
			" VALUES (?1, ?2, ?2)", &d->insert);
	if (r == 0)
		r = prepare(d, "DELETE FROM rule WHERE id = ?1", &d->remove);
	if (r == 0)
		r = prepare(d, "UPDATE rule SET text = ?1, changed_s = ?2 WHERE id = ?3",
			&d->replace);
	return r;
}

int db_open(const char *path, struct uv_loop_s *loop, char *why, size_t why_max,
	struct db **out)
{
	struct db *d = calloc(1, sizeof(*d));
	struct text t = text_into(why, why_max);
	int r;

	if (!d)
		return -ENOMEM;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->all_ran, NULL);
	r = db_file_open(path, &t, &d->sql);
	if (r < 0)
		goto fail;
	r = prepare_all(d);
	if (r < 0) {
		text_addf(&t, "%s: %s", path, sqlite3_errmsg(d->sql));
		goto fail;
	}
	r = worker_open(loop, "scupper-db", DB_JOBS_MAX, run, d, &d->worker);
	if (r < 0) {
		text_addf(&t, "%s: cannot start its thread: %s", path, strerror(-r));
		goto fail;
	}
	*out = d;
	return 0;
fail:
	db_close(d);
	return r;
}

static void wait_for_given(struct db *d)
{
	pthread_mutex_lock(&d->lock);
	while (d->ran < d->given)
		pthread_cond_wait(&d->all_ran, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

void db_close(struct db *d)
{
	if (!d)
		return;
	wait_for_given(d);
	worker_close(d->worker);
	sqlite3_finalize(d->begin);
	sqlite3_finalize(d->commit);
	sqlite3_finalize(d->rollback);
	sqlite3_finalize(d->count);
	sqlite3_finalize(d->insert);
	sqlite3_finalize(d->remove);
	sqlite3_finalize(d->replace);
	sqlite3_close(d->sql);
	pthread_cond_destroy(&d->all_ran);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

int db_give(struct db *d, struct db_request *req)
{
	int r;

	pthread_mutex_lock(&d->lock);
	r = worker_give(d->worker, &req->job);
	if (r == 0)
		d->given++;
	pthread_mutex_unlock(&d->lock);
	return r;
}

static int read_rule(sqlite3_stmt *s, struct db_rule *out)
{
	const unsigned char *text = sqlite3_column_text(s, 1);

	out->text = text ? strdup((const char *)text) : NULL;
	if (!out->text)
		return -ENOMEM;
	out->id = (uint32_t)sqlite3_column_int64(s, 0);
	out->created_s = sqlite3_column_int64(s, 2);
	out->changed_s = sqlite3_column_int64(s, 3);
	return 0;
}

int db_rules(struct db *d, struct db_rule **out, size_t *n)
{
	static const char query[] = "SELECT id, text, created_s, changed_s FROM rule"
				    " ORDER BY id";
	sqlite3_stmt *s = NULL;
	struct db_rule *rules = NULL;
	int64_t room = 0;
	size_t have = 0;
	int r = count_rules(d, &room);

	if (r < 0)
		return r;
	rules = calloc((size_t)room + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	r = db_errno(sqlite3_prepare_v2(d->sql, query, -1, &s, NULL));
	while (r == 0 && have < (size_t)room && (r = sqlite3_step(s)) == SQLITE_ROW) {
		r = read_rule(s, &rules[have]);
		if (r == 0)
			have++;
	}
	if (r > 0)
		r = db_errno(r);
	sqlite3_finalize(s);
	if (r < 0) {
		db_rules_free(rules, have);
		return r;
	}
	*out = rules;
	*n = have;
	return 0;
}

void db_rules_free(struct db_rule *rules, size_t n)
{
	for (size_t i = 0; rules && i < n; i++)
		free(rules[i].text);
	free(rules);
}
